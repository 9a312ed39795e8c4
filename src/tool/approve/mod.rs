//! Approval of commands: the rules on disk, what a command would start, and the question put to a
//! person.
//!
//! The tool decides here whether it has to ask; whom and how is the gateway's business (`Desk`).
//! Whatever is not understood, not readable or not answered counts against the command.

pub mod allow;
pub mod command;
pub mod file;
pub mod level;

use super::process::Processes;
use crate::base::cancel::Cancel;
use serde::{Deserialize, Serialize};
use std::time::Duration;

pub use file::Store;
pub use level::{Ask, Decision, Security};

/// How long a question of the tool waits for its answer.
pub const WAIT: Duration = Duration::from_secs(120);
/// Bytes of a command that a person can be asked about: all of it must be seen.
pub const MAX_COMMAND: usize = 64 * 1024;

/// What a run brings along for commands that must be approved.
#[derive(Clone, Copy, Default)]
pub struct Stand<'a> {
    /// `None`: nobody can be asked.
    pub desk: Option<&'a dyn Desk>,
    /// The session's own settings over the configuration, as `/exec` and `sessions.patch` leave
    /// them.
    pub host: Option<&'a str>,
    pub security: Option<&'a str>,
    pub ask: Option<&'a str>,
    pub elevated: Option<&'a str>,
    /// The person whose message this is.
    pub sender: Option<&'a Sender>,
}

/// A person on a channel, by every name the channel gives.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sender {
    pub channel: String,
    pub names: Vec<String>,
}

/// Where people are asked.
pub trait Desk: Sync {
    /// Puts the question. `then` is called once, on another thread, when it is answered or its
    /// time is over; never when `cancel` came first.
    fn ask(&self, question: Question, cancel: &Cancel, then: Then) -> Result<(), String>;

    /// Programs that the installed skills need.
    fn skill_bins(&self) -> Vec<String>;
}

/// `None`: nobody answered in time.
pub type Then = Box<dyn FnOnce(Option<Decision>, &Processes) -> After + Send>;

/// What the person sees.
#[derive(Clone, Debug)]
pub struct Question {
    pub id: String,
    pub command: String,
    pub cwd: String,
    pub security: Security,
    pub ask: Ask,
    pub agent_id: String,
    pub session_key: String,
    /// Of the first program.
    pub resolved_path: Option<String>,
    pub created_at_ms: u64,
    pub expires_at_ms: u64,
}

/// What follows an answer.
#[derive(Debug, Default)]
pub struct After {
    /// Told to the session.
    pub note: Option<String>,
    pub running: Option<Running>,
}

/// A command that was let run: the session hears so when it takes long.
#[derive(Debug)]
pub struct Running {
    pub process: String,
    pub after: Duration,
    pub note: String,
}

/// At most `most` characters.
pub fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.into(),
    }
}
