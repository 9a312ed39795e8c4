//! The configuration as a running process sees it: one current snapshot, replaced as a whole.

use super::{Env, Paths, Snapshot, load};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

pub struct Live {
    paths: Paths,
    env: Env,
    current: RwLock<Arc<Snapshot>>,
    last_error: Mutex<Option<Arc<Snapshot>>>,
}

impl Live {
    pub fn open(paths: Paths, env: Env) -> Live {
        let current = RwLock::new(Arc::new(load::load(&paths, &env)));
        Live {
            paths,
            env,
            current,
            last_error: Mutex::new(None),
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

    /// Reads the file again. An invalid file is reported and the old snapshot stays in force; so
    /// it does when the file is gone, which is more often an editor at work than a wish.
    pub fn reload(&self) -> Result<(), Arc<Snapshot>> {
        let fresh = Arc::new(load::load(&self.paths, &self.env));
        let gone = !fresh.exists && self.current().exists;
        if !fresh.valid || gone {
            *self.error() = Some(fresh.clone());
            return Err(fresh);
        }
        *self.error() = None;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        Ok(())
    }

    /// The file as it was when the last `reload` refused it; `None` once one succeeds.
    pub fn last_error(&self) -> Option<Arc<Snapshot>> {
        self.error().clone()
    }

    fn error(&self) -> std::sync::MutexGuard<'_, Option<Arc<Snapshot>>> {
        self.last_error
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert!(live.reload().is_err());
        assert_eq!(port(), Some(1));
        assert_eq!(live.last_error().unwrap().issues[0].path, "gateway.port");
        // As editors save: a new file moved over the old one.
        let temp = dir.join(".openclaw.json.swp");
        std::fs::write(&temp, "{gateway:{port:2}}").unwrap();
        std::fs::rename(&temp, &file).unwrap();
        live.reload().unwrap();
        assert_eq!((port(), live.last_error().is_none()), (Some(2), true));
        std::fs::remove_file(&file).unwrap();
        assert!(live.reload().is_err());
        assert_eq!(port(), Some(2));
        std::fs::remove_dir_all(dir).unwrap();
    }
}
