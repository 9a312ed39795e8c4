//! One WebSocket connection from its upgrade to its end, on one thread.
//!
//! Until the client is accepted there is a deadline and at most one request is looked at. After
//! that the thread reads frames for as long as the client stays. Everything sent goes through the
//! outbox, also what tungstenite says by itself (pongs, the answer to a close).

use super::broadcast::{Client, Line, Rules};
use super::core::Core;
use super::dispatch;
use super::handshake::{self, Accepted, Facts, Refused, short};
use super::hello;
use super::http::canvas;
use super::outbox::{Outbox, Slow};
use crate::base::id;
use crate::base::sys::stack;
use crate::base::time::now_ms;
use crate::net::frame;
use crate::net::listen::{self, Admitted};
use crate::net::stream::Stream;
use crate::wire::gateway::frame::{Event, MAX_PAYLOAD, Response};
use serde_json::json;
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::{Duration, Instant};
use tungstenite::protocol::{Role, WebSocketConfig};
use tungstenite::{Bytes, Error, Message, Utf8Bytes, WebSocket};

/// From the opened socket to the accepted connect.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// What a connection's read buffer holds while idle: a usual request fits.
const READ_BUFFER: usize = 2048;
/// A message above this made tungstenite's buffer larger than an idle connection should keep.
const LARGE: usize = 16 * 1024;

/// How long a client must be silent before its thread gives back the stack that requests touched.
const SETTLE: Duration = Duration::from_secs(1);

/// The socket as tungstenite sees it.
struct Io {
    stream: Arc<Stream>,
    outbox: Arc<Outbox>,
    /// Reads fail at this time.
    deadline: Option<Instant>,
    /// A read that finds nothing for `SETTLE` comes back, once, so that the thread can tidy up
    /// before it waits for as long as the client is silent.
    settling: bool,
    /// The last large message. Holding it until the next read keeps tungstenite from making its
    /// buffer the idle connection's own.
    held: Option<Utf8Bytes>,
}

/// How the reading of one message ended.
enum Received {
    Text(Utf8Bytes),
    /// The peer left, or the connection broke.
    Gone,
    /// Nothing came before the deadline.
    Late,
    /// The peer broke the rules; it is told with this close code.
    Broken(u16),
}

/// Serves a connection whose upgrade request was read. `rest` is what came after its head.
pub fn serve(core: &Arc<Core>, place: Admitted, mut facts: Facts, key: &str, rest: Vec<u8>) {
    let stream = place.stream.clone();
    let outbox = Outbox::new(stream.clone(), core.flusher.clone());
    facts.nonce = id::uuid();
    outbox.send(greeting(key, &facts.nonce), Slow::Queue);
    let io = Io {
        stream,
        outbox: outbox.clone(),
        deadline: Some(Instant::now() + HANDSHAKE),
        settling: false,
        held: None,
    };
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(0)
        .max_message_size(Some(MAX_PAYLOAD))
        .max_frame_size(Some(MAX_PAYLOAD));
    let mut socket = WebSocket::from_partially_read(io, rest, Role::Server, Some(config));
    match accept(core, &mut socket, &outbox, &facts) {
        Some(client) => {
            place.attended();
            stay(core, client.clone(), outbox, socket, place);
            core.connected(&client);
        }
        None => {
            end(&outbox);
            core.departed();
        }
    }
}

/// Goes on with an accepted client in a fresh thread: signatures and the hello went deep and left
/// much in this one's stack and allocation cache, and the client may stay for days.
fn stay(
    core: &Arc<Core>,
    client: Arc<Client>,
    outbox: Arc<Outbox>,
    mut socket: WebSocket<Io>,
    place: Admitted,
) {
    let thread = std::thread::Builder::new()
        .name("client".into())
        .stack_size(listen::STACK);
    let started = thread.spawn({
        let (core, client, outbox) = (core.clone(), client.clone(), outbox.clone());
        move || {
            let _place = place;
            read(&core, &client, &outbox, &mut socket);
            leave(&core, &client);
            end(&outbox);
        }
    });
    if let Err(err) = started {
        log::error!("cannot start a client's thread: {err}");
        leave(core, &client);
        outbox.end();
    }
}

fn end(outbox: &Arc<Outbox>) {
    if outbox.is_closing() {
        drain(outbox.stream());
    }
    outbox.end();
}

/// The answer to the upgrade and the challenge, in one write.
fn greeting(key: &str, nonce: &str) -> Bytes {
    let accept = tungstenite::handshake::derive_accept_key(key.as_bytes());
    let mut bytes = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\r\n"
    )
    .into_bytes();
    let payload = json!({"nonce": nonce, "ts": now_ms()});
    bytes.extend_from_slice(&frame::json(&Event::new("connect.challenge", &payload)));
    bytes.into()
}

/// Reads the first message and answers it. `None` when the client was refused or left; its close
/// frame, if any, is on its way then.
fn accept(
    core: &Arc<Core>,
    socket: &mut WebSocket<Io>,
    outbox: &Arc<Outbox>,
    facts: &Facts,
) -> Option<Arc<Client>> {
    let text = match receive(socket) {
        Received::Text(text) => text,
        Received::Gone => return None,
        Received::Late => {
            outbox.close(1000, "");
            return None;
        }
        Received::Broken(code) => {
            outbox.close(code, "");
            return None;
        }
    };
    match handshake::judge(core, facts, &text) {
        Ok(accepted) => {
            socket.get_mut().deadline = None;
            let canvas = canvas::url(core, facts);
            Some(welcome(core, outbox, accepted, canvas))
        }
        Err(refused) => {
            let Refused {
                answer,
                code,
                reason,
            } = *refused;
            core.failures
                .log(|| format!("refused {}: {}", facts.shown(), short(&reason)));
            if let Some((id, error)) = answer {
                outbox.send(
                    frame::json(&Response::<()>::new(&id, None, Some(&error))),
                    Slow::Queue,
                );
            }
            outbox.close(code, &reason);
            None
        }
    }
}

