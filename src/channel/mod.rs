//! `openclaw-channel`: one worker, one channel account. No kind is built into this version: the
//! worker carries a program in any language (`foreign`), keeps what it heard until the core has it
//! (`spool`) and the link to the core (`worker`). Who may speak is decided in the core, by the rules
//! of `access` and the codes of `pairing`. How a text is written and cut for a
//! service is in `text`.

pub mod access;
pub mod backoff;
#[cfg(test)]
mod fake_tests;
pub mod foreign;
pub mod http;
pub mod kind;
pub mod kinds;
pub mod media;
pub mod multipart;
pub mod pairing;
pub mod recent;
pub mod socket;
mod spool;
pub mod text;
pub mod worker;

use crate::base::exit::{self, Exit, Report};
use crate::base::lock;
use crate::session::key::sanitize_id;
use crate::wire::version;
use std::ffi::OsString;
use std::fmt;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

const PROGRAM: &str = "openclaw-channel";
const USAGE: &str = "usage: openclaw-channel KIND [--account ID]\n";

#[derive(Debug, PartialEq, Eq)]
enum Asked {
    Help,
    Version,
    Run { kind: String, account: String },
}

#[derive(Debug)]
enum Error {
    Usage(lexopt::Error),
    NoKind,
    /// Neither built in nor found.
    NoProgram(String),
    Account(String),
    Lock(lock::Error),
    System {
        what: PathBuf,
        err: io::Error,
    },
    /// The program has ended by itself.
    Ended(PathBuf, String),
    Output(io::Error),
}

pub fn main() -> ExitCode {
    match parse(std::env::args_os()).and_then(run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(err) => exit::report(PROGRAM, &err),
    }
}

fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Asked, Error> {
    use lexopt::Arg::{Long, Short, Value};
    let mut words = lexopt::Parser::from_iter(words);
    let mut kind = None;
    let mut account = "default".to_string();
    while let Some(word) = words.next().map_err(Error::Usage)? {
        match word {
            Long("help") | Short('h') => return Ok(Asked::Help),
            Long("version") | Short('V') => return Ok(Asked::Version),
            Long("account") => {
                let id = words.value().map_err(Error::Usage)?;
                account = id.to_string_lossy().into_owned();
                // It becomes the name of a folder.
                if sanitize_id(&account) != account {
                    return Err(Error::Account(account));
                }
            }
            Value(name) if kind.is_none() => kind = Some(name.to_string_lossy().into_owned()),
            other => return Err(Error::Usage(other.unexpected())),
        }
    }
    let kind = kind.ok_or(Error::NoKind)?;
    Ok(Asked::Run { kind, account })
}

fn run(asked: Asked) -> Result<(), Error> {
    let text = match asked {
        Asked::Help => USAGE.to_string(),
        Asked::Version => format!("{PROGRAM} {}\n", version::PROGRAM),
        Asked::Run { kind, account } => {
            let list = |name| std::env::var(name).ok();
            let (own, path) = (list("OPENCLAW_CHANNEL_PATH"), list("PATH"));
            let program = foreign::find(&kind, own.as_deref(), path.as_deref());
            let program = program.ok_or_else(|| Error::NoProgram(kind.clone()))?;
            to_stderr();
            return worker::run(&kind, &account, &program);
        }
    };
    io::stdout()
        .write_all(text.as_bytes())
        .map_err(Error::Output)
}

/// What the supervisor's own log takes.
fn to_stderr() {
    let mut log = env_logger::Builder::new();
    log.filter_level(log::LevelFilter::Info).init();
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Usage(err) => err.fmt(f),
            Error::NoKind => f.write_str("which kind of channel?"),
            Error::NoProgram(kind) => write!(
                f,
                "channel kind {kind:?} is not built in and there is no program openclaw-channel-{kind}"
            ),
            Error::Account(id) => write!(f, "{id:?} is no id of an account"),
            Error::Lock(err) => err.fmt(f),
            Error::System { what, err } => write!(f, "{}: {err}", what.display()),
            Error::Ended(program, status) => write!(f, "{}: {status}", program.display()),
            Error::Output(err) => write!(f, "stdout: {err}"),
        }
    }
}

impl Report for Error {
    fn exit(&self) -> Exit {
        match self {
            Error::Usage(_) | Error::NoKind | Error::NoProgram(_) | Error::Account(_) => {
                Exit::Usage
            }
            Error::Output(_) => Exit::Io,
            Error::Lock(_) | Error::System { .. } | Error::Ended(..) => Exit::Failed,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Error::Usage(_) | Error::NoKind => USAGE.trim_end().to_string(),
            Error::NoProgram(_) => {
                "put it into a folder of OPENCLAW_CHANNEL_PATH; see openclaw-channel(7)".into()
            }
            Error::Account(_) => "lower case letters, digits, - and _".into(),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(words: &[&str]) -> Result<Asked, Error> {
        let words = ["openclaw-channel"].iter().chain(words);
        parse(words.map(OsString::from))
    }

    #[test]
    fn a_kind_and_an_account_are_taken_and_anything_else_is_refused() {
        let asked = parsed(&["telegram", "--account", "default"]).unwrap();
        assert_eq!(
            asked,
            Asked::Run {
                kind: "telegram".into(),
                account: "default".into()
            }
        );
        assert!(matches!(
            parsed(&["telegram", "--account", "../x"]),
            Err(Error::Account(_))
        ));
        assert!(matches!(parsed(&[]), Err(Error::NoKind)));
        assert!(matches!(parsed(&["--nonsense"]), Err(Error::Usage(_))));
    }
}
