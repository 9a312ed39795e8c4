//! The client side of the gateway's control plane: connect, prove who we are, call, listen.
//!
//! Used by `openclaw`, `openclawctl` and the node host. One connection per command, one deadline
//! over everything a command waits for (name lookup, connect, handshake, answer). The gateway of
//! this machine is reached by its socket, where the kernel says who we are and no secret is sent;
//! any other is reached by `ws://` or `wss://` with the shared secret or the device token stored
//! from an earlier pairing, and a signature by the device key.
//!
//! A gateway is a less trusted peer: messages are bounded, unknown frames are skipped, unknown
//! error codes are kept as text.

mod connection;
mod error;
mod handshake;
mod identity;
pub mod local;
mod stream;
mod tls;
mod tokens;
mod watch;

pub use connection::{Client, Event, Frame};
pub use error::Error;
pub use handshake::{Mode, Who};
pub use identity::Identity;
pub use local::Local;
pub use watch::{News, Watch};

use crate::config::client::Target;
use crate::config::{Paths, Snapshot};
use serde_json::Value;
use std::time::Duration;

/// For a command that names none.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// Everything a connection needs to know about this side.
#[derive(Clone, Debug)]
pub struct Caller {
    pub target: Target,
    pub paths: Paths,
    pub who: Who,
    /// Present the device token stored from an earlier pairing instead of the shared token, and
    /// keep the one this connection brings. Off when the user named the secret or the gateway.
    pub stored_token: bool,
}

impl Caller {
    pub fn new(snapshot: &Snapshot, target: Target, explicit: bool) -> Caller {
        Caller {
            target,
            paths: snapshot.paths.clone(),
            who: Who::cli(),
            stored_token: !explicit,
        }
    }

    pub fn with(mut self, who: Who) -> Caller {
        self.who = who;
        self
    }

    pub fn connect(&self, timeout: Duration) -> Result<Client, Error> {
        Client::connect(self, timeout)
    }

    /// Connects, calls once, and hangs up.
    pub fn call(
        &self,
        method: &str,
        params: Option<&Value>,
        timeout: Duration,
    ) -> Result<Value, Error> {
        self.connect(timeout)?.call(method, params)
    }

    /// As `call`, but waits past an answer that only says `accepted`.
    pub fn call_expect_final(
        &self,
        method: &str,
        params: Option<&Value>,
        timeout: Duration,
    ) -> Result<Value, Error> {
        self.connect(timeout)?.call_expect_final(method, params)
    }
}
