//! Files of JSON lines, where a power cut or a full disk leaves half a line: transcripts and the
//! logs of jobs. The file as it was stays beside the mended one.

use super::{Cure, Finding, Ground, Kind, Remedy, alone, io};
use crate::session::repair;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The newest are looked at: what nobody has written to for long is as it was.
const MOST: usize = 200;
/// Read of one file; a longer one is mended when it is next written to.
const MAX_BYTES: u64 = 64 * 1024 * 1024;

pub fn look(ground: &Ground) -> Vec<Finding> {
    let torn: Vec<(PathBuf, usize)> = files(ground)
        .into_iter()
        .filter_map(|path| {
            let lines = repair::torn(&path).unwrap_or(0);
            (lines > 0).then_some((path, lines))
        })
        .collect();
    if torn.is_empty() {
        return Vec::new();
    }
    let details = torn.iter().map(|(path, lines)| {
        let word = if *lines == 1 { "line" } else { "lines" };
        format!("{}: {lines} {word}", ground.shown(path))
    });
    vec![Finding {
        topic: "State integrity",
        grave: false,
        what: "Lines that are no JSON stand in transcripts or logs.".into(),
        details: details.collect(),
        why: "They are skipped; usually they were being written when the power went.",
        cure: Cure::Ours {
            kind: Kind::State,
            question: "Take them out, and keep the files as they are beside?".into(),
            run: mend(ground, torn.into_iter().map(|(path, _)| path).collect()),
        },
    }]
}

fn mend(ground: &Ground, files: Vec<PathBuf>) -> Remedy {
    let (paths, env) = (ground.paths().clone(), ground.env().clone());
    Box::new(move || {
        alone(&paths, &env)?;
        let mut told = Vec::new();
        for file in files {
            let copy = match is_transcript(&file) {
                true => repair::transcript(&file, &paths.home),
                false => repair::plain(&file),
            };
            let copy = copy.map_err(io(&file))?;
            told.push(format!(
                "Mended {} (as it was: {})",
                paths.tilde(&file),
                paths.tilde(&copy)
            ));
        }
        Ok(told)
    })
}

fn is_transcript(file: &Path) -> bool {
    let folder = file.parent().and_then(Path::file_name);
    folder.is_some_and(|name| name == "sessions")
}

fn files(ground: &Ground) -> Vec<PathBuf> {
    let state = &ground.paths().state;
    let mut folders = vec![state.join("cron/runs")];
    let agents = fs::read_dir(state.join("agents")).into_iter().flatten();
    folders.extend(agents.flatten().map(|agent| agent.path().join("sessions")));
    let mut found: Vec<(SystemTime, PathBuf)> = Vec::new();
    for folder in folders {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            let meta = entry.metadata();
            let (true, Ok(meta)) = (path.extension().is_some_and(|e| e == "jsonl"), meta) else {
                continue;
            };
            if meta.is_file() && meta.len() <= MAX_BYTES {
                let at = meta.modified().unwrap_or(SystemTime::UNIX_EPOCH);
                found.push((at, path));
            }
        }
    }
    found.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
    found.truncate(MOST);
    found.into_iter().map(|(_, path)| path).collect()
}
