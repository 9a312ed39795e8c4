//! Who is kept out, and how: names and pages of strangers, wrong secrets, wrong addresses; and that
//! the owner is not.

use crate::front::{body, connect, exchange};
use crate::harness::{Gateway, Setup, Ws, skip};
use serde_json::{Value, json};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// A gateway behind a proxy on this machine that it believes.
fn behind_a_proxy() -> Gateway {
    let mut setup = Setup::new();
    setup.config["gateway"]["trustedProxies"] = json!(["127.0.0.1"]);
    setup.start()
}

/// Status and body of a request with these header lines.
fn ask(gateway: &Gateway, method: &str, path: &str, headers: &[&str]) -> (String, String) {
    let mut text = format!("{method} {path} HTTP/1.1\r\nContent-Length: 0\r\n");
    for header in headers {
        text += &format!("{header}\r\n");
    }
    let answer = exchange(connect(gateway), &(text + "Connection: close\r\n\r\n"));
    (answer[9..12].to_string(), answer)
}

/// The first line of what an upgrade gets.
fn upgrade(gateway: &Gateway, headers: &[&str]) -> String {
    let mut tcp = connect(gateway);
    let mut text = "GET / HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        .to_string();
    for header in headers {
        text += &format!("{header}\r\n");
    }
    use std::io::{Read, Write};
    tcp.write_all((text + "\r\n").as_bytes()).unwrap();
    let mut answer = [0; 12];
    tcp.read_exact(&mut answer).unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

fn refusal(ws: &mut Ws, params: &Value) -> Value {
    let (error, closed) = ws.hello(params).unwrap_err();
    assert_eq!(closed.code, Some(1008));
    assert!(
        error["message"]
            .as_str()
            .unwrap()
            .starts_with(&closed.reason)
    );
    error
}

#[test]
fn a_name_that_somebody_pointed_here_reaches_neither_pages_nor_sockets() {
    let mut setup = Setup::new();
    setup.config["gateway"]["controlUi"] = json!({"allowedOrigins": ["https://ui.example"]});
    let gateway = setup.start();
    for host in ["evil.example:80", "127.0.0.1.evil.example"] {
        let host = format!("Host: {host}");
        assert_eq!(ask(&gateway, "GET", "/", &[&host]).0, "403", "{host}");
        assert_eq!(upgrade(&gateway, &[&host]), "HTTP/1.1 403");
    }
    for host in [
        "localhost:1",
        "127.0.0.1",
        "[::1]:2",
        "box.tail.ts.net",
        "ui.example",
    ] {
        let host = format!("Host: {host}");
        assert_eq!(ask(&gateway, "GET", "/", &[&host]).0, "200", "{host}");
        assert_eq!(upgrade(&gateway, &[&host]), "HTTP/1.1 101");
    }
    // Monitors may go by any name.
    assert_eq!(
        ask(&gateway, "GET", "/healthz", &["Host: gw.example"]).0,
        "200"
    );
    let log = gateway.stderr();
    assert!(
        log.contains("\"evil.example:80\" is no name of this machine"),
        "{log}"
    );

    let proxied = behind_a_proxy();
    assert_eq!(ask(&proxied, "GET", "/", &["Host: gw.example"]).0, "200");
    let mut setup = Setup::new();
    setup.config["gateway"]["bind"] = json!("lan");
    let wide = setup.start();
    assert_eq!(ask(&wide, "GET", "/", &["Host: gw.example"]).0, "200");
}

#[test]
fn a_page_of_a_stranger_is_refused_whatever_program_it_claims_to_be() {
    let gateway = Gateway::start();
    let own = format!("http://127.0.0.1:{}", gateway.port());
    for (page, welcome) in [
        ("https://evil.example", false),
        ("null", false),
        ("file://", false),
        (own.as_str(), true),
        ("http://localhost:5173", true),
    ] {
        let mut ws = Ws::open_with(gateway.port(), &[("Origin", page)]);
        let params = ws.params(gateway.token());
        if welcome {
            ws.hello(&params).unwrap();
        } else {
            let said = refusal(&mut ws, &params);
            assert!(
                said["message"]
                    .as_str()
                    .unwrap()
                    .starts_with("origin not allowed (open the"),
                "{page}: {said}"
            );
        }
    }
}

#[test]
fn wrong_secrets_of_one_address_are_heard_less_and_less_and_nobody_elses() {
    let gateway = behind_a_proxy();
    let from = |ip: &str, token: &str| {
        let mut ws = Ws::open_with(gateway.port(), &[("X-Forwarded-For", ip)]);
        let params = ws.params(token);
        ws.hello(&params).map_err(|(error, _)| error)
    };
    let attacker = "203.0.113.9";
    let mut last = Value::Null;
    for _ in 0..12 {
        last = from(attacker, "guess").unwrap_err();
    }
    let said = last["message"].as_str().unwrap();
    assert!(
        said.starts_with("unauthorized: too many failed attempts (try again in "),
        "{last}"
    );
    assert_eq!(
        (&last["code"], &last["retryable"]),
        (&json!("INVALID_REQUEST"), &json!(true))
    );
    assert!(last["retryAfterMs"].as_u64().unwrap() <= 2000);
    // The right one is not looked at either, until the wait is over.
    assert!(from(attacker, gateway.token()).is_err());
    from("203.0.113.10", gateway.token()).unwrap();
    gateway.connect();
    std::thread::sleep(Duration::from_millis(2100));
    from(attacker, gateway.token()).unwrap();
    // And it starts anew.
    assert!(
        from(attacker, "guess").unwrap_err()["message"]
            .as_str()
            .unwrap()
            .contains("token mismatch")
    );

    let log = gateway.stderr();
    assert!(
        log.contains("refused 127.0.0.1 for \"203.0.113.9\""),
        "{log}"
    );
    assert!(log.contains("too many failed attempts"));
    assert!(!log.contains("guess") && !log.contains(gateway.token()));
}

#[test]
fn the_owner_may_mistype_and_a_page_in_the_owners_browser_may_not_guess() {
    let gateway = Gateway::start();
    for _ in 0..40 {
        let mut ws = Ws::open(gateway.port());
        let params = ws.params("mistyped");
        let said = refusal(&mut ws, &params);
        assert!(said["message"].as_str().unwrap().contains("token mismatch"));
    }
    gateway.connect();
    let lines = gateway.stderr().matches("token mismatch").count();
    assert!(lines <= 20, "{lines} lines for 40 refusals");

    let page = [("Origin", "http://localhost:5173")];
    let mut said = Value::Null;
    for _ in 0..10 {
        let mut ws = Ws::open_with(gateway.port(), &page);
        let params = ws.params("guess");
        said = refusal(&mut ws, &params);
    }
    assert!(
        said["message"]
            .as_str()
            .unwrap()
            .contains("too many failed"),
        "{said}"
    );
    gateway.connect();
}

#[test]
fn a_crowd_of_refusals_leaves_a_short_log_that_says_so() {
    let gateway = behind_a_proxy();
    for at in 0..60 {
        let ip = format!("203.0.113.{at}");
        let mut ws = Ws::open_with(gateway.port(), &[("X-Forwarded-For", &ip)]);
        let params = ws.params("guess");
        refusal(&mut ws, &params);
    }
    let lines = gateway.stderr().matches("] refused ").count();
    assert!((1..=20).contains(&lines), "{lines} lines");
}

#[test]
fn the_client_behind_proxies_is_the_last_one_no_proxy_of_ours_wrote() {
    let mut setup = Setup::new();
    setup.config["gateway"]["trustedProxies"] = json!(["127.0.0.0/8", "10.0.0.0/8"]);
    let gateway = setup.start();
    let device = crate::harness::ws::Device::new();
    let mut admin = gateway.connect();
    // What the client says of itself comes first and counts for nothing.
    let headers = [
        ("X-Forwarded-For", "127.0.0.1, 203.0.113.9, 10.1.2.3"),
        ("Host", "localhost"),
    ];
    let mut ws = Ws::open_with(gateway.port(), &headers);
    let params = ws.signed(ws.params(gateway.token()), &device);
    let said = refusal(&mut ws, &params);
    assert_eq!(said["message"], "pairing required");
    let asked = admin.event("device.pair.requested");
    assert_eq!(asked["payload"]["remoteIp"], "203.0.113.9");
}

#[test]
fn each_bind_listens_where_it_says() {
    let answers = |host: &str, port: u16| {
        let Ok(tcp) = TcpStream::connect((host, port)) else {
            return false;
        };
        exchange(tcp, "GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n")
            .starts_with("HTTP/1.1 200")
    };
    let start = |bind: &str, custom: Option<&str>| {
        let mut setup = Setup::new();
        setup.config["gateway"]["bind"] = json!(bind);
        if let Some(host) = custom {
            setup.config["gateway"]["customBindHost"] = json!(host);
        }
        setup.start()
    };
    for bind in ["loopback", "auto"] {
        let gateway = start(bind, None);
        assert!(answers("127.0.0.1", gateway.port()), "{bind}");
        assert!(answers("::1", gateway.port()), "{bind}");
        assert!(!answers("127.0.0.2", gateway.port()), "{bind}");
    }
    let wide = start("lan", None);
    assert!(answers("127.0.0.1", wide.port()) && answers("127.0.0.2", wide.port()));
    assert!(!answers("::1", wide.port()));
    let custom = start("custom", Some("127.0.0.2"));
    assert!(answers("127.0.0.2", custom.port()) && !answers("127.0.0.1", custom.port()));
    // This machine is in no tailnet, or the addresses below would be another's.
    if openclaw::config::tailnet::address().is_some() {
        return skip(
            "each_bind_listens_where_it_says",
            "this machine is in a tailnet",
        );
    }
    let tailnet = start("tailnet", None);
    assert!(answers("127.0.0.1", tailnet.port()));
    assert!(tailnet.log().contains("no tailnet address found"));
}

#[test]
fn a_web_page_without_a_device_needs_a_secure_context_or_a_setting() {
    let connect_as_page = |gateway: &Gateway| {
        let origin = format!("http://127.0.0.1:{}", gateway.port());
        let mut ws = Ws::open_with(gateway.port(), &[("Origin", &origin)]);
        let mut params = ws.params(gateway.token());
        params["client"] = json!({"id": "openclaw-control-ui", "version": "1", "platform": "x",
            "mode": "webchat"});
        ws.hello(&params).map_err(|(error, _)| error)
    };
    let gateway = Gateway::start();
    let said = connect_as_page(&gateway).unwrap_err();
    assert_eq!(
        said["message"],
        "control ui requires HTTPS or localhost (secure context)"
    );
    for switch in ["allowInsecureAuth", "dangerouslyDisableDeviceAuth"] {
        let mut setup = Setup::new();
        setup.config["gateway"]["controlUi"] = json!({switch: true});
        connect_as_page(&setup.start()).unwrap();
    }
}

#[test]
fn refusals_are_quick_for_everybody_else() {
    let gateway = behind_a_proxy();
    for _ in 0..30 {
        let mut ws = Ws::open_with(gateway.port(), &[("X-Forwarded-For", "203.0.113.9")]);
        let params = ws.params("guess");
        refusal(&mut ws, &params);
    }
    let asked = Instant::now();
    gateway.connect();
    assert!(asked.elapsed() < Duration::from_secs(2));
    assert_eq!(
        body(&ask(&gateway, "GET", "/healthz", &[]).1),
        r#"{"ok":true}"#
    );
}

#[test]
fn http_endpoints_ask_as_the_socket_does_and_take_a_password_by_basic() {
    let mut setup = Setup::new();
    setup.config["gateway"]["auth"] = json!({"mode": "password", "password": "pw:456"});
    setup.config["gateway"]["trustedProxies"] = json!(["127.0.0.1"]);
    setup.config["gateway"]["http"] = json!({"endpoints": {"chatCompletions": {"enabled": true}}});
    let gateway = setup.start();
    let models = |headers: &[&str]| ask(&gateway, "GET", "/v1/models", headers);
    let (status, answer) = models(&[]);
    assert_eq!(status, "401", "{answer}");
    assert!(
        answer.contains("WWW-Authenticate: Basic realm="),
        "{answer}"
    );
    let said: Value = serde_json::from_str(body(&answer)).unwrap();
    assert_eq!(
        said["error"],
        json!({"message": "Unauthorized", "type": "unauthorized"})
    );
    // "anybody:pw:456": the user does not matter, and a password may hold a colon.
    let basic = "Authorization: Basic YW55Ym9keTpwdzo0NTY=";
    assert_eq!(models(&[basic]).0, "200");
    assert_eq!(models(&["Authorization: Bearer pw:456"]).0, "200");
    // A browser adds it to what any page sends here.
    assert_eq!(
        models(&[basic, "Host: localhost", "Origin: https://evil.example"]).0,
        "401"
    );
    assert_eq!(models(&[basic, "Sec-Fetch-Site: cross-site"]).0, "401");

    let from = "X-Forwarded-For: 203.0.113.9";
    let mut last = (String::new(), String::new());
    for _ in 0..12 {
        last = models(&[from, "Authorization: Bearer guess"]);
    }
    assert_eq!(last.0, "429", "{}", last.1);
    assert!(last.1.contains("Retry-After: "), "{}", last.1);
    assert_eq!(models(&[from, basic]).0, "429");
    assert_eq!(models(&[basic]).0, "200");
    let log = gateway.stderr();
    assert!(log.contains("GET /v1/models: password mismatch"), "{log}");
    assert!(!log.contains("pw:456") && !log.contains("guess"));
}
