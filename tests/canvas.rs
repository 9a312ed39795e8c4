//! The canvas host: pages, what it refuses, and live reload.

use crate::front::{body, connect, exchange, get};
use crate::harness::{Gateway, Setup, free_port};
use serde_json::{Value, json};
use std::io::ErrorKind;
use std::net::TcpStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tungstenite::{Message, WebSocket};

fn with_canvas(more: Value) -> (Gateway, PathBuf) {
    let mut setup = Setup::new();
    let root = setup.dir.path().join(".hidden/canvas");
    std::fs::create_dir_all(root.join("sub")).unwrap();
    std::fs::write(root.join("index.html"), "<body>one</body>").unwrap();
    std::fs::write(root.join("data.json"), "{}").unwrap();
    let mut canvas = json!({"root": root});
    for (key, value) in more.as_object().unwrap() {
        canvas[key] = value.clone();
    }
    setup.config["canvasHost"] = canvas;
    (setup.start(), root)
}

fn status(answer: &str) -> &str {
    &answer[9..12]
}

const BASE: &str = "/__openclaw__/canvas";

#[test]
fn pages_come_with_the_script_and_files_as_they_are() {
    let (gateway, root) = with_canvas(json!({}));
    for path in ["", "/", "/index.html"] {
        let answer = get(&gateway, &format!("{BASE}{path}"));
        assert_eq!(status(&answer), "200", "{path}");
        assert!(answer.contains("Content-Type: text/html; charset=utf-8"));
        assert!(answer.contains("Cache-Control: no-store"));
        let page = body(&answer);
        assert!(page.starts_with("<body>one<script>") && page.ends_with("</body>"));
        assert!(page.contains("openclawSendUserAction") && page.contains("/__openclaw__/ws"));
    }
    let answer = get(&gateway, &format!("{BASE}/data.json"));
    assert!(answer.contains("Content-Type: application/json") && body(&answer) == "{}");
    let head = "HEAD /__openclaw__/canvas/data.json HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let head = exchange(connect(&gateway), head);
    assert!(head.contains("Content-Length: 2") && body(&head).is_empty());
    let large = vec![b'z'; 3_000_000];
    std::fs::write(root.join("large.bin"), &large).unwrap();
    let answer = get(&gateway, &format!("{BASE}/large.bin"));
    assert_eq!(body(&answer).len(), large.len());
    let put = "PUT /__openclaw__/canvas/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n";
    let put = exchange(connect(&gateway), put);
    assert_eq!((status(&put), body(&put)), ("405", "Method Not Allowed"));
}

#[test]
fn nothing_outside_the_canvas_is_served() {
    let (gateway, root) = with_canvas(json!({}));
    let outside = root.parent().unwrap().join("secret.txt");
    std::fs::write(&outside, "secret").unwrap();
    std::os::unix::fs::symlink(&outside, root.join("link.txt")).unwrap();
    std::os::unix::fs::symlink(root.parent().unwrap(), root.join("up")).unwrap();
    for path in [
        "/link.txt",
        "/up/secret.txt",
        "/../secret.txt",
        "/%2e%2e/secret.txt",
        "/sub/../../secret.txt",
        "/%2fetc/passwd",
        "/a%00b",
        "/missing.txt",
    ] {
        let answer = get(&gateway, &format!("{BASE}{path}"));
        assert_eq!(
            (status(&answer), body(&answer)),
            ("404", "not found"),
            "{path}"
        );
    }
    let answer = get(&gateway, &format!("{BASE}/sub/"));
    assert_eq!(status(&answer), "404");
    assert!(body(&answer).contains("Missing file.") && body(&answer).contains("sub/index.html"));
}

#[test]
fn the_usual_root_is_made_with_a_first_page() {
    let gateway = Gateway::start();
    let answer = get(&gateway, &format!("{BASE}/"));
    assert_eq!(status(&answer), "200");
    assert!(gateway.home().join(".openclaw/canvas/index.html").exists());
    let a2ui = get(&gateway, "/__openclaw__/a2ui/");
    assert_eq!(status(&a2ui), "200");
    assert!(body(&a2ui).contains("<openclaw-a2ui-host>") && body(&a2ui).contains("sendUserAction"));
    for (path, content_type) in [("page.js", "javascript"), ("a2ui.css", "text/css")] {
        let answer = get(&gateway, &format!("/__openclaw__/a2ui/{path}"));
        assert!(
            status(&answer) == "200" && answer.contains(content_type),
            "{path}"
        );
    }
    let folder = gateway.home().join(".openclaw/a2ui");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("index.html"), "a2ui").unwrap();
    let a2ui = get(&gateway, "/__openclaw__/a2ui/");
    assert!(status(&a2ui) == "200" && body(&a2ui).starts_with("a2ui<script>"));
    let missing = get(&gateway, "/__openclaw__/a2ui/x.js");
    assert_eq!((status(&missing), body(&missing)), ("404", "not found"));
    let plain = get(&gateway, "/__openclaw__/ws");
    assert_eq!((status(&plain), body(&plain)), ("426", "upgrade required"));
    assert!(get(&gateway, "/__openclaw__/other").contains("<!doctype html>"));
}

