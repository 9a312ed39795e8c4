//! Background sessions on disk while they run: they end with the core, and nobody else could tell
//! their agents that.
//!
//! One file for each below `rs/background/`, written when a call leaves its command running and
//! removed when its end was told. The next core tells what it finds there. A file that is no such
//! note is removed.

use super::session::Session;
use crate::base::atomic;
use crate::config::Paths;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Files looked at when the core starts; no core has left more.
const MAX_LEFT: usize = 1000;
/// Bytes of one.
const MAX_FILE: u64 = 64 * 1024;
/// Characters of the command that the session is told again.
const MAX_SHOWN: usize = 400;

/// What is told of a session when the core ended before it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Note {
    session_key: String,
    notice: String,
}

/// One session's file.
#[derive(Debug)]
pub struct Mark(PathBuf);

impl Note {
    /// `None` for a session of whose end nobody wants to hear.
    pub fn of(session: &Session) -> Option<Note> {
        Some(Note {
            session_key: session.session_key.clone(),
            notice: notice(session)?,
        })
    }

    /// A command that cannot be noted runs all the same.
    pub fn keep(&self, paths: &Paths) -> Option<Mark> {
        let folder = folder(paths);
        let path = folder.join(format!("{}.json", crate::base::id::uuid()));
        let bytes = serde_json::to_vec(self).expect("texts are plain data");
        let written =
            atomic::create_private_dir(&folder).and_then(|()| atomic::write(&path, &bytes));
        match written {
            Ok(()) => Some(Mark(path)),
            Err(err) => {
                log::warn!("{}: {err}: a running command is not noted", path.display());
                None
            }
        }
    }
}

impl Mark {
    /// Its end was told, or somebody ended it.
    pub fn forget(self) {
        if let Err(err) = fs::remove_file(&self.0) {
            log::warn!("{}: {err}", self.0.display());
        }
    }
}

fn notice(session: &Session) -> Option<String> {
    let command = crate::tool::approve::cut(&session.command, MAX_SHOWN);
    let id = &session.id;
    match &session.approval {
        Some(approval) => Some(format!(
            "Exec finished (gateway id={approval}, session={id}, gateway-restarted)\n{command}"
        )),
        None if session.notify => Some(format!(
            "Exec failed ({id}, gateway restarted): it was ended before it was done, and what it \
             printed is lost :: {command}"
        )),
        None => None,
    }
}

fn folder(paths: &Paths) -> PathBuf {
    paths.ours().join("background")
}

/// Tells the sessions what the core before this one left running: session key and notice.
pub fn tell(paths: &Paths, told: impl Fn(&str, &str)) {
    let Ok(left) = fs::read_dir(folder(paths)) else {
        return;
    };
    for entry in left.flatten().take(MAX_LEFT) {
        let path = entry.path();
        match read(&path) {
            Ok(note) => {
                log::info!("{}: {}", note.session_key, note.notice);
                told(&note.session_key, &note.notice);
            }
            Err(err) => log::warn!("{}: {err}: no note of a command", path.display()),
        }
        // Told is on disk by now: at worst it is told twice.
        if let Err(err) = fs::remove_file(&path) {
            log::warn!("{}: {err}", path.display());
        }
    }
}

fn read(path: &Path) -> io::Result<Note> {
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
    use std::cell::RefCell;

    #[test]
    fn what_runs_is_told_once_and_what_ended_is_not() {
        let dir = temp_dir("left");
        let paths = Paths {
            state: dir.clone(),
            ..Paths::default()
        };
        let note = |notice: &str| Note {
            session_key: "agent:main:main".into(),
            notice: notice.into(),
        };
        note("ended").keep(&paths).unwrap().forget();
        note("runs").keep(&paths).unwrap();
        fs::write(folder(&paths).join("x.json"), "{").unwrap();
        let told = RefCell::new(Vec::new());
        for _ in 0..2 {
            tell(&paths, |key, notice| {
                told.borrow_mut().push(format!("{key} {notice}"));
            });
        }
        assert_eq!(*told.borrow(), ["agent:main:main runs"]);
        fs::remove_dir_all(dir).unwrap();
    }
}
