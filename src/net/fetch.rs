//! The one door for outgoing HTTP: who may be reached, how long anything may take, how much may
//! come back, and a stop that closes the connection at once.
//!
//! Runs on the caller's thread. Connections are kept and reused (a few, for a short while). TLS is
//! set up by the first `https://` call, not before. The proxy variables are honoured for configured
//! endpoints that are not on the loopback; calls under [`Policy::Public`] go direct, as behind a
//! proxy nobody could check the address. Statuses are not errors. Never shows a header or a body in an error.

use super::dial::{Call, Dialler, Later};
pub use super::error::Error;
pub use super::policy::Policy;
use super::trust;
use crate::base::cancel::{Cancel, Registration};
use std::io::{self, Read};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;
use ureq::Agent;
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::unversioned::transport::{Connector, RustlsConnector};

/// Connecting: proxy, lookup, TCP and TLS together.
const CONNECT: Duration = Duration::from_secs(30);
/// Per connection and direction; ureq's own choice is eight times that.
const BUFFER: usize = 16 * 1024;
/// Response heads beyond this are refused.
const MAX_HEAD: usize = 32 * 1024;
/// Idle connections kept in all, and per endpoint.
const KEPT: usize = 4;
const KEPT_PER_HOST: usize = 2;
/// Shorter than the 5 s after which Node servers close idle connections.
const KEPT_FOR: Duration = Duration::from_secs(4);

/// Followed in a row, where any are.
const REDIRECTS: u32 = 5;

pub struct Request<'a> {
    /// `GET`, `POST`, …
    pub method: &'a str,
    pub url: &'a str,
    pub headers: &'a [(&'a str, &'a str)],
    /// Of one whose content is streamed (`send_from`): none.
    pub body: Option<&'a [u8]>,
    pub policy: Policy,
    pub limits: Limits,
}

#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Until the response head has arrived.
    pub head: Duration,
    /// Silence between two pieces of the body.
    pub idle: Duration,
    /// Everything.
    pub total: Duration,
    /// Bytes of the body.
    pub body: u64,
    /// Followed under [`Policy::Public`] only: a model endpoint that redirects is misconfigured, and
    /// a key would be sent onwards.
    pub redirects: u32,
}

impl Limits {
    /// For a small question: all of the answer within `patience`, at most `body` bytes of it.
    pub fn within(patience: Duration, body: u64) -> Limits {
        Limits {
            head: patience,
            idle: patience,
            total: patience,
            body,
            ..Limits::default()
        }
    }
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            head: Duration::from_secs(30),
            idle: Duration::from_secs(30),
            total: Duration::from_secs(120),
            body: 8 * 1024 * 1024,
            redirects: REDIRECTS,
        }
    }
}

/// A response whose head has arrived; the body is read from it.
pub struct Response {
    pub status: u16,
    headers: ureq::http::HeaderMap,
    body: ureq::BodyReader<'static>,
    left: u64,
    limit: u64,
    call: Arc<Call>,
    cancel: Cancel,
    _stop: Registration,
}

/// Sends `request` and waits for the head of the answer.
pub fn send(request: &Request, cancel: &Cancel) -> Result<Response, Error> {
    run(request, None, cancel)
}

/// The same with a content too large to be held: `length` bytes of `content`.
pub fn send_from(
    request: &Request,
    length: u64,
    content: &mut dyn Read,
    cancel: &Cancel,
) -> Result<Response, Error> {
    run(request, Some((length, content)), cancel)
}

fn run(
    request: &Request,
    mut content: Option<(u64, &mut dyn Read)>,
    cancel: &Cancel,
) -> Result<Response, Error> {
    let limits = &request.limits;
    let call = Call::new(limits.head, limits.idle, limits.total);
    let stop = cancel.on_cancel({
        let call = call.clone();
        move || call.cancel()
    });
    if cancel.is_cancelled() {
        return Err(Error::Cancelled);
    }
    let entered = call.enter();
    let uri = match ureq::http::Uri::try_from(request.url) {
        Ok(uri) => uri,
        Err(err) => return Err(Error::BadUrl(format!("{}: {err}", request.url))),
    };
    let own = is_own(&uri);
    let mut answered = ask(request, &mut content, own)?;
    if answered.as_ref().is_err_and(is_untrusted) && !is_far(request) && !trust::own().is_empty() {
        // The handshake failed, so nothing of the request was sent yet.
        answered = ask(request, &mut content, !own)?;
        if answered.is_ok() {
            set_own(&uri, !own);
        }
    }
    drop(entered);
    let response = match answered {
        Ok(response) => response,
        Err(_) if cancel.is_cancelled() => return Err(Error::Cancelled),
        Err(err) => return Err(call.take_error().unwrap_or_else(|| translate(err, request))),
    };
    call.begin_body();
    let (head, body) = response.into_parts();
    Ok(Response {
        status: head.status.as_u16(),
        headers: head.headers,
        body: body.into_reader(),
        left: limits.body,
        limit: limits.body,
        call,
        cancel: cancel.clone(),
        _stop: stop,
    })
}

