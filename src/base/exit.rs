//! Exit statuses are an interface (the numbers are sysexits.h's): one table, and the one place that
//! prints a fatal error.

use std::fmt;
use std::io;
use std::process::ExitCode;

/// What the caller of a program learns from its exit status.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Exit {
    /// 0: done.
    Ok,
    /// 1: the request was understood and failed (the original uses 1 for every failure).
    Failed,
    /// 64: called wrongly (unknown flag, missing argument). `openclaw` keeps the original's 1.
    Usage,
    /// 69: the gateway cannot be reached. `openclaw` keeps the original's 1.
    Unavailable,
    /// 74: reading or writing failed.
    Io,
    /// 75: try again later (somebody else holds the lock).
    TryAgain,
    /// 77: refused: token, scope, pairing or file permission.
    Denied,
    /// 78: the configuration is invalid. A service manager must not restart on 64, 77, 78.
    Config,
}

impl Exit {
    pub fn code(self) -> u8 {
        match self {
            Exit::Ok => 0,
            Exit::Failed => 1,
            Exit::Usage => 64,
            Exit::Unavailable => 69,
            Exit::Io => 74,
            Exit::TryAgain => 75,
            Exit::Denied => 77,
            Exit::Config => 78,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit.code())
    }
}

/// An error that knows how a program that dies of it should end.
pub trait Report: fmt::Display {
    fn exit(&self) -> Exit {
        Exit::Failed
    }
    /// The fix, as one line without a full stop; printed as `  fix: …`.
    fn hint(&self) -> Option<String> {
        None
    }
}

/// What to do when the state folder or a file in it cannot be written.
pub fn writing_hint(err: &io::Error) -> Option<String> {
    let hint = match err.kind() {
        io::ErrorKind::StorageFull => "free space on that disk",
        io::ErrorKind::QuotaExceeded => "free space within that user's quota",
        io::ErrorKind::PermissionDenied => "make it writable for this user",
        io::ErrorKind::ReadOnlyFilesystem => {
            "mount that file system writable, or set OPENCLAW_STATE_DIR to a folder on another"
        }
        _ => return None,
    };
    Some(hint.into())
}

/// Prints `program: error` and the hint to stderr. Only a `main` calls this.
pub fn report(program: &str, error: &dyn Report) -> ExitCode {
    eprintln!("{program}: {error}");
    if let Some(hint) = error.hint() {
        eprintln!("  fix: {hint}");
    }
    error.exit().into()
}
