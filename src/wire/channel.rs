//! The lines between the core and a channel worker, one JSON object each: over
//! `$RUNTIME/workers.sock`, and the same on the standard input and output of a worker in another
//! language. openclaw-channel(7) is the contract for its author.
//!
//! A worker knows its service and nothing of who may speak or what is answered: it tells the core
//! everything it hears, with what the core needs to decide, and does what it is told. Text that
//! goes out is already cut and written in the format the worker named. Fields that a side does not
//! know are left alone, so that both may grow; what a worker does not say of its capabilities it
//! does not have.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::path::PathBuf;

/// What both sides speak; a worker of another number is refused with a word.
pub const PROTOCOL: u32 = 1;
/// Longest line either side accepts, bytes: a long message of any service, several times over.
/// Files are no part of a line.
pub const MAX_LINE: usize = 256 * 1024;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum ToCore {
    /// The first line.
    Hello(Hello),
    /// A message was heard. Repeated with the same `id` until it is acknowledged.
    Inbound(Box<Inbound>),
    /// Something that is not a message but that the agent should know of: a reaction, a pinned
    /// message, somebody who joined. Acknowledged like `inbound`.
    Event(Box<Event>),
    /// The service was read up to here and had nothing for us. Acknowledged by nothing: the next
    /// `start` brings the last one kept.
    Cursor { cursor: Value },
    /// The service has taken what `send` named.
    Sent {
        id: String,
        #[serde(default)]
        message_ids: Vec<String>,
        /// Where it went, when the service says more than the target did (a direct chat's id).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        chat: Option<String>,
    },
    /// A `send` or something that was asked for could not be done.
    Failed {
        id: String,
        error: String,
        /// Nothing that waiting mends: it is not tried again.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        permanent: bool,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_after_ms: Option<u64>,
    },
    /// The answer to `action`, `probe`, `resolve`, `login`, `logout`.
    Done {
        id: String,
        #[serde(default)]
        result: Value,
    },
    /// What changed about the account; keys that are absent stay as they were.
    Status(Box<Status>),
    /// A step of `login`; the last word is `done` or `failed`.
    Login { id: String, step: Login },
    /// For the log; never a secret.
    Log { level: Level, text: String },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum ToWorker {
    /// The answer to `hello`: connect to the service.
    Start(Box<Start>),
    /// It is on disk and need not be told again.
    Ack {
        id: String,
    },
    /// Say this. The same `id` may come again after a crash: where the service takes a token that
    /// makes that harmless, it is made of the `id`.
    Send(Box<Send>),
    /// Something else, of the names in the capabilities: `react`, `edit`, `typing`, ...
    Action(Box<Action>),
    /// Does the account work? Quick, without a trace on the service.
    Probe {
        id: String,
        timeout_ms: u64,
    },
    /// Names to identifiers: users, chats.
    Resolve {
        id: String,
        kind: String,
        names: Vec<String>,
    },
    Login {
        id: String,
        /// Also when somebody is logged in.
        #[serde(default)]
        force: bool,
        timeout_ms: u64,
    },
    Logout {
        id: String,
    },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Hello {
    pub protocol: u32,
    pub kind: String,
    /// Of the worker's program.
    #[serde(default)]
    pub version: String,
    #[serde(default)]
    pub capabilities: Capabilities,
}

/// What the service can do. What it cannot is done in a poorer way by the core: a reaction is left
/// out, a poll becomes a list, an edit a new message.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Capabilities {
    pub format: Format,
    /// Longest text of one message, UTF-16 units; 0: no limit.
    pub text_limit: usize,
    /// Longest text that goes with a file; absent: as `text_limit`; 0: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub caption_limit: Option<usize>,
    /// Most lines of one message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line_limit: Option<usize>,
    /// Takes files.
    pub media: bool,
    /// Answers that quote the message they answer.
    pub reply: bool,
    pub threads: bool,
    pub groups: bool,
    /// Answers `probe`.
    pub probe: bool,
    /// Answers `resolve`.
    pub resolve: bool,
    /// Can be logged in to from here (`login`, `logout`).
    pub login: bool,
    /// The names of `action` it takes.
    pub actions: Vec<String>,
}

/// How text is written for the service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// Markdown is taken out.
    #[default]
    Plain,
    /// As the model wrote it; tables are made readable.
    Markdown,
    /// Telegram's HTML.
    TelegramHtml,
    /// Slack's marks.
    SlackMrkdwn,
    /// Plain text and the ranges of its styles (`Send::styles`).
    Styles,
    /// Plain text and its HTML (`Send::html`).
    Html,
}