fn page_socket(port: u16) -> WebSocket<TcpStream> {
    let tcp = TcpStream::connect(("127.0.0.1", port)).unwrap();
    tcp.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let url = format!("ws://127.0.0.1:{port}/__openclaw__/ws");
    tungstenite::client(url, tcp).unwrap().0
}

fn hears_within(socket: &mut WebSocket<TcpStream>, patience: Duration) -> bool {
    socket.get_ref().set_read_timeout(Some(patience)).unwrap();
    match socket.read() {
        Ok(message) => {
            assert_eq!(message, Message::text("reload"));
            true
        }
        Err(tungstenite::Error::Io(err))
            if [ErrorKind::WouldBlock, ErrorKind::TimedOut].contains(&err.kind()) =>
        {
            false
        }
        Err(err) => panic!("{err}"),
    }
}

#[test]
fn open_pages_are_told_of_changes_also_below_a_dot_folder() {
    let (gateway, root) = with_canvas(json!({}));
    let mut page = page_socket(gateway.port());
    page.send(Message::text("whatever")).unwrap();
    let patience = Duration::from_secs(10);
    // The watch begins with the first page, a moment after its socket opened.
    let started = Instant::now();
    while !hears_within(&mut page, Duration::from_millis(300)) {
        assert!(started.elapsed() < patience, "never told");
        std::fs::write(root.join("index.html"), "<body>two</body>").unwrap();
    }
    while hears_within(&mut page, Duration::from_millis(400)) {}
    std::fs::create_dir(root.join("new")).unwrap();
    assert!(hears_within(&mut page, patience));
    std::fs::write(root.join("new/a.html"), "x").unwrap();
    assert!(hears_within(&mut page, patience), "a new folder is watched");
    std::fs::write(root.join(".note"), "x").unwrap();
    assert!(!hears_within(&mut page, Duration::from_millis(500)));
    // An editor's way: another file, moved over.
    std::fs::write(root.join(".tmp"), "x").unwrap();
    std::fs::rename(root.join(".tmp"), root.join("data.json")).unwrap();
    assert!(hears_within(&mut page, patience));
    drop(page);
    assert!(get(&gateway, "/health").starts_with("HTTP/1.1 200"));
}

#[test]
fn pages_without_live_reload_are_left_as_they_are() {
    let (gateway, _) = with_canvas(json!({"liveReload": false}));
    assert_eq!(
        body(&get(&gateway, &format!("{BASE}/"))),
        "<body>one</body>"
    );
    let plain = get(&gateway, "/__openclaw__/ws");
    assert_eq!((status(&plain), body(&plain)), ("404", "not found"));
    let upgrade = "GET /__openclaw__/ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n\
                   Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    assert_eq!(status(&exchange(connect(&gateway), upgrade)), "404");
}

#[test]
fn clients_are_told_where_the_canvas_is() {
    let (gateway, _) = with_canvas(json!({}));
    let ws = gateway.connect();
    assert_eq!(
        ws.hello["canvasHostUrl"],
        format!("http://127.0.0.1:{}", gateway.port())
    );
    let (gateway, _) = with_canvas(json!({"enabled": false}));
    assert!(gateway.connect().hello.get("canvasHostUrl").is_none());
    assert!(!get(&gateway, &format!("{BASE}/")).contains("<body>one"));
}

#[test]
fn the_canvas_can_have_a_port_of_its_own_that_serves_nothing_else() {
    let port = free_port();
    let (gateway, root) = with_canvas(json!({"port": port}));
    let ask = |path: &str| {
        let tcp = TcpStream::connect(("127.0.0.1", port)).unwrap();
        exchange(
            tcp,
            &format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        )
    };
    assert!(ask(&format!("{BASE}/")).contains("<body>one"));
    for path in [
        "/",
        "/health",
        "/chat",
        "/metrics",
        "/v1/models",
        "/avatar/main",
    ] {
        assert_eq!(status(&ask(path)), "404", "{path}");
    }
    let mut page = page_socket(port);
    let started = Instant::now();
    while !hears_within(&mut page, Duration::from_millis(300)) {
        assert!(started.elapsed() < Duration::from_secs(10), "never told");
        std::fs::write(root.join("index.html"), "<body>two</body>").unwrap();
    }
    // It is the gateway's protocol on no path of this port.
    let tcp = TcpStream::connect(("127.0.0.1", port)).unwrap();
    assert!(tungstenite::client(format!("ws://127.0.0.1:{port}/"), tcp).is_err());
    gateway.restart_core();
    assert!(ask(&format!("{BASE}/")).contains("<body>two"));
}
