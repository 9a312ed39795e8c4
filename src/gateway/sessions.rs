//! What methods need of a session before and around a turn: its entry made ready, its rules.

use super::broadcast::Client;
use super::core::Core;
use super::runs::Verbose;
use super::session_patch::Patch;
use crate::agent::{inbound, sending};
use crate::base::{id, time};
use crate::config::Snapshot;
use crate::session::{Entry, Error, reset};
use crate::wire::gateway::frame::RpcError;
use crate::wire::message::text_in;
use serde_json::{Map, Value};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

/// Messages looked at for the last reply: a turn may call many tools after it spoke.
const LAST: usize = 100;
const LAST_BYTES: usize = 1024 * 1024;

/// Who wants to talk; decides what a session that starts anew keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Touch {
    /// A chat: levels and overrides were for the old conversation.
    Chat,
    /// A program: its settings stay.
    Agent,
    /// A heartbeat: nobody's visit, the session grows old as if it had not been.
    Heartbeat,
}

/// Makes the session's entry ready for a turn (a new session id when it has none or is too old)
/// and returns its session id. On disk when new.
pub fn touch(
    core: &Core,
    key: &str,
    who: Touch,
    change: impl FnOnce(&mut Entry),
) -> Result<String, Error> {
    let config = core.config.current();
    let rules = &config.value["session"];
    let now = time::now_ms();
    let entry = core.agents.sessions.update(key, |entry| {
        let used = entry.updated_at.unwrap_or(0);
        if entry.session_id.is_none() {
            // Its settings may have been made before its first word.
            entry.session_id = Some(id::uuid());
        } else if reset::is_stale(rules, key, used, now) && !has_other_runs(core, key) {
            match who {
                Touch::Chat => entry.renew(now),
                Touch::Agent | Touch::Heartbeat => start_over(entry),
            }
            entry.updated_at = Some(now);
        }
        if who != Touch::Heartbeat || entry.updated_at.is_none() {
            entry.updated_at = Some(now);
        }
        change(entry);
    })?;
    Ok(entry.session_id.clone().unwrap_or_default())
}

/// What begins a new session: `session.resetTriggers`.
pub fn reset_triggers(config: &Snapshot) -> Vec<&str> {
    let set = config.value["session"]["resetTriggers"].as_array();
    match set {
        Some(list) => list.iter().filter_map(Value::as_str).collect(),
        None => inbound::RESETS.to_vec(),
    }
}

/// Says where a session began that has no other place; an outside route it has stays.
pub fn seat(entry: &mut Entry, channel: &str) {
    if entry.chat_type.is_none() {
        entry.chat_type = Some("direct".into());
    }
    if entry.origin.is_none() {
        let origin = [
            ("provider", channel),
            ("surface", channel),
            ("chatType", "direct"),
        ];
        let origin = origin.map(|(key, value)| (key.to_string(), value.into()));
        entry.origin = Some(origin.into_iter().collect());
    }
    if entry.last_channel.is_none() {
        entry.set_route(Some(channel), None, None, None);
    }
}

/// Changes a session as `sessions.patch` asks, or says what of it does not fit.
pub fn patch(core: &Core, key: &str, params: &Map<String, Value>) -> Result<Arc<Entry>, RpcError> {
    let store = &core.agents.sessions;
    let agent_id = store.agent_of(key);
    let config = core.config.current();
    let patch = Patch {
        config: &config,
        agent_id: &agent_id,
        key,
        params,
    };
    let unavailable = |err: Error| RpcError::unavailable(err.to_string());
    let patching = &core.agents.patching;
    let _patching = patching.lock().unwrap_or_else(PoisonError::into_inner);
    // Tried on a copy first: a refused patch must not make an entry.
    let mut tried = store.entry(key).map_err(unavailable)?.unwrap_or_default();
    patch
        .apply(Arc::make_mut(&mut tried))
        .map_err(RpcError::invalid)?;
    if let Some(label) = tried
        .label
        .as_deref()
        .filter(|_| params.get("label").is_some_and(Value::is_string))
    {
        let same = store.by_label(label).map_err(unavailable)?;
        if same.iter().any(|(other, _)| **other != *key) {
            return Err(RpcError::invalid(format!("label already in use: {label}")));
        }
    }
    let mut refused = None;
    let entry = store.patch(key, |entry| {
        if entry.session_id.is_none() {
            entry.session_id = Some(id::uuid());
        }
        entry.updated_at = Some(time::now_ms());
        // The entry may be another than the one it was tried on; then this can fail.
        refused = patch.apply(entry).err();
    });
    match (entry, refused) {
        (Err(err), _) => Err(unavailable(err)),
        (Ok(_), Some(why)) => Err(RpcError::invalid(why)),
        (Ok(entry), None) => Ok(entry),
    }
}

