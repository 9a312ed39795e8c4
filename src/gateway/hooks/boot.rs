//! `boot-md`: when the gateway starts the agent does what its `BOOT.md` says, in its main session.

use super::{Core, Event};
use crate::agent::inbound;
use crate::agent::workspace;
use crate::base::id;
use crate::config::{Snapshot, sandbox};
use crate::gateway::runs::{self, Kind};
use crate::gateway::sessions::{self, Touch};
use crate::gateway::turns::{self, Start};
use std::io::Read;
use std::sync::Arc;

const FILE: &str = "BOOT.md";
const MAX_READ: u64 = 64 * 1024;
const MAX_CHARS: usize = 20_000;

pub fn run(core: &Arc<Core>, config: &Arc<Snapshot>, event: &Event) -> Result<(), String> {
    let folder = config.config.workspace(&event.agent, core.config.paths());
    let fenced = sandbox::is_used(&config.config, &event.agent);
    let mut bytes = Vec::new();
    let read = workspace::open(&folder, FILE, fenced)
        .and_then(|file| file.take(MAX_READ).read_to_end(&mut bytes));
    match read {
        Err(err) if err.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        other => other.map_err(|err| format!("{FILE}: {err}"))?,
    };
    let text = String::from_utf8_lossy(&bytes);
    if text.trim().is_empty() {
        return Ok(());
    }
    let text = format!(
        "The gateway has just started. Do what the file BOOT.md below says, and nothing else. \
         Messages to people go through the message tool, if you have it. When there is nothing to \
         say, answer with NO_REPLY alone.\n\nBOOT.md:\n{}",
        inbound::cut(text.trim(), MAX_CHARS)
    );
    let id = id::uuid();
    let run = Arc::new(runs::Run::new(&id, &event.key, &event.key, Kind::Agent));
    // Of an id made for this run there is no other one.
    core.agents.runs.begin(&run);
    let session_id = match sessions::touch(core, &event.key, Touch::Agent, |_| {}) {
        Ok(session_id) => session_id,
        Err(err) => {
            core.agents.runs.withdraw(&run);
            return Err(err.to_string());
        }
    };
    turns::start(
        core,
        Start {
            finish: Box::new(|ending, _| match ending {
                Ok(_) => log::info!(target: "hooks", "boot-md: done"),
                Err(why) => log::warn!(target: "hooks", "boot-md: {why}"),
            }),
            ..Start::new(core, run, session_id, text)
        },
    );
    Ok(())
}
