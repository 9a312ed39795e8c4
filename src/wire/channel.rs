//! The lines between the core and a channel worker, one JSON object each: over
//! `$RUNTIME/workers.sock`, and the same on the standard input and output of a worker in another
//! language. openclaw-channel(7) is the contract for its author.
//!
//! A worker knows its service and nothing of who may speak or what is answered: it tells the core
//! everything it hears, with what the core needs to decide, and does what it is told. Fields that a
//! side does not know are left alone, so that both may grow.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::path::PathBuf;

/// What both sides speak; a worker of another number is refused with a word.
pub const PROTOCOL: u32 = 1;
/// Longest line either side accepts, bytes: a long message of any service, several times over.
pub const MAX_LINE: usize = 256 * 1024;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum ToCore {
    /// The first line.
    Hello(Hello),
    /// A message was heard. Repeated with the same `id` until it is acknowledged.
    Inbound(Box<Inbound>),
    /// The service was read up to here and had nothing for us. Acknowledged by nothing: the next
    /// `start` brings the last one kept.
    Cursor { cursor: Value },
    /// The service has taken what `send` named.
    Sent {
        id: String,
        #[serde(default)]
        message_ids: Vec<String>,
    },
    /// A `send` could not be done.
    Failed {
        id: String,
        error: String,
        /// Nothing that waiting mends: it is not tried again.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        permanent: bool,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_after_ms: Option<u64>,
    },
    /// What changed about the account.
    Status(Status),
    /// For the log; never a secret.
    Log { level: Level, text: String },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum ToWorker {
    /// The answer to `hello`: connect to the service.
    Start(Box<Start>),
    /// It is on disk and need not be told again.
    Ack { id: String },
    /// Say this. The same `id` may come again after a crash: where the service takes a token that
    /// makes that harmless, it is made of the `id`.
    Send(Box<Send>),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Hello {
    pub protocol: u32,
    pub kind: String,
    /// Of the worker's program.
    #[serde(default)]
    pub version: String,
}

/// A message that was heard.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Inbound {
    /// Names it for ever: the same message has the same one whenever it is told.
    pub id: String,
    /// What `start` shall bring once this message is acknowledged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<Value>,
    /// Milliseconds since 1970; 0: now.
    pub timestamp: u64,
    pub chat: Chat,
    pub sender: Who,
    /// The service's name of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message_id: Option<String>,
    pub text: String,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChatKind {
    #[default]
    Dm,
    Group,
    Channel,
}

/// Where it was said.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Chat {
    pub kind: ChatKind,
    /// The service's; for a direct chat usually the person's.
    pub id: String,
    /// The target that answers go to, when it is not `id`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
}

/// Who said it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Who {
    pub id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
}

/// Everything a worker is told of the configuration.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Start {
    pub account: String,
    /// The account's section, merged, with its secrets. Never another account's.
    pub config: Value,
    /// The last one kept; null: never any.
    pub cursor: Value,
    /// The worker's own folder: for what it must keep.
    pub folder: PathBuf,
}

/// One message for the service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Send {
    pub id: String,
    pub to: String,
    /// Markdown, as the model wrote it.
    pub text: String,
    /// The service's name of the message that this one answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Status {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connected: Option<bool>,
    /// Why not, in a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Nothing that waiting mends (a refused token): not started again until the configuration of
    /// the channel changes.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub fatal: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    Error,
    Warn,
    Info,
    Debug,
}

impl From<Level> for log::Level {
    fn from(level: Level) -> log::Level {
        match level {
            Level::Error => log::Level::Error,
            Level::Warn => log::Level::Warn,
            Level::Info => log::Level::Info,
            Level::Debug => log::Level::Debug,
        }
    }
}
