//! Waiting messages on disk: `<state>/rs/queue/`, one file each, until a transcript has them.
//!
//! A core that was killed meanwhile leaves them; the next one lets them wait again, in their order.

use crate::base::atomic::{self, Durability};
use crate::config::Paths;
use crate::tool::approve::Sender;
use crate::wire::message::Block;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Everything a later core needs to answer the message.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// The session's own key.
    pub key: String,
    /// As the sender wrote it.
    pub shown_key: String,
    pub id: String,
    /// As the model is to read it.
    pub text: String,
    /// The words alone.
    pub words: String,
    #[serde(default)]
    pub images: Vec<Block>,
    /// Where the answer goes, when several may be answered together.
    #[serde(default)]
    pub route: Option<String>,
    pub channel: String,
    #[serde(default)]
    pub sender: Option<Sender>,
    #[serde(default)]
    pub thinking: Option<String>,
    /// Cores that have taken it up without bringing it to its transcript.
    #[serde(default)]
    pub tries: u32,
}

/// A message on disk. Dropping it leaves the file: only `done` removes it.
#[derive(Debug)]
pub struct Kept(PathBuf);

impl Kept {
    /// Writes the record down; it survives the death of the process when this returns.
    pub fn write(paths: &Paths, record: &Record) -> io::Result<Kept> {
        /// Tells messages of one millisecond apart.
        static NEXT: AtomicU64 = AtomicU64::new(0);
        // The order of the names is the order of the messages.
        let name = format!(
            "{:015}-{:06}-{}.json",
            crate::base::time::now_ms(),
            NEXT.fetch_add(1, Ordering::Relaxed) % 1_000_000,
            crate::base::id::short()
        );
        let kept = Kept(folder(paths).join(name));
        kept.replace(record)?;
        Ok(kept)
    }

    fn replace(&self, record: &Record) -> io::Result<()> {
        let bytes = serde_json::to_vec(record)?;
        atomic::write_with(&self.0, &bytes, atomic::PRIVATE_FILE, Durability::PageCache)
    }

    pub fn read(&self) -> io::Result<Record> {
        Ok(serde_json::from_slice(&fs::read(&self.0)?)?)
    }

    pub fn done(self) {
        if let Err(err) = fs::remove_file(&self.0) {
            log::warn!("cannot remove {}: {err}", self.0.display());
        }
    }
}

/// What an earlier core left, oldest first, with one more try counted. A file that cannot be used
/// stays where it is, and the log says why.
pub fn left(paths: &Paths) -> Vec<(Kept, Record)> {
    let Ok(folder) = fs::read_dir(folder(paths)) else {
        return Vec::new();
    };
    let mut files: Vec<PathBuf> = folder.flatten().map(|entry| entry.path()).collect();
    files.retain(|path| path.extension().is_some_and(|e| e == "json"));
    files.sort();
    files
        .into_iter()
        .filter_map(|path| {
            let kept = Kept(path);
            match kept.count_try() {
                Ok(record) => Some((kept, record)),
                Err(err) => {
                    log::error!("{} stays: {err}", kept.0.display());
                    None
                }
            }
        })
        .collect()
}

impl Kept {
    fn count_try(&self) -> io::Result<Record> {
        let mut record = self.read()?;
        record.tries += 1;
        self.replace(&record)?;
        Ok(record)
    }
}

fn folder(paths: &Paths) -> PathBuf {
    Path::new(&paths.ours()).join("queue")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Env;

    #[test]
    fn what_a_core_leaves_comes_back_in_order_until_it_is_done() {
        let dir = crate::base::id::temp_dir("queue");
        let home = dir.to_str().unwrap();
        let env = Env::from_pairs(&[("HOME", home), ("OPENCLAW_STATE_DIR", home)]);
        let paths = Paths::resolve(&env, None);
        for id in ["a", "b", "c"] {
            let record = Record {
                id: id.into(),
                ..Record::default()
            };
            let kept = Kept::write(&paths, &record).unwrap();
            if id == "b" {
                kept.done();
            }
        }
        fs::write(folder(&paths).join("0.json"), "no").unwrap();
        let ids = |left: &[(Kept, Record)]| -> Vec<(String, u32)> {
            left.iter().map(|(_, r)| (r.id.clone(), r.tries)).collect()
        };
        let first = left(&paths);
        assert_eq!(ids(&first), [("a".into(), 1), ("c".into(), 1)]);
        for (kept, _) in left(&paths) {
            assert_eq!(kept.read().unwrap().tries, 2);
            kept.done();
        }
        assert!(left(&paths).is_empty());
        fs::remove_dir_all(dir).unwrap();
    }
}
