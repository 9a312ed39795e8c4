//! Questions of runs that wait for a person, on disk while they are open: when the core ends before
//! the answer, the next one tells the session that the command did not run. The run itself is over
//! by then and nobody else would say so.
//!
//! One file for each below `rs/approvals/`, written before the question is put and removed when it
//! is answered, too old or withdrawn. A file that is no question is removed.

use super::system_events::SystemEvents;
use crate::base::atomic;
use crate::config::Paths;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Files looked at when the core starts; no core has left more.
const MAX_LEFT: usize = 1000;
/// Bytes of one.
const MAX_FILE: u64 = 256 * 1024;
/// Characters of the command that the session is told again.
const MAX_SHOWN: usize = 400;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Unanswered {
    id: String,
    session_key: String,
    command: String,
}

/// One question's file.
#[derive(Debug)]
pub struct Kept(PathBuf);

impl Kept {
    /// A question that cannot be kept is asked all the same.
    pub fn write(paths: &Paths, id: &str, session_key: &str, command: &str) -> Option<Kept> {
        let folder = folder(paths);
        let path = folder.join(format!("{id}.json"));
        let question = Unanswered {
            id: id.into(),
            session_key: session_key.into(),
            command: crate::tool::approve::cut(command, MAX_SHOWN),
        };
        let bytes = serde_json::to_vec(&question).expect("texts are plain data");
        let written =
            atomic::create_private_dir(&folder).and_then(|()| atomic::write(&path, &bytes));
        match written {
            Ok(()) => Some(Kept(path)),
            Err(err) => {
                log::warn!("{}: {err}: a question is not kept", path.display());
                None
            }
        }
    }

    /// Nobody waits for it any more.
    pub fn forget(self) {
        if let Err(err) = fs::remove_file(&self.0) {
            log::warn!("{}: {err}", self.0.display());
        }
    }
}

fn folder(paths: &Paths) -> PathBuf {
    paths.ours().join("approvals")
}

/// Tells the sessions what the core before this one has left.
pub fn tell(paths: &Paths, events: &SystemEvents) {
    let Ok(left) = fs::read_dir(folder(paths)) else {
        return;
    };
    for entry in left.flatten().take(MAX_LEFT) {
        let path = entry.path();
        match read(&path) {
            Ok(question) => {
                let Unanswered {
                    id,
                    session_key,
                    command,
                } = question;
                let text = format!("Exec denied (gateway id={id}, gateway-restarted): {command}");
                log::info!("{session_key}: {text}");
                events.ask(&session_key, &text);
            }
            Err(err) => log::warn!("{}: {err}: no question", path.display()),
        }
        // Told is on disk by now: at worst it is told twice.
        if let Err(err) = fs::remove_file(&path) {
            log::warn!("{}: {err}", path.display());
        }
    }
}

fn read(path: &Path) -> io::Result<Unanswered> {
    let mut bytes = Vec::new();
    fs::File::open(path)?
        .take(MAX_FILE)
        .read_to_end(&mut bytes)?;
    Ok(serde_json::from_slice(&bytes)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::id::temp_dir;

    #[test]
    fn what_was_open_is_told_once_and_what_was_answered_is_not() {
        let dir = temp_dir("unanswered");
        let paths = Paths {
            state: dir.clone(),
            ..Paths::default()
        };
        let key = "agent:main:main";
        let answered = Kept::write(&paths, "a", key, "ls").unwrap();
        let long = "x".repeat(5000);
        Kept::write(&paths, "b", key, &long).unwrap();
        answered.forget();
        fs::write(folder(&paths).join("c.json"), "{").unwrap();
        let events = SystemEvents::open(&dir);
        tell(&paths, &events);
        tell(&paths, &events);
        let told = events.peek(key);
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].contains("(gateway id=b, gateway-restarted): xxx"));
        assert!(told[0].len() < 600);
        assert_eq!(fs::read_dir(folder(&paths)).unwrap().count(), 0);
        fs::remove_dir_all(dir).unwrap();
    }
}
