//! Models that are easily talked into something: old ones, weak ones, small ones with the web.

use super::{Finding, Severity};
use crate::config::Snapshot;
use crate::config::sandbox::{Mode, Settings};
use crate::tool::policy::{self, Caller};
use serde_json::Value;

/// Billions of parameters from which a model is not called small.
const SMALL: f64 = 300.0;
/// Tools that bring in what strangers wrote.
const WEB: [&str; 3] = ["web_search", "web_fetch", "browser"];

/// A model of the configuration, and where it is named.
struct Named {
    model: String,
    place: String,
    agent: String,
}

pub fn look(snapshot: &Snapshot) -> Vec<Finding> {
    let named = named(snapshot);
    let mut found = Vec::new();
    let lines = |judge: fn(&str) -> Option<&'static str>| -> Vec<String> {
        let line = |one: &Named| {
            let why = judge(&one.model.to_lowercase())?;
            Some(format!("- {} ({why}) @ {}", one.model, one.place))
        };
        named.iter().filter_map(line).collect()
    };
    let legacy = lines(legacy);
    if !legacy.is_empty() {
        found.push(
            Finding::new(
                "models.legacy",
                Severity::Warn,
                "Old models are configured",
                format!(
                    "They are more easily talked into something.\n{}",
                    legacy.join("\n")
                ),
            )
            .fix("Prefer a present model wherever tools can be used."),
        );
    }
    let weak = lines(weak);
    if !weak.is_empty() {
        found.push(
            Finding::new(
                "models.weak_tier",
                Severity::Warn,
                "Models below the best are configured",
                format!(
                    "Smaller and older ones follow instructions hidden in texts more often.\n{}",
                    weak.join("\n")
                ),
            )
            .fix(
                "Prefer GPT-5 or Claude 4.5 and above where strangers can write or tools can act.",
            ),
        );
    }
    found.extend(small(snapshot, &named));
    found
}

fn named(snapshot: &Snapshot) -> Vec<Named> {
    let agents = &snapshot.value["agents"];
    let default = snapshot.config.default_agent_id();
    let mut found = Vec::new();
    collect(&mut found, &agents["defaults"], "agents.defaults", &default);
    for agent in agents["list"].as_array().into_iter().flatten() {
        let id = agent["id"].as_str().unwrap_or_default();
        let place = format!("agents.list.{id}");
        collect(
            &mut found,
            agent,
            &place,
            &crate::config::agents::agent_id(id),
        );
    }
    found
}

fn collect(found: &mut Vec<Named>, of: &Value, place: &str, agent: &str) {
    for key in ["model", "imageModel"] {
        let value = &of[key];
        let mut add = |model: &Value, place: String| {
            let model = model.as_str().unwrap_or_default().trim();
            if !model.is_empty() {
                found.push(Named {
                    model: model.into(),
                    place,
                    agent: agent.into(),
                });
            }
        };
        add(value, format!("{place}.{key}"));
        add(&value["primary"], format!("{place}.{key}.primary"));
        for model in value["fallbacks"].as_array().into_iter().flatten() {
            add(model, format!("{place}.{key}.fallbacks"));
        }
    }
}

fn legacy(model: &str) -> Option<&'static str> {
    let has = |part: &str| model.contains(part);
    match () {
        () if has("gpt-3.5") => Some("GPT-3.5 family"),
        () if has("claude-2") || has("claude-instant") => Some("Claude 2/Instant family"),
        () if has("gpt-4-0314") || has("gpt-4-0613") => Some("old GPT-4"),
        () => None,
    }
}

fn weak(model: &str) -> Option<&'static str> {
    if model.contains("haiku") {
        return Some("Haiku tier (smaller model)");
    }
    if let Some((_, rest)) = model.split_once("gpt-") {
        let major = rest.bytes().next().filter(u8::is_ascii_digit)?;
        return (major < b'5').then_some("Below GPT-5 family");
    }
    let (_, rest) = model.split_once("claude-")?;
    // Years and days of a release are longer than parts of a version.
    let mut version = rest
        .split(['-', '.', '@', ':'])
        .filter(|part| part.len() <= 2)
        .filter_map(|part| part.parse::<u32>().ok());
    let major = version.next()?;
    let version = (major, version.next().unwrap_or(0));
    (version < (4, 5)).then_some("Below Claude 4.5")
}

