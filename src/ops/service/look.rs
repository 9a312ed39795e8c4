//! Everything there is to say of the service of this host, for `gateway status` and the doctor.

use super::{Issue, Kind, Manager, Other, Runtime, Words, Written, audit, here, others};
use crate::config::{Env, Paths, Snapshot, load};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Of the service's environment, what tells one gateway from another.
const TOLD: [&str; 5] = [
    "OPENCLAW_PROFILE",
    "OPENCLAW_STATE_DIR",
    "OPENCLAW_CONFIG_PATH",
    "OPENCLAW_GATEWAY_PORT",
    "OPENCLAW_NIX_MODE",
];

pub struct Look {
    pub words: Words,
    pub file: PathBuf,
    pub loaded: bool,
    pub written: Option<Written>,
    pub runtime: Runtime,
    pub issues: Vec<Issue>,
    pub others: Vec<Other>,
    pub log_hint: String,
    pub start_hint: String,
    /// As the service reads it; `None` where that is our own.
    pub config: Option<Snapshot>,
}

impl Look {
    /// `program` is our own `openclaw`; `deep` looks at the whole system for other gateways.
    pub fn at(snapshot: &Snapshot, program: &Path, deep: bool) -> Look {
        let manager = here(snapshot);
        let manager: &dyn Manager = &*manager;
        let written = manager.written();
        // A manager is only asked about what it may know.
        let (loaded, runtime) = match &written {
            Some(_) => (manager.loaded().unwrap_or(false), manager.runtime()),
            None => (false, Runtime::missing()),
        };
        let words = manager.words().clone();
        let systemd = words.label == "systemd";
        let issues = written.as_ref().map(|w| audit::audit(w, program, systemd));
        Look {
            config: written.as_ref().and_then(|w| other_config(snapshot, w)),
            file: manager.file().to_path_buf(),
            others: others::find(&snapshot.paths.home, manager.file(), deep),
            issues: issues.unwrap_or_default(),
            log_hint: manager.log_hint(),
            start_hint: manager.start_hint(),
            words,
            loaded,
            written,
            runtime,
        }
    }

    /// The variables that tell it from another gateway.
    pub fn env(&self) -> Vec<(&'static str, &str)> {
        let value = |name: &'static str| Some((name, self.written.as_ref()?.env(name)?));
        TOLD.into_iter().filter_map(value).collect()
    }

    /// Of its command line.
    pub fn port(&self) -> Option<u16> {
        self.written.as_ref()?.port()
    }
}

/// As much of it as a line holds. The manager is only asked where the service is registered.
pub struct Brief {
    pub label: &'static str,
    pub loaded: bool,
    /// `running (pid 7)`; `None` where none is installed.
    pub runtime: Option<String>,
}

impl Brief {
    pub fn of(snapshot: &Snapshot) -> Brief {
        let mut all = Kind::NAMES.iter().map(|(_, kind)| kind.open(snapshot));
        match all.find(|manager| manager.written().is_some()) {
            None => Brief {
                label: super::label(snapshot),
                loaded: false,
                runtime: None,
            },
            Some(manager) => {
                let runtime = manager.runtime();
                let pid = runtime.pid.map(|pid| format!(" (pid {pid})"));
                Brief {
                    label: manager.words().label,
                    loaded: manager.loaded().unwrap_or(false),
                    runtime: Some(format!("{}{}", runtime.status, pid.unwrap_or_default())),
                }
            }
        }
    }
}

/// The configuration that the service finds, where it is another than ours.
fn other_config(snapshot: &Snapshot, written: &Written) -> Option<Snapshot> {
    let own: BTreeMap<String, String> = written.env.iter().cloned().collect();
    let mut env = Env::default();
    env.push(own);
    if env.get("HOME").is_none() {
        env.push(BTreeMap::from([(
            "HOME".to_string(),
            snapshot.paths.home.display().to_string(),
        )]));
    }
    let paths = Paths::resolve(&env, None);
    if paths.config == snapshot.paths.config {
        return None;
    }
    Some(load::load(&paths, &env))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::service::definition::tests::snapshot;

    #[test]
    fn a_service_with_another_configuration_is_seen() {
        let own = snapshot(&[("HOME", "/home/ann")]);
        let mut written = Written::default();
        assert!(other_config(&own, &written).is_none());
        written.env = vec![("OPENCLAW_CONFIG_PATH".into(), "/srv/openclaw.json".into())];
        let other = other_config(&own, &written).expect("another");
        assert_eq!(other.paths.config, Path::new("/srv/openclaw.json"));
        assert!(!other.exists);
    }
}
