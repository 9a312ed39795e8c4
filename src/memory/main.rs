//! `openclaw-memory`'s order of life: private files, a socket, answering, the end by a signal or
//! with the one asker.

use super::{PROGRAM, serve};
use crate::base::exit::{self, Exit, Report};
use crate::base::sys::poll::{For, Poll};
use crate::base::sys::signals::{Signal, Signals};
use crate::base::sys::socket::listen_private;
use crate::base::sys::{fds, peer, process};
use crate::config::{Env, Paths};
use crate::wire::memory::FD_VARIABLE;
use crate::wire::version;
use std::fmt;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Questions answered at once; who comes later is sent away and asks again.
const MAX_QUESTIONS: usize = 8;
/// Threads that answer: SQLite's parser and the JSON of vectors.
const STACK: usize = 512 * 1024;
/// What we create is nobody else's.
const PRIVATE: u32 = 0o077;

const HELP: &str = "\
Keeps the memory index of OpenClaw's agents.

Usage: openclaw-memory

The gateway starts it, and so do commands that search the memory.

Options:
  --version  Print the version
  --help     Print this help
";

#[derive(Debug)]
enum Error {
    Usage(lexopt::Error),
    Listen { path: PathBuf, err: io::Error },
    System(io::Error),
}

pub fn main() -> ExitCode {
    process::keep_heap_small();
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(err) => exit::report(PROGRAM, &err),
    }
}

fn run() -> Result<(), Error> {
    use lexopt::prelude::{Long, Short};
    let mut parser = lexopt::Parser::from_env();
    let text = match parser.next().map_err(Error::Usage)? {
        None => None,
        Some(Long("version") | Short('V')) => Some(format!("{PROGRAM} {}\n", version::PROGRAM)),
        Some(Long("help") | Short('h')) => Some(HELP.into()),
        Some(other) => return Err(Error::Usage(other.unexpected())),
    };
    if let Some(text) = text {
        // A reader that left is no failure of ours.
        let _ = io::stdout().write_all(text.as_bytes());
        return Ok(());
    }
    process::set_umask(PRIVATE);
    process::forbid_dumps().map_err(Error::System)?;
    match std::env::var(FD_VARIABLE) {
        Ok(number) => {
            let number = number
                .parse()
                .map_err(|_| Error::System(io::ErrorKind::InvalidInput.into()))?;
            let stream = UnixStream::from(fds::take(number).map_err(Error::System)?);
            fds::close_all_on_exec();
            serve::serve(stream).map_err(Error::System)
        }
        Err(_) => {
            fds::close_all_on_exec();
            listen_and_serve()
        }
    }
}

fn listen_and_serve() -> Result<(), Error> {
    let mut signals =
        Signals::catch(&[Signal::Terminate, Signal::Interrupt]).map_err(Error::System)?;
    let path = Paths::resolve(&Env::process(), None).memory_sock();
    let listener = listen_private(&path).map_err(|err| Error::Listen {
        path: path.clone(),
        err,
    })?;
    let open = Arc::new(AtomicUsize::new(0));
    while signals.take().is_empty() {
        let asked = {
            let mut poll = Poll::new();
            poll.add(signals.fd(), For::Reading);
            let place = poll.add(listener.as_fd(), For::Reading);
            poll.wait(None).map_err(Error::System)?;
            poll.ready(place)
        };
        if !asked {
            continue;
        }
        // Whoever came may have gone already.
        let Ok((stream, _)) = listener.accept() else {
            continue;
        };
        let ours = peer::credentials(&stream).is_ok_and(|peer| peer.uid == peer::own_uid());
        if !ours || open.load(Ordering::Relaxed) >= MAX_QUESTIONS {
            continue;
        }
        open.fetch_add(1, Ordering::Relaxed);
        let counted = open.clone();
        let answering = std::thread::Builder::new()
            .name("question".into())
            .stack_size(STACK)
            .spawn(move || {
                if let Err(err) = serve::serve(stream) {
                    eprintln!("{PROGRAM}: {err}");
                }
                if counted.fetch_sub(1, Ordering::Relaxed) == 1 {
                    process::trim_heap();
                }
            });
        if answering.is_err() {
            open.fetch_sub(1, Ordering::Relaxed);
        }
    }
    // Whoever asks from here on finds nobody; one that follows makes its own. A transaction that is
    // under way is undone when the file is next opened.
    let _ = std::fs::remove_file(&path);
    Ok(())
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Usage(err) => err.fmt(f),
            Error::Listen { path, err } => write!(f, "{}: {err}", path.display()),
            Error::System(err) => err.fmt(f),
        }
    }
}

impl Report for Error {
    fn exit(&self) -> Exit {
        match self {
            Error::Usage(_) => Exit::Usage,
            _ => Exit::Failed,
        }
    }

    fn hint(&self) -> Option<String> {
        matches!(self, Error::Usage(_)).then(|| format!("see {PROGRAM} --help"))
    }
}
