//! Background sessions while they run: when they end with the core and the tool runner, nobody else
//! could tell their agents that.

use super::session::Session;
use crate::config::Paths;
use crate::session::parting::{MAX_SHOWN, Word};
use crate::tool::approve::cut;
use std::path::PathBuf;

pub fn folder(paths: &Paths) -> PathBuf {
    paths.ours().join("background")
}

/// Without a notice for a session of whose end nobody wants to hear: the next core sees that there
/// is something to take over.
pub fn word(session: &Session) -> Word {
    Word {
        session_key: session.session_key.clone(),
        notice: notice(session).unwrap_or_default(),
    }
}

fn notice(session: &Session) -> Option<String> {
    let command = cut(&session.command, MAX_SHOWN);
    let id = &session.id;
    match &session.approval {
        Some(approval) => Some(format!(
            "Exec finished (gateway id={approval}, session={id}, gateway-restarted)\n{command}"
        )),
        None if session.notify => Some(format!(
            "Exec failed ({id}, gateway restarted): it was ended before it was done, and what it \
             printed is lost :: {command}"
        )),
        None => None,
    }
}
