//! Readings from `/proc` of processes that the test started.

use std::fs;

/// `pid` and everything below it, parents first.
pub fn tree(pid: u32) -> Vec<u32> {
    let mut pids = vec![pid];
    let mut next = 0;
    while next < pids.len() {
        pids.extend(children(pids[next]));
        next += 1;
    }
    pids
}

pub fn children(pid: u32) -> Vec<u32> {
    let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else {
        return Vec::new();
    };
    tasks
        .flatten()
        .filter_map(|task| fs::read_to_string(task.path().join("children")).ok())
        .flat_map(|text| {
            text.split_whitespace()
                .filter_map(|p| p.parse().ok())
                .collect::<Vec<u32>>()
        })
        .collect()
}

/// The core below a supervisor, when there is one now.
pub fn core_of(supervisor: u32) -> Option<u32> {
    let mut below = children(supervisor).into_iter();
    below.find(|pid| command_line(*pid).contains(": core"))
}

/// The first process below `pid` whose command line begins with `name`, whatever its folder.
pub fn named(pid: u32, name: &str) -> Option<u32> {
    tree(pid).into_iter().find(|pid| {
        let line = command_line(*pid);
        let program = line.split_whitespace().next().unwrap_or_default();
        program.rsplit('/').next() == Some(name)
    })
}

pub fn command_line(pid: u32) -> String {
    let bytes = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&bytes)
        .replace('\0', " ")
        .trim()
        .to_string()
}

/// Running, not a zombie.
pub fn is_alive(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat
        .rsplit(") ")
        .next()
        .and_then(|rest| rest.chars().next());
    state.is_some_and(|state| state != 'Z' && state != 'X')
}

/// A field of `smaps_rollup` in KiB: `Pss`, `Anonymous`, `Rss`.
pub fn memory(pid: u32, field: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    text.lines()
        .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))
        .and_then(|rest| rest.split_whitespace().next()?.parse().ok())
        .unwrap_or(0)
}

/// Processor time so far, of all its threads. A tick is 10 ms on every Linux there is.
pub fn cpu_ms(pid: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let after_name = stat.rsplit(") ").next().unwrap_or_default();
    let ticks = after_name.split(' ').skip(11).take(2);
    ticks.filter_map(|n| n.parse::<u64>().ok()).sum::<u64>() * 10
}

/// A field of `status` in KiB or as a bare number: `VmHWM`, `Threads`, `voluntary_ctxt_switches`.
pub fn status(pid: u32, field: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    status_field(&text, field)
}

/// Times any thread of `pid` went to sleep and was woken.
pub fn wakeups(pid: u32) -> u64 {
    let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else {
        return 0;
    };
    tasks
        .flatten()
        .filter_map(|task| fs::read_to_string(task.path().join("status")).ok())
        .map(|text| status_field(&text, "voluntary_ctxt_switches"))
        .sum()
}

fn status_field(text: &str, field: &str) -> u64 {
    text.lines()
        .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))
        .and_then(|rest| rest.split_whitespace().next()?.parse().ok())
        .unwrap_or(0)
}

pub fn signal(pid: u32, signal: &str) {
    let status = std::process::Command::new("kill")
        .args([format!("-{signal}"), pid.to_string()])
        .stderr(std::process::Stdio::null())
        .status();
    status.expect("kill(1) is there");
}
