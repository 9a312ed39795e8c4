//! A client that stops reading is dropped, costs at most its bound, and holds up nobody.

use crate::harness::model::Reply;
use crate::harness::{Gateway, Ws, eventually, proc};
use serde_json::json;
use std::time::{Duration, Instant};

/// What may wait for one client, as `hello-ok` says, in KiB.
const BOUND_KIB: u64 = 1536;
/// For the allocator, and the frame that was being made when the bound was met.
const SLACK_KIB: u64 = 1024;

/// A turn that tells every client some 30 MiB, far more than the kernel keeps for one of them.
fn much(gateway: &Gateway, ws: &mut Ws, id: &str) {
    let pieces = vec!["word ".repeat(400); 170];
    let pause = Duration::from_millis(4);
    gateway.model().reply(Reply::Text(pieces, pause));
    // A session for each: a second such answer would have the first one summarised.
    let key = format!("agent:main:{id}");
    let params = json!({"sessionKey": key, "message": "go on", "idempotencyKey": id});
    ws.call("chat.send", params).unwrap();
    ws.event_where("chat", |p| p["runId"] == id && p["state"] == "final");
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
    much(&gateway, &mut ws, "warm");
    peak(core);
    much(&gateway, &mut ws, "alone");
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
    much(&gateway, &mut ws, "beside");
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
