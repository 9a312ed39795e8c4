//! `chat.send`, `chat.abort`, `chat.history`, `chat.inject`: what chat windows use.

use super::{Answer, Call};
use crate::agent::queue::{Mode, Settings};
use crate::agent::{self, inbound};
use crate::gateway::broadcast::{Client, Rules};
use crate::gateway::commands::{self, Asked, Hints, Plan, Reply, Rights};
use crate::gateway::core::Core;
use crate::gateway::dedupe::Stored;
use crate::gateway::hooks;
use crate::gateway::models;
use crate::gateway::queue::{self, Admission, Record};
use crate::gateway::runs::{self, Kind, Run};
use crate::gateway::sessions::{self, Touch};
use crate::gateway::subagents;
use crate::gateway::turns::{self, Ending, Start};
use crate::session::{Entry, Error};
use crate::tool::approve::Sender;
use crate::wire::gateway::chat::{
    self, AbortParams, Aborted, History, HistoryParams, InjectParams, Injected, Said, SendParams,
    Sent,
};
use crate::wire::gateway::frame::RpcError;
use crate::wire::message::Block;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What a chat window counts as.
const CHANNEL: &str = "webchat";
/// Namespace of stored answers.
const KEPT: &str = "chat";

/// The sweep stops a run this long after the time its client gave it.
const EXPIRY_SLACK: Duration = Duration::from_secs(60);
const EXPIRY_MIN: Duration = Duration::from_secs(2 * 60);
const EXPIRY_MAX: Duration = Duration::from_secs(24 * 3600);

pub fn send(core: &Arc<Core>, call: &Call) -> Answer {
    try_send(core, call).into()
}

fn try_send(core: &Arc<Core>, call: &Call) -> Result<Answer, RpcError> {
    let params: SendParams = call.parse()?;
    let has_attachment = params.attachments.iter().any(|a| a["content"].is_string());
    if params.message.trim().is_empty() && !has_attachment {
        return Err(RpcError::invalid("message or attachment required"));
    }
    let images = inbound::images(&params.attachments)
        .map_err(|why| RpcError::invalid(format!("Error: {why}")))?;
    let config = core.config.current();
    let store = &core.agents.sessions;
    let key = store.canonical(&params.session_key);
    let sender = sender(call.client);
    let asked = Asked {
        core,
        rights: Rights::Client(call.client),
        key: &key,
        channel: CHANNEL,
        sender: &sender,
        config: config.clone(),
    };
    let renewal = renewal(&asked, &params.message);
    let plan = match &renewal {
        Some(renewal) => Plan::Turn {
            text: renewal.text.clone(),
            hints: Hints::default(),
        },
        None => asked.plan(&params.message).map_err(RpcError::invalid)?,
    };
    // Whoever may not be answered can still be told to answer.
    let is_turn = matches!(plan, Plan::Turn { .. });
    if is_turn && sessions::is_blocked(core, &key).map_err(unavailable)? {
        return Err(RpcError::invalid("send blocked by session policy"));
    }
    if is_stop(&params.message) {
        queue::clear(core, &key);
        subagents::stop_for(core, &key);
        let stopped = abort_session(core, &key, "stop");
        hooks::command(core, command_event("stop", &key, call, None));
        return Ok(Answer::ok(&stopped));
    }
    let id = params.idempotency_key.as_str();
    if let Some(kept) = core.dedupe.get(KEPT, id) {
        return Ok(kept.into());
    }
    let (text, hints) = match plan {
        Plan::Turn { text, hints } => (text, hints),
        plan => return command(&asked, call, &params, &plan),
    };
    let limit = match params.timeout_ms.map(millis) {
        Some(Duration::ZERO) => turns::NO_LIMIT,
        Some(limit) => limit,
        None => turns::default_timeout(&config),
    };
    let mut run = runs::Run::new(id, &params.session_key, &key, Kind::Chat);
    run.watcher = sessions::watcher(call.client);
    run.verbose = hints
        .verbose()
        .unwrap_or_else(|| sessions::verbose(core, &key));
    run.sender = Some(sender.clone());
    run.expires = Some(Instant::now() + (limit + EXPIRY_SLACK).clamp(EXPIRY_MIN, EXPIRY_MAX));
    let run = Arc::new(run);
    let words = Words {
        text,
        thinking: thinking(&params),
        hints,
    };
    if words.hints.status {
        show_status(core, &key, &params.session_key);
    }
    match core.agents.queues.admit(core, &run) {
        Admission::Known => {
            return Ok(Answer::ok(&Sent {
                run_id: id,
                status: "in_flight",
                summary: None,
            }));
        }
        Admission::Free => {}
        // The new conversation begins when the turn of the old one is over.
        Admission::Busy if renewal.is_some() => {}
        Admission::Busy => {
            let settings = queue::settings(core, &key, CHANNEL, words.hints.queue);
            if settings.mode != Mode::Interrupt {
                return wait(core, call, words, &run, images, &settings);
            }
            for other in core.agents.runs.turns_of(&key) {
                if other.id != run.id {
                    core.agents.runs.abort(&core.clients, &other, "stop");
                }
            }
        }
    }
    // A new session keeps its key; the old transcript stays on disk.
    let renewed = match &renewal {
        None => Ok(()),
        Some(renewal) => renew(core, &key, call, renewal),
    };
    let touched = renewed.and_then(|()| {
        sessions::touch(core, &key, Touch::Chat, |entry| {
            sessions::seat(entry, CHANNEL);
        })
    });
    let session_id = match touched {
        Ok(session_id) => session_id,
        Err(err) => {
            core.agents.runs.withdraw(&run);
            queue::kick(core, &key);
            return Err(unavailable(err));
        }
    };
    let zone = config.config.agents.defaults.user_timezone.clone();
    let now = crate::base::time::now_ms();
    let stamped = inbound::stamped(&words.text, now, zone.as_deref());
    let text = inbound::with_message_id(&stamped, id);
    let (accepter, closer) = (call.responder(), call.responder());
    let (accepted_id, ended_id, keeper) = (id.to_string(), id.to_string(), core.clone());
    turns::start(
        core,
        Start {
            images,
            thinking: words.thinking,
            hints: words.hints,
            channel: Some(CHANNEL.into()),
            accept: Box::new(move || {
                accepter.ok(&Sent {
                    run_id: &accepted_id,
                    status: "started",
                    summary: None,
                });
            }),
            finish: Box::new(move |ending, accepted| {
                let (payload, error) = closing(&ended_id, &ending);
                let kept = Stored {
                    error: error.clone(),
                    ..Stored::ok(&payload)
                };
                keeper.dedupe.put(KEPT, &ended_id, kept);
                match error {
                    _ if accepted => {}
                    Some(error) => closer.failed(&payload, &error),
                    None => closer.ok(&payload),
                }
            }),
            ..Start::new(core, run, session_id, text)
        },
    );
    Ok(Answer::Later)
}

