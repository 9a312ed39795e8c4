//! A client of the gateway's WebSocket that shares no code with ours but the frame library.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{Ed25519KeyPair, KeyPair};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tungstenite::protocol::CloseFrame;
use tungstenite::{Message, WebSocket};

const PATIENCE: Duration = Duration::from_secs(20);

/// A device key.
pub struct Device {
    key: Ed25519KeyPair,
}

impl Device {
    pub fn new() -> Device {
        let seed: [u8; 32] = openclaw::base::id::random();
        Device {
            key: Ed25519KeyPair::from_seed_unchecked(&seed).expect("32 bytes"),
        }
    }

    pub fn public_key(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.key.public_key().as_ref())
    }

    pub fn id(&self) -> String {
        openclaw::base::hex::sha256(self.key.public_key().as_ref())
    }

    pub fn sign(&self, payload: &str) -> String {
        URL_SAFE_NO_PAD.encode(self.key.sign(payload.as_bytes()).as_ref())
    }
}

impl Default for Device {
    fn default() -> Device {
        Device::new()
    }
}

pub struct Ws {
    socket: WebSocket<Wire>,
    events: VecDeque<Value>,
    responses: VecDeque<Value>,
    next_id: u64,
    pub nonce: String,
    pub hello: Value,
}

/// What is below the frames.
pub enum Wire {
    Tcp(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Wire {
    pub fn tcp(&self) -> &TcpStream {
        match self {
            Wire::Tcp(tcp) => tcp,
            Wire::Tls(tls) => tls.get_ref(),
        }
    }
}

impl Read for Wire {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            Wire::Tcp(tcp) => tcp.read(buf),
            Wire::Tls(tls) => tls.read(buf),
        }
    }
}

impl Write for Wire {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match self {
            Wire::Tcp(tcp) => tcp.write(buf),
            Wire::Tls(tls) => tls.write(buf),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Wire::Tcp(tcp) => tcp.flush(),
            Wire::Tls(tls) => tls.flush(),
        }
    }
}

/// How a connection ended.
#[derive(Debug, PartialEq, Eq)]
pub struct Closed {
    /// `None` when the socket just ended.
    pub code: Option<u16>,
    pub reason: String,
}

impl Ws {
    /// Connected, challenge received, nothing sent.
    pub fn open(port: u16) -> Ws {
        Ws::open_with(port, &[])
    }

    pub fn open_with(port: u16, headers: &[(&str, &str)]) -> Ws {
        Ws::over(Wire::Tcp(Ws::dial(port)), port, headers)
    }

