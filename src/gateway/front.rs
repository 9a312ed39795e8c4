//! The front: every connection arrives here, shows the head of a request, and is sent on.
//!
//! WebSocket upgrades stay in this process and thread; the probes are answered at once; everything
//! else is relayed to the HTTP plane, which therefore never meets the network.

use super::connection;
use super::core::Core;
use super::failures;
use super::handshake::{Facts, Trust};
use super::http::canvas::{self, reload};
use super::http::exchange::Door;
use super::http::plane::{self, Ticket};
use super::origin::{self, Forwarding};
use crate::base::sys::uname;
use crate::net::certificate::Certificate;
use crate::net::head::{self, Head, Input};
use crate::net::listen::{self, Accepting, Admitted, Listener, Service};
use crate::net::relay::{self, Body};
use crate::net::stream::{Peer, Stream};
use crate::net::tls::Refused;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// From the opened connection to its first byte, and from there to the whole head.
const HEAD_TIME: Duration = Duration::from_secs(10);
/// How long a probe's connection may stay open between two questions.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// For a name that is not ours.
const REBOUND: &str = "403 Forbidden";
/// Said by us, since the body is read before the plane is asked.
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

struct Front {
    core: Arc<Core>,
    door: Door,
    /// What TCP clients are shown; without one they speak plainly.
    certificate: Option<Arc<Certificate>>,
    hostname: String,
}

/// Where a request goes.
enum Route<'a> {
    Gateway {
        facts: Box<Facts>,
        key: String,
    },
    /// A page of the canvas waits for changes.
    Page {
        key: String,
    },
    Probe {
        answer: Vec<u8>,
        last: bool,
    },
    Plane {
        head: Vec<u8>,
        body: Body,
        /// The client waits for a word before it sends the body.
        waits: bool,
        ticket: Ticket<'a>,
    },
    Refuse(&'static str),
}

/// Starts accepting on all listeners.
pub fn serve(
    core: &Arc<Core>,
    listeners: Vec<Listener>,
    door: Door,
    certificate: Option<Arc<Certificate>>,
) -> io::Result<Accepting> {
    let front = Front {
        core: core.clone(),
        door,
        certificate,
        hostname: uname::hostname(),
    };
    listen::start(listeners, Arc::new(front))
}

impl Service for Front {
    fn serve(&self, connection: Admitted) {
        let peer = connection.peer;
        match self.secured(connection) {
            Ok(connection) => {
                if let Some(connection) = self.attend(connection) {
                    drop(connection);
                    self.core.departed();
                }
            }
            Err(why) => {
                log::debug!("refused {peer}: {why}");
                self.core.departed();
            }
        }
    }

    fn is_shared(&self, ip: IpAddr) -> bool {
        let config = self.core.config.current();
        origin::is_trusted(ip, &config.config.gateway.trusted_proxies)
    }
}

impl Front {
    /// Local sockets and a gateway without TLS stay as they are.
    fn secured(&self, connection: Admitted) -> Result<Admitted, Refused> {
        match (&self.certificate, connection.peer) {
            (Some(certificate), Peer::Ip(_)) => {
                connection.secured(certificate.config(), Instant::now() + HEAD_TIME)
            }
            _ => Ok(connection),
        }
    }

    /// Answers requests until one is the last, and gives the connection back; one that became a
    /// WebSocket is given on.
    fn attend(&self, connection: Admitted) -> Option<Admitted> {
        let stream = connection.stream.clone();
        let mut input = Input::default();
        let mut idle = HEAD_TIME;
        loop {
            let len = match input.head(&stream, idle, HEAD_TIME) {
                Ok(Some(len)) => len,
                Ok(None) | Err(head::Error::Io(_)) => return Some(connection),
                Err(err) => {
                    refuse(&stream, status_of(&err));
                    return Some(connection);
                }
            };
            match self.route(&input.bytes()[..len], &connection) {
                Route::Probe { answer, last } => {
                    // A client that does not even take this has broken off.
                    if !matches!(stream.send_now(&answer), Ok(sent) if sent == answer.len()) || last
                    {
                        return Some(connection);
                    }
                    if idle == HEAD_TIME {
                        connection.attended();
                    }
                    input.consume(len);
                    idle = KEEP_ALIVE;
                }
                Route::Gateway { facts, key } => {
                    let rest = input.into_rest(len);
                    drop(stream);
                    connection::serve(&self.core, connection, *facts, &key, rest);
                    return None;
                }
                Route::Page { key } => {
                    let rest = input.into_rest(len);
                    reload::serve(&self.core, &connection, &key, rest);
                    return Some(connection);
                }
                Route::Plane {
                    head,
                    body,
                    waits,
                    ticket,
                } => {
                    if waits && stream.send_now(CONTINUE).is_err() {
                        return Some(connection);
                    }
                    self.relay(&stream, head, input.into_rest(len), body, &ticket);
                    return Some(connection);
                }
                Route::Refuse(status) => {
                    refuse(&stream, status);
                    return Some(connection);
                }
            }
        }
    }

