//! For the tests of kinds: a service of ours over HTTP and WebSocket on one port, and ears that
//! remember what they were told.

use super::kind::{Account, Ears};
use crate::wire::channel::{Event, Inbound, Level, Status};
use crossbeam_channel::{Receiver, Sender, unbounded};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tungstenite::{Message, WebSocket};

/// Generous: a loaded machine is slow, and a test that waits so long has failed.
pub const PATIENCE: Duration = Duration::from_secs(20);

pub struct Asked {
    /// `GET /path?query`.
    pub what: String,
    pub head: String,
    pub text: String,
}

impl Asked {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_default()
    }
}

/// The status and the body of an answer; a status of 1 closes the connection without one.
pub type Answer = (u16, String);

pub struct Service {
    pub base: String,
    asked: Receiver<Asked>,
    /// WebSockets, as they are opened.
    pub sockets: Receiver<WebSocket<TcpStream>>,
}

impl Service {
    pub fn open(answer: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Service {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let (tell, asked) = unbounded();
        let (open, sockets) = unbounded();
        let answer = Arc::new(answer);
        // Ends with the process of the tests.
        std::thread::spawn(move || {
            for tcp in listener.incoming().flatten() {
                let (tell, open, answer) = (tell.clone(), open.clone(), answer.clone());
                std::thread::spawn(move || serve(tcp, &tell, &open, &*answer));
            }
        });
        Service {
            base,
            asked,
            sockets,
        }
    }

    /// The next request that begins so; those before it are forgotten.
    pub fn wait(&self, what: &str) -> Asked {
        loop {
            let asked = self.asked.recv_timeout(PATIENCE);
            let asked = asked.unwrap_or_else(|_| panic!("nobody asked for {what}"));
            if asked.what.starts_with(what) {
                return asked;
            }
        }
    }

    pub fn socket(&self) -> WebSocket<TcpStream> {
        self.sockets.recv_timeout(PATIENCE).expect("a WebSocket")
    }
}

fn serve(
    tcp: TcpStream,
    tell: &Sender<Asked>,
    open: &Sender<WebSocket<TcpStream>>,
    answer: &dyn Fn(&Asked) -> Answer,
) {
    let mut head = vec![0; 4096];
    let upgrade = tcp.peek(&mut head).is_ok_and(|n| {
        let head = String::from_utf8_lossy(&head[..n]).to_ascii_lowercase();
        head.contains("upgrade: websocket")
    });
    if upgrade {
        if let Ok(socket) = tungstenite::accept(tcp) {
            let _ = open.send(socket);
        }
        return;
    }
    let mut reader = BufReader::new(tcp.try_clone().unwrap());
    let mut writer = tcp;
    while let Some(asked) = read(&mut reader) {
        let (status, body) = answer(&asked);
        let _ = tell.send(asked);
        if status == 1 {
            return;
        }
        let length = body.len();
        let head = format!("HTTP/1.1 {status} X\r\nContent-Length: {length}\r\n\r\n{body}");
        if writer.write_all(head.as_bytes()).is_err() {
            return;
        }
    }
}

fn read(reader: &mut BufReader<TcpStream>) -> Option<Asked> {
    let mut head = String::new();
    let mut length = 0;
    while !head.ends_with("\r\n\r\n") {
        let at = head.len();
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
        let line = head[at..].to_ascii_lowercase();
        if let Some(n) = line.strip_prefix("content-length:") {
            length = n.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let mut words = head.split(' ');
    let what = format!("{} {}", words.next()?, words.next()?);
    Some(Asked {
        what,
        head,
        text: String::from_utf8_lossy(&body).into_owned(),
    })
}

/// Says `value` on a WebSocket of the service.
pub fn say(socket: &mut WebSocket<TcpStream>, value: &Value) {
    socket.send(Message::text(value.to_string())).unwrap();
}

/// The next JSON the kind says.
pub fn heard(socket: &mut WebSocket<TcpStream>) -> Value {
    loop {
        if let Message::Text(text) = socket.read().expect("something is said") {
            return serde_json::from_str(&text).expect("JSON");
        }
    }
}

/// Stops the account also when the test fails, so that it ends.
pub struct Stop<'a>(pub &'a dyn Account);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.stop();
    }
}

pub struct Listening {
    pub inbound: Receiver<Inbound>,
    pub events: Receiver<Event>,
    pub statuses: Receiver<Status>,
    pub ears: TestEars,
}

pub struct TestEars {
    inbound: Sender<Inbound>,
    events: Sender<Event>,
    statuses: Sender<Status>,
    settled: Mutex<Value>,
}

impl Listening {
    pub fn new(cursor: Value) -> Listening {
        let (tell_inbound, inbound) = unbounded();
        let (tell_event, events) = unbounded();
        let (tell_status, statuses) = unbounded();
        Listening {
            inbound,
            events,
            statuses,
            ears: TestEars {
                inbound: tell_inbound,
                events: tell_event,
                statuses: tell_status,
                settled: Mutex::new(cursor),
            },
        }
    }

    pub fn message(&self) -> Inbound {
        self.inbound.recv_timeout(PATIENCE).expect("a message")
    }

    pub fn event(&self) -> Event {
        self.events.recv_timeout(PATIENCE).expect("an event")
    }

    /// The next status that says whether we are connected.
    pub fn connected(&self) -> Status {
        loop {
            let status = self.statuses.recv_timeout(PATIENCE).expect("a status");
            if status.connected.is_some() {
                return status;
            }
        }
    }
}

impl Ears for TestEars {
    fn inbound(&self, message: Inbound) {
        if let Some(cursor) = &message.cursor {
            *self.settled.lock().unwrap() = cursor.clone();
        }
        let _ = self.inbound.send(message);
    }

    fn event(&self, event: Event) {
        if let Some(cursor) = &event.cursor {
            *self.settled.lock().unwrap() = cursor.clone();
        }
        let _ = self.events.send(event);
    }

    fn cursor(&self, cursor: Value) {
        *self.settled.lock().unwrap() = cursor;
    }

    fn settled(&self) -> Value {
        self.settled.lock().unwrap().clone()
    }

    fn status(&self, status: Status) {
        let _ = self.statuses.send(status);
    }

    fn log(&self, _level: Level, _text: &str) {}

    /// Nothing is waited for in a test: what is tried again is tried at once.
    fn wait(&self, _time: Duration) -> bool {
        std::thread::yield_now();
        false
    }
}
