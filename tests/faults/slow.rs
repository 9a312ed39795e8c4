//! A client that stops reading is dropped, costs at most its bound, and holds up nobody.

use crate::harness::{Gateway, Ws, eventually, proc};
use serde_json::json;
use std::time::{Duration, Instant};

/// What may wait for one client, as `hello-ok` says, in KiB.
const BOUND_KIB: u64 = 1536;
/// For the allocator, and the frame that was being made when the bound was met.
const SLACK_KIB: u64 = 1024;

/// Some 24 MiB of messages told to every client, far more than the kernel keeps for one that does not
/// read.
pub fn much(ws: &mut Ws, id: &str) {
    let key = format!("agent:main:{id}");
    let turn = json!({"sessionKey": key, "message": "go on", "idempotencyKey": id});
    ws.call("chat.send", turn).unwrap();
    ws.event_where("chat", |p| p["runId"] == id && p["state"] == "final");
    let message = "word ".repeat(80_000);
    for _ in 0..60 {
        ws.call(
            "chat.inject",
            json!({"sessionKey": key, "message": message}),
        )
        .unwrap();
    }
}

/// The most memory the core had since the last call, KiB.
fn peak(core: u32) -> u64 {
    let peak = proc::status(core, "VmHWM");
    std::fs::write(format!("/proc/{core}/clear_refs"), "5").expect("our own child");
    peak
}

#[test]
fn a_client_that_stops_reading_is_dropped_at_its_bound() {
    let gateway = Gateway::with_fake_model();
    let core = gateway.core_pid();
    let mut ws = gateway.connect();
    much(&mut ws, "warm");
    peak(core);
    much(&mut ws, "alone");
    let alone = peak(core);

    let sockets = || {
        let listed = std::fs::read_dir(format!("/proc/{core}/fd")).unwrap();
        listed
            .flatten()
            .filter_map(|fd| std::fs::read_link(fd.path()).ok())
            .filter(|to| to.to_string_lossy().starts_with("socket:"))
            .count()
    };
    let without = sockets();
    let mut stalled = gateway.connect();
    much(&mut ws, "beside");
    let beside = peak(core);
    let cost = beside.saturating_sub(alone);
    assert!(
        cost <= BOUND_KIB + SLACK_KIB,
        "it cost {cost} KiB: {alone} KiB without it, {beside} KiB with it"
    );
    // The other client is answered as ever.
    let asked = Instant::now();
    ws.call("health", json!({})).unwrap();
    assert!(asked.elapsed() < Duration::from_secs(2));

    // It is told why, if it reads after all, and is gone either way.
    let closed = stalled.closed();
    assert!(
        closed.code.is_none() || closed.code == Some(1008),
        "{closed:?}"
    );
    eventually("the end of its socket", Duration::from_secs(20), || {
        (sockets() <= without).then_some(())
    });
}