    /// Over TLS, trusting the certificate in `pem` alone.
    pub fn open_tls(port: u16, pem: &Path) -> Ws {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_file_iter(pem).expect("a certificate") {
            roots.add(certificate.expect("PEM")).expect("usable");
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = "localhost".try_into().expect("a name");
        let tls = ClientConnection::new(Arc::new(config), name).expect("a client");
        let wire = Wire::Tls(Box::new(StreamOwned::new(tls, Ws::dial(port))));
        Ws::over(wire, port, &[])
    }

    fn dial(port: u16) -> TcpStream {
        let stream = TcpStream::connect(("127.0.0.1", port)).expect("the gateway listens");
        stream.set_nodelay(true).expect("a TCP option");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream
    }

    /// `headers` may replace the Host that says where we went.
    fn over(stream: Wire, port: u16, headers: &[(&str, &str)]) -> Ws {
        let mut request = tungstenite::client::IntoClientRequest::into_client_request(format!(
            "ws://127.0.0.1:{port}/"
        ))
        .expect("a URL");
        for (name, value) in headers {
            let name = tungstenite::http::HeaderName::from_bytes(name.as_bytes()).expect("a name");
            request
                .headers_mut()
                .insert(name, value.parse().expect("a value"));
        }
        let (socket, _) = tungstenite::client(request, stream).expect("the upgrade succeeds");
        let mut ws = Ws {
            socket,
            events: VecDeque::new(),
            responses: VecDeque::new(),
            next_id: 0,
            nonce: String::new(),
            hello: Value::Null,
        };
        let challenge = ws.event("connect.challenge");
        ws.nonce = challenge["payload"]["nonce"]
            .as_str()
            .expect("a nonce")
            .into();
        ws
    }

    /// An operator without a device: the shared token is proof enough.
    pub fn operator(port: u16, token: &str) -> Ws {
        let mut ws = Ws::open(port);
        ws.hello(&ws.params(token)).expect("the gateway accepts");
        ws
    }

    /// Connect params of a test client with a token.
    pub fn params(&self, token: &str) -> Value {
        json!({
            "minProtocol": 3, "maxProtocol": 3,
            "client": {"id": "test", "version": "1", "platform": "linux", "mode": "test"},
            "role": "operator",
            "scopes": ["operator.admin", "operator.approvals", "operator.pairing"],
            "caps": ["tool-events"],
            "auth": {"token": token},
        })
    }

    /// `params` with `device` signing them.
    pub fn signed(&self, mut params: Value, device: &Device) -> Value {
        let signed_at = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .expect("after 1970")
            .as_millis() as u64;
        let scopes: Vec<&str> = params["scopes"]
            .as_array()
            .map(|list| list.iter().filter_map(Value::as_str).collect())
            .unwrap_or_default();
        let payload = [
            "v2",
            &device.id(),
            params["client"]["id"].as_str().unwrap_or_default(),
            params["client"]["mode"].as_str().unwrap_or_default(),
            params["role"].as_str().unwrap_or_default(),
            &scopes.join(","),
            &signed_at.to_string(),
            params["auth"]["token"].as_str().unwrap_or_default(),
            &self.nonce,
        ]
        .join("|");
        params["device"] = json!({
            "id": device.id(), "publicKey": device.public_key(),
            "signature": device.sign(&payload), "signedAt": signed_at, "nonce": self.nonce,
        });
        params
    }

    /// Sends `connect`; the hello, or the error and how the connection ended.
    pub fn hello(&mut self, params: &Value) -> Result<Value, (Value, Closed)> {
        match self.call("connect", params.clone()) {
            Ok(hello) => {
                self.hello = hello.clone();
                Ok(hello)
            }
            Err(error) => {
                let closed = self.closed();
                Err((error, closed))
            }
        }
    }

    /// One request and its first answer: payload, or the error object.
    pub fn call(&mut self, method: &str, params: Value) -> Result<Value, Value> {
        let id = self.send(method, params);
        let mut answer = self.response(&id);
        match answer["ok"] == true {
            true => Ok(answer["payload"].take()),
            false => Err(answer["error"].take()),
        }
    }

    /// Sends a request and returns its id.
    pub fn send(&mut self, method: &str, params: Value) -> String {
        self.next_id += 1;
        let id = format!("t{}", self.next_id);
        let frame = json!({"type": "req", "id": id, "method": method, "params": params});
        self.send_text(&frame.to_string());
        id
    }

    pub fn send_text(&mut self, text: &str) {
        self.socket
            .send(Message::text(text))
            .expect("the gateway takes the frame");
    }

    /// The next whole response frame for `id`.
    pub fn response(&mut self, id: &str) -> Value {
        let started = Instant::now();
        loop {
            if let Some(at) = self.responses.iter().position(|r| r["id"] == id) {
                return self.responses.remove(at).expect("it is there");
            }
            assert!(started.elapsed() < PATIENCE, "no answer to {id}");
            if let Err(closed) = self.read() {
                panic!("closed while waiting for {id}: {closed:?}");
            }
        }
    }

    /// The next event called `name`; others before it are dropped.
    pub fn event(&mut self, name: &str) -> Value {
        self.event_where(name, |_| true)
    }

    /// The next event called `name` whose payload satisfies `wanted`.
    pub fn event_where(&mut self, name: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let started = Instant::now();
        loop {
            while let Some(event) = self.events.pop_front() {
                if event["event"] == name && wanted(&event["payload"]) {
                    return event;
                }
            }
            assert!(started.elapsed() < PATIENCE, "no event {name}");
            if let Err(closed) = self.read() {
                panic!("closed while waiting for {name}: {closed:?}");
            }
        }
    }

    /// The next event with one of these names.
    pub fn event_any(&mut self, names: &[&str]) -> Value {
        let started = Instant::now();
        loop {
            while let Some(event) = self.events.pop_front() {
                if names.iter().any(|name| event["event"] == *name) {
                    return event;
                }
            }
            assert!(started.elapsed() < PATIENCE, "no event of {names:?}");
            if let Err(closed) = self.read() {
                panic!("closed while waiting for {names:?}: {closed:?}");
            }
        }
    }

    /// Events that have arrived and were not asked for, and what arrives within `wait`.
    pub fn events_within(&mut self, wait: Duration) -> Vec<Value> {
        let started = Instant::now();
        while let Some(left) = wait.checked_sub(started.elapsed()).filter(|d| !d.is_zero()) {
            self.timeout(Some(left));
            let more = self.read_some();
            if !matches!(more, Ok(true)) {
                break;
            }
        }
        self.timeout(Some(PATIENCE));
        self.events.drain(..).collect()
    }

    /// Every frame not looked at yet and what arrives until the connection ends.
    pub fn rest(&mut self) -> Vec<Value> {
        while self.read().is_ok() {}
        self.responses
            .drain(..)
            .chain(self.events.drain(..))
            .collect()
    }

    /// Every frame not looked at yet and what arrives within `wait`.
    pub fn rest_within(&mut self, wait: Duration) -> Vec<Value> {
        let events = self.events_within(wait);
        self.responses.drain(..).chain(events).collect()
    }

    /// Reads until the connection ends.
    pub fn closed(&mut self) -> Closed {
        loop {
            if let Err(closed) = self.read() {
                return closed;
            }
        }
    }

    pub fn socket(&mut self) -> &mut WebSocket<Wire> {
        &mut self.socket
    }

    fn timeout(&mut self, timeout: Option<Duration>) {
        let stream = self.socket.get_ref().tcp();
        stream.set_read_timeout(timeout).expect("a timeout");
    }

    fn read(&mut self) -> Result<(), Closed> {
        match self.read_some() {
            Ok(true) => Ok(()),
            Ok(false) => panic!("nothing arrived within {PATIENCE:?}"),
            Err(closed) => Err(closed),
        }
    }

    /// `Ok(false)`: the read timed out.
    fn read_some(&mut self) -> Result<bool, Closed> {
        match self.socket.read() {
            Ok(Message::Text(text)) => {
                let frame: Value = serde_json::from_str(&text).expect("frames are JSON");
                match frame["type"].as_str() {
                    Some("event") => self.events.push_back(frame),
                    _ => self.responses.push_back(frame),
                }
                Ok(true)
            }
            Ok(Message::Close(frame)) => Err(Closed::of(frame.as_ref())),
            Ok(_) => Ok(true),
            Err(tungstenite::Error::Io(err))
                if matches!(
                    err.kind(),
                    std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
                ) =>
            {
                Ok(false)
            }
            Err(_) => Err(Closed::of(None)),
        }
    }
}

impl Closed {
    fn of(frame: Option<&CloseFrame>) -> Closed {
        Closed {
            code: frame.map(|frame| frame.code.into()),
            reason: frame
                .map(|frame| frame.reason.to_string())
                .unwrap_or_default(),
        }
    }
}
