//! Hooks at work: who hears of an event, one after the other, and what comes of it.
//!
//! Those that are built in work here; the others are started by the tool runner, outside of any
//! sandbox, with the event on their standard input: the operator installed them. They get no
//! configuration and no secret but what their own entry gives them. One that fails or takes too
//! long is told in the log and holds up nobody: events of commands are served on a thread of their
//! own, and only a turn waits, briefly, for those that change its files.

mod boot;
mod handler;
mod log_file;
mod memory;
mod soul;

use super::broadcast::Rules;
use super::core::Core;
use crate::agent::hooks::{self, Built, Handler, Hook, find};
use crate::agent::skills::gate::Gate;
use crate::agent::workspace::Injected;
use crate::base::{id, time};
use crate::config::Snapshot;
use crate::session::Entry;
use crate::wire::gateway::chat::{self, Said};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// For a handler of a command or a start.
const LIMIT: Duration = Duration::from_secs(60);
/// For one that a turn waits for.
const TURN_LIMIT: Duration = Duration::from_secs(10);

/// A command that a person gave.
pub struct Command<'a> {
    /// `new`, `reset`, `stop`.
    pub action: &'static str,
    pub key: &'a str,
    /// Where it was given: `webchat`, a channel.
    pub source: &'a str,
    pub sender: Option<&'a str>,
    /// The conversation that it ended, if it ended one.
    pub before: Option<Arc<Entry>>,
}

/// What a hook is told.
struct Event {
    kind: &'static str,
    action: &'static str,
    key: String,
    agent: String,
    at_ms: u64,
    source: String,
    sender: Option<String>,
    before: Option<Arc<Entry>>,
    context: Value,
}

/// Tells the hooks of a command; returns at once.
pub fn command(core: &Arc<Core>, command: Command) {
    if !hooks::is_on(&core.config.current()) {
        return;
    }
    let store = &core.agents.sessions;
    let agent = store.agent_of(command.key);
    let workspace = core
        .config
        .current()
        .config
        .workspace(&agent, core.config.paths());
    let entry = store.entry(command.key).ok().flatten();
    let before = command.before.as_deref();
    let file = before.and_then(|entry| store.transcript_file(command.key, entry));
    let context = json!({
        "sessionEntry": entry.as_deref(),
        "previousSessionEntry": before,
        "sessionId": entry.as_deref().and_then(|entry| entry.session_id.as_deref()),
        "sessionFile": file,
        "commandSource": command.source,
        "senderId": command.sender,
        "workspaceDir": workspace,
    });
    let event = Event {
        kind: "command",
        action: command.action,
        key: command.key.into(),
        agent,
        at_ms: time::now_ms(),
        source: command.source.into(),
        sender: command.sender.map(String::from),
        before: command.before,
        context,
    };
    later(core, event);
}

/// Tells the hooks that the gateway has started.
pub fn startup(core: &Arc<Core>) {
    let config = core.config.current();
    if !hooks::is_on(&config) {
        return;
    }
    let agent = config.config.default_agent_id();
    let event = Event {
        kind: "gateway",
        action: "startup",
        key: core.agents.sessions.defaults().main_of(&agent),
        at_ms: time::now_ms(),
        source: "gateway".into(),
        sender: None,
        before: None,
        context: json!({"workspaceDir": config.config.workspace(&agent, core.config.paths())}),
        agent,
    };
    later(core, event);
}

fn later(core: &Arc<Core>, event: Event) {
    let worker = core.clone();
    let told = core.pool.run(move || {
        let config = worker.config.current();
        let messages = tell(&worker, &config, &event);
        for text in messages {
            say(&worker, &event.key, &text);
        }
    });
    if told.is_err() {
        log::warn!(target: "hooks", "the gateway is too busy for hooks: one event is lost");
    }
}

/// Those who hear of the event and can run: first those of all events of its kind.
fn hearing(core: &Core, config: &Snapshot, agent: &str, kind: &str, action: &str) -> Vec<Hook> {
    let gate = Gate::new(config);
    let mut heard: Vec<Hook> = find::all(config, core.config.paths(), agent)
        .into_iter()
        .filter(|hook| hook.hears(kind, action) && hooks::judge(&gate, hook).eligible)
        .collect();
    heard.sort_by_key(|hook| !hook.events.iter().any(|event| event == kind));
    heard
}

