//! `skills.*`: params and results.

use crate::wire::shape::{BOOL, Field, NON_EMPTY, STRING, Shape, at_least, optional, required};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

pub const STATUS: Shape = Shape::Closed(&[optional("agentId", NON_EMPTY)]);

pub const INSTALL: Shape = Shape::Closed(&[
    required("name", NON_EMPTY),
    required("installId", NON_EMPTY),
    optional("timeoutMs", at_least(1000)),
]);

const UPDATE_FIELDS: &[Field] = &[
    required("skillKey", NON_EMPTY),
    optional("enabled", BOOL),
    optional("apiKey", STRING),
    optional("env", Shape::MapOf(&STRING)),
];

pub const UPDATE: Shape = Shape::Closed(UPDATE_FIELDS);

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InstallParams {
    pub name: String,
    pub install_id: String,
    #[serde(default)]
    pub timeout_ms: Option<f64>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UpdateParams {
    pub skill_key: String,
    #[serde(default)]
    pub enabled: Option<bool>,
    #[serde(default)]
    pub api_key: Option<String>,
    #[serde(default)]
    pub env: BTreeMap<String, String>,
}

/// `R`: what a skill needs; `C`: a setting it asks for.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Status<R: Serialize, C: Serialize> {
    pub workspace_dir: String,
    pub managed_skills_dir: String,
    pub skills: Vec<Row<R, C>>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Row<R: Serialize, C: Serialize> {
    pub name: String,
    pub description: String,
    pub source: &'static str,
    pub bundled: bool,
    pub file_path: String,
    pub base_dir: String,
    pub skill_key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub primary_env: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub emoji: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub homepage: Option<String>,
    pub always: bool,
    pub disabled: bool,
    pub blocked_by_allowlist: bool,
    pub eligible: bool,
    pub requirements: R,
    pub missing: R,
    pub config_checks: Vec<C>,
    pub install: Vec<Installer>,
}

/// A way to install what is missing.
#[derive(Clone, Debug, Serialize)]
pub struct Installer {
    pub id: String,
    pub kind: String,
    pub label: String,
    pub bins: Vec<String>,
}

#[derive(Clone, Debug, Serialize)]
pub struct Bins {
    pub bins: Vec<String>,
}

/// How an installation ended.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Installed {
    pub ok: bool,
    pub message: String,
    pub stdout: String,
    pub stderr: String,
    /// Really null when nothing was run to its end.
    pub code: Option<i32>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Updated<'a> {
    pub ok: bool,
    pub skill_key: &'a str,
    pub config: serde_json::Value,
}
