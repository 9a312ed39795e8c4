//! `sessions.list`, `.preview`, `.resolve`, and what changes a session: `.patch`, `.reset`,
//! `.delete`, `.compact`.
//!
//! A session is not taken away from under a run: `delete` stops its runs and waits for their end,
//! `compact` waits, both at most `ACTIVE_PATIENCE` and on a thread of their own while they do. A
//! reset leaves a run to end in the conversation it belongs to.

use super::{Answer, Call};
use crate::base::time::now_ms;
use crate::gateway::core::Core;
use crate::gateway::session_patch::next_model;
use crate::gateway::{models, queue, sessions};
use crate::session::history::Preview;
use crate::session::{ACTIVE_PATIENCE, Entry, Error, Filter, Named, Shortened, key};
use crate::wire::gateway::frame::RpcError;
use crate::wire::gateway::sessions::{
    self as wire, CompactParams, Compacted, Defaults, DeleteParams, Deleted, List, ListParams,
    Patched, PreviewParams, Previews, Reset, ResolveParams, Resolved, ResolvedModel, Row,
};
use serde_json::{Map, Value};
use std::sync::Arc;

/// Sessions whose titles and last messages are read from their files; the rest of a longer list
/// goes without, so that one request cannot open thousands of files.
const MAX_READ: usize = 200;

/// Reads whole transcripts, whose lines may nest deeply, as the pool's threads do.
const QUIET_STACK: usize = 1024 * 1024;

pub fn list(core: &Arc<Core>, call: &Call) -> Answer {
    try_list(core, call).into()
}

fn try_list(core: &Core, call: &Call) -> Result<Answer, RpcError> {
    let params: ListParams = call.parse()?;
    let store = &core.agents.sessions;
    let now = now_ms();
    let since = |minutes: f64| now.saturating_sub((minutes * 60_000.0) as u64);
    let filter = Filter {
        agent: params.agent_id.as_deref().map(key::sanitize_id),
        limit: params.limit.map(|n| n as usize),
        since_ms: params.active_minutes.map(since),
        include_global: params.include_global,
        include_unknown: params.include_unknown,
        label: params.label,
        spawned_by: params.spawned_by,
        search: params.search,
    };
    let found = store.list(&filter).map_err(unavailable)?;
    let config = core.config.current();
    let default = models::default(&config, &store.defaults().agent);
    let sessions: Vec<Row> = found
        .iter()
        .enumerate()
        .map(|(i, (key, entry))| {
            let read = i < MAX_READ;
            Row {
                derived_title: (params.include_derived_titles && read)
                    .then(|| store.derived_title(key, entry))
                    .flatten(),
                last_message_preview: (params.include_last_message && read)
                    .then(|| store.last_message(key, entry))
                    .flatten(),
                ..row_of(key, entry, &default)
            }
        })
        .collect();
    let path = store
        .shared_path()
        .map_or_else(|| "(multiple)".to_string(), |p| p.display().to_string());
    Ok(Answer::ok(&List {
        ts: now,
        path: &path,
        count: sessions.len(),
        defaults: Defaults {
            model_provider: &default.provider,
            model: &default.model,
            context_tokens: default.context_tokens,
        },
        sessions,
    }))
}

fn row_of<'a>(key: &'a str, entry: &'a Entry, default: &'a models::Default) -> Row<'a> {
    let chosen = entry
        .provider_override
        .as_deref()
        .zip(entry.model_override.as_deref());
    let last = entry.model_provider.as_deref().zip(entry.model.as_deref());
    let (model_provider, model) = chosen
        .or(last)
        .unwrap_or((&default.provider, &default.model));
    let sum = entry.input_tokens.unwrap_or(0) + entry.output_tokens.unwrap_or(0);
    Row {
        key,
        kind: entry.kind(key).as_str(),
        label: entry.label.as_deref(),
        display_name: entry.display_name.as_deref(),
        channel: entry.channel.as_deref(),
        subject: entry.subject.as_deref(),
        group_channel: entry.group_channel.as_deref(),
        space: entry.space.as_deref(),
        chat_type: entry.chat_type.as_deref(),
        origin: entry.origin.as_ref(),
        updated_at: entry.updated_at,
        session_id: entry.session_id.as_deref(),
        system_sent: entry.system_sent,
        aborted_last_run: entry.aborted_last_run,
        thinking_level: entry.thinking_level.as_deref(),
        verbose_level: entry.verbose_level.as_deref(),
        reasoning_level: entry.reasoning_level.as_deref(),
        elevated_level: entry.elevated_level.as_deref(),
        send_policy: entry.send_policy.as_deref(),
        input_tokens: entry.input_tokens,
        output_tokens: entry.output_tokens,
        total_tokens: entry.total_tokens.unwrap_or(sum),
        response_usage: entry.response_usage.as_deref(),
        model_provider,
        model,
        context_tokens: entry.context_tokens,
        delivery_context: entry.route(),
        last_channel: entry.last_channel.as_deref(),
        last_to: entry.last_to.as_deref(),
        last_account_id: entry.last_account_id.as_deref(),
        derived_title: None,
        last_message_preview: None,
    }
}