impl Response {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// How long the service asks to be left alone: `retry-after-ms`, or `retry-after` in seconds or
    /// as a date.
    pub fn retry_after(&self) -> Option<Duration> {
        let number = |name| self.header(name)?.trim().parse::<f64>().ok();
        let seconds = match number("retry-after-ms") {
            Some(ms) => Some(ms / 1000.0),
            None => number("retry-after"),
        };
        if let Some(seconds) = seconds {
            return Duration::try_from_secs_f64(seconds.max(0.0)).ok();
        }
        let date = self.header("retry-after")?;
        let at = jiff::fmt::rfc2822::parse(date).ok()?.timestamp();
        let at = u64::try_from(at.as_millisecond()).ok()?;
        let now = crate::base::time::now_ms();
        Some(Duration::from_millis(at.saturating_sub(now)))
    }

    /// The whole body as text; bytes that are not UTF-8 are replaced.
    pub fn text(mut self) -> Result<String, Error> {
        let mut bytes = Vec::new();
        self.read_to_end(&mut bytes).map_err(Error::from)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Reads on to the end of the body so that the connection can be used again, but only if that
    /// end is near: what is worth waiting for here is less than a new connection would cost.
    pub fn finish(mut self) {
        const NEAR: Duration = Duration::from_millis(20);
        const FEW: usize = 16;
        self.call.set_idle(NEAR);
        let mut rest = [0; 512];
        for _ in 0..FEW {
            match self.read(&mut rest) {
                Ok(n) if n > 0 => {}
                _ => break,
            }
        }
    }
}

impl Read for Response {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let _entered = self.call.enter();
        let result = self.body.read(buf);
        if self.cancel.is_cancelled() {
            return Err(io::Error::other(Error::Cancelled));
        }
        match result {
            Ok(n) if n as u64 > self.left => Err(io::Error::other(Error::TooLarge(self.limit))),
            Ok(n) => {
                self.left -= n as u64;
                Ok(n)
            }
            Err(err) => Err(io::Error::other(match err.downcast::<ureq::Error>() {
                Ok(err) => broken(err, "the rest of the answer"),
                Err(err) => Error::Broken(err.to_string()),
            })),
        }
    }
}

impl Drop for Response {
    fn drop(&mut self) {
        self.call.release();
    }
}

/// A proxy elsewhere cannot reach what listens on this machine's loopback.
fn is_loopback(url: &str) -> bool {
    let parsed = url.parse::<ureq::http::Uri>().ok();
    let host = parsed.as_ref().and_then(|uri| uri.host());
    host.is_some_and(|host| {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let ip = bare.parse::<IpAddr>();
        bare.eq_ignore_ascii_case("localhost") || ip.is_ok_and(|ip| ip.is_loopback())
    })
}

/// Runs the request, believing the public authorities or (`own`) those of this machine.
fn ask(
    request: &Request,
    content: &mut Option<(u64, &mut dyn Read)>,
    own: bool,
) -> Result<Result<ureq::http::Response<ureq::Body>, ureq::Error>, Error> {
    let mut builder = ureq::http::Request::builder()
        .method(request.method)
        .uri(request.url);
    for (name, value) in request.headers {
        builder = builder.header(*name, *value);
    }
    let agent = agent(request, own);
    // A request with a configuration of its own has its TLS set up anew, so only who wants another
    // number of redirects than the agent's gets one.
    let redirects = Some(request.limits.redirects)
        .filter(|n| request.policy == Policy::Public && ![0, REDIRECTS].contains(n));
    Ok(match (content, request.body) {
        (Some((length, content)), _) => {
            let builder = builder.header("content-length", *length);
            let content = ureq::SendBody::from_reader(content);
            given(agent, builder.body(content), redirects)?
        }
        (None, Some(body)) => given(agent, builder.body(body), redirects)?,
        (None, None) => given(agent, builder.body(()), redirects)?,
    })
}

fn given(
    agent: &Agent,
    request: Result<ureq::http::Request<impl ureq::AsSendBody>, ureq::http::Error>,
    redirects: Option<u32>,
) -> Result<Result<ureq::http::Response<ureq::Body>, ureq::Error>, Error> {
    let request = request.map_err(|_| Error::BadHeader)?;
    Ok(match redirects {
        None => agent.run(request),
        Some(redirects) => {
            let request = agent.configure_request(request);
            agent.run(request.max_redirects(redirects).build())
        }
    })
}

