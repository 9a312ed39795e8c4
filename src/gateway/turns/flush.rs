//! The flush: a turn of its own before the person's, in a session that is about to be summarised.
//! The model is asked to write what should last into the notes of its workspace. Nobody is shown
//! it; the person's message is safe on disk meanwhile, and is answered whatever becomes of it.

use super::bench::Bench;
use super::brief::Brief;
use super::tape::Tape;
use super::{Flight, patience};
use crate::agent::compact::RESERVE;
use crate::agent::event::{Event, Sink};
use crate::agent::prune::Pruning;
use crate::agent::turn::{self, End, Parts, Steer, Turn};
use crate::base::time::{in_zone, now_ms};
use crate::config::Snapshot;
use crate::config::sandbox::{self, Access};
use crate::gateway::models::Chain;
use crate::gateway::runs::Kind;
use crate::session::{self, Entry};
use crate::wire::gateway::agent::Report;
use crate::wire::message::{Content, Message, User};
use serde_json::Value;
use std::time::{Duration, Instant};

/// Tokens before the reserve at which it is time, when the configuration does not say.
const SOFT: u64 = 4_000;
/// A person waits for an answer meanwhile.
const PATIENCE: Duration = Duration::from_secs(120);
/// One of these must be there for anything to be written.
const WRITERS: [&str; 3] = ["write", "edit", "exec"];

const SILENT: &str = "NO_REPLY";
const HINT: &str = "When there is nothing to say, answer NO_REPLY only.";
const INSTRUCTION: &str = "This turn happens on its own, shortly before the older part of the \
    conversation is replaced by a summary. Write what should outlast that to disk. Nobody reads \
    the answer.";

/// Flushes when it is time.
pub(super) fn first(
    flight: &Flight,
    memory: &mut Tape,
    bench: &Bench,
    brief: &Brief,
    chain: &Chain,
) {
    let target = &chain.targets[0];
    let writes = bench.tools.iter().any(|tool| WRITERS.contains(&tool.name));
    if !writes
        || !concerns(flight, brief.config)
        || !is_due(brief.config, brief.entry, target.context_window)
    {
        return;
    }
    flight.keep_safe();
    let settings = settings(brief.config);
    let told = |key: &str| {
        settings[key]
            .as_str()
            .filter(|text| !text.trim().is_empty())
    };
    let question = told("prompt").map_or_else(|| question(brief.config), String::from);
    let instruction = with_hint(told("systemPrompt").unwrap_or(INSTRUCTION));
    let message = Message::User(User {
        content: Content::Text(with_hint(&question)),
        timestamp: now_ms(),
    });
    let began = Instant::now();
    let patience = PATIENCE.min(flight.timeout);
    let outcome = flight.within(patience, |cancel| {
        turn::run(
            &Turn {
                message,
                candidates: &chain.targets,
                thinking: brief.thinking,
                session_id: &flight.session_id,
                cancel,
                deadline: began + patience,
                max_turns: None,
                max_tokens: None,
                must_call: false,
                reasoning: false,
                // What it is for would be gone.
                compact: false,
                reserve: super::compaction::reserve(brief.config),
                pruning: Pruning::of(&brief.config.config.agents.defaults.context_pruning),
                patience: patience::of(&chain.agent_dir, &flight.workspace),
            },
            Parts {
                model: &*flight.core.agents.model,
                tools: bench,
                steer: &Nobody,
                memory,
                sink: &Nobody,
                prompt: &|target| {
                    // At the end, so that what stands before it is cached for the next turn.
                    let mut prompt = brief.prompt(target);
                    prompt.text.push_str("\n\n");
                    prompt.text.push_str(&instruction);
                    prompt
                },
            },
        )
    });
    // A call that was meant for the caller is none of this turn's.
    flight.handed_over().clear();
    if flight.run.cancel.is_cancelled() {
        return;
    }
    match (&outcome.end, &outcome.error) {
        (End::Done, None) => log::info!(
            "run {}: notes were written before the conversation is summarised, {} ms",
            flight.run.id,
            began.elapsed().as_millis()
        ),
        (end, _) => log::warn!("run {}: no notes were written: {end:?}", flight.run.id),
    }
    // Also when it failed: a person waits once for that, not with every message.
    let noted = flight
        .core
        .agents
        .sessions
        .update(&flight.run.key, |entry| {
            if entry.session_id.as_deref() == Some(&flight.session_id) {
                entry.memory_flush_at = Some(now_ms());
                entry.memory_flush_compaction_count = Some(entry.compaction_count.unwrap_or(0));
            }
        });
    if let Err(err) = noted {
        log::error!("session {} was not updated: {err}", flight.run.key);
    }
}

