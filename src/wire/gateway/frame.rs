//! The three frame types of the gateway WebSocket, and the error object.
//!
//! Clients of the original validate frames with a closed schema and drop what does not fit without
//! a word, so an absent field is absent: nothing here ever serialises a null.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

/// Largest inbound message, bytes (`policy.maxPayload`).
pub const MAX_PAYLOAD: usize = 512 * 1024;
/// Unsent bytes a connection may have before it counts as slow (`policy.maxBufferedBytes`).
pub const MAX_BUFFERED: usize = 1536 * 1024;
/// Milliseconds between `tick` events (`policy.tickIntervalMs`).
pub const TICK_MS: u64 = 30_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ErrorCode {
    InvalidRequest,
    Unavailable,
    NotPaired,
    NotLinked,
    AgentTimeout,
}

/// `code` and `message` are never empty.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RpcError {
    pub code: ErrorCode,
    pub message: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retryable: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
}

/// A request as a client builds it.
#[derive(Clone, Debug, Serialize)]
pub struct Request<'a, P: Serialize> {
    #[serde(rename = "type")]
    kind: &'static str,
    pub id: &'a str,
    pub method: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub params: Option<&'a P>,
}

/// A response as the server builds it. `payload` and `error` may both be present.
#[derive(Clone, Debug, Serialize)]
pub struct Response<'a, P: Serialize> {
    #[serde(rename = "type")]
    kind: &'static str,
    /// The request's id as it came: a string, or whatever an invalid request carried.
    pub id: &'a RawValue,
    pub ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload: Option<&'a P>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<&'a RpcError>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateVersion {
    pub presence: u64,
    pub health: u64,
}

/// An event as the server builds it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Event<'a, P: Serialize> {
    #[serde(rename = "type")]
    kind: &'static str,
    pub event: &'a str,
    pub payload: &'a P,
    /// One counter per server process; targeted events have none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state_version: Option<StateVersion>,
}

/// Any frame as a client reads it. Lenient: a gateway of another version may know more kinds of
/// frames and more error codes than we do.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Received {
    Res {
        id: String,
        ok: bool,
        #[serde(default)]
        payload: Option<Value>,
        #[serde(default)]
        error: Option<Failure>,
    },
    Event {
        event: String,
        #[serde(default)]
        payload: Option<Value>,
        #[serde(default)]
        seq: Option<u64>,
    },
    #[serde(other)]
    Other,
}

/// An error object as a client reads it.
#[derive(Debug, Deserialize)]
pub struct Failure {
    pub code: String,
    pub message: String,
    #[serde(default)]
    pub details: Option<Value>,
}

impl<'a, P: Serialize> Request<'a, P> {
    pub fn new(id: &'a str, method: &'a str, params: Option<&'a P>) -> Self {
        Request {
            kind: "req",
            id,
            method,
            params,
        }
    }
}

impl<'a, P: Serialize> Response<'a, P> {
    pub fn new(id: &'a RawValue, payload: Option<&'a P>, error: Option<&'a RpcError>) -> Self {
        Response {
            kind: "res",
            id,
            ok: error.is_none(),
            payload,
            error,
        }
    }
}

impl<'a, P: Serialize> Event<'a, P> {
    pub fn new(event: &'a str, payload: &'a P) -> Self {
        Event {
            kind: "event",
            event,
            payload,
            seq: None,
            state_version: None,
        }
    }
}

impl RpcError {
    pub fn new(code: ErrorCode, message: impl Into<String>) -> RpcError {
        RpcError {
            code,
            message: message.into(),
            details: None,
            retryable: None,
            retry_after_ms: None,
        }
    }

    pub fn invalid(message: impl Into<String>) -> RpcError {
        RpcError::new(ErrorCode::InvalidRequest, message)
    }

    pub fn unavailable(message: impl Into<String>) -> RpcError {
        RpcError::new(ErrorCode::Unavailable, message)
    }

    pub fn with_details(mut self, details: Value) -> RpcError {
        self.details = Some(details);
        self
    }
}

impl std::fmt::Display for RpcError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for RpcError {}
