//! Results of `health`, `status`, `channels.status`, and the payload of the `health` event.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Health {
    pub ok: bool,
    pub ts: u64,
    pub duration_ms: u64,
    /// Channel id → account summary. Empty while no channel is configured.
    pub channels: Map<String, Value>,
    pub channel_order: Vec<String>,
    pub channel_labels: Map<String, Value>,
    /// 0: no heartbeat.
    pub heartbeat_seconds: u64,
    pub default_agent_id: String,
    pub agents: Vec<AgentHealth>,
    /// The default agent's.
    pub sessions: SessionsBrief,
    /// Ours: only there while the configuration file is not what runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<ConfigHealth>,
}

/// The configuration file says something else than what runs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ConfigHealth {
    /// The file could run: it only waits for a restart.
    pub valid: bool,
    /// One line for people.
    pub note: String,
    pub issues: Vec<ConfigIssue>,
    /// The changed settings that wait for a restart.
    pub waiting: Vec<String>,
    /// Milliseconds since 1970.
    pub since: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ConfigIssue {
    pub path: String,
    pub message: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AgentHealth {
    pub agent_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    pub is_default: bool,
    pub heartbeat: HeartbeatHealth,
    pub sessions: SessionsBrief,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HeartbeatHealth {
    pub enabled: bool,
    pub every: String,
    pub every_ms: Option<u64>,
    pub prompt: String,
    pub target: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    pub ack_max_chars: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SessionsBrief {
    pub path: String,
    pub count: usize,
    /// The newest five.
    pub recent: Vec<RecentSession>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RecentSession {
    pub key: String,
    pub updated_at: Option<u64>,
    /// Milliseconds since.
    pub age: Option<u64>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    pub heartbeat: StatusHeartbeat,
    pub channel_summary: Vec<String>,
    pub queued_system_events: Vec<String>,
    pub sessions: StatusSessions,
    /// Ours: only there while the configuration file is not what runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<ConfigHealth>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StatusHeartbeat {
    pub default_agent_id: String,
    pub agents: Vec<StatusBeat>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StatusBeat {
    pub agent_id: String,
    pub enabled: bool,
    pub every: String,
    pub every_ms: Option<u64>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StatusSessions {
    pub paths: Vec<String>,
    pub count: usize,
    pub defaults: SessionDefaults,
    /// The newest ten.
    pub recent: Vec<SessionRow>,
    pub by_agent: Vec<AgentSessions>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionDefaults {
    pub model: Option<String>,
    pub context_tokens: Option<u64>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AgentSessions {
    pub agent_id: String,
    pub path: String,
    pub count: usize,
    pub recent: Vec<SessionRow>,
}

/// A session as `status` lists it. Absent is absent, except where the original sends null.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionRow {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<String>,
    pub key: String,
    pub kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_id: Option<String>,
    pub updated_at: Option<u64>,
    pub age: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thinking_level: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verbose_level: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning_level: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub elevated_level: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system_sent: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aborted_last_run: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_tokens: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_tokens: Option<u64>,
    pub total_tokens: Option<u64>,
    pub remaining_tokens: Option<u64>,
    /// 0 to 999.
    pub percent_used: Option<u64>,
    pub model: Option<String>,
    pub context_tokens: Option<u64>,
    pub flags: Vec<String>,
}

/// Every list is empty where no channel is configured.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChannelsStatus {
    pub ts: u64,
    pub channel_order: Vec<String>,
    pub channel_labels: Map<String, Value>,
    pub channel_detail_labels: Map<String, Value>,
    pub channel_system_images: Map<String, Value>,
    pub channel_meta: Vec<Value>,
    pub channels: Map<String, Value>,
    pub channel_accounts: Map<String, Value>,
    pub channel_default_account_id: Map<String, Value>,
}
