//! `sessions.list`, `sessions.preview`, `sessions.resolve`: params and results.

use super::agent::LABEL;
use crate::wire::shape::{BOOL, NON_EMPTY, STRING, Shape, at_least, optional, required};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Most sessions one `sessions.preview` looks at; further keys are ignored.
pub const PREVIEW_KEYS: usize = 64;
pub const PREVIEW_LIMIT: usize = 50;
pub const PREVIEW_LIMIT_DEFAULT: usize = 12;
pub const PREVIEW_CHARS: usize = 2000;
pub const PREVIEW_CHARS_DEFAULT: usize = 240;

pub const LIST: Shape = Shape::Closed(&[
    optional("limit", at_least(1)),
    optional("activeMinutes", at_least(1)),
    optional("includeGlobal", BOOL),
    optional("includeUnknown", BOOL),
    optional("includeDerivedTitles", BOOL),
    optional("includeLastMessage", BOOL),
    optional("label", LABEL),
    optional("spawnedBy", NON_EMPTY),
    optional("agentId", NON_EMPTY),
    optional("search", STRING),
]);

pub const PREVIEW: Shape = Shape::Closed(&[
    required(
        "keys",
        Shape::Array {
            items: &NON_EMPTY,
            min: 1,
            max: usize::MAX,
        },
    ),
    optional("limit", at_least(1)),
    optional("maxChars", at_least(20)),
]);

pub const RESOLVE: Shape = Shape::Closed(&[
    optional("key", NON_EMPTY),
    optional("sessionId", NON_EMPTY),
    optional("label", LABEL),
    optional("agentId", NON_EMPTY),
    optional("spawnedBy", NON_EMPTY),
    optional("includeGlobal", BOOL),
    optional("includeUnknown", BOOL),
]);

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ListParams {
    pub limit: Option<f64>,
    pub active_minutes: Option<f64>,
    pub include_global: bool,
    pub include_unknown: bool,
    pub include_derived_titles: bool,
    pub include_last_message: bool,
    pub label: Option<String>,
    pub spawned_by: Option<String>,
    pub agent_id: Option<String>,
    pub search: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PreviewParams {
    pub keys: Vec<String>,
    pub limit: Option<f64>,
    pub max_chars: Option<f64>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ResolveParams {
    pub key: Option<String>,
    pub session_id: Option<String>,
    pub label: Option<String>,
    pub agent_id: Option<String>,
    pub spawned_by: Option<String>,
    pub include_global: bool,
    pub include_unknown: bool,
}

#[derive(Clone, Debug, Serialize)]
pub struct List<'a> {
    pub ts: u64,
    pub path: &'a str,
    pub count: usize,
    pub defaults: Defaults<'a>,
    pub sessions: Vec<Map<String, Value>>,
}

/// What a session without choices of its own uses.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Defaults<'a> {
    pub model_provider: &'a str,
    pub model: &'a str,
    pub context_tokens: u64,
}

#[derive(Clone, Debug, Serialize)]
pub struct Previews<P: Serialize> {
    pub ts: u64,
    pub previews: Vec<P>,
}

#[derive(Clone, Debug, Serialize)]
pub struct Preview<I: Serialize> {
    pub key: String,
    /// `ok`, `empty`, `missing`, `error`.
    pub status: &'static str,
    pub items: Vec<I>,
}

#[derive(Clone, Debug, Serialize)]
pub struct Resolved<'a> {
    pub ok: bool,
    pub key: &'a str,
}
