//! The configuration as a running process sees it: one current snapshot, replaced as a whole, and
//! why the file on disk is another, when it is.

use super::load::{self, Laid};
use super::reload::Plan;
use super::{Env, Issue, Paths, Snapshot};
use crate::base::time::now_ms;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

pub struct Live {
    paths: Paths,
    env: Env,
    current: RwLock<Arc<Snapshot>>,
    refused: Mutex<Option<Arc<Refused>>>,
    /// What holds instead of the file's values while this process runs.
    overlay: Mutex<Vec<Laid>>,
}

/// The file says something else than what runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Refused {
    /// Why it cannot run; empty when it could but waits for a restart.
    pub issues: Vec<Issue>,
    /// The changed settings that wait.
    pub waiting: Vec<String>,
    /// Since when, in milliseconds since 1970.
    pub since_ms: u64,
}

impl Live {
    pub fn open(paths: Paths, env: Env) -> Live {
        let current = RwLock::new(Arc::new(load::load(&paths, &env)));
        Live {
            paths,
            env,
            current,
            refused: Mutex::new(None),
            overlay: Mutex::default(),
        }
    }

    pub fn paths(&self) -> &Paths {
        &self.paths
    }

    /// The environment without what the config's `env` block adds; that is in the snapshot.
    pub fn env(&self) -> &Env {
        &self.env
    }

    pub fn current(&self) -> Arc<Snapshot> {
        self.current
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The file as it is now; what is in force stays.
    pub fn read(&self) -> Snapshot {
        load::load(&self.paths, &self.env)
    }

    /// The file as it is now with what is laid over it.
    pub fn overlaid(&self) -> Snapshot {
        load::over(&self.paths, &self.env, &self.overlay())
    }

    pub fn overlay(&self) -> Vec<Laid> {
        let overlay = self.overlay.lock();
        overlay.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes another overlay, to be put in force with the next reading. The error says why not: it
    /// would be no valid configuration, or one that only the next process could use.
    pub fn lay(&self, overlay: Vec<Laid>) -> Result<(), String> {
        let fresh = load::over(&self.paths, &self.env, &overlay);
        if let Some(issue) = fresh.issues.first() {
            return Err(issue.to_string());
        }
        let plan = Plan::between(&self.overlaid().value, &fresh.value);
        if !plan.restart.is_empty() {
            return Err(format!(
                "{} can only change with a restart, which would forget it",
                Plan::names(&plan.restart)
            ));
        }
        *self.overlay.lock().unwrap_or_else(PoisonError::into_inner) = overlay;
        Ok(())
    }

    /// Puts a valid snapshot in force.
    pub fn accept(&self, fresh: Arc<Snapshot>) {
        *self.lock() = None;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = fresh;
    }

    /// What is in force stays, and this is why.
    pub fn refuse(&self, issues: Vec<Issue>, waiting: Vec<String>) {
        let since_ms = now_ms();
        let refused = Refused {
            issues,
            waiting,
            since_ms,
        };
        *self.lock() = Some(Arc::new(refused));
    }

    /// `None` while the file is what runs.
    pub fn refused(&self) -> Option<Arc<Refused>> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<Refused>>> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Refused {
    /// One line for people.
    pub fn line(&self) -> String {
        match self.issues.first() {
            Some(first) => {
                let more = match self.issues.len() {
                    1 => String::new(),
                    n => format!(" (and {} more)", n - 1),
                };
                format!("the file is not usable, the former configuration runs: {first}{more}")
            }
            None => format!(
                "changed, waits for a restart of the gateway: {}",
                Plan::names(&self.waiting)
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_overlay_holds_over_every_reading_and_must_be_usable_at_once() {
        let dir = crate::base::id::temp_dir("overlay");
        let file = dir.join("openclaw.json");
        let env = Env::from_pairs(&[
            ("HOME", dir.to_str().unwrap()),
            ("OPENCLAW_STATE_DIR", dir.to_str().unwrap()),
            ("OPENCLAW_CONFIG_PATH", file.to_str().unwrap()),
        ]);
        std::fs::write(&file, "{messages:{queue:{mode:'steer'}}}").unwrap();
        let live = Live::open(Paths::resolve(&env, None), env);
        let laid = |path: &str, value: serde_json::Value| {
            vec![(path.split('.').map(String::from).collect(), value)]
        };
        let mode = |of: Snapshot| of.value["messages"]["queue"]["mode"].clone();
        live.lay(laid("messages.queue.mode", "followup".into()))
            .unwrap();
        assert_eq!(mode(live.overlaid()), "followup");
        assert_eq!(mode(live.read()), "steer");
        assert_eq!(live.overlaid().hash, live.read().hash);
        let wrong = live.lay(laid("messages.queue.mode", 7.into())).unwrap_err();
        assert!(wrong.starts_with("messages.queue.mode: "), "{wrong}");
        let late = live.lay(laid("gateway.port", 7.into())).unwrap_err();
        assert!(late.contains("gateway"), "{late}");
        assert_eq!(mode(live.overlaid()), "followup");
        live.lay(Vec::new()).unwrap();
        assert_eq!(mode(live.overlaid()), "steer");
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_refused_file_leaves_the_old_configuration_in_force() {
        let dir = crate::base::id::temp_dir("live");
        let file = dir.join("openclaw.json");
        let env = Env::from_pairs(&[
            ("HOME", dir.to_str().unwrap()),
            ("OPENCLAW_STATE_DIR", dir.to_str().unwrap()),
            ("OPENCLAW_CONFIG_PATH", file.to_str().unwrap()),
        ]);
        std::fs::write(&file, "{gateway:{port:1}}").unwrap();
        let live = Live::open(Paths::resolve(&env, None), env);
        let port = || live.current().config.gateway.port;
        std::fs::write(&file, "{gateway:{port:'x'}}").unwrap();
        let fresh = live.read();
        assert!(!fresh.valid);
        live.refuse(fresh.issues, Vec::new());
        assert_eq!(port(), Some(1));
        let why = live.refused().unwrap().line();
        assert!(why.contains("the former configuration runs: gateway.port: Invalid input"));
        std::fs::write(&file, "{gateway:{port:2}}").unwrap();
        live.accept(Arc::new(live.read()));
        assert_eq!((port(), live.refused()), (Some(2), None));
        std::fs::remove_dir_all(dir).unwrap();
    }
}
