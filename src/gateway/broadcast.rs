//! The connected clients and what is sent to them: events to all, to some, or to one.
//!
//! A frame is serialised once and the same bytes go to every receiver. The registry's lock is held
//! while a broadcast is numbered and handed to the outboxes (which never wait), so every client
//! sees rising numbers.

use super::outbox::{Outbox, Slow};
use crate::net::frame;
use crate::wire::gateway::frame::{Event, Response, RpcError, StateVersion};
use crossbeam_channel::Sender;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tungstenite::Bytes;

/// Who calls methods: an accepted WebSocket connection, or something of ours (see `inside`).
pub struct Client {
    /// UUID.
    pub conn_id: String,
    pub role: String,
    pub scopes: Vec<String>,
    /// Declared capabilities, such as `tool-events`.
    pub caps: Vec<String>,
    /// Commands a node offers, as declared.
    pub commands: Vec<String>,
    pub permissions: Option<serde_json::Value>,
    pub path_env: Option<String>,
    pub device_id: Option<String>,
    pub client_id: String,
    pub mode: String,
    pub display_name: Option<String>,
    pub version: String,
    pub platform: String,
    pub device_family: Option<String>,
    pub model_identifier: Option<String>,
    pub instance_id: Option<String>,
    /// Only for clients that are not local.
    pub remote_ip: Option<String>,
    /// The peer may be a command started for the agent: it has neither admin nor approvals.
    pub confined: bool,
    pub connected_at_ms: u64,
    /// Requests that wait for or run on a pool thread.
    pub in_flight: AtomicUsize,
    pub line: Line,
}

/// Where a client's answers go.
pub enum Line {
    Socket(Arc<Outbox>),
    /// Within this process. It hears answers, and no events.
    Inside(Sender<Heard>),
}

/// One answer, as a caller within this process hears it.
pub struct Heard {
    pub payload: Option<Box<RawValue>>,
    pub error: Option<RpcError>,
}

impl Line {
    fn send(&self, bytes: Bytes, slow: Slow) {
        if let Line::Socket(outbox) = self {
            outbox.send(bytes, slow);
        }
    }
}

impl Client {
    pub fn is_operator(&self) -> bool {
        self.role == "operator"
    }

    pub fn has_scope(&self, scope: &str) -> bool {
        self.scopes.iter().any(|s| s == scope)
    }

    pub fn has_cap(&self, cap: &str) -> bool {
        self.caps.iter().any(|c| c == cap)
    }
}

/// How an event treats receivers that lag and receivers without rights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// Skip a client that is over its buffer instead of closing it.
    pub drop_if_slow: bool,
    /// Only operators with this scope (or admin).
    pub scope: Option<&'static str>,
    /// Attach the state versions.
    pub state_version: bool,
}

impl Rules {
    /// Every client gets it; one that lags is closed.
    pub const ALL: Rules = Rules {
        drop_if_slow: false,
        scope: None,
        state_version: false,
    };
    /// Every client that keeps up gets it.
    pub const DROP: Rules = Rules {
        drop_if_slow: true,
        ..Rules::ALL
    };
    pub const HEALTH: Rules = Rules {
        state_version: true,
        ..Rules::ALL
    };
    pub const PRESENCE: Rules = Rules {
        state_version: true,
        ..Rules::DROP
    };
    /// Device and node pairing.
    pub const PAIRING: Rules = Rules {
        scope: Some("operator.pairing"),
        ..Rules::DROP
    };
    pub const APPROVALS: Rules = Rules {
        scope: Some("operator.approvals"),
        ..Rules::DROP
    };
}

pub struct Clients {
    registry: Mutex<Registry>,
    presence_version: AtomicU64,
    health_version: AtomicU64,
}

