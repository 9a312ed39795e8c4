//! `exec`: runs a shell command through the tool runner, and lets it go on in the background when
//! it takes longer than the call waits.
//!
//! Where a command may run is decided in `host` (and `elevated`), what it sees of our environment
//! in `env`, what a sandboxed one reaches and uses in `cage`, and in `contain` how it runs in a
//! container; `ask` is the way of those that a person must approve.

mod ask;
mod cage;
mod contain;
pub mod elevated;
mod env;
mod host;
pub mod job;

use super::approve::Store;
use super::confine::{self, Room, tidy};
use super::process::session::Session;
use super::process::{Wait, output};
use super::{Call, Context, Error, Output, Tool};
use crate::base::time;
use crate::wire::exec::{PtySize, Run};
use host::{Candidate, Place, Settings};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

pub const TOOL: Tool = Tool {
    name: "exec",
    summary: "Run shell commands (pty available for TTY-required CLIs)",
    description: "Runs a shell command and returns what it prints. A command that takes longer than \
        yieldMs goes on in the background (background: true puts it there at once); the process tool \
        looks after it then. pty: true gives it a terminal, for programs that want one.",
    parameters: r#"{"type":"object","required":["command"],"properties":{
        "command":{"description":"The shell command","type":"string"},
        "workdir":{"description":"Folder to run it in (default: the workspace)","type":"string"},
        "env":{"type":"object","additionalProperties":{"type":"string"}},
        "yieldMs":{"description":"Milliseconds to wait before it goes on in the background (default 10000)","type":"number"},
        "background":{"description":"Put it in the background at once","type":"boolean"},
        "timeout":{"description":"Seconds after which it is killed","type":"number"},
        "pty":{"description":"Give it a pseudo terminal (programs that need a TTY, coding agents)","type":"boolean"},
        "elevated":{"description":"Run it on the host with elevated permissions, where that is allowed","type":"boolean"},
        "host":{"description":"Where to run it (sandbox|gateway|node)","type":"string"},
        "security":{"description":"Security mode (deny|allowlist|full)","type":"string"},
        "ask":{"description":"Ask mode (off|on-miss|always)","type":"string"},
        "node":{"description":"Id or name of the node for host=node","type":"string"}}}"#,
    run,
};

/// How long a call waits before its command goes on in the background, milliseconds.
const YIELD_MS: f64 = 10_000.0;
const YIELD_LEAST: f64 = 10.0;
const YIELD_MOST: f64 = 120_000.0;
/// When a command is killed, seconds.
const TIMEOUT_SECONDS: f64 = 1800.0;
/// How long a finished background session is kept, milliseconds.
const KEEP_MS: u64 = 30 * 60 * 1000;
const KEEP_LEAST: u64 = 60 * 1000;
const KEEP_MOST: u64 = 3 * 60 * 60 * 1000;
/// The runner says whether a command started well within this.
const START: Duration = Duration::from_secs(6);
const TERMINAL: PtySize = PtySize {
    cols: 120,
    rows: 30,
};