/// A redirect may have led to the endpoint that is not trusted: what is no mere question would be
/// sent to the first one twice.
fn is_far(request: &Request) -> bool {
    request.policy == Policy::Public && !["GET", "HEAD"].contains(&request.method)
}

fn is_untrusted(err: &ureq::Error) -> bool {
    match err {
        ureq::Error::Rustls(err) => trust::is_unknown(err),
        ureq::Error::Io(err) => err
            .get_ref()
            .and_then(|err| err.downcast_ref::<rustls::Error>())
            .is_some_and(trust::is_unknown),
        _ => false,
    }
}

/// Endpoints, as `host:port`, that an authority of this machine vouches for: asked so first.
static OWN: Mutex<Vec<String>> = Mutex::new(Vec::new());
/// Of them the last few are kept; another handshake is all that forgetting costs.
const MAX_OWN: usize = 16;

fn place(uri: &ureq::http::Uri) -> String {
    let port = uri.port_u16().unwrap_or(443);
    format!("{}:{port}", uri.host().unwrap_or_default())
}

fn is_own(uri: &ureq::http::Uri) -> bool {
    let place = place(uri);
    let own = OWN.lock().unwrap_or_else(PoisonError::into_inner);
    own.contains(&place)
}

fn set_own(uri: &ureq::http::Uri, is_own: bool) {
    let place = place(uri);
    let mut own = OWN.lock().unwrap_or_else(PoisonError::into_inner);
    own.retain(|known| *known != place);
    if is_own {
        if own.len() == MAX_OWN {
            own.remove(0);
        }
        own.push(place);
    }
}

fn agent(request: &Request, own: bool) -> &'static Agent {
    static ANY: [OnceLock<Agent>; 2] = [const { OnceLock::new() }; 2];
    static LOCAL: [OnceLock<Agent>; 2] = [const { OnceLock::new() }; 2];
    static PUBLIC: [OnceLock<Agent>; 2] = [const { OnceLock::new() }; 2];
    // Whose callers follow redirects themselves.
    static STEP: [OnceLock<Agent>; 2] = [const { OnceLock::new() }; 2];
    let policy = request.policy;
    let still = request.limits.redirects == 0;
    let at = usize::from(own);
    let make = |proxy| {
        let roots = match own {
            true => RootCerts::from(
                trust::own()
                    .iter()
                    .map(|der| Certificate::from_der(der).to_owned()),
            ),
            false => RootCerts::WebPki,
        };
        let config = Agent::config_builder()
            .tls_config(TlsConfig::builder().root_certs(roots).build())
            .proxy(proxy)
            .http_status_as_error(false)
            .max_redirects(match policy {
                Policy::Public if !still => REDIRECTS,
                _ => 0,
            })
            .max_redirects_will_error(false)
            .timeout_connect(Some(CONNECT))
            .max_response_header_size(MAX_HEAD)
            .input_buffer_size(BUFFER)
            .output_buffer_size(BUFFER)
            .max_idle_connections(KEPT)
            .max_idle_connections_per_host(KEPT_PER_HOST)
            .max_idle_age(KEPT_FOR)
            .user_agent(concat!("openclaw/", env!("CARGO_PKG_VERSION")))
            .build();
        let chain =
            ().chain(ureq::unversioned::transport::ConnectProxyConnector::default())
                .chain(Dialler(policy))
                .chain(RustlsConnector::default());
        Agent::with_parts(config, chain, Later)
    };
    match policy {
        Policy::Any if is_loopback(request.url) => LOCAL[at].get_or_init(|| make(None)),
        Policy::Any => ANY[at].get_or_init(|| make(ureq::Proxy::try_from_env())),
        Policy::Public if still => STEP[at].get_or_init(|| make(None)),
        Policy::Public => PUBLIC[at].get_or_init(|| make(None)),
    }
}

fn translate(err: ureq::Error, request: &Request) -> Error {
    match err {
        ureq::Error::BadUri(why) => Error::BadUrl(format!("{}: {why}", request.url)),
        ureq::Error::Http(_) => Error::BadHeader,
        ureq::Error::RequireHttpsOnly(url) => Error::BadUrl(url),
        err => broken(err, "an answer"),
    }
}

