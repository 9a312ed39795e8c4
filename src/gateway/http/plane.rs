//! The HTTP plane: a tiny_http server on a private Unix socket. It starts with the first request
//! that needs it and meets nobody but the front.
//!
//! The front tells it who the client is in headers: a key made at start, which no other process
//! knows, the verified peer, the door it came by, and the number of the request's ticket. A request without the key is refused: the socket's mode keeps
//! other users out, the key keeps out what else runs as our user.

use super::exchange::{Door, Exchange, Sender};
use super::gate::Rooms;
use super::metrics::Answers;
use crate::base::atomic;
use crate::base::cancel::Cancel;
use crate::base::id;
use crate::base::secret::constant_time_eq;
use crate::gateway::core::Core;
use crate::gateway::handshake::Trust;
use crate::net::head::Head;
use crate::net::stream::Peer;
use std::collections::HashMap;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Requests in work at once; more wait in tiny_http.
pub(super) const MAX_REQUESTS: usize = 64;
/// Stack of a request's thread: endpoints parse deep JSON.
const STACK: usize = 1024 * 1024;

const KEY: &str = "x-openclaw-front";
const PEER: &str = "x-openclaw-peer";
const TICKET: &str = "x-openclaw-ticket";
const DOOR: &str = "x-openclaw-door";
/// Headers of the client that end here: ours, and those that speak about its own connection.
const DROPPED: [&str; 9] = [
    KEY,
    PEER,
    TICKET,
    DOOR,
    "connection",
    "expect",
    "keep-alive",
    "proxy-connection",
    "upgrade",
];

pub struct Plane {
    key: String,
    running: Mutex<bool>,
    next: AtomicU64,
    /// Requests whose clients are there, by ticket.
    asking: Mutex<HashMap<u64, Cancel>>,
    pub rooms: Rooms,
    pub answers: Arc<Answers>,
    working: Arc<AtomicUsize>,
}

/// A request as the front holds it. Dropped, or cancelled, when nobody waits for the answer any
/// more.
pub struct Ticket<'a> {
    plane: &'a Plane,
    number: u64,
    pub gone: Cancel,
}

impl Default for Plane {
    fn default() -> Plane {
        Plane {
            key: id::token(),
            running: Mutex::default(),
            next: AtomicU64::default(),
            asking: Mutex::default(),
            rooms: Rooms::default(),
            answers: Arc::default(),
            working: Arc::default(),
        }
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        self.plane.asking().remove(&self.number);
        self.gone.cancel();
    }
}

