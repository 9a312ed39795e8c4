//! `openclaw-exec`'s order of life: take the listener, give up what is not needed, serve, and leave
//! no command behind.

use super::serve::Server;
use crate::base::exit::{self, Exit, Report};
use crate::base::sys::reaper::Signals;
use crate::base::sys::{fds, peer, process};
use crate::wire::version;
use std::fmt;
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::process::ExitCode;

const PROGRAM: &str = "openclaw-exec";
/// Name of the inherited listener.
const LISTENER: &str = "exec";
const HELP: &str = "\
Runs commands for the OpenClaw gateway.

Usage: openclaw-exec [--socket PATH]

The gateway starts it and hands it a listening socket (LISTEN_FDS).

Options:
  --socket PATH  Listen on PATH instead, to run it by hand; it must not exist
  --version      Print the version
  --help         Print this help
";

enum Action {
    Serve { socket: Option<PathBuf> },
    Print(String),
}

#[derive(Debug)]
enum Error {
    Usage(lexopt::Error),
    NoListener,
    Listen { path: PathBuf, err: io::Error },
    System(io::Error),
}

pub fn main() -> ExitCode {
    match parse().map_err(Error::Usage).and_then(run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(err) => exit::report(PROGRAM, &err),
    }
}

fn parse() -> Result<Action, lexopt::Error> {
    use lexopt::prelude::{Long, Short};
    let mut parser = lexopt::Parser::from_env();
    let mut socket = None;
    while let Some(argument) = parser.next()? {
        match argument {
            Long("socket") => socket = Some(parser.value()?.into()),
            Long("version") | Short('V') => {
                return Ok(Action::Print(format!("{PROGRAM} {}\n", version::PROGRAM)));
            }
            Long("help") | Short('h') => return Ok(Action::Print(HELP.into())),
            other => return Err(other.unexpected()),
        }
    }
    Ok(Action::Serve { socket })
}

fn run(action: Action) -> Result<(), Error> {
    let socket = match action {
        Action::Serve { socket } => socket,
        Action::Print(text) => {
            // A reader that left is no failure of ours.
            let _ = io::stdout().write_all(text.as_bytes());
            return Ok(());
        }
    };
    let (listener, path) = match socket {
        Some(path) => (listen(&path)?, Some(path)),
        None => (inherited()?, None),
    };
    process::forbid_dumps().map_err(Error::System)?;
    process::adopt_orphans().map_err(Error::System)?;
    let signals = Signals::new().map_err(Error::System)?;
    let owner = owner(&listener);
    let served = Server::new(listener, owner, signals).and_then(|mut server| server.serve());
    if let Some(path) = path {
        // Ours, made above; gone already is fine.
        let _ = std::fs::remove_file(path);
    }
    served.map_err(Error::System)
}

fn inherited() -> Result<UnixListener, Error> {
    let mut handed = fds::handed_over().map_err(Error::System)?;
    let named = handed.iter().position(|(name, _)| name == LISTENER);
    // A unit that has one socket need not name it.
    let place = named.or((handed.len() == 1).then_some(0));
    let place = place.ok_or(Error::NoListener)?;
    Ok(UnixListener::from(handed.swap_remove(place).1))
}

fn listen(path: &PathBuf) -> Result<UnixListener, Error> {
    let bind = || {
        let listener = UnixListener::bind(path)?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
        Ok(listener)
    };
    bind().map_err(|err| Error::Listen {
        path: path.clone(),
        err,
    })
}

/// The one whom the socket's file belongs to may connect: with a runner of its own uid that is the
/// gateway's user.
fn owner(listener: &UnixListener) -> Option<u32> {
    let address = listener.local_addr().ok()?;
    let meta = std::fs::metadata(address.as_pathname()?).ok()?;
    Some(meta.uid()).filter(|uid| *uid != peer::own_uid())
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Usage(err) => write!(f, "{err}"),
            Error::NoListener => f.write_str("no listening socket was handed over (LISTEN_FDS)"),
            Error::Listen { path, err } => write!(f, "{}: {err}", path.display()),
            Error::System(err) => write!(f, "{err}"),
        }
    }
}

impl Report for Error {
    fn exit(&self) -> Exit {
        match self {
            Error::Usage(_) | Error::NoListener => Exit::Usage,
            Error::Listen { .. } | Error::System(_) => Exit::Failed,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Error::NoListener => Some("the gateway starts it; by hand use --socket PATH".into()),
            Error::Usage(_) => Some("see openclaw-exec --help".into()),
            _ => None,
        }
    }
}
