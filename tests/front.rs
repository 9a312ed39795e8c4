//! The front: slow, oversized and broken requests, and the probes that answer through all of it.

use crate::harness::{Gateway, Setup};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// Sends `text` and reads until the gateway closes.
pub fn exchange(mut stream: impl Read + Write, text: &str) -> String {
    stream.write_all(text.as_bytes()).unwrap();
    let mut answer = Vec::new();
    // A reset after the answer is the peer's way to say that it reads no more.
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

pub fn connect(gateway: &Gateway) -> TcpStream {
    let tcp = TcpStream::connect(("127.0.0.1", gateway.port())).unwrap();
    tcp.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    tcp
}

/// `GET path` on a connection of its own: the whole answer.
pub fn get(gateway: &Gateway, path: &str) -> String {
    exchange(
        connect(gateway),
        &format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"),
    )
}

pub fn body(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").expect("a whole head").1
}

#[test]
fn health_has_the_shape_that_monitors_expect() {
    let gateway = Gateway::start();
    let answer = get(&gateway, "/health");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains("Content-Type: application/json"));
    let health: Value = serde_json::from_str(body(&answer)).unwrap();
    assert_eq!(health["ok"], true);
    assert!(health["version"].is_string() && health["uptime"].is_number());
    assert_eq!(
        health["gateway"],
        json!({"port": gateway.port(), "bind": "loopback", "auth": "token"})
    );
    assert!(health["channels"].is_object() && health["models"].is_object());
    for path in ["/healthz", "/readyz", "/health?x=1"] {
        assert!(get(&gateway, path).starts_with("HTTP/1.1 200"), "{path}");
    }
}

#[test]
fn the_local_socket_is_private_and_speaks_http() {
    let gateway = Gateway::start();
    let path = gateway.run_dir().join("gateway.sock");
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let unix = UnixStream::connect(path).unwrap();
    let answer = exchange(unix, "GET /health HTTP/1.1\r\nConnection: close\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 200 OK"));
}

#[test]
fn broken_requests_are_refused_with_a_status() {
    let gateway = Gateway::start();
    let status = |text: &str| exchange(connect(&gateway), text)[9..12].to_string();
    assert_eq!(status("\r\n\r\n"), "400");
    assert_eq!(status("GET /\r\n\r\n"), "400");
    let large = format!("GET / HTTP/1.1\r\nCookie: {}\r\n\r\n", "c".repeat(20_000));
    assert_eq!(status(&large), "431");
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(100));
    assert_eq!(status(&many), "431");
    let both = "POST /x HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(status(both), "400");
    let lengths = "POST /x HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n";
    assert_eq!(status(lengths), "400");
    let old = "GET / HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
               Sec-WebSocket-Key: a\r\nSec-WebSocket-Version: 8\r\n\r\n";
    assert_eq!(status(old), "426");
}

#[test]
fn a_head_that_drips_in_is_cut_off_and_delays_nobody() {
    let gateway = Gateway::start();
    let mut dripping: Vec<TcpStream> = (0..50).map(|_| connect(&gateway)).collect();
    let started = Instant::now();
    let mut ended = false;
    while !ended && started.elapsed() < Duration::from_secs(25) {
        for tcp in &mut dripping {
            ended |= tcp.write_all(b"X").is_err();
        }
        let asked = Instant::now();
        assert!(get(&gateway, "/health").starts_with("HTTP/1.1 200"));
        assert!(asked.elapsed() < Duration::from_secs(2));
        std::thread::sleep(Duration::from_millis(250));
    }
    assert!(ended, "heads may drip in for ever");
    let mut answer = String::new();
    let _ = dripping[0].read_to_string(&mut answer);
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer:?}");
}

#[test]
fn a_body_that_stops_half_way_delays_nobody() {
    let gateway = Gateway::start();
    let mut half: Vec<TcpStream> = (0..20).map(|_| connect(&gateway)).collect();
    for tcp in &mut half {
        let head = "POST /chat HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nhalf";
        tcp.write_all(head.as_bytes()).unwrap();
    }
    let asked = Instant::now();
    assert!(get(&gateway, "/").starts_with("HTTP/1.1 200"));
    assert!(asked.elapsed() < Duration::from_secs(2));
}

#[test]
fn the_websocket_is_at_any_path_and_offers_no_compression() {
    let gateway = Setup::new().start();
    let mut tcp = connect(&gateway);
    let request = "GET /any/where?x HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n\
                   Connection: keep-alive, Upgrade\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
                   Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n";
    tcp.write_all(request.as_bytes()).unwrap();
    let mut answer = vec![0; 2048];
    let read = tcp.read(&mut answer).unwrap();
    let answer = String::from_utf8_lossy(&answer[..read]).into_owned();
    assert!(answer.starts_with("HTTP/1.1 101"), "{answer}");
    assert!(answer.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    assert!(!answer.to_lowercase().contains("extensions"));
}
