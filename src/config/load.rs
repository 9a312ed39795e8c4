//! Reading the configuration file into a `Snapshot`.

use super::{Config, Env, Paths};
use serde_json::Value;

/// One thing wrong with the configuration.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Issue {
    /// `gateway.port`; empty for the file as a whole.
    pub path: String,
    pub message: String,
    /// Ours: what was found, what is wanted, the nearest known key. Not part of the wire form.
    #[serde(skip)]
    pub hint: Option<String>,
}

/// What `config.get` shows, and what everything else reads.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    pub path: std::path::PathBuf,
    pub exists: bool,
    pub raw: Option<String>,
    /// The literal content.
    pub parsed: Value,
    pub valid: bool,
    /// With includes, variables and defaults applied.
    pub value: Value,
    /// SHA-256 of `raw` (of nothing when there is no file).
    pub hash: String,
    pub issues: Vec<Issue>,
    pub warnings: Vec<Issue>,
    pub legacy_issues: Vec<Issue>,
    /// The typed form of `value`; the default when invalid.
    pub config: Config,
    /// The environment with the `.env` files and the config's `env` block added.
    pub env: Env,
    pub paths: Paths,
}

/// `gateway.port: …`, with the hint in brackets when there is one.
impl std::fmt::Display for Issue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let place = if self.path.is_empty() {
            "<root>"
        } else {
            &self.path
        };
        write!(f, "{place}: {}", self.message)?;
        match &self.hint {
            Some(hint) => write!(f, " ({hint})"),
            None => Ok(()),
        }
    }
}

pub fn load(paths: &Paths, env: &Env) -> Snapshot {
    let raw = std::fs::read_to_string(&paths.config).ok();
    let parsed: Value = raw
        .as_deref()
        .and_then(|text| json5::from_str(text).ok())
        .unwrap_or_default();
    let config = serde_json::from_value(parsed.clone()).unwrap_or_default();
    Snapshot {
        path: paths.config.clone(),
        exists: raw.is_some(),
        hash: crate::base::hex::sha256(raw.as_deref().unwrap_or_default().as_bytes()),
        valid: true,
        value: parsed.clone(),
        parsed,
        raw,
        config,
        env: env.clone(),
        paths: paths.clone(),
        ..Snapshot::default()
    }
}
