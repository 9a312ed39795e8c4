//! `GET /health` over keep-alive connections.

use crate::harness::Gateway;
use crate::report::Report;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

const SPAN: Duration = Duration::from_secs(2);
const REQUEST: &[u8] = b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";

pub fn rows(report: &Report) {
    let gateway = Gateway::start();
    let (two, many) = (rate(gateway.port(), 2), rate(gateway.port(), 64));
    report.row(
        "`GET /health` a second, 2 · 64 keep-alive connections",
        "≥ 35,000 · ≥ 70,000",
        format!("{two:.0} · {many:.0}"),
    );
}

/// One answer's body.
pub fn health(port: u16) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(2))).ok()?;
    stream
        .write_all(b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        .ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    answer
        .split_once("\r\n\r\n")
        .map(|(_, body)| body.to_string())
}

/// Two threads share the connections and keep one request under way on each.
fn rate(port: u16, connections: usize) -> f64 {
    let (stop, count) = (AtomicBool::new(false), AtomicU64::new(0));
    let started = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            let (stop, count) = (&stop, &count);
            scope.spawn(move || {
                let mut streams: Vec<TcpStream> = (0..connections / 2)
                    .map(|_| {
                        let stream = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
                        stream.set_nodelay(true).expect("a TCP option");
                        stream
                    })
                    .collect();
                let mut buffer = [0; 8192];
                while !stop.load(Ordering::Relaxed) {
                    for stream in &mut streams {
                        stream.write_all(REQUEST).expect("sent");
                    }
                    for stream in &mut streams {
                        let n = stream.read(&mut buffer).expect("an answer");
                        assert!(buffer[..n].starts_with(b"HTTP/1.1 200"), "not a 200");
                    }
                    count.fetch_add(streams.len() as u64, Ordering::Relaxed);
                }
            });
        }
        std::thread::sleep(SPAN);
        stop.store(true, Ordering::Relaxed);
    });
    count.load(Ordering::Relaxed) as f64 / started.elapsed().as_secs_f64()
}
