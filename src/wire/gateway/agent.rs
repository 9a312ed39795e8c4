//! `agent` and `agent.wait`: params, the two answers of a run, the result with its report, and the
//! `agent` event.

use crate::wire::message::Usage;
use crate::wire::shape::{Field, NON_EMPTY, STRING, Shape, UNSIGNED, optional, required};
use serde::{Deserialize, Serialize};
use serde_json::Value;

const ANYTHING: Shape = Shape::Array {
    items: &Shape::Any,
    min: 0,
    max: usize::MAX,
};

/// A session's label: 1 to 64 characters.
pub const LABEL: Shape = Shape::Text { min: 1, max: 64 };

const RUN_FIELDS: &[Field] = &[
    required("message", NON_EMPTY),
    optional("agentId", NON_EMPTY),
    optional("to", STRING),
    optional("replyTo", STRING),
    optional("sessionId", STRING),
    optional("sessionKey", STRING),
    optional("thinking", STRING),
    optional("deliver", Shape::Bool),
    optional("attachments", ANYTHING),
    optional("channel", STRING),
    optional("replyChannel", STRING),
    optional("accountId", STRING),
    optional("replyAccountId", STRING),
    optional("threadId", STRING),
    optional("groupId", STRING),
    optional("groupChannel", STRING),
    optional("groupSpace", STRING),
    optional("timeout", UNSIGNED),
    optional("lane", STRING),
    optional("extraSystemPrompt", STRING),
    required("idempotencyKey", NON_EMPTY),
    optional("label", LABEL),
    optional("spawnedBy", STRING),
];

pub const RUN: Shape = Shape::Closed(RUN_FIELDS);

pub const WAIT: Shape = Shape::Closed(&[
    required("runId", NON_EMPTY),
    optional("timeoutMs", UNSIGNED),
]);

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Params {
    pub message: String,
    pub agent_id: Option<String>,
    pub to: Option<String>,
    pub reply_to: Option<String>,
    pub session_id: Option<String>,
    pub session_key: Option<String>,
    pub thinking: Option<String>,
    pub deliver: Option<bool>,
    pub attachments: Vec<Value>,
    pub channel: Option<String>,
    pub reply_channel: Option<String>,
    pub group_id: Option<String>,
    pub group_channel: Option<String>,
    pub group_space: Option<String>,
    /// Seconds.
    pub timeout: Option<u64>,
    pub lane: Option<String>,
    pub extra_system_prompt: Option<String>,
    pub idempotency_key: String,
    pub label: Option<String>,
    pub spawned_by: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WaitParams {
    pub run_id: String,
    #[serde(default)]
    pub timeout_ms: Option<u64>,
}

/// The first answer.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Accepted<'a> {
    pub run_id: &'a str,
    pub status: &'static str,
    pub accepted_at: u64,
}

/// The second answer of a run that ended; also when the model only gave an error text.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Done<'a> {
    pub run_id: &'a str,
    pub status: &'static str,
    pub summary: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<&'a RunResult>,
}

#[derive(Clone, Debug, Default, Serialize)]
pub struct RunResult {
    pub payloads: Vec<Payload>,
    pub meta: Meta,
}

/// One reply to send.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Payload {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub text: String,
    /// Really null when there is none.
    pub media_url: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub media_urls: Vec<String>,
    #[serde(skip)]
    pub is_error: bool,
    #[serde(skip)]
    pub as_voice: bool,
    #[serde(skip)]
    pub reply_to: Option<String>,
    /// `[[reply_to_current]]`
    #[serde(skip)]
    pub answers_current: bool,
}

#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Meta {
    pub duration_ms: u64,
    pub agent_meta: AgentMeta,
    pub aborted: bool,
    /// The model said that nothing needs attention.
    #[serde(skip)]
    pub acknowledged: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system_prompt_report: Option<Report>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<MetaError>,
    /// `tool_calls` when the run ended because its caller has work to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pending_tool_calls: Vec<PendingCall>,
}

/// A call of a tool that the run's caller brought along.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PendingCall {
    pub id: String,
    pub name: String,
    /// JSON.
    pub arguments: String,
}

#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AgentMeta {
    pub session_id: String,
    pub provider: String,
    pub model: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<Tokens>,
}

/// Tokens of the last model call.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Tokens {
    pub input: u64,
    pub output: u64,
    pub cache_read: u64,
    pub cache_write: u64,
    pub total: u64,
}

#[derive(Clone, Debug, Serialize)]
pub struct MetaError {
    /// `context_overflow`, `compaction_failure`, `role_ordering`, `image_size`.
    pub kind: &'static str,
    pub message: String,
}

/// What went into the system prompt, in characters.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    pub source: &'static str,
    pub generated_at: u64,
    pub session_id: String,
    pub session_key: String,
    pub provider: String,
    pub model: String,
    pub workspace_dir: String,
    pub bootstrap_max_chars: usize,
    pub sandbox: ReportSandbox,
    pub system_prompt: ReportPrompt,
    pub injected_workspace_files: Vec<ReportFile>,
    pub skills: ReportSkills,
    pub tools: ReportTools,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ReportSandbox {
    pub mode: String,
    pub sandboxed: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReportPrompt {
    pub chars: usize,
    pub project_context_chars: usize,
    pub non_project_context_chars: usize,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReportFile {
    pub name: String,
    pub path: String,
    pub missing: bool,
    pub raw_chars: usize,
    pub injected_chars: usize,
    pub truncated: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReportSkills {
    pub prompt_chars: usize,
    pub entries: Vec<Value>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReportTools {
    pub list_chars: usize,
    pub schema_chars: usize,
    pub entries: Vec<ReportTool>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReportTool {
    pub name: String,
    pub summary_chars: usize,
    pub schema_chars: usize,
    pub properties_count: usize,
}

/// The answer of `agent.wait`.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Waited<'a> {
    pub run_id: &'a str,
    /// `ok`, `error`, `timeout`.
    pub status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<&'a str>,
}

/// The `agent` event. `seq` counts per run from 1.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Event<'a, D: Serialize> {
    pub run_id: &'a str,
    pub stream: &'static str,
    pub data: D,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_key: Option<&'a str>,
    pub seq: u64,
    pub ts: u64,
}

impl From<&Usage> for Tokens {
    fn from(usage: &Usage) -> Tokens {
        Tokens {
            input: usage.input,
            output: usage.output,
            cache_read: usage.cache_read,
            cache_write: usage.cache_write,
            total: usage.total_tokens,
        }
    }
}
