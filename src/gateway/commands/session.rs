//! Commands about the session itself: who talks, what it uses, whether it answers, its context.

use super::{Asked, Reply, Rights, card, patch, settings};
use crate::agent::group::Activation;
use crate::agent::workspace;
use crate::config::sandbox::is_used;
use crate::gateway::session_patch::next_model;
use crate::gateway::turns::compaction;
use crate::gateway::{skills, usage};
use crate::session::key::{self, Kind};
use crate::tool::policy;
use serde_json::{Map, Value, json};

/// Days of `/usage cost`.
const COST_DAYS: u64 = 30;

pub(super) fn whoami(asked: &Asked) -> String {
    let mut lines = vec![
        "👤 You".to_string(),
        format!("Channel: {}", asked.channel),
        format!("Names: {}", asked.sender.names.join(", ")),
        format!("Session: {}", asked.key),
    ];
    if let Rights::Client(client) = asked.rights {
        if let Some(id) = &client.device_id {
            lines.push(format!("Device: {id}"));
        }
        lines.push(format!("Scopes: {}", client.scopes.join(", ")));
    }
    lines.join("\n")
}

fn set(asked: &Asked, field: &str, value: Value, said: String) -> String {
    match patch(asked, Map::from_iter([(field.to_string(), value)])) {
        Ok(_) => format!("⚙️ {said}"),
        Err(why) => format!("⚠️ {why}"),
    }
}

pub(super) fn usage(asked: &Asked, args: &str) -> String {
    let word = args.to_lowercase();
    match word.as_str() {
        "" => {
            let entry = asked.entry();
            let now = entry.response_usage.as_deref().unwrap_or("off");
            format!("⚙️ Usage: {now}.\nOptions: off, tokens, full, cost.")
        }
        "cost" => cost(asked),
        "off" | "tokens" | "full" | "on" => {
            let word = if word == "on" { "tokens" } else { &word };
            set(
                asked,
                "responseUsage",
                word.into(),
                format!("Usage: {word}."),
            )
        }
        _ => settings::help("usage"),
    }
}

fn cost(asked: &Asked) -> String {
    let now = crate::base::time::now_ms();
    let cost = match usage::cost(asked.core, COST_DAYS, now) {
        Ok(cost) => serde_json::from_str::<Value>(cost.get()).unwrap_or_default(),
        Err(err) => return format!("⚠️ {err}"),
    };
    let line = |name: &str, totals: &Value| {
        format!(
            "{name}: {} · {} tokens",
            card::money(totals["totalCost"].as_f64().unwrap_or(0.0)),
            totals["totalTokens"].as_u64().unwrap_or(0)
        )
    };
    let today = crate::base::time::local(now).date().to_string();
    let days = cost["daily"].as_array();
    let day = days.and_then(|days| days.iter().find(|day| day["date"] == today.as_str()));
    let nothing = json!({});
    let lines = [
        "💸 Usage".to_string(),
        line("Today", day.unwrap_or(&nothing)),
        line(&format!("Last {COST_DAYS} days"), &cost["totals"]),
    ];
    lines.join("\n")
}

pub(super) fn send(asked: &Asked, args: &str) -> String {
    match args.to_lowercase().as_str() {
        "on" | "allow" => set(asked, "sendPolicy", "allow".into(), "Send: on.".into()),
        "off" | "deny" => set(asked, "sendPolicy", "deny".into(), "Send: off.".into()),
        "inherit" | "default" | "reset" => set(
            asked,
            "sendPolicy",
            Value::Null,
            "Send: as configured.".into(),
        ),
        "" => {
            let entry = asked.entry();
            let now = match entry.send_policy.as_deref() {
                Some("allow") => "on",
                Some("deny") => "off",
                _ => "as configured",
            };
            format!("⚙️ Send: {now}.\nOptions: on, off, inherit.")
        }
        _ => settings::help("send"),
    }
}

pub(super) fn activation(asked: &Asked, args: &str) -> String {
    let entry = asked.entry();
    if entry.kind(asked.key) != Kind::Group {
        return "⚠️ /activation is for groups; this session is none.".into();
    }
    match Activation::parse(args) {
        Some(activation) => {
            let word = activation.as_str();
            // The original tells the model of it at its next turn only.
            let noted = asked.core.agents.sessions.update(asked.key, |entry| {
                entry.group_activation_needs_system_intro = Some(true);
            });
            match noted {
                Ok(_) => set(
                    asked,
                    "groupActivation",
                    word.into(),
                    format!("Activation: {word}."),
                ),
                Err(err) => format!("⚠️ {err}"),
            }
        }
        None if args.is_empty() => {
            let now = Activation::of(&asked.config, &entry).as_str();
            format!("⚙️ Activation: {now}.\nOptions: mention, always.")
        }
        None => settings::help("activation"),
    }
}

pub(super) fn compact(asked: &Asked, args: &str, reply: Reply) {
    let focus = (!args.is_empty()).then(|| args.to_string());
    compaction::ask(asked.core, asked.key, focus, move |text| {
        reply.done(Some(&text));
    });
}

/// What the prompt of the session's next turn is made of.
pub(super) fn context(asked: &Asked, args: &str) -> String {
    let (config, agent) = (&asked.config, asked.agent());
    let defaults = &config.config.agents.defaults;
    let folder = config.config.workspace(&agent, asked.core.config.paths());
    let files = workspace::load(
        &folder,
        key::is_subagent(asked.key),
        defaults.bootstrap_max_chars.unwrap_or(20_000),
        is_used(&config.config, &agent),
    );
    let model = next_model(config, &agent, &asked.entry());
    let caller = policy::Caller {
        agent_id: &agent,
        session_key: asked.key,
        provider: &model.provider,
        model: &model.model,
    };
    let tools = policy::allowed(config, &caller);
    let skills = skills::usable(asked.core, config, &agent).report();
    let schemas: usize = tools.iter().map(|tool| tool.parameters.len()).sum();
    if args.eq_ignore_ascii_case("json") {
        let report = json!({
            "workspaceDir": folder,
            "files": files.iter().map(|file| json!({
                "name": file.name, "missing": file.missing, "rawChars": file.raw_chars,
                "injectedChars": file.content.chars().count(), "truncated": file.truncated,
            })).collect::<Vec<_>>(),
            "skills": skills,
            "tools": tools.iter().map(|tool| json!({
                "name": tool.name, "schemaChars": tool.parameters.len(),
            })).collect::<Vec<_>>(),
        });
        return serde_json::to_string_pretty(&report).unwrap_or_default();
    }
    let mut lines = vec![
        "🧠 Context".to_string(),
        format!("Workspace: {}", folder.display()),
        "Files:".to_string(),
    ];
    lines.extend(files.iter().map(|file| match file.missing {
        true => format!("- {}: missing", file.name),
        false => format!(
            "- {}: {} characters{}",
            file.name,
            file.content.chars().count(),
            if file.truncated { ", cut" } else { "" }
        ),
    }));
    lines.push(format!(
        "Skills: {}, {} characters",
        skills.entries.len(),
        skills.prompt_chars
    ));
    lines.push(format!(
        "Tools: {}, {schemas} characters of schemas",
        tools.len()
    ));
    if !args.is_empty() {
        lines.extend(
            tools
                .iter()
                .map(|t| format!("- {}: {}", t.name, t.parameters.len())),
        );
    }
    lines.join("\n")
}