fn welcome(
    core: &Arc<Core>,
    outbox: &Arc<Outbox>,
    accepted: Accepted,
    canvas: Option<String>,
) -> Arc<Client> {
    let connect = accepted.connect;
    let role = connect.role().to_string();
    let said = connect.client;
    let text = |t: Option<String>| t.as_deref().map(short);
    let client = Arc::new(Client {
        conn_id: id::uuid(),
        role,
        scopes: accepted.scopes,
        caps: connect.caps,
        commands: connect.commands,
        permissions: connect.permissions,
        path_env: connect.path_env,
        device_id: accepted.device_id,
        client_id: said.id,
        mode: said.mode,
        display_name: text(said.display_name),
        version: short(&said.version),
        platform: short(&said.platform),
        device_family: text(said.device_family),
        model_identifier: text(said.model_identifier),
        instance_id: text(said.instance_id),
        remote_ip: accepted.remote_ip,
        confined: accepted.confined,
        connected_at_ms: now_ms(),
        in_flight: AtomicUsize::new(0),
        line: Line::Socket(outbox.clone()),
    });
    if core.presence.record(&client, "connect") {
        core.clients.bump_presence();
    }
    let token = accepted.token.as_ref();
    let bytes = hello::with(core, &client.conn_id, token, canvas, |hello| {
        frame::json(&Response::new(&accepted.id, Some(hello), None))
    });
    core.clients.admit(client.clone(), bytes);
    client
}

/// Serves the client's messages until it leaves or is closed.
fn read(core: &Arc<Core>, client: &Arc<Client>, outbox: &Arc<Outbox>, socket: &mut WebSocket<Io>) {
    loop {
        outbox.wait_until_read();
        if outbox.is_closing() {
            return;
        }
        match receive(socket) {
            Received::Text(text) => {
                dispatch::message(core, client, &text);
                if text.len() > LARGE {
                    socket.get_mut().held = Some(text);
                }
            }
            Received::Gone | Received::Late => return,
            Received::Broken(code) => {
                outbox.close(code, "");
                return;
            }
        }
    }
}

fn leave(core: &Arc<Core>, client: &Arc<Client>) {
    core.clients.remove(client);
    core.approvals.left(core, &client.conn_id);
    core.departed();
    if core.presence.record(client, "disconnect") {
        core.clients.bump_presence();
        let presence = core.presence.list();
        core.clients
            .broadcast("presence", &json!({"presence": presence}), Rules::PRESENCE);
    }
}

/// The next message. Binary messages that hold text count as text.
fn receive(socket: &mut WebSocket<Io>) -> Received {
    loop {
        match socket.read() {
            Ok(Message::Text(text)) => return Received::Text(text),
            Ok(Message::Binary(bytes)) => {
                // What is not text is not JSON either, and is treated as such.
                let text = Utf8Bytes::try_from(bytes).unwrap_or_default();
                return Received::Text(text);
            }
            Ok(_) => {}
            Err(Error::Capacity(_)) => return Received::Broken(1009),
            Err(Error::Utf8(_)) => return Received::Broken(1007),
            Err(Error::Io(err)) if err.kind() == io::ErrorKind::TimedOut => return Received::Late,
            Err(Error::Io(_) | Error::ConnectionClosed | Error::AlreadyClosed) => {
                return Received::Gone;
            }
            Err(Error::Protocol(
                tungstenite::error::ProtocolError::ResetWithoutClosingHandshake,
            )) => return Received::Gone,
            Err(_) => return Received::Broken(1002),
        }
    }
}

/// Reads and forgets until the peer ends the connection; closing with data unread would reset it
/// and the peer might never see the close frame. The flusher ends what takes too long.
#[inline(never)]
fn drain(mut stream: &Stream) {
    let mut scratch = [0; 1024];
    loop {
        match stream.read(&mut scratch) {
            Ok(0) => return,
            Ok(_) => {}
            Err(err)
                if [io::ErrorKind::Interrupted, io::ErrorKind::WouldBlock]
                    .contains(&err.kind()) => {}
            Err(_) => return,
        }
    }
}

impl Read for Io {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.held = None;
        if let Some(at) = self.deadline {
            return self.stream.receive_by(buf, at);
        }
        loop {
            match (&*self.stream).read(buf) {
                // tungstenite would hand it to us as a broken connection.
                Err(err) if err.kind() == io::ErrorKind::Interrupted => {}
                Err(err) if err.kind() == io::ErrorKind::WouldBlock && self.settling => {
                    stack::release_unused();
                    self.settle(None)?;
                }
                other => {
                    if !self.settling {
                        self.settle(Some(SETTLE))?;
                    }
                    return other;
                }
            }
        }
    }
}

impl Io {
    fn settle(&mut self, after: Option<Duration>) -> io::Result<()> {
        self.settling = after.is_some();
        self.stream.set_read_timeout(after)
    }
}

impl Write for Io {
    /// Takes everything: the outbox bounds what a client can make us say.
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.outbox.send(Bytes::copy_from_slice(buf), Slow::Close);
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
