//! `sessions.list`, `.preview`, `.resolve`, `.patch`, `.reset`, `.delete`, `.compact`: params and
//! results.

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

/// Lines `sessions.compact` keeps when the client does not say.
pub const COMPACT_LINES: usize = 400;

/// Null takes the field away.
const TEXT_OR_NULL: Shape = Shape::Union(&[NON_EMPTY, Shape::Null]);

pub const PATCH: Shape = Shape::Closed(&[
    required("key", NON_EMPTY),
    optional("label", Shape::Union(&[LABEL, Shape::Null])),
    optional("thinkingLevel", TEXT_OR_NULL),
    optional("verboseLevel", TEXT_OR_NULL),
    optional("reasoningLevel", TEXT_OR_NULL),
    optional(
        "responseUsage",
        Shape::Union(&[
            Shape::Literal("off"),
            Shape::Literal("tokens"),
            Shape::Literal("full"),
            Shape::Literal("on"),
            Shape::Null,
        ]),
    ),
    optional("elevatedLevel", TEXT_OR_NULL),
    optional("execHost", TEXT_OR_NULL),
    optional("execSecurity", TEXT_OR_NULL),
    optional("execAsk", TEXT_OR_NULL),
    optional("execNode", TEXT_OR_NULL),
    optional("model", TEXT_OR_NULL),
    optional("spawnedBy", TEXT_OR_NULL),
    optional(
        "sendPolicy",
        Shape::Union(&[Shape::Literal("allow"), Shape::Literal("deny"), Shape::Null]),
    ),
    optional(
        "groupActivation",
        Shape::Union(&[
            Shape::Literal("mention"),
            Shape::Literal("always"),
            Shape::Null,
        ]),
    ),
]);

pub const RESET: Shape = Shape::Closed(&[required("key", NON_EMPTY)]);

pub const DELETE: Shape = Shape::Closed(&[
    required("key", NON_EMPTY),
    optional("deleteTranscript", BOOL),
]);

pub const COMPACT: Shape = Shape::Closed(&[
    required("key", NON_EMPTY),
    optional("maxLines", at_least(1)),
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
    pub sessions: Vec<Row<'a>>,
}

/// One session of a list, in the original's order of fields.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Row<'a> {
    pub key: &'a str,
    pub kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group_channel: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub space: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chat_type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<&'a Map<String, Value>>,
    /// Really null when it is not known.
    pub updated_at: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system_sent: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aborted_last_run: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thinking_level: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verbose_level: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_level: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub elevated_level: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub send_policy: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_tokens: Option<u64>,
    pub total_tokens: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_usage: Option<&'a str>,
    pub model_provider: &'a str,
    pub model: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delivery_context: Option<std::borrow::Cow<'a, Map<String, Value>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_channel: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_to: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_account_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub derived_title: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_message_preview: Option<String>,
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

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeleteParams {
    pub key: String,
    #[serde(default)]
    pub delete_transcript: Option<bool>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CompactParams {
    pub key: String,
    #[serde(default)]
    pub max_lines: Option<f64>,
}

#[derive(Clone, Debug, Serialize)]
pub struct Patched<'a, E: Serialize> {
    pub ok: bool,
    pub path: &'a str,
    pub key: &'a str,
    pub entry: &'a E,
    pub resolved: ResolvedModel,
}

/// What the session's next turn asks.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ResolvedModel {
    pub model_provider: String,
    pub model: String,
}

#[derive(Clone, Debug, Serialize)]
pub struct Reset<'a, E: Serialize> {
    pub ok: bool,
    pub key: &'a str,
    pub entry: &'a E,
}

#[derive(Clone, Debug, Serialize)]
pub struct Deleted<'a> {
    pub ok: bool,
    pub key: &'a str,
    pub deleted: bool,
    pub archived: Vec<String>,
}

#[derive(Clone, Debug, Default, Serialize)]
pub struct Compacted<'a> {
    pub ok: bool,
    pub key: &'a str,
    pub compacted: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub archived: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kept: Option<usize>,
    /// Why there was nothing to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
}
