//! Whole commands: wall time and peak size of the process.

use crate::harness::Gateway;
use crate::report::{Report, median, mib, ms};
use std::process::{Command, Stdio};
use std::time::Instant;

const ROUNDS: usize = 21;
pub const PROBE: &str = "--probe";
const BINARIES: &[(&str, &str)] = &[
    ("openclaw", env!("CARGO_BIN_EXE_openclaw")),
    ("openclawctl", env!("CARGO_BIN_EXE_openclawctl")),
    ("openclaw-gateway", env!("CARGO_BIN_EXE_openclaw-gateway")),
    ("openclaw-channel", env!("CARGO_BIN_EXE_openclaw-channel")),
    ("openclaw-exec", env!("CARGO_BIN_EXE_openclaw-exec")),
    #[cfg(feature = "memory")]
    ("openclaw-memory", env!("CARGO_BIN_EXE_openclaw-memory")),
];

pub fn rows(report: &Report) {
    let gateway = Gateway::start();
    let figures: Vec<String> = [&["--version"][..], &["status"], &["health", "--json"]]
        .into_iter()
        .map(|args| figure(&gateway, args))
        .collect();
    report.row(
        "whole process: `--version` · `status` · `health --json`, wall and peak RSS",
        "≤ 1 ms · ≤ 5 ms · ≤ 4 ms, ≤ 4 MiB",
        figures.join(" · "),
    );
    let sizes: Vec<(&str, u64)> = BINARIES
        .iter()
        .map(|(name, path)| (*name, std::fs::metadata(path).map_or(0, |m| m.len() / 1024)))
        .collect();
    let each: Vec<String> = sizes
        .iter()
        .map(|(name, kib)| format!("{name} {:.2}", mib(*kib)))
        .collect();
    report.row(
        "all binaries, stripped",
        "≤ 8 MiB together",
        format!(
            "{:.2} MiB ({})",
            mib(sizes.iter().map(|(_, kib)| kib).sum()),
            each.join(", ")
        ),
    );
}

fn figure(gateway: &Gateway, args: &[&str]) -> String {
    let (mut times, mut peaks) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let mut command = gateway.command(env!("CARGO_BIN_EXE_openclaw"));
        let (time, peak) = run(command.args(args));
        times.push(time);
        peaks.push(peak as f64);
    }
    format!(
        "{:.1} ms, {:.1} MiB",
        median(times),
        mib(median(peaks) as u64)
    )
}

/// Run through a small copy of this program: a child's peak starts from its parent's size, and the
/// bench itself is large by now.
fn run(command: &Command) -> (f64, u64) {
    let mut probe = Command::new(std::env::current_exe().expect("this program"));
    probe
        .arg(PROBE)
        .arg(command.get_program())
        .args(command.get_args())
        .env_clear()
        .envs(
            command
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        )
        .stderr(Stdio::null());
    let output = probe.output().expect("this program starts");
    let text = String::from_utf8(output.stdout).expect("two numbers");
    let mut numbers = text.split_whitespace();
    let mut next = || {
        numbers
            .next()
            .and_then(|n| n.parse::<f64>().ok())
            .expect("a number")
    };
    (next(), next() as u64)
}

/// `--probe PROGRAM ARGS`: prints its wall time in milliseconds and its peak size in KiB.
#[expect(clippy::zombie_processes, reason = "wait4 reaps it")]
pub fn probe(words: &[String]) {
    let started = Instant::now();
    let child = Command::new(&words[0])
        .args(&words[1..])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program starts");
    let pid = i32::try_from(child.id()).expect("a pid");
    let mut status = 0;
    // SAFETY: rusage is plain integers, for which zero is a value.
    let mut usage = unsafe { std::mem::zeroed::<libc::rusage>() };
    // std's wait throws the child's rusage away. SAFETY: both pointers are to live locals.
    unsafe { libc::wait4(pid, &mut status, 0, &mut usage) };
    println!("{} {}", ms(started.elapsed()), usage.ru_maxrss);
}
