//! The end of a setup: the service, and how the gateway is.

use super::super::super::Context;
use super::super::super::failure::Failure;
use super::super::gateway::service::openclaw;
use super::super::health;
use super::aside;
use crate::base::exit::Report;
use crate::ops::service::{self, Definition};
use serde_json::Value;
use std::time::{Duration, Instant};

/// A service that was just started listens by then.
const PATIENCE: Duration = Duration::from_secs(15);
/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(200);
/// One attempt, and the question itself.
const CALL: Duration = Duration::from_secs(10);

/// Installs and starts the service; false: nothing here starts services.
pub fn install(context: &mut Context) -> Result<bool, Failure> {
    let snapshot = context.local.snapshot.clone();
    if snapshot.env.flag("OPENCLAW_NIX_MODE") {
        aside(context, "Nix mode detected; service install is disabled.")?;
        return Ok(false);
    }
    let manager = service::here(&snapshot);
    if let Err(err) = manager.available() {
        let line = match manager.words().label {
            "systemd" => "Systemd user services are unavailable; skipping service install.".into(),
            _ => format!("{err}; skipping service install."),
        };
        aside(context, &line)?;
        return Ok(false);
    }
    let definition = Definition::of(&snapshot, &openclaw(), None);
    if let Err(err) = manager.install(&definition) {
        let hint = err
            .hint()
            .map_or(String::new(), |hint| format!("\n  fix: {hint}"));
        return Err(Failure::said(format!(
            "Gateway service install failed: Error: {err}{hint}\nTip: rerun `{}` after fixing the \
             error.",
            context.command("gateway install")
        )));
    }
    let line = format!(
        "Installed {}: {}",
        manager.words().noun,
        manager.file().display()
    );
    aside(context, &line)?;
    match manager.outlive_login() {
        Some(Ok(done)) => aside(context, &done)?,
        Some(Err(left)) => aside(context, &left)?,
        None => {}
    }
    Ok(true)
}

/// What the gateway says of itself; waits for one that was just started.
pub fn health(context: &mut Context, started: bool) -> Result<(), Failure> {
    let answer = ask(context, started).map_err(|err| {
        let hint = err
            .hint()
            .map_or(String::new(), |hint| format!("\n  fix: {hint}"));
        Failure::said(format!("Error: {err}{hint}"))
    })?;
    match context.json() {
        true => Ok(()),
        false => health::print(&mut context.out, &answer),
    }
}

fn ask(context: &Context, started: bool) -> Result<Value, Box<dyn Report>> {
    let boxed = |err| -> Box<dyn Report> { Box::new(err) };
    let caller = context
        .local
        .caller()
        .map_err(|err| -> Box<dyn Report> { Box::new(err) })?;
    let until = Instant::now() + PATIENCE;
    loop {
        match caller.call("health", None, CALL) {
            Ok(answer) => return Ok(answer),
            Err(_) if started && Instant::now() < until => std::thread::sleep(PAUSE),
            Err(err) => return Err(boxed(err)),
        }
    }
}
