//! What a process that was killed leaves behind: locks of the original's kinds that keep others out
//! although nobody holds them, and halves of files that were being replaced.

use super::{Cure, Finding, Ground, Kind, Remedy, io};
use crate::base::sys::process;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The longest time the original holds a transcript.
const HELD: Duration = Duration::from_secs(30 * 60);
/// The longest time for everything else; a holder renews its lock more often.
const BRIEF: Duration = Duration::from_secs(60);
/// A file that is being replaced is written in seconds.
const WRITTEN: Duration = Duration::from_secs(10 * 60);
/// Told of one by one.
const SHOWN: usize = 20;

pub fn look(ground: &Ground) -> Vec<Finding> {
    let mut locks = Vec::new();
    let mut halves = Vec::new();
    for folder in folders(ground) {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if name.ends_with(".lock") && is_stale(&path) {
                locks.push(path);
            } else if name.ends_with(".tmp") && age(&path).is_some_and(|age| age > WRITTEN) {
                halves.push(path);
            }
        }
    }
    let finding = |what: &str, why, question: &str, found: Vec<PathBuf>| {
        let shown = found.iter().take(SHOWN).map(|path| ground.shown(path));
        Finding {
            topic: "State integrity",
            grave: false,
            what: what.into(),
            details: shown.collect(),
            why,
            cure: Cure::Ours {
                kind: Kind::State,
                question: question.into(),
                run: remove(ground, found),
            },
        }
    };
    let mut all = Vec::new();
    if !locks.is_empty() {
        all.push(finding(
            "Locks that nobody holds any more were left behind.",
            "Whoever wants the file waits for nothing.",
            "Remove them?",
            locks,
        ));
    }
    if !halves.is_empty() {
        all.push(finding(
            "Halves of files that were being written were left behind.",
            "They only take room.",
            "Remove them?",
            halves,
        ));
    }
    all
}

/// Where such files are made.
fn folders(ground: &Ground) -> Vec<PathBuf> {
    let paths = ground.paths();
    let state = &paths.state;
    let mut all = vec![
        state.clone(),
        paths.credentials.clone(),
        state.join("cron"),
        state.join("devices"),
        state.join("identity"),
        state.join("nodes"),
        state.join("subagents"),
    ];
    for agent in fs::read_dir(state.join("agents"))
        .into_iter()
        .flatten()
        .flatten()
    {
        all.push(agent.path().join("agent"));
        all.push(agent.path().join("sessions"));
    }
    all
}

/// Nobody holds it: its process is gone, or it is older than any hold.
fn is_stale(path: &Path) -> bool {
    let Some(age) = age(path) else {
        return false;
    };
    if path.is_dir() {
        return age > BRIEF;
    }
    let text = fs::read(path).unwrap_or_default();
    let holder: Option<Value> = serde_json::from_slice(&text).ok();
    let pid = holder.as_ref().and_then(|holder| holder["pid"].as_u64());
    match pid.and_then(|pid| u32::try_from(pid).ok()) {
        // A moment, for one who has just made it.
        Some(pid) => (age > BRIEF && !process::exists(pid)) || age > HELD,
        None => age > BRIEF,
    }
}

fn age(path: &Path) -> Option<Duration> {
    let meta = fs::symlink_metadata(path).ok()?;
    meta.modified().ok()?.elapsed().ok()
}

fn remove(ground: &Ground, found: Vec<PathBuf>) -> Remedy {
    let paths = ground.paths().clone();
    Box::new(move || {
        let count = found.len();
        for path in found {
            // Looked at again: meanwhile somebody may have taken it.
            let stale = path.extension().is_some_and(|end| end == "tmp") || is_stale(&path);
            if !stale {
                continue;
            }
            let gone = match path.is_dir() && !path.is_symlink() {
                true => fs::remove_dir(&path),
                false => fs::remove_file(&path),
            };
            gone.map_err(io(&path))?;
        }
        let state = paths.tilde(&paths.state);
        Ok(vec![format!("Removed {count} left behind in {state}")])
    })
}