/// A message that was heard.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Inbound {
    /// Names it for ever: the same message has the same one whenever it is told.
    pub id: String,
    /// What `start` shall bring when everything up to this message is acknowledged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<Value>,
    /// Milliseconds since 1970; 0: now.
    pub timestamp: u64,
    pub chat: Chat,
    pub sender: Sender,
    /// The service's name of it, for answers and reactions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message_id: Option<String>,
    pub text: String,
    /// The account itself is named, in a way of the service's own; absent: it cannot tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mentioned: Option<bool>,
    /// Somebody else is.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub mentions_others: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<Quoted>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forwarded: Option<Forwarded>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub media: Vec<Media>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<Location>,
    /// Chosen from the service's own list of commands, not typed as text.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub command: bool,
    /// More about the chat that strangers can write, such as its topic.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub untrusted: Vec<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
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
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// A guild, team or workspace: its id and name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub space: Option<Named>,
    /// The chat a thread belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<Named>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thread: Option<Thread>,
    /// A group whose threads are topics (Telegram's forums).
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub forum: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Named {
    pub id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Thread {
    pub id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// The text of the message it hangs on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub starter: Option<String>,
    /// The account's own message is what it hangs on.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub own: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Sender {
    pub id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// Other forms under which a list of the configuration may name it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub bot: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Quoted {
    pub id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sender: Option<String>,
    /// The account said it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub own: bool,
    /// Only a part, chosen by the sender.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub part: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Forwarded {
    pub from: String,
    /// Milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<u64>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MediaKind {
    Image,
    Video,
    Audio,
    Sticker,
    #[default]
    Document,
}

/// A file. What was heard is in the worker's own folder, and the core takes it from there; what is
/// to be sent is anywhere, and only to be read.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Media {
    pub kind: MediaKind,
    /// Absent: it could not be had, `error` says why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mime: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Audio that is to be heard as a voice message.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub voice: bool,
    /// A moving picture.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub gif: bool,
    /// What a sticker stands for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub emoji: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Location {
    pub latitude: f64,
    pub longitude: f64,
    /// Metres.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accuracy: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub live: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Event {
    pub id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<Value>,
    pub chat: Chat,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sender: Option<Sender>,
    pub what: What,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(
    tag = "type",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
pub enum What {
    #[default]
    Nothing,
    Reaction {
        emoji: String,
        #[serde(default)]
        removed: bool,
        message_id: String,
        /// The account said the message.
        #[serde(default)]
        own: bool,
    },
    /// The sentence for the agent.
    Note { text: String },
    /// The group goes on under another id.
    Moved { to: String },
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
    /// The worker's own folder, for what it must keep and for files.
    pub folder: PathBuf,
    /// Largest file to be fetched, bytes.
    pub media_limit: u64,
    /// What the service may be asked to show as our commands.
    pub commands: Vec<Command>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Command {
    pub name: String,
    pub description: String,
}

/// One message of the service: cut, written in the worker's format.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Send {
    pub id: String,
    /// By the service's grammar of targets.
    pub to: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thread: Option<String>,
    pub text: String,
    /// The same without marks, for a service that refuses `text`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plain: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub html: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub styles: Vec<Style>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub media: Option<Media>,
    /// Without a sound at the other end.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub silent: bool,
    /// Rows of buttons.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub buttons: Vec<Vec<Button>>,
}

/// A range of the text in UTF-16 units.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Style {
    pub start: usize,
    pub length: usize,
    pub style: StyleKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StyleKind {
    CodeBlock,
    Code,
    Bold,
    Italic,
    Strikethrough,
    Spoiler,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Button {
    pub text: String,
    /// Comes back as the text of a message of who presses it.
    pub data: String,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Action {
    pub id: String,
    /// One of the capabilities' `actions`.
    pub action: String,
    pub to: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thread: Option<String>,
    /// By the original's names: `messageId`, `emoji`, `remove`, `message`, `question`, ...
    pub params: Value,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Status {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connected: Option<bool>,
    /// Why not, in a sentence; empty: no trouble any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Nothing that waiting mends (a refused token): not started again until the configuration of
    /// the channel changes or somebody asks.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub fatal: bool,
    /// Who we are on the service: `id`, `username`, ...
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<Value>,
    /// `polling`, `webhook`, `socket`, ...
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reconnect_attempts: Option<u32>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Login {
    /// The text of a QR code.
    Qr(String),
    /// To be typed at the service.
    Code(String),
    Url(String),
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
