//! Words for a session that only the next core can say: of what was open or running when this one
//! ended without a chance to say anything.
//!
//! One file for each, written when something begins that must not end unheard and removed once it
//! has ended otherwise. The next core says what it finds and removes it. A file that holds no such
//! word is removed, too.

use crate::base::atomic;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Files looked at when the core starts; no core has left more.
const MAX_LEFT: usize = 1000;
/// Bytes of one.
const MAX_FILE: u64 = 64 * 1024;
/// Characters of a command that is told again.
pub const MAX_SHOWN: usize = 400;

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Word {
    pub session_key: String,
    pub notice: String,
}

/// One word's file.
#[derive(Debug)]
pub struct Left(PathBuf);

impl Word {
    /// What it is about goes on all the same when the word cannot be left.
    pub fn leave(&self, folder: &Path) -> Option<Left> {
        let path = folder.join(format!("{}.json", crate::base::id::uuid()));
        let bytes = serde_json::to_vec(self).expect("texts are plain data");
        let written =
            atomic::create_private_dir(folder).and_then(|()| atomic::write(&path, &bytes));
        match written {
            Ok(()) => Some(Left(path)),
            Err(err) => {
                log::warn!(
                    "{}: {err}: after a crash nobody would tell {}",
                    path.display(),
                    self.session_key
                );
                None
            }
        }
    }
}

impl Left {
    /// One that an earlier core has left and that holds on; `None` when it is not there.
    pub fn again(folder: &Path, name: &str) -> Option<Left> {
        let path = folder.join(name);
        let is_plain = path.file_name().is_some_and(|file| file == name);
        (is_plain && path.is_file()).then_some(Left(path))
    }

    /// What its file is called.
    pub fn name(&self) -> &str {
        let name = self.0.file_name().and_then(|name| name.to_str());
        name.unwrap_or_default()
    }

    pub fn is(&self, path: &Path) -> bool {
        self.0 == path
    }

    /// It ended in a way that was told.
    pub fn forget(self) {
        if let Err(err) = fs::remove_file(&self.0) {
            log::warn!("{}: {err}", self.0.display());
        }
    }
}

/// Says what the core before this one has left in `folder`: session key and notice.
pub fn say(folder: &Path, said: impl Fn(&str, &str)) {
    for path in found(folder) {
        say_one(&path, &said);
    }
}

/// The files of what it has left.
pub fn found(folder: &Path) -> Vec<PathBuf> {
    let left = fs::read_dir(folder).ok().into_iter().flatten();
    left.flatten()
        .take(MAX_LEFT)
        .map(|entry| entry.path())
        .collect()
}

/// Says one of them, when it is still there.
pub fn say_one(path: &Path, said: &impl Fn(&str, &str)) {
    match read(path) {
        Ok(word) if word.notice.is_empty() => {}
        Ok(word) => {
            log::info!("{}: {}", word.session_key, word.notice);
            said(&word.session_key, &word.notice);
        }
        Err(err) if err.kind() == io::ErrorKind::NotFound => return,
        Err(err) => log::warn!("{}: {err}: no word for a session", path.display()),
    }
    // Said is on disk by now: at worst it is said twice.
    if let Err(err) = fs::remove_file(path) {
        log::warn!("{}: {err}", path.display());
    }
}

fn read(path: &Path) -> io::Result<Word> {
    let mut bytes = Vec::new();
    fs::File::open(path)?
        .take(MAX_FILE)
        .read_to_end(&mut bytes)?;
    Ok(serde_json::from_slice(&bytes)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    #[test]
    fn what_is_open_is_said_once_and_what_ended_is_not() {
        let dir = crate::base::id::temp_dir("parting");
        let word = |notice: &str| Word {
            session_key: "agent:main:main".into(),
            notice: notice.into(),
        };
        word("ended").leave(&dir).unwrap().forget();
        word("runs").leave(&dir).unwrap();
        fs::write(dir.join("x.json"), "{").unwrap();
        let heard = RefCell::new(Vec::new());
        for _ in 0..2 {
            say(&dir, |key, notice| {
                heard.borrow_mut().push(format!("{key} {notice}"));
            });
        }
        assert_eq!(*heard.borrow(), ["agent:main:main runs"]);
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 0);
        fs::remove_dir_all(dir).unwrap();
    }
}
