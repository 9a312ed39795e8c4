//! What a kind of channel brings: one file or folder of `channel/`, one row in `channel/mod.rs`.
//!
//! The worker around it owns the link to the core, the spool and every retry; a kind only speaks
//! with its service. It blocks as it likes: `receive` has a thread of its own, everything else
//! another.

use crate::wire::channel::{
    Action, Capabilities, Event, Inbound, Level, Login, Send as Outgoing, Start, Status,
};
use serde_json::Value;
use std::fmt;
use std::time::Duration;

/// A row of the table.
pub struct Kind {
    /// As in the configuration and in `openclaw-channel KIND`.
    pub name: &'static str,
    pub capabilities: fn() -> Capabilities,
    /// Looks at the configuration only; connects to nothing.
    pub open: fn(&Start) -> Result<Box<dyn Account>, Failed>,
}

/// One account of a service.
pub trait Account: Send + Sync {
    /// Connects and listens, again and again, until `stop` or until nothing helps. What goes wrong
    /// and is tried again is told by `Ears::status`.
    fn receive(&self, ears: &dyn Ears) -> Result<(), Failed>;

    fn send(&self, message: &Outgoing) -> Result<Sent, Failed>;

    fn act(&self, action: &Action) -> Result<Value, Failed> {
        Err(Failed::unable(&action.action))
    }

    /// Quick, and leaves no trace: the original's object, `{ok, elapsedMs, bot, ...}`.
    fn probe(&self, patience: Duration) -> Result<Value, Failed>;

    /// One answer for each name: `{input, resolved, id?, name?, note?}`.
    fn resolve(&self, _kind: &str, _names: &[String]) -> Result<Value, Failed> {
        Err(Failed::unable("resolve"))
    }

    /// Blocks until somebody has logged in; the answer says who as.
    fn login(
        &self,
        _force: bool,
        _patience: Duration,
        _step: &dyn Fn(Login),
    ) -> Result<Value, Failed> {
        Err(Failed::unable("login"))
    }

    fn logout(&self) -> Result<Value, Failed> {
        Err(Failed::unable("logout"))
    }

    /// Makes `receive` return soon. Called from any thread, more than once.
    fn stop(&self);
}

/// Who listens to what a kind hears.
pub trait Ears: Sync {
    /// On disk when this returns; blocks while the spool is full. The service may forget the
    /// message only once `settled` has seen its cursor.
    fn inbound(&self, message: Inbound);
    fn event(&self, event: Event);
    /// Read up to here, nothing for us in it.
    fn cursor(&self, cursor: Value);
    /// The newest cursor up to which the core has everything.
    fn settled(&self) -> Value;
    fn status(&self, status: Status);
    fn log(&self, level: Level, text: &str);
    /// Waits that long, or less when the account is to stop: then true.
    fn wait(&self, time: Duration) -> bool;
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    pub message_ids: Vec<String>,
    pub chat: Option<String>,
}

/// Why something could not be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    /// Never a secret: it is logged and shown.
    pub error: String,
    pub permanent: bool,
    pub retry_after: Option<Duration>,
}

impl Failed {
    /// Waiting may mend it.
    pub fn for_now(error: impl Into<String>) -> Failed {
        Failed {
            error: error.into(),
            permanent: false,
            retry_after: None,
        }
    }

    pub fn for_good(error: impl Into<String>) -> Failed {
        Failed {
            permanent: true,
            ..Failed::for_now(error)
        }
    }

    pub fn after(mut self, time: Duration) -> Failed {
        self.retry_after = Some(time);
        self
    }

    fn unable(what: &str) -> Failed {
        Failed::for_good(format!("this channel has no {what}"))
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.error)
    }
}
