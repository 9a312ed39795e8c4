//! What follows a message from one session's agent to another's: the two may answer each other for
//! some turns, then the one that was asked says what, if anything, its own people should hear.
//!
//! A thread of its own for each talk, since it waits for turns; a few at once, and every wait has an
//! end. Nothing is kept on disk: the turns are in the transcripts, and a talk that a killed core
//! was in the middle of is over.

use super::core::Core;
use super::inside;
use super::sessions;
use crate::agent::lane::NESTED;
use crate::base::cancel::Cancel;
use crate::base::id;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Talks at once; agents that talk in circles come to an end here.
const MAX_TALKS: usize = 8;
/// For one turn, and for those of other people before it.
const STEP: Duration = Duration::from_secs(120);
const PATIENCE: Duration = Duration::from_secs(10);
/// Turns that follow the first reply.
const MAX_TURNS: u64 = 5;
/// Reads transcripts, whose lines may nest deeply, as the pool's threads do.
const STACK: usize = 1024 * 1024;

/// An answer that ends the exchange.
const REPLY_SKIP: &str = "REPLY_SKIP";
/// An answer that nobody shall hear.
const ANNOUNCE_SKIP: &str = "ANNOUNCE_SKIP";
const ANNOUNCE: &str = "Agent-to-agent announce step.";

#[derive(Default)]
pub struct Talks(AtomicUsize);

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Talk {
    /// Who began.
    requester: String,
    target: String,
    message: String,
    /// The first reply, or the run that gives it.
    reply: Option<String>,
    run_id: String,
}

/// Goes on with a talk in the background.
pub fn begin(core: &Arc<Core>, params: &Value) -> Result<Value, String> {
    let talk = Talk::deserialize(params).map_err(|err| err.to_string())?;
    let at_once = core.talks.0.fetch_add(1, Ordering::AcqRel);
    if at_once >= MAX_TALKS {
        core.talks.0.fetch_sub(1, Ordering::AcqRel);
        return Err("too many agents talk with each other".into());
    }
    let again = core.clone();
    let thread = std::thread::Builder::new()
        .name("talk".into())
        .stack_size(STACK)
        .spawn(move || {
            if let Err(why) = talk.go_on(&again) {
                log::warn!("{} and {}: {why}", talk.requester, talk.target);
            }
            again.talks.0.fetch_sub(1, Ordering::AcqRel);
        });
    match thread {
        Ok(_) => Ok(json!({"ok": true})),
        Err(err) => {
            core.talks.0.fetch_sub(1, Ordering::AcqRel);
            Err(format!("no thread: {err}"))
        }
    }
}

impl Talk {
    fn go_on(&self, core: &Arc<Core>) -> Result<(), String> {
        let first = match &self.reply {
            Some(reply) => Some(reply.clone()),
            None => end_of(core, &self.run_id)?
                .then(|| sessions::last_reply(core, &self.target))
                .flatten(),
        };
        let Some(first) = first else { return Ok(()) };
        let latest = self.take_turns(core, &first)?;
        let prompt = format!(
            "{}\nThe exchange is over. The request was: {}\nYour first answer was: {first}\n\
             The last answer was: {latest}\nIf the people of your session should hear of it, answer \
             with what they are told, and nothing else. Else answer exactly {ANNOUNCE_SKIP}.",
            self.places(),
            self.message
        );
        let said = step(core, &self.target, ANNOUNCE, &prompt)?;
        if said.is_some_and(|said| said.trim() != ANNOUNCE_SKIP) {
            // It stands in the session, where its viewers see it.
            log::info!("{} has something to say of its talk", self.target);
        }
        Ok(())
    }

    /// The two answer each other, beginning with who asked; the last answer.
    fn take_turns(&self, core: &Arc<Core>, first: &str) -> Result<String, String> {
        let mut latest = first.to_string();
        if self.requester == self.target {
            return Ok(latest);
        }
        let config = core.config.current();
        let most = config
            .value
            .pointer("/session/agentToAgent/maxPingPongTurns");
        let most = most.and_then(Value::as_u64).unwrap_or(MAX_TURNS);
        let most = most.min(MAX_TURNS);
        for turn in 1..=most {
            let asks = turn % 2 == 1;
            let (speaker, role) = match asks {
                true => (&self.requester, "the one who asked"),
                false => (&self.target, "the one who was asked"),
            };
            let prompt = format!(
                "{}\nYou are {role}. This is turn {turn} of {most} in which you may answer the \
                 other agent. To end the exchange answer exactly {REPLY_SKIP}.",
                self.places()
            );
            match step(core, speaker, &latest, &prompt)? {
                Some(reply) if reply.trim() != REPLY_SKIP => latest = reply,
                _ => break,
            }
        }
        Ok(latest)
    }

    fn places(&self) -> String {
        format!(
            "Another agent talks with you, not a person.\nAsking session: {}\nAsked session: {}",
            self.requester, self.target
        )
    }
}

/// One turn of `key`; what it answered.
fn step(
    core: &Arc<Core>,
    key: &str,
    message: &str,
    prompt: &str,
) -> Result<Option<String>, String> {
    let run_id = id::uuid();
    let params = json!({
        "message": message,
        "sessionKey": key,
        "idempotencyKey": run_id,
        "deliver": false,
        "channel": "webchat",
        "lane": NESTED,
        "extraSystemPrompt": prompt,
    });
    inside::ask(core, "agent", params)
        .answer(PATIENCE, &Cancel::new())
        .map_err(|err| err.message)?;
    let ended = end_of(core, &run_id)?;
    Ok(ended.then(|| sessions::last_reply(core, key)).flatten())
}

/// Waits for a run; whether it ended well in time.
fn end_of(core: &Core, run_id: &str) -> Result<bool, String> {
    let (say, heard) = crossbeam_channel::bounded(1);
    core.agents.runs.wait(run_id, STEP, move |end| {
        // Nobody listens any more when the core stops.
        let _ = say.send(end.is_some_and(|end| end.error.is_none()));
    })?;
    // The registry answers every wait; more patience is for a clock that is late.
    Ok(heard.recv_timeout(STEP + PATIENCE).unwrap_or(false))
}
