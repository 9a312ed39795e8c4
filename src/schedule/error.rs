//! What can be wrong with a job or its file.

use super::expression;
use crate::wire::gateway::frame::RpcError;
use std::fmt;
use std::path::PathBuf;

#[derive(Debug)]
pub enum Error {
    /// A moment that cannot be meant, in the original's words.
    Input(String),
    /// Parts that do not go together, in the original's words.
    Rule(&'static str),
    Expression(expression::Error),
    Zone(String),
    UnknownJob(String),
    /// So many jobs are there already.
    Full(usize),
    /// Another gateway has this job file.
    Held(String),
    File {
        path: PathBuf,
        why: String,
    },
}

impl Error {
    /// As a client is told: the original throws what its checks of params let through.
    pub fn rpc(&self) -> RpcError {
        match self {
            Error::Input(why) => RpcError::invalid(why.clone()),
            other => RpcError::unavailable(format!("Error: {other}")),
        }
    }
}

impl From<expression::Error> for Error {
    fn from(err: expression::Error) -> Error {
        Error::Expression(err)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Input(why) => f.write_str(why),
            Error::Rule(rule) => f.write_str(rule),
            Error::Expression(err) => err.fmt(f),
            Error::Zone(name) => write!(f, "{name:?} is not a time zone"),
            Error::UnknownJob(id) => write!(f, "unknown cron job id: {id}"),
            Error::Full(count) => write!(f, "there are {count} cron jobs already; remove some"),
            Error::Held(why) => write!(f, "another gateway uses this job file: {why}"),
            Error::File { path, why } => write!(f, "{}: {why}", path.display()),
        }
    }
}

impl std::error::Error for Error {}
