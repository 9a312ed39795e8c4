//! Which runs began and which ended, in `<state>/rs/runs.jsonl`, so that whoever waits for a run
//! gets an answer from the next core when this one died with it, and a repeated request does not
//! put its message into the transcript a second time.
//!
//! A line at the beginning of a run and one at its end, in the page cache: they survive the death
//! of the process. The file starts anew with every core and whenever it is long and nothing runs.
//! When it cannot be written the log says so and the runs go on.

use super::dedupe::{Dedupe, Stored};
use super::runs::{Ended, Kind, Runs};
use crate::base::time::now_ms;
use crate::base::{atomic, jsonl};
use crate::wire::gateway::agent::Done;
use crate::wire::gateway::chat::Sent;
use crate::wire::gateway::frame::RpcError;
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

/// A file of this size is emptied as soon as nothing runs: some thousand runs.
const LONG: u64 = 256 * 1024;
/// Longest line: ids are the callers' choice, errors are cut.
const MAX_LINE: usize = 16 * 1024;
/// Characters of an error that are kept.
const MAX_ERROR: usize = 600;
/// Runs of the last core that are remembered.
const MAX_FOUND: usize = 500;

/// What waiters and repeats are told of a run that died with its core.
pub const INTERRUPTED: &str = "the gateway was restarted while this run was in progress";

#[derive(Default)]
pub struct Ledger {
    path: OnceLock<PathBuf>,
    book: Mutex<Book>,
}

#[derive(Default)]
struct Book {
    file: Option<File>,
    size: u64,
    running: usize,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    run: String,
    at: u64,
    /// `chat` or `agent` at the beginning of a run that clients asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    asked: Option<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    ended: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// A run of the last core.
struct Found {
    begun: Line,
    ended: Option<Line>,
}

impl Ledger {
    /// Tells what the last core left, and begins a new file.
    pub fn recover(&self, folder: &Path, runs: &Runs, dedupe: &Dedupe) {
        let path = folder.join("runs.jsonl");
        for found in read(&path) {
            let id = &found.begun.run;
            let error = match &found.ended {
                None => Some(INTERRUPTED.to_string()),
                Some(line) => line.error.clone(),
            };
            runs.recall(
                id,
                Ended {
                    started_at: Some(found.begun.at),
                    ended_at: found.ended.as_ref().map_or_else(now_ms, |line| line.at),
                    error: error.clone(),
                },
            );
            answer_repeats(dedupe, found.begun.asked.as_deref(), id, error.as_deref());
        }
        if let Err(err) = fs::remove_file(&path) {
            if err.kind() != io::ErrorKind::NotFound {
                log::warn!("cannot remove {}: {err}", path.display());
            }
        }
        let _ = self.path.set(path);
    }

    pub fn began(&self, id: &str, kind: Kind) {
        let asked = match kind {
            Kind::Chat | Kind::Command => "chat",
            Kind::Agent => "agent",
            _ => return,
        };
        self.write(
            1,
            &Line {
                run: id.into(),
                at: now_ms(),
                asked: Some(asked.into()),
                ended: false,
                error: None,
            },
        );
    }

    pub fn ended(&self, id: &str, kind: Kind, error: Option<&str>) {
        if kind == Kind::Heartbeat {
            return;
        }
        self.write(
            -1,
            &Line {
                run: id.into(),
                at: now_ms(),
                asked: None,
                ended: true,
                error: error.map(|why| why.chars().take(MAX_ERROR).collect()),
            },
        );
    }

    fn write(&self, more: isize, line: &Line) {
        let Some(path) = self.path.get() else { return };
        let mut book = self.book.lock().unwrap_or_else(PoisonError::into_inner);
        book.running = book.running.saturating_add_signed(more);
        if let Err(err) = book.append(path, &jsonl::line(line)) {
            log::warn!("cannot write {}: {err}", path.display());
        }
    }
}

impl Book {
    fn append(&mut self, path: &Path, line: &[u8]) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            none => {
                if let Some(folder) = path.parent() {
                    atomic::create_private_dir(folder)?;
                }
                none.insert(jsonl::open_append(path, |_| false)?)
            }
        };
        if self.running == 0 && self.size > LONG {
            file.set_len(0)?;
            self.size = 0;
            // The line is the end of a run whose beginning is gone with the others.
            return Ok(());
        }
        jsonl::append(file, line)?;
        self.size += line.len() as u64;
        Ok(())
    }
}