#[derive(Default)]
struct Registry {
    clients: Vec<Arc<Client>>,
    /// Number of the last broadcast.
    seq: u64,
    /// Set by `close_all`: clients accepted later are closed at once.
    closed: Option<(u16, &'static str)>,
}

impl Default for Clients {
    fn default() -> Clients {
        Clients {
            registry: Mutex::default(),
            presence_version: AtomicU64::new(1),
            health_version: AtomicU64::new(1),
        }
    }
}

impl Clients {
    /// Sends to every accepted client; numbers the frame before filtering.
    pub fn broadcast(&self, event: &str, payload: &impl Serialize, rules: Rules) {
        let mut registry = self.registry();
        registry.seq += 1;
        let mut receivers = registry
            .clients
            .iter()
            .filter(|client| rules.admit(client))
            .peekable();
        if receivers.peek().is_none() {
            return;
        }
        let mut message = Event::new(event, payload);
        message.seq = Some(registry.seq);
        message.state_version = rules.state_version.then(|| self.state_version());
        let bytes = frame::json(&message);
        let slow = if rules.drop_if_slow {
            Slow::Drop
        } else {
            Slow::Close
        };
        for client in receivers {
            client.line.send(bytes.clone(), slow);
        }
    }

    /// Sends to one connection, without a number.
    pub fn send_to(&self, conn_id: &str, event: &str, payload: &impl Serialize) {
        if let Some(client) = self.find(conn_id) {
            client.send(event, payload);
        }
    }

    pub fn find(&self, conn_id: &str) -> Option<Arc<Client>> {
        let registry = self.registry();
        registry
            .clients
            .iter()
            .find(|c| c.conn_id == conn_id)
            .cloned()
    }

    /// Every accepted connection now.
    pub fn all(&self) -> Vec<Arc<Client>> {
        self.registry().clients.clone()
    }

    pub fn count(&self) -> usize {
        self.registry().clients.len()
    }

    pub fn state_version(&self) -> StateVersion {
        StateVersion {
            presence: self.presence_version.load(Ordering::Relaxed),
            health: self.health_version.load(Ordering::Relaxed),
        }
    }

    pub fn bump_presence(&self) {
        self.presence_version.fetch_add(1, Ordering::Relaxed);
    }

    pub fn bump_health(&self) {
        self.health_version.fetch_add(1, Ordering::Relaxed);
    }

    /// Sends the client its `hello-ok` and makes it a receiver, in one step: no event comes before
    /// the hello, none after it is missed.
    pub fn admit(&self, client: Arc<Client>, hello: Bytes) {
        let mut registry = self.registry();
        client.line.send(hello, Slow::Queue);
        if let Some((code, reason)) = registry.closed {
            client.close(code, reason);
        }
        registry.clients.push(client);
    }

    pub fn remove(&self, client: &Arc<Client>) {
        let mut registry = self.registry();
        registry.clients.retain(|c| !Arc::ptr_eq(c, client));
        // Given back after a crowd has left.
        if registry.clients.capacity() > 64
            && registry.clients.len() * 4 < registry.clients.capacity()
        {
            registry.clients.shrink_to_fit();
        }
    }

    /// Says goodbye to everyone, now and from now on.
    pub fn close_all(&self, code: u16, reason: &'static str) {
        let mut registry = self.registry();
        registry.closed = Some((code, reason));
        for client in &registry.clients {
            client.close(code, reason);
        }
    }

    fn registry(&self) -> MutexGuard<'_, Registry> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Rules {
    fn admit(&self, client: &Client) -> bool {
        match self.scope {
            None => true,
            Some(scope) => {
                client.is_operator()
                    && (client.has_scope("operator.admin") || client.has_scope(scope))
            }
        }
    }
}

impl Client {
    /// An event for this connection alone, without a number.
    pub fn send(&self, event: &str, payload: &impl Serialize) {
        if let Line::Socket(outbox) = &self.line {
            let bytes = frame::json(&Event::new(event, payload));
            outbox.send(bytes, Slow::Close);
        }
    }

    fn close(&self, code: u16, reason: &str) {
        if let Line::Socket(outbox) = &self.line {
            outbox.close(code, reason);
        }
    }

    pub(super) fn answer<P: Serialize>(
        &self,
        id: &RawValue,
        payload: Option<&P>,
        error: Option<&RpcError>,
    ) {
        match &self.line {
            Line::Socket(outbox) => {
                let bytes = frame::json(&Response::new(id, payload, error));
                outbox.send(bytes, Slow::Queue);
            }
            Line::Inside(ear) => {
                let payload = payload.and_then(|payload| to_raw_value(payload).ok());
                let error = error.cloned();
                // Who asked may have left, or has heard enough.
                let _ = ear.try_send(Heard { payload, error });
            }
        }
    }

