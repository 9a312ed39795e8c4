//! Waiting messages on disk: `<state>/rs/queue/`, one file each, until a transcript has them.
//!
//! A core that was killed meanwhile leaves them; the next one lets them wait again, in their order.

use super::super::spool::{self, Spooled};
use crate::config::Paths;
use crate::gateway::commands::Hints;
use crate::tool::approve::Sender;
use crate::wire::message::Block;
use serde::{Deserialize, Serialize};
use std::io;
use std::path::PathBuf;

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
    /// Settings of this message alone.
    #[serde(default)]
    pub hints: Hints,
    /// Cores that have taken it up without bringing it to its transcript.
    #[serde(default)]
    pub tries: u32,
}

/// Writes the message down; it survives the death of the process when this returns.
pub fn keep(paths: &Paths, record: &Record) -> io::Result<Spooled> {
    Spooled::write(&folder(paths), record)
}

/// What an earlier core left, oldest first, with one more try counted. A file that cannot be used
/// stays where it is, and the log says why.
pub fn left(paths: &Paths) -> Vec<(Spooled, Record)> {
    let counted = |kept: Spooled| match count_try(&kept) {
        Ok(record) => Some((kept, record)),
        Err(err) => {
            log::error!("{} stays: {err}", kept.path().display());
            None
        }
    };
    spool::left(&folder(paths))
        .into_iter()
        .filter_map(counted)
        .collect()
}

fn count_try(kept: &Spooled) -> io::Result<Record> {
    let mut record: Record = kept.read()?;
    record.tries += 1;
    kept.replace(&record)?;
    Ok(record)
}

fn folder(paths: &Paths) -> PathBuf {
    paths.ours().join("queue")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Env;
    use std::fs;

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
            let kept = keep(&paths, &record).unwrap();
            if id == "b" {
                kept.done();
            }
        }
        fs::write(folder(&paths).join("0.json"), "no").unwrap();
        let ids = |left: &[(Spooled, Record)]| -> Vec<(String, u32)> {
            left.iter().map(|(_, r)| (r.id.clone(), r.tries)).collect()
        };
        let first = left(&paths);
        assert_eq!(ids(&first), [("a".into(), 1), ("c".into(), 1)]);
        for (kept, _) in left(&paths) {
            assert_eq!(kept.read::<Record>().unwrap().tries, 2);
            kept.done();
        }
        assert!(left(&paths).is_empty());
        fs::remove_dir_all(dir).unwrap();
    }
}
