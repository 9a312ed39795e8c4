//! Why a setup cannot be done, or was not.

use crate::base::exit::{Exit, Report, writing_hint};
use crate::config::edit;
use crate::model::credential;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

#[derive(Debug)]
pub enum Error {
    /// What was said cannot be done; in words.
    Said(String),
    Config(edit::Error),
    Credential(credential::Error),
    Io {
        path: PathBuf,
        err: io::Error,
    },
}

impl Error {
    pub fn said(text: impl Into<String>) -> Error {
        Error::Said(text.into())
    }
}

pub fn io(path: &Path) -> impl Fn(io::Error) -> Error + use<> {
    let path = path.to_path_buf();
    move |err| Error::Io {
        path: path.clone(),
        err,
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Said(text) => f.write_str(text),
            Error::Config(err) => err.fmt(f),
            Error::Credential(err) => err.fmt(f),
            Error::Io { path, err } => write!(f, "{}: {err}", path.display()),
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
            Error::Said(_) => None,
            Error::Config(err) => err.hint(),
            Error::Credential(err) => err.hint(),
            Error::Io { err, .. } => writing_hint(err),
        }
    }
}