    /// An answer whose payload is JSON already: copied once, not serialised again.
    pub(super) fn answer_raw(&self, id: &RawValue, payload: &RawValue) {
        let outbox = match &self.line {
            Line::Socket(outbox) => outbox,
            Line::Inside(_) => return self.answer(id, Some(&payload), None),
        };
        let bytes = frame::text(&[
            r#"{"type":"res","id":"#,
            id.get(),
            r#","ok":true,"payload":"#,
            payload.get(),
            "}",
        ]);
        outbox.send(bytes, Slow::Queue);
    }
}

/// The right to answer one request, from any thread, once or (for `agent`) twice.
#[derive(Clone)]
pub struct Responder {
    pub client: Arc<Client>,
    pub id: Arc<RawValue>,
}

impl Responder {
    pub fn ok(&self, payload: &impl Serialize) {
        self.client.answer(&self.id, Some(payload), None);
    }

    pub fn error(&self, error: &RpcError) {
        self.client.answer::<()>(&self.id, None, Some(error));
    }

    /// `payload` and `error` in one answer, as failed agent runs are told.
    pub fn failed(&self, payload: &impl Serialize, error: &RpcError) {
        self.client.answer(&self.id, Some(payload), Some(error));
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::outbox::Flusher;
    use super::*;
    use crate::net::stream::Stream;
    use serde_json::{Value, json};
    use std::io::Read;
    use std::os::unix::net::UnixStream;

    /// An accepted client and the far end of its socket.
    pub fn client(role: &str, scopes: &[&str]) -> (Arc<Client>, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let outbox = Outbox::new(Arc::new(Stream::Unix(ours)), Arc::new(Flusher::default()));
        let client = Client {
            conn_id: crate::base::id::uuid(),
            role: role.into(),
            scopes: scopes.iter().map(|s| s.to_string()).collect(),
            caps: Vec::new(),
            commands: Vec::new(),
            permissions: None,
            path_env: None,
            device_id: None,
            client_id: "test".into(),
            mode: "test".into(),
            display_name: None,
            version: "1".into(),
            platform: "linux".into(),
            device_family: None,
            model_identifier: None,
            instance_id: None,
            remote_ip: None,
            confined: false,
            connected_at_ms: 0,
            in_flight: AtomicUsize::new(0),
            line: Line::Socket(outbox),
        };
        (Arc::new(client), theirs)
    }

    /// The next frame, which must be shorter than 126 bytes or 64 KiB.
    pub fn next(stream: &mut UnixStream) -> Value {
        let mut head = [0; 2];
        stream.read_exact(&mut head).unwrap();
        let mut len = usize::from(head[1]);
        if len == 126 {
            let mut more = [0; 2];
            stream.read_exact(&mut more).unwrap();
            len = usize::from(u16::from_be_bytes(more));
        }
        let mut body = vec![0; len];
        stream.read_exact(&mut body).unwrap();
        serde_json::from_slice(&body).unwrap()
    }

    #[test]
    fn numbers_count_frames_that_were_filtered_away() {
        let clients = Clients::default();
        let (reader, mut far) = client("operator", &["operator.read"]);
        let (pairer, mut pair_far) = client("operator", &["operator.pairing"]);
        clients.admit(reader, frame::json(&json!("hello")));
        clients.admit(pairer, frame::json(&json!("hello")));
        clients.broadcast("tick", &json!({"ts":1}), Rules::DROP);
        clients.broadcast("device.pair.requested", &json!({}), Rules::PAIRING);
        clients.broadcast("health", &json!({}), Rules::HEALTH);
        assert_eq!(next(&mut far), "hello");
        assert_eq!(
            next(&mut far),
            json!({"type":"event","event":"tick","payload":{"ts":1},"seq":1})
        );
        assert_eq!(
            next(&mut far),
            json!({"type":"event","event":"health","payload":{},"seq":3,
                   "stateVersion":{"presence":1,"health":1}})
        );
        next(&mut pair_far);
        next(&mut pair_far);
        assert_eq!(next(&mut pair_far)["event"], "device.pair.requested");
    }

    #[test]
    fn a_node_never_sees_guarded_events() {
        let (node, _far) = client("node", &["operator.admin"]);
        assert!(!Rules::PAIRING.admit(&node));
        assert!(Rules::ALL.admit(&node));
    }
}
