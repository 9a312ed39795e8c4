//! Commands people write into a chat, and settings within their messages.
//!
//! What a message is gets decided first (`plan`), what it asks is done on the thread of its request
//! afterwards; what takes longer answers later. Commands do not wait for a busy session. Somebody
//! who may talk to the agent may use them; what reaches beyond the conversation wants the scope
//! that its method in the protocol wants.

mod allowlist;
mod bash;
pub mod card;
mod configuration;
mod models;
mod session;
mod settings;
mod skill;
mod speech;
mod subagents;

use super::broadcast::Client;
use super::core::Core;
use super::dedupe::Stored;
use super::methods::{Scope, scope};
use super::queue;
use super::runs::Run;
use super::sessions::{self, Touch};
use crate::agent::command::directive::{self, Found};
use crate::agent::command::{self, Command, Needs};
use crate::config::Snapshot;
use crate::session::{Entry, Opening};
use crate::tool::approve::Sender;
use crate::wire::gateway::chat::Sent;
use serde_json::{Map, Value};
use std::sync::Arc;

pub use settings::Hints;

/// Needs more than the right to write: the sandbox and its rules.
const PRIVILEGED: [&str; 2] = ["elevated", "exec"];

/// A message and where it came from.
pub struct Asked<'a> {
    pub core: &'a Arc<Core>,
    pub rights: Rights<'a>,
    /// Canonical.
    pub key: &'a str,
    pub channel: &'a str,
    pub sender: &'a Sender,
    pub config: Arc<Snapshot>,
}

/// By what somebody may do something.
#[derive(Clone, Copy)]
pub enum Rights<'a> {
    /// The scopes of a connection.
    Client(&'a Client),
    /// Somebody in a chat whom the lists of its channel let give commands: all that the
    /// configuration switches on.
    Sender,
}

/// What a message is.
pub enum Plan<'t> {
    Command(&'static Command, &'t str),
    /// Nothing but settings.
    Settings(Found),
    /// Something for the model, as far as it is said otherwise than it was written.
    Turn {
        text: String,
        hints: Hints,
    },
}

impl Asked<'_> {
    /// Decides what `text` is. The error is for the sender: it may not be said like that.
    pub fn plan<'t>(&self, text: &'t str) -> Result<Plan<'t>, String> {
        let (name, rest) = command::name(text).unwrap_or_default();
        if name == "skill" || !name.is_empty() && command::find(name).is_none() {
            if let Some(text) = skill::rewritten(self, name, rest) {
                return Ok(Plan::Turn {
                    text,
                    hints: Hints::default(),
                });
            }
        }
        let is_model = |word: &str| models::find(self, word).is_ok();
        let found = directive::find_in(text, &is_model);
        if found.is_all() && !found.has(&["status"]) {
            return Ok(Plan::Settings(found));
        }
        // A setting that was not found as one is a word of the text: `/think about it`.
        let named = command::parse(text).filter(|(command, _)| !directive::is_one(command.name));
        if let Some((command, args)) = named {
            // Those with words behind them are settings of this message.
            if found.items.is_empty() || found.is_all() {
                return Ok(Plan::Command(command, args));
            }
        }
        if found.has(&PRIVILEGED) {
            self.may(Needs::Admin)?;
        }
        let hints = settings::hints(self, &found)?;
        Ok(Plan::Turn {
            text: found.text,
            hints,
        })
    }

    /// The model that is called exactly so.
    pub fn model(&self, word: &str) -> Option<String> {
        models::exact(self, word)
    }

    fn may(&self, needs: Needs) -> Result<(), String> {
        let wants = match needs {
            Needs::Nothing => return Ok(()),
            Needs::Approvals => Scope::Approvals,
            Needs::Admin => Scope::Admin,
        };
        let Rights::Client(client) = self.rights else {
            return Ok(());
        };
        scope::check(client, wants)
            .map_err(|error| format!("⚠️ You may not do that here ({}).", error.message))
    }

    /// Whether the row lets this sender do it.
    fn admit(&self, command: &Command) -> Result<(), String> {
        self.may(command.needs)?;
        let on = |name| self.config.value["commands"][name] == true;
        match command.switch {
            Some(name) if !on(name) => Err(format!(
                "⚠️ /{} is switched off. Set commands.{name}=true to switch it on.",
                command.name
            )),
            _ => Ok(()),
        }
    }

    fn entry(&self) -> Arc<Entry> {
        let entry = self.core.agents.sessions.entry(self.key);
        entry.ok().flatten().unwrap_or_default()
    }

    fn agent(&self) -> String {
        self.core.agents.sessions.agent_of(self.key)
    }
}

