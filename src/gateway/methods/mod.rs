//! The method table: every request is a row here, and scope and params are checked against the row
//! before its handler runs. The rows stand in `table`; one file per method family has the handlers.

pub mod agent;
pub mod agents;
pub mod approvals;
pub mod channels;
pub mod chat;
pub mod config;
pub mod cron;
pub mod devices;
pub mod health;
pub mod logs;
pub mod models;
pub mod scope;
pub mod sessions;
pub mod skills;
pub mod system;
mod table;
pub mod update;
pub mod usage;
pub mod wizard;

pub use scope::Scope;
pub use table::{ADVERTISED, TABLE};

use super::broadcast::{Client, Responder};
use super::core::Core;
use super::dedupe::Stored;
use crate::wire::gateway::frame::RpcError;
use crate::wire::shape::Shape;
use serde_json::Value;
use serde_json::value::RawValue;
use std::sync::Arc;

pub struct Method {
    pub name: &'static str,
    pub scope: Scope,
    pub params: Shape,
    /// Brings params into their one form before they are checked, where several are taken.
    pub tidy: Option<fn(Value) -> Value>,
    pub run: Run,
}

pub type Handler = fn(&Arc<Core>, &Call) -> Answer;

#[derive(Clone, Copy)]
pub enum Run {
    /// On the connection's own thread (256 KiB of stack): answers from memory, never blocks.
    Inline(Handler),
    /// On a pool thread (1 MiB of stack): may read files, wait, or call out. What takes longer
    /// than a few seconds takes a `Responder` and a thread of its own.
    Pooled(Handler),
    /// Of the protocol, but not of this version, and why: answered `UNAVAILABLE`.
    Absent(&'static str),
    /// Only as the first frame of a connection, where `handshake` takes it.
    First,
}

/// A request whose scope and params have been checked.
pub struct Call<'a> {
    pub client: &'a Arc<Client>,
    pub id: &'a RawValue,
    /// An object; `{}` when the request had none.
    pub params: &'a Value,
}

pub enum Answer {
    Ok(Box<RawValue>),
    /// JSON that others share, such as the cached health: sent without a copy of its own.
    Shared(Arc<RawValue>),
    Error(RpcError),
    /// Both, as failed agent runs and installations are told.
    Failed(Box<RawValue>, RpcError),
    /// The handler took a `Responder` and answers itself.
    Later,
}

/// The row of `name`.
pub fn find(name: &str) -> Option<&'static Method> {
    table::TABLE.iter().find(|row| row.name == name)
}

impl Call<'_> {
    pub fn responder(&self) -> Responder {
        Responder {
            client: self.client.clone(),
            id: self.id.to_owned().into(),
        }
    }

    /// Typed params. Cannot fail for a row whose shape says what the type needs.
    pub fn parse<T: serde::de::DeserializeOwned>(&self) -> Result<T, RpcError> {
        T::deserialize(self.params).map_err(|err| RpcError::invalid(err.to_string()))
    }
}

impl Answer {
    pub fn ok(payload: &impl serde::Serialize) -> Answer {
        match serde_json::value::to_raw_value(payload) {
            Ok(raw) => Answer::Ok(raw),
            Err(err) => Answer::Error(RpcError::unavailable(err.to_string())),
        }
    }

    /// Sends it.
    pub fn give(self, client: &Client, id: &RawValue) {
        match self {
            Answer::Ok(payload) => client.answer_raw(id, &payload),
            Answer::Shared(payload) => client.answer_raw(id, &payload),
            Answer::Error(error) => client.answer::<()>(id, None, Some(&error)),
            Answer::Failed(payload, error) => client.answer(id, Some(&payload), Some(&error)),
            Answer::Later => {}
        }
    }

    pub fn invalid(message: impl Into<String>) -> Answer {
        Answer::Error(RpcError::invalid(message))
    }

    pub fn unavailable(message: impl Into<String>) -> Answer {
        Answer::Error(RpcError::unavailable(message))
    }
}

/// A repeated request is answered as the first was.
impl From<Stored> for Answer {
    fn from(kept: Stored) -> Answer {
        match (kept.payload, kept.error) {
            (Some(payload), Some(error)) => Answer::Failed(payload.as_ref().to_owned(), error),
            (Some(payload), None) => Answer::Shared(payload),
            (None, Some(error)) => Answer::Error(error),
            (None, None) => Answer::unavailable("the answer was not kept"),
        }
    }
}

impl From<RpcError> for Answer {
    fn from(error: RpcError) -> Answer {
        Answer::Error(error)
    }
}

/// For handlers written with `?`.
impl From<Result<Answer, RpcError>> for Answer {
    fn from(result: Result<Answer, RpcError>) -> Answer {
        result.unwrap_or_else(Answer::Error)
    }
}

#[cfg(test)]
mod tests;
