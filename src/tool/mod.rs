//! The tools a model may call: one file each, one table, and the policy that decides who may.

use crate::base::cancel::Cancel;
use crate::config::Snapshot;
use crate::wire::message::Block;
use serde_json::{Map, Value};
use std::path::PathBuf;
use std::sync::Arc;

/// A row of the table.
pub struct Tool {
    pub name: &'static str,
    /// One line for the system prompt's list.
    pub summary: &'static str,
    /// What the model is told.
    pub description: &'static str,
    /// JSON Schema of the arguments, as text.
    pub parameters: &'static str,
    pub run: fn(&Call, &Context) -> Result<Output, Error>,
}

/// One call by the model.
pub struct Call<'a> {
    pub id: &'a str,
    pub arguments: &'a Map<String, Value>,
}

/// What a tool may know and use during a call.
pub struct Context<'a> {
    pub agent_id: &'a str,
    pub session_key: &'a str,
    pub run_id: &'a str,
    pub workspace: PathBuf,
    pub config: Arc<Snapshot>,
    pub cancel: &'a Cancel,
    /// Shows a partial result (the `update` phase of a tool event).
    pub update: &'a (dyn Fn(Output) + Sync),
    /// Commands and background sessions; shared by all runs of the core.
    pub processes: &'a crate::tool::process::Processes,
}

#[derive(Clone, Debug, Default)]
pub struct Output {
    pub content: Vec<Block>,
    pub details: Option<Value>,
}

/// The message the model reads; it says what to do instead where that is known.
#[derive(Clone, Debug)]
pub struct Error(pub String);

pub mod process {
    //! Placeholder for the registry of commands; see `exec`.

    /// Running and finished commands of the agent.
    pub struct Processes {}
}
