//! `/bash` and `!`: a command on the host, for an operator who could run it there anyway.
//!
//! It runs through the tool runner like the agent's, as the session's own background command when
//! it takes longer than `commands.bashForegroundMs`; `!poll` and `!stop` look after it.

use super::{Asked, Reply};
use crate::agent::inbound;
use crate::base::cancel::Cancel;
use crate::config::Snapshot;
use crate::gateway::core::Core;
use crate::gateway::inside::Inside;
use crate::tool::approve::{Sender, Stand};
use crate::tool::{self, exec, process};
use crate::wire::message::text_of;
use serde_json::{Map, Value, json};
use std::sync::Arc;

const FOREGROUND_MS: u64 = 2000;
const MOST_FOREGROUND_MS: u64 = 30_000;
/// As a tool's call: schemas are read and output is cut there.
const STACK: usize = 1024 * 1024;
/// Characters of output in an answer.
const MAX_SHOWN: usize = 8000;

static TOOLS: [tool::Tool; 2] = [exec::TOOL, process::tool::TOOL];

struct Shell {
    core: Arc<Core>,
    config: Arc<Snapshot>,
    key: String,
    sender: Sender,
    cancel: Cancel,
}

pub(super) fn run(asked: &Asked, args: &str, reply: Reply) {
    let shell = Shell {
        core: asked.core.clone(),
        config: asked.config.clone(),
        key: asked.key.into(),
        sender: asked.sender.clone(),
        cancel: reply.run.cancel.clone(),
    };
    let args = args.to_string();
    let thread = std::thread::Builder::new()
        .name("bash".into())
        .stack_size(STACK);
    let work = move || {
        let text = shell.answer(&args);
        reply.done(Some(&text));
    };
    // The reply goes with the closure, and says that nothing was done.
    if let Err(err) = thread.spawn(work) {
        log::error!("no thread for a command: {err}");
    }
}

impl Shell {
    fn answer(&self, args: &str) -> String {
        let (word, rest) = args.split_once(char::is_whitespace).unwrap_or((args, ""));
        let action = match word.to_ascii_lowercase().as_str() {
            "poll" => Some("poll"),
            "stop" => Some("kill"),
            _ => None,
        };
        let done = match action {
            None if args.is_empty() => return super::settings::help("bash"),
            None => {
                let wait = self.config.value["commands"]["bashForegroundMs"].as_u64();
                let wait = wait.unwrap_or(FOREGROUND_MS).min(MOST_FOREGROUND_MS);
                self.call("exec", json!({"command": args, "yieldMs": wait}))
            }
            Some(action) => {
                let id = match rest.trim() {
                    "" => self.latest(),
                    id => Some(id.to_string()),
                };
                let Some(id) = id else {
                    return "⚙️ No command runs in the background.".into();
                };
                self.call("process", json!({"action": action, "sessionId": id}))
            }
        };
        inbound::cut(&done, MAX_SHOWN)
    }

    /// The background command of this session that began last.
    fn latest(&self) -> Option<String> {
        let agent = self.core.agents.sessions.agent_of(&self.key);
        let processes = &self.core.agents.processes;
        let mine = processes.list(&agent, |session| {
            let runs = session.session_key == self.key && session.end.is_none();
            runs.then(|| (session.started_ms, session.id.clone()))
        });
        mine.into_iter().flatten().max().map(|(_, id)| id)
    }

    fn call(&self, name: &str, arguments: Value) -> String {
        let core = &self.core;
        let agent = core.agents.sessions.agent_of(&self.key);
        let arguments = arguments.as_object().cloned().unwrap_or_else(Map::new);
        let id = crate::base::id::uuid();
        let tools: Vec<&'static tool::Tool> = TOOLS.iter().collect();
        let done = tool::run(
            name,
            &tool::Call {
                id: &id,
                arguments: &arguments,
            },
            &tool::Context {
                agent_id: &agent,
                session_key: &self.key,
                run_id: &id,
                workspace: self.config.config.workspace(&agent, core.config.paths()),
                config: self.config.clone(),
                cancel: &self.cancel,
                update: &|_| {},
                variables: &Default::default(),
                skills: &[],
                tools: &tools,
                processes: &core.agents.processes,
                gateway: &Inside(core.clone()),
                memory: &core.agents.memory,
                approve: Stand {
                    desk: None,
                    host: Some("gateway"),
                    security: Some("full"),
                    ask: Some("off"),
                    elevated: Some("full"),
                    sender: Some(&self.sender),
                },
            },
        );
        text_of(&done.content)
    }
}
