//! `health`, `status`: the gateway's own condition.

use super::{Answer, Call};
use crate::base::time::now_ms;
use crate::config::Config;
use crate::gateway::core::Core;
use crate::gateway::{health, models};
use crate::session::{Entry, Filter, Named};
use crate::wire::gateway::health::{
    AgentSessions, SessionDefaults, SessionRow, Status, StatusBeat, StatusHeartbeat, StatusSessions,
};
use serde_json::Value;
use std::sync::Arc;

/// Sessions in each list of `status`.
const RECENT: usize = 10;

/// The cached payload while it is fresh (and a new one soon), else a new one.
pub fn health(core: &Arc<Core>, call: &Call) -> Answer {
    let probe = call.params.get("probe") == Some(&Value::Bool(true));
    if !probe && core.health.is_fresh() {
        let payload = core.health.get();
        health::refresh_soon(core);
        return Answer::Shared(payload);
    }
    Answer::Shared(health::refresh(core))
}

/// No channel is built into this version, so nothing is probed.
pub fn status(core: &Arc<Core>, _call: &Call) -> Answer {
    let snapshot = core.config.current();
    let config = &snapshot.config;
    let agents = config.agent_ids();
    let defaults = defaults(core, config);
    let sessions = &core.agents.sessions;
    let mut by_agent = Vec::new();
    for id in &agents {
        let all = match sessions.list(&everything(Some(id))) {
            Ok(all) => all,
            Err(err) => return Answer::unavailable(err.to_string()),
        };
        by_agent.push(AgentSessions {
            agent_id: id.clone(),
            path: sessions.path(id).to_string_lossy().into_owned(),
            count: all.len(),
            recent: rows(&all, &defaults),
        });
    }
    let recent = match sessions.list(&everything(None)) {
        Ok(all) => rows(&all, &defaults),
        Err(err) => return Answer::unavailable(err.to_string()),
    };
    let beats = agents.into_iter().map(|agent_id| {
        let beat = config.heartbeat(&agent_id);
        StatusBeat {
            agent_id,
            enabled: beat.enabled,
            every: beat.every,
            every_ms: beat.every_ms,
        }
    });
    Answer::ok(&Status {
        heartbeat: StatusHeartbeat {
            default_agent_id: config.default_agent_id(),
            agents: beats.collect(),
        },
        channel_summary: Vec::new(),
        queued_system_events: core
            .system_events
            .peek(&core.agents.sessions.defaults().main_key()),
        config: health::config(core),
        sessions: StatusSessions {
            paths: by_agent.iter().map(|agent| agent.path.clone()).collect(),
            count: by_agent.iter().map(|agent| agent.count).sum(),
            defaults,
            recent,
            by_agent,
        },
    })
}

fn everything(agent: Option<&String>) -> Filter {
    Filter {
        agent: agent.cloned(),
        include_global: true,
        include_unknown: true,
        ..Filter::default()
    }
}

/// The model a new session would use.
fn defaults(core: &Core, config: &Config) -> SessionDefaults {
    let chosen = models::default(&core.config.current(), &config.default_agent_id());
    SessionDefaults {
        model: Some(chosen.model),
        context_tokens: Some(chosen.context_tokens),
    }
}

/// The newest few.
fn rows(list: &[Named], defaults: &SessionDefaults) -> Vec<SessionRow> {
    let now = now_ms();
    list.iter()
        .take(RECENT)
        .map(|(key, entry)| session_row(key, entry, defaults, now))
        .collect()
}

fn session_row(key: &str, entry: &Entry, defaults: &SessionDefaults, now: u64) -> SessionRow {
    let context = entry.context_tokens.or(defaults.context_tokens);
    let total = entry.total_tokens;
    let mut flags = Vec::new();
    for (name, level) in [
        ("think", &entry.thinking_level),
        ("verbose", &entry.verbose_level),
        ("reasoning", &entry.reasoning_level),
        ("elevated", &entry.elevated_level),
    ] {
        if let Some(level) = level {
            flags.push(format!("{name}:{level}"));
        }
    }
    if entry.system_sent == Some(true) {
        flags.push("system".into());
    }
    if entry.aborted_last_run == Some(true) {
        flags.push("aborted".into());
    }
    if let Some(id) = &entry.session_id {
        flags.push(format!("id:{id}"));
    }
    SessionRow {
        agent_id: crate::session::key::agent_of(key).map(str::to_string),
        key: key.to_string(),
        kind: entry.kind(key).as_str().to_string(),
        session_id: entry.session_id.clone(),
        updated_at: entry.updated_at,
        age: entry.updated_at.map(|at| now.saturating_sub(at)),
        thinking_level: entry.thinking_level.clone(),
        verbose_level: entry.verbose_level.clone(),
        reasoning_level: entry.reasoning_level.clone(),
        elevated_level: entry.elevated_level.clone(),
        system_sent: entry.system_sent,
        aborted_last_run: entry.aborted_last_run,
        input_tokens: entry.input_tokens,
        output_tokens: entry.output_tokens,
        total_tokens: total,
        remaining_tokens: total
            .and(context)
            .map(|c| c.saturating_sub(total.unwrap_or(0))),
        percent_used: total.zip(context).map(|(t, c)| percent(t, c)),
        model: entry.model.clone().or_else(|| defaults.model.clone()),
        context_tokens: context,
        flags,
    }
}

/// Rounded, at most 999 as in the original.
fn percent(used: u64, of: u64) -> u64 {
    match of {
        0 => 0,
        of => ((used.saturating_mul(100) + of / 2) / of).min(999),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_share_is_rounded_and_capped() {
        assert_eq!(super::percent(1, 3), 33);
        assert_eq!(super::percent(2, 3), 67);
        assert_eq!(super::percent(5_000_000, 100), 999);
        assert_eq!(super::percent(1, 0), 0);
    }
}
