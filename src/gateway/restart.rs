//! Restarts that somebody asked for: planned a moment ahead, so that the answer is out before,
//! and a note for the next start (`restart-sentinel.json`), which tells the agent that asked.

use super::clock::{Alarm, Clock};
use super::core::Core;
use super::system_events::SystemEvents;
use crate::base::atomic;
use crate::config::{Paths, text};
use crate::session::key::{self, Defaults};
use crate::wire::gateway::config::{Restart, Sentinel, SentinelNote, SentinelPayload};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// When the caller names no delay.
const DEFAULT_DELAY: Duration = Duration::from_secs(2);
const MAX_DELAY: Duration = Duration::from_secs(60);
/// An answer is on its way for less than this.
const LEAST_DELAY: Duration = Duration::from_millis(20);
/// A note is a few hundred bytes; an update's has the last lines of its steps.
const MAX_NOTE: u64 = 256 * 1024;
const FORMAT: u32 = 1;

/// At most one restart is planned; the sooner one counts.
#[derive(Default)]
pub struct Restarts(Mutex<Option<(Instant, Alarm)>>);

impl Restarts {
    pub fn is_planned(&self) -> bool {
        self.lock().is_some()
    }

    fn plan(&self, clock: &Clock, when: Instant, restart: impl FnOnce() + Send + 'static) {
        let mut planned = self.lock();
        if planned.as_ref().is_none_or(|(at, _)| when < *at) {
            let alarm = clock.at(when, restart);
            *planned = Some((when, alarm));
        }
    }

    /// It has happened, or was refused.
    fn done(&self) {
        // The alarm that calls this has left the clock already.
        let _old = self.lock().take();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<(Instant, Alarm)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Replaces the core after `delay_ms`; what is to be answered about it.
pub fn plan(core: &Arc<Core>, delay_ms: Option<f64>, reason: &str) -> Restart {
    let asked = delay_ms.map(|ms| Duration::from_millis(ms as u64));
    let delay = asked.unwrap_or(DEFAULT_DELAY).min(MAX_DELAY);
    let (weak, why) = (Arc::downgrade(core), reason.to_string());
    let when = Instant::now() + delay.max(LEAST_DELAY);
    core.restarts.plan(core.agents.clock(), when, move || {
        if let Some(core) = weak.upgrade() {
            core.restarts.done();
            core.supervisor.restart(&why);
        }
    });
    Restart {
        ok: true,
        // The original is one process; SIGUSR1 is for our parent.
        pid: std::os::unix::process::parent_id(),
        signal: "SIGUSR1",
        delay_ms: u64::try_from(delay.as_millis()).unwrap_or(u64::MAX),
        reason: reason.into(),
        mode: "emit",
    }
}

/// Leaves a note for the next start. One that cannot be written stops nothing.
pub fn leave_note(paths: &Paths, payload: SentinelPayload) -> SentinelNote {
    let path = file(paths);
    let sentinel = Sentinel {
        version: FORMAT,
        payload,
    };
    let value = serde_json::to_value(&sentinel).expect("a note is plain data");
    let written = atomic::write(&path, text::pretty(&value).as_bytes());
    if let Err(err) = &written {
        log::warn!("{}: {err}", path.display());
    }
    SentinelNote {
        path: written.ok().map(|()| path.display().to_string()),
        payload: sentinel.payload,
    }
}

/// At the start: the note becomes a note for the agent, of the session that asked or the main one,
/// and is gone.
pub fn take_note(paths: &Paths, events: &SystemEvents, sessions: &Defaults) {
    let path = file(paths);
    let Some(raw) = read(&path) else { return };
    match serde_json::from_slice::<Sentinel>(&raw) {
        Ok(sentinel) if sentinel.version == FORMAT => {
            let payload = serde_json::to_value(&sentinel.payload).expect("a note is plain data");
            let told = text::pretty(&payload);
            let asked = sentinel.payload.session_key.as_deref().unwrap_or("main");
            log::info!(target: "gateway", "restarted: {}", sentinel.payload.kind);
            events.ask_once(
                &key::canonical(asked, sessions),
                &format!("GatewayRestart:\n{told}"),
                // Told and not yet removed when we are killed, it is told once all the same.
                &format!("restart {}", sentinel.payload.ts),
            );
        }
        _ => log::warn!("{}: not understood, removed", path.display()),
    }
    if let Err(err) = fs::remove_file(&path) {
        log::warn!("{}: {err}", path.display());
    }
}

fn read(path: &Path) -> Option<Vec<u8>> {
    let meta = fs::symlink_metadata(path).ok()?;
    match meta.is_file() && meta.len() <= MAX_NOTE {
        true => fs::read(path).ok(),
        // Too large or a link: nothing that we wrote.
        false => Some(Vec::new()),
    }
}

fn file(paths: &Paths) -> PathBuf {
    paths.state.join("restart-sentinel.json")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::id::temp_dir;
    use serde_json::json;

    fn payload() -> SentinelPayload {
        SentinelPayload {
            kind: "config-apply".into(),
            status: "ok".into(),
            ts: 7,
            session_key: None,
            message: Some("note".into()),
            doctor_hint: "Run: openclaw doctor --non-interactive".into(),
            stats: json!({"mode": "config.patch"}),
        }
    }

    #[test]
    fn a_note_is_told_once_and_nonsense_is_removed() {
        let dir = temp_dir("restart");
        let paths = Paths {
            state: dir.clone(),
            ..Paths::default()
        };
        let note = leave_note(&paths, payload());
        let path = dir.join("restart-sentinel.json");
        assert_eq!(note.path.as_deref(), path.to_str());
        let raw = fs::read_to_string(&path).unwrap();
        assert!(
            raw.starts_with(
                "{\n  \"version\": 1,\n  \"payload\": {\n    \"kind\": \"config-apply\""
            )
        );
        let events = SystemEvents::open(&dir);
        let sessions = Defaults::of(&Default::default());
        let left = fs::read(&path).unwrap();
        take_note(&paths, &events, &sessions);
        assert!(!path.exists());
        fs::write(&path, left).unwrap();
        take_note(&paths, &events, &sessions);
        let told = events.peek("agent:main:main");
        assert_eq!(told.len(), 1);
        assert!(told[0].starts_with("GatewayRestart:\n{\n  \"kind\": \"config-apply\""));
        for nonsense in ["{", "{\"version\":2,\"payload\":{}}"] {
            fs::write(&path, nonsense).unwrap();
            take_note(&paths, &events, &sessions);
            assert!(!path.exists());
        }
        assert_eq!(events.peek("agent:main:main").len(), 1);
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn the_sooner_of_two_restarts_counts() {
        let (restarts, clock) = (Restarts::default(), Clock::default());
        let (say, heard) = std::sync::mpsc::channel();
        let now = Instant::now();
        for (ms, word) in [(30_000, "late"), (5, "soon"), (20_000, "later")] {
            let say = say.clone();
            restarts.plan(&clock, now + Duration::from_millis(ms), move || {
                say.send(word).unwrap();
            });
        }
        assert_eq!(heard.recv_timeout(Duration::from_secs(10)), Ok("soon"));
        restarts.done();
        assert!(!restarts.is_planned());
    }
}
