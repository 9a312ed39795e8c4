//! `/think`, `/verbose`, `/reasoning`, `/elevated`, `/exec`, `/queue`, `/model`: set for the
//! session, or for one message.

use super::{Asked, card, models, patch};
use crate::agent::command;
use crate::agent::command::directive::{Found, exec_setting, is_reset, queue_word};
use crate::agent::queue::{Settings, Wish};
use crate::agent::{inbound, levels};
use crate::gateway::queue;
use crate::gateway::runs::Verbose;
use crate::gateway::session_patch::{Patch, next_model};
use crate::session::Entry;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::sync::Arc;

/// What holds for one message, over what its session says.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Hints {
    /// As `sessions.patch` takes them.
    #[serde(default)]
    pub fields: Map<String, Value>,
    #[serde(skip)]
    pub queue: Wish,
    /// The sender also wants the status card.
    #[serde(skip)]
    pub status: bool,
}

impl Hints {
    pub fn thinking(&self) -> Option<&'static str> {
        let level = self.fields.get("thinkingLevel")?.as_str()?;
        inbound::thinking_level(level)
    }

    pub fn verbose(&self) -> Option<Verbose> {
        let level = self.fields.get("verboseLevel")?.as_str()?;
        Some(Verbose::parse(levels::verbose(level)))
    }

    /// The session as this message finds it.
    pub fn apply(
        &self,
        config: &crate::config::Snapshot,
        agent_id: &str,
        key: &str,
        entry: &mut Arc<Entry>,
    ) {
        if self.fields.is_empty() {
            return;
        }
        let patch = Patch {
            config,
            agent_id,
            key,
            params: &self.fields,
        };
        let mut changed = Entry::clone(entry);
        match patch.apply(&mut changed) {
            Ok(()) => *entry = Arc::new(changed),
            // Checked when the message came; the configuration may be another by now.
            Err(why) => log::warn!("settings of a message of {key} are ignored: {why}"),
        }
    }
}

/// Settings beside words. The error is for the sender.
pub(super) fn hints(asked: &Asked, found: &Found) -> Result<Hints, String> {
    let mut hints = Hints::default();
    for (name, args) in &found.items {
        match *name {
            "status" => hints.status = true,
            "queue" => {
                for word in args {
                    queue_word(word, &mut hints.queue);
                }
            }
            "model" if matches!(args[0].as_str(), "list" | "status") => hints.status = true,
            name => {
                for (field, value) in fields(asked, name, args)? {
                    hints.fields.insert(field.into(), value);
                }
            }
        }
    }
    Ok(hints)
}

/// The session's fields that a setting means.
fn fields(
    asked: &Asked,
    name: &str,
    args: &[String],
) -> Result<Vec<(&'static str, Value)>, String> {
    let word = args.first().map(String::as_str).unwrap_or_default();
    let field = match name {
        "think" => "thinkingLevel",
        "verbose" => "verboseLevel",
        "reasoning" => "reasoningLevel",
        "elevated" => "elevatedLevel",
        "model" => {
            let chosen = models::find(asked, word)?;
            return Ok(vec![("model", chosen.map_or(Value::Null, |m| m.into()))]);
        }
        _ => {
            let read = |word: &String| {
                let (field, value) = exec_setting(word).ok_or_else(|| {
                    format!("⚠️ \"{word}\" is not one of host=, security=, ask=, node=.")
                })?;
                Ok((field, Value::from(value)))
            };
            return args.iter().map(read).collect();
        }
    };
    Ok(vec![(field, word.into())])
}

/// A message of nothing but settings: they hold for the session.
pub(super) fn set(asked: &Asked, found: &Found) -> String {
    let lines: Vec<String> = found
        .items
        .iter()
        .map(|(name, args)| match (*name, args.is_empty()) {
            ("status", _) => card::of(asked.core, asked.key, false),
            ("model", _) => models::choose(asked, &args.join(" ")),
            ("queue", _) => set_queue(asked, args),
            (name, true) => shown(asked, name),
            (name, false) => set_one(asked, name, args),
        })
        .collect();
    lines.join("\n")
}

