//! The lines between the core and the tool runner (`openclaw-exec`), one JSON object each.
//!
//! The core connects to `$RUNTIME/exec.sock`; the runner serves one connection, a newer one replaces
//! it. A command belongs to the connection that asked for it: when that ends, the command is killed,
//! because nobody is left who could show, bound or stop it. One that was to be kept waits a while
//! for the next connection, which is told of it first.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Longest line either side accepts, bytes. Output comes in chunks far below it.
pub const MAX_LINE: usize = 1024 * 1024;
/// Longest note about a command that is kept, bytes.
pub const MAX_NOTE: usize = 4096;
/// Most of the output of one that is kept, bytes: that of 128 fits into what may wait for a core.
pub const KEPT_OUTPUT: usize = 16 * 1024;
/// Most bytes of output in one `output` line.
pub const OUTPUT_CHUNK: usize = 8 * 1024;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum ToRunner {
    /// Start a command. `id` is the core's and names it from now on.
    Run(Box<Run>),
    /// Write to its standard input; `data` is base64. What cannot be taken is answered by
    /// `refused`.
    Write {
        id: String,
        data: String,
        #[serde(default)]
        eof: bool,
    },
    /// From now on it outlives this connection; the next one gets `note` back, and of the output
    /// the last. `output`, base64, is the last of what it printed so far.
    Keep {
        id: String,
        note: String,
        output: String,
    },
    /// End it with everything it started: TERM, then KILL after `grace_ms` (0: KILL at once).
    Kill { id: String, grace_ms: u64 },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Run {
    pub id: String,
    /// `[shell, "-c", command]`.
    pub argv: Vec<String>,
    pub cwd: PathBuf,
    /// The whole environment of the command: nothing is inherited.
    pub env: BTreeMap<String, String>,
    /// Killed after this long, milliseconds; 0 means never.
    pub timeout_ms: u64,
    /// A pseudo terminal of this size instead of pipes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pty: Option<PtySize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sandbox: Option<Sandbox>,
    #[serde(default)]
    pub limits: RunLimits,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PtySize {
    pub cols: u16,
    pub rows: u16,
}

/// What the kernel should let the command reach, besides the system's programs and a private
/// `TMPDIR` of the run. Without the means to enforce all of it the command is not started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Sandbox {
    /// Readable and executable.
    pub read: Vec<PathBuf>,
    /// Readable and writable.
    pub write: Vec<PathBuf>,
    pub network: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RunLimits {
    /// Writable memory of each process, and of all processes of the command together, bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<u64>,
    /// Largest file it may write, bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub open_files: Option<u64>,
    /// Processes alive at once in the command's tree.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub processes: Option<u64>,
    /// CPU seconds of each process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_seconds: Option<u64>,
    /// Thousandths of a processor that the command may use; only where it has a control group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_millis: Option<u64>,
    /// Bytes that must stay free on the disks it can write to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk_reserve: Option<u64>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Kept {
    pub id: String,
    pub note: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum FromRunner {
    /// First line of a connection.
    Hello {
        protocol: u32,
        pid: u32,
        /// What this kernel can enforce: `landlock`, `seccomp`, `signals` (no signal leaves the
        /// sandbox, yet those inside work), `namespaces` (private temp folders and loopback),
        /// `cgroup` (a run is killed at once) with `cgroup.pids`, `cgroup.memory`, `cgroup.cpu`.
        enforces: Vec<String>,
        /// What the connection before this one left to be kept. What each printed comes next, as
        /// `output`.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        kept: Vec<Kept>,
    },
    Started {
        id: String,
        pid: u32,
    },
    /// Output in arrival order, stdout and stderr together; `data` is base64.
    Output {
        id: String,
        data: String,
    },
    /// The last line of a command, after all its output.
    Exited {
        id: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        code: Option<i32>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        signal: Option<i32>,
        timed_out: bool,
    },
    /// It could not be started.
    Failed {
        id: String,
        error: String,
    },
    /// A `write` was not taken: its standard input is closed, or full.
    Refused {
        id: String,
        error: String,
    },
}
