//! `chat.history`, `chat.send`, `chat.abort`, `chat.inject`, and the `chat` event.

use crate::wire::shape::{NON_EMPTY, STRING, Shape, UNSIGNED, between, optional, required};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Most messages of one `chat.history`, and how many when the client does not say.
pub const HISTORY_MAX: i64 = 1000;
pub const HISTORY_DEFAULT: usize = 200;
/// Most bytes of messages in one `chat.history`; the oldest give way.
pub const HISTORY_BYTES: usize = 6 * 1024 * 1024;

pub const HISTORY: Shape = Shape::Closed(&[
    required("sessionKey", NON_EMPTY),
    optional("limit", between(1, HISTORY_MAX)),
]);

pub const SEND: Shape = Shape::Closed(&[
    required("sessionKey", NON_EMPTY),
    required("message", STRING),
    optional("thinking", STRING),
    optional("deliver", Shape::Bool),
    optional(
        "attachments",
        Shape::Array {
            items: &Shape::Any,
            min: 0,
            max: usize::MAX,
        },
    ),
    optional("timeoutMs", UNSIGNED),
    required("idempotencyKey", NON_EMPTY),
]);

pub const ABORT: Shape = Shape::Closed(&[
    required("sessionKey", NON_EMPTY),
    optional("runId", NON_EMPTY),
]);

pub const INJECT: Shape = Shape::Closed(&[
    required("sessionKey", NON_EMPTY),
    required("message", NON_EMPTY),
    optional("label", Shape::Text { min: 0, max: 100 }),
]);

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HistoryParams {
    pub session_key: String,
    #[serde(default)]
    pub limit: Option<f64>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SendParams {
    pub session_key: String,
    pub message: String,
    #[serde(default)]
    pub thinking: Option<String>,
    #[serde(default)]
    pub attachments: Vec<Value>,
    #[serde(default)]
    pub timeout_ms: Option<f64>,
    pub idempotency_key: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AbortParams {
    pub session_key: String,
    #[serde(default)]
    pub run_id: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InjectParams {
    pub session_key: String,
    pub message: String,
    #[serde(default)]
    pub label: Option<String>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct History<'a, M: Serialize> {
    pub session_key: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_id: Option<&'a str>,
    pub messages: M,
    pub thinking_level: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verbose_level: Option<&'a str>,
}

/// The answer of `chat.send`: `started`, `in_flight`, `ok`, `error`.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Sent<'a> {
    pub run_id: &'a str,
    pub status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summary: Option<&'a str>,
}

/// The answer of `chat.abort`, and of a stop word through `chat.send`.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Aborted {
    pub ok: bool,
    pub aborted: bool,
    pub run_ids: Vec<String>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Injected<'a> {
    pub ok: bool,
    pub message_id: &'a str,
}

/// The `chat` event.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Event<'a> {
    pub run_id: &'a str,
    pub session_key: &'a str,
    pub seq: u64,
    /// `delta`, `final`, `aborted`, `error`.
    pub state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<Said<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_message: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_reason: Option<&'a str>,
}

/// An assistant's words in an event.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Said<'a> {
    pub role: &'static str,
    pub content: [SaidText<'a>; 1],
    pub timestamp: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<NoUsage>,
}

#[derive(Clone, Debug, Serialize)]
pub struct SaidText<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    pub text: &'a str,
}

/// What an answer that no model gave has used.
#[derive(Clone, Copy, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NoUsage {
    pub input: u64,
    pub output: u64,
    pub total_tokens: u64,
}

impl<'a> Said<'a> {
    pub fn new(text: &'a str, timestamp: u64) -> Said<'a> {
        Said {
            role: "assistant",
            content: [SaidText { kind: "text", text }],
            timestamp,
            stop_reason: None,
            usage: None,
        }
    }

    /// Words that no model said: a command's answer, an injected line.
    pub fn injected(text: &'a str, timestamp: u64) -> Said<'a> {
        Said {
            stop_reason: Some("injected"),
            usage: Some(NoUsage::default()),
            ..Said::new(text, timestamp)
        }
    }
}