/// What the model is to read, and how.
struct Words {
    text: String,
    thinking: Option<&'static str>,
    hints: Hints,
}

/// A message that begins a new session.
struct Renewal {
    /// For the hooks.
    action: &'static str,
    /// For the model.
    text: String,
    /// Chosen with it.
    model: Option<String>,
}

fn renewal(asked: &Asked, message: &str) -> Option<Renewal> {
    let rest = inbound::reset(message, &sessions::reset_triggers(&asked.config))?;
    let (word, behind) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let model = asked.model(word);
    let rest = if model.is_some() { behind.trim() } else { rest };
    Some(Renewal {
        action: inbound::reset_word(message),
        text: if rest.is_empty() {
            inbound::GREET
        } else {
            rest
        }
        .to_string(),
        model,
    })
}

/// What was set for the old conversation goes with it.
fn renew(core: &Arc<Core>, key: &str, call: &Call, renewal: &Renewal) -> Result<(), Error> {
    let store = &core.agents.sessions;
    let before = store.entry(key)?;
    store.update(key, |entry| entry.renew(crate::base::time::now_ms()))?;
    hooks::command(core, command_event(renewal.action, key, call, before));
    if let Some(model) = &renewal.model {
        let params = serde_json::Map::from_iter([("model".to_string(), model.as_str().into())]);
        if let Err(error) = sessions::patch(core, key, &params) {
            log::warn!(
                "the model of the new session {key} was not set: {}",
                error.message
            );
        }
    }
    Ok(())
}

fn is_stop(message: &str) -> bool {
    let named = agent::command::parse(message);
    inbound::is_stop(message) || named.is_some_and(|(command, _)| command.name == "stop")
}

