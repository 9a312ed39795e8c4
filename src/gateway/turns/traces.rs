//! What a turn leaves behind: its marks in the session entry, and the result for its caller.

use super::compaction;
use super::{Flight, Outcome, Report, RunResult, Target, Usable};
use crate::agent::turn::End;
use crate::base::time::now_ms;
use crate::gateway::models;
use crate::gateway::runs::Kind;
use crate::wire::gateway::agent::{AgentMeta, Meta, Tokens};
use std::time::Duration;

impl Flight {
    /// Writes into the session entry what its next turn and its viewers need.
    pub(super) fn note(
        &self,
        outcome: &Outcome,
        target: &Target,
        profile: Option<&str>,
        skills: &Usable,
    ) {
        let usage = &outcome.usage;
        let spoke = outcome.error.is_none() && usage.total_tokens > 0;
        let updated = self.core.agents.sessions.update(&self.run.key, |entry| {
            if entry.session_id.as_deref() != Some(&self.session_id) {
                // Reset meanwhile: the new session has nothing to do with this turn.
                return;
            }
            // A heartbeat is nobody's visit: the session grows old as if it had not been.
            if self.run.kind != Kind::Heartbeat {
                entry.updated_at = Some(now_ms());
            }
            entry.system_sent = Some(true);
            entry.aborted_last_run = Some(matches!(outcome.end, End::Aborted | End::TimedOut));
            entry.model_provider = Some(target.provider.clone());
            entry.model = Some(target.model.clone());
            entry.context_tokens = Some(target.context_window);
            // Before the count: a compaction in this run lets the next one choose anew.
            models::stick(entry, profile);
            compaction::count(entry, outcome.compactions);
            if skills.snapshot.is_some() || entry.skills_snapshot.is_some() {
                entry.skills_snapshot.clone_from(&skills.snapshot);
            }
            if spoke {
                entry.input_tokens = Some(usage.input);
                entry.output_tokens = Some(usage.output);
                entry.total_tokens = Some(usage.input + usage.cache_read + usage.cache_write);
            }
        });
        if let Err(err) = updated {
            log::error!("session {} was not updated: {err}", self.run.key);
        }
    }

    pub(super) fn result(
        &self,
        outcome: Outcome,
        target: &Target,
        report: Report,
        took: Duration,
    ) -> RunResult {
        let pending_tool_calls = std::mem::take(&mut *self.handed_over());
        RunResult {
            payloads: outcome.payloads,
            meta: Meta {
                duration_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
                agent_meta: AgentMeta {
                    session_id: self.session_id.clone(),
                    provider: target.provider.clone(),
                    model: target.model.clone(),
                    usage: Some(Tokens::from(&outcome.usage)),
                },
                aborted: outcome.end == End::TimedOut,
                acknowledged: outcome.acknowledged,
                system_prompt_report: Some(report),
                error: outcome.error,
                stop_reason: (!pending_tool_calls.is_empty()).then_some("tool_calls"),
                pending_tool_calls,
            },
        }
    }
}