impl Plane {
    pub fn ticket(&self) -> Ticket<'_> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let gone = Cancel::new();
        self.asking().insert(number, gone.clone());
        Ticket {
            plane: self,
            number,
            gone,
        }
    }

    fn asking(&self) -> MutexGuard<'_, HashMap<u64, Cancel>> {
        self.asking.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Requests in work.
    pub fn working(&self) -> usize {
        self.working.load(Ordering::Relaxed)
    }

    /// The head as the plane sees it.
    pub fn rewritten(
        &self,
        head: &Head,
        peer: Peer,
        trust: Trust,
        door: Door,
        ticket: &Ticket,
    ) -> Vec<u8> {
        let mut out = format!("{} {} HTTP/1.{}\r\n", head.method, head.target, head.minor);
        out.push_str(&format!("{KEY}: {}\r\n{PEER}: ", self.key));
        match (peer, trust) {
            (Peer::Ip(addr), _) => out.push_str(&addr.ip().to_string()),
            (Peer::Local(_), Trust::Owner) => out.push_str("owner"),
            (Peer::Local(_), Trust::Confined) => out.push_str("confined"),
            (Peer::Local(_), Trust::None) => out.push_str("unknown"),
        }
        let door = match door {
            Door::Gateway => "gateway",
            Door::Canvas => "canvas",
        };
        out.push_str(&format!(
            "\r\n{TICKET}: {}\r\n{DOOR}: {door}\r\nConnection: close\r\n",
            ticket.number
        ));
        let mut out = out.into_bytes();
        for header in head.headers {
            if DROPPED.iter().any(|d| header.name.eq_ignore_ascii_case(d)) {
                continue;
            }
            out.extend_from_slice(header.name.as_bytes());
            out.extend_from_slice(b": ");
            out.extend_from_slice(header.value);
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(b"\r\n");
        out
    }

    /// Who sent the request, when it came through the front, and what tells when they have gone.
    fn sender(&self, request: &tiny_http::Request) -> Option<(Sender, Cancel)> {
        let value = |name: &str| {
            let header = request
                .headers()
                .iter()
                .find(|h| h.field.as_str().as_str().eq_ignore_ascii_case(name));
            header.map(|h| h.value.as_str())
        };
        if !constant_time_eq(value(KEY)?.as_bytes(), self.key.as_bytes()) {
            return None;
        }
        let (ip, trust) = match value(PEER)? {
            "owner" => (None, Trust::Owner),
            "confined" => (None, Trust::Confined),
            text => (text.parse().ok(), Trust::None),
        };
        let door = match value(DOOR)? {
            "gateway" => Door::Gateway,
            _ => Door::Canvas,
        };
        let number = value(TICKET)?.parse().ok()?;
        let gone = self.asking().get(&number).cloned();
        let gone = gone.unwrap_or_else(|| {
            // The client left before its request was looked at.
            let gone = Cancel::new();
            gone.cancel();
            gone
        });
        Some((Sender { ip, trust, door }, gone))
    }
}

/// A connection to the plane, which is started when it does not run yet.
pub fn connect(core: &Arc<Core>) -> io::Result<UnixStream> {
    let path = core.config.paths().http_sock();
    {
        let mut running = core
            .plane
            .running
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if !*running {
            start(core, &path)?;
            *running = true;
        }
    }
    UnixStream::connect(path)
}

fn start(core: &Arc<Core>, path: &std::path::Path) -> io::Result<()> {
    if let Some(dir) = path.parent() {
        atomic::create_private_dir(dir)?;
    }
    // A core before us left it; nobody else may have it (one gateway lock per state directory).
    match std::fs::remove_file(path) {
        Err(err) if err.kind() != io::ErrorKind::NotFound => return Err(err),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(atomic::PRIVATE_FILE))?;
    let server = tiny_http::Server::from_listener(listener, None)
        .map_err(|err| io::Error::other(err.to_string()))?;
    let core = core.clone();
    std::thread::Builder::new()
        .name("http".into())
        .stack_size(128 * 1024)
        .spawn(move || run(&core, &server))?;
    Ok(())
}

fn run(core: &Arc<Core>, server: &tiny_http::Server) {
    let working = core.plane.working.clone();
    loop {
        let request = match server.recv() {
            Ok(request) => request,
            Err(err) => {
                log::error!("HTTP plane: {err}");
                // The next relayed request starts a new server.
                *core
                    .plane
                    .running
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner) = false;
                return;
            }
        };
        let Some((sender, gone)) = core.plane.sender(&request) else {
            log::warn!("HTTP plane: refused a request that did not come through the front");
            let _ = request.respond(tiny_http::Response::empty(403));
            continue;
        };
        let exchange = Exchange::new(request, sender, gone, core.plane.answers.clone());
        if working.fetch_add(1, Ordering::Relaxed) >= MAX_REQUESTS {
            working.fetch_sub(1, Ordering::Relaxed);
            exchange.text(503, "Too many requests in work");
            continue;
        }
        let (core, count) = (core.clone(), working.clone());
        let started = std::thread::Builder::new()
            .name("http request".into())
            .stack_size(STACK)
            .spawn(move || {
                super::serve(&core, exchange);
                count.fetch_sub(1, Ordering::Relaxed);
            });
        if let Err(err) = started {
            working.fetch_sub(1, Ordering::Relaxed);
            log::error!("cannot start an HTTP request thread: {err}");
        }
    }
}
