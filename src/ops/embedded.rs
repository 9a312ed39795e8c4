//! A gateway for the time of one command: it has the state folder's lock and its socket, no port,
//! and does nothing of its own accord (no channels, cron, heartbeats, hooks at its start).
//!
//! It ends when this process does, however that happens: its standard input is our end of a pipe.

use crate::base::exit::{Exit, Report};
use crate::base::sys::poll::{For, wait_one};
use crate::config::Paths;
use std::fmt;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A gateway that is not ready by then is stuck: what it does before takes milliseconds, and
/// seconds only where another one is just ending.
const PATIENCE: Duration = Duration::from_secs(20);

/// Ends in order when it is dropped.
pub struct Embedded(Child);

#[derive(Debug)]
pub enum Error {
    NoProgram(PathBuf),
    Io(io::Error),
    /// It ended; why is on standard error already.
    Ended,
    Late,
}

/// Starts it and waits until it can be called.
pub fn start(program: &Path, paths: &Paths) -> Result<Embedded, Error> {
    let mut command = Command::new(program);
    if let Some(profile) = &paths.profile {
        command.arg("--profile").arg(profile);
    }
    let child = command
        .arg("--embedded")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        // Ctrl-C ends us; what we started ends in order then.
        .process_group(0)
        .spawn()
        .map_err(|err| match err.kind() {
            io::ErrorKind::NotFound => Error::NoProgram(program.to_path_buf()),
            _ => Error::Io(err),
        })?;
    let mut embedded = Embedded(child);
    let mut ready = embedded.0.stdout.take().expect("a pipe was asked for");
    if !wait_one(ready.as_fd(), For::Reading, Some(PATIENCE)).map_err(Error::Io)? {
        return Err(Error::Late);
    }
    match ready.read(&mut [0]).map_err(Error::Io)? {
        0 => Err(Error::Ended),
        _ => Ok(embedded),
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        // It has its own limits for ending, and kills what does not keep to them.
        if let Err(err) = self.0.wait() {
            log::warn!("the embedded gateway: {err}");
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::NoProgram(path) => write!(f, "{}: no such program", path.display()),
            Error::Io(err) => write!(f, "the gateway for this command: {err}"),
            Error::Ended => f.write_str("the gateway for this command did not start"),
            Error::Late => write!(
                f,
                "the gateway for this command was not ready in {} seconds",
                PATIENCE.as_secs()
            ),
        }
    }
}

impl std::error::Error for Error {}

impl Report for Error {
    fn exit(&self) -> Exit {
        Exit::Failed
    }

    fn hint(&self) -> Option<String> {
        match self {
            Error::NoProgram(_) => {
                Some("reinstall: the daemon belongs beside openclaw, or in the PATH".into())
            }
            Error::Late | Error::Ended => {
                Some("the reason may be in the log: openclaw logs".into())
            }
            Error::Io(_) => None,
        }
    }
}
