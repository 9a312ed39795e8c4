//! Messages that were acknowledged but wait for an earlier turn of their session: kept in
//! `<state>/rs/pending/` until their own turn puts them into the transcript.
//!
//! A core that was killed meanwhile leaves them there; the next one puts them into their
//! transcripts before it accepts anybody, unless they are there already.

use crate::base::atomic::{self, Durability};
use crate::config::Paths;
use crate::session::{Opening, Store};
use crate::wire::message::Message;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Kept {
    key: String,
    session_id: String,
    cwd: PathBuf,
    message: Message,
}

/// A message on disk. Dropping it leaves the file: only `done` removes it.
pub struct Pending(PathBuf);

/// Writes `message` down; it survives the death of the process when this returns.
pub fn keep(
    paths: &Paths,
    key: &str,
    session_id: &str,
    cwd: &Path,
    message: &Message,
) -> io::Result<Pending> {
    let kept = Kept {
        key: key.into(),
        session_id: session_id.into(),
        cwd: cwd.into(),
        message: message.clone(),
    };
    let bytes = serde_json::to_vec(&kept)?;
    // Named so that the order of the names is the order of the messages.
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let name = format!(
        "{:015}-{:06}-{}.json",
        crate::base::time::now_ms(),
        NEXT.fetch_add(1, Ordering::Relaxed) % 1_000_000,
        crate::base::id::short()
    );
    let path = folder(paths).join(name);
    atomic::write_with(&path, &bytes, atomic::PRIVATE_FILE, Durability::PageCache)?;
    Ok(Pending(path))
}

impl Pending {
    pub fn done(self) {
        if let Err(err) = fs::remove_file(&self.0) {
            log::warn!("cannot remove {}: {err}", self.0.display());
        }
    }
}

/// Puts what an earlier core left into the transcripts. A file that cannot be used stays where it
/// is, and the log says why.
pub fn recover(paths: &Paths, sessions: &Arc<Store>) {
    let Ok(folder) = fs::read_dir(folder(paths)) else {
        return;
    };
    let mut files: Vec<PathBuf> = folder.flatten().map(|entry| entry.path()).collect();
    files.sort();
    for path in files
        .iter()
        .filter(|p| p.extension().is_some_and(|e| e == "json"))
    {
        match restore(path, sessions) {
            Ok(()) => Pending(path.clone()).done(),
            Err(why) => log::error!("{} stays: {why}", path.display()),
        }
    }
}

fn restore(path: &Path, sessions: &Arc<Store>) -> Result<(), String> {
    let bytes = fs::read(path).map_err(|err| err.to_string())?;
    let kept: Kept = serde_json::from_slice(&bytes).map_err(|err| err.to_string())?;
    let opening = Opening::new(&kept.key, &kept.session_id, &kept.cwd);
    sessions
        .add_once(&opening, kept.message)
        .map_err(|err| err.to_string())
}

fn folder(paths: &Paths) -> PathBuf {
    paths.ours().join("pending")
}