/// Does what a plan asks; a turn is the caller's business.
pub fn run(asked: &Asked, plan: &Plan, reply: Reply) {
    let text = match plan {
        Plan::Turn { .. } => return reply.done(None),
        Plan::Settings(found) => match found.has(&PRIVILEGED).then(|| asked.may(Needs::Admin)) {
            Some(Err(why)) => why,
            _ => settings::set(asked, found),
        },
        Plan::Command(command, args) => match asked.admit(command) {
            Err(why) => why,
            Ok(()) => match command.name {
                "compact" => return session::compact(asked, args, reply),
                "bash" => return bash::run(asked, args, reply),
                name => answer(asked, name, args),
            },
        },
    };
    reply.done(Some(&text));
}

fn answer(asked: &Asked, name: &str, args: &str) -> String {
    match name {
        "help" => command::help(),
        "commands" => command::list(args.parse().unwrap_or(1), &skill::names(asked)),
        "status" => card::of(asked.core, asked.key, false),
        "whoami" => session::whoami(asked),
        "context" => session::context(asked, args),
        "usage" => session::usage(asked, args),
        "send" => session::send(asked, args),
        "activation" => session::activation(asked, args),
        "models" => models::list(asked, args),
        "model" => models::choose(asked, args),
        "skill" => skill::unknown(asked, args),
        "subagents" => subagents::answer(asked, args),
        "allowlist" => allowlist::answer(asked, args),
        "tts" => speech::answer(asked, args),
        "approve" => configuration::approve(asked, args),
        "config" => configuration::config(asked, args),
        "debug" => configuration::debug(asked, args),
        "restart" => configuration::restart(asked),
        name => settings::help(name),
    }
}

/// Said when nothing came of a command: no thread, or a fault of ours.
const LOST: &str = "⚠️ That was not done: the gateway is too busy. Try again in a moment.";

/// What is owed to the sender of a command: one last word. One that is dropped says so itself, so
/// that no run stays open.
pub struct Reply {
    core: Arc<Core>,
    run: Arc<Run>,
    /// Namespace of stored answers.
    kept: &'static str,
    session_id: String,
    told: bool,
    and_to: Option<Told>,
}

/// Hears the answer, too.
type Told = Box<dyn FnOnce(Option<&str>) + Send>;

impl Drop for Reply {
    fn drop(&mut self) {
        if !self.told {
            self.tell(Some(LOST));
        }
    }
}

impl Reply {
    pub fn new(core: &Arc<Core>, run: &Arc<Run>, kept: &'static str, session_id: String) -> Reply {
        Reply {
            core: core.clone(),
            run: run.clone(),
            kept,
            session_id,
            told: false,
            and_to: None,
        }
    }

    pub fn and_to(mut self, told: Told) -> Reply {
        self.and_to = Some(told);
        self
    }

    /// Tells it and ends the run; `None` ends it without a word.
    pub fn done(mut self, text: Option<&str>) {
        self.tell(text);
        self.told = true;
    }

    fn tell(&mut self, text: Option<&str>) {
        let and_to = self.and_to.take();
        let Reply {
            core,
            run,
            kept,
            session_id,
            ..
        } = self;
        if let Some(text) = text {
            let store = &core.agents.sessions;
            let agent = store.agent_of(&run.key);
            let config = core.config.current();
            let workspace = config.config.workspace(&agent, core.config.paths());
            let opening = Opening::new(&run.key, session_id, &workspace);
            if let Err(err) = store.say(&opening, text) {
                log::error!("the answer of a command is not in the transcript: {err}");
            }
        }
        let done = Sent {
            run_id: &run.id,
            status: "ok",
            summary: None,
        };
        core.dedupe.put(kept, &run.id, Stored::ok(&done));
        // The next core must neither call it interrupted nor do it a second time.
        core.agents.ledger.began(&run.id, run.kind);
        core.agents.ledger.ended(&run.id, run.kind, None);
        core.agents.runs.tell_final(&core.clients, run, text);
        core.agents.runs.end(run, None);
        queue::kick(core, &run.key);
        if let Some(told) = and_to {
            told(text);
        }
    }
}

/// Makes the session ready for a command; its session id.
pub fn seat(core: &Core, key: &str, channel: &str) -> Result<String, crate::session::Error> {
    sessions::touch(core, key, Touch::Chat, |entry| {
        sessions::seat(entry, channel);
    })
}

/// Changes a session as `sessions.patch` does.
fn patch(asked: &Asked, params: Map<String, Value>) -> Result<Arc<Entry>, String> {
    sessions::patch(asked.core, asked.key, &params).map_err(|error| error.message)
}
