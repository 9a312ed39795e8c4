//! Params and results of `config.*`, and the note that is left for the next start.

use crate::wire::shape::{NON_EMPTY, STRING, Shape, UNSIGNED, optional, required};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

pub const SET: Shape =
    Shape::Closed(&[required("raw", NON_EMPTY), optional("baseHash", NON_EMPTY)]);

/// Of `config.apply` and `config.patch`.
pub const APPLY: Shape = Shape::Closed(&[
    required("raw", NON_EMPTY),
    optional("baseHash", NON_EMPTY),
    optional("sessionKey", STRING),
    optional("note", STRING),
    optional("restartDelayMs", UNSIGNED),
]);

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Write {
    pub raw: String,
    pub base_hash: Option<String>,
    pub session_key: Option<String>,
    pub note: Option<String>,
    /// Whole, but JSON may write it with a fraction of 0.
    pub restart_delay_ms: Option<f64>,
}

/// What a restart on request left for the next start.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sentinel {
    pub version: u32,
    pub payload: SentinelPayload,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SentinelPayload {
    /// `config-apply`, `update`, `restart`.
    pub kind: String,
    /// `ok`, `error`, `skipped`.
    pub status: String,
    pub ts: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_key: Option<String>,
    pub message: Option<String>,
    pub doctor_hint: String,
    pub stats: Value,
}

/// The restart that was planned.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Restart {
    pub ok: bool,
    pub pid: u32,
    pub signal: &'static str,
    pub delay_ms: u64,
    pub reason: String,
    pub mode: &'static str,
}

/// Where the note lies, for the answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SentinelNote {
    /// `null` when it could not be written.
    pub path: Option<String>,
    pub payload: SentinelPayload,
}

/// The result of `config.schema`.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Schema {
    /// Draft 7.
    pub schema: Box<RawValue>,
    /// Dotted path → label, help, group, order, sensitive, placeholder.
    pub ui_hints: Box<RawValue>,
    pub version: &'static str,
    /// ISO time.
    pub generated_at: String,
}

#[derive(Clone, Debug, Serialize)]
pub struct Written<'a> {
    pub ok: bool,
    pub path: String,
    pub config: &'a Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restart: Option<Restart>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sentinel: Option<SentinelNote>,
}
