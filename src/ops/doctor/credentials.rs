//! Credentials where versions before `auth-profiles.json` kept them: `auth.json` of an agent and
//! `oauth.json` among the credentials, each a map of providers.

use super::{Cure, Error, Finding, Ground, Kind, Remedy, io};
use crate::model::credential;
use serde_json::{Map, Value, json};
use std::fs;
use std::path::{Path, PathBuf};

/// Far above what some keys take.
const MAX_BYTES: u64 = 1024 * 1024;

pub fn look(ground: &Ground) -> Vec<Finding> {
    let paths = ground.paths();
    // The original reads it and leaves it.
    let shared = paths.credentials.join("oauth.json");
    let mut places = vec![(shared, paths.agent_dir.clone(), false)];
    let agents = fs::read_dir(paths.state.join("agents"));
    for agent in agents.into_iter().flatten().flatten() {
        // Links among them are other names.
        if agent.file_type().is_ok_and(|kind| kind.is_dir()) {
            let own = agent.path().join("agent");
            places.push((own.join("auth.json"), own, true));
        }
    }
    let mut found = Vec::new();
    for (file, own, goes) in places {
        let profiles = new_profiles(&file, &own);
        if profiles.is_empty() {
            continue;
        }
        found.push(Finding {
            topic: "Model auth",
            grave: true,
            what: format!(
                "Credentials of an earlier version are in {}.",
                ground.shown(&file)
            ),
            details: profiles.iter().map(|(id, _)| id.clone()).collect(),
            why: "They are not used from there.",
            cure: Cure::Ours {
                kind: Kind::Migration,
                question: "Take them over?".into(),
                run: take_over(
                    &own,
                    profiles,
                    Some(file).filter(|file| goes && is_known(file)),
                ),
            },
        });
    }
    found
}

/// What is in the old file and not yet in the present one.
fn new_profiles(file: &Path, agent_dir: &Path) -> Vec<(String, Value)> {
    let present = read(&agent_dir.join("auth-profiles.json"));
    let present = present.get("profiles").and_then(Value::as_object);
    read(file)
        .into_iter()
        .filter_map(|(provider, value)| {
            let id = format!("{provider}:default");
            let known = present.is_some_and(|present| present.contains_key(&id));
            Some((id, profile(&provider, value)?)).filter(|_| !known)
        })
        .collect()
}

/// Whether all of an old file is understood: then nothing is lost with it.
fn is_known(file: &Path) -> bool {
    read(file)
        .into_iter()
        .all(|(provider, value)| profile(&provider, value).is_some())
}

/// The old form had the kind of key as `type` or showed it by its fields.
fn profile(provider: &str, value: Value) -> Option<Value> {
    let mut map: Map<String, Value> = value.as_object()?.clone();
    let kind = match map.get("type").and_then(Value::as_str) {
        Some(kind @ ("api_key" | "oauth" | "token")) => kind.to_string(),
        _ if map.contains_key("access") || map.contains_key("refresh") => "oauth".into(),
        _ if map.contains_key("key") => "api_key".into(),
        _ if map.contains_key("token") => "token".into(),
        _ => return None,
    };
    map.insert("type".into(), json!(kind));
    map.insert("provider".into(), json!(provider));
    Some(Value::Object(map))
}

fn take_over(agent_dir: &Path, profiles: Vec<(String, Value)>, old: Option<PathBuf>) -> Remedy {
    let agent_dir = agent_dir.to_path_buf();
    Box::new(move || {
        let mut done = Vec::new();
        for (id, profile) in profiles {
            credential::put(&agent_dir, &id, profile).map_err(Error::Credential)?;
            done.push(format!("Took over {id}"));
        }
        if let Some(old) = old {
            fs::remove_file(&old).map_err(io(&old))?;
        }
        Ok(done)
    })
}

fn read(file: &Path) -> Map<String, Value> {
    let small = fs::metadata(file).is_ok_and(|meta| meta.is_file() && meta.len() <= MAX_BYTES);
    let text = small.then(|| fs::read(file).ok()).flatten();
    text.and_then(|text| serde_json::from_slice(&text).ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::id;
    use crate::config::{Env, Paths, load};

    #[test]
    fn keys_of_the_old_files_are_taken_over_and_present_ones_stay() {
        let dir = id::temp_dir("doctor-credentials");
        let d = dir.to_str().unwrap();
        let env = Env::from_pairs(&[("HOME", d), ("OPENCLAW_STATE_DIR", d)]);
        let paths = Paths::resolve(&env, None);
        let own = paths.agent("main").join("agent");
        fs::create_dir_all(&own).unwrap();
        fs::create_dir_all(&paths.credentials).unwrap();
        let put = |file: PathBuf, value: Value| fs::write(file, value.to_string()).unwrap();
        put(
            own.join("auth.json"),
            json!({"anthropic": {"type": "api_key", "key": "k1"}, "openai": {"key": "old"}}),
        );
        put(
            own.join("auth-profiles.json"),
            json!({"version": 1, "profiles": {"openai:default": {"type": "api_key", "provider": "openai", "key": "new"}}}),
        );
        put(
            paths.credentials.join("oauth.json"),
            json!({"chutes": {"access": "a", "refresh": "r", "expires": 1}, "odd": 1}),
        );
        let ground = Ground::of(load::load(&paths, &env));
        let found = look(&ground);
        assert_eq!(found.len(), 2);
        for finding in found {
            if let Cure::Ours { run, .. } = finding.cure {
                let told = run().unwrap().concat();
                assert!(!told.contains("k1"), "{told}");
            }
        }
        let profiles = read(&own.join("auth-profiles.json"))["profiles"].clone();
        assert_eq!(profiles["anthropic:default"]["key"], "k1");
        assert_eq!(profiles["openai:default"]["key"], "new");
        assert_eq!(profiles["chutes:default"]["type"], "oauth");
        assert!(!own.join("auth.json").exists());
        assert!(paths.credentials.join("oauth.json").exists());
        assert!(look(&ground).is_empty());
        fs::remove_dir_all(dir).unwrap();
    }
}
