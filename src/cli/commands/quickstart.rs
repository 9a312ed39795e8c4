//! `openclaw quickstart`: a gateway with a model in a profile of its own, and a chat with it.
//!
//! Does what is missing and reuses what is there. The gateway goes on when the chat ends.

use super::super::chat::{self, Chat};
use super::super::failure::Failure;
use super::super::{Context, program};
use super::{agent, dashboard};
use crate::base::cmdline::{Command, Flag};
use crate::base::sys::child;
use crate::base::sys::signals::Signal;
use crate::client::local::Local;
use crate::config;
use crate::ops::local_model;
use crate::ops::quickstart::{self, ECHO, Prepared, Why};

/// Touches nothing of the usual state folder.
const PROFILE: &str = "quickstart";

pub const SPEC: Command = Command {
    name: "quickstart",
    summary: "Set up a gateway with a model in a profile of its own, and chat",
    flags: &[
        Flag::value("message", "text", "Send this, print the answer and end").short('m'),
        Flag::switch("stop", "Stop the gateway that quickstart started"),
    ],
    ..Command::NEW
};

pub fn run(context: &mut Context) -> Result<(), Failure> {
    let named = context.matches.text("profile");
    let profile = match context.matches.has("dev") {
        true => None,
        false => Some(named.unwrap_or(PROFILE)),
    };
    let (paths, env) =
        config::here(profile, context.matches.has("dev")).map_err(Failure::Profile)?;
    if context.matches.has("stop") {
        return stop(context, &paths);
    }
    let gateway = program::beside("openclaw-gateway");
    let prepared = quickstart::prepare(&paths, &env, &mut |line| eprintln!("  {line}"))
        .map_err(|err| Failure::of(&err))?;
    let running = quickstart::launch(&paths, &gateway).map_err(|err| Failure::of(&err))?;
    if prepared.model.starts_with("local/") {
        local_model::start(&paths).map_err(|err| Failure::of(&err))?;
    }
    let local = Local::of(prepared.snapshot.clone());
    let mut chat = Chat::open(&local)?;
    if let Some(message) = context.matches.text("message") {
        let result = chat.ask(message)?;
        return agent::show(context, result);
    }
    tell(context, &prepared, running)?;
    chat::converse(&mut chat, &mut context.out)?;
    context.out.line(format!(
        "The gateway goes on (pid {}). Chat again: openclaw quickstart. Stop it: openclaw quickstart --stop",
        running.pid
    ))?;
    Ok(())
}

fn tell(
    context: &mut Context,
    prepared: &Prepared,
    running: quickstart::Running,
) -> Result<(), Failure> {
    let snapshot = &prepared.snapshot;
    let out = &mut context.out;
    let gateway = match running.found {
        true => "running already",
        false => "started",
    };
    out.line(format!("State      {}", snapshot.paths.state.display()))?;
    out.line(format!("Model      {}: {}", prepared.model, prepared.why))?;
    out.line(format!("Gateway    {gateway}, pid {}", running.pid))?;
    out.line(format!(
        "Dashboard  {}",
        dashboard::address_with_token(snapshot)
    ))?;
    if prepared.model == ECHO || matches!(prepared.why, Why::Nothing(_)) {
        out.line(
            "No model answers: what you say comes back as it is. Set a provider's key \
             (ANTHROPIC_API_KEY, OPENAI_API_KEY, …) in the environment, then run \
             openclaw quickstart --stop and openclaw quickstart again.",
        )?;
    }
    out.line("")?;
    out.flush()?;
    Ok(())
}

fn stop(context: &mut Context, paths: &config::Paths) -> Result<(), Failure> {
    match quickstart::running(paths) {
        Some(pid) => {
            child::send(pid, Signal::Terminate);
            context
                .out
                .line(format!("The gateway (pid {pid}) stops."))?;
        }
        None => context.out.line("No gateway of this profile is running.")?,
    }
    Ok(())
}
