//! `agent` and `agent.wait`: turns for programs. `agent` answers twice: accepted, then the result.

use super::{Answer, Call};
use crate::agent::inbound;
use crate::base::time::now_ms;
use crate::gateway::broadcast::Responder;
use crate::gateway::core::Core;
use crate::gateway::dedupe::Stored;
use crate::gateway::runs::{self, Kind};
use crate::gateway::sessions::{self, Touch};
use crate::gateway::turns::{self, Ending, Start};
use crate::session::{Entry, Error};
use crate::wire::gateway::agent::{Accepted, Done, Params, RunResult, WaitParams, Waited};
use crate::wire::gateway::frame::RpcError;
use std::sync::Arc;
use std::time::Duration;

/// Namespace of stored answers.
const KEPT: &str = "agent";
const WAIT_MS: u64 = 30_000;
const NO_SESSION: &str = "Error: Pass --to <E.164>, --session-id, or --agent to choose a session";

const BAD_LEVEL: &str =
    "Error: Invalid thinking level. Use one of: off, minimal, low, medium, high, xhigh.";

/// Channels that can be named; a configured or foreign one is known too.
const CHANNELS: [&str; 9] = [
    "last",
    "telegram",
    "whatsapp",
    "discord",
    "googlechat",
    "slack",
    "signal",
    "imessage",
    "webchat",
];

/// Where a run takes place.
struct Place {
    key: String,
    agent_id: String,
    /// Given by the caller; else the entry's.
    session_id: Option<String>,
    listed: bool,
}

pub fn start(core: &Arc<Core>, call: &Call) -> Answer {
    try_start(core, call).into()
}

fn try_start(core: &Arc<Core>, call: &Call) -> Result<Answer, RpcError> {
    let params: Params = call.parse()?;
    let id = params.idempotency_key.clone();
    if let Some(kept) = core.dedupe.get(KEPT, &id) {
        return Ok(kept.into());
    }
    let images = inbound::images(&params.attachments)
        .map_err(|why| RpcError::invalid(format!("Error: {why}")))?;
    let place = place(core, &params)?;
    if let Some(place) = &place {
        if sessions::is_blocked(core, &place.key).map_err(unavailable)? {
            return Err(RpcError::invalid("send blocked by session policy"));
        }
    }
    let accepted = Accepted {
        run_id: &id,
        status: "accepted",
        accepted_at: now_ms(),
    };
    let stored = Stored::ok(&accepted);
    // One of two equal requests goes on; the other gets the same first answer.
    if let Some(kept) = core.dedupe.claim(KEPT, &id, stored.clone()) {
        return Ok(kept.into());
    }
    let responder = call.responder();
    let Some(place) = place else {
        accept(&responder, &stored);
        finish(core, &responder, &id, Err(NO_SESSION.into()));
        return Ok(Answer::Later);
    };
    let level = params.thinking.as_deref().filter(|t| !t.trim().is_empty());
    if level.is_some_and(|level| inbound::thinking_level(level).is_none()) {
        accept(&responder, &stored);
        finish(core, &responder, &id, Err(BAD_LEVEL.into()));
        return Ok(Answer::Later);
    }
    let shown = params.session_key.clone().filter(|k| !k.is_empty());
    let shown = shown.unwrap_or_else(|| place.key.clone());
    let mut run = runs::Run::new(&id, &shown, &place.key, Kind::Agent);
    run.watcher = sessions::watcher(call.client);
    run.verbose = sessions::verbose(core, &place.key);
    let run = Arc::new(run);
    if !core.agents.runs.begin(&run) {
        core.dedupe.forget(KEPT, &id);
        return Err(RpcError::unavailable(format!(
            "run {id} is already in flight"
        )));
    }
    let session_id = match session_id(core, &place, &params) {
        Ok(session_id) => session_id,
        Err(err) => {
            core.agents.runs.withdraw(&run);
            core.dedupe.forget(KEPT, &id);
            return Err(unavailable(err));
        }
    };
    let config = core.config.current();
    let zone = config.config.agents.defaults.user_timezone.as_deref();
    let text = match core.listen.embedded {
        // As the original's turn without a gateway: the words alone.
        true => params.message,
        false => inbound::stamped(&params.message, now_ms(), zone),
    };
    let (accepter, closer, keeper) = (responder.clone(), responder, core.clone());
    turns::start(
        core,
        Start {
            agent_id: place.agent_id,
            listed: place.listed,
            images,
            thinking: params.thinking.as_deref().and_then(inbound::thinking_level),
            extra: params.extra_system_prompt,
            channel: params.channel.filter(|c| c != "last"),
            timeout: match params.timeout {
                None => turns::default_timeout(&config),
                Some(0) => turns::NO_LIMIT,
                Some(seconds) => Duration::from_secs(seconds).min(turns::NO_LIMIT),
            },
            lane: params.lane.unwrap_or_default(),
            accept: Box::new(move || accept(&accepter, &stored)),
            finish: Box::new(move |ending, accepted| {
                if accepted {
                    finish(&keeper, &closer, &id, ending);
                } else {
                    // Never accepted: the next request with this key is a new one.
                    keeper.dedupe.forget(KEPT, &id);
                    let why = ending.err().unwrap_or_default();
                    closer.error(&RpcError::unavailable(why));
                }
            }),
            ..Start::new(core, run, session_id, text)
        },
    );
    Ok(Answer::Later)
}