/// The session's next message flushes: a summary now would come before it. `report` is that of the
/// turn that is over.
pub(super) fn comes_next(flight: &Flight, window: u64, report: &Report) -> bool {
    let config = flight.core.config.current();
    let tools = &report.tools.entries;
    let writes = tools.iter().any(|t| WRITERS.contains(&t.name.as_str()));
    if !writes || !concerns(flight, &config) {
        return false;
    }
    let entry = flight.core.agents.sessions.entry(&flight.run.key);
    matches!(entry, Ok(Some(entry)) if is_due(&config, &entry, window))
}

/// Conversations with people, where the agent may write its notes.
fn concerns(flight: &Flight, config: &Snapshot) -> bool {
    let run = &flight.run;
    let access = sandbox::of_session(&config.config, &flight.agent_id, &run.key);
    flight.listed
        && matches!(run.kind, Kind::Chat | Kind::Agent)
        && flight.api.tools.is_empty()
        && !session::key::is_subagent(&run.key)
        && !run.key.contains(":cron:")
        && access.is_none_or(|access| access == Access::Write)
}

/// Whether the session is near its next summary, and has not flushed since the last one. The
/// distance is the configured one: with a window too small for it there is no flush.
fn is_due(config: &Snapshot, entry: &Entry, window: u64) -> bool {
    let settings = settings(config);
    let soft = settings["softThresholdTokens"].as_u64().unwrap_or(SOFT);
    let floor = super::compaction::reserve(config).unwrap_or(RESERVE);
    let threshold = window.saturating_sub(floor).saturating_sub(soft);
    settings["enabled"] != false
        && threshold > 0
        && entry.total_tokens.unwrap_or(0) >= threshold
        && entry.memory_flush_compaction_count != Some(entry.compaction_count.unwrap_or(0))
}

fn settings(config: &Snapshot) -> &Value {
    &config.value["agents"]["defaults"]["compaction"]["memoryFlush"]
}

fn question(config: &Snapshot) -> String {
    let zone = config.config.agents.defaults.user_timezone.as_deref();
    let day = in_zone(now_ms(), zone).strftime("%Y-%m-%d");
    format!(
        "The conversation will be summarised soon. Write what is worth keeping (decisions, facts, \
         open ends) to memory/{day}.md in the workspace: add to the file when it is there."
    )
}

fn with_hint(text: &str) -> String {
    match text.contains(SILENT) {
        true => text.into(),
        false => format!("{text}\n{HINT}"),
    }
}

/// Nobody watches, and nobody joins in.
struct Nobody;

impl Sink for Nobody {
    fn tell(&self, _: Event) {}
}

impl Steer for Nobody {
    fn next(&self, _ending: bool) -> Option<Message> {
        None
    }

    fn stored(&self) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Env, Paths, load};

    fn config(compaction: &str) -> Snapshot {
        let dir = crate::base::id::temp_dir("flush");
        let state = dir.to_str().unwrap();
        let env = Env::from_pairs(&[("HOME", state), ("OPENCLAW_STATE_DIR", state)]);
        let paths = Paths::resolve(&env, None);
        let text = format!(r#"{{"agents":{{"defaults":{{"compaction":{compaction}}}}}}}"#);
        std::fs::write(&paths.config, text).unwrap();
        let snapshot = load::load(&paths, &env);
        std::fs::remove_dir_all(dir).unwrap();
        snapshot
    }

    fn entry(total: u64, compactions: Option<u64>, flushed: Option<u64>) -> Entry {
        Entry {
            total_tokens: Some(total),
            compaction_count: compactions,
            memory_flush_compaction_count: flushed,
            ..Entry::default()
        }
    }

    #[test]
    fn a_session_flushes_once_between_two_summaries_shortly_before_the_reserve() {
        let usual = config("{}");
        let due = |entry: Entry| is_due(&usual, &entry, 128_000);
        assert!(!due(entry(103_999, None, None)));
        assert!(due(entry(104_000, None, None)));
        assert!(!due(entry(110_000, None, Some(0))));
        assert!(!due(entry(110_000, Some(2), Some(2))));
        assert!(due(entry(110_000, Some(2), Some(1))));
        // A window without room for the distance: the summary alone must do.
        assert!(!is_due(&usual, &entry(23_000, None, None), 24_000));
        let off = config(r#"{"memoryFlush":{"enabled":false}}"#);
        assert!(!is_due(&off, &entry(110_000, None, None), 128_000));
        let own =
            config(r#"{"reserveTokensFloor":50000,"memoryFlush":{"softThresholdTokens":1000}}"#);
        assert!(is_due(&own, &entry(77_000, None, None), 128_000));
        assert!(!is_due(&own, &entry(76_999, None, None), 128_000));
    }

    #[test]
    fn the_model_is_always_told_how_to_stay_silent() {
        assert_eq!(with_hint("Note it."), format!("Note it.\n{HINT}"));
        assert_eq!(with_hint("Note it, or NO_REPLY."), "Note it, or NO_REPLY.");
        assert!(question(&config("{}")).contains("memory/20"));
    }
}
