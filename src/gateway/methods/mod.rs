//! The method table: every request is a row here, and scope and params are checked against the row
//! before its handler runs. One file per method family.

use super::broadcast::{Client, Responder};
use super::core::Core;
use crate::wire::gateway::frame::RpcError;
use crate::wire::shape::Shape;
use serde_json::Value;
use serde_json::value::RawValue;
use std::sync::Arc;

pub struct Method {
    pub name: &'static str,
    pub scope: Scope,
    pub params: Shape,
    /// Named in `hello-ok`; the original serves some without saying so.
    pub advertised: bool,
    pub run: Run,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// `operator.read` or `operator.write`.
    Read,
    Write,
    Admin,
    Approvals,
    Pairing,
    /// Role node, and nobody else.
    Node,
}

pub type Handler = fn(&Arc<Core>, &Call) -> Answer;

#[derive(Clone, Copy)]
pub enum Run {
    /// On the connection's own thread: answers from memory, never blocks.
    Inline(Handler),
    /// On a pool thread: may read files, wait, or call out.
    Pooled(Handler),
}

/// A request whose scope and params have been checked.
pub struct Call<'a> {
    pub client: &'a Arc<Client>,
    pub id: &'a Arc<RawValue>,
    /// An object; `{}` when the request had none.
    pub params: &'a Value,
}

pub enum Answer {
    Ok(Box<RawValue>),
    Error(RpcError),
    /// The handler took a `Responder` and answers itself.
    Later,
}

impl Call<'_> {
    pub fn responder(&self) -> Responder {
        Responder {
            client: self.client.clone(),
            id: self.id.clone(),
        }
    }

    /// Typed params. Cannot fail for a row whose shape says what the type needs.
    pub fn parse<T: serde::de::DeserializeOwned>(&self) -> Result<T, RpcError> {
        serde_json::from_value(self.params.clone())
            .map_err(|err| RpcError::invalid(err.to_string()))
    }
}

impl Answer {
    pub fn ok(payload: &impl serde::Serialize) -> Answer {
        match serde_json::value::to_raw_value(payload) {
            Ok(raw) => Answer::Ok(raw),
            Err(err) => Answer::Error(RpcError::unavailable(err.to_string())),
        }
    }
}
