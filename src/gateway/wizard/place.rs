//! An installation of its own, for the tests of this room and of those above.

use crate::base::{atomic, id};
use crate::config::{Env, Paths, Snapshot, load};
use std::fs;
use std::path::PathBuf;

pub struct Place {
    pub dir: PathBuf,
    pub snapshot: Snapshot,
}

impl Place {
    pub fn new(config: &str) -> Place {
        let dir = id::temp_dir("onboard");
        let d = dir.to_str().unwrap();
        let env = Env::from_pairs(&[("HOME", d), ("MINE", "my-token")]);
        let paths = Paths::resolve(&env, None);
        atomic::create_private_dir(&paths.state).unwrap();
        if config != "{}" {
            fs::write(&paths.config, config).unwrap();
        }
        let snapshot = load::load(&paths, &env);
        assert!(snapshot.valid, "{}", snapshot.complaint());
        Place { dir, snapshot }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.dir).unwrap();
    }
}