/// A command, or settings: acknowledged, done, and its answer is the run's only event.
fn command(
    asked: &Asked,
    call: &Call,
    params: &SendParams,
    plan: &Plan,
) -> Result<Answer, RpcError> {
    let core = asked.core;
    let id = params.idempotency_key.as_str();
    let run = Arc::new(Run::new(id, &params.session_key, asked.key, Kind::Command));
    let sent = |status| Sent {
        run_id: id,
        status,
        summary: None,
    };
    if !core.agents.runs.begin(&run) {
        return Ok(Answer::ok(&sent("in_flight")));
    }
    let session_id = match commands::seat(core, asked.key, CHANNEL) {
        Ok(session_id) => session_id,
        Err(err) => {
            core.agents.runs.withdraw(&run);
            return Err(unavailable(err));
        }
    };
    call.responder().ok(&sent("started"));
    commands::run(asked, plan, Reply::new(core, &run, KEPT, session_id));
    Ok(Answer::Later)
}

/// The card, for a message that asks for it beside other things.
fn show_status(core: &Core, key: &str, shown_key: &str) {
    let card = commands::card::of(core, key, false);
    let event = chat::Event {
        run_id: &format!("status-{}", crate::base::id::short()),
        session_key: shown_key,
        seq: 0,
        state: "final",
        message: Some(Said::injected(&card, crate::base::time::now_ms())),
        error_message: None,
        stop_reason: None,
    };
    core.clients.broadcast("chat", &event, Rules::ALL);
}

/// The session is busy: the message is in its queue or its running turn when this returns, and the
/// request's own run is over. What becomes of it is told under other run ids.
fn wait(
    core: &Arc<Core>,
    call: &Call,
    words: Words,
    run: &Arc<Run>,
    images: Vec<Block>,
    settings: &Settings,
) -> Result<Answer, RpcError> {
    let config = core.config.current();
    let zone = config.config.agents.defaults.user_timezone.as_deref();
    let now = crate::base::time::now_ms();
    let stamped = inbound::stamped(&words.text, now, zone);
    let record = Record {
        key: run.key.clone(),
        shown_key: run.shown_key.clone(),
        id: run.id.clone(),
        text: inbound::with_message_id(&stamped, &run.id),
        words: words.text,
        images,
        // Whoever reads along in the page sees each answer for itself.
        route: None,
        channel: CHANNEL.into(),
        sender: run.sender.clone(),
        thinking: words.thinking.map(String::from),
        hints: words.hints,
        tries: 0,
    };
    let taken = queue::take(core, &record, run.watcher.as_deref(), settings);
    let runs = &core.agents.runs;
    if let Err(why) = taken {
        runs.withdraw(run);
        queue::kick(core, &run.key);
        return Err(RpcError::unavailable(why));
    }
    let id = run.id.as_str();
    let done = Sent {
        run_id: id,
        status: "ok",
        summary: None,
    };
    core.dedupe.put(KEPT, id, Stored::ok(&done));
    // The next core must neither call it interrupted nor take it a second time.
    core.agents.ledger.began(id, run.kind);
    core.agents.ledger.ended(id, run.kind, None);
    call.responder().ok(&Sent {
        status: "started",
        ..done
    });
    runs.tell_final(&core.clients, run, None);
    runs.end(run, None);
    queue::kick(core, &run.key);
    Ok(Answer::Later)
}

/// The level the request asks for; a command says its own.
fn thinking(params: &SendParams) -> Option<&'static str> {
    let asked = params.thinking.as_deref();
    asked
        .filter(|_| !params.message.starts_with('/'))
        .and_then(inbound::thinking_level)
}

/// Who writes: by what the client calls itself.
fn sender(client: &Client) -> Sender {
    let names = [Some(client.client_id.clone()), client.display_name.clone()];
    Sender {
        channel: CHANNEL.into(),
        names: names.into_iter().flatten().collect(),
    }
}

/// What a repeat of the request is answered.
fn closing<'a>(id: &'a str, ending: &'a Ending) -> (Sent<'a>, Option<RpcError>) {
    match ending {
        Err(why) if why != turns::ABORTED => {
            let sent = Sent {
                run_id: id,
                status: "error",
                summary: Some(why),
            };
            (sent, Some(RpcError::unavailable(why.clone())))
        }
        _ => {
            let sent = Sent {
                run_id: id,
                status: "ok",
                summary: None,
            };
            (sent, None)
        }
    }
}

