//! The lines between supervisor and core, over a socket pair, one JSON object each.
//!
//! A line that does not parse is a bug of a sibling, not input: the reader ends and the supervisor
//! decides.

use crate::base::secret::Secret;
use serde::{Deserialize, Serialize};

/// Longest line either side accepts, bytes.
pub const MAX_LINE: usize = 256 * 1024;

/// Name, in the core's environment, of the descriptor number of its end of the socket pair.
pub const FD_VARIABLE: &str = "OPENCLAW_CONTROL_FD";

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum ToSupervisor {
    /// The whole set of children that should run now; the supervisor starts, stops and replaces
    /// until that is so.
    Want { workers: Vec<Worker> },
    /// This child is not wanted, whoever asked for it; the others stay.
    Part { id: String },
    /// The core accepts connections. Also the answer to `ping` and to `reload`.
    Ready { status: String },
    /// Replace this core by a fresh one (configuration asks for it, or an operator does).
    Restart { reason: String },
    /// End the gateway.
    Stop { reason: String },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Worker {
    /// `exec`, `local-model`, `telegram/default`, …
    pub id: String,
    /// `argv[0]` is a program name looked up beside our own executable, or an absolute path.
    pub argv: Vec<String>,
    #[serde(default)]
    pub limits: Limits,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Limits {
    /// Address space, bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<u64>,
    /// Open descriptors.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub files: Option<u64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum ToCore {
    /// The first line: how the gateway was started. Secrets travel here, never in argv or
    /// environment.
    Begin { protocol: u32, flags: Box<Flags> },
    /// Answer with `ready`: asked for the service manager's watchdog.
    Ping,
    /// A child changed state.
    Child {
        id: String,
        state: ChildState,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pid: Option<u32>,
        /// `exit 1`, `signal 9`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        exit: Option<String>,
        restarts: u32,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        next_start_ms: Option<u64>,
    },
    /// Say goodbye to clients and workers and end; what is not done in `grace_ms` is killed.
    Stop {
        restarting: bool,
        reason: String,
        grace_ms: u64,
    },
    /// Read the configuration again (SIGHUP).
    Reload,
}

/// What was typed on the supervisor's command line and concerns the core.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Flags {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub dev: bool,
    /// The configuration file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bind: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<Secret>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tailscale: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub tailscale_reset: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub allow_unconfigured: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub verbose: bool,
    /// Only that subsystem on the console.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub claude_cli_logs: bool,
    /// For the time of one command.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub embedded: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ChildState {
    Starting,
    Running,
    /// Waiting for its next start.
    Backoff,
    Stopped,
}
