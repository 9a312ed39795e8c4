//! Two hundred restarts of the core under a crowd of clients that connect all the time.

use crate::harness::Gateway;
use serde_json::json;
use std::collections::BTreeMap;
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tungstenite::{Error, Message};

const RESTARTS: u32 = 200;
const CLIENTS: usize = 20;
const PATIENCE: Duration = Duration::from_secs(20);

/// How far one connection came.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum End {
    Refused(String),
    /// Accepted by the kernel and dropped before the gateway said anything.
    CutBeforeChallenge(String),
    /// The gateway left while this client said who it is.
    CutInHandshake,
    /// Accepted, and left by itself.
    Served,
    /// Accepted, stayed, and told of the restart.
    Closed(u16),
    /// Accepted, stayed, and dropped without a close frame.
    Dropped,
}

fn connect(port: u16, token: &str, stays: bool) -> End {
    let tcp = match TcpStream::connect(("127.0.0.1", port)) {
        Ok(tcp) => tcp,
        Err(err) => return End::Refused(err.to_string()),
    };
    tcp.set_read_timeout(Some(PATIENCE)).unwrap();
    let cut = |err: String| End::CutBeforeChallenge(err);
    let mut socket = match tungstenite::client(format!("ws://127.0.0.1:{port}/"), tcp) {
        Ok((socket, _)) => socket,
        Err(err) => return cut(err.to_string()),
    };
    match socket.read() {
        Ok(Message::Text(text)) if text.contains("connect.challenge") => {}
        other => return cut(format!("{other:?}")),
    }
    let hello = json!({"type": "req", "id": "c", "method": "connect", "params": {
        "minProtocol": 3, "maxProtocol": 3,
        "client": {"id": "test", "version": "1", "platform": "linux", "mode": "test"},
        "auth": {"token": token},
    }});
    let _ = socket.send(Message::text(hello.to_string()));
    let mut accepted = false;
    loop {
        match socket.read() {
            Ok(Message::Text(text)) => {
                accepted |= text.contains("hello-ok");
                if accepted && !stays {
                    return End::Served;
                }
            }
            Ok(Message::Close(Some(frame))) if accepted => return End::Closed(frame.code.into()),
            Ok(Message::Close(_)) => return End::CutInHandshake,
            Ok(_) => {}
            Err(Error::Io(err)) if err.kind() == std::io::ErrorKind::WouldBlock => {
                panic!("a client was left waiting for {PATIENCE:?}, accepted: {accepted}")
            }
            Err(_) if accepted => return End::Dropped,
            Err(_) => return End::CutInHandshake,
        }
    }
}

#[test]
fn two_hundred_restarts_refuse_no_client_of_a_crowd() {
    let mut gateway = Gateway::start();
    let first = gateway.core_pid();
    let stop = Arc::new(AtomicBool::new(false));
    let ends: Arc<Mutex<BTreeMap<End, u32>>> = Arc::default();
    let clients: Vec<_> = (0..CLIENTS)
        .map(|i| {
            let (stop, ends) = (stop.clone(), ends.clone());
            let (port, token) = (gateway.port(), gateway.token());
            std::thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let end = connect(port, token, i % 2 == 0);
                    *ends.lock().unwrap().entry(end).or_default() += 1;
                }
            })
        })
        .collect();
    for _ in 0..RESTARTS {
        gateway.signal("USR1");
        gateway.wait_for("READY=1");
    }
    stop.store(true, Ordering::Relaxed);
    // Releases the clients that stay: also one that had looked before `stop` was set, and came to
    // the core that was meant to be the last.
    while clients.iter().any(|client| !client.is_finished()) {
        gateway.signal("USR1");
        gateway.wait_for("READY=1");
    }
    for client in clients {
        client.join().unwrap();
    }
    let ends = ends.lock().unwrap();
    eprintln!("{ends:?}");
    for (end, count) in &*ends {
        assert!(
            !matches!(
                end,
                End::Refused(_) | End::CutBeforeChallenge(_) | End::Dropped
            ),
            "{count} × {end:?}"
        );
    }
    assert!(ends.contains_key(&End::Served) && ends.contains_key(&End::Closed(1012)));
    assert_ne!(gateway.core_pid(), first);
    gateway.connect();
}
