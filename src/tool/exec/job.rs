//! A command of the program's own, asked for by an operator and waited for: through the tool runner
//! like the agent's, outside of any sandbox, with the environment a command gets there.

use super::env;
use crate::base::cancel::Cancel;
use crate::base::time;
use crate::config::Env;
use crate::tool::process::session::Session;
use crate::tool::process::{Processes, Wait, output};
use crate::wire::exec::{Run, RunLimits};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// What the runner needs to report a killed command's end, beyond its limit.
const SLACK: Duration = Duration::from_secs(10);
/// A finished job is taken at once; this only bounds what a lost waiter leaves behind.
const KEEP: Duration = Duration::from_secs(60);
/// Bytes of input in one line to the runner, which is longer by a third.
const INPUT_PART: usize = 128 * 1024;

pub struct Job<'a> {
    /// In lists and logs.
    pub name: &'a str,
    /// Not a shell's line: the program and its words.
    pub argv: Vec<String>,
    pub cwd: PathBuf,
    pub env: &'a Env,
    /// Variables besides those every command gets.
    pub with: BTreeMap<String, String>,
    /// All of its standard input.
    pub input: Option<Vec<u8>>,
    pub limit: Duration,
    /// Of the run it belongs to, if it belongs to one.
    pub cancel: Option<&'a Cancel>,
}

/// How it ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Ended {
    pub code: Option<i32>,
    /// Both streams, bounded like the agent's.
    pub output: String,
    /// Why it counts as failed.
    pub failure: Option<String>,
}

/// Runs it to its end. The error says why it was not run.
pub fn run(processes: &Processes, job: &Job) -> Result<Ended, String> {
    let shell = env::shell(job.env, false);
    let session = Session {
        id: String::new(),
        agent_id: String::new(),
        session_key: job.name.into(),
        command: job.name.into(),
        cwd: job.cwd.display().to_string(),
        pid: None,
        started_ms: time::now_ms(),
        started: Instant::now(),
        output: output::Output::new(output::MAX_CHARS),
        end: None,
        backgrounded: false,
        mark: None,
        stdin_open: job.input.is_some(),
        notify: false,
        approval: None,
        keep: KEEP,
        timeout: Some(job.limit),
    };
    let run = Run {
        id: String::new(),
        argv: job.argv.clone(),
        env: env::whole(job.env, &[], &shell, None, job.with.clone(), false),
        cwd: job.cwd.clone(),
        timeout_ms: u64::try_from(job.limit.as_millis()).unwrap_or(u64::MAX),
        pty: None,
        sandbox: None,
        limits: RunLimits::default(),
    };
    let id = processes.start(session, run)?;
    if let Some(input) = &job.input {
        for part in input.chunks(INPUT_PART) {
            // One that reads no further has what it wants.
            let _ = processes.write(&id, part, false);
        }
        let _ = processes.write(&id, &[], true);
    }
    let until = Some(Instant::now() + job.limit + SLACK);
    let never = Cancel::new();
    let cancel = job.cancel.unwrap_or(&never);
    let waited = processes.wait(&id, until, cancel, |_| (), drop);
    if waited != Wait::Exited {
        processes.kill(&id);
    }
    if waited == Wait::Cancelled {
        processes.take(&id);
        return Err("the run was cancelled".into());
    }
    let session = processes.take(&id).ok_or("the command is gone")?;
    let failure = match &session.end {
        None => Some("it did not end in time".into()),
        Some(end) if end.is_success() => None,
        Some(end) => Some(end.reason(session.timeout)),
    };
    Ok(Ended {
        code: session.end.as_ref().and_then(|end| end.code),
        output: session.output.all().trim().to_string(),
        failure,
    })
}
