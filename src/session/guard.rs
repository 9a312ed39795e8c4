//! The original's lock files, taken so that its programs and ours do not write one file at once.
//!
//! They are files created with `O_EXCL`; the content is only read to find stale ones. Between our
//! own processes `flock` decides as well, because a lock file can be taken for stale by age.

use super::Error;
use crate::base::sys::process;
use crate::base::{lock, time};
use fs2::FileExt;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

/// How long both kinds are waited for, as in the original.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// Pause between two tries for the store's lock file.
const STORE_RETRY: Duration = Duration::from_millis(25);
/// Age at which a store's lock file is anybody's, even when its process lives; holders keep it for
/// milliseconds.
const STORE_STALE: Duration = Duration::from_secs(30);
/// Age at which a transcript's lock file is anybody's, even when its process lives.
const TRANSCRIPT_STALE: Duration = Duration::from_secs(30 * 60);
/// Step of the growing pause between two tries for a transcript's lock file, and its end.
const TRANSCRIPT_STEP: Duration = Duration::from_millis(50);
const TRANSCRIPT_PAUSE: Duration = Duration::from_secs(1);
/// The kernel tells when a process started to the second, by a clock that may be corrected.
const START_SLACK_MS: u64 = 3_000;

/// A held lock file; dropping it removes the file.
#[derive(Debug)]
pub struct LockFile {
    path: PathBuf,
    _ours: Option<lock::Lock>,
}

impl Drop for LockFile {
    fn drop(&mut self) {
        // Gone already means that somebody took it for stale; there is nothing left to undo.
        let _ = fs::remove_file(&self.path);
    }
}

/// The lock of `store` (a `sessions.json`); `ours` is our own lock file for it.
pub fn store(store: &Path, ours: &Path) -> Result<LockFile, Error> {
    let start = Instant::now();
    let late = || Error::StoreLocked {
        path: suffixed(store),
    };
    let own = lock::take(ours, "session store", PATIENCE).map_err(|err| match err {
        lock::Error::Held { .. } => late(),
        lock::Error::Io { path, err } => Error::Io {
            action: "lock",
            path,
            err,
        },
    })?;
    let path = suffixed(store);
    let content = format!(
        "{{\"pid\":{},\"startedAt\":{}}}",
        std::process::id(),
        time::now_ms()
    );
    loop {
        if lock::create_file(&path, content.as_bytes()).map_err(Error::io("create", &path))? {
            return Ok(LockFile {
                path,
                _ours: Some(own),
            });
        }
        // Who was killed in the middle of a write must not block the store for half a minute. We
        // have `ours`, so a file with our own number is from a process that had it before us.
        let dead = read(&path).is_some_and(|content| !content.lives());
        if dead || age(&path).is_some_and(|age| age > STORE_STALE) {
            log::warn!("removing stale lock {}", path.display());
            let _ = fs::remove_file(&path);
            continue;
        }
        if start.elapsed() > PATIENCE {
            return Err(late());
        }
        std::thread::sleep(STORE_RETRY);
    }
}

/// The lock of a transcript, held for as long as a run may write to it.
pub fn transcript(file: &Path, patience: Duration) -> Result<LockFile, Error> {
    let start = Instant::now();
    let path = suffixed(file);
    let content = format!(
        "{{\n  \"pid\": {},\n  \"createdAt\": \"{}\"\n}}",
        std::process::id(),
        time::now_iso()
    );
    let mut pause = TRANSCRIPT_STEP;
    loop {
        if lock::create_file(&path, content.as_bytes()).map_err(Error::io("create", &path))? {
            return Ok(LockFile { path, _ours: None });
        }
        let content = read(&path);
        let holder = content.as_ref().map(|content| content.pid);
        if !content.is_some_and(|content| content.lives())
            || age(&path).is_some_and(|age| age > TRANSCRIPT_STALE)
        {
            // Unreadable may also mean "being written right now": give its maker a moment.
            if holder.is_some() || age(&path).is_some_and(|age| age > STORE_RETRY) {
                log::warn!("removing stale lock {}", path.display());
                let _ = fs::remove_file(&path);
                continue;
            }
        }
        if start.elapsed() >= patience {
            return Err(Error::TranscriptLocked {
                path: file.to_path_buf(),
                holder,
            });
        }
        std::thread::sleep(pause.min(patience.saturating_sub(start.elapsed())));
        pause = (pause + TRANSCRIPT_STEP).min(TRANSCRIPT_PAUSE);
    }
}

