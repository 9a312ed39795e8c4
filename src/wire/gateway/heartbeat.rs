//! `wake`, `last-heartbeat`, `set-heartbeats`, and the `heartbeat` event.

use crate::wire::shape::{NON_EMPTY, Shape, required};
use serde::{Deserialize, Serialize};

pub const WAKE: Shape = Shape::Closed(&[
    required("mode", Shape::OneOf(&["now", "next-heartbeat"])),
    required("text", NON_EMPTY),
]);

#[derive(Clone, Debug, Deserialize)]
pub struct WakeParams {
    pub mode: String,
    pub text: String,
}

/// One heartbeat, as clients see it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Heartbeat {
    pub ts: u64,
    /// `sent`, `ok-empty`, `ok-token`, `skipped`, `failed`.
    pub status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preview: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub has_media: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub silent: Option<bool>,
    /// `ok`, `alert`, `error`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub indicator_type: Option<&'static str>,
}
