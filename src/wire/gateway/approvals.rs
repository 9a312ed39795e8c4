//! `exec.approvals.*` (the rules on disk), `exec.approval.*` (one question), and the events of the
//! latter.

use crate::wire::shape::{NON_EMPTY, STRING, Shape, UNSIGNED, at_least, optional, required};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How long a question waits when its asker does not say, milliseconds.
pub const TIMEOUT_MS: u64 = 120_000;

const NULLABLE: Shape = Shape::Union(&[STRING, Shape::Null]);

const ENTRY: Shape = Shape::Closed(&[
    optional("id", NON_EMPTY),
    required("pattern", STRING),
    optional("lastUsedAt", UNSIGNED),
    optional("lastUsedCommand", STRING),
    optional("lastResolvedPath", STRING),
]);

const AGENT: Shape = Shape::Closed(&[
    optional("security", STRING),
    optional("ask", STRING),
    optional("askFallback", STRING),
    optional("autoAllowSkills", Shape::Bool),
    optional(
        "allowlist",
        Shape::Array {
            items: &ENTRY,
            min: 0,
            max: usize::MAX,
        },
    ),
]);

const FILE: Shape = Shape::Closed(&[
    required("version", Shape::Exactly(1)),
    optional(
        "socket",
        Shape::Closed(&[optional("path", STRING), optional("token", STRING)]),
    ),
    optional(
        "defaults",
        Shape::Closed(&[
            optional("security", STRING),
            optional("ask", STRING),
            optional("askFallback", STRING),
            optional("autoAllowSkills", Shape::Bool),
        ]),
    ),
    optional("agents", Shape::MapOf(&AGENT)),
]);

pub const SET: Shape = Shape::Closed(&[required("file", FILE), optional("baseHash", NON_EMPTY)]);

pub const NODE_GET: Shape = Shape::Closed(&[required("nodeId", NON_EMPTY)]);

pub const NODE_SET: Shape = Shape::Closed(&[
    required("nodeId", NON_EMPTY),
    required("file", FILE),
    optional("baseHash", NON_EMPTY),
]);

pub const REQUEST: Shape = Shape::Closed(&[
    optional("id", NON_EMPTY),
    required("command", NON_EMPTY),
    optional("cwd", NULLABLE),
    optional("host", NULLABLE),
    optional("security", NULLABLE),
    optional("ask", NULLABLE),
    optional("agentId", NULLABLE),
    optional("resolvedPath", NULLABLE),
    optional("sessionKey", NULLABLE),
    optional("timeoutMs", at_least(1)),
]);

pub const RESOLVE: Shape =
    Shape::Closed(&[required("id", NON_EMPTY), required("decision", NON_EMPTY)]);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SetParams {
    pub file: Value,
    pub base_hash: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RequestParams {
    pub id: Option<String>,
    #[serde(flatten)]
    pub request: Requested,
    pub timeout_ms: Option<f64>,
}

#[derive(Deserialize)]
pub struct ResolveParams {
    pub id: String,
    pub decision: String,
}

/// What a person is asked; absent parts are told as null.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Requested {
    pub command: String,
    pub cwd: Option<String>,
    pub host: Option<String>,
    pub security: Option<String>,
    pub ask: Option<String>,
    pub agent_id: Option<String>,
    pub resolved_path: Option<String>,
    pub session_key: Option<String>,
}

/// `exec.approval.requested`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RequestedEvent<'a> {
    pub id: &'a str,
    pub request: &'a Requested,
    pub created_at_ms: u64,
    pub expires_at_ms: u64,
}

/// `exec.approval.resolved`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ResolvedEvent<'a> {
    pub id: &'a str,
    pub decision: &'a str,
    pub resolved_by: &'a str,
    pub ts: u64,
}

/// The answer to `exec.approval.request`. Without a decision its time was over.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Answered<'a> {
    pub id: &'a str,
    pub decision: Option<&'a str>,
    pub created_at_ms: u64,
    pub expires_at_ms: u64,
}

impl Requested {
    /// Bytes of all its texts: what it costs to keep.
    pub fn bytes(&self) -> usize {
        let optional = [
            &self.cwd,
            &self.host,
            &self.security,
            &self.ask,
            &self.agent_id,
            &self.resolved_path,
            &self.session_key,
        ];
        let optional = optional.into_iter().flatten();
        self.command.len() + optional.map(String::len).sum::<usize>()
    }
}
