//! Readings of whole processes: memory from the kernel's own accounting, time from the clock.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Kilobytes of a process or a tree.
#[derive(Clone, Copy, Debug, Default)]
pub struct Memory {
    pub pss: u64,
    pub anonymous: u64,
}

/// `pid` and everything below it.
pub fn tree(pid: u32) -> Vec<u32> {
    let mut pids = vec![pid];
    let mut next = 0;
    while next < pids.len() {
        let path = format!("/proc/{0}/task/{0}/children", pids[next]);
        let children = fs::read_to_string(path).unwrap_or_default();
        pids.extend(children.split_whitespace().filter_map(|p| p.parse::<u32>().ok()));
        next += 1;
    }
    pids
}

pub fn memory(pids: &[u32]) -> Memory {
    let mut sum = Memory::default();
    for pid in pids {
        let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
        for line in text.lines() {
            let mut words = line.split_whitespace();
            let (name, kb) = (words.next(), words.next().and_then(|n| n.parse::<u64>().ok()));
            match (name, kb) {
                (Some("Pss:"), Some(kb)) => sum.pss += kb,
                (Some("Anonymous:"), Some(kb)) => sum.anonymous += kb,
                _ => {}
            }
        }
    }
    sum
}

/// Voluntary context switches of every thread of the tree: each is a wake-up.
pub fn wakeups(pids: &[u32]) -> u64 {
    let mut sum = 0;
    for pid in pids {
        let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else {
            continue;
        };
        for task in tasks.flatten() {
            let status = fs::read_to_string(task.path().join("status")).unwrap_or_default();
            sum += status
                .lines()
                .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))
                .and_then(|n| n.trim().parse::<u64>().ok())
                .unwrap_or(0);
        }
    }
    sum
}

/// Wall time and peak resident size of a command that runs to its end.
pub fn command(program: &Path, args: &[&str], env: &[(&str, &str)]) -> (Duration, u64) {
    let mut command = Command::new(program);
    command
        .args(args)
        .envs(env.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0);
    let start = Instant::now();
    let child = command.spawn().expect("the program starts");
    let (mut status, mut usage) = (0, unsafe { std::mem::zeroed::<libc::rusage>() });
    // std's wait drops the child's rusage; wait4 gives the peak size of just this child.
    unsafe { libc::wait4(child.id() as i32, &mut status, 0, &mut usage) };
    (start.elapsed(), usage.ru_maxrss as u64)
}

pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

pub fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
