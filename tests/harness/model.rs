//! A scripted model: OpenAI chat completions over HTTP on loopback. It stands beside the real local
//! model for what that one will not do on command: stall, fail, call tools, hang up.

use serde_json::{Value, json};
use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(20);

/// One answer.
#[derive(Clone, Debug)]
pub enum Reply {
    /// Text in pieces, with a pause before each.
    Text(Vec<String>, Duration),
    /// Tool calls: name and arguments.
    Tools(Vec<(String, Value)>),
    /// Text first, then tool calls.
    TextAndTools(String, Vec<(String, Value)>),
    /// An HTTP error with a JSON body.
    Error(u16, Value),
    /// Accepts and never answers.
    Hang,
    /// What this function makes of the request.
    By(fn(&Value) -> Reply),
    /// Starts an answer and ends the connection.
    HangUp(String),
}

#[derive(Default)]
struct State {
    script: VecDeque<Reply>,
    otherwise: Option<Reply>,
    requests: Vec<Value>,
    /// When the peer was seen to close a connection that still had an answer coming.
    hung_up: Vec<Instant>,
    /// Time from a request's arrival to the end of its answer: the model's share of each turn.
    spent: Duration,
}

#[derive(Clone)]
pub struct FakeModel {
    port: u16,
    state: Arc<(Mutex<State>, Condvar)>,
}

/// The last user message of a model request.
pub fn asked(request: &Value) -> String {
    let messages = request["messages"].as_array().expect("messages");
    let user = messages.iter().rev().find(|m| m["role"] == "user");
    let content = &user.expect("a user message")["content"];
    match content.as_str() {
        Some(text) => text.into(),
        None => content[0]["text"].as_str().expect("text").into(),
    }
}

impl FakeModel {
    /// Answers `Hello from the fake model.` until told otherwise.
    pub fn start() -> FakeModel {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let model = FakeModel {
            port,
            state: Arc::default(),
        };
        let hello = ["Hello ", "from ", "the ", "fake ", "model."].map(String::from);
        model.lock().otherwise = Some(Reply::Text(hello.to_vec(), Duration::ZERO));
        let shared = model.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let model = shared.clone();
                std::thread::spawn(move || model.serve(stream));
            }
        });
        model
    }

    pub fn base_url(&self) -> String {
        format!("http://127.0.0.1:{}/v1", self.port)
    }

    /// Queues an answer for a coming request.
    pub fn reply(&self, reply: Reply) {
        self.lock().script.push_back(reply);
    }

    /// What every request gets when no answer is queued.
    pub fn otherwise(&self, reply: Reply) {
        self.lock().otherwise = Some(reply);
    }

    pub fn say(&self, pieces: &[&str]) {
        self.say_slowly(pieces, 0);
    }

    pub fn say_slowly(&self, pieces: &[&str], pause_ms: u64) {
        let pieces = pieces.iter().map(|piece| piece.to_string()).collect();
        self.reply(Reply::Text(pieces, Duration::from_millis(pause_ms)));
    }

    /// Every request body so far.
    pub fn requests(&self) -> Vec<Value> {
        self.lock().requests.clone()
    }

    /// Waits for the `n`th request.
    pub fn wait_request(&self, n: usize) -> Value {
        let state = self.wait("a request", |state| state.requests.len() >= n);
        state.requests[n - 1].clone()
    }

    /// Waits until the peer closes a connection before its answer was whole; when it did.
    pub fn wait_hung_up(&self) -> Instant {
        let state = self.wait("a hang-up", |state| !state.hung_up.is_empty());
        state.hung_up[0]
    }

    pub fn spent(&self) -> Duration {
        self.lock().spent
    }

    /// Drops what was recorded, keeps the script.
    pub fn forget(&self) {
        let mut state = self.lock();
        state.requests.clear();
        state.hung_up.clear();
        state.spent = Duration::ZERO;
    }

    fn wait(&self, what: &str, ready: impl Fn(&State) -> bool) -> MutexGuard<'_, State> {
        let (_, changed) = &*self.state;
        let (guard, result) = changed
            .wait_timeout_while(self.lock(), PATIENCE, |state| !ready(state))
            .expect("no panic");
        assert!(
            !result.timed_out(),
            "{what} did not come within {PATIENCE:?}"
        );
        guard
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.0.lock().expect("no panic")
    }

    fn serve(&self, stream: TcpStream) {
        stream.set_nodelay(true).expect("a TCP option");
        let mut reader = BufReader::new(stream.try_clone().expect("a second handle"));
        let mut writer = stream;
        while let Some((arrived, body)) = read_request(&mut reader) {
            let reply = {
                let mut state = self.lock();
                let scripted = state.script.pop_front();
                let reply = match scripted.or_else(|| state.otherwise.clone()) {
                    Some(Reply::By(make)) => Some(make(&body)),
                    reply => reply,
                };
                state.requests.push(body);
                reply
            };
            self.state.1.notify_all();
            let reply = reply.expect("there is a default");
            let whole = answer(&mut writer, &reply);
            // The pauses of `answer` left a timeout on the socket that the reader shares.
            writer.set_read_timeout(None).expect("a TCP option");
            let mut state = self.lock();
            state.spent += arrived.elapsed();
            if !whole {
                state.hung_up.push(Instant::now());
                drop(state);
                self.state.1.notify_all();
                return;
            }
        }
    }
}

