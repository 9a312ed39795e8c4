//! `subagents/runs.json`: every sub-agent that somebody still waits for or may look at, in the
//! original's form. Read once, written whole at each change. A file that cannot be read is kept
//! aside and a new one begun; fields we do not know stay in their records.

use crate::base::atomic;
use crate::base::time::now_ms;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// A record is some hundred bytes and a task of bounded length: far more than `MAX_RECORDS` need.
const MAX_FILE: u64 = 16 * 1024 * 1024;
const VERSION: u64 = 2;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Record {
    pub run_id: String,
    pub child_session_key: String,
    pub requester_session_key: String,
    /// Where the requester's answers went.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requester_origin: Option<Map<String, Value>>,
    pub requester_display_key: String,
    pub task: String,
    /// What becomes of the session: `keep` or `delete`.
    pub cleanup: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    pub created_at: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub archive_at_ms: Option<u64>,
    /// Somebody has begun to tell the requester.
    pub cleanup_handled: bool,
    /// The requester's message is on disk, or nobody needs one any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cleanup_completed_at: Option<u64>,
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Outcome {
    /// `ok`, `error` or `timeout`.
    pub status: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

#[derive(Debug)]
pub struct Book {
    path: PathBuf,
    pub records: Vec<Record>,
}

impl Record {
    pub fn deletes(&self) -> bool {
        self.cleanup == "delete"
    }
}

impl Outcome {
    pub fn new(status: &str, error: Option<&str>) -> Outcome {
        Outcome {
            status: status.into(),
            error: error.map(Into::into),
        }
    }
}

impl Book {
    pub fn open(state: &Path) -> Book {
        let path = path(state);
        let records = match read(&path) {
            Ok(records) => records,
            Err(err) if err.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(err) => {
                let aside = path.with_extension(format!("json.damaged-{}", now_ms()));
                log::error!("{}: {err}; kept as {}", path.display(), aside.display());
                if let Err(err) = fs::rename(&path, &aside) {
                    log::error!("{}: {err}", aside.display());
                }
                Vec::new()
            }
        };
        Book { path, records }
    }

    pub fn find(&mut self, run_id: &str) -> Option<&mut Record> {
        self.records.iter_mut().find(|r| r.run_id == run_id)
    }

    pub fn remove(&mut self, run_id: &str) {
        self.records.retain(|record| record.run_id != run_id);
    }

    /// On the disk when this returns.
    pub fn save(&self) -> io::Result<()> {
        let runs: Map<String, Value> = self
            .records
            .iter()
            .map(|record| (record.run_id.clone(), json!(record)))
            .collect();
        let mut bytes = serde_json::to_vec_pretty(&json!({"version": VERSION, "runs": runs}))?;
        bytes.push(b'\n');
        atomic::write(&self.path, &bytes)
    }

    /// Like `save`, where nothing can be done about a failure but to say so.
    pub fn save_or_log(&self) {
        if let Err(err) = self.save() {
            log::error!(
                "{}: sub-agents are in memory only: {err}",
                self.path.display()
            );
        }
    }
}

pub fn path(state: &Path) -> PathBuf {
    state.join("subagents").join("runs.json")
}

fn read(path: &Path) -> io::Result<Vec<Record>> {
    let mut text = String::new();
    File::open(path)?.take(MAX_FILE).read_to_string(&mut text)?;
    let whole: Value = serde_json::from_str(&text)?;
    let runs = whole["runs"].as_object().cloned().unwrap_or_default();
    let mut records = Vec::new();
    for (id, mut value) in runs {
        modernise(&mut value);
        match serde_json::from_value::<Record>(value) {
            Ok(record) => records.push(Record {
                run_id: id,
                ..record
            }),
            Err(err) => log::warn!("{}: run {id} is passed over: {err}", path.display()),
        }
    }
    Ok(records)
}

/// Brings the first version's names up to date.
fn modernise(value: &mut Value) {
    let Some(map) = value.as_object_mut() else {
        return;
    };
    let mut origin = Map::new();
    for (old, new) in [
        ("requesterChannel", "channel"),
        ("requesterAccountId", "accountId"),
    ] {
        if let Some(value) = map.shift_remove(old) {
            origin.insert(new.into(), value);
        }
    }
    if !origin.is_empty() {
        map.entry("requesterOrigin").or_insert(origin.into());
    }
    for (old, new) in [
        ("announceHandled", "cleanupHandled"),
        ("announceCompletedAt", "cleanupCompletedAt"),
    ] {
        if let Some(value) = map.shift_remove(old) {
            map.entry(new).or_insert(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_back_with_what_others_wrote_into_them() {
        let dir = crate::base::id::temp_dir("subagents");
        fs::create_dir_all(dir.join("subagents")).unwrap();
        let old = json!({"version": 1, "runs": {
            "a": {"runId": "a", "childSessionKey": "agent:main:subagent:1", "task": "t",
                "cleanup": "keep", "createdAt": 5, "requesterChannel": "telegram",
                "announceHandled": true, "announceCompletedAt": 7, "new": [1]},
            "b": {"createdAt": "not a time"}}});
        fs::write(path(&dir), old.to_string()).unwrap();
        let mut book = Book::open(&dir);
        assert_eq!(book.records.len(), 1);
        let record = book.find("a").unwrap();
        assert_eq!(record.cleanup_completed_at, Some(7));
        assert!(record.cleanup_handled && !record.deletes());
        assert_eq!(
            record.requester_origin.as_ref().unwrap()["channel"],
            "telegram"
        );
        record.outcome = Some(Outcome::new("error", Some("why")));
        book.save().unwrap();
        let text = fs::read_to_string(path(&dir)).unwrap();
        assert!(text.ends_with("}\n") && text.contains("\"new\""));
        assert_eq!(Book::open(&dir).records, book.records);
        fs::write(path(&dir), "{\"vers").unwrap();
        assert!(Book::open(&dir).records.is_empty());
        assert!(!path(&dir).exists(), "kept aside");
        fs::remove_dir_all(dir).unwrap();
    }
}
