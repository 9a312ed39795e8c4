//! `<state>/sandbox/containers.json` and `browsers.json`: which containers there are, whose, and when
//! each was used. The original's files; both programs may have them open, so a change is made under a
//! lock of ours and by replacing the file.

use crate::base::atomic::{self, Durability, create_private_dir};
use crate::base::lock;
use crate::config::Paths;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::io::{self, Read};
use std::path::PathBuf;
use std::time::Duration;

/// Largest file that is read; a row has some 300 bytes.
const MAX_FILE: u64 = 4 * 1024 * 1024;
/// The original's mode.
const MODE: u32 = 0o644;
/// A change takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    pub container_name: String,
    /// What it is shared by: `shared`, `agent:<id>` or a session's key.
    #[serde(default)]
    pub session_key: String,
    #[serde(default)]
    pub created_at_ms: u64,
    #[serde(default)]
    pub last_used_at_ms: u64,
    #[serde(default)]
    pub image: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_hash: Option<String>,
    /// Of browsers: their ports.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

pub struct Registry {
    file: PathBuf,
    lock: PathBuf,
}

impl Registry {
    pub(super) fn new(paths: &Paths, name: &str) -> Registry {
        Registry {
            file: paths.state.join("sandbox").join(name),
            lock: paths.ours().join(format!("{name}.lock")),
        }
    }

    /// All rows that can be understood; none without a file.
    pub fn read(&self) -> Vec<Entry> {
        let mut text = Vec::new();
        let read = std::fs::File::open(&self.file)
            .and_then(|file| file.take(MAX_FILE).read_to_end(&mut text));
        let value: Value = match read.map(|_| serde_json::from_slice(&text)) {
            Ok(Ok(value)) => value,
            _ => return Vec::new(),
        };
        let rows = value.get("entries").and_then(Value::as_array);
        let rows = rows.into_iter().flatten();
        rows.filter_map(|row| serde_json::from_value(row.clone()).ok())
            .collect()
    }

    pub fn find(&self, name: &str) -> Option<Entry> {
        let mut entries = self.read().into_iter();
        entries.find(|entry| entry.container_name == name)
    }

    /// Notes a use. What the container was made from, and when, stays as it was noted first.
    pub fn put(&self, mut entry: Entry) -> io::Result<()> {
        self.change(|entries| {
            let same = |known: &Entry| known.container_name == entry.container_name;
            if let Some(known) = entries.iter().find(|known| same(known)) {
                entry.created_at_ms = known.created_at_ms;
                entry.image.clone_from(&known.image);
            }
            entries.retain(|known| !same(known));
            entries.push(entry);
        })
    }

    pub fn remove(&self, name: &str) -> io::Result<()> {
        self.change(|entries| entries.retain(|entry| entry.container_name != name))
    }

    fn change(&self, change: impl FnOnce(&mut Vec<Entry>)) -> io::Result<()> {
        let _lock = lock::take(&self.lock, "sandbox", PATIENCE)
            .map_err(|err| io::Error::other(err.to_string()))?;
        let mut entries = self.read();
        let before = entries.clone();
        change(&mut entries);
        if entries == before {
            return Ok(());
        }
        if let Some(folder) = self.file.parent() {
            create_private_dir(folder)?;
        }
        let value = serde_json::json!({ "entries": entries });
        let mut text = serde_json::to_string_pretty(&value)?;
        text.push('\n');
        atomic::write_with(&self.file, text.as_bytes(), MODE, Durability::Disk)
    }
}
