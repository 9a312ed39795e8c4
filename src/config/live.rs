//! The configuration as a running process sees it: one current snapshot, replaced as a whole.

use super::{Env, Paths, Snapshot, load};
use std::sync::{Arc, PoisonError, RwLock};

pub struct Live {
    paths: Paths,
    env: Env,
    current: RwLock<Arc<Snapshot>>,
}

impl Live {
    pub fn open(paths: Paths, env: Env) -> Live {
        let current = RwLock::new(Arc::new(load::load(&paths, &env)));
        Live {
            paths,
            env,
            current,
        }
    }

    pub fn paths(&self) -> &Paths {
        &self.paths
    }

    pub fn current(&self) -> Arc<Snapshot> {
        self.current
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Reads the file again. An invalid file is reported and the old snapshot stays in force.
    pub fn reload(&self) -> Result<(), Arc<Snapshot>> {
        let fresh = Arc::new(load::load(&self.paths, &self.env));
        if !fresh.valid {
            return Err(fresh);
        }
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        Ok(())
    }
}
