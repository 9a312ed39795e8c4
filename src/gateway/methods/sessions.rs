//! `sessions.list`, `sessions.preview`, `sessions.resolve`.

use super::{Answer, Call};
use crate::base::time::now_ms;
use crate::gateway::core::Core;
use crate::gateway::models;
use crate::session::history::Preview;
use crate::session::{Entry, Error, Filter, Named, key};
use crate::wire::gateway::frame::RpcError;
use crate::wire::gateway::sessions::{
    self as wire, Defaults, List, ListParams, PreviewParams, Previews, ResolveParams, Resolved,
};
use serde::Serialize;
use serde_json::{Map, Value};
use std::sync::Arc;

/// Sessions whose titles and last messages are read from their files; the rest of a longer list
/// goes without, so that one request cannot open thousands of files.
const MAX_READ: usize = 200;

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
    let sessions: Vec<Map<String, Value>> = found
        .iter()
        .enumerate()
        .map(|(i, (key, entry))| {
            let mut row = row_of(key, entry, &default);
            if params.include_derived_titles && i < MAX_READ {
                put(&mut row, "derivedTitle", &store.derived_title(key, entry));
            }
            if params.include_last_message && i < MAX_READ {
                put(
                    &mut row,
                    "lastMessagePreview",
                    &store.last_message(key, entry),
                );
            }
            row
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

/// One row, in the original's order of fields.
fn row_of(key: &str, entry: &Entry, default: &models::Default) -> Map<String, Value> {
    let mut row = Map::new();
    row.insert("key".into(), key.into());
    row.insert("kind".into(), entry.kind(key).as_str().into());
    put(&mut row, "label", &entry.label);
    put(&mut row, "displayName", &entry.display_name);
    put(&mut row, "channel", &entry.channel);
    put(&mut row, "subject", &entry.subject);
    put(&mut row, "groupChannel", &entry.group_channel);
    put(&mut row, "space", &entry.space);
    put(&mut row, "chatType", &entry.chat_type);
    put(&mut row, "origin", &entry.origin);
    let updated = entry.updated_at.map_or(Value::Null, Into::into);
    row.insert("updatedAt".into(), updated);
    put(&mut row, "sessionId", &entry.session_id);
    put(&mut row, "systemSent", &entry.system_sent);
    put(&mut row, "abortedLastRun", &entry.aborted_last_run);
    put(&mut row, "thinkingLevel", &entry.thinking_level);
    put(&mut row, "verboseLevel", &entry.verbose_level);
    put(&mut row, "reasoningLevel", &entry.reasoning_level);
    put(&mut row, "elevatedLevel", &entry.elevated_level);
    put(&mut row, "sendPolicy", &entry.send_policy);
    put(&mut row, "inputTokens", &entry.input_tokens);
    put(&mut row, "outputTokens", &entry.output_tokens);
    put(&mut row, "totalTokens", &entry.total_tokens);
    put(&mut row, "responseUsage", &entry.response_usage);
    let provider = entry.model_provider.as_deref();
    let model = entry.model.as_deref();
    row.insert(
        "modelProvider".into(),
        provider.unwrap_or(&default.provider).into(),
    );
    row.insert("model".into(), model.unwrap_or(&default.model).into());
    put(&mut row, "contextTokens", &entry.context_tokens);
    put(&mut row, "deliveryContext", &entry.delivery_context);
    put(&mut row, "lastChannel", &entry.last_channel);
    put(&mut row, "lastTo", &entry.last_to);
    put(&mut row, "lastAccountId", &entry.last_account_id);
    row
}

fn put(row: &mut Map<String, Value>, name: &str, value: &Option<impl Serialize>) {
    if let Some(value) = value {
        if let Ok(value) = serde_json::to_value(value) {
            row.insert(name.into(), value);
        }
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
