//! The crowd: 200 clients, each 20 requests a second and all events, while turns are running.
//!
//! The clients are sockets on two threads that write frames made beforehand and look at no more of
//! an answer than its id: what is measured is the gateway's, not theirs.

use crate::harness::{Gateway, model::Reply, proc};
use crate::report::{Report, mib};
use openclaw::base::sys::poll::{For, Poll};
use serde_json::{Value, json};
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const CLIENTS: usize = 200;
const THREADS: usize = 2;
/// 20 requests a second of each.
const PAUSE: Duration = Duration::from_millis(50);
/// What is still on its way after the last request.
const LINGER: Duration = Duration::from_secs(3);
/// What they ask in turn: from memory, from the index, from a transcript.
const REQUESTS: [&str; 5] = [
    r#""method":"health""#,
    r#""method":"last-heartbeat""#,
    r#""method":"sessions.list","params":{"limit":10}"#,
    r#""method":"agents.list","params":{}"#,
    r#""method":"chat.history","params":{"sessionKey":"agent:main:talk","limit":20}"#,
];

pub fn rows(report: &Report) {
    // A minute of full load is no part of the usual run.
    let Some(seconds) = report.load else {
        return;
    };
    let gateway = Gateway::with_fake_model();
    let pieces = vec!["word ".to_string(); 20];
    let talk = Reply::Text(pieces, Duration::from_millis(20));
    gateway.model().otherwise(talk);
    let core = gateway.core_pid();
    let mut clients: Vec<Client> = (0..CLIENTS)
        .map(|at| Client::connect(&gateway, at))
        .collect();
    let over = AtomicBool::new(false);
    let mut peak = 0;
    std::thread::scope(|scope| {
        scope.spawn(|| turns(&gateway, &over));
        let until = Instant::now() + Duration::from_secs(seconds);
        let crowd: Vec<_> = clients
            .chunks_mut(CLIENTS.div_ceil(THREADS))
            .map(|share| scope.spawn(move || drive(share, until)))
            .collect();
        while !crowd.iter().all(|thread| thread.is_finished()) {
            peak = peak.max(proc::memory(core, "Pss"));
            std::thread::sleep(Duration::from_millis(500));
        }
        over.store(true, Ordering::Relaxed);
    });
    report.row(
        "200 clients, 20 requests a second and all events each: lost, p50 · p99 · worst, core PSS",
        "0, p99 ≤ 20 ms, ≤ 16 MiB",
        verdict(&clients, seconds, peak),
    );
}

fn verdict(clients: &[Client], seconds: u64, peak: u64) -> String {
    let sum = |of: fn(&Client) -> usize| clients.iter().map(of).sum::<usize>();
    let closed = clients.iter().filter(|client| client.closed).count();
    let unanswered = sum(|client| client.sent - client.times.len());
    let mut times: Vec<f64> = clients
        .iter()
        .flat_map(|c| c.times.iter().copied())
        .collect();
    times.sort_by(f64::total_cmp);
    let at = |share: f64| {
        let at = (times.len() as f64 * share) as usize;
        times
            .get(at.min(times.len().saturating_sub(1)))
            .copied()
            .unwrap_or(f64::NAN)
    };
    format!(
        "{} of {} answers, {} of {} events, {closed} clients in {seconds} s; {:.1} · {:.1} · {:.1} ms, {:.1} MiB",
        unanswered,
        sum(|client| client.sent),
        sum(|client| client.missed),
        sum(|client| client.events),
        at(0.5),
        at(0.99),
        at(1.0),
        mib(peak),
    )
}

/// One turn after another, so that there are events.
fn turns(gateway: &Gateway, over: &AtomicBool) {
    let mut ws = gateway.connect();
    let mut turn = 0;
    while !over.load(Ordering::Relaxed) {
        turn += 1;
        ws.send(
            "chat.send",
            json!({
                "sessionKey": "agent:main:talk", "message": "go on",
                "idempotencyKey": format!("load-{turn}"),
            }),
        );
        let ended = |event: &Value| event["payload"]["state"] == "final";
        while !over.load(Ordering::Relaxed) {
            if ws.events_within(PAUSE).iter().any(ended) {
                break;
            }
        }
    }
}

/// Sends every client's requests when they are due and reads what comes, until all is answered.
fn drive(clients: &mut [Client], until: Instant) {
    let started = Instant::now();
    let count = clients.len() as u32;
    let mut next = 0u32;
    loop {
        let now = Instant::now();
        // Evenly over the pause, not all at once.
        while now < until && started + PAUSE * next / count <= now {
            clients[(next % count) as usize].send();
            next += 1;
        }
        let answered = clients.iter().all(|c| c.closed || c.sent == c.times.len());
        if now >= until && (answered || now >= until + LINGER) {
            return;
        }
        let ready: Vec<usize> = {
            let mut poll = Poll::new();
            let open: Vec<usize> = (0..clients.len())
                .filter(|at| !clients[*at].closed)
                .collect();
            for at in &open {
                poll.add(clients[*at].stream.as_fd(), For::Reading);
            }
            let wait = Some(Duration::from_millis(1));
            poll.wait(wait).expect("descriptors can be waited for");
            let places = open.into_iter().enumerate();
            places
                .filter(|(place, _)| poll.ready(*place))
                .map(|(_, at)| at)
                .collect()
        };
        for at in ready {
            clients[at].receive();
        }
    }
}

