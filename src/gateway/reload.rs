//! The file has changed: what differs, whether it can run, and who is to be told. Called by the
//! main thread only, so that one change is dealt with after the other.
//!
//! A file that cannot run leaves the former configuration in force; `health`, `status`, `/health`
//! and the log say so until it is repaired.

use super::channels;
use super::core::Core;
use super::event::Event;
use super::watch::Watch;
use super::{health, local_model};
use crate::base::logging;
use crate::config::reload::{Mode, Plan};
use crate::config::{Issue, Snapshot, file, listen, load};
use crate::net::certificate;
use crate::supervisor::args;
use crate::wire::control::Flags;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// `gateway.reload.debounceMs` when it is not set.
const DEBOUNCE_MS: u64 = 300;
/// A longer quiet time would make a save look lost.
const MAX_DEBOUNCE_MS: u64 = 60_000;

const TARGET: &str = "gateway/reload";

/// Who asks for the file to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// Somebody saved it.
    Saved,
    /// SIGHUP, or something is laid over it: also with `gateway.reload.mode` off.
    Plainly,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// This core goes on, with the new or the old configuration.
    Stays,
    /// A fresh core was asked for.
    Restarts,
}

pub struct Reloader {
    core: Arc<Core>,
    flags: Flags,
    watch: Option<Arc<Watch>>,
}

impl Reloader {
    /// Watches the files of the configuration in force.
    pub fn start(core: &Arc<Core>, flags: Flags) -> Reloader {
        let mut reloader = Reloader {
            core: core.clone(),
            flags,
            watch: None,
        };
        let current = core.config.current();
        let Some(events) = core.main_events() else {
            return reloader;
        };
        match Watch::start(&files(&current), quiet(&current), events.clone()) {
            Ok(watch) => {
                reloader.watch = Some(watch);
                // Saved after it was read and before it was watched?
                let raw = file::read(&current.path).ok().flatten();
                if load::hash(raw.as_deref().unwrap_or_default()) != current.hash {
                    // The queue is new and empty.
                    let _ = events.try_send(Event::ConfigTouched);
                }
            }
            Err(err) => log::warn!(
                target: TARGET,
                "changes of the configuration are not seen ({err}); SIGHUP has it read again"
            ),
        }
        reloader
    }

    pub fn reload(&self, asked: Asked) -> Outcome {
        let core = &self.core;
        local_model::follow(core.config.paths(), &core.supervisor);
        let old = core.config.current();
        let fresh = Arc::new(core.config.overlaid());
        self.follow(&old, &fresh);
        let had_fault = core.config.refused().is_some();
        let outcome = self.judge(asked, &old, fresh);
        if had_fault || core.config.refused().is_some() {
            // Clients that are connected see it in the event that this sends.
            health::refresh(core);
        }
        outcome
    }

    fn judge(&self, asked: Asked, old: &Snapshot, fresh: Arc<Snapshot>) -> Outcome {
        let core = &self.core;
        if let Err(issues) = self.can_run(old, &fresh) {
            let told: Vec<String> = issues.iter().map(Issue::to_string).collect();
            log::warn!(
                target: TARGET,
                "config reload skipped (invalid config): {}", told.join(", ")
            );
            core.config.refuse(issues, Vec::new());
            return Outcome::Stays;
        }
        let plan = Plan::between(&old.value, &fresh.value);
        if plan.is_empty() {
            // Its text may be another, and with it the hash and the stamp.
            core.config.accept(fresh);
            return Outcome::Stays;
        }
        log::info!(
            target: TARGET,
            "config change detected; evaluating reload ({})", Plan::names(&plan.changed)
        );
        let mode = match Mode::of(&fresh.value) {
            Mode::Off if asked == Asked::Plainly => Mode::Hybrid,
            mode => mode,
        };
        match mode {
            Mode::Off => {
                log::info!(target: TARGET, "config reload disabled (gateway.reload.mode=off)");
                core.config.refuse(Vec::new(), plan.changed);
                Outcome::Stays
            }
            Mode::Hot if !plan.restart.is_empty() => {
                log::warn!(
                    target: TARGET,
                    "config reload requires gateway restart; hot mode ignoring ({})",
                    Plan::names(&plan.restart)
                );
                core.config.refuse(Vec::new(), plan.changed);
                Outcome::Stays
            }
            Mode::Restart => self.restart(&plan.changed),
            _ if !plan.restart.is_empty() => self.restart(&plan.restart),
            _ => {
                core.config.accept(fresh);
                self.apply(&plan);
                Outcome::Stays
            }
        }
    }