fn accept(responder: &Responder, stored: &Stored) {
    if let Some(payload) = &stored.payload {
        responder.ok(&payload.as_ref());
    }
}

/// What repeats of the request get from now on, and then the second answer.
fn finish(core: &Core, responder: &Responder, id: &str, ending: Ending) {
    match ending {
        Ok(mut result) => {
            // The report is long and a repeat does not need it: kept answers cost memory.
            let report = result.meta.system_prompt_report.take();
            core.dedupe
                .put(KEPT, id, Stored::ok(&done(id, Some(&result))));
            result.meta.system_prompt_report = report;
            responder.ok(&done(id, Some(&result)));
        }
        Err(why) => {
            let payload = Done {
                run_id: id,
                status: "error",
                summary: &why,
                result: None,
            };
            let error = RpcError::unavailable(why.clone());
            let kept = Stored {
                error: Some(error.clone()),
                ..Stored::ok(&payload)
            };
            core.dedupe.put(KEPT, id, kept);
            responder.failed(&payload, &error);
        }
    }
}

fn done<'a>(id: &'a str, result: Option<&'a RunResult>) -> Done<'a> {
    Done {
        run_id: id,
        status: "ok",
        summary: "completed",
        result,
    }
}

/// Which session the params mean; `None` when they name none.
fn place(core: &Core, params: &Params) -> Result<Option<Place>, RpcError> {
    let invalid = |why: String| RpcError::invalid(format!("invalid agent params: {why}"));
    let config = core.config.current();
    let named = [&params.channel, &params.reply_channel];
    for channel in named.into_iter().flatten() {
        let name = channel.trim().to_ascii_lowercase();
        let known = name.is_empty()
            || CHANNELS.contains(&name.as_str())
            || config.config.channels.contains_key(&name);
        if !known {
            return Err(invalid(format!("unknown channel: {channel}")));
        }
    }
    let store = &core.agents.sessions;
    let key = params
        .session_key
        .as_deref()
        .map(str::trim)
        .filter(|k| !k.is_empty())
        .map(|key| store.canonical(key));
    let agent = params.agent_id.as_deref().map(str::trim);
    if let Some(agent) = agent {
        let wanted = crate::config::agents::agent_id(agent);
        if !config.config.agent_ids().contains(&wanted) {
            return Err(invalid(format!("unknown agent id \"{agent}\"")));
        }
        if let Some(owner) = key.as_deref().and_then(crate::session::key::agent_of) {
            if owner != wanted {
                return Err(invalid(format!(
                    "agent \"{wanted}\" does not match session key agent \"{owner}\""
                )));
            }
        }
    }
    let text = |field: &Option<String>| {
        field
            .as_deref()
            .map(str::trim)
            .filter(|t| !t.is_empty())
            .map(str::to_string)
    };
    let session_id = text(&params.session_id);
    let agent = agent.map(crate::config::agents::agent_id);
    if let (None, Some(id)) = (&key, &session_id) {
        if id.contains(['/', '\\']) || id.starts_with('.') {
            return Err(invalid(format!("sessionId \"{id}\" is not a plain name")));
        }
        let found = store.by_session_id(id).map_err(unavailable)?;
        if let Some(first) = found.first() {
            let key = first.0.to_string();
            return Ok(Some(Place {
                agent_id: store.agent_of(&key),
                key,
                session_id,
                listed: true,
            }));
        }
        let agent_id = agent.unwrap_or_else(|| store.defaults().agent);
        return Ok(Some(Place {
            key: crate::session::key::main_key(&agent_id),
            agent_id,
            session_id,
            listed: false,
        }));
    }
    let by_agent = agent.map(|agent| store.defaults().main_of(&agent));
    let by_peer = text(&params.to).map(|_| store.defaults().main_key());
    Ok(key.or(by_agent).or(by_peer).map(|key| Place {
        agent_id: store.agent_of(&key),
        key,
        session_id,
        listed: true,
    }))
}