struct Client {
    stream: TcpStream,
    input: Vec<u8>,
    /// When each request went out, by its number.
    sent_at: Vec<Instant>,
    sent: usize,
    /// Milliseconds to each answer.
    times: Vec<f64>,
    events: usize,
    missed: usize,
    seq: Option<u64>,
    closed: bool,
    /// Clients start at different places of `REQUESTS`.
    offset: usize,
}

impl Client {
    fn connect(gateway: &Gateway, offset: usize) -> Client {
        let mut stream = TcpStream::connect(("127.0.0.1", gateway.port())).expect("it listens");
        stream.set_nodelay(true).expect("a TCP option");
        let upgrade = "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n\
            Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
            Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        stream.write_all(upgrade.as_bytes()).expect("sent");
        let params = json!({
            "minProtocol": 3, "maxProtocol": 3,
            "client": {"id": "test", "version": "1", "platform": "linux", "mode": "test"},
            "auth": {"token": gateway.token()},
        });
        let connect = json!({"type": "req", "id": "c", "method": "connect", "params": params});
        stream
            .write_all(&masked(&connect.to_string()))
            .expect("sent");
        let mut client = Client {
            stream,
            input: Vec::new(),
            sent_at: Vec::new(),
            sent: 0,
            times: Vec::new(),
            events: 0,
            missed: 0,
            seq: None,
            closed: false,
            offset,
        };
        client.welcome();
        client
            .stream
            .set_nonblocking(true)
            .expect("a socket option");
        client
    }

    /// Reads past the upgrade and up to the hello.
    fn welcome(&mut self) {
        let mut buffer = [0; 4096];
        let mut upgraded = false;
        loop {
            let n = self.stream.read(&mut buffer).expect("an answer");
            assert!(n > 0, "the gateway closed");
            self.input.extend_from_slice(&buffer[..n]);
            if !upgraded {
                let Some(at) = self.input.windows(4).position(|w| w == b"\r\n\r\n") else {
                    continue;
                };
                self.input.drain(..at + 4);
                upgraded = true;
            }
            while let Some(text) = self.frame() {
                if text.starts_with(b"{\"type\":\"res\"") {
                    assert!(contains(&text, b"\"ok\":true"), "refused");
                    return;
                }
            }
        }
    }

    fn send(&mut self) {
        if self.closed {
            return;
        }
        let what = REQUESTS[(self.offset + self.sent) % REQUESTS.len()];
        let frame = masked(&format!(r#"{{"type":"req","id":"{}",{what}}}"#, self.sent));
        self.sent_at.push(Instant::now());
        self.sent += 1;
        // A request is far smaller than a socket's buffer: when it is full, the client is lost.
        if self.stream.write(&frame).ok() != Some(frame.len()) {
            self.closed = true;
        }
    }

    fn receive(&mut self) {
        let mut buffer = [0; 64 * 1024];
        match self.stream.read(&mut buffer) {
            Ok(0) => self.closed = true,
            Ok(n) => self.input.extend_from_slice(&buffer[..n]),
            Err(err) if err.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => self.closed = true,
        }
        while let Some(text) = self.frame() {
            match number_after(&text, b"{\"type\":\"res\",\"id\":\"") {
                Some(id) => {
                    let took = self.sent_at[id as usize].elapsed();
                    self.times.push(took.as_secs_f64() * 1e3);
                }
                None => self.event(&text),
            }
        }
    }

    fn event(&mut self, text: &[u8]) {
        // The frame's own number comes after its payload.
        let last = text.windows(6).rposition(|w| w == b"\"seq\":");
        let Some(seq) = last.and_then(|at| number_after(&text[at..], b"\"seq\":")) else {
            return;
        };
        self.events += 1;
        if let Some(before) = self.seq.replace(seq) {
            self.missed += (seq - before).saturating_sub(1) as usize;
        }
    }

    /// The next whole frame's payload; a close marks the client.
    fn frame(&mut self) -> Option<Vec<u8>> {
        let (length, header) = match *self.input.get(1)? {
            126 => (
                u16::from_be_bytes(self.input.get(2..4)?.try_into().ok()?) as usize,
                4,
            ),
            127 => (
                u64::from_be_bytes(self.input.get(2..10)?.try_into().ok()?) as usize,
                10,
            ),
            short => (short as usize, 2),
        };
        if self.input.len() < header + length {
            return None;
        }
        self.closed |= self.input[0] & 0x0f == 8;
        let payload = self.input[header..header + length].to_vec();
        self.input.drain(..header + length);
        Some(payload)
    }
}

/// A client's text frame. The mask is zero, which leaves the text as it is.
fn masked(text: &str) -> Vec<u8> {
    let mut frame = vec![0x81];
    match text.len() {
        n @ 0..=125 => frame.push(0x80 | n as u8),
        n => {
            frame.push(0x80 | 126);
            frame.extend_from_slice(&(n as u16).to_be_bytes());
        }
    }
    frame.extend_from_slice(&[0; 4]);
    frame.extend_from_slice(text.as_bytes());
    frame
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

/// The number that follows `start` at the beginning of `text`.
fn number_after(text: &[u8], start: &[u8]) -> Option<u64> {
    let rest = text.strip_prefix(start)?;
    let digits = rest.iter().take_while(|b| b.is_ascii_digit());
    let number = digits.fold(0u64, |n, b| n.wrapping_mul(10) + u64::from(b - b'0'));
    rest.first()?.is_ascii_digit().then_some(number)
}
