//! Why a command ended without doing what it should, and how that is told.

use super::output::Stopped;
use crate::base::cmdline;
use crate::base::exit::Report;
use crate::config::profile;
use std::fmt::Display;
use std::process::ExitCode;

pub enum Failure {
    Usage(cmdline::Error),
    Profile(profile::Error),
    /// The complaint about an invalid configuration, whole.
    Config(String),
    /// Told as `openclaw: <text>`, with the fix below.
    Error {
        text: String,
        hint: Option<String>,
    },
    /// Told word for word: the command has its own form.
    Said(String),
    /// The person at the terminal does not go on.
    Cancelled,
    /// Already told; only the status is left.
    Silent,
    /// The same with status 2: done, and something needs attention soon.
    Warned,
    /// Nobody reads any more: that is success.
    PipeClosed,
}

impl Failure {
    pub fn of(err: &(impl Report + ?Sized)) -> Failure {
        Failure::Error {
            text: err.to_string(),
            hint: err.hint(),
        }
    }

    /// `<prefix>: Error: <text>`, the form some commands of the original have, with the fix below.
    pub fn prefixed(prefix: &str, err: &(impl Report + ?Sized)) -> Failure {
        let mut text = format!("{prefix}: Error: {err}");
        if let Some(hint) = err.hint() {
            text.push_str(&format!("\n  fix: {hint}"));
        }
        Failure::Said(text)
    }

    pub fn said(text: impl Display) -> Failure {
        Failure::Said(text.to_string())
    }

    pub fn tell(self) -> ExitCode {
        match self {
            Failure::PipeClosed => return ExitCode::SUCCESS,
            Failure::Silent => {}
            Failure::Cancelled => eprintln!("Cancelled."),
            Failure::Warned => return ExitCode::from(2),
            Failure::Usage(err) => {
                eprintln!("error: {err}");
                if let Some(hint) = err.hint() {
                    eprintln!("  fix: {hint}");
                }
            }
            Failure::Profile(err) => {
                eprintln!("[openclaw] {err}");
                return ExitCode::from(2);
            }
            Failure::Config(text) | Failure::Said(text) => eprintln!("{text}"),
            Failure::Error { text, hint } => {
                eprintln!("openclaw: {text}");
                if let Some(hint) = hint {
                    eprintln!("  fix: {hint}");
                }
            }
        }
        ExitCode::FAILURE
    }
}

impl From<Stopped> for Failure {
    fn from(stopped: Stopped) -> Failure {
        match stopped {
            Stopped::PipeClosed => Failure::PipeClosed,
            Stopped::Failed(err) => Failure::Error {
                text: format!("stdout: {err}"),
                hint: None,
            },
        }
    }
}

impl From<cmdline::Error> for Failure {
    fn from(err: cmdline::Error) -> Failure {
        Failure::Usage(err)
    }
}

impl From<crate::client::Error> for Failure {
    fn from(err: crate::client::Error) -> Failure {
        Failure::of(&err)
    }
}

impl From<crate::config::client::Error> for Failure {
    fn from(err: crate::config::client::Error) -> Failure {
        Failure::of(&err)
    }
}
