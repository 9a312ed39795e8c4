//! Watches the configuration file and what it includes, and tells the main thread once a change
//! has come to rest. One thread that sleeps in the kernel; no polling.
//!
//! Folders are watched, those of links on the way too, so that a file that is moved into place, a
//! link that is turned elsewhere and a folder that appears later are all seen.

use super::event::Event;
use crate::base::sys::inotify::{Inotify, Seen, WatchId};
use crossbeam_channel::Sender;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// After a write that may not be the last of its save: a moved or closed file is whole already.
const SETTLE: Duration = Duration::from_millis(200);
/// Who asked for a change by RPC has its answer before we act on it.
const LEAST_QUIET: Duration = Duration::from_millis(50);
/// A file that never comes to rest is read this long after its first change.
const LONGEST: Duration = Duration::from_secs(5);
/// A log in the same folder must not keep us awake: after news of other files nothing is looked at for
/// this long.
const OTHERS: Duration = Duration::from_millis(20);
/// Links followed for one file, as the kernel does.
const MAX_LINKS: usize = 40;
/// Folders watched; a configuration that includes files of more is watched in part.
const MAX_FOLDERS: usize = 64;
/// The thread compares names.
const STACK: usize = 64 * 1024;

pub struct Watch {
    inotify: Inotify,
    followed: Mutex<BTreeMap<WatchId, BTreeSet<OsString>>>,
    quiet_ms: AtomicU64,
}

impl Watch {
    /// `tell` gets `ConfigTouched` once the files have been quiet.
    pub fn start(
        files: &[PathBuf],
        quiet: Duration,
        tell: Sender<Event>,
    ) -> io::Result<Arc<Watch>> {
        let watch = Arc::new(Watch {
            inotify: Inotify::open()?,
            followed: Mutex::default(),
            quiet_ms: AtomicU64::new(0),
        });
        watch.follow(files, quiet)?;
        let thread = watch.clone();
        std::thread::Builder::new()
            .name("config-watch".into())
            .stack_size(STACK)
            .spawn(move || {
                if let Err(err) = thread.run(&tell) {
                    log::error!("the configuration is no longer watched: {err}");
                }
            })?;
        Ok(watch)
    }

    /// From now on these files, told after this much quiet.
    pub fn follow(&self, files: &[PathBuf], quiet: Duration) -> io::Result<()> {
        let ms = u64::try_from(quiet.as_millis()).unwrap_or(u64::MAX);
        self.quiet_ms.store(ms, Ordering::Relaxed);
        let places: BTreeSet<(PathBuf, OsString)> =
            files.iter().flat_map(|file| places(file)).collect();
        let mut followed = self.lock();
        let mut fresh: BTreeMap<WatchId, BTreeSet<OsString>> = BTreeMap::new();
        let mut failed = None;
        for (dir, name) in places {
            match self.inotify.watch(&dir) {
                Ok(id) if fresh.len() < MAX_FOLDERS || fresh.contains_key(&id) => {
                    fresh.entry(id).or_default().insert(name);
                }
                Ok(_) => log::warn!("{}: one folder too many to be watched", dir.display()),
                Err(err) => {
                    failed = failed.or(Some(io::Error::new(
                        err.kind(),
                        format!("{}: {err}", dir.display()),
                    )))
                }
            }
        }
        for old in followed.keys().filter(|id| !fresh.contains_key(id)) {
            self.inotify.forget(*old);
        }
        *followed = fresh;
        failed.map_or(Ok(()), Err)
    }