    /// Whether a gateway could start with it: a fresh core must not fail where the old one ran.
    fn can_run(&self, old: &Snapshot, fresh: &Snapshot) -> Result<(), Vec<Issue>> {
        if !fresh.valid {
            return Err(fresh.issues.clone());
        }
        let issue = |message: String| Issue {
            path: String::new(),
            message,
            hint: None,
        };
        // More often an editor at work than a wish.
        if !fresh.exists && old.exists {
            return Err(vec![issue("the file is gone".into())]);
        }
        // The supervisor looks up what it opens; here that would run a command.
        let open = self.core.listen.addresses.iter().map(|a| a.addr).collect();
        let listen = match listen::resolve_opened(fresh, &args::listening(&self.flags), open) {
            Ok(listen) => listen,
            Err(err) => return Err(vec![issue(err.to_string().replace('\n', " "))]),
        };
        match listen.tls.as_ref().map(certificate::check) {
            Some(Err(err)) => Err(vec![issue(err.to_string())]),
            _ => Ok(()),
        }
    }

    fn restart(&self, paths: &[String]) -> Outcome {
        let names = Plan::names(paths);
        log::info!(target: TARGET, "config change requires gateway restart ({names})");
        // One that an operator asked for is coming anyway.
        if self.core.restarts.is_planned() {
            return Outcome::Stays;
        }
        self.core.supervisor.restart("config change");
        Outcome::Restarts
    }

    /// Tells every part of the gateway that keeps something made from the configuration. Parts
    /// that act by themselves (a scheduler, heartbeats, a channel) are told here when `plan.hot`
    /// names their class; everything else reads the snapshot in force where it is used.
    fn apply(&self, plan: &Plan) {
        let core = &self.core;
        let current = core.config.current();
        core.agents.reconfigure(&current);
        core.heartbeat.reconfigure(core);
        core.cron.reconfigure(core);
        channels::reconfigure(core);
        logging::change(args::logging(
            &current.config.logging,
            core.config.paths(),
            &self.flags,
        ));
        match plan.hot.is_empty() {
            true => log::info!(
                target: TARGET,
                "config change applied (dynamic reads: {})", Plan::names(&plan.changed)
            ),
            false => log::info!(
                target: TARGET,
                "config hot reload applied ({})", Plan::names(&plan.changed)
            ),
        }
    }

    fn follow(&self, old: &Snapshot, fresh: &Snapshot) {
        let Some(watch) = &self.watch else { return };
        // A broken file may not say what it includes.
        let mut all = files(fresh);
        if !fresh.valid {
            all.extend(old.includes.iter().cloned());
        }
        if let Err(err) = watch.follow(&all, quiet(fresh)) {
            log::warn!(target: TARGET, "not all of the configuration is watched: {err}");
        }
    }
}

fn files(snapshot: &Snapshot) -> Vec<PathBuf> {
    let mut files = vec![snapshot.path.clone()];
    files.extend(snapshot.includes.iter().cloned());
    files
}

fn quiet(snapshot: &Snapshot) -> Duration {
    let ms = snapshot.value["gateway"]["reload"]["debounceMs"].as_u64();
    Duration::from_millis(ms.unwrap_or(DEBOUNCE_MS).min(MAX_DEBOUNCE_MS))
}
