//! Agent turns: the gateway's own share of the time, memory at work, and after many of them.

use crate::harness::{Gateway, Setup, Ws, proc};
use crate::report::{Report, median, mib, ms};
use crate::rpc;
use serde_json::json;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

pub fn rows(report: &Report) {
    let plain = Gateway::with_fake_model();
    let alone = own_time(&plain, "main");
    let stored = own_time(&rpc::with_sessions(1_000), "main");
    let cut = after(10_000, None);
    let [short, longer, long] = [10, 1_000, 10_000].map(|n| after(n, Some(1_000_000)));
    report.row(
        "gateway's own time in an agent turn; with 1,000 sessions stored; at 10,000 messages",
        "≤ 3 ms; the same; the same",
        format!("{alone:.1} ms; {stored:.1} ms; {cut:.1} ms"),
    );
    report.row(
        "the same in a window of 1,000,000 tokens, after 10 · 1,000 · 10,000 messages",
        "≤ 3 ms · the same · the same",
        format!("{short:.1} ms · {longer:.1} ms · {long:.1} ms"),
    );
    report.row(
        "four turns at once: peak PSS of the tree",
        "≤ 12 MiB",
        format!("{:.1} MiB", mib(four_at_once(&plain))),
    );
    report.row(
        "peak PSS during a turn that streams 1 MiB; the gateway's own time in it",
        "≤ 16 MiB; ≤ 500 ms",
        long_answer(),
    );
    report.row(
        &format!("{} turns in a loop: PSS growth", report.turns),
        "≤ 5 % (100,000 turns)",
        format!("{:+.1} %", growth(report.turns)),
    );
}

/// Own time after so many messages. A large window has room for all of them: the request, which is
/// then in the time, grows with them; what the gateway does besides must not.
fn after(messages: usize, window: Option<u64>) -> f64 {
    let mut setup = Setup::with_fake_model();
    if let Some(tokens) = window {
        setup.config["models"]["providers"]["fake"]["models"][0]["contextWindow"] = json!(tokens);
    }
    rpc::store(&setup, 1, "long", messages);
    own_time(&setup.start(), "long")
}

/// From the request to its final answer, less what the model took.
fn own_time(gateway: &Gateway, session: &str) -> f64 {
    let mut ws = gateway.connect();
    let mut readings = Vec::new();
    for i in 0..31 {
        gateway.model().forget();
        let started = Instant::now();
        turn(&mut ws, session, i);
        readings.push(ms(started
            .elapsed()
            .saturating_sub(gateway.model().spent())));
    }
    // The first turn makes the workspace and reads the history.
    median(readings.split_off(1))
}

fn turn(ws: &mut Ws, session: &str, number: usize) {
    let id = ws.send(
        "agent",
        json!({
            "message": format!("Hello number {number}"),
            "sessionKey": format!("agent:main:{session}"),
            "idempotencyKey": openclaw::base::id::uuid(),
        }),
    );
    for expected in ["accepted", "ok"] {
        let answer = ws.response(&id);
        assert_eq!(answer["payload"]["status"], expected, "{answer}");
    }
}

fn four_at_once(gateway: &Gateway) -> u64 {
    let lanes = || {
        std::thread::scope(|scope| {
            for lane in 0..4 {
                let mut ws = gateway.connect();
                scope.spawn(move || (0..25).for_each(|i| turn(&mut ws, &format!("lane{lane}"), i)));
            }
        });
    };
    peak_during(gateway, lanes)
}

/// The most PSS of the whole tree while `work` goes on, KiB.
fn peak_during(gateway: &Gateway, work: impl FnOnce()) -> u64 {
    let (stop, peak) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                let pids = proc::tree(gateway.pid());
                let sum = pids.iter().map(|pid| proc::memory(*pid, "Pss")).sum();
                peak.fetch_max(sum, Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        work();
        stop.store(true, Ordering::Relaxed);
    });
    peak.load(Ordering::Relaxed)
}

/// A mebibyte in pieces of 64 bytes, read by one client.
fn long_answer() -> String {
    const PIECE: &str = "Sixty-three bytes of words, which a model says in one breath. \n";
    let gateway = Gateway::with_fake_model();
    let mut ws = gateway.connect();
    turn(&mut ws, "long-answer", 0);
    gateway.model().say(&vec![PIECE; 1024 * 1024 / PIECE.len()]);
    let before = cpu(&gateway);
    let peak = mib(peak_during(&gateway, || turn(&mut ws, "long-answer", 1)));
    format!("{peak:.1} MiB; {} ms", cpu(&gateway) - before)
}

/// Milliseconds of processor time of the whole tree so far.
fn cpu(gateway: &Gateway) -> u64 {
    let pids = proc::tree(gateway.pid());
    pids.iter().map(|pid| proc::cpu_ms(*pid)).sum()
}

/// Percent of growth after `count` turns, counted from the first tenth, when the bounded caches
/// are full.
fn growth(count: usize) -> f64 {
    let gateway = Gateway::with_fake_model();
    let mut ws = gateway.connect();
    let pss = || {
        let pids = proc::tree(gateway.pid());
        pids.iter()
            .map(|pid| proc::memory(*pid, "Pss"))
            .sum::<u64>() as f64
    };
    let mut before = 0.0;
    for i in 0..count {
        if i == count / 10 {
            before = pss();
        }
        // A new session now and then, so that neither history nor index grows without end.
        turn(&mut ws, &format!("loop{}", i / 200), i);
        if i % 64 == 0 {
            gateway.model().forget();
        }
    }
    (pss() - before) / before * 100.0
}
