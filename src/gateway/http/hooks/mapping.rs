//! Mappings: which configured rule a hook's path and payload match, and what it makes of them.
//! `hooks.mappings` first, then the presets; the first match answers.
//!
//! A mapping with a `transform` is answered 501: it names a JavaScript module, and nothing here runs
//! one.

use super::run::Work;
use super::settings::Settings;
use super::template::Said;
use super::{Action, channel};
use crate::base::id;
use serde_json::{Value, json};

pub enum Outcome {
    /// No mapping matches.
    None,
    /// It matches and cannot be done here.
    Unsupported(String),
    Is(Result<Action, String>),
}

pub fn answer(settings: &Settings, said: &Said) -> Outcome {
    let presets = presets(settings.value);
    let own = settings.value["mappings"].as_array();
    let all = own.into_iter().flatten().chain(&presets);
    for (at, mapping) in all.enumerate() {
        if matches(mapping, said) {
            return apply(mapping, at, said);
        }
    }
    Outcome::None
}

/// Gmail's notifications as the watcher forwards them.
fn presets(hooks: &Value) -> Vec<Value> {
    let names = hooks["presets"].as_array();
    let wants = |name: &str| {
        let mut names = names.into_iter().flatten().filter_map(Value::as_str);
        names.any(|have| have.trim() == name)
    };
    if !wants("gmail") {
        return Vec::new();
    }
    let mut gmail = json!({
        "id": "gmail",
        "match": {"path": "gmail"},
        "action": "agent",
        "wakeMode": "now",
        "name": "Gmail",
        "sessionKey": "hook:gmail:{{messages[0].id}}",
        "messageTemplate": "New mail from {{messages[0].from}}\n\
            Subject: {{messages[0].subject}}\n{{messages[0].snippet}}\n{{messages[0].body}}",
    });
    for key in ["allowUnsafeExternalContent", "model", "thinking"] {
        if let Some(value) = hooks["gmail"].get(key) {
            gmail[key] = value.clone();
        }
    }
    vec![gmail]
}

fn matches(mapping: &Value, said: &Said) -> bool {
    let rule = &mapping["match"];
    let path = rule["path"].as_str().map(|p| p.trim().trim_matches('/'));
    let source = rule["source"].as_str();
    path.is_none_or(|path| path.is_empty() || path == said.path)
        && source.is_none_or(|source| said.payload["source"] == source)
}

fn apply(mapping: &Value, at: usize, said: &Said) -> Outcome {
    if mapping["transform"].is_object() {
        let id = mapping["id"].as_str().map(str::to_string);
        let id = id.unwrap_or_else(|| format!("mapping-{}", at + 1));
        let why = format!("hook mapping {id} has a transform, which this gateway cannot run");
        log::warn!(target: "gateway/hooks", "{why}");
        return Outcome::Unsupported(why);
    }
    // Templates that render to nothing say nothing.
    let text = |key: &str| {
        let text = said.render(mapping[key].as_str()?);
        let text = text.trim();
        (!text.is_empty()).then(|| text.to_string())
    };
    let now = mapping["wakeMode"] != "next-heartbeat";
    if mapping["action"] == "wake" {
        return Outcome::Is(match text("textTemplate") {
            Some(text) => Ok(Action::Wake { text, now }),
            None => Err("hook mapping requires text".into()),
        });
    }
    let Some(message) = text("messageTemplate") else {
        return Outcome::Is(Err("hook mapping requires message".into()));
    };
    let channel = match channel(mapping.get("channel")) {
        Ok(channel) => channel,
        Err(why) => return Outcome::Is(Err(why)),
    };
    Outcome::Is(Ok(Action::Work(Work {
        message,
        name: text("name").unwrap_or_else(|| "Hook".into()),
        session_key: text("sessionKey").unwrap_or_else(|| format!("hook:{}", id::uuid())),
        wake: now,
        channel,
        model: text("model"),
        thinking: text("thinking"),
        seconds: mapping["timeoutSeconds"].as_u64(),
        trusted: mapping["allowUnsafeExternalContent"] == true,
    })))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Env, Paths, load};

    fn with(hooks: Value, path: &str, payload: Value) -> Outcome {
        let dir = id::temp_dir("hooks");
        let home = dir.to_str().unwrap();
        let env = Env::from_pairs(&[("HOME", home), ("OPENCLAW_STATE_DIR", home)]);
        let mut hooks = hooks;
        hooks["enabled"] = true.into();
        hooks["token"] = "t".into();
        let config = json!({"hooks": hooks}).to_string();
        std::fs::write(dir.join("openclaw.json"), config).unwrap();
        let snapshot = load::load(&Paths::resolve(&env, None), &env);
        assert!(snapshot.valid, "{:?}", snapshot.issues);
        let said = Said {
            path: path.into(),
            payload,
            ..Said::default()
        };
        let outcome = answer(&Settings::of(&snapshot).unwrap(), &said);
        std::fs::remove_dir_all(dir).unwrap();
        outcome
    }

    #[test]
    fn the_first_mapping_that_matches_answers() {
        let hooks = json!({"mappings": [
            {"match": {"path": "/ci/", "source": "github"}, "action": "wake",
             "textTemplate": "{{repo}} pushed", "wakeMode": "next-heartbeat"},
            {"match": {"path": "ci"}, "messageTemplate": "CI: {{what}}", "name": "CI {{what}}",
             "sessionKey": "hook:ci", "timeoutSeconds": 9, "allowUnsafeExternalContent": true},
        ]});
        let of = |payload| with(hooks.clone(), "ci", payload);
        let Outcome::Is(Ok(Action::Wake { text, now })) =
            of(json!({"source": "github", "repo": "r"}))
        else {
            panic!("a wake");
        };
        assert_eq!((text.as_str(), now), ("r pushed", false));
        let Outcome::Is(Ok(Action::Work(work))) = of(json!({"what": "red"})) else {
            panic!("work");
        };
        assert_eq!(work.message, "CI: red");
        assert_eq!(work.name, "CI red");
        assert_eq!((work.seconds, work.trusted), (Some(9), true));
        assert!(matches!(
            with(hooks.clone(), "other", json!({})),
            Outcome::None
        ));
        let bare = json!({"mappings": [{"action": "wake", "textTemplate": "{{none}}"}]});
        let Outcome::Is(Err(why)) = with(bare, "x", json!({})) else {
            panic!("refused");
        };
        assert_eq!(why, "hook mapping requires text");
    }

    #[test]
    fn mail_has_a_preset_and_a_transform_is_refused() {
        let mail = json!({"messages": [{"id": "7", "from": "a@b", "subject": "Hi", "body": "x"}]});
        let hooks = json!({"presets": ["gmail"], "gmail": {"model": "p/m"}});
        let Outcome::Is(Ok(Action::Work(work))) = with(hooks, "gmail", mail) else {
            panic!("work");
        };
        assert_eq!(work.session_key, "hook:gmail:7");
        assert!(work.message.starts_with("New mail from a@b\nSubject: Hi"));
        assert_eq!((work.model.as_deref(), work.trusted), (Some("p/m"), false));
        let hooks = json!({"mappings": [{"id": "js", "transform": {"module": "x.mjs"}}]});
        assert!(matches!(
            with(hooks, "x", json!({})),
            Outcome::Unsupported(why) if why.contains("js")
        ));
    }
}