pub fn preview(core: &Arc<Core>, call: &Call) -> Answer {
    let params: PreviewParams = match call.parse() {
        Ok(params) => params,
        Err(error) => return error.into(),
    };
    let store = &core.agents.sessions;
    let size = |wanted: Option<f64>, default: usize, max: usize| {
        wanted.map_or(default, |n| n as usize).min(max)
    };
    let limit = size(
        params.limit,
        wire::PREVIEW_LIMIT_DEFAULT,
        wire::PREVIEW_LIMIT,
    );
    let max_chars = size(
        params.max_chars,
        wire::PREVIEW_CHARS_DEFAULT,
        wire::PREVIEW_CHARS,
    );
    let previews = params
        .keys
        .iter()
        .map(|k| k.trim())
        .filter(|k| !k.is_empty())
        .take(wire::PREVIEW_KEYS)
        .map(|key| {
            let found = store.preview(&store.canonical(key), limit, max_chars);
            let (status, items) = match found {
                Ok(Preview::Missing) => ("missing", Vec::new()),
                Ok(Preview::Empty) => ("empty", Vec::new()),
                Ok(Preview::Items(items)) => ("ok", items),
                Err(err) => {
                    log::warn!("preview of {key}: {err}");
                    ("error", Vec::new())
                }
            };
            wire::Preview {
                key: key.to_string(),
                status,
                items,
            }
        })
        .collect();
    Answer::ok(&Previews {
        ts: now_ms(),
        previews,
    })
}

pub fn resolve(core: &Arc<Core>, call: &Call) -> Answer {
    try_resolve(core, call).into()
}

fn try_resolve(core: &Core, call: &Call) -> Result<Answer, RpcError> {
    let params: ResolveParams = call.parse()?;
    let text = |field: Option<String>| {
        field
            .map(|t| t.trim().to_string())
            .filter(|t| !t.is_empty())
    };
    let (key, id, label) = (
        text(params.key),
        text(params.session_id),
        text(params.label),
    );
    let given = [&key, &id, &label].iter().filter(|f| f.is_some()).count();
    if given > 1 {
        return Err(RpcError::invalid(
            "Provide either key, sessionId, or label (not multiple)",
        ));
    }
    let store = &core.agents.sessions;
    let found: String = match (key, id, label) {
        (Some(key), _, _) => {
            let canonical = store.canonical(&key);
            match store.entry(&canonical).map_err(unavailable)? {
                Some(_) => canonical,
                None => return Err(RpcError::invalid(format!("No session found: {key}"))),
            }
        }
        (_, Some(id), _) => {
            let mut found = store.by_session_id(&id).map_err(unavailable)?;
            if let Some(agent) = params.agent_id.as_deref().map(key::sanitize_id) {
                found.retain(|s| store.agent_of(&s.0) == agent);
            }
            // Also found by its key, as the original does.
            match found.as_slice() {
                [] => return Err(RpcError::invalid(format!("No session found: {id}"))),
                [one] => one.0.to_string(),
                many => return Err(multiple("sessionId", &id, many)),
            }
        }
        (_, _, Some(label)) => {
            let filter = Filter {
                agent: params.agent_id.as_deref().map(key::sanitize_id),
                include_global: params.include_global,
                include_unknown: params.include_unknown,
                label: Some(label.clone()),
                spawned_by: params.spawned_by,
                ..Filter::default()
            };
            let found = store.list(&filter).map_err(unavailable)?;
            match found.as_slice() {
                [] => {
                    return Err(RpcError::invalid(format!(
                        "No session found with label: {label}"
                    )));
                }
                [one] => one.0.to_string(),
                many => return Err(multiple("label", &label, many)),
            }
        }
        _ => {
            return Err(RpcError::invalid(
                "Either key, sessionId, or label is required",
            ));
        }
    };
    Ok(Answer::ok(&Resolved {
        ok: true,
        key: &found,
    }))
}

/// The canonical key of params that must have one.
fn key_of(core: &Core, params: &Value) -> Result<String, RpcError> {
    let key = params["key"].as_str().map(str::trim).unwrap_or_default();
    if key.is_empty() {
        return Err(RpcError::invalid("key required"));
    }
    Ok(core.agents.sessions.canonical(key))
}

pub fn patch(core: &Arc<Core>, call: &Call) -> Answer {
    try_patch(core, call).into()
}

