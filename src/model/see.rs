//! Asking a model that sees about pictures: the configured image model and its fallbacks, or the
//! one that goes with the provider in use. One question, no tools, a short answer.

use super::choose;
use super::credential::Profiles;
use super::name::{self, Ref, configured};
use super::{Class, Client, Live, Request};
use crate::base::cancel::Cancel;
use crate::base::time::now_ms;
use crate::config::Snapshot;
use crate::wire::message::{Block, Content, Message, User};
use serde_json::{Value, json};
use std::path::Path;

/// Asked when nobody says what to look for.
pub const QUESTION: &str = "Describe the image.";
/// Tokens of an answer; the original's.
pub const MAX_TOKENS: u64 = 512;

/// Which model of a provider looks at pictures when none is configured.
const PAIRS: [(&str, &str); 5] = [
    ("anthropic", "claude-opus-4-5"),
    ("google", "gemini-3-flash-preview"),
    ("minimax", "MiniMax-VL-01"),
    ("openai", "gpt-5-mini"),
    ("zai", "glm-4.6v"),
];
/// Tried after the pair of the provider in use.
const USUAL: [&str; 2] = ["openai", "anthropic"];

/// What was seen, and by whom.
#[derive(Clone, Debug)]
pub struct Seen {
    pub text: String,
    pub model: Ref,
    /// Who was asked before, and why that gave nothing.
    pub attempts: Vec<Value>,
}

/// The models that can be asked, best first; empty when nothing sees. `used` is the chat's model.
pub fn chain(snapshot: &Snapshot, agent_dir: &Path, used: &Ref) -> Vec<Ref> {
    let config = &snapshot.config;
    let image = &config.agents.defaults.image_model;
    let named = image.primary.iter().chain(&image.fallbacks);
    let mut models: Vec<Ref> = named.map(|name| Ref::parse(config, name)).collect();
    if models.is_empty() {
        let profiles = Profiles::read(&snapshot.paths, agent_dir);
        let pair = |provider: &str| {
            let pair = PAIRS.iter().find(|(id, _)| *id == provider)?;
            Some(Ref::new(pair.0, pair.1))
        };
        let own = configured(config, &used.provider).and_then(|own| {
            let sees = own
                .models
                .iter()
                .find(|m| m.input.iter().any(|kind| kind == "image"))?;
            Some(Ref::new(&used.provider, &sees.id))
        });
        models.extend(own);
        models.extend(pair(&used.provider));
        models.extend(USUAL.iter().filter_map(|id| pair(id)));
        models.retain(|model| choose::targets_with(snapshot, &profiles, agent_dir, model).is_ok());
    }
    let mut seen: Vec<Ref> = Vec::new();
    models.retain(|model| {
        let new = !seen.contains(model);
        if new {
            seen.push(model.clone());
        }
        new
    });
    models
}

/// The agent's model when its session chose none.
pub fn default_model(snapshot: &Snapshot, agent_id: &str) -> Ref {
    name::chain(&snapshot.config, snapshot.config.agent(agent_id), None).remove(0)
}

/// The first answer any of `models` gives. The error names each that gave none.
pub fn ask(
    snapshot: &Snapshot,
    agent_dir: &Path,
    models: &[Ref],
    question: &str,
    pictures: &[Block],
    cancel: &Cancel,
) -> Result<Seen, String> {
    let text = Block::text(question);
    let message = Message::User(User {
        content: Content::Blocks(
            std::iter::once(text)
                .chain(pictures.iter().cloned())
                .collect(),
        ),
        timestamp: now_ms(),
    });
    let request = Request {
        system: "",
        messages: &[message],
        tools: &[],
        thinking: "off",
        session_id: "image",
        max_tokens: Some(MAX_TOKENS),
        must_call: false,
    };
    let mut attempts = Vec::new();
    for model in models {
        match one(snapshot, agent_dir, model, &request, cancel) {
            Ok(text) => {
                return Ok(Seen {
                    text,
                    model: model.clone(),
                    attempts,
                });
            }
            Err(_) if cancel.is_cancelled() => return Err("aborted".into()),
            Err(why) => attempts.push(json!({
                "provider": model.provider,
                "model": model.model,
                "error": why,
            })),
        }
    }
    let list: Vec<String> = attempts
        .iter()
        .map(|a| {
            let text = |key: &str| a[key].as_str().unwrap_or_default().to_string();
            format!("{}/{}: {}", text("provider"), text("model"), text("error"))
        })
        .collect();
    Err(match list.len() {
        0 => "no image model is configured; set one with openclaw models set-image".into(),
        n => format!("All image models failed ({n}): {}", list.join(" | ")),
    })
}

fn one(
    snapshot: &Snapshot,
    agent_dir: &Path,
    model: &Ref,
    request: &Request,
    cancel: &Cancel,
) -> Result<String, String> {
    let choices = choose::targets(snapshot, agent_dir, model).map_err(|err| err.message)?;
    let mut why = String::new();
    for choice in choices {
        // What a person named as the image model is believed to see.
        let mut target = choice.target;
        target.images = true;
        match Live::default().stream(&target, request, cancel, &mut |_| {}) {
            Ok(answer) if !answer.text().trim().is_empty() => {
                return Ok(answer.text().trim().to_string());
            }
            Ok(_) => why = "it said nothing".into(),
            Err(error) => {
                why.clone_from(&error.message);
                // Only another key may do better, and only where the key was the trouble.
                if !matches!(error.class, Class::Auth | Class::Billing | Class::RateLimit) {
                    break;
                }
            }
        }
    }
    Err(why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Env, Paths, load};

    fn chain_of(config: &str, used: &str, env: &[(&str, &str)]) -> Vec<String> {
        let dir = crate::base::id::temp_dir("see");
        let state = dir.to_str().unwrap();
        let mut pairs = vec![("HOME", state), ("OPENCLAW_STATE_DIR", state)];
        pairs.extend(env);
        let env = Env::from_pairs(&pairs);
        let paths = Paths::resolve(&env, None);
        std::fs::write(&paths.config, config).unwrap();
        let snapshot = load::load(&paths, &env);
        let used = Ref::parse(&snapshot.config, used);
        let found = chain(&snapshot, &paths.agent_dir, &used);
        std::fs::remove_dir_all(dir).unwrap();
        found.iter().map(Ref::to_string).collect()
    }

    #[test]
    fn the_configured_chain_is_used_else_the_pair_of_the_provider_that_has_a_key() {
        let configured =
            r#"{"agents":{"defaults":{"imageModel":{"primary":"a/b","fallbacks":["c/d","a/b"]}}}}"#;
        assert_eq!(chain_of(configured, "zai/glm-4.7", &[]), ["a/b", "c/d"]);
        let key = [("ZAI_API_KEY", "k"), ("OPENAI_API_KEY", "k")];
        assert_eq!(
            chain_of("{}", "zai/glm-4.7", &key),
            ["zai/glm-4.6v", "openai/gpt-5-mini"]
        );
        assert!(chain_of("{}", "zai/glm-4.7", &[]).is_empty());
    }
}
