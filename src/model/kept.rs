//! Providers that only `models.json` in an agent's folder has. The original writes that file before
//! each run from its configuration and keeps what else is there, so people put providers into it by
//! hand. Here it is read, where `models.mode` is not `replace`, and never written: no key gets into
//! one more file. What cannot be read adds nothing.

use super::name::{configured, provider_id};
use crate::config::Snapshot;
use crate::config::schema::Provider;
use serde::Deserialize;
use serde_json::Value;
use std::borrow::Cow;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// A list of all models of all vendors is some hundred KiB.
const MAX_FILE: u64 = 4 * 1024 * 1024;

/// The configuration with the agent's further providers.
pub(super) fn with<'s>(snapshot: &'s Snapshot, agent_dir: &Path) -> Cow<'s, Snapshot> {
    let replaced = snapshot.config.models.mode.as_deref() == Some("replace");
    if replaced || agent_dir.as_os_str().is_empty() {
        return Cow::Borrowed(snapshot);
    }
    let Some(Value::Object(mut file)) = read(&agent_dir.join("models.json")) else {
        return Cow::Borrowed(snapshot);
    };
    let Some(Value::Object(providers)) = file.remove("providers") else {
        return Cow::Borrowed(snapshot);
    };
    let mut all = Cow::Borrowed(snapshot);
    for (id, provider) in providers {
        if configured(&snapshot.config, &id).is_some() {
            continue;
        }
        match Provider::deserialize(provider) {
            Ok(provider) => {
                let providers = &mut all.to_mut().config.models.providers;
                providers.insert(provider_id(&id), provider);
            }
            Err(err) => log::debug!("models.json: provider {id}: {err}"),
        }
    }
    all
}

fn read(path: &Path) -> Option<Value> {
    let mut text = Vec::new();
    let file = File::open(path).ok()?;
    file.take(MAX_FILE).read_to_end(&mut text).ok()?;
    serde_json::from_slice(&text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::choose;
    use crate::model::name::Ref;

    #[test]
    fn a_provider_that_only_the_file_has_is_used_and_the_configuration_goes_first() {
        let dir = crate::base::id::temp_dir("kept");
        let mut snapshot = Snapshot {
            env: crate::config::Env::from_pairs(&[("LAB_KEY", "k")]),
            ..Snapshot::default()
        };
        let own = Provider {
            base_url: Some("http://own".into()),
            ..Provider::default()
        };
        snapshot.config.models.providers.insert("own".into(), own);
        let targets = |snapshot: &Snapshot, provider: &str| {
            choose::targets(snapshot, &dir, &Ref::new(provider, "m"))
        };
        assert!(targets(&snapshot, "lab").is_err());
        let file = r#"{"providers": {
            "own": {"baseUrl": "http://stale", "models": []},
            "bad": 7,
            "Lab": {"baseUrl": "http://lab", "api": "openai-completions", "apiKey": "LAB_KEY",
                "models": [{"id": "m", "name": "M", "contextWindow": 64000,
                    "compat": {"requiresToolResultName": true}}]}}}"#;
        std::fs::write(dir.join("models.json"), file).unwrap();
        let target = targets(&snapshot, "lab").unwrap().remove(0).target;
        assert_eq!(target.base_url, "http://lab");
        assert_eq!(target.context_window, 64_000);
        assert_eq!(target.key.as_ref().unwrap().expose(), "k");
        assert_eq!(target.compat["requiresToolResultName"], true);
        let own = targets(&snapshot, "own").unwrap().remove(0).target;
        assert_eq!(own.base_url, "http://own");
        snapshot.config.models.mode = Some("replace".into());
        assert!(targets(&snapshot, "lab").is_err());
        snapshot.config.models.mode = None;
        std::fs::write(dir.join("models.json"), "{").unwrap();
        assert!(targets(&snapshot, "lab").is_err());
        std::fs::remove_dir_all(dir).unwrap();
    }
}