pub fn abort(core: &Arc<Core>, call: &Call) -> Answer {
    let params: AbortParams = match call.parse() {
        Ok(params) => params,
        Err(error) => return error.into(),
    };
    let key = core.agents.sessions.canonical(&params.session_key);
    let Some(id) = params.run_id else {
        return Answer::ok(&abort_session(core, &key, "rpc"));
    };
    let stoppable = |run: &Arc<Run>| matches!(run.kind, Kind::Chat | Kind::Command);
    let run = core.agents.runs.get(&id).filter(stoppable);
    let Some(run) = run else {
        let waited = queue::remove(core, &key, &id);
        return Answer::ok(&aborted(if waited { vec![id] } else { Vec::new() }));
    };
    if run.key != key {
        return Answer::invalid("runId does not match sessionKey");
    }
    let stopped = core.agents.runs.abort(&core.clients, &run, "rpc");
    Answer::ok(&aborted(if stopped { vec![id] } else { Vec::new() }))
}

/// A command of a chat window's, for the hooks.
fn command_event<'a>(
    action: &'static str,
    key: &'a str,
    call: &'a Call,
    before: Option<Arc<Entry>>,
) -> hooks::Command<'a> {
    hooks::Command {
        action,
        key,
        source: CHANNEL,
        sender: Some(call.client.client_id.as_str()),
        before,
    }
}

fn abort_session(core: &Core, key: &str, reason: &str) -> Aborted {
    aborted(core.agents.runs.abort_chats(&core.clients, key, reason))
}

fn aborted(run_ids: Vec<String>) -> Aborted {
    Aborted {
        ok: true,
        aborted: !run_ids.is_empty(),
        run_ids,
    }
}

pub fn inject(core: &Arc<Core>, call: &Call) -> Answer {
    try_inject(core, call).into()
}

fn try_inject(core: &Arc<Core>, call: &Call) -> Result<Answer, RpcError> {
    let params: InjectParams = call.parse()?;
    let key = core.agents.sessions.canonical(&params.session_key);
    let label = params.label.as_deref().filter(|l| !l.is_empty());
    let injected = core.agents.sessions.inject(&key, &params.message, label);
    let message_id = injected.map_err(|err| match err {
        Error::NoSession => RpcError::invalid("session not found"),
        Error::NoTranscript => RpcError::invalid("transcript file not found"),
        other => unavailable(other),
    })?;
    let text = match label {
        Some(label) => format!("[{label}]\n\n{}", params.message),
        None => params.message,
    };
    let event = chat::Event {
        run_id: &format!("inject-{message_id}"),
        session_key: &params.session_key,
        seq: 0,
        state: "final",
        message: Some(Said::injected(&text, crate::base::time::now_ms())),
        error_message: None,
        stop_reason: None,
    };
    core.clients.broadcast("chat", &event, Rules::ALL);
    Ok(Answer::ok(&Injected {
        ok: true,
        message_id: &message_id,
    }))
}

pub fn history(core: &Arc<Core>, call: &Call) -> Answer {
    try_history(core, call).into()
}

fn try_history(core: &Core, call: &Call) -> Result<Answer, RpcError> {
    let params: HistoryParams = call.parse()?;
    let store = &core.agents.sessions;
    let key = store.canonical(&params.session_key);
    let limit = params.limit.map_or(chat::HISTORY_DEFAULT, |n| n as usize);
    let entry = store.entry(&key).map_err(unavailable)?.unwrap_or_default();
    let messages = store
        .history(&key, limit, chat::HISTORY_BYTES)
        .map_err(unavailable)?;
    let config = core.config.current();
    let default = config.config.agents.defaults.thinking_default.as_deref();
    let level = entry.thinking_level.as_deref().or(default);
    let reasons = || models::default(&config, &store.agent_of(&key)).reasoning;
    let fallback = match level {
        Some(level) => level,
        None if reasons() => "low",
        None => "off",
    };
    Ok(Answer::ok(&History {
        session_key: &params.session_key,
        session_id: entry.session_id.as_deref(),
        messages,
        thinking_level: fallback,
        verbose_level: entry.verbose_level.as_deref(),
    }))
}

/// Milliseconds from a JSON number; negative ones were refused before.
fn millis(number: f64) -> Duration {
    Duration::from_millis(number as u64)
}

fn unavailable(err: Error) -> RpcError {
    RpcError::unavailable(err.to_string())
}
