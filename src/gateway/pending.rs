//! Messages that were acknowledged but wait for an earlier turn of their session: kept in
//! `<state>/rs/pending/` until their own turn puts them into the transcript.
//!
//! A core that was killed meanwhile leaves them there; the next one puts them into their
//! transcripts before it accepts anybody, unless they are there already.

use super::spool::{self, Spooled};
use crate::config::Paths;
use crate::session::{Opening, Store};
use crate::wire::message::Message;
use serde::{Deserialize, Serialize};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Kept {
    key: String,
    session_id: String,
    cwd: PathBuf,
    message: Message,
}

/// Writes `message` down; it survives the death of the process when this returns.
pub fn keep(
    paths: &Paths,
    key: &str,
    session_id: &str,
    cwd: &Path,
    message: &Message,
) -> io::Result<Spooled> {
    let kept = Kept {
        key: key.into(),
        session_id: session_id.into(),
        cwd: cwd.into(),
        message: message.clone(),
    };
    Spooled::write(&folder(paths), &kept)
}

/// Puts what an earlier core left into the transcripts. A file that cannot be used stays where it
/// is, and the log says why.
pub fn recover(paths: &Paths, sessions: &Arc<Store>) {
    for left in spool::left(&folder(paths)) {
        match restore(&left, sessions) {
            Ok(()) => left.done(),
            Err(why) => log::error!("{} stays: {why}", left.path().display()),
        }
    }
}

fn restore(left: &Spooled, sessions: &Arc<Store>) -> Result<(), String> {
    let kept: Kept = left.read().map_err(|err| err.to_string())?;
    let opening = Opening::new(&kept.key, &kept.session_id, &kept.cwd);
    sessions
        .add_once(&opening, kept.message)
        .map_err(|err| err.to_string())
}

fn folder(paths: &Paths) -> PathBuf {
    paths.ours().join("pending")
}