/// What the hooks have to say to the person.
fn tell(core: &Arc<Core>, config: &Arc<Snapshot>, event: &Event) -> Vec<String> {
    let mut messages = Vec::new();
    for hook in hearing(core, config, &event.agent, event.kind, event.action) {
        let told = match hook.handler {
            Handler::Built(Built::CommandLogger) => log_file::write(core.config.paths(), event),
            Handler::Built(Built::SessionMemory) => memory::keep(core, config, &hook, event),
            Handler::Built(Built::BootMd) => boot::run(core, config, event),
            // It hears of other events only.
            Handler::Built(Built::SoulEvil) => Ok(()),
            Handler::Program(_) | Handler::Module(_) => {
                let record = record(event, &event.context);
                handler::run(core, config, &hook, &record, LIMIT)
                    .map(|answer| messages.extend(answer.messages))
            }
        };
        if let Err(why) = told {
            let (name, kind, action) = (&hook.name, event.kind, event.action);
            log::warn!(target: "hooks", "{name} at {kind}:{action}: {why}");
        }
    }
    messages
}

/// As handlers get it.
fn record(event: &Event, context: &Value) -> Value {
    json!({
        "type": event.kind,
        "action": event.action,
        "sessionKey": event.key,
        "timestamp": time::iso(event.at_ms),
        "messages": [],
        "context": context,
    })
}

/// To those who have the session open. No model said it, so none is to read it.
fn say(core: &Core, key: &str, text: &str) {
    let event = chat::Event {
        run_id: &format!("hook-{}", id::short()),
        session_key: key,
        seq: 0,
        state: "final",
        message: Some(Said::injected(text, time::now_ms())),
        error_message: None,
        stop_reason: None,
    };
    core.clients.broadcast("chat", &event, Rules::ALL);
}

/// A turn that begins, and the files that are to be shown to its model.
pub struct Beginning<'a> {
    pub agent: &'a str,
    pub key: &'a str,
    pub session_id: &'a str,
    pub workspace: &'a Path,
    /// As for `workspace::open`.
    pub fenced: bool,
    pub max_chars: usize,
}

/// Lets hooks change the files of a turn.
pub fn bootstrap(
    core: &Arc<Core>,
    config: &Arc<Snapshot>,
    turn: &Beginning,
    files: &mut Vec<Injected>,
) {
    if !hooks::is_on(config) {
        return;
    }
    for hook in hearing(core, config, turn.agent, "agent", "bootstrap") {
        let changed = match hook.handler {
            Handler::Built(Built::SoulEvil) => soul::swap(config, &hook, turn, files),
            Handler::Built(_) => Ok(()),
            Handler::Program(_) | Handler::Module(_) => ask(core, config, &hook, turn, files),
        };
        if let Err(why) = changed {
            log::warn!(target: "hooks", "{} at agent:bootstrap: {why}", hook.name);
        }
    }
}

fn ask(
    core: &Arc<Core>,
    config: &Arc<Snapshot>,
    hook: &Hook,
    turn: &Beginning,
    files: &mut Vec<Injected>,
) -> Result<(), String> {
    let shown = files.iter().map(|file| {
        json!({
            "name": file.name,
            "path": file.path,
            "content": if file.missing { None } else { Some(&file.content) },
            "missing": file.missing,
        })
    });
    let context = json!({
        "workspaceDir": turn.workspace,
        "agentId": turn.agent,
        "sessionKey": turn.key,
        "sessionId": turn.session_id,
        "bootstrapFiles": shown.collect::<Vec<_>>(),
    });
    let event = Event {
        kind: "agent",
        action: "bootstrap",
        key: turn.key.into(),
        agent: turn.agent.into(),
        at_ms: time::now_ms(),
        source: String::new(),
        sender: None,
        before: None,
        context: Value::Null,
    };
    let answer = handler::run(core, config, hook, &record(&event, &context), TURN_LIMIT)?;
    if let Some(given) = answer.bootstrap_files {
        *files = handler::files(given, turn.max_chars);
    }
    Ok(())
}