/// Billions of parameters, where the name says so: `8` of `llama3-8b`.
fn billions(model: &str) -> Option<f64> {
    let bytes = model.as_bytes();
    let ends = |at: usize| bytes.get(at + 1).is_none_or(|b| !b.is_ascii_alphanumeric());
    let sizes = bytes
        .iter()
        .enumerate()
        .filter(|(at, byte)| **byte == b'b' && ends(*at))
        .filter_map(|(at, _)| {
            let before = &model[..at];
            let digits = before
                .bytes()
                .rev()
                .take_while(|b| b.is_ascii_digit() || *b == b'.')
                .count();
            before[at - digits..]
                .trim_start_matches('.')
                .parse::<f64>()
                .ok()
        });
    sizes.fold(None, |most: Option<f64>, size| {
        Some(most.map_or(size, |most| most.max(size)))
    })
}

fn small(snapshot: &Snapshot, named: &[Named]) -> Option<Finding> {
    let mut lines = Vec::new();
    let mut open: Vec<&str> = Vec::new();
    let mut unsafe_one = false;
    for one in named {
        let Some(size) = billions(&one.model.to_lowercase()).filter(|size| *size <= SMALL) else {
            continue;
        };
        let mode = Settings::of(&snapshot.config, &snapshot.paths, &one.agent).mode;
        let web = web_tools(snapshot, &one.agent);
        let safe = mode == Mode::All && web.is_empty();
        unsafe_one |= !safe;
        let listed = if web.is_empty() {
            "off".into()
        } else {
            format!("[{}]", web.join(", "))
        };
        lines.push(format!(
            "- {} ({size}B) @ {} ({}; sandbox={}; web={listed})",
            one.model,
            one.place,
            if safe { "ok" } else { "unsafe" },
            mode.name(),
        ));
        open.extend(web);
    }
    if lines.is_empty() {
        return None;
    }
    open.sort_unstable();
    open.dedup();
    let web = match open.is_empty() {
        true => "No tool brings in texts of strangers.".to_string(),
        false => format!(
            "Tools that bring in texts of strangers: {}.",
            open.join(", ")
        ),
    };
    let severity = if unsafe_one {
        Severity::Critical
    } else {
        Severity::Info
    };
    let finding = Finding::new(
        "models.small_params",
        severity,
        "Small models need a sandbox and no web",
        format!(
            "Of {SMALL}B parameters or less:\n{}\n{web}",
            lines.join("\n")
        ),
    );
    Some(finding.fix(
        "Set agents.defaults.sandbox.mode=\"all\" and tools.deny=[\"group:web\",\"browser\"], or \
         use a larger model.",
    ))
}

fn web_tools(snapshot: &Snapshot, agent: &str) -> Vec<&'static str> {
    let key = crate::session::key::main_key(agent);
    let caller = Caller {
        agent_id: agent,
        session_key: &key,
        ..Caller::default()
    };
    let allowed = policy::allowed(snapshot, &caller);
    let names = allowed.iter().map(|tool| tool.name);
    names.filter(|name| WEB.contains(name)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::found;
    use super::*;
    use serde_json::json;

    #[test]
    fn names_tell_the_age_the_tier_and_the_size() {
        let rows = [
            ("openai/gpt-3.5-turbo", true, true, None),
            ("openai/gpt-4-0613", true, true, None),
            ("openai/gpt-5.2", false, false, None),
            ("anthropic/claude-2.1", true, true, None),
            ("anthropic/claude-3-5-sonnet-20241022", false, true, None),
            ("anthropic/claude-sonnet-4-20250514", false, true, None),
            ("anthropic/claude-opus-4-5", false, false, None),
            ("anthropic/claude-opus-4.6", false, false, None),
            ("anthropic/claude-haiku-4-5", false, true, None),
            ("ollama/llama3-8b", false, false, Some(8.0)),
            ("ollama/qwen2.5:0.5b-instruct", false, false, Some(0.5)),
            ("openai/gpt-oss-120b", false, false, Some(120.0)),
            ("x/deepseek-v3-671b", false, false, Some(671.0)),
            ("x/web-cab", false, false, None),
        ];
        for (model, old, low, size) in rows {
            assert_eq!(legacy(model).is_some(), old, "{model}");
            assert_eq!(weak(model).is_some(), low, "{model}");
            assert_eq!(billions(model), size, "{model}");
        }
    }

    #[test]
    fn a_small_model_is_harmless_in_a_sandbox_without_the_web() {
        let gateway = json!({"auth": {"token": "0123456789abcdef01234567"},
            "trustedProxies": ["10.0.0.1"]});
        let mut config = json!({"gateway": gateway, "agents": {"defaults": {
            "model": {"primary": "ollama/llama3-8b"}}}});
        assert_eq!(found(&config, &[]), ["models.small_params critical"]);
        config["agents"]["defaults"]["sandbox"] = json!({"mode": "all"});
        config["tools"] = json!({"deny": ["group:web", "browser"]});
        assert_eq!(found(&config, &[]), ["models.small_params info"]);
    }
}
