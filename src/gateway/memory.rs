//! The core's side of the memory index: has it started at the first question, and stopped when
//! nobody has asked for a while.
//!
//! Another program of our user may put a socket in its place; it is believed only when it has the
//! pid of the child the supervisor started.

use super::core::Core;
use crate::base::sys::peer;
use crate::memory::{PROGRAM, WORKER_ID};
use crate::wire::control::{Limits, Worker};
use std::io;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// For the index to come up.
const START: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_millis(5);
/// Without a question for so long it is stopped.
const IDLE: Duration = Duration::from_secs(60);
/// Its address space: many times what it needs, and less than would hurt.
const MEMORY: u64 = 512 * 1024 * 1024;

/// Tells the tools how to reach the index.
pub fn attach(core: &Arc<Core>) {
    let asker = Arc::downgrade(core);
    core.agents.memory.connect_by(move || {
        let core = asker.upgrade().ok_or(io::ErrorKind::NotConnected)?;
        connect(&core)
    });
}

fn connect(core: &Core) -> io::Result<UnixStream> {
    core.supervisor.want_also(Worker {
        id: WORKER_ID.into(),
        argv: vec![PROGRAM.into()],
        limits: Limits {
            memory: Some(MEMORY),
            files: None,
        },
    });
    let socket = core.config.paths().memory_sock();
    let until = Instant::now() + START;
    loop {
        let pid = core.supervisor.child(WORKER_ID).and_then(|child| child.pid);
        let connected = UnixStream::connect(&socket).and_then(|stream| {
            let theirs = peer::credentials(&stream)?.pid;
            match pid.is_some() && theirs.is_none_or(|theirs| Some(theirs) == pid) {
                true => Ok(stream),
                false => Err(io::ErrorKind::PermissionDenied.into()),
            }
        });
        match connected {
            Err(_) if Instant::now() < until => std::thread::sleep(LOOK),
            other => return other,
        }
    }
}

/// Once a minute.
pub fn sweep(core: &Core) {
    let memory = &core.agents.memory;
    if memory.last_used().is_some_and(|at| at.elapsed() >= IDLE) {
        memory.forget();
        core.supervisor.unwant(WORKER_ID);
    }
}