    fn run(&self, tell: &Sender<Event>) -> io::Result<()> {
        loop {
            let mut seen = self.inotify.next(None)?;
            let Some(mut rest) = self.rest(&seen) else {
                std::thread::sleep(OTHERS);
                continue;
            };
            let first = Instant::now();
            let mut due = first + rest;
            loop {
                let due_now = due.min(first + LONGEST);
                let left = due_now.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    break;
                }
                seen = self.inotify.next(Some(left))?;
                if let Some(again) = self.rest(&seen) {
                    rest = again;
                    due = Instant::now() + rest;
                }
            }
            if tell.send(Event::ConfigTouched).is_err() {
                return Ok(());
            }
        }
    }

    /// How long to wait after these; `None` when they concern other files.
    fn rest(&self, seen: &[Seen]) -> Option<Duration> {
        let followed = self.lock();
        let ours = |seen: &&Seen| match seen.watch {
            None => true,
            Some(id) => followed
                .get(&id)
                .is_some_and(|names| seen.name.is_empty() || names.contains(&seen.name)),
        };
        let last = seen.iter().rfind(ours)?;
        let quiet = Duration::from_millis(self.quiet_ms.load(Ordering::Relaxed)).max(LEAST_QUIET);
        Some(match last.unfinished {
            true => quiet + SETTLE,
            false => quiet,
        })
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<WatchId, BTreeSet<OsString>>> {
        self.followed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where a change of the file at `path` shows: its entry in its folder, each link on the way, and,
/// while a folder is missing, the place where it would appear.
fn places(path: &Path) -> Vec<(PathBuf, OsString)> {
    let mut out = Vec::new();
    let mut at = PathBuf::from("/");
    let mut links = 0;
    // Last first.
    let mut left: Vec<OsString> = steps(path);
    while let Some(step) = left.pop() {
        if step == OsStr::new("..") {
            at.pop();
            continue;
        }
        let next = at.join(&step);
        let kind = std::fs::symlink_metadata(&next).map(|meta| meta.file_type());
        match kind {
            Ok(kind) if kind.is_symlink() && links < MAX_LINKS => {
                links += 1;
                out.push((at.clone(), step));
                let target = std::fs::read_link(&next).unwrap_or_default();
                if target.is_absolute() {
                    at = PathBuf::from("/");
                }
                left.extend(steps(&target));
            }
            Ok(kind) if kind.is_dir() && !left.is_empty() => at = next,
            _ => {
                out.push((at, step));
                return out;
            }
        }
    }
    out
}

/// The parts of a path, last first.
fn steps(path: &Path) -> Vec<OsString> {
    path.components()
        .rev()
        .filter_map(|part| match part {
            Component::Normal(name) => Some(name.to_os_string()),
            Component::ParentDir => Some("..".into()),
            _ => None,
        })
        .collect()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    fn named(path: &Path, dir: &Path) -> Vec<String> {
        let shown = |(at, name): (PathBuf, OsString)| {
            at.strip_prefix(dir)
                .ok()
                .map(|at| format!("{}:{}", at.display(), name.to_string_lossy()))
        };
        places(path).into_iter().filter_map(shown).collect()
    }

    #[test]
    fn links_and_missing_folders_are_watched_where_they_would_change() {
        let dir = fs::canonicalize(crate::base::id::temp_dir("watch")).unwrap();
        fs::create_dir_all(dir.join("v1")).unwrap();
        fs::write(dir.join("v1/openclaw.json"), "{}").unwrap();
        symlink("v1", dir.join("data")).unwrap();
        symlink("data/openclaw.json", dir.join("openclaw.json")).unwrap();
        assert_eq!(
            named(&dir.join("openclaw.json"), &dir),
            [":openclaw.json", ":data", "v1:openclaw.json"]
        );
        assert_eq!(named(&dir.join("none/a/b"), &dir), [":none"]);
        assert_eq!(named(&dir.join("v1/../v1/new"), &dir), ["v1:new"]);
        symlink("b", dir.join("a")).unwrap();
        symlink("a", dir.join("b")).unwrap();
        assert!(named(&dir.join("a"), &dir).len() <= MAX_LINKS + 1);
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_save_is_told_once_and_other_files_are_not() {
        let dir = fs::canonicalize(crate::base::id::temp_dir("watch")).unwrap();
        let file = dir.join("openclaw.json");
        let (tell, told) = crossbeam_channel::bounded(8);
        let files = [file.clone(), dir.join("sub/part.json")];
        let quiet = Duration::from_millis(1);
        let watch = Watch::start(&files, quiet, tell).unwrap();
        let patience = Duration::from_secs(10);
        for _ in 0..3 {
            fs::write(dir.join("other"), "x").unwrap();
            fs::write(dir.join("x.tmp"), "{}").unwrap();
            fs::rename(dir.join("x.tmp"), &file).unwrap();
        }
        assert!(matches!(
            told.recv_timeout(patience),
            Ok(Event::ConfigTouched)
        ));
        assert!(told.is_empty());
        // A folder that comes later is seen, and after `follow` what is in it.
        fs::create_dir(dir.join("sub")).unwrap();
        told.recv_timeout(patience).unwrap();
        watch.follow(&files, quiet).unwrap();
        fs::write(dir.join("sub/part.json"), "{}").unwrap();
        told.recv_timeout(patience).unwrap();
        fs::remove_dir_all(dir).unwrap();
    }
}