/// A request's body, and when its first byte came.
fn read_request(reader: &mut BufReader<TcpStream>) -> Option<(Instant, Value)> {
    if reader.fill_buf().ok()?.is_empty() {
        return None;
    }
    let arrived = Instant::now();
    let mut length = 0;
    let mut line = String::new();
    loop {
        line.clear();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let lower = line.to_ascii_lowercase();
        if let Some(n) = lower.strip_prefix("content-length:") {
            length = n.trim().parse().ok()?;
        }
        if line == "\r\n" {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((
        arrived,
        serde_json::from_slice(&body).unwrap_or(Value::Null),
    ))
}

/// False when the peer went away first.
fn answer(to: &mut TcpStream, reply: &Reply) -> bool {
    match reply {
        Reply::Error(status, body) => {
            let text = body.to_string();
            let head = format!(
                "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
                text.len()
            );
            to.write_all((head + &text).as_bytes()).is_ok()
        }
        // Made into another one before.
        Reply::By(_) => false,
        Reply::Hang => gone_within(to, PATIENCE * 10).is_none(),
        Reply::HangUp(text) => {
            let started = start(to) && event(to, &chunk(json!({"content": text}), None));
            let _ = to.shutdown(std::net::Shutdown::Both);
            started
        }
        Reply::Text(pieces, pause) => start(to) && text(to, pieces, *pause) && finish(to, "stop"),
        Reply::Tools(calls) => start(to) && tools(to, calls) && finish(to, "tool_calls"),
        Reply::TextAndTools(said, calls) => {
            start(to)
                && text(to, std::slice::from_ref(said), Duration::ZERO)
                && tools(to, calls)
                && finish(to, "tool_calls")
        }
    }
}

fn start(to: &mut TcpStream) -> bool {
    let head =
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    to.write_all(head.as_bytes()).is_ok()
        && event(
            to,
            &chunk(json!({"role": "assistant", "content": ""}), None),
        )
}

fn text(to: &mut TcpStream, pieces: &[String], pause: Duration) -> bool {
    pieces.iter().all(|piece| {
        (pause.is_zero() || gone_within(to, pause).is_none())
            && event(to, &chunk(json!({"content": piece}), None))
    })
}

fn tools(to: &mut TcpStream, calls: &[(String, Value)]) -> bool {
    calls.iter().enumerate().all(|(index, (name, arguments))| {
        let id = format!("call_{}_{index}", openclaw::base::id::short());
        let call = json!({"tool_calls": [{
            "index": index, "id": id, "type": "function",
            "function": {"name": name, "arguments": arguments.to_string()},
        }]});
        event(to, &chunk(call, None))
    })
}

fn finish(to: &mut TcpStream, reason: &str) -> bool {
    let mut last = chunk(json!({}), Some(reason));
    last["usage"] = json!({"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110});
    event(to, &last) && to.write_all(b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n").is_ok()
}

fn event(to: &mut TcpStream, value: &Value) -> bool {
    let data = format!("data: {value}\n\n");
    let framed = format!("{:x}\r\n{data}\r\n", data.len());
    to.write_all(framed.as_bytes()).is_ok()
}

fn chunk(delta: Value, finish: Option<&str>) -> Value {
    json!({
        "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "fake-1",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
    })
}

/// Waits `time`; `Some` as soon as the peer closes.
fn gone_within(stream: &TcpStream, time: Duration) -> Option<()> {
    let started = Instant::now();
    let mut byte = [0];
    loop {
        let left = time
            .checked_sub(started.elapsed())
            .filter(|d| !d.is_zero())?;
        stream.set_read_timeout(Some(left)).ok()?;
        match stream.peek(&mut byte) {
            Ok(0) => return Some(()),
            // A pipelined request: the peer is there.
            Ok(_) => std::thread::sleep(left.min(Duration::from_millis(5))),
            Err(err)
                if matches!(
                    err.kind(),
                    std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
                ) => {}
            Err(_) => return Some(()),
        }
    }
}
