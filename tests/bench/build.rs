//! The clean release build on this machine: time, and the largest compiler process.

use crate::harness::{Dir, proc};
use crate::report::{Report, mib};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

pub fn rows(report: &Report) {
    let what = "`cargo build --release` from clean, peak memory of any one compiler process";
    let budget = "≤ 4 min, ≤ 1.2 GB";
    if !report.build {
        return report.row(what, budget, "not run: add `-- --build`");
    }
    let target = Dir::new("build");
    let started = Instant::now();
    let mut build = Command::new(env!("CARGO"))
        .args(["build", "--release", "--locked", "--target-dir"])
        .arg(target.path())
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("cargo starts");
    let mut peak = 0;
    let status = loop {
        if let Some(status) = build.try_wait().expect("our child") {
            break status;
        }
        for pid in proc::tree(build.id()) {
            peak = peak.max(proc::status(pid, "VmHWM"));
        }
        std::thread::sleep(Duration::from_millis(100));
    };
    assert!(status.success(), "the build failed");
    report.row(
        what,
        budget,
        format!(
            "{:.1} min, {:.2} GiB",
            started.elapsed().as_secs_f64() / 60.0,
            mib(peak) / 1024.0
        ),
    );
}
