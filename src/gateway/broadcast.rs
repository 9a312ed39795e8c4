//! The connected clients and what is sent to them: events to all, to some, or to one.

use crate::wire::gateway::frame::RpcError;
use serde::Serialize;
use serde_json::value::RawValue;
use std::sync::Arc;

/// One accepted WebSocket connection.
pub struct Client {
    /// UUID.
    pub conn_id: String,
    pub role: String,
    pub scopes: Vec<String>,
    /// Declared capabilities, such as `tool-events`.
    pub caps: Vec<String>,
    pub device_id: Option<String>,
    pub client_id: String,
    pub mode: String,
    pub display_name: Option<String>,
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

#[derive(Default)]
pub struct Clients {}

impl Clients {
    /// Sends to every accepted client; numbers the frame before filtering.
    pub fn broadcast(&self, _event: &str, _payload: &impl Serialize, _rules: Rules) {}

    /// Sends to one connection, without a number.
    pub fn send_to(&self, _conn_id: &str, _event: &str, _payload: &impl Serialize) {}
}

/// The right to answer one request, from any thread, once or (for `agent`) twice.
#[derive(Clone)]
pub struct Responder {
    pub client: Arc<Client>,
    pub id: Arc<RawValue>,
}

impl Responder {
    pub fn ok(&self, _payload: &impl Serialize) {}

    pub fn error(&self, _error: &RpcError) {}

    /// `payload` and `error` in one answer, as failed agent runs are told.
    pub fn failed(&self, _payload: &impl Serialize, _error: &RpcError) {}
}