fn run(call: &Call, ctx: &Context) -> Result<Output, Error> {
    let command = call
        .first_of(&["command"])
        .ok_or("Provide a command to start.")?;
    let settings = Settings::of(ctx);
    let room = confine::room(ctx)?;
    let place = host::place(call, ctx, &settings, room.is_some())?;
    let room = room.filter(|_| place == Place::Inside);
    let mut warnings = Vec::new();
    let cwd = folder(call, ctx, room.as_ref(), &mut warnings);
    let given = env::given(call, room.is_some())?;
    let shown = ask::shown(command, &given);
    let has_env = !given.is_empty();
    let (wait, may_background) = patience(call, ctx, &settings, &mut warnings);
    let timeout = timeout(call, &settings);
    let mut pty = call.flag("pty").unwrap_or(false);
    if pty && room.is_some() {
        warnings.push("Warning: there is no terminal in the sandbox; running without one.".into());
        pty = false;
    }
    let shell = env::shell(&ctx.config.env, room.is_some());
    let env = env::whole(
        &ctx.config.env,
        &settings.list("pathPrepend"),
        &shell,
        room.as_ref(),
        with_variables(given.clone(), ctx, room.is_some()),
        pty,
    );
    let mut job = Job {
        agent_id: ctx.agent_id.into(),
        session_key: ctx.session_key.into(),
        command: command.into(),
        notify: settings.flag("notifyOnExit").unwrap_or(true),
        keep: Duration::from_millis(
            settings
                .number("cleanupMs")
                .map_or(KEEP_MS, |ms| (ms as u64).clamp(KEEP_LEAST, KEEP_MOST)),
        ),
        output_limit: output_limit(ctx),
        timeout,
        run: Run {
            id: String::new(),
            argv: vec![shell.clone(), "-c".into(), command.into()],
            env,
            cwd,
            timeout_ms: timeout.map_or(0, |t| u64::try_from(t.as_millis()).unwrap_or(u64::MAX)),
            pty: pty.then_some(TERMINAL),
            sandbox: room.as_ref().map(cage::fences),
            limits: room.as_ref().map(cage::limits).unwrap_or_default(),
        },
    };
    if let Some(room) = &room {
        contain::contain(ctx, room, given, command, &mut job.run)?;
    }
    let warnings = if warnings.is_empty() {
        String::new()
    } else {
        format!("{}\n\n", warnings.join("\n"))
    };
    if let Place::Gateway { security, ask } = place {
        let store = Store::of(ctx.processes.paths());
        let candidate = Candidate {
            command,
            cwd: &job.run.cwd,
            shell: &shell,
            path: job.run.env.get("PATH").map_or("", String::as_str),
            has_env,
        };
        let ruling = host::rule(ctx, &settings, (security, ask), &store, &candidate)?;
        if ruling.must_ask() {
            let notice = ask::running_notice(&settings);
            return ask::ask(ctx, ruling, store, job, shown, notice, &warnings);
        }
        if !ruling.is_listed() {
            return Err("exec denied: allowlist miss".into());
        }
        ask::note_use(&store, &ruling, command);
    }
    let (session, run) = job.split(None);
    let id = ctx.processes.start(session, run)?;
    ctx.processes.wait_started(&id, START);
    let until = wait.map(|wait| Instant::now() + wait);
    let ended = ctx.processes.wait(
        &id,
        until,
        ctx.cancel,
        |session| Output::text(session.tail()).with_details(session.running_details()),
        ctx.update,
    );
    match ended {
        Wait::Cancelled => {
            ctx.processes.kill(&id);
            ctx.processes.take(&id);
            Err("Command aborted by signal SIGKILL".into())
        }
        Wait::TimeUp if may_background && ctx.processes.background(&id) => {
            goes_on(ctx, &id, &warnings)
        }
        Wait::TimeUp | Wait::Exited => finished(ctx, &id, &warnings),
    }
}

/// A command ready to start, now or when somebody has said yes.
struct Job {
    agent_id: String,
    session_key: String,
    command: String,
    notify: bool,
    keep: Duration,
    output_limit: usize,
    timeout: Option<Duration>,
    run: Run,
}

impl Job {
    /// `approval`: the id of the question that let it run.
    fn split(self, approval: Option<String>) -> (Session, Run) {
        let session = Session {
            id: String::new(),
            agent_id: self.agent_id,
            session_key: self.session_key,
            command: self.command,
            cwd: self.run.cwd.display().to_string(),
            pid: None,
            started_ms: time::now_ms(),
            started: Instant::now(),
            output: output::Output::new(self.output_limit),
            end: None,
            backgrounded: false,
            mark: None,
            stdin_open: true,
            notify: self.notify,
            approval,
            keep: self.keep,
            timeout: self.timeout,
        };
        (session, self.run)
    }
}

/// What the run's skills give a command, under what the call gave. Not into a sandbox: there may
/// be secrets among it.
fn with_variables(
    given: BTreeMap<String, String>,
    ctx: &Context,
    caged: bool,
) -> BTreeMap<String, String> {
    if caged {
        return given;
    }
    let mut all = ctx.variables.clone();
    all.extend(given);
    all
}