    /// Reads the head and decides. Not part of `serve`, so that its buffers are gone from the stack
    /// while a connection lives.
    #[inline(never)]
    fn route(&self, bytes: &[u8], connection: &Admitted) -> Route<'_> {
        let peer = connection.peer;
        let mut slots = head::slots();
        let head = match head::parse(bytes, &mut slots) {
            Ok(head) => head,
            Err(err) => return Route::Refuse(status_of(&err)),
        };
        let gateway = self.door == Door::Gateway;
        if gateway && ["GET", "HEAD"].contains(&head.method) && !head.has_body() {
            let last = head.closes();
            if let Some(answer) = self.core.probe.answer(&self.core, &head, last) {
                return Route::Probe { answer, last };
            }
        }
        if self.is_rebound(&head, peer) {
            return Route::Refuse(REBOUND);
        }
        if head.wants_websocket() {
            let page = head.path() == canvas::SOCKET;
            if page && reload::is_offered(&self.core.config) {
                return match upgrade_key(&head) {
                    Ok(key) => Route::Page { key: key.into() },
                    Err(refused) => Route::Refuse(refused),
                };
            }
            if !page && gateway {
                return upgrade(&head, connection);
            }
        }
        let body = match body(&head) {
            Ok(body) => body,
            Err(status) => return Route::Refuse(status),
        };
        let trust = Trust::of(&peer, &self.core);
        let ticket = self.core.plane.ticket();
        Route::Plane {
            head: self
                .core
                .plane
                .rewritten(&head, peer, trust, self.door, &ticket),
            ticket,
            body,
            waits: head.lists("expect", "100-continue"),
        }
    }

    /// A gateway that listens on this machine only was asked for by a name that is not this
    /// machine's: some page had its own name point here. See `origin::is_ours`.
    fn is_rebound(&self, head: &Head, peer: Peer) -> bool {
        let (Peer::Ip(addr), true) = (peer, self.core.listen.is_loopback()) else {
            return false;
        };
        let host = head.header("host");
        let config = self.core.config.current();
        let gateway = &config.config.gateway;
        if origin::is_ours(host, &self.hostname, &gateway.control_ui.allowed_origins)
            || origin::is_trusted(addr.ip(), &gateway.trusted_proxies)
        {
            return false;
        }
        self.core.failures.log(|| {
            let host = failures::shown(host.unwrap_or_default());
            format!(
                "refused {peer}: {host:?} is no name of this machine (a proxy belongs into \
                 gateway.trustedProxies)"
            )
        });
        true
    }

    #[inline(never)]
    fn relay(
        &self,
        stream: &Stream,
        mut request: Vec<u8>,
        rest: Vec<u8>,
        body: Body,
        ticket: &Ticket,
    ) {
        // Bytes of a next request (pipelining) stay unread: this connection ends after the answer.
        let (rest, body) = match body {
            Body::Length(all) => {
                let have = usize::try_from(all).map_or(rest.len(), |all| all.min(rest.len()));
                (&rest[..have], Body::Length(all - have as u64))
            }
            Body::Open => (&rest[..], Body::Open),
        };
        request.extend_from_slice(rest);
        let body = match relay::hold(stream, &mut request, body) {
            Ok(left) => left,
            Err(err) if err.kind() == io::ErrorKind::TimedOut => {
                return refuse(stream, "408 Request Timeout");
            }
            Err(err) => return log::debug!("relay: {err}"),
        };
        let plane = match plane::connect(&self.core) {
            Ok(plane) => Stream::Unix(plane),
            Err(err) => {
                log::error!("cannot reach the HTTP plane: {err}");
                return refuse(stream, "503 Service Unavailable");
            }
        };
        if let Err(err) = relay::relay(stream, &plane, request, body, &ticket.gone) {
            log::debug!("relay: {err}");
        }
        // The answer may end with the connection: TLS must say that it is whole.
        stream.finish();
    }
}

/// The facts of an upgrade, or what is wrong with it.
fn upgrade(head: &Head, connection: &Admitted) -> Route<'static> {
    let key = match upgrade_key(head) {
        Ok(key) => key,
        Err(refused) => return Route::Refuse(refused),
    };
    Route::Gateway {
        key: key.to_string(),
        facts: Box::new(Facts {
            peer: connection.peer,
            page: head.header("origin").map(str::to_string),
            local: connection.stream.local_ip(),
            nonce: String::new(),
            forwarding: Forwarding::read(|name| head.joined(name)),
        }),
    }
}

/// The key of a well-formed upgrade, or the status of what is wrong with it.
fn upgrade_key<'a>(head: &Head<'a>) -> Result<&'a str, &'static str> {
    const BAD: &str = "400 Bad Request";
    let key = head.header("sec-websocket-key").filter(|k| !k.is_empty());
    let key = key.ok_or(BAD)?;
    if head.method != "GET" || head.minor == 0 || !head.lists("connection", "upgrade") {
        return Err(BAD);
    }
    if head.header("sec-websocket-version") != Some("13") {
        return Err("426 Upgrade Required\r\nSec-WebSocket-Version: 13");
    }
    Ok(key)
}

/// How much body follows. A head that says two things about it is refused: the plane might believe
/// the other one.
fn body(head: &Head) -> Result<Body, &'static str> {
    const BAD: &str = "400 Bad Request";
    let length = head.header("content-length");
    if head.has("transfer-encoding") {
        return match length {
            None if head.lists("transfer-encoding", "chunked") => Ok(Body::Open),
            _ => Err(BAD),
        };
    }
    match length {
        None if head.has("content-length") => Err(BAD),
        None => Ok(Body::Length(0)),
        Some(text) if text.bytes().all(|b| b.is_ascii_digit()) => {
            text.parse().map(Body::Length).map_err(|_| BAD)
        }
        Some(_) => Err(BAD),
    }
}

fn status_of(err: &head::Error) -> &'static str {
    match err {
        head::Error::TooLarge => "431 Request Header Fields Too Large",
        head::Error::Late => "408 Request Timeout",
        head::Error::Malformed | head::Error::Io(_) => "400 Bad Request",
    }
}

/// Best effort: the peer of a broken request may be gone.
fn refuse(stream: &Stream, status: &str) {
    let answer = format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    let _ = stream.send_now(answer.as_bytes());
    stream.finish();
}