/// The runs in the file, oldest first; lines that cannot be read are passed over.
fn read(path: &Path) -> Vec<Found> {
    let Ok(file) = File::open(path) else {
        return Vec::new();
    };
    let mut reader = BufReader::new(file);
    let mut found: Vec<Found> = Vec::new();
    let mut text = Vec::new();
    while let Ok(true) = jsonl::read_line(&mut reader, &mut text, MAX_LINE) {
        let Ok(line) = serde_json::from_slice::<Line>(&text) else {
            continue;
        };
        if line.ended {
            if let Some(run) = found.iter_mut().rev().find(|f| f.begun.run == line.run) {
                run.ended = Some(line);
            }
        } else {
            found.push(Found {
                begun: line,
                ended: None,
            });
        }
    }
    found.drain(..found.len().saturating_sub(MAX_FOUND));
    found
}

/// What the same request gets from now on.
fn answer_repeats(dedupe: &Dedupe, asked: Option<&str>, id: &str, error: Option<&str>) {
    let status = if error.is_some() { "error" } else { "ok" };
    let stored = match asked {
        Some("chat") => Stored::ok(&Sent {
            run_id: id,
            status,
            summary: error,
        }),
        Some("agent") => Stored::ok(&Done {
            run_id: id,
            status,
            summary: error.unwrap_or("completed"),
            result: None,
        }),
        _ => return,
    };
    let stored = Stored {
        error: error.map(RpcError::unavailable),
        ..stored
    };
    dedupe.put(asked.unwrap_or_default(), id, stored);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::id;
    use std::sync::Arc;
    use std::time::Duration;

    fn how_ended(runs: &Arc<Runs>, id: &str) -> Option<Option<String>> {
        let (say, heard) = std::sync::mpsc::channel();
        runs.wait(id, Duration::ZERO, move |ended| {
            say.send(ended.map(|e| e.error)).unwrap();
        })
        .unwrap();
        heard.recv().unwrap()
    }

    #[test]
    fn the_next_core_knows_how_every_run_ended() {
        let dir = id::temp_dir("ledger");
        let first = Ledger::default();
        first.recover(&dir, &Runs::default(), &Dedupe::default());
        first.began("good", Kind::Chat);
        first.ended("good", Kind::Chat, None);
        first.began("bad", Kind::Agent);
        first.ended("bad", Kind::Agent, Some("no model"));
        first.began("dead", Kind::Chat);
        first.began("beat", Kind::Heartbeat);
        fs::write(dir.join("torn"), "").unwrap();

        let (runs, dedupe) = (Arc::new(Runs::default()), Dedupe::default());
        Ledger::default().recover(&dir, &runs, &dedupe);
        assert_eq!(how_ended(&runs, "good"), Some(None));
        assert_eq!(how_ended(&runs, "bad"), Some(Some("no model".into())));
        assert_eq!(how_ended(&runs, "dead"), Some(Some(INTERRUPTED.into())));
        assert_eq!(how_ended(&runs, "beat"), None);
        assert!(dedupe.get("chat", "dead").unwrap().error.is_some());
        assert!(dedupe.get("chat", "good").unwrap().error.is_none());
        assert!(dedupe.get("agent", "bad").is_some());
        assert!(!dir.join("runs.jsonl").exists());
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn the_file_stays_short() {
        let dir = id::temp_dir("ledger");
        let ledger = Ledger::default();
        ledger.recover(&dir, &Runs::default(), &Dedupe::default());
        for i in 0..4000 {
            let id = format!("a-run-with-a-long-name-{i:060}");
            ledger.began(&id, Kind::Agent);
            ledger.ended(&id, Kind::Agent, None);
        }
        let size = fs::metadata(dir.join("runs.jsonl")).unwrap().len();
        assert!(size < LONG + 1024, "{size}");
        fs::remove_dir_all(dir).unwrap();
    }
}
