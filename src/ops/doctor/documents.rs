//! The JSON files of the state, each readable as what it should be. One that is not is never thrown
//! away: it is moved beside, or a copy of it that is good is taken back.

use super::{Cure, Error, Finding, Ground, Kind, Remedy, alone, io};
use crate::base::{atomic, time};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

const TOPIC: &str = "State integrity";
/// No state file comes near; a larger one is not read whole for this.
const MAX_BYTES: u64 = 64 * 1024 * 1024;

/// What becomes of a damaged one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Worth {
    /// Made anew when it is missing: moved aside.
    Made,
    /// A good copy lies beside it.
    Copied,
    /// Somebody's keys, rights or sessions: only a person decides.
    Precious,
}

pub fn look(ground: &Ground) -> Vec<Finding> {
    let files = files(ground).into_iter();
    files
        .filter_map(|(path, worth)| one(ground, &path, worth))
        .collect()
}

fn files(ground: &Ground) -> Vec<(PathBuf, Worth)> {
    use Worth::{Copied, Made, Precious};
    let paths = ground.paths();
    let state = &paths.state;
    let mut all = vec![
        (state.join("cron/jobs.json"), Copied),
        (state.join("devices/paired.json"), Precious),
        (state.join("devices/pending.json"), Made),
        (state.join("identity/device-auth.json"), Made),
        (state.join("node.json"), Precious),
        (state.join("nodes/paired.json"), Precious),
        (state.join("nodes/pending.json"), Made),
        (state.join("restart-sentinel.json"), Made),
        (state.join("subagents/runs.json"), Made),
        (state.join("telegram/sticker-cache.json"), Made),
        (state.join("update-check.json"), Made),
        (paths.ours().join("onboard.json"), Made),
        (paths.device_identity(), Precious),
        (paths.exec_approvals(), Precious),
    ];
    for file in listed(&state.join("telegram"), "update-offset-", ".json") {
        all.push((file, Made));
    }
    for file in listed(&paths.credentials, "", "-pairing.json") {
        all.push((file, Made));
    }
    for file in listed(&paths.credentials, "", "-allowFrom.json") {
        all.push((file, Precious));
    }
    for agent in listed(&state.join("agents"), "", "") {
        all.push((agent.join("agent/auth-profiles.json"), Precious));
        all.push((agent.join("agent/models.json"), Made));
    }
    all
}

fn listed(folder: &Path, start: &str, end: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = entries
        .filter(|entry| {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            name.starts_with(start) && name.ends_with(end)
        })
        .map(|entry| entry.path())
        .collect();
    found.sort();
    found
}

fn one(ground: &Ground, path: &Path, worth: Worth) -> Option<Finding> {
    let why = fault(path)?;
    let shown = ground.shown(path);
    let copy = PathBuf::from(format!("{}.bak", path.display()));
    let cure = match worth {
        Worth::Copied if copy.exists() && fault(&copy).is_none() => Cure::Ours {
            kind: Kind::State,
            question: format!("Take the copy beside {shown} back?"),
            run: take_back(ground, path, Some(copy)),
        },
        Worth::Made | Worth::Copied => Cure::Ours {
            kind: Kind::State,
            question: format!("Move {shown} aside, so that a new one is made?"),
            run: take_back(ground, path, None),
        },
        Worth::Precious => Cure::Yours(format!(
            "correct {shown} by hand, or take it back from a backup; move it away only if what is \
             in it may be lost"
        )),
    };
    Some(Finding {
        topic: TOPIC,
        grave: worth != Worth::Made,
        what: format!("{shown} cannot be read: {why}."),
        details: Vec::new(),
        why: "What is kept in it counts as not there.",
        cure,
    })
}

/// What keeps it from being read; `None` where it is missing, or good.
pub fn fault(path: &Path) -> Option<String> {
    let meta = fs::metadata(path).ok()?;
    if !meta.is_file() {
        return Some("it is no file".into());
    }
    if meta.len() > MAX_BYTES {
        return Some(format!("it has more than {MAX_BYTES} bytes"));
    }
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(err) => return Some(err.to_string()),
    };
    if bytes
        .iter()
        .all(|byte| byte.is_ascii_whitespace() || *byte == 0)
    {
        return Some("it is empty".into());
    }
    match serde_json::from_slice::<Value>(&bytes) {
        Ok(Value::Object(_) | Value::Array(_)) => None,
        Ok(_) => Some("it holds no object".into()),
        Err(err) => Some(format!("line {}: no JSON", err.line())),
    }
}

/// Moves it aside, and puts a copy in its place where there is one.
fn take_back(ground: &Ground, path: &Path, copy: Option<PathBuf>) -> Remedy {
    let (paths, env, path) = (
        ground.paths().clone(),
        ground.env().clone(),
        path.to_path_buf(),
    );
    Box::new(move || {
        alone(&paths, &env)?;
        let aside = aside(&path)?;
        let mut told = vec![format!(
            "Moved {} to {}",
            paths.tilde(&path),
            paths.tilde(&aside)
        )];
        if let Some(copy) = copy {
            let bytes = fs::read(&copy).map_err(io(&copy))?;
            atomic::write(&path, &bytes).map_err(io(&path))?;
            told.push(format!("Took {} back", paths.tilde(&copy)));
        }
        Ok(told)
    })
}

/// Under a name that nobody reads.
fn aside(path: &Path) -> Result<PathBuf, Error> {
    let aside = PathBuf::from(format!("{}.damaged-{}", path.display(), time::now_ms()));
    fs::rename(path, &aside).map_err(io(path))?;
    Ok(aside)
}