fn broken(err: ureq::Error, awaited: &str) -> Error {
    match err {
        ureq::Error::Timeout(_) => Error::Timeout(awaited.into()),
        ureq::Error::Rustls(err) => Error::Tls(err.to_string()),
        ureq::Error::Tls(why) => Error::Tls(why.into()),
        // rustls reports a bad certificate through its Read and Write as invalid data.
        ureq::Error::Io(err) if err.kind() == io::ErrorKind::InvalidData => {
            Error::Tls(err.to_string())
        }
        ureq::Error::Io(err) => Error::Broken(err.to_string()),
        err => Error::Broken(err.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::net::{TcpListener, TcpStream};
    use std::time::Instant;

    fn get(url: &str, policy: Policy, limits: Limits, cancel: &Cancel) -> Result<Response, Error> {
        let request = Request {
            method: "GET",
            url,
            headers: &[],
            body: None,
            policy,
            limits,
        };
        send(&request, cancel)
    }

    fn listen() -> (TcpListener, String) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        (listener, url)
    }

    fn head_of(stream: &mut TcpStream) {
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") {
            stream.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
    }

    #[test]
    fn cancelling_closes_the_connection_while_the_head_or_the_body_is_awaited() {
        for part in ["", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello"] {
            let (listener, url) = listen();
            let cancel = Cancel::new();
            let server = std::thread::spawn({
                let cancel = cancel.clone();
                move || {
                    let (mut stream, _) = listener.accept().unwrap();
                    head_of(&mut stream);
                    stream.write_all(part.as_bytes()).unwrap();
                    std::thread::sleep(Duration::from_millis(20));
                    let start = Instant::now();
                    cancel.cancel();
                    assert_eq!(stream.read(&mut [0]).unwrap(), 0, "the server sees the end");
                    start.elapsed()
                }
            });
            let result = get(&url, Policy::Any, Limits::default(), &cancel).and_then(|r| r.text());
            assert_eq!(result, Err(Error::Cancelled));
            let took = server.join().unwrap();
            assert!(took < Duration::from_millis(100), "{took:?}");
        }
    }

    #[test]
    fn cancelling_ends_a_connect_that_gets_no_answer() {
        let cancel = Cancel::new();
        std::thread::spawn({
            let cancel = cancel.clone();
            move || {
                std::thread::sleep(Duration::from_millis(50));
                cancel.cancel();
            }
        });
        let start = Instant::now();
        // TEST-NET-1: routers drop it, or the host says at once that there is no way.
        let result = get("http://192.0.2.1/", Policy::Any, Limits::default(), &cancel);
        assert!(result.is_err());
        assert!(start.elapsed() < Duration::from_millis(500));
    }

    #[test]
    fn the_policy_sees_the_address_that_is_connected_to() {
        let (_listener, url) = listen();
        let named = url.replace("127.0.0.1", "localhost");
        for url in [url, named] {
            let result = get(&url, Policy::Public, Limits::default(), &Cancel::new());
            assert!(matches!(result.err(), Some(Error::Denied(..))), "{url}");
        }
    }

    #[test]
    fn a_connection_is_used_again_and_a_large_or_slow_body_is_refused() {
        let (listener, url) = listen();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            for _ in 0..2 {
                head_of(&mut stream);
                stream
                    .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
                    .unwrap();
            }
            let (mut stream, _) = listener.accept().unwrap();
            head_of(&mut stream);
            stream
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe")
                .unwrap();
            stream.read(&mut [0]).unwrap()
        });
        let cancel = Cancel::new();
        let text = get(&url, Policy::Any, Limits::default(), &cancel).unwrap();
        assert_eq!(text.text().unwrap(), "hello");
        let small = Limits {
            body: 4,
            ..Limits::default()
        };
        let large = get(&url, Policy::Any, small, &cancel).unwrap().text();
        assert_eq!(large, Err(Error::TooLarge(4)));
        let hasty = Limits {
            idle: Duration::from_millis(30),
            ..Limits::default()
        };
        let slow = get(&url, Policy::Any, hasty, &cancel).unwrap().text();
        assert!(matches!(slow, Err(Error::Timeout(_))), "{slow:?}");
        assert_eq!(server.join().unwrap(), 0);
    }

    #[test]
    fn no_proxy_is_asked_for_what_is_on_this_machine() {
        for url in [
            "http://127.0.0.1:1/v1",
            "http://LOCALHOST/",
            "http://[::1]:8080/x",
        ] {
            assert!(is_loopback(url), "{url}");
        }
        for url in [
            "https://api.openai.com/v1",
            "http://127.0.0.1.example.com/",
            "nonsense",
        ] {
            assert!(!is_loopback(url), "{url}");
        }
    }

    #[test]
    fn a_closed_port_is_named() {
        let (listener, url) = listen();
        drop(listener);
        let error = get(&url, Policy::Any, Limits::default(), &Cancel::new()).err();
        let text = error.unwrap().to_string();
        assert!(text.ends_with(": Connection refused"), "{text}");
    }
}
