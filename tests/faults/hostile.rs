//! Ten thousand hostile connections: the memory they take is bounded and given back, and a client
//! that means well is answered meanwhile.

use crate::harness::{Gateway, eventually, proc};
use serde_json::json;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const EACH: usize = 2500;
/// Connections of a kind that are open at once.
const AT_ONCE: usize = 100;
/// Most the core may grow while many of them are open (900 on a quiet machine, more on a busy one):
/// a thread's touched stack, a socket and a head each. All at once would take four times as much.
const GROWTH_KIB: u64 = 64 * 1024;
/// What it may keep when all are gone.
const KEPT_KIB: u64 = 2 * 1024;

const UPGRADE: &str = "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                       Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

fn open(port: u16) -> TcpStream {
    let tcp = TcpStream::connect(("127.0.0.1", port)).expect("the gateway listens");
    tcp.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    tcp
}

/// Reads until the gateway ends the connection.
fn end(mut tcp: TcpStream) -> Vec<u8> {
    let mut got = Vec::new();
    let _ = tcp.read_to_end(&mut got);
    got
}

/// A masked text frame (with a mask of zeros) that says it is `len` long.
fn frame(len: u64, bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![0x81, 0x80 | 127];
    out.extend_from_slice(&len.to_be_bytes());
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(bytes);
    out
}

/// First frames that no client of ours would send.
fn malformed(i: usize) -> Vec<u8> {
    let deep = "[".repeat(100_000);
    match i % 8 {
        0 => frame(4, b"nope"),
        1 => frame(2, b"{}"),
        2 => frame(deep.len() as u64, deep.as_bytes()),
        // Longer than anything allowed.
        3 => frame(u64::MAX >> 1, b"x"),
        4 => frame(3, &[0xff, 0xfe, 0xfd]),
        // Not masked, a reserved kind, a continuation of nothing.
        5 => vec![0x81, 0x02, b'{', b'}'],
        6 => vec![0xf3, 0x80, 0, 0, 0, 0],
        _ => frame(
            62,
            br#"{"type":"req","id":"1","method":"connect","params":{"x":true}}"#,
        ),
    }
}

fn malformed_frames(port: u16) {
    for batch in 0..EACH / AT_ONCE {
        let open: Vec<TcpStream> = (0..AT_ONCE)
            .map(|i| {
                let mut tcp = open(port);
                let _ = tcp.write_all(UPGRADE.as_bytes());
                let _ = tcp.write_all(&malformed(batch + i));
                tcp
            })
            .collect();
        for tcp in open {
            let got = end(tcp);
            assert!(got.starts_with(b"HTTP/1.1 101"), "{got:?}");
        }
    }
}

fn oversized_heads(port: u16) {
    let large = format!("GET / HTTP/1.1\r\nX: {}", "x".repeat(64 * 1024));
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(1000));
    for i in 0..EACH {
        let mut tcp = open(port);
        let text = if i % 2 == 0 { &large } else { &many };
        // It may be cut off while it is still sending.
        let _ = tcp.write_all(text.as_bytes());
        let got = end(tcp);
        assert!(
            got.is_empty() || got.starts_with(b"HTTP/1.1 431"),
            "{}",
            String::from_utf8_lossy(&got)
        );
    }
}

/// Opened and left: without a word, in the middle of a head, or after the upgrade.
fn half_open(port: u16) {
    for _ in 0..EACH / AT_ONCE {
        let open: Vec<TcpStream> = (0..AT_ONCE)
            .map(|i| {
                let mut tcp = open(port);
                let _ = match i % 3 {
                    0 => Ok(()),
                    1 => tcp.write_all(b"GET / HTTP/1.1\r\nHost:"),
                    _ => tcp.write_all(UPGRADE.as_bytes()),
                };
                tcp
            })
            .collect();
        std::thread::sleep(Duration::from_millis(100));
        drop(open);
    }
}

/// A byte at a time, for as long as the gateway puts up with it or two seconds.
fn slow_senders(port: u16) {
    for _ in 0..EACH / AT_ONCE / 5 {
        let mut open: Vec<TcpStream> = (0..AT_ONCE * 5).map(|_| open(port)).collect();
        for byte in UPGRADE.as_bytes().iter().take(20) {
            for tcp in &mut open {
                let _ = tcp.write_all(&[*byte]);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// What the core has for itself, KiB; pages of the program file are nobody's cost.
fn own(core: u32) -> u64 {
    proc::status(core, "RssAnon")
}

#[test]
fn ten_thousand_hostile_connections_cost_little_and_delay_nobody() {
    let gateway = Gateway::start();
    let core = gateway.core_pid();
    let port = gateway.port();
    let mut ws = gateway.connect();
    ws.call("health", json!({})).unwrap();
    let before = own(core);

    let stop = Arc::new(AtomicBool::new(false));
    let stopped = stop.clone();
    let healthy = std::thread::spawn(move || {
        let (mut times, mut most) = (Vec::new(), 0);
        while !stopped.load(Ordering::Relaxed) {
            let asked = Instant::now();
            ws.call("health", json!({})).unwrap();
            times.push(asked.elapsed());
            most = most.max(own(core));
            std::thread::sleep(Duration::from_millis(10));
        }
        (times, most, ws)
    });
    let started = Instant::now();
    let attacks = [malformed_frames, oversized_heads, half_open, slow_senders];
    let attackers: Vec<_> = attacks
        .map(|attack| std::thread::spawn(move || attack(port)))
        .into();
    for attacker in attackers {
        attacker.join().unwrap();
    }
    let took = started.elapsed();
    stop.store(true, Ordering::Relaxed);
    let (mut times, most, mut ws) = healthy.join().unwrap();
    times.sort();
    let nearly_all = times[times.len() * 99 / 100];
    eprintln!(
        "{took:?}; {} answers, 99 % within {nearly_all:?}, all within {:?}; {before} KiB before, \
         {most} KiB at most",
        times.len(),
        times[times.len() - 1]
    );
    // What matters is that nobody is held up; how fast it is on a quiet machine is printed above.
    assert!(nearly_all < Duration::from_secs(2), "{nearly_all:?}");
    assert!(most - before < GROWTH_KIB, "{before} KiB, then {most} KiB");
    let mut after = 0;
    eventually("the memory's return", Duration::from_secs(20), || {
        after = own(core);
        (after < before + KEPT_KIB).then_some(())
    });
    eprintln!("{after} KiB afterwards");
    assert_eq!(gateway.core_pid(), core);
    ws.call("health", json!({})).unwrap();
}
