//! The configuration as types. Every field is optional in the file; a method gives the default.
//!
//! Sections that no code here reads yet are kept as plain JSON.

use crate::base::secret::Secret;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Config {
    pub gateway: Gateway,
    pub agents: Agents,
    pub models: Models,
    pub session: Session,
    pub logging: Logging,
    pub tools: Tools,
    pub ui: Ui,
    pub channels: Map<String, Value>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Gateway {
    /// `local` or `remote`; the gateway refuses to start without `local`.
    pub mode: Option<String>,
    pub port: Option<u16>,
    /// `loopback`, `lan`, `tailnet`, `auto`, `custom`.
    pub bind: Option<String>,
    pub custom_bind_host: Option<String>,
    pub auth: Auth,
    pub control_ui: ControlUi,
    pub trusted_proxies: Vec<String>,
    pub remote: Remote,
    pub tailscale: Map<String, Value>,
    pub tls: Map<String, Value>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Auth {
    /// `token` or `password`.
    pub mode: Option<String>,
    pub token: Option<Secret>,
    pub password: Option<Secret>,
    pub allow_tailscale: Option<bool>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ControlUi {
    pub enabled: Option<bool>,
    pub base_path: Option<String>,
    pub root: Option<String>,
    pub allowed_origins: Vec<String>,
    pub allow_insecure_auth: bool,
    pub dangerously_disable_device_auth: bool,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Remote {
    pub url: Option<String>,
    pub token: Option<Secret>,
    pub password: Option<Secret>,
    pub tls_fingerprint: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Agents {
    pub defaults: AgentDefaults,
    pub list: Vec<Agent>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AgentDefaults {
    pub model: ModelChoice,
    /// For pictures the chat's model cannot see.
    pub image_model: ModelChoice,
    /// Allowlist and aliases: `provider/model` → `{alias?, params?}`.
    pub models: BTreeMap<String, Value>,
    pub workspace: Option<String>,
    pub skip_bootstrap: bool,
    pub bootstrap_max_chars: Option<usize>,
    /// Seconds; default 600.
    pub timeout_seconds: Option<u64>,
    pub max_concurrent: Option<usize>,
    pub user_timezone: Option<String>,
    pub thinking_default: Option<String>,
    pub verbose_default: Option<String>,
    pub context_tokens: Option<u64>,
    pub sandbox: Sandbox,
    pub heartbeat: Option<Value>,
    pub context_pruning: Value,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Agent {
    pub id: String,
    pub default: bool,
    pub name: Option<String>,
    pub workspace: Option<String>,
    pub model: Option<Value>,
    pub identity: Map<String, Value>,
    pub tools: Option<Value>,
    pub sandbox: Option<Sandbox>,
    pub heartbeat: Option<Value>,
}

/// A bare string in the file means `primary`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct ModelChoice {
    pub primary: Option<String>,
    pub fallbacks: Vec<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Sandbox {
    /// `off`, `non-main`, `all`.
    pub mode: Option<String>,
    /// `none`, `ro`, `rw`.
    pub workspace_access: Option<String>,
    /// `session`, `agent`, `shared`.
    pub scope: Option<String>,
    /// The older way to say `session` or `shared`.
    pub per_session: Option<bool>,
    pub workspace_root: Option<String>,
    pub docker: Option<Map<String, Value>>,
    pub prune: Option<Prune>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Prune {
    pub idle_hours: Option<u64>,
    pub max_age_days: Option<u64>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Models {
    /// `merge` or `replace`.
    pub mode: Option<String>,
    pub providers: BTreeMap<String, Provider>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Provider {
    pub base_url: Option<String>,
    pub api_key: Option<Secret>,
    /// `api-key`, `aws-sdk`, `oauth`, `token`.
    pub auth: Option<String>,
    /// `openai-completions`, `openai-responses`, `anthropic-messages`, …
    pub api: Option<String>,
    pub headers: BTreeMap<String, String>,
    pub auth_header: Option<bool>,
    pub models: Vec<Model>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Model {
    pub id: String,
    pub name: Option<String>,
    pub api: Option<String>,
    pub reasoning: bool,
    pub input: Vec<String>,
    pub cost: Value,
    #[serde(deserialize_with = "whole")]
    pub context_window: Option<u64>,
    #[serde(deserialize_with = "whole")]
    pub max_tokens: Option<u64>,
    pub headers: BTreeMap<String, String>,
    pub compat: Option<Value>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Session {
    /// `per-sender` or `global`.
    pub scope: Option<String>,
    pub store: Option<String>,
    pub reset: Option<Value>,
    pub send_policy: Option<Value>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Logging {
    pub level: Option<String>,
    pub file: Option<String>,
    pub console_level: Option<String>,
    pub console_style: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Tools {
    pub allow: Option<Vec<String>>,
    pub deny: Option<Vec<String>>,
    pub exec: Exec,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Exec {
    pub host: Option<String>,
    pub security: Option<String>,
    pub ask: Option<String>,
    pub background_ms: Option<u64>,
    pub timeout_sec: Option<u64>,
    pub cleanup_ms: Option<u64>,
    pub notify_on_exit: Option<bool>,
    pub path_prepend: Vec<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Ui {
    pub assistant: Map<String, Value>,
}

/// A number that the schema lets have a fraction, which means nothing here: cut off.
fn whole<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    Ok(Option::<f64>::deserialize(from)?.map(|n| n as u64))
}