fn goes_on(ctx: &Context, id: &str, warnings: &str) -> Result<Output, Error> {
    let look = |session: &mut Session| (session.pid, session.running_details());
    let (pid, details) = ctx.processes.with(id, look).ok_or("The command is gone.")?;
    let pid = pid.map_or("n/a".into(), |pid| pid.to_string());
    Ok(Output::text(format!(
        "{warnings}Command still running (session {id}, pid {pid}). Use process \
         (list/poll/log/write/kill/clear/remove) for follow-up."
    ))
    .with_details(details))
}

fn finished(ctx: &Context, id: &str, warnings: &str) -> Result<Output, Error> {
    let session = ctx.processes.take(id).ok_or("The command is gone.")?;
    let end = session
        .end
        .as_ref()
        .ok_or("The command is still running.")?;
    let printed = session.output.all().trim();
    if !end.is_success() {
        let reason = end.reason(session.timeout);
        let parts = [printed, &reason];
        let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        return Err(Error(format!("{warnings}{}", parts.join("\n\n"))));
    }
    let shown = if printed.is_empty() {
        "(no output)"
    } else {
        printed
    };
    Ok(
        Output::text(format!("{warnings}{shown}")).with_details(json!({
            "status": "completed",
            "exitCode": end.code.unwrap_or(0),
            "durationMs": u64::try_from(session.runtime().as_millis()).unwrap_or(u64::MAX),
            "aggregated": printed,
            "cwd": session.cwd,
        })),
    )
}

/// The folder asked for, or the workspace with a warning.
fn folder(call: &Call, ctx: &Context, room: Option<&Room>, warnings: &mut Vec<String>) -> PathBuf {
    let base = match room {
        Some(room) => room.root.clone(),
        None => ctx.workspace.clone(),
    };
    let base = if base.is_dir() {
        base
    } else {
        ctx.processes.paths().home.clone()
    };
    let Some(wanted) = call.first_of(&["workdir"]).map(str::trim) else {
        return base;
    };
    let path = match wanted.strip_prefix("~") {
        Some("") => ctx.processes.paths().home.clone(),
        Some(rest) if rest.starts_with('/') => ctx.processes.paths().home.join(&rest[1..]),
        _ => tidy(&base.join(wanted)),
    };
    let path = room
        .and_then(|room| room.outside(&ctx.workspace, &path))
        .unwrap_or(path);
    let allowed = |path: &Path| room.is_none_or(|room| room.holder(path).is_some());
    match path.canonicalize() {
        Ok(real) if real.is_dir() && allowed(&real) => path,
        _ => {
            let base = base.display();
            warnings.push(format!(
                "Warning: workdir \"{wanted}\" is unavailable; using \"{base}\"."
            ));
            PathBuf::from(base.to_string())
        }
    }
}

/// How long to wait (`None`: to the end), and whether the command may go on after that.
fn patience(
    call: &Call,
    ctx: &Context,
    settings: &Settings,
    warnings: &mut Vec<String>,
) -> (Option<Duration>, bool) {
    let background = call.flag("background").unwrap_or(false);
    if !ctx.tools.iter().any(|tool| tool.name == "process") {
        if background || call.number("yieldMs").is_some() {
            warnings.push(
                "Warning: without the process tool nothing runs in the background; waiting for \
                 the command."
                    .into(),
            );
        }
        return (None, false);
    }
    if background {
        return (Some(Duration::ZERO), true);
    }
    let from_env = ctx.config.env.get("PI_BASH_YIELD_MS");
    let ms = call
        .number("yieldMs")
        .or_else(|| settings.number("backgroundMs"))
        .or_else(|| from_env.and_then(|text| text.parse().ok()))
        .unwrap_or(YIELD_MS)
        .clamp(YIELD_LEAST, YIELD_MOST);
    (Some(Duration::from_millis(ms as u64)), true)
}

/// Zero or less means never.
fn timeout(call: &Call, settings: &Settings) -> Option<Duration> {
    let seconds = call
        .number("timeout")
        .or_else(|| settings.number("timeoutSec"))
        .unwrap_or(TIMEOUT_SECONDS);
    Duration::try_from_secs_f64(seconds)
        .ok()
        .filter(|timeout| !timeout.is_zero())
}

fn output_limit(ctx: &Context) -> usize {
    let set = ctx.config.env.get("PI_BASH_MAX_OUTPUT_CHARS");
    set.and_then(|text| text.parse().ok())
        .unwrap_or(output::MAX_CHARS)
}