/// Creates or updates the entry, as far as the run has one.
fn session_id(core: &Core, place: &Place, params: &Params) -> Result<String, Error> {
    if let (false, Some(id)) = (place.listed, &place.session_id) {
        return Ok(id.clone());
    }
    let level = params.thinking.as_deref().and_then(inbound::thinking_level);
    sessions::touch(core, &place.key, Touch::Agent, |entry: &mut Entry| {
        if let Some(id) = &place.session_id {
            entry.session_id = Some(id.clone());
        }
        if let Some(level) = level {
            entry.thinking_level = Some(level.into());
        }
        if let Some(label) = params.label.as_ref().filter(|l| !l.trim().is_empty()) {
            entry.label = Some(label.trim().into());
        }
        for (field, said) in [
            (&mut entry.group_id, &params.group_id),
            (&mut entry.group_channel, &params.group_channel),
            (&mut entry.space, &params.group_space),
        ] {
            let said = said.as_deref().map(str::trim);
            if let Some(said) = said.filter(|said| !said.is_empty()) {
                *field = Some(said.into());
            }
        }
        if let Some(parent) = params.spawned_by.as_ref().filter(|p| !p.is_empty()) {
            entry.spawned_by = Some(parent.clone());
        }
    })
}

pub fn wait(core: &Arc<Core>, call: &Call) -> Answer {
    let params: WaitParams = match call.parse() {
        Ok(params) => params,
        Err(error) => return error.into(),
    };
    let responder = call.responder();
    let patience = Duration::from_millis(params.timeout_ms.unwrap_or(WAIT_MS));
    let patience = patience.min(turns::NO_LIMIT);
    let id = params.run_id.clone();
    let waiting = core
        .agents
        .runs
        .wait(&params.run_id, patience, move |ended| {
            let waited = match &ended {
                None => Waited {
                    run_id: &id,
                    status: "timeout",
                    started_at: None,
                    ended_at: None,
                    error: None,
                },
                Some(ended) => Waited {
                    run_id: &id,
                    status: if ended.error.is_some() { "error" } else { "ok" },
                    started_at: ended.started_at,
                    ended_at: Some(ended.ended_at),
                    error: ended.error.as_deref(),
                },
            };
            responder.ok(&waited);
        });
    match waiting {
        Ok(()) => Answer::Later,
        Err(why) => Answer::unavailable(why),
    }
}

fn unavailable(err: Error) -> RpcError {
    RpcError::unavailable(err.to_string())
}
