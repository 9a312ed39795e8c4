//! How a requester hears of an ended child: by a turn of its own, or among what waits while its
//! session is busy. Here is also found out whether it has heard already, or is there no more.

use super::book::Record;
use super::{PATIENCE, words};
use crate::agent::inbound;
use crate::agent::queue::{Mode, Wish};
use crate::base::cancel::Cancel;
use crate::base::id;
use crate::base::time::now_ms;
use crate::gateway::core::Core;
use crate::gateway::runs::Run;
use crate::gateway::{inside, queue};
use serde_json::{Value, json};
use std::sync::Arc;

/// Messages of the requester in which an announcement is looked for.
const LOOK_BACK: usize = 400;
const LOOK_BACK_BYTES: usize = 8 * 1024 * 1024;
/// Where people talk who came over no channel.
const WEBCHAT: &str = "webchat";

/// An earlier core put the message into the requester's transcript and died before it noted that.
pub fn was_told(core: &Core, record: &Record) -> bool {
    let key = &record.requester_session_key;
    let history = core
        .agents
        .sessions
        .history(key, LOOK_BACK, LOOK_BACK_BYTES);
    let is_it = |text: &str| {
        text.contains(words::TITLE)
            && text.contains(&record.child_session_key)
            && serde_json::from_str::<Value>(text).is_ok_and(|message| message["role"] == "user")
    };
    history.is_ok_and(|messages| messages.iter().any(|raw| is_it(raw.get())))
}

/// The session that asked is gone: there is nobody to tell.
pub fn has_left(core: &Core, record: &Record) -> bool {
    let key = &record.requester_session_key;
    let sessions = &core.agents.sessions;
    let agent = sessions.agent_of(key);
    if !core.config.current().config.agent_ids().contains(&agent) {
        return true;
    }
    *key != sessions.defaults().main_of(&agent) && matches!(sessions.entry(key), Ok(None))
}

/// The message is on disk when this returns: with those that wait for a busy session, or as a run.
pub fn tell(core: &Arc<Core>, record: &Record) -> Result<(), String> {
    let key = &record.requester_session_key;
    let config = core.config.current();
    let origin = record.requester_origin.as_ref();
    let channel = origin.and_then(|origin| origin.get("channel")?.as_str());
    let known =
        |channel: &&str| *channel == WEBCHAT || config.config.channels.contains_key(*channel);
    let channel = channel.filter(known);
    let words = words::announcement(core, record);
    let id = announce_id(record);
    let agents = &core.agents;
    if agents.queues.depth(key) > 0 || !agents.runs.of_session(key).is_empty() {
        let channel = channel.unwrap_or(WEBCHAT);
        let mut settings = queue::settings(core, key, channel, Wish::default());
        if settings.mode == Mode::Interrupt {
            // For people, not for this.
            settings.mode = Mode::Followup;
        }
        let zone = config.config.agents.defaults.user_timezone.as_deref();
        let message = queue::Record {
            key: key.clone(),
            shown_key: key.clone(),
            // The same in every core: the queue knows it again.
            id,
            text: inbound::stamped(&words, now_ms(), zone),
            words,
            channel: channel.into(),
            ..queue::Record::default()
        };
        return queue::take(core, &message, None, &settings);
    }
    // Another in every core: one that died before the message was stored has told the ledger of a
    // run that ended.
    let id = format!("{id}:{}", id::short());
    let mut params = json!({"message": words, "sessionKey": key, "idempotencyKey": id,
        "deliver": true});
    if let Some(channel) = channel {
        params["channel"] = channel.into();
    }
    let accepted = inside::ask(core, "agent", params).answer(PATIENCE, &Cancel::new());
    accepted.map(drop).map_err(|err| err.message)
}

/// The requester's turn about it, when that is in flight.
pub fn run_of(core: &Core, record: &Record) -> Option<Arc<Run>> {
    let id = announce_id(record);
    let runs = core.agents.runs.of_session(&record.requester_session_key);
    runs.into_iter().find(|run| run.id.starts_with(&id))
}

fn announce_id(record: &Record) -> String {
    format!("announce:{}", record.run_id)
}
