//! A background session from one core to the next: written into the note that the tool runner keeps,
//! read from it again. What it has printed comes from the runner as if it printed it now.

use super::output::{MAX_CHARS, Output};
use super::session::Session;
use crate::base::time::now_ms;
use crate::session::parting::{Left, MAX_SHOWN};
use crate::tool::approve::cut;
use crate::wire::exec::Kept;
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::time::{Duration, Instant};

/// Characters of a folder's path: a longer one is only for show.
const MAX_CWD: usize = 400;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Note {
    agent_id: String,
    session_key: String,
    command: String,
    cwd: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pid: Option<u32>,
    started_ms: u64,
    stdin_open: bool,
    notify: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    approval: Option<String>,
    keep_ms: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    timeout_ms: Option<u64>,
    /// The file of what is said when all ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mark: Option<String>,
}

pub fn note(session: &Session) -> String {
    let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let note = Note {
        agent_id: session.agent_id.clone(),
        session_key: session.session_key.clone(),
        command: cut(&session.command, MAX_SHOWN),
        cwd: cut(&session.cwd, MAX_CWD),
        pid: session.pid,
        started_ms: session.started_ms,
        stdin_open: session.stdin_open,
        notify: session.notify,
        approval: session.approval.clone(),
        keep_ms: ms(session.keep),
        timeout_ms: session.timeout.map(ms),
        mark: session.mark.as_ref().map(|mark| mark.name().to_string()),
    };
    serde_json::to_string(&note).expect("a note is plain data")
}

/// `None` for a note that no core of ours has written.
pub fn read(kept: &Kept, folder: &Path) -> Option<Session> {
    let note: Note = serde_json::from_str(&kept.note)
        .inspect_err(|err| log::warn!("exec: {} is not taken over: {err}", kept.id))
        .ok()?;
    let ran = Duration::from_millis(now_ms().saturating_sub(note.started_ms));
    let now = Instant::now();
    Some(Session {
        id: kept.id.clone(),
        agent_id: note.agent_id,
        session_key: note.session_key,
        command: note.command,
        cwd: note.cwd,
        pid: note.pid,
        started_ms: note.started_ms,
        started: now.checked_sub(ran).unwrap_or(now),
        output: Output::new(MAX_CHARS),
        end: None,
        backgrounded: true,
        mark: note.mark.and_then(|name| Left::again(folder, &name)),
        stdin_open: note.stdin_open,
        notify: note.notify,
        approval: note.approval,
        keep: Duration::from_millis(note.keep_ms),
        timeout: note.timeout_ms.map(Duration::from_millis),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::exec::MAX_NOTE;

    #[test]
    fn a_session_comes_back_as_it_was_but_for_a_long_command() {
        let dir = crate::base::id::temp_dir("heir");
        let session = Session {
            id: "delta-pi".into(),
            agent_id: "main".into(),
            session_key: "agent:main:main".into(),
            command: "x".repeat(MAX_NOTE),
            cwd: "/w".into(),
            pid: Some(7),
            started_ms: now_ms() - 5_000,
            started: Instant::now(),
            output: Output::new(MAX_CHARS),
            end: None,
            backgrounded: true,
            mark: crate::session::parting::Word {
                session_key: "agent:main:main".into(),
                notice: "ended".into(),
            }
            .leave(&dir),
            stdin_open: true,
            notify: true,
            approval: None,
            keep: Duration::from_secs(60),
            timeout: Some(Duration::from_secs(1800)),
        };
        let note = note(&session);
        assert!(note.len() < MAX_NOTE);
        let kept = Kept {
            id: session.id.clone(),
            note,
        };
        let again = read(&kept, &dir).unwrap();
        assert_eq!(again.id, "delta-pi");
        assert_eq!(again.keep, session.keep);
        assert_eq!(again.timeout, session.timeout);
        assert!(again.runtime() >= Duration::from_secs(5));
        assert!(again.mark.is_some() && again.backgrounded && again.stdin_open);
        let odd = Kept {
            id: "x".into(),
            note: "{}".into(),
        };
        assert!(read(&odd, &dir).is_none());
        std::fs::remove_dir_all(dir).unwrap();
    }
}
