//! `cron.*`: jobs, params, the `cron` event and the lines of a run log.
//!
//! A job has the same form on the wire and in `jobs.json`.

use crate::wire::shape::{
    BOOL, Field, NON_EMPTY, STRING, Shape, UNSIGNED, at_least, between, optional, required,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Entries of one `cron.runs`, at most and when the client does not say.
pub const RUNS_MAX: i64 = 5000;
pub const RUNS_DEFAULT: usize = 200;

const MODES: Shape = Shape::OneOf(&["none", "announce"]);
const TARGETS: Shape = Shape::OneOf(&["main", "isolated"]);
const WAKE_MODES: Shape = Shape::OneOf(&["next-heartbeat", "now"]);
const CHANNEL: Shape = Shape::Union(&[Shape::Literal("last"), NON_EMPTY]);
const AGENT_ID: Shape = Shape::Union(&[NON_EMPTY, Shape::Null]);

const SCHEDULE: Shape = Shape::Union(&[
    Shape::Closed(&[
        required("kind", Shape::Literal("at")),
        required("at", NON_EMPTY),
    ]),
    Shape::Closed(&[
        required("kind", Shape::Literal("every")),
        required("everyMs", at_least(1)),
        optional("anchorMs", UNSIGNED),
    ]),
    Shape::Closed(&[
        required("kind", Shape::Literal("cron")),
        required("expr", NON_EMPTY),
        optional("tz", STRING),
    ]),
]);

const PAYLOAD: Shape = Shape::Union(&[
    Shape::Closed(&[
        required("kind", Shape::Literal("systemEvent")),
        required("text", NON_EMPTY),
    ]),
    Shape::Closed(&[
        required("kind", Shape::Literal("agentTurn")),
        required("message", NON_EMPTY),
        optional("model", STRING),
        optional("thinking", STRING),
        optional("timeoutSeconds", at_least(1)),
    ]),
]);

const PAYLOAD_PATCH: Shape = Shape::Union(&[
    Shape::Closed(&[
        required("kind", Shape::Literal("systemEvent")),
        optional("text", NON_EMPTY),
    ]),
    Shape::Closed(&[
        required("kind", Shape::Literal("agentTurn")),
        optional("message", NON_EMPTY),
        optional("model", STRING),
        optional("thinking", STRING),
        optional("timeoutSeconds", at_least(1)),
    ]),
]);

const DELIVERY: Shape = Shape::Closed(&[
    required("mode", MODES),
    optional("channel", CHANNEL),
    optional("to", STRING),
    optional("bestEffort", BOOL),
]);

const DELIVERY_PATCH: Shape = Shape::Closed(&[
    optional("mode", MODES),
    optional("channel", CHANNEL),
    optional("to", STRING),
    optional("bestEffort", BOOL),
]);

const STATE: Shape = Shape::Closed(&[
    optional("nextRunAtMs", UNSIGNED),
    optional("runningAtMs", UNSIGNED),
    optional("lastRunAtMs", UNSIGNED),
    optional("lastStatus", Shape::OneOf(&["ok", "error", "skipped"])),
    optional("lastError", STRING),
    optional("lastDurationMs", UNSIGNED),
]);

const PATCH: Shape = Shape::Closed(&[
    optional("name", NON_EMPTY),
    optional("agentId", AGENT_ID),
    optional("description", STRING),
    optional("enabled", BOOL),
    optional("deleteAfterRun", BOOL),
    optional("schedule", SCHEDULE),
    optional("sessionTarget", TARGETS),
    optional("wakeMode", WAKE_MODES),
    optional("payload", PAYLOAD_PATCH),
    optional("delivery", DELIVERY_PATCH),
    optional("state", STATE),
]);

pub const LIST: Shape = Shape::Closed(&[optional("includeDisabled", BOOL)]);

pub const ADD: Shape = Shape::Closed(&[
    required("name", NON_EMPTY),
    optional("agentId", AGENT_ID),
    optional("description", STRING),
    optional("enabled", BOOL),
    optional("deleteAfterRun", BOOL),
    required("schedule", SCHEDULE),
    required("sessionTarget", TARGETS),
    required("wakeMode", WAKE_MODES),
    required("payload", PAYLOAD),
    optional("delivery", DELIVERY),
]);

pub const UPDATE: Shape = Shape::Union(&[
    Shape::Closed(&[required("id", NON_EMPTY), required("patch", PATCH)]),
    Shape::Closed(&[required("jobId", NON_EMPTY), required("patch", PATCH)]),
]);

pub const REMOVE: Shape = Shape::Union(&[
    Shape::Closed(&[required("id", NON_EMPTY)]),
    Shape::Closed(&[required("jobId", NON_EMPTY)]),
]);

const MODE: Field = optional("mode", Shape::OneOf(&["due", "force"]));
pub const RUN: Shape = Shape::Union(&[
    Shape::Closed(&[required("id", NON_EMPTY), MODE]),
    Shape::Closed(&[required("jobId", NON_EMPTY), MODE]),
]);

const LIMIT: Field = optional("limit", between(1, RUNS_MAX));
pub const RUNS: Shape = Shape::Union(&[
    Shape::Closed(&[required("id", NON_EMPTY), LIMIT]),
    Shape::Closed(&[required("jobId", NON_EMPTY), LIMIT]),
]);

/// Params that name a job, by either name, and what else they may hold.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JobParams {
    #[serde(alias = "jobId")]
    pub id: String,
    #[serde(default)]
    pub mode: Option<String>,
    #[serde(default)]
    pub limit: Option<f64>,
    #[serde(default)]
    pub patch: Option<Patch>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Job {
    pub id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<String>,
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    pub enabled: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delete_after_run: Option<bool>,
    pub created_at_ms: u64,
    pub updated_at_ms: u64,
    pub schedule: Schedule,
    pub session_target: Target,
    pub wake_mode: WakeMode,
    pub payload: Payload,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery: Option<Delivery>,
    #[serde(default)]
    pub state: State,
    /// What later versions add.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(
    tag = "kind",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
pub enum Schedule {
    /// Once, at an ISO time.
    At { at: String },
    Every {
        every_ms: u64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        anchor_ms: Option<u64>,
    },
    Cron {
        expr: String,
        /// An IANA name; the host's zone without one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tz: Option<String>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Target {
    Main,
    Isolated,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WakeMode {
    NextHeartbeat,
    Now,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(
    tag = "kind",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
pub enum Payload {
    SystemEvent {
        text: String,
    },
    AgentTurn {
        message: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        model: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        thinking: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        timeout_seconds: Option<u64>,
        #[serde(flatten)]
        rest: Map<String, Value>,
    },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Delivery {
    pub mode: DeliveryMode,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub best_effort: Option<bool>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeliveryMode {
    None,
    Announce,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct State {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_run_at_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub running_at_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_run_at_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_status: Option<Status>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_duration_ms: Option<u64>,
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    Ok,
    Error,
    Skipped,
}

/// `cron.add`, once its params are in order.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NewJob {
    pub name: String,
    #[serde(default)]
    pub agent_id: Option<String>,
    #[serde(default)]
    pub description: Option<String>,
    #[serde(default = "yes")]
    pub enabled: bool,
    #[serde(default)]
    pub delete_after_run: Option<bool>,
    pub schedule: Schedule,
    pub session_target: Target,
    pub wake_mode: WakeMode,
    pub payload: Payload,
    #[serde(default)]
    pub delivery: Option<Delivery>,
}

fn yes() -> bool {
    true
}

/// What of a job shall be another.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Patch {
    pub name: Option<String>,
    /// Present and null: no agent of its own.
    #[serde(deserialize_with = "present")]
    pub agent_id: Option<Option<String>>,
    pub description: Option<String>,
    pub enabled: Option<bool>,
    pub delete_after_run: Option<bool>,
    pub schedule: Option<Schedule>,
    pub session_target: Option<Target>,
    pub wake_mode: Option<WakeMode>,
    pub payload: Option<PayloadPatch>,
    pub delivery: Option<DeliveryPatch>,
    pub state: Option<Map<String, Value>>,
}

fn present<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(from).map(Some)
}

#[derive(Clone, Debug, Deserialize)]
#[serde(
    tag = "kind",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
pub enum PayloadPatch {
    SystemEvent {
        #[serde(default)]
        text: Option<String>,
    },
    AgentTurn {
        #[serde(default)]
        message: Option<String>,
        #[serde(default)]
        model: Option<String>,
        #[serde(default)]
        thinking: Option<String>,
        #[serde(default)]
        timeout_seconds: Option<u64>,
    },
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DeliveryPatch {
    pub mode: Option<DeliveryMode>,
    pub channel: Option<String>,
    pub to: Option<String>,
    pub best_effort: Option<bool>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CronStatus {
    pub enabled: bool,
    pub store_path: String,
    pub jobs: usize,
    /// Really null when nothing is planned.
    pub next_wake_at_ms: Option<u64>,
}

/// The `cron` event.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Event<'a> {
    pub job_id: &'a str,
    /// `added`, `updated`, `removed`, `started`, `finished`.
    pub action: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summary: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_at_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_run_at_ms: Option<u64>,
}

/// A line of a run log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Finished {
    pub ts: u64,
    pub job_id: String,
    /// `finished`.
    pub action: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_at_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_run_at_ms: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_job_keeps_its_form_and_what_it_does_not_know() {
        let text = r#"{"id":"x","agentId":"ops","name":"n","enabled":true,"deleteAfterRun":true,"createdAtMs":1,"updatedAtMs":2,"schedule":{"kind":"cron","expr":"0 7 * * *","tz":"Asia/Tokyo"},"sessionTarget":"isolated","wakeMode":"next-heartbeat","payload":{"kind":"agentTurn","message":"m","timeoutSeconds":5,"allowUnsafeExternalContent":true},"delivery":{"mode":"none","channel":"last"},"state":{"nextRunAtMs":3,"later":1},"newer":{"a":[]}}"#;
        let job: Job = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&job).unwrap(), text);
    }

    #[test]
    fn a_patch_tells_null_from_absent() {
        let patch = |value| serde_json::from_value::<Patch>(value).unwrap().agent_id;
        assert_eq!(patch(json!({})), None);
        assert_eq!(patch(json!({"agentId": null})), Some(None));
        assert_eq!(patch(json!({"agentId": "a"})), Some(Some("a".into())));
    }
}
