//! The embedded model: a llama.cpp server in a Python venv below the state folder, run as a child
//! of the supervisor. Here is where it lies and what it is; `ops/local_model.rs` installs it.

use crate::base::atomic;
use crate::config::Paths;
use crate::wire::control::Worker;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::io;
use std::path::{Path, PathBuf};

/// The child's id, and the provider's name in the configuration.
pub const WORKER_ID: &str = "local-model";
pub const PROVIDER: &str = "local";
pub const MODEL: &str = "smollm2-135m";
/// Tokens the model was trained for.
pub const CONTEXT_TOKENS: u64 = 8_192;
const ANSWER_TOKENS: u64 = 1_024;

const SERVER: &str = include_str!("../../contrib/local-model/serve.py");

/// What is kept between starts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// On loopback.
    pub port: u16,
    /// Whether a gateway of this state folder runs it.
    pub enabled: bool,
}

/// `<state>/rs/local-model`.
#[derive(Clone, Debug)]
pub struct LocalModel {
    dir: PathBuf,
}

impl LocalModel {
    pub fn of(paths: &Paths) -> LocalModel {
        LocalModel {
            dir: paths.ours().join("local-model"),
        }
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    pub fn venv(&self) -> PathBuf {
        self.dir.join("venv")
    }

    pub fn python(&self) -> PathBuf {
        self.venv().join("bin/python")
    }

    fn server(&self) -> PathBuf {
        self.dir.join("serve.py")
    }

    fn settings_file(&self) -> PathBuf {
        self.dir.join("settings.json")
    }

    /// `None` until it is installed.
    pub fn settings(&self) -> Option<Settings> {
        let text = std::fs::read(self.settings_file()).ok()?;
        serde_json::from_slice(&text).ok()
    }

    /// Written last by the installation: its presence means the rest is there.
    pub fn save(&self, settings: &Settings) -> io::Result<()> {
        let text = serde_json::to_vec(settings).map_err(io::Error::other)?;
        atomic::write(&self.settings_file(), &text)
    }

    /// Puts this version's server program beside the venv.
    pub fn write_server(&self) -> io::Result<()> {
        match std::fs::read(self.server()) {
            Ok(there) if there == SERVER.as_bytes() => Ok(()),
            _ => atomic::write(&self.server(), SERVER.as_bytes()),
        }
    }

    /// What the supervisor is asked to run.
    pub fn worker(&self, settings: &Settings) -> Worker {
        Worker {
            id: WORKER_ID.into(),
            argv: vec![
                self.python().to_string_lossy().into_owned(),
                self.server().to_string_lossy().into_owned(),
                settings.port.to_string(),
                CONTEXT_TOKENS.to_string(),
            ],
            limits: Default::default(),
        }
    }

    /// Its entry below `models.providers`, understood by the original too.
    pub fn provider(&self, settings: &Settings) -> Value {
        json!({
            "baseUrl": format!("http://127.0.0.1:{}/v1", settings.port),
            "apiKey": "local",
            "api": "openai-completions",
            "models": [{
                "id": MODEL,
                "name": "SmolLM2 135M (local)",
                "reasoning": false,
                "input": ["text"],
                "cost": {"input": 0, "output": 0, "cacheRead": 0, "cacheWrite": 0},
                "contextWindow": CONTEXT_TOKENS,
                "maxTokens": ANSWER_TOKENS,
            }],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Env;

    #[test]
    fn settings_survive_and_the_worker_names_no_secret() {
        let dir = crate::base::id::temp_dir("local-model");
        let env = Env::from_pairs(&[("OPENCLAW_STATE_DIR", dir.to_str().unwrap())]);
        let local = LocalModel::of(&Paths::resolve(&env, None));
        assert_eq!(local.settings(), None);
        let settings = Settings {
            port: 4242,
            enabled: true,
        };
        local.save(&settings).unwrap();
        local.write_server().unwrap();
        assert_eq!(local.settings(), Some(settings.clone()));
        assert_eq!(local.worker(&settings).argv[2], "4242");
        std::fs::remove_dir_all(dir).unwrap();
    }
}