fn try_patch(core: &Core, call: &Call) -> Result<Answer, RpcError> {
    let key = key_of(core, call.params)?;
    let none = Map::new();
    let params = call.params.as_object().unwrap_or(&none);
    let entry = sessions::patch(core, &key, params)?;
    let store = &core.agents.sessions;
    let agent_id = store.agent_of(&key);
    let config = core.config.current();
    let model = next_model(&config, &agent_id, &entry);
    Ok(Answer::ok(&Patched {
        ok: true,
        path: &store.path(&agent_id).display().to_string(),
        key: &key,
        entry: &*entry,
        resolved: ResolvedModel {
            model_provider: model.provider,
            model: model.model,
        },
    }))
}

pub fn reset(core: &Arc<Core>, call: &Call) -> Answer {
    let reset = || {
        let key = key_of(core, call.params)?;
        let entry = core.agents.sessions.reset(&key).map_err(unavailable)?;
        Ok(Answer::ok(&Reset {
            ok: true,
            key: &key,
            entry: &*entry,
        }))
    };
    reset().into()
}

pub fn delete(core: &Arc<Core>, call: &Call) -> Answer {
    let (params, key) = match call.parse::<DeleteParams>().and_then(|params| {
        let key = key_of(core, call.params)?;
        Ok((params, key))
    }) {
        Ok(both) => both,
        Err(error) => return error.into(),
    };
    if key == core.agents.sessions.defaults().main_key() {
        return Answer::invalid(format!("Cannot delete the main session ({key})."));
    }
    let with_transcript = params.delete_transcript.unwrap_or(true);
    when_quiet(core, call, &key, move |core, key| {
        queue::clear(core, key);
        if !sessions::end_runs(core, key, ACTIVE_PATIENCE) {
            return Err(still_active(key));
        }
        let gone = core.agents.sessions.delete(key, with_transcript);
        let (deleted, archived) = gone.map_err(|err| busy(err, key))?;
        Ok(Answer::ok(&Deleted {
            ok: true,
            key,
            deleted,
            archived: archived.iter().map(|p| p.display().to_string()).collect(),
        }))
    })
}

pub fn compact(core: &Arc<Core>, call: &Call) -> Answer {
    let (params, key) = match call.parse::<CompactParams>().and_then(|params| {
        let key = key_of(core, call.params)?;
        Ok((params, key))
    }) {
        Ok(both) => both,
        Err(error) => return error.into(),
    };
    let lines = params.max_lines.map_or(wire::COMPACT_LINES, |n| n as usize);
    when_quiet(core, call, &key, move |core, key| {
        let done = core.agents.sessions.shorten(key, lines);
        let base = Compacted {
            ok: true,
            key,
            ..Compacted::default()
        };
        Ok(Answer::ok(&match done.map_err(|err| busy(err, key))? {
            Shortened::NoSession => Compacted {
                reason: Some("no sessionId"),
                ..base
            },
            Shortened::NoTranscript => Compacted {
                reason: Some("no transcript"),
                ..base
            },
            Shortened::Kept(lines) => Compacted {
                kept: Some(lines),
                ..base
            },
            Shortened::Cut { kept, archived } => Compacted {
                compacted: true,
                archived: Some(archived.display().to_string()),
                kept: Some(kept),
                ..base
            },
        }))
    })
}

/// Does `job` here when the session has no run, else on a thread of its own: it may wait.
fn when_quiet(
    core: &Arc<Core>,
    call: &Call,
    key: &str,
    job: impl FnOnce(&Core, &str) -> Result<Answer, RpcError> + Send + 'static,
) -> Answer {
    if core.agents.runs.of_session(key).is_empty() {
        return job(core, key).into();
    }
    let (core, key, responder) = (core.clone(), key.to_string(), call.responder());
    let started = std::thread::Builder::new()
        .name("session-quiet".into())
        .stack_size(QUIET_STACK)
        .spawn(move || {
            let answer: Answer = job(&core, &key).into();
            answer.give(&responder.client, &responder.id);
        });
    match started {
        Ok(_) => Answer::Later,
        Err(err) => Answer::unavailable(format!("no thread to wait for the session: {err}")),
    }
}

fn still_active(key: &str) -> RpcError {
    RpcError::unavailable(format!(
        "Session {key} is still active; try again in a moment."
    ))
}

fn busy(err: Error, key: &str) -> RpcError {
    match err {
        Error::TranscriptLocked { .. } => still_active(key),
        err => unavailable(err),
    }
}

fn multiple(what: &str, value: &str, many: &[Named]) -> RpcError {
    let keys: Vec<&str> = many.iter().map(|s| &*s.0).collect();
    RpcError::invalid(format!(
        "Multiple sessions found with {what}: {value} ({})",
        keys.join(", ")
    ))
}

fn unavailable(err: Error) -> RpcError {
    RpcError::unavailable(err.to_string())
}
