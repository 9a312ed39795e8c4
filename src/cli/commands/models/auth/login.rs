//! `openclaw models auth login` and `login-github-copilot`: logins made in a browser, wherever that
//! is: a code is shown here and typed there.

use super::token::at_terminal;
use crate::base::cancel::Cancel;
use crate::base::cmdline::{Command, Flag};
use crate::cli::Context;
use crate::cli::ask::Ask;
use crate::cli::failure::Failure;
use crate::model::credential::Profiles;
use crate::model::credential::device::{self, Polled, Service};
use crate::model::name::provider_id;
use crate::ops::models::{self, Chain};
use std::time::Instant;

pub const SPEC: Command = Command {
    name: "login",
    summary: "Log in at a provider in a browser",
    about: "For the providers that let a device without a browser ask: github-copilot, qwen-portal.",
    flags: &[
        Flag::value("method", "id", "Way of logging in: device"),
        Flag::value("provider", "id", "Where to log in"),
        Flag::switch("set-default", "Make the provider's usual model the default"),
    ],
    ..Command::NEW
};

pub const COPILOT: Command = Command {
    name: "login-github-copilot",
    summary: "Log in at GitHub for Copilot's models",
    flags: &[
        Flag::value("profile-id", "id", "Name of the profile").default("github-copilot:github"),
        Flag::switch("yes", "Replace a profile of that name without asking"),
    ],
    ..Command::NEW
};

pub fn run(context: &mut Context) -> Result<(), Failure> {
    at_terminal("models auth login requires an interactive TTY.")?;
    let mut ask = Ask::new()?;
    let names: Vec<&str> = device::SERVICES.iter().map(|s| s.provider).collect();
    let wanted = match context.matches.text("provider") {
        Some(typed) => provider_id(typed),
        None => names[ask.choose("Provider", &names)?].to_string(),
    };
    let method = context.matches.text("method").unwrap_or("device");
    let Some(service) = device::SERVICES.iter().find(|s| s.provider == wanted) else {
        return Err(Failure::said(format!(
            "Error: No login is known for {wanted}; there are: {}.\n  fix: openclaw models auth paste-token --provider {wanted}",
            names.join(", ")
        )));
    };
    if !method.eq_ignore_ascii_case("device") {
        return Err(Failure::said(
            "Error: Unknown auth method. Use --method device.",
        ));
    }
    login(context, &mut ask, service, service.profile)?;
    if context.matches.has("set-default") {
        let snapshot = &context.local.snapshot;
        let model = models::named(snapshot, service.model).map_err(|err| super::told(&err))?;
        models::set(&snapshot.paths, &snapshot.env, Chain::Chat, &model)
            .map_err(|err| super::told(&err))?;
        return Ok(context.out.line(format!("Default model set to {model}"))?);
    }
    Ok(context.out.line(format!(
        "Default model available: {} (use --set-default to apply)",
        service.model
    ))?)
}

pub fn copilot(context: &mut Context) -> Result<(), Failure> {
    at_terminal("github-copilot login requires an interactive TTY.")?;
    let mut ask = Ask::new()?;
    let service = &device::SERVICES[0];
    let typed = context.matches.text("profile-id").map(str::trim);
    let id = typed
        .filter(|id| !id.is_empty())
        .unwrap_or(service.profile)
        .to_string();
    let (_, dir) = super::super::agent_and_dir(context)?;
    let is_there = Profiles::read(context.local.paths(), &dir)
        .provider(&id)
        .is_some();
    let question = format!("The profile {id} is there already. Replace it?");
    if is_there && !context.matches.has("yes") && !ask.confirm(&question, true)? {
        return Err(Failure::said("Nothing was changed."));
    }
    login(context, &mut ask, service, &id)
}

fn login(context: &mut Context, ask: &mut Ask, service: &Service, id: &str) -> Result<(), Failure> {
    let failed = |why: String| Failure::said(format!("Error: {why}"));
    let pending = device::begin(service, &Cancel::new()).map_err(failed)?;
    eprintln!("Open:  {}", pending.address);
    eprintln!("Code:  {}", pending.code);
    eprintln!("Waiting for you to allow it there. Ctrl-C ends this.");
    let ends = Instant::now() + pending.valid_for;
    let mut pause = pending.pause;
    let profile = loop {
        ask.wait(pause)?;
        match device::poll(service, &pending, &Cancel::new()).map_err(failed)? {
            Polled::Granted(profile) => break profile,
            Polled::Waiting => {}
            Polled::Slower => pause += device::SLOWER,
        }
        if Instant::now() > ends {
            return Err(failed("The code has ended; start again.".into()));
        }
    };
    super::keep_profile(context, id, service.provider, service.mode, profile)
}
