//! `openclaw-channel`: one worker, one channel account. No kind is built into this version, so the
//! program knows how it will be called and says that plainly; it never pretends to run.

use crate::base::exit::{self, Exit, Report};
use crate::wire::version;
use std::ffi::OsString;
use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;

const PROGRAM: &str = "openclaw-channel";
const USAGE: &str = "usage: openclaw-channel KIND [--account ID]\n";

#[derive(Debug, PartialEq, Eq)]
enum Asked {
    Help,
    Version,
    Run { kind: String },
}

#[derive(Debug)]
enum Error {
    Usage(lexopt::Error),
    NoKind,
    /// Until a later version brings it.
    NotBuiltIn(String),
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
    while let Some(word) = words.next().map_err(Error::Usage)? {
        match word {
            Long("help") | Short('h') => return Ok(Asked::Help),
            Long("version") | Short('V') => return Ok(Asked::Version),
            Long("account") => {
                words.value().map_err(Error::Usage)?;
            }
            Value(name) if kind.is_none() => kind = Some(name.to_string_lossy().into_owned()),
            other => return Err(Error::Usage(other.unexpected())),
        }
    }
    kind.map(|kind| Asked::Run { kind }).ok_or(Error::NoKind)
}

fn run(asked: Asked) -> Result<(), Error> {
    let text = match asked {
        Asked::Help => USAGE.to_string(),
        Asked::Version => format!("{PROGRAM} {}\n", version::PROGRAM),
        Asked::Run { kind } => return Err(Error::NotBuiltIn(kind)),
    };
    io::stdout()
        .write_all(text.as_bytes())
        .map_err(Error::Output)
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Usage(err) => err.fmt(f),
            Error::NoKind => f.write_str("which kind of channel?"),
            Error::NotBuiltIn(kind) => write!(f, "channel kind {kind:?} is not built in"),
            Error::Output(err) => write!(f, "stdout: {err}"),
        }
    }
}

impl Report for Error {
    fn exit(&self) -> Exit {
        match self {
            Error::Usage(_) | Error::NoKind | Error::NotBuiltIn(_) => Exit::Usage,
            Error::Output(_) => Exit::Io,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Error::Usage(_) | Error::NoKind => USAGE.trim_end().to_string(),
            Error::NotBuiltIn(_) => "this version has no channels; see openclaw-channel(8)".into(),
            Error::Output(_) => return None,
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
                kind: "telegram".into()
            }
        );
        assert!(matches!(parsed(&[]), Err(Error::NoKind)));
        assert!(matches!(parsed(&["--nonsense"]), Err(Error::Usage(_))));
        assert!(matches!(run(asked), Err(Error::NotBuiltIn(_))));
    }
}
