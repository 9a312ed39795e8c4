//! The front from outside: a core in this process, clients on real sockets.

use super::core::{Core, tests::core};
use super::front;
use super::http::exchange::Door;
use crate::base::{hex, id, time::now_ms};
use crate::net::listen::{Accepting, Listener};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tungstenite::client::IntoClientRequest;
use tungstenite::{Error, Message, WebSocket};

struct Gateway {
    core: Arc<Core>,
    addr: SocketAddr,
    dir: PathBuf,
    _accepting: Accepting,
}

impl Gateway {
    fn start(config: &str) -> Gateway {
        let (core, dir) = core(config);
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = tcp.local_addr().unwrap();
        let unix = UnixListener::bind(dir.join("gateway.sock")).unwrap();
        let listeners = vec![Listener::Tcp(tcp), Listener::Unix(unix)];
        let accepting = front::serve(&core, listeners, Door::Gateway, None).unwrap();
        Gateway {
            core,
            addr,
            dir,
            _accepting: accepting,
        }
    }

    fn tcp(&self) -> TcpStream {
        let tcp = TcpStream::connect(self.addr).unwrap();
        tcp.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        tcp
    }

    /// Upgrades with extra headers; returns the socket and the challenge's nonce.
    fn open(&self, headers: &[(&'static str, &str)]) -> (Ws<TcpStream>, String) {
        open(self.tcp(), &format!("ws://{}/", self.addr), headers)
    }

    /// Sends one connect and returns the answer, if any, and the close code and reason, if any.
    fn refusal(&self, headers: &[(&'static str, &str)], frame: &Value) -> (Value, u16, String) {
        let (mut ws, _) = self.open(headers);
        ws.send(Message::text(frame.to_string())).unwrap();
        ending(&mut ws)
    }

    fn request(&self, text: &str) -> String {
        let mut tcp = self.tcp();
        tcp.write_all(text.as_bytes()).unwrap();
        let mut answer = Vec::new();
        tcp.read_to_end(&mut answer).unwrap();
        String::from_utf8(answer).unwrap()
    }

    fn get(&self, path: &str) -> String {
        self.request(&format!(
            "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        ))
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

type Ws<S> = WebSocket<S>;

fn open<S: Read + Write>(
    stream: S,
    url: &str,
    headers: &[(&'static str, &str)],
) -> (Ws<S>, String) {
    let mut request = url.into_client_request().unwrap();
    for (name, value) in headers {
        request.headers_mut().insert(*name, value.parse().unwrap());
    }
    let (mut ws, _) = tungstenite::client(request, stream)
        .map_err(|err| err.to_string())
        .unwrap();
    let challenge = next(&mut ws);
    assert_eq!(challenge["event"], "connect.challenge");
    assert!(challenge.get("seq").is_none());
    let nonce = challenge["payload"]["nonce"].as_str().unwrap().to_string();
    (ws, nonce)
}

/// The next frame that is not the gateway's word on its health, which comes when it likes.
fn next<S: Read + Write>(ws: &mut Ws<S>) -> Value {
    loop {
        match ws.read().unwrap() {
            Message::Text(text) => {
                let frame: Value = serde_json::from_str(&text).unwrap();
                if frame["event"] != "health" {
                    return frame;
                }
            }
            Message::Close(frame) => panic!("closed: {frame:?}"),
            _ => {}
        }
    }
}

fn ending<S: Read + Write>(ws: &mut Ws<S>) -> (Value, u16, String) {
    let mut answer = Value::Null;
    loop {
        match ws.read() {
            Ok(Message::Text(text)) => answer = serde_json::from_str(&text).unwrap(),
            Ok(Message::Close(Some(frame))) => {
                return (answer, frame.code.into(), frame.reason.to_string());
            }
            Ok(_) => {}
            Err(Error::ConnectionClosed) => return (answer, 0, String::new()),
            Err(err) => panic!("{err}"),
        }
    }
}

fn connect(params: Value) -> Value {
    json!({"type":"req","id":"c","method":"connect","params":params})
}

fn params(token: Option<&str>) -> Value {
    let mut params = json!({
        "minProtocol": 3, "maxProtocol": 3,
        "client": {"id":"test","version":"1","platform":"linux","mode":"test"},
    });
    if let Some(token) = token {
        params["auth"] = json!({"token": token});
    }
    params
}

/// A device key and the connect params it signs.
struct Key(Ed25519KeyPair);

impl Key {
    fn new() -> Key {
        Key(Ed25519KeyPair::from_seed_unchecked(&id::random::<32>()).unwrap())
    }

    fn id(&self) -> String {
        hex::sha256(self.0.public_key().as_ref())
    }

    fn sign(&self, mut params: Value, nonce: Option<&str>, at: u64) -> Value {
        let text = |v: &Value| v.as_str().unwrap_or_default().to_string();
        let scopes: Vec<String> = params["scopes"]
            .as_array()
            .into_iter()
            .flatten()
            .map(text)
            .collect();
        let role = params["role"].as_str().unwrap_or("operator").to_string();
        let mut payload = format!(
            "{}|{}|{}|{}|{role}|{}|{at}|{}",
            if nonce.is_some() { "v2" } else { "v1" },
            self.id(),
            text(&params["client"]["id"]),
            text(&params["client"]["mode"]),
            scopes.join(","),
            text(&params["auth"]["token"]),
        );
        if let Some(nonce) = nonce {
            payload = format!("{payload}|{nonce}");
        }
        params["device"] = json!({
            "id": self.id(),
            "publicKey": URL_SAFE_NO_PAD.encode(self.0.public_key()),
            "signature": URL_SAFE_NO_PAD.encode(self.0.sign(payload.as_bytes())),
            "signedAt": at,
        });
        if let Some(nonce) = nonce {
            params["device"]["nonce"] = json!(nonce);
        }
        params
    }
}

const REMOTE: [(&str, &str); 1] = [("x-forwarded-for", "192.0.2.7")];

#[test]
fn a_client_with_the_token_gets_a_whole_hello() {
    let gateway = Gateway::start("{}");
    let (mut ws, _) = gateway.open(&[]);
    ws.send(Message::text(connect(params(Some("tok"))).to_string()))
        .unwrap();
    let hello = next(&mut ws);
    assert_eq!(hello["id"], "c");
    assert_eq!(hello["ok"], true);
    let payload = &hello["payload"];
    assert_eq!(payload["type"], "hello-ok");
    assert_eq!(payload["protocol"], 3);
    assert_eq!(payload["features"]["methods"].as_array().unwrap().len(), 83);
    assert_eq!(payload["features"]["events"][0], "connect.challenge");
    assert_eq!(payload["snapshot"]["presence"][0]["reason"], "self");
    assert_eq!(payload["snapshot"]["presence"][1]["reason"], "connect");
    assert_eq!(
        payload["snapshot"]["stateVersion"],
        json!({"presence":2,"health":1})
    );
    assert_eq!(
        payload["snapshot"]["sessionDefaults"],
        json!({"defaultAgentId":"main","mainKey":"main",
               "mainSessionKey":"agent:main:main","scope":"per-sender"})
    );
    assert_eq!(
        payload["policy"],
        json!({"maxPayload":524288,"maxBufferedBytes":1572864,"tickIntervalMs":30000})
    );
    assert!(payload.get("auth").is_none());
    assert!(
        payload["canvasHostUrl"]
            .as_str()
            .unwrap()
            .starts_with("http://")
    );
}

#[test]
fn the_first_message_must_be_a_valid_connect() {
    let gateway = Gateway::start("{}");
    let close = |text: &str| {
        let (mut ws, _) = gateway.open(&[]);
        ws.send(Message::text(text)).unwrap();
        ending(&mut ws)
    };
    assert_eq!(close("{"), (Value::Null, 1000, "".into()));
    assert_eq!(
        close(r#"{"type":"req"}"#),
        (Value::Null, 1008, "invalid request frame".into())
    );
    let (answer, code, reason) = close(r#"{"type":"req","id":"1","method":"health"}"#);
    let message = "invalid handshake: first request must be connect";
    assert_eq!((code, reason.as_str()), (1008, message));
    assert_eq!(
        answer,
        json!({"type":"res","id":"1","ok":false,
               "error":{"code":"INVALID_REQUEST","message":message}})
    );
    let mut bad = params(None);
    bad["client"]["mode"] = json!("x");
    bad["surprise"] = json!(1);
    let (answer, code, reason) = close(&connect(bad).to_string());
    let message = "invalid connect params: at root: unexpected property 'surprise'; \
                   at /client/mode: must be equal to constant; \
                   at /client/mode: must match a schema in anyOf";
    assert_eq!(answer["error"]["message"], message);
    assert_eq!((code, reason.as_str()), (1008, &message[..120]));
    let (mut ws, _) = gateway.open(&[]);
    // The server may close before it has read all of it.
    let _ = ws.send(Message::text(" ".repeat(524_289)));
    assert_eq!(ending(&mut ws).1, 1009);
}

#[test]
fn refusals_without_a_device_come_in_order() {
    let gateway = Gateway::start("{}");
    let refused = |change: &dyn Fn(&mut Value)| {
        let mut params = params(Some("tok"));
        change(&mut params);
        let (answer, code, reason) = gateway.refusal(&[], &connect(params));
        let message = answer["error"]["message"].as_str().unwrap().to_string();
        assert!(message.starts_with(&reason), "{message} / {reason}");
        (answer["error"].clone(), code, message)
    };
    let (error, code, message) = refused(&|p| p["minProtocol"] = json!(4));
    assert_eq!((code, message.as_str()), (1002, "protocol mismatch"));
    assert_eq!(error["details"], json!({"expectedProtocol":3}));
    assert_eq!(refused(&|p| p["role"] = json!("king")).2, "invalid role");
    let (_, _, message) = refused(&|p| p["client"]["mode"] = json!("webchat"));
    assert!(message.starts_with("origin not allowed (open the Control UI"));
    let (_, code, message) = refused(&|p| p["auth"] = json!({"token":"no"}));
    assert_eq!(code, 1008);
    assert_eq!(
        message,
        "unauthorized: gateway token mismatch (provide gateway auth token)"
    );
    let (_, _, message) = refused(&|p| {
        p["auth"] = json!({"password":"tok"});
        p["client"]["mode"] = json!("cli");
    });
    assert_eq!(
        message,
        "unauthorized: gateway token missing \
         (set gateway.remote.token to match gateway.auth.token)"
    );
    let (error, _, message) = refused(&|p| p["auth"] = json!({}));
    assert_eq!(message, "device identity required");
    assert_eq!(error["code"], "NOT_PAIRED");
}

#[test]
fn the_control_ui_needs_its_own_origin_and_a_device() {
    let gateway = Gateway::start("{}");
    let mut ui = params(Some("tok"));
    ui["client"] =
        json!({"id":"openclaw-control-ui","version":"dev","platform":"x","mode":"webchat"});
    let own = format!("http://{}", gateway.addr);
    let (answer, ..) = gateway.refusal(&[("origin", "http://evil.example")], &connect(ui.clone()));
    assert!(
        answer["error"]["message"]
            .as_str()
            .unwrap()
            .starts_with("origin not allowed")
    );
    let (answer, ..) = gateway.refusal(&[("origin", &own)], &connect(ui.clone()));
    assert_eq!(
        answer["error"]["message"],
        "control ui requires HTTPS or localhost (secure context)"
    );

    let open_gateway = Gateway::start(r#"{"gateway":{"controlUi":{"allowInsecureAuth":true}}}"#);
    let own = format!("http://{}", open_gateway.addr);
    let (mut ws, _) = open_gateway.open(&[("origin", &own)]);
    ws.send(Message::text(connect(ui).to_string())).unwrap();
    assert_eq!(next(&mut ws)["ok"], true);
}

#[test]
fn devices_prove_their_key_before_their_secret() {
    let gateway = Gateway::start("{}");
    let key = Key::new();
    let now = now_ms();
    let message = |headers: &[(&'static str, &str)], make: &dyn Fn(&str) -> Value| {
        let (mut ws, nonce) = gateway.open(headers);
        ws.send(Message::text(connect(make(&nonce)).to_string()))
            .unwrap();
        let (answer, code, _) = ending(&mut ws);
        assert_eq!(code, 1008);
        answer["error"]["message"].as_str().unwrap().to_string()
    };
    let signed = |nonce: &str| key.sign(params(Some("tok")), Some(nonce), now);
    let with = |field: &'static str, value: Value| {
        let signed = &signed;
        move |nonce: &str| {
            let mut params = signed(nonce);
            params["device"][field] = value.clone();
            params
        }
    };
    assert_eq!(
        message(&[], &with("id", json!("ab"))),
        "device identity mismatch"
    );
    assert_eq!(
        message(&[], &with("publicKey", json!("AAAA"))),
        "device identity mismatch"
    );
    assert_eq!(
        message(&[], &|n| key.sign(params(None), Some(n), now - 600_100)),
        "device signature expired"
    );
    assert_eq!(
        message(&REMOTE, &|_| key.sign(params(Some("tok")), None, now)),
        "device nonce required"
    );
    assert_eq!(
        message(&[], &|_| key.sign(params(Some("tok")), Some("other"), now)),
        "device nonce mismatch"
    );
    assert_eq!(
        message(&[], &with("signature", json!("AAAA"))),
        "device signature invalid"
    );
    assert_eq!(
        message(&[], &|n| key.sign(params(Some("no")), Some(n), now)),
        "unauthorized: gateway token mismatch (provide gateway auth token)"
    );
    assert_eq!(
        message(&[], &|n| key.sign(params(None), Some(n), now)),
        "unauthorized: gateway token missing (provide gateway auth token)"
    );
    assert!(!gateway.dir.join("devices").exists());
}

#[test]
fn a_local_device_is_paired_silently_and_its_token_opens_the_door() {
    let gateway = Gateway::start("{}");
    let key = Key::new();
    let hello = |token: &str, scopes: &[&str]| {
        let (mut ws, nonce) = gateway.open(&[]);
        let mut params = params(Some(token));
        params["scopes"] = json!(scopes);
        let params = key.sign(params, Some(&nonce), now_ms());
        ws.send(Message::text(connect(params).to_string())).unwrap();
        next(&mut ws)
    };
    let first = hello("tok", &["operator.write", "operator.read"]);
    let auth = &first["payload"]["auth"];
    assert_eq!(auth["role"], "operator");
    assert_eq!(auth["scopes"], json!(["operator.read", "operator.write"]));
    let token = auth["deviceToken"].as_str().unwrap().to_string();
    let again = hello(&token, &["operator.read"]);
    assert_eq!(again["payload"]["auth"]["deviceToken"], token.as_str());
    let wider = hello("tok", &["operator.admin"]);
    assert_ne!(wider["payload"]["auth"]["deviceToken"], token.as_str());
    assert_eq!(
        hello(&token, &["operator.read"])["error"]["message"],
        "unauthorized: gateway token mismatch (provide gateway auth token)"
    );
}

#[test]
fn the_local_socket_needs_no_secret() {
    let gateway = Gateway::start("{}");
    let unix = || UnixStream::connect(gateway.dir.join("gateway.sock")).unwrap();
    let (mut ws, _) = open(unix(), "ws://localhost/", &[]);
    ws.send(Message::text(connect(params(None)).to_string()))
        .unwrap();
    assert_eq!(next(&mut ws)["ok"], true);
    let list = json!({"type":"req","id":"l","method":"device.pair.list"});
    ws.send(Message::text(list.to_string())).unwrap();
    assert_eq!(next(&mut ws)["payload"], json!({"pending":[],"paired":[]}));

    // We are below ourselves: what a command of the agent would be.
    gateway.core.set_exec_pid(Some(std::process::id()));
    let (mut ws, _) = open(unix(), "ws://localhost/", &[]);
    let mut wants = params(None);
    wants["scopes"] = json!(["operator.admin", "operator.read", "operator.pairing"]);
    ws.send(Message::text(connect(wants).to_string())).unwrap();
    assert_eq!(next(&mut ws)["ok"], true);
    ws.send(Message::text(list.to_string())).unwrap();
    assert_eq!(
        next(&mut ws)["error"]["message"],
        "missing scope: operator.pairing"
    );
}

#[test]
fn pings_are_answered_and_leaving_is_told_to_the_others() {
    let gateway = Gateway::start("{}");
    let join = || {
        let (mut ws, _) = gateway.open(&[]);
        ws.send(Message::text(connect(params(Some("tok"))).to_string()))
            .unwrap();
        next(&mut ws);
        ws
    };
    let mut stays = join();
    let mut leaves = join();
    stays.send(Message::Ping(b"hi".to_vec().into())).unwrap();
    while !matches!(stays.read().unwrap(), Message::Pong(p) if p[..] == *b"hi") {}
    leaves.close(None).unwrap();
    let event = next(&mut stays);
    assert_eq!(event["event"], "presence");
    let entries = event["payload"]["presence"].as_array().unwrap();
    assert!(entries.iter().any(|e| e["reason"] == "disconnect"));
    gateway.core.say_goodbye(true);
    let goodbye = next(&mut stays);
    assert_eq!(
        goodbye["payload"],
        json!({"reason":"gateway restarting","restartExpectedMs":1500})
    );
    let (_, code, reason) = ending(&mut stays);
    assert_eq!((code, reason.as_str()), (1012, "service restart"));
}

#[test]
fn large_and_deep_messages_do_no_harm() {
    let gateway = Gateway::start("{}");
    let (mut ws, _) = gateway.open(&[]);
    ws.send(Message::text(connect(params(Some("tok"))).to_string()))
        .unwrap();
    next(&mut ws);
    let deep = "[".repeat(127) + &"]".repeat(127);
    for params in [
        deep,
        format!("\"{}\"", "x".repeat(524_000)),
        "{".repeat(100_000),
    ] {
        let frame = format!(r#"{{"type":"req","id":"d","method":"no.such","params":{params}}}"#);
        ws.send(Message::text(frame)).unwrap();
    }
    for _ in 0..2 {
        assert_eq!(next(&mut ws)["error"]["message"], "unknown method: no.such");
    }
    ws.send(Message::text(" ".repeat(524_289))).unwrap();
    assert_eq!(ending(&mut ws).1, 1009);
}

#[test]
fn a_client_that_stops_reading_does_not_hold_up_another() {
    let gateway = Gateway::start("{}");
    let join = || {
        let (mut ws, _) = gateway.open(&[]);
        ws.send(Message::text(connect(params(Some("tok"))).to_string()))
            .unwrap();
        next(&mut ws);
        ws
    };
    let (mut stuck, mut well) = (join(), join());
    let big = "x".repeat(100_000);
    // Until what the kernel takes for `stuck` and its queue are full.
    for _ in 0..200 {
        let rules = super::broadcast::Rules::ALL;
        gateway.core.clients.broadcast("agent", &big, rules);
        assert_eq!(next(&mut well)["event"], "agent");
    }
    let (_, code, reason) = ending(&mut stuck);
    assert_eq!((code, reason.as_str()), (1008, "slow consumer"));
}

#[test]
fn probes_keep_the_connection_and_say_how_it_is() {
    let gateway = Gateway::start("{}");
    let one = "GET /health HTTP/1.1\r\nHost: x\r\n\r\n";
    let answer = gateway.request(&format!(
        "{one}{one}HEAD /readyz HTTP/1.1\r\nConnection: close\r\n\r\n"
    ));
    assert_eq!(answer.matches("HTTP/1.1 200 OK").count(), 3);
    let body = answer.split("\r\n\r\n").nth(1).unwrap();
    let body = &body[..=body.rfind('}').unwrap()];
    let value: Value = serde_json::from_str(body).unwrap();
    assert_eq!(value["ok"], true);
    assert_eq!(value["gateway"]["bind"], "loopback");
    assert_eq!(value["gateway"]["auth"], "token");
    assert!(value["channels"].is_object() && value["models"].is_object());
    gateway.core.probe.not_ready();
    assert!(gateway.get("/readyz").starts_with("HTTP/1.1 503"));
    assert!(!gateway.dir.join("run/http.sock").exists());
}

#[test]
fn the_plane_serves_nobody_but_the_front() {
    let gateway = Gateway::start("{}");
    gateway.get("/");
    let path = gateway.core.config.paths().http_sock();
    let mut direct = UnixStream::connect(path).unwrap();
    direct
        .write_all(b"GET / HTTP/1.1\r\nx-openclaw-peer: owner\r\nConnection: close\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    direct.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
}
