//! The gateway's own account of itself: the payload of `health` and of the `health` event.
//!
//! One payload is kept as ready JSON. It is made anew when somebody asks and it is older than a
//! second, at the start, and every minute; each making is broadcast.

use super::broadcast::Rules;
use super::core::Core;
use crate::base::time::now_ms;
use crate::config::Config;
use crate::session::Filter;
use crate::wire::gateway::health::{
    AgentHealth, ConfigHealth, ConfigIssue, Health, HeartbeatHealth, RecentSession, SessionsBrief,
};
use serde_json::value::RawValue;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

/// A payload older than this is not given out without being made anew.
const STALE_MS: u64 = 60_000;
/// Calls that come faster than this share one refresh.
const REFRESH_APART_MS: u64 = 1_000;
/// Sessions named in each list.
const RECENT: usize = 5;

/// The last payload.
pub struct Cached {
    payload: RwLock<Arc<RawValue>>,
    made_ms: AtomicU64,
    refreshing: AtomicBool,
}

impl Default for Cached {
    fn default() -> Cached {
        let empty = RawValue::from_string("{}".into()).expect("an object is JSON");
        Cached {
            payload: RwLock::new(empty.into()),
            made_ms: AtomicU64::new(0),
            refreshing: AtomicBool::new(false),
        }
    }
}

impl Cached {
    /// `{}` before the first one.
    pub fn get(&self) -> Arc<RawValue> {
        self.payload
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn age_ms(&self) -> u64 {
        now_ms().saturating_sub(self.made_ms.load(Ordering::Relaxed))
    }

    pub fn is_fresh(&self) -> bool {
        self.age_ms() < STALE_MS
    }
}

/// Makes the payload now, keeps it, and tells every client and the probes.
pub fn refresh(core: &Core) -> Arc<RawValue> {
    let health = make(core);
    core.probe
        .publish(&health.channels, &core.config.current(), &health.config);
    let payload: Arc<RawValue> = match serde_json::value::to_raw_value(&health) {
        Ok(raw) => raw.into(),
        // Plain data serialises; the old payload stays should that ever be untrue.
        Err(_) => return core.health.get(),
    };
    let cached = &core.health;
    *cached
        .payload
        .write()
        .unwrap_or_else(PoisonError::into_inner) = payload.clone();
    cached.made_ms.store(now_ms(), Ordering::Relaxed);
    core.clients.bump_health();
    core.clients.broadcast("health", &&*payload, Rules::HEALTH);
    payload
}

/// Has a pool thread refresh soon, unless one just did.
pub fn refresh_soon(core: &Arc<Core>) {
    let cached = &core.health;
    if cached.age_ms() < REFRESH_APART_MS || cached.refreshing.swap(true, Ordering::AcqRel) {
        return;
    }
    let shared = core.clone();
    let taken = core.pool.run(move || {
        refresh(&shared);
        shared.health.refreshing.store(false, Ordering::Release);
    });
    if taken.is_err() {
        cached.refreshing.store(false, Ordering::Release);
    }
}

fn make(core: &Core) -> Health {
    let started = std::time::Instant::now();
    let snapshot = core.config.current();
    let config = &snapshot.config;
    let default_agent = config.default_agent_id();
    let agents: Vec<AgentHealth> = config
        .agent_ids()
        .into_iter()
        .map(|id| agent(core, config, id, &default_agent))
        .collect();
    let own = agents.iter().find(|agent| agent.is_default);
    Health {
        ok: true,
        ts: now_ms(),
        heartbeat_seconds: own
            .and_then(|agent| agent.heartbeat.every_ms)
            .map_or(0, |ms| ms / 1000),
        sessions: own.map_or_else(
            || brief(core, &default_agent),
            |agent| agent.sessions.clone(),
        ),
        channels: Default::default(),
        channel_order: Vec::new(),
        channel_labels: Default::default(),
        default_agent_id: default_agent,
        agents,
        duration_ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
        config: self::config(core),
    }
}

/// What is to be said of a configuration file that is not what runs.
pub fn config(core: &Core) -> Option<ConfigHealth> {
    let refused = core.config.refused()?;
    let issues = refused.issues.iter().map(|issue| ConfigIssue {
        path: issue.path.clone(),
        message: issue.message.clone(),
    });
    Some(ConfigHealth {
        valid: refused.issues.is_empty(),
        note: refused.line(),
        issues: issues.collect(),
        waiting: refused.waiting.clone(),
        since: refused.since_ms,
    })
}

fn agent(core: &Core, config: &Config, id: String, default_agent: &str) -> AgentHealth {
    let beat = config.heartbeat(&id);
    AgentHealth {
        name: config.agent(&id).and_then(|agent| agent.name.clone()),
        is_default: id == default_agent,
        heartbeat: HeartbeatHealth {
            enabled: beat.enabled,
            every: beat.every,
            every_ms: beat.every_ms,
            prompt: beat.prompt,
            target: beat.target,
            model: beat.model,
            ack_max_chars: beat.ack_max_chars,
        },
        sessions: brief(core, &id),
        agent_id: id,
    }
}

fn brief(core: &Core, agent: &str) -> SessionsBrief {
    let sessions = &core.agents.sessions;
    let filter = Filter {
        agent: Some(agent.to_string()),
        include_global: true,
        include_unknown: true,
        ..Filter::default()
    };
    let now = now_ms();
    // A store that cannot be read is reported where it is used; here it counts as empty.
    let all = sessions.list(&filter).unwrap_or_default();
    SessionsBrief {
        path: sessions.path(agent).to_string_lossy().into_owned(),
        count: all.len(),
        recent: all
            .into_iter()
            .take(RECENT)
            .map(|(key, entry)| RecentSession {
                key: key.to_string(),
                updated_at: entry.updated_at,
                age: entry.updated_at.map(|at| now.saturating_sub(at)),
            })
            .collect(),
    }
}
