//! The tools a model may call: one file each, one table, and the policy that decides who may.
//!
//! Runs in the core. Arguments come from a model, which may repeat what a hostile page told it:
//! they are checked against the tool's schema before the tool sees them. File tools work here;
//! commands are started by `openclaw-exec` alone (see `exec`). No tool panics on arguments, and
//! every text a tool returns is bounded.

pub mod agents_list;
pub mod apply_patch;
pub mod approve;
pub mod canvas;
pub mod confine;
pub mod container;
pub mod cron;
mod diff;
pub mod edit;
pub mod exec;
pub mod external;
pub mod files;
pub mod gateway;
pub mod gateway_control;
pub mod image;
pub mod memory;
pub mod picture;
pub mod policy;
pub mod process;
pub mod read;
pub mod search;
pub mod session_status;
pub mod sessions;
pub mod validate;
pub mod web;
pub mod write;

use crate::base::cancel::Cancel;
use crate::config::Snapshot;
use crate::wire::message::Block;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

pub use gateway::Gateway;
pub use validate::validate;

/// A row of the table.
#[derive(Debug)]
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

/// Every tool there is, in the order models are told of them.
static TABLE: &[Tool] = &[
    read::TOOL,
    edit::TOOL,
    write::TOOL,
    apply_patch::TOOL,
    search::GREP,
    search::FIND,
    search::LS,
    exec::TOOL,
    process::tool::TOOL,
    canvas::TOOL,
    cron::TOOL,
    gateway_control::TOOL,
    agents_list::TOOL,
    sessions::list::TOOL,
    sessions::history::TOOL,
    sessions::send::TOOL,
    sessions::spawn::TOOL,
    session_status::TOOL,
    web::SEARCH,
    web::FETCH,
    memory::search::TOOL,
    memory::get::TOOL,
    image::TOOL,
];

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
    /// For the commands of this run, besides the environment every command gets.
    pub variables: &'a BTreeMap<String, String>,
    /// The folders of the run's skills, which a sandboxed session may read.
    pub skills: &'a [PathBuf],
    /// The tools of this run, as `policy::allowed` gave them: nothing else can be called.
    pub tools: &'a [&'static Tool],
    /// Commands and background sessions; shared by all runs of the core.
    pub processes: &'a process::Processes,
    /// What clients of the gateway can do, and more of the kind.
    pub gateway: &'a dyn Gateway,
    /// The agent's notes, searched.
    pub memory: &'a memory::Memory,
    /// For commands that need somebody's word.
    pub approve: approve::Stand<'a>,
}

#[derive(Clone, Debug, Default)]
pub struct Output {
    pub content: Vec<Block>,
    pub details: Option<Value>,
}

/// The message the model reads; it says what to do instead where that is known.
#[derive(Clone, Debug, PartialEq)]
pub struct Error(pub String);

/// A call's outcome as the transcript stores it.
#[derive(Clone, Debug)]
pub struct Finished {
    pub content: Vec<Block>,
    pub details: Option<Value>,
    /// Only for calls that never ran (no such tool, bad arguments). A tool that failed answers with
    /// a JSON error as ordinary text; see `failed`.
    pub is_error: bool,
}

/// Every tool there is.
pub fn table() -> &'static [Tool] {
    TABLE
}

/// Runs `name` when this run may call it, and turns whatever happens into a result. When the run
/// was cancelled meanwhile the result is of no use: ask `ctx.cancel`.
pub fn run(name: &str, call: &Call, ctx: &Context) -> Finished {
    let known = policy::normal_name(name);
    let Some(tool) = ctx.tools.iter().find(|tool| tool.name == known) else {
        return Finished::refused(format!("Tool {name} not found"));
    };
    let schema = serde_json::from_str(tool.parameters).expect("the table's schemas are tested");
    let arguments = match validate(tool.name, &schema, call.arguments) {
        Ok(arguments) => arguments,
        Err(text) => return Finished::refused(text),
    };
    let call = Call {
        id: call.id,
        arguments: &arguments,
    };
    match (tool.run)(&call, ctx) {
        Ok(output) => Finished {
            content: output.content,
            details: output.details,
            is_error: false,
        },
        Err(Error(message)) => Finished::json(json!({
            "status": "error",
            "tool": tool.name,
            "error": message,
        })),
    }
}

impl Finished {
    fn refused(text: String) -> Finished {
        Finished {
            content: vec![Block::text(text)],
            details: None,
            is_error: true,
        }
    }

    fn json(payload: Value) -> Finished {
        let output = Output::json(payload);
        Finished {
            content: output.content,
            details: output.details,
            is_error: false,
        }
    }

    /// Whether people should see it as failed (`isError` of a tool event).
    pub fn failed(&self) -> bool {
        let status = self.details.as_ref().and_then(|d| d.get("status"));
        self.is_error || matches!(status.and_then(Value::as_str), Some("error" | "timeout"))
    }
}

impl Output {
    pub fn text(text: impl Into<String>) -> Output {
        Output {
            content: vec![Block::text(text)],
            details: None,
        }
    }

    /// The payload as pretty JSON text, and itself as details.
    pub fn json(payload: Value) -> Output {
        Output {
            content: vec![Block::text(format!("{payload:#}"))],
            details: Some(payload),
        }
    }

    #[must_use]
    pub fn with_details(mut self, details: Value) -> Output {
        self.details = Some(details);
        self
    }
}

impl Call<'_> {
    pub fn str(&self, key: &str) -> Option<&str> {
        self.arguments.get(key).and_then(Value::as_str)
    }

    /// The text under the first of `keys` that is present and not blank.
    pub fn first_of(&self, keys: &[&str]) -> Option<&str> {
        keys.iter()
            .filter_map(|key| self.str(key))
            .find(|text| !text.trim().is_empty())
    }

    pub fn number(&self, key: &str) -> Option<f64> {
        self.arguments.get(key).and_then(Value::as_f64)
    }

    pub fn flag(&self, key: &str) -> Option<bool> {
        self.arguments.get(key).and_then(Value::as_bool)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<String> for Error {
    fn from(text: String) -> Error {
        Error(text)
    }
}

impl From<&str> for Error {
    fn from(text: &str) -> Error {
        Error(text.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_has_a_schema_a_summary_and_a_name_of_its_own() {
        let mut names: Vec<&str> = table().iter().map(|tool| tool.name).collect();
        for tool in table() {
            let schema: Value = serde_json::from_str(tool.parameters).unwrap();
            assert_eq!(schema["type"], "object", "{}", tool.name);
            assert!(!tool.summary.is_empty() && !tool.description.is_empty());
        }
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), table().len());
    }
}
