//! TLS on the gateway's port: real clients (curl, openssl, the official one, ours) against real
//! certificates, and the slow and the broken among them.

use crate::faults::slow::much;
use crate::front::{body, exchange};
use crate::harness::model::Reply;
use crate::harness::{Gateway, Setup, Ws, eventually};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

fn setup() -> Setup {
    let mut setup = Setup::with_fake_model();
    setup.config["gateway"]["tls"] = json!({"enabled": true});
    setup
}

fn certificate(gateway: &Gateway) -> PathBuf {
    gateway.state().join("gateway/tls/gateway-cert.pem")
}

/// `curl ARGS https://localhost:PORT/PATH`, trusting the gateway's own certificate; standard output
/// or standard error.
fn curl(gateway: &Gateway, path: &str, args: &[&str]) -> Result<String, String> {
    let url = format!("https://localhost:{}{path}", gateway.port());
    let output = Command::new("curl")
        .args(["-sS", "--max-time", "30", "--cacert"])
        .arg(certificate(gateway))
        .args(args)
        .arg(url)
        .output()
        .expect("curl is there");
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

/// A self-signed RSA pair as `openssl req` makes it; its fingerprint.
fn rsa_pair(cert: &Path, key: &Path) -> String {
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-sha256", "-nodes"])
        .args(["-days", "2", "-subj", "/CN=box", "-keyout"])
        .arg(key)
        .arg("-out")
        .arg(cert)
        .args(["-addext", "subjectAltName=DNS:localhost"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .output()
        .expect("openssl is there");
    assert!(made.status.success(), "{made:?}");
    let shown = Command::new("openssl")
        .args(["x509", "-noout", "-fingerprint", "-sha256", "-in"])
        .arg(cert)
        .output()
        .expect("openssl is there");
    let text = String::from_utf8(shown.stdout).unwrap();
    text.trim().rsplit('=').next().unwrap().to_string()
}

#[test]
fn pages_probes_and_websockets_are_served_over_tls_and_nothing_without_it() {
    let gateway = setup().start();
    let health: Value = serde_json::from_str(&curl(&gateway, "/health", &[]).unwrap()).unwrap();
    assert_eq!(health["ok"], true);
    let page = curl(&gateway, "/chat", &[]).unwrap();
    assert!(page.contains("</html>"), "{page}");
    // The relay's way in: a body larger than what is held back.
    let large = gateway.dir().join("large");
    std::fs::write(&large, vec![b'x'; 300_000]).unwrap();
    let from = format!("@{}", large.display());
    let posted = curl(
        &gateway,
        "/chat",
        &["-w", "%{http_code}", "--data-binary", &from],
    );
    assert_eq!(posted.unwrap(), "Method Not Allowed405");

    let old = curl(&gateway, "/health", &["--tls-max", "1.2"]).unwrap_err();
    assert!(old.contains("alert") || old.contains("version"), "{old}");
    let tcp = TcpStream::connect(("127.0.0.1", gateway.port())).unwrap();
    let plain = exchange(tcp, "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert!(plain.starts_with("HTTP/1.1 400 "), "{plain}");
    assert_eq!(
        body(&plain),
        "This port speaks TLS: use https:// or wss://.\n"
    );

    let mut ws = Ws::open_tls(gateway.port(), &certificate(&gateway));
    let hello = ws.hello(&ws.params(gateway.token())).unwrap();
    // Where a node's screen finds the canvas.
    let canvas = format!("https://127.0.0.1:{}", gateway.port());
    assert_eq!(hello["canvasHostUrl"], canvas);
    let page = curl(&gateway, "/__openclaw__/canvas/", &[]).unwrap();
    assert!(page.contains("<h1>Canvas</h1>"), "{page}");
    gateway
        .model()
        .reply(Reply::Text(vec!["hello".into()], Duration::ZERO));
    let turn = json!({"sessionKey": "agent:main:main", "message": "hi", "idempotencyKey": "a"});
    ws.call("chat.send", turn).unwrap();
    ws.event_where("chat", |p| p["state"] == "final");
    // Our own command finds its socket, which stays as it was.
    let (status, out, err) = gateway.openclaw(&["health"]);
    assert!(status.success(), "{out}{err}");
}

#[test]
fn a_pair_is_made_at_the_first_start_and_its_fingerprint_is_told() {
    let mut gateway = setup().start();
    let cert = certificate(&gateway);
    for path in [&cert, &cert.with_file_name("gateway-key.pem")] {
        let mode = std::fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", path.display());
    }
    let text = Command::new("openssl")
        .args(["x509", "-noout", "-text", "-in"])
        .arg(&cert)
        .output()
        .unwrap();
    let text = String::from_utf8(text.stdout).unwrap();
    assert!(text.contains("CN = openclaw-gateway") || text.contains("CN=openclaw-gateway"));
    assert!(text.contains("DNS:localhost") && text.contains("IP Address:127.0.0.1"));
    let (_, out, _) = gateway.openclaw(&["gateway", "status"]);
    let told = out
        .lines()
        .find_map(|line| line.strip_prefix("TLS: certificate sha256 "))
        .unwrap_or_else(|| panic!("{out}"))
        .to_string();
    assert!(gateway.log().contains(&told));
    assert!(gateway.log().contains("listening on wss://127.0.0.1:"));
    assert!(gateway.log().contains("listening on wss://[::1]:"));

    // A later start, or another core, keeps it.
    gateway.stop();
    gateway.start_again();
    assert_eq!(gateway.log().matches(&told).count(), 2);
}

#[test]
fn our_clients_pin_the_certificate_they_are_told_and_refuse_another() {
    let gateway = setup().start();
    // Who gives a token is judged at the port, and this machine's certificate is pinned by itself.
    let (status, out, err) = gateway.openclaw(&["health", "--token", gateway.token()]);
    assert!(status.success(), "{out}{err}");

    let far = |pin: &str| {
        let dir = gateway.dir().join("far");
        std::fs::create_dir_all(&dir).unwrap();
        let config = json!({"gateway": {"mode": "remote", "remote": {
            "url": format!("wss://127.0.0.1:{}", gateway.port()),
            "token": gateway.token(), "tlsFingerprint": pin,
        }}});
        std::fs::write(dir.join("openclaw.json"), config.to_string()).unwrap();
        let mut command = gateway.command(env!("CARGO_BIN_EXE_openclaw"));
        command
            .args(["health"])
            .env("OPENCLAW_STATE_DIR", &dir)
            .env("OPENCLAW_CONFIG_PATH", dir.join("openclaw.json"))
            .env("OPENCLAW_RUNTIME_DIR", dir.join("run"));
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.success(), said)
    };
    let log = gateway.log();
    let (_, rest) = log.split_once("TLS certificate sha256 ").unwrap();
    let pin = rest[..64].to_uppercase();
    let (ok, said) = far(&format!("sha256:{pin}"));
    assert!(ok, "{said}");
    let (ok, said) = far(&"ab".repeat(32));
    assert!(!ok && said.contains("fingerprint mismatch"), "{said}");
    // Without a pin the authorities decide, and none of them knows it.
    let (ok, said) = far("");
    assert!(!ok && said.contains("UnknownIssuer"), "{said}");
}

#[test]
fn a_renewed_certificate_is_shown_without_a_restart_and_ends_no_connection() {
    let mut setup = setup();
    let (cert, key) = (
        setup.dir.path().join("own.pem"),
        setup.dir.path().join("own.key"),
    );
    let tls = json!({"enabled": true, "certPath": cert, "keyPath": key});
    setup.config["gateway"]["tls"] = tls;
    let first = rsa_pair(&cert, &key);
    let mut gateway = setup.start();
    let mut ws = Ws::open_tls(gateway.port(), &cert);
    ws.hello(&ws.params(gateway.token())).unwrap();

    let second = rsa_pair(&cert, &key);
    assert_ne!(first, second);
    gateway.signal("HUP");
    gateway.wait_for("READY=1");
    let plain = second.replace(':', "").to_lowercase();
    assert!(
        gateway
            .log()
            .contains(&format!("new TLS certificate, sha256 {plain}"))
    );
    let mut fresh = Ws::open_tls(gateway.port(), &cert);
    fresh.hello(&fresh.params(gateway.token())).unwrap();
    ws.call("health", json!({})).unwrap();

    // Half a renewal: what is shown stays.
    std::fs::write(&cert, "-----BEGIN CERTIFICATE-----\n").unwrap();
    gateway.signal("HUP");
    gateway.wait_for("READY=1");
    ws.call("health", json!({})).unwrap();
    assert!(gateway.log().contains("the certificate stays as it was"));
}

#[test]
fn a_pair_that_does_not_fit_stops_the_start_with_its_name() {
    let mut setup = setup();
    let dir = setup.dir.path().to_path_buf();
    setup.config["gateway"]["tls"] =
        json!({"enabled": true, "certPath": dir.join("a.pem"), "keyPath": dir.join("b.key")});
    rsa_pair(&dir.join("a.pem"), &dir.join("a.key"));
    rsa_pair(&dir.join("b.pem"), &dir.join("b.key"));
    let (status, said) = setup.start_failing();
    assert_eq!(status.code(), Some(78), "{said}");
    assert!(
        said.contains("gateway tls: failed to load cert: "),
        "{said}"
    );
    assert!(said.contains("a.pem"), "{said}");
}

#[test]
fn handshakes_that_stop_half_way_are_cut_off_and_delay_nobody() {
    let gateway = setup().start();
    let started = Instant::now();
    let mut stuck: Vec<TcpStream> = (0..30)
        .map(|_| TcpStream::connect(("127.0.0.1", gateway.port())).unwrap())
        .collect();
    for (i, tcp) in stuck.iter_mut().enumerate() {
        // Nothing, half a record's head, or the start of a hello that never ends.
        tcp.write_all(&[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc][..i % 10])
            .unwrap();
        tcp.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    }
    let asked = Instant::now();
    assert!(curl(&gateway, "/healthz", &[]).is_ok());
    assert!(asked.elapsed() < Duration::from_secs(5));
    for tcp in &mut stuck {
        let _ = tcp.read_to_end(&mut Vec::new());
    }
    let took = started.elapsed();
    assert!((9..25).contains(&took.as_secs()), "cut off after {took:?}");
    // Bytes that are a record and no handshake.
    let tcp = TcpStream::connect(("127.0.0.1", gateway.port())).unwrap();
    exchange(tcp, "\x16\x03\x01\x00\x05hello");
    assert!(curl(&gateway, "/healthz", &[]).is_ok());
}

#[test]
fn a_tls_client_that_reads_late_gets_everything_in_order_and_delays_nobody() {
    let gateway = setup().start();
    let cert = certificate(&gateway);
    let mut late = Ws::open_tls(gateway.port(), &cert);
    late.hello(&late.params(gateway.token())).unwrap();
    let mut quick = Ws::open_tls(gateway.port(), &cert);
    quick.hello(&quick.params(gateway.token())).unwrap();
    // Some MiB of answers that nobody takes: more than the kernel keeps, less than cuts it off.
    let ids: Vec<String> = (0..60)
        .map(|_| late.send("config.get", json!({})))
        .collect();
    gateway
        .model()
        .reply(Reply::Text(vec!["hello".into()], Duration::ZERO));
    let turn = json!({"sessionKey": "agent:main:main", "message": "hi", "idempotencyKey": "a"});
    quick.call("chat.send", turn).unwrap();
    quick.event_where("chat", |p| p["state"] == "final");
    let pad = "x".repeat(100_000);
    let params = json!({"sessionKey": "agent:main:main", "message": pad, "label": "t"});
    for _ in 0..8 {
        quick.call("chat.inject", params.clone()).unwrap();
    }
    let history = json!({"sessionKey": "agent:main:main", "limit": 8});
    let more: Vec<String> = (0..8)
        .map(|_| late.send("chat.history", history.clone()))
        .collect();
    std::thread::sleep(Duration::from_millis(300));
    // Nothing that tells everybody: that would end a client so far behind.
    let asked = Instant::now();
    quick.call("device.pair.list", json!({})).unwrap();
    assert!(asked.elapsed() < Duration::from_secs(2));
    for id in ids.iter().chain(&more) {
        assert_eq!(late.response(id)["ok"], true);
    }
}

#[test]
fn a_tls_client_that_stops_reading_is_dropped() {
    let gateway = setup().start();
    let mut stalled = Ws::open_tls(gateway.port(), &certificate(&gateway));
    stalled.hello(&stalled.params(gateway.token())).unwrap();
    let mut ws = Ws::open_tls(gateway.port(), &certificate(&gateway));
    ws.hello(&ws.params(gateway.token())).unwrap();
    much(&mut ws, "main");
    let closed = stalled.closed();
    assert!(
        closed.code.is_none() || closed.code == Some(1008),
        "{closed:?}"
    );
    eventually("its place is free", Duration::from_secs(20), || {
        let list = ws.call("system-presence", json!({})).unwrap();
        let here = list.as_array()?.iter().filter(|e| e["reason"] == "connect");
        (here.count() == 1).then_some(())
    });
}

/// An authority of our own and a pair it signed for `localhost`: the authority's file, the pair's.
fn private_authority(dir: &Path) -> (PathBuf, PathBuf, PathBuf) {
    let script = r#"set -e
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 \
    -subj /CN=household -keyout ca.key -out ca.pem
openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=localhost \
    -keyout leaf.key -out leaf.csr
printf 'subjectAltName=DNS:localhost\nbasicConstraints=CA:FALSE\n' > leaf.ext
openssl x509 -req -in leaf.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 \
    -extfile leaf.ext -out leaf.pem"#;
    let made = Command::new("sh")
        .args(["-c", script])
        .current_dir(dir)
        .output()
        .expect("sh is there");
    assert!(made.status.success(), "{made:?}");
    let [ca, cert, key] = ["ca.pem", "leaf.pem", "leaf.key"].map(|name| dir.join(name));
    (ca, cert, key)
}

#[test]
fn what_links_the_certificate_to_its_authority_is_sent_when_ca_path_names_it() {
    let script = r#"set -e
key() { openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=$1 -keyout $1.key -out $1.csr; }
sign() { openssl x509 -req -in $1.csr -CA $2.pem -CAkey $2.key -CAcreateserial -days 2 -extfile $1.ext -out $1.pem; }
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=root -keyout root.key -out root.pem
printf 'basicConstraints=critical,CA:TRUE\n' > between.ext
key between; sign between root
printf 'subjectAltName=DNS:localhost\nbasicConstraints=CA:FALSE\n' > leaf.ext
key leaf; sign leaf between"#;
    let run = |ca: Option<&str>| {
        let mut setup = setup();
        let dir = setup.dir.path().to_path_buf();
        let made = Command::new("sh")
            .args(["-c", script])
            .current_dir(&dir)
            .output();
        assert!(made.as_ref().unwrap().status.success(), "{made:?}");
        let tls = &mut setup.config["gateway"]["tls"];
        tls["certPath"] = dir.join("leaf.pem").to_str().into();
        tls["keyPath"] = dir.join("leaf.key").to_str().into();
        if let Some(ca) = ca {
            tls["caPath"] = dir.join(ca).to_str().into();
        }
        let gateway = setup.start();
        let url = format!("https://localhost:{}/healthz", gateway.port());
        let asked = Command::new("curl")
            .args(["-sS", "--max-time", "30", "--cacert"])
            .arg(dir.join("root.pem"))
            .arg(url)
            .output();
        asked.expect("curl is there").status.success()
    };
    assert!(run(Some("between.pem")));
    assert!(!run(None), "the authority alone does not know the leaf");
}

/// Python's TLS in front of a plain server: its port.
struct Front(std::process::Child, u16);

impl Front {
    fn start(cert: &Path, key: &Path, behind: &str) -> Front {
        let script = r#"
import socket, ssl, sys, threading
cert, key, host, port = sys.argv[1:]
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(cert, key)
server = socket.create_server(("127.0.0.1", 0))
print(server.getsockname()[1], flush=True)
def pump(a, b):
    try:
        while data := a.recv(65536):
            b.sendall(data)
    except OSError:
        pass
    finally:
        try: b.shutdown(socket.SHUT_WR)
        except OSError: pass
def serve(raw):
    try:
        client = context.wrap_socket(raw, server_side=True)
    except OSError:
        return
    back = socket.create_connection((host, int(port)))
    threading.Thread(target=pump, args=(client, back), daemon=True).start()
    pump(back, client)
while True:
    threading.Thread(target=serve, args=(server.accept()[0],), daemon=True).start()
"#;
        let (host, port) = behind.rsplit_once(':').expect("an address");
        let mut child = Command::new("python3")
            .args(["-c", script])
            .args([cert, key])
            .args([host, port])
            .stdout(std::process::Stdio::piped())
            .spawn()
            .expect("python3 is there");
        let mut line = String::new();
        let out = child.stdout.take().expect("piped");
        std::io::BufRead::read_line(&mut std::io::BufReader::new(out), &mut line).unwrap();
        Front(child, line.trim().parse().expect("a port"))
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_provider_behind_a_private_authority_is_reached_when_its_authority_is_known() {
    for variable in [None, Some("SSL_CERT_FILE"), Some("NODE_EXTRA_CA_CERTS")] {
        let mut setup = Setup::with_fake_model();
        let (ca, cert, key) = private_authority(setup.dir.path());
        let base = setup.model.as_ref().unwrap().base_url();
        let behind = base.trim_start_matches("http://");
        let (address, path) = behind.split_once('/').unwrap_or((behind, ""));
        let front = Front::start(&cert, &key, address);
        let url = format!("https://localhost:{}/{path}", front.1);
        setup.config["models"]["providers"]["fake"]["baseUrl"] = json!(url);
        if let Some(variable) = variable {
            setup = setup.env(variable, ca.to_str().unwrap());
        }
        let gateway = setup.start();
        let mut ws = gateway.connect();
        // Twice: the second call knows which authorities to ask.
        for id in ["a", "b"] {
            gateway
                .model()
                .reply(Reply::Text(vec!["hello there".into()], Duration::ZERO));
            let turn =
                json!({"sessionKey": "agent:main:main", "message": "hi", "idempotencyKey": id});
            ws.call("chat.send", turn).unwrap();
            let end = ws.event_where("chat", |p| {
                p["runId"] == id && ["final", "error"].iter().any(|state| p["state"] == *state)
            });
            let text = end["payload"].to_string();
            match variable {
                Some(_) => assert!(text.contains("hello there"), "{text}"),
                None => {
                    assert!(!text.contains("hello there"), "{text}");
                    break;
                }
            }
        }
    }
}

#[test]
fn our_clients_believe_a_private_authority_for_a_gateway_elsewhere() {
    let gateway = Gateway::start();
    let (ca, cert, key) = private_authority(gateway.dir());
    let front = Front::start(&cert, &key, &format!("127.0.0.1:{}", gateway.port()));
    let url = format!("wss://localhost:{}", front.1);
    let ask = |variable: Option<&str>| {
        let mut command = gateway.command(env!("CARGO_BIN_EXE_openclaw"));
        command.args(["health", "--url", &url, "--token", gateway.token()]);
        if let Some(variable) = variable {
            command.env(variable, &ca);
        }
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.success(), said)
    };
    let (ok, said) = ask(None);
    assert!(!ok && said.contains("UnknownIssuer"), "{said}");
    for variable in ["NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE"] {
        let (ok, said) = ask(Some(variable));
        assert!(ok, "{variable}: {said}");
    }
}
