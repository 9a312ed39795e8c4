//! The sessions of the layout before agents had folders, `<state>/sessions`: its transcripts and its
//! index become an agent's. For the doctor, with no gateway running on the state.
//!
//! Transcripts go first, by rename, then the index is written, and only then the old one is removed:
//! whoever is killed in between starts again where it was. What cannot be taken stays where it is.

use super::index::Index;
use super::{Error, Store};
use crate::base::atomic;
use std::fs;
use std::path::Path;
use std::sync::Arc;

/// What came over.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Adopted {
    pub files: usize,
    pub sessions: usize,
    /// Files whose names are taken, and an index of which not everything was newer.
    pub left: usize,
}

const INDEX: &str = "sessions.json";

impl Store {
    /// Takes what is in `old` over to `agent`.
    pub fn adopt(&self, agent: &str, old: &Path) -> Result<Adopted, Error> {
        let mut done = Adopted::default();
        let folder = self.folder(agent);
        atomic::create_private_dir(&folder).map_err(Error::io("create", &folder))?;
        let listed = fs::read_dir(old).map_err(Error::io("read", old))?;
        for item in listed.flatten() {
            let name = item.file_name();
            if name.to_string_lossy().starts_with(INDEX) {
                continue;
            }
            let target = folder.join(&name);
            if fs::symlink_metadata(&target).is_ok() {
                done.left += 1;
                continue;
            }
            let from = item.path();
            fs::rename(&from, &target).map_err(Error::io("move", &from))?;
            done.files += 1;
        }
        atomic::sync_dir(&folder).map_err(Error::io("write", &folder))?;
        let index = old.join(INDEX);
        if index.is_file() {
            self.adopt_index(agent, &index, &folder, &mut done)?;
        }
        Ok(done)
    }

    fn adopt_index(
        &self,
        agent: &str,
        index: &Path,
        folder: &Path,
        done: &mut Adopted,
    ) -> Result<(), Error> {
        let lock = self.paths().ours().join("sessions-old.lock");
        let theirs = Index::new(index.to_path_buf(), lock, agent.to_string());
        let mut entries = theirs.select(|_, _| true)?;
        for (_, entry) in &mut entries {
            let file = entry.session_file.as_deref().map(Path::new);
            let inside = file.and_then(|file| file.strip_prefix(index.parent()?).ok());
            // A file of the old folder is where it was moved to.
            if let Some(name) = inside {
                let now = folder.join(name).to_string_lossy().into_owned();
                Arc::make_mut(entry).session_file = Some(now);
            }
        }
        let count = entries.len();
        done.sessions = self.index(agent).adopt(entries)?;
        if done.sessions < count || theirs.odd()? > 0 {
            done.left += 1;
        } else {
            fs::remove_file(index).map_err(Error::io("remove", index))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::id;
    use crate::config::{Config, Env, Paths};

    #[test]
    fn the_newer_entry_counts_and_nothing_is_written_over() {
        let dir = id::temp_dir("adopt");
        let env = Env::from_pairs(&[("OPENCLAW_STATE_DIR", dir.to_str().unwrap())]);
        let paths = Paths::resolve(&env, None);
        let (old, new) = (dir.join("sessions"), paths.sessions("main"));
        fs::create_dir_all(&old).unwrap();
        fs::create_dir_all(&new).unwrap();
        let put = |place: &Path, text: &str| fs::write(place, text).unwrap();
        put(&old.join("a.jsonl"), "a");
        put(&old.join("b.jsonl"), "old b");
        put(&new.join("b.jsonl"), "new b");
        let file = old.join("a.jsonl");
        put(
            &old.join("sessions.json"),
            &format!(
                "{{\"main\": {{\"sessionId\": \"a\", \"updatedAt\": 5, \"sessionFile\": {file:?}}}, \
                 \"group:1@g.us\": {{\"sessionId\": \"g\", \"updatedAt\": 7}}}}"
            ),
        );
        put(
            &new.join("sessions.json"),
            "{\"agent:main:main\": {\"sessionId\": \"b\", \"updatedAt\": 4}, \
             \"agent:main:whatsapp:group:1@g.us\": {\"sessionId\": \"h\", \"updatedAt\": 8}}",
        );
        let store = Store::open(&paths, &Config::default());
        let done = store.adopt("main", &old).unwrap();
        assert_eq!(
            done,
            Adopted {
                files: 1,
                sessions: 1,
                left: 2
            }
        );
        let read = |place: &Path| fs::read_to_string(place).unwrap();
        assert_eq!(read(&new.join("a.jsonl")), "a");
        assert_eq!(read(&new.join("b.jsonl")), "new b");
        assert_eq!(read(&old.join("b.jsonl")), "old b");
        assert!(old.join("sessions.json").exists());
        let again = Store::open(&paths, &Config::default());
        let main = again.entry("agent:main:main").unwrap().unwrap();
        assert_eq!(main.session_id.as_deref(), Some("a"));
        assert_eq!(main.session_file.as_deref(), new.join("a.jsonl").to_str());
        let group = again.entry("agent:main:whatsapp:group:1@g.us");
        assert_eq!(group.unwrap().unwrap().session_id.as_deref(), Some("h"));
        fs::remove_dir_all(dir).unwrap();
    }
}