fn set_one(asked: &Asked, name: &str, args: &[String]) -> String {
    let fields = match fields(asked, name, args) {
        Ok(fields) => fields,
        Err(why) => return why,
    };
    let params = fields
        .into_iter()
        .map(|(field, value)| (field.to_string(), value));
    match patch(asked, params.collect()) {
        Ok(_) => format!("⚙️ {}", now(asked, name)),
        Err(why) => format!("⚠️ {why}\n{}", shown(asked, name)),
    }
}

/// The present value.
fn now(asked: &Asked, name: &str) -> String {
    let entry = asked.entry();
    let level = |own: &Option<String>, key: &str, or: &str| {
        let default = asked.config.value["agents"]["defaults"][key].as_str();
        own.as_deref().or(default).unwrap_or(or).to_string()
    };
    match name {
        "think" => format!(
            "Thinking: {}.",
            card::thinking(asked.core, asked.key, &entry)
        ),
        "verbose" => format!(
            "Verbose: {}.",
            level(&entry.verbose_level, "verboseDefault", "off")
        ),
        "reasoning" => format!("Reasoning: {}.", level(&entry.reasoning_level, "", "off")),
        "elevated" => format!(
            "Elevated: {}.",
            level(&entry.elevated_level, "elevatedDefault", "on")
        ),
        _ => {
            let exec = &asked.config.value["tools"]["exec"];
            let part = |own: &Option<String>, key: &str, or: &str| {
                let said = own.as_deref().or(exec[key].as_str());
                format!("{key}={}", said.unwrap_or(or))
            };
            let parts = [
                part(&entry.exec_host, "host", "sandbox"),
                part(&entry.exec_security, "security", "default"),
                part(&entry.exec_ask, "ask", "default"),
                part(&entry.exec_node, "node", "none"),
            ];
            format!("Exec: {}.", parts.join(" "))
        }
    }
}

/// The present value and what it can be.
fn shown(asked: &Asked, name: &str) -> String {
    let choices = match name {
        "think" => {
            let model = next_model(&asked.config, &asked.agent(), &asked.entry());
            levels::thinking_choices(&model.provider, &model.model).replace('|', ", ")
        }
        "verbose" => "off, on, full".into(),
        "reasoning" => "off, on, stream".into(),
        "elevated" => "off, on, ask, full".into(),
        _ => "host=sandbox|gateway|node, security=deny|allowlist|full, ask=off|on-miss|always, node=<id>".into(),
    };
    format!("⚙️ {}\nOptions: {choices}.", now(asked, name))
}

fn set_queue(asked: &Asked, args: &[String]) -> String {
    let mut wish = Wish::default();
    for word in args.iter().filter(|word| !is_reset(word)) {
        if !queue_word(word, &mut wish) {
            return format!(
                "⚠️ \"{word}\" is no setting of the queue. Use steer, steer-backlog, followup, \
                 collect or interrupt, debounce:2s, cap:20, drop:old|new|summarize, or default."
            );
        }
    }
    let resets = args.iter().any(|word| is_reset(word));
    if !args.is_empty() {
        let changed = asked.core.agents.sessions.patch(asked.key, |entry| {
            if resets {
                entry.queue_mode = None;
                entry.queue_debounce_ms = None;
                entry.queue_cap = None;
                entry.queue_drop = None;
            }
            if let Some(mode) = wish.mode {
                entry.queue_mode = Some(mode.as_str().into());
            }
            entry.queue_debounce_ms = wish.debounce_ms.or(entry.queue_debounce_ms);
            entry.queue_cap = wish.cap.or(entry.queue_cap);
            if let Some(drop) = wish.overflow {
                entry.queue_drop = Some(drop.as_str().into());
            }
        });
        if let Err(err) = changed {
            return format!("⚠️ {err}");
        }
    }
    let Settings {
        mode,
        debounce,
        cap,
        overflow,
    } = queue::settings(asked.core, asked.key, asked.channel, Wish::default());
    format!(
        "⚙️ Queue: {}, debounce {} ms, cap {cap}, drop {}, {} waiting.",
        mode.as_str(),
        debounce.as_millis(),
        overflow.as_str(),
        asked.core.agents.queues.depth(asked.key)
    )
}

/// For a command that was written in a way that means nothing.
pub(super) fn help(name: &str) -> String {
    match command::find(name) {
        Some(row) => format!("Usage: /{} {}", row.name, row.args),
        None => command::help(),
    }
}
