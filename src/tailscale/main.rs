//! The helper's order of life: a socket for the core, publishing, waiting for the end, taking back.

use super::ROLE;
use super::command::{Mode, Tailscale};
use crate::base::exit::{self, Exit, Report};
use crate::base::jsonl;
use crate::base::sys::poll::{For, wait_one};
use crate::base::sys::signals::{Signal, Signals};
use crate::base::sys::socket::listen_private;
use crate::base::sys::{fds, peer, process};
use crate::config::{Env, Paths};
use crate::wire::tailscale::{Answer, Ask, MAX_LINE};
use std::fmt;
use std::io::{self, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// For one line of the core, which is a sibling and quick.
const PATIENCE: Duration = Duration::from_secs(2);
/// Threads that run a command and read its answer.
const STACK: usize = 128 * 1024;

/// What we are started with, after argv[0].
#[derive(Debug, PartialEq, Eq)]
struct Task {
    publish: Option<(Mode, u16)>,
    reset: bool,
}

#[derive(Debug)]
enum Error {
    Usage,
    Listen { path: PathBuf, err: io::Error },
    System(io::Error),
}

/// What the threads share.
#[derive(Default)]
struct Helper {
    tailscale: Tailscale,
    /// How publishing went, once that is known.
    outcome: Mutex<Option<Answer>>,
    known: Condvar,
}

pub fn main() -> ExitCode {
    process::keep_heap_small();
    let args: Vec<String> = std::env::args().skip(1).collect();
    match parse(&args).ok_or(Error::Usage).and_then(run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(err) => exit::report(ROLE, &err),
    }
}

/// `off`, or `serve PORT`, `funnel PORT`, with `reset` behind it.
fn parse(args: &[String]) -> Option<Task> {
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let (words, reset) = match words.split_last() {
        Some((&"reset", rest)) => (rest.to_vec(), true),
        _ => (words, false),
    };
    let publish = match words[..] {
        ["off"] => None,
        [mode, port] => Some((Mode::parse(mode)?, port.parse().ok()?)),
        _ => return None,
    };
    Some(Task { publish, reset })
}

fn run(task: Task) -> Result<(), Error> {
    fds::close_all_on_exec();
    let mut signals =
        Signals::catch(&[Signal::Terminate, Signal::Interrupt]).map_err(Error::System)?;
    let path = Paths::resolve(&Env::process(), None).tailscale_sock();
    let listener = listen_private(&path).map_err(|err| Error::Listen {
        path: path.clone(),
        err,
    })?;
    let helper: Arc<Helper> = Arc::default();
    {
        let helper = helper.clone();
        spawn("whois", move || serve(&helper, &listener))?;
    }
    match task.publish {
        Some((mode, port)) => {
            let helper = helper.clone();
            spawn("publish", move || {
                let answer = match helper.tailscale.publish(mode, port) {
                    Ok(host) => Answer::Published { host },
                    Err(err) => Answer::Failed {
                        why: err.to_string(),
                    },
                };
                helper.conclude(answer);
            })?;
        }
        None => helper.conclude(Answer::Published { host: None }),
    }
    while signals.take().is_empty() {
        wait_one(signals.fd(), For::Reading, None).map_err(Error::System)?;
    }
    // Whoever asks from here on finds nobody; a helper that follows makes its own.
    let _ = std::fs::remove_file(&path);
    helper.tailscale.stop();
    if let (Some((mode, _)), true) = (task.publish, task.reset) {
        if let Err(err) = helper.tailscale.reset(mode) {
            eprintln!("{ROLE}: reset failed: {err}");
        }
    }
    Ok(())
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), Error> {
    let thread = std::thread::Builder::new()
        .name(name.into())
        .stack_size(STACK);
    thread.spawn(work).map(drop).map_err(Error::System)
}

/// One question at a time: answers are quick, and the core keeps them.
fn serve(helper: &Arc<Helper>, listener: &UnixListener) {
    for stream in listener.incoming() {
        let Ok(stream) = stream else { return };
        match question(&stream) {
            Ok(Ask::Whois { ip }) => {
                let answer = match helper.tailscale.whois(ip) {
                    Ok(login) => Answer::Whois { login },
                    Err(err) => Answer::Failed {
                        why: err.to_string(),
                    },
                };
                say(&stream, &answer);
            }
            Ok(Ask::Published) => {
                // It may take its time; others are answered meanwhile.
                let helper = helper.clone();
                // Without a thread nobody is told, and the core gives up.
                let _ = spawn("published", move || say(&stream, &helper.outcome()));
            }
            Err(err) => eprintln!("{ROLE}: a question was not understood: {err}"),
        }
    }
}

fn question(stream: &UnixStream) -> io::Result<Ask> {
    if peer::credentials(stream)?.uid != peer::own_uid() {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut line = Vec::new();
    jsonl::read_line(&mut BufReader::new(stream), &mut line, MAX_LINE)?;
    serde_json::from_slice(&line).map_err(io::Error::from)
}

fn say(mut stream: &UnixStream, answer: &Answer) {
    // Who asked may have given up.
    let _ = stream.write_all(&jsonl::line(answer));
}

impl Helper {
    fn conclude(&self, answer: Answer) {
        *self.outcome.lock().unwrap_or_else(PoisonError::into_inner) = Some(answer);
        self.known.notify_all();
    }

    fn outcome(&self) -> Answer {
        let mut outcome = self.outcome.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            match &*outcome {
                Some(answer) => return answer.clone(),
                None => {
                    outcome = self
                        .known
                        .wait(outcome)
                        .unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Usage => f.write_str("this role is started by openclaw-gateway only"),
            Error::Listen { path, err } => write!(f, "{}: {err}", path.display()),
            Error::System(err) => err.fmt(f),
        }
    }
}

impl std::error::Error for Error {}

impl Report for Error {
    fn exit(&self) -> Exit {
        match self {
            Error::Usage => Exit::Usage,
            _ => Exit::Failed,
        }
    }

    fn hint(&self) -> Option<String> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_task_is_what_the_core_wrote() {
        let task = |words: &[&str]| {
            let words: Vec<String> = words.iter().map(|w| w.to_string()).collect();
            parse(&words)
        };
        let serve = |reset| Task {
            publish: Some((Mode::Serve, 18789)),
            reset,
        };
        assert_eq!(task(&["serve", "18789"]), Some(serve(false)));
        assert_eq!(task(&["serve", "18789", "reset"]), Some(serve(true)));
        let none = Task {
            publish: None,
            reset: false,
        };
        assert_eq!(task(&["off"]), Some(none));
        for bad in [
            &[][..],
            &["serve"],
            &["serve", "x"],
            &["on", "1"],
            &["reset"],
        ] {
            assert_eq!(task(bad), None, "{bad:?}");
        }
    }
}
