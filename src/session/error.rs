//! What can go wrong with sessions on disk, in the words a user sees.

use crate::base::exit::{self, Report};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

#[derive(Debug)]
pub enum Error {
    /// Reading, writing or locking failed: disk full, read-only, no permission.
    Io {
        action: &'static str,
        path: PathBuf,
        err: io::Error,
    },
    /// The store cannot be parsed. It is left alone; a copy lies beside it.
    Corrupt {
        path: PathBuf,
        copy: Option<PathBuf>,
        why: String,
    },
    /// Another program kept the store's lock file.
    StoreLocked { path: PathBuf },
    /// Another run or program is writing this transcript.
    TranscriptLocked { path: PathBuf, holder: Option<u32> },
    /// No session under that key.
    NoSession,
    /// The session has no transcript file yet.
    NoTranscript,
}

impl Error {
    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
        let path = path.to_path_buf();
        move |err| Error::Io { action, path, err }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Io { action, path, err } => {
                write!(f, "cannot {action} {}: {err}", path.display())
            }
            Error::Corrupt { path, copy, why } => {
                write!(f, "session store {} is not valid: {why}", path.display())?;
                match copy {
                    Some(copy) => write!(f, " (left as it is, copy in {})", copy.display()),
                    None => f.write_str(" (left as it is)"),
                }
            }
            Error::StoreLocked { path } => {
                write!(
                    f,
                    "timeout acquiring session store lock: {}",
                    path.display()
                )
            }
            Error::TranscriptLocked { path, holder } => {
                f.write_str("session file locked (timeout 10000ms): ")?;
                match holder {
                    Some(pid) => write!(f, "pid={pid} ")?,
                    None => f.write_str("pid=unknown ")?,
                }
                write!(f, "{}", path.display())
            }
            Error::NoSession => f.write_str("session not found"),
            Error::NoTranscript => f.write_str("transcript file not found"),
        }
    }
}

impl std::error::Error for Error {}

impl Report for Error {
    fn hint(&self) -> Option<String> {
        match self {
            Error::Io { err, .. } => exit::writing_hint(err),
            Error::Corrupt { path, .. } => Some(format!(
                "repair the JSON or move {} away to start with no sessions",
                path.display()
            )),
            Error::StoreLocked { .. } | Error::TranscriptLocked { .. } => {
                Some("wait for the other program, or stop it".into())
            }
            Error::NoSession | Error::NoTranscript => None,
        }
    }
}