/// Starts a conversation of its own under `key`, whatever was there; its session id. On disk.
pub fn fresh(core: &Core, key: &str) -> Result<String, Error> {
    let entry = core.agents.sessions.update(key, |entry| {
        start_over(entry);
        entry.updated_at = Some(time::now_ms());
    })?;
    Ok(entry.session_id.clone().unwrap_or_default())
}

/// A session somebody talks in right now is not old, whatever the clock says.
fn has_other_runs(core: &Core, key: &str) -> bool {
    core.agents.runs.of_session(key).len() > 1
}

/// A new conversation under the same key that keeps every setting.
fn start_over(entry: &mut Entry) {
    entry.session_id = Some(id::uuid());
    entry.session_file = None;
    entry.system_sent = Some(false);
    entry.aborted_last_run = Some(false);
    entry.compaction_count = None;
    entry.memory_flush_compaction_count = None;
    entry.input_tokens = None;
    entry.output_tokens = None;
    entry.total_tokens = None;
}

/// Replies of this session must not be sent.
pub fn is_blocked(core: &Core, key: &str) -> Result<bool, Error> {
    let entry = core.agents.sessions.entry(key)?.unwrap_or_default();
    let config = core.config.current();
    let session = config.value.get("session").unwrap_or(&Value::Null);
    let channel = entry.channel.as_deref().or(entry.last_channel.as_deref());
    Ok(sending::is_denied(
        session,
        entry.send_policy.as_deref(),
        key,
        channel,
        entry.chat_type.as_deref(),
    ))
}

/// What the model answered to the last message of a session, if it did in words.
pub fn last_reply(core: &Core, key: &str) -> Option<String> {
    let history = core.agents.sessions.history(key, LAST, LAST_BYTES);
    let history = history
        .inspect_err(|err| log::warn!("the last reply of {key}: {err}"))
        .ok()?;
    let messages = history.iter().rev();
    let messages = messages.filter_map(|raw| serde_json::from_str::<Value>(raw.get()).ok());
    let answers = messages.take_while(|message| message["role"] != "user");
    let mut texts = answers
        .filter(|message| message["role"] == "assistant")
        .map(|message| text_in(&message["content"], "\n").trim().to_string());
    texts.find(|text| !text.is_empty())
}

/// The connection that is told of tools, when it asked to be.
pub fn watcher(client: &Client) -> Option<String> {
    let asked = client.caps.iter().any(|cap| cap == "tool-events");
    asked.then(|| client.conn_id.clone())
}

/// The session's verbose level, else the configured one.
pub fn verbose(core: &Core, key: &str) -> Verbose {
    let entry = core.agents.sessions.entry(key).ok().flatten();
    let own = entry.and_then(|e| e.verbose_level.clone());
    let config = core.config.current();
    let default = config.config.agents.defaults.verbose_default.clone();
    Verbose::parse(own.or(default).as_deref())
}

/// Stops every run of a session and waits for them; false when one is still there after
/// `patience`.
pub fn end_runs(core: &Core, key: &str, patience: Duration) -> bool {
    let runs = &core.agents.runs;
    let deadline = Instant::now() + patience;
    let active = runs.of_session(key);
    for run in &active {
        runs.abort(&core.clients, run, "rpc");
    }
    for run in active {
        let left = deadline.saturating_duration_since(Instant::now());
        let (done, ended) = crossbeam_channel::bounded(1);
        let waiting = runs.wait(&run.id, left, move |ended| {
            // Nobody listens any more when the time is up.
            let _ = done.send(ended.is_some());
        });
        if waiting.is_err() || !ended.recv_timeout(left).unwrap_or(false) {
            return false;
        }
    }
    true
}
