//! `update.run`.

use crate::wire::shape::{STRING, Shape, UNSIGNED, at_least, optional};
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub const RUN: Shape = Shape::Closed(&[
    optional("sessionKey", STRING),
    optional("note", STRING),
    optional("restartDelayMs", UNSIGNED),
    optional("timeoutMs", at_least(1)),
]);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunParams {
    pub session_key: Option<String>,
    pub note: Option<String>,
    pub restart_delay_ms: Option<f64>,
}

/// How an update went.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Updated {
    /// `ok`, `error` or `skipped`.
    pub status: &'static str,
    pub mode: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub root: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    pub before: Version,
    pub steps: Vec<Value>,
    pub duration_ms: u64,
}

#[derive(Debug, Serialize)]
pub struct Version {
    pub version: &'static str,
}