/// Keeps other processes of ours from an open transcript, until it is closed.
pub fn hold(file: &File, path: &Path, patience: Duration) -> Result<(), Error> {
    let start = Instant::now();
    loop {
        match FileExt::try_lock_exclusive(file) {
            Ok(()) => return Ok(()),
            Err(err) if err.kind() != fs2::lock_contended_error().kind() => {
                return Err(Error::io("lock", path)(err));
            }
            Err(_) if start.elapsed() >= patience => {
                return Err(Error::TranscriptLocked {
                    path: path.to_path_buf(),
                    holder: None,
                });
            }
            Err(_) => std::thread::sleep(STORE_RETRY),
        }
    }
}

/// What a lock file says; a store's has no `createdAt`.
#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Content {
    pid: u32,
    #[serde(default)]
    created_at: serde_json::Value,
}

impl Content {
    /// Whether its maker is there: not only a process of that number, which after a crash or in a
    /// container may be another's by now and is then younger than the file.
    fn lives(&self) -> bool {
        if self.pid == std::process::id() || !process::exists(self.pid) {
            return false;
        }
        let made = self
            .created_at
            .as_str()
            .and_then(|at| at.parse::<jiff::Timestamp>().ok())
            .and_then(|at| u64::try_from(at.as_millisecond()).ok());
        match (made, process::started_ms(self.pid)) {
            (Some(made), Some(started)) => started <= made + START_SLACK_MS,
            _ => true,
        }
    }
}

fn read(path: &Path) -> Option<Content> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

fn age(path: &Path) -> Option<Duration> {
    let modified = fs::metadata(path).ok()?.modified().ok()?;
    SystemTime::now().duration_since(modified).ok()
}

fn suffixed(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_os_string();
    name.push(".lock");
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::id;

    #[test]
    fn a_lock_file_keeps_others_out_until_dropped() {
        let dir = id::temp_dir("guard");
        let file = dir.join("a.jsonl");
        // A live process that is not us.
        fs::write(dir.join("a.jsonl.lock"), "{\"pid\": 1}").unwrap();
        match transcript(&file, Duration::ZERO) {
            Err(Error::TranscriptLocked { holder, .. }) => assert_eq!(holder, Some(1)),
            other => panic!("{other:?}"),
        }
        fs::remove_file(dir.join("a.jsonl.lock")).unwrap();
        let held = transcript(&file, Duration::ZERO).unwrap();
        assert!(dir.join("a.jsonl.lock").exists());
        drop(held);
        assert!(!dir.join("a.jsonl.lock").exists());
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_dead_holder_is_no_holder() {
        let dir = id::temp_dir("guard");
        // Above the largest pid Linux gives out.
        fs::write(dir.join("a.jsonl.lock"), "{\"pid\": 4194999}").unwrap();
        transcript(&dir.join("a.jsonl"), Duration::ZERO).unwrap();
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_process_younger_than_the_lock_file_did_not_make_it() {
        let dir = id::temp_dir("guard");
        let parent = std::os::unix::process::parent_id();
        let lock = |created: String| {
            let text = format!("{{\"pid\": {parent}, \"createdAt\": \"{created}\"}}");
            fs::write(dir.join("a.jsonl.lock"), text).unwrap();
            transcript(&dir.join("a.jsonl"), Duration::ZERO)
        };
        assert!(
            lock(time::now_iso()).is_err(),
            "our parent may have made it"
        );
        assert!(lock("2001-01-01T00:00:00.000Z".into()).is_ok());
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_store_lock_of_a_killed_process_is_taken_over_at_once() {
        let dir = id::temp_dir("guard");
        let file = dir.join("sessions.json");
        // Above the largest pid Linux gives out.
        fs::write(suffixed(&file), "{\"pid\":4194999,\"startedAt\":1}").unwrap();
        let started = Instant::now();
        drop(store(&file, &dir.join("ours.lock")).unwrap());
        assert!(started.elapsed() < Duration::from_secs(5));
        fs::remove_dir_all(dir).unwrap();
    }
}
