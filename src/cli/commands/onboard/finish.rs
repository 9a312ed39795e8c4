//! The end of a setup: the service, and how the gateway is.

use super::super::super::Context;
use super::super::super::ask::Ask;
use super::super::super::failure::Failure;
use super::super::gateway::service::openclaw;
use super::super::{dashboard, health, tui};
use super::aside;
use super::talk::note;
use crate::base::exit::Report;
use crate::ops::service::{self, Definition, Manager};
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
    register(context, &*manager)?;
    outlive(context, &*manager)?;
    Ok(true)
}

fn register(context: &mut Context, manager: &dyn Manager) -> Result<(), Failure> {
    let definition = Definition::of(&context.local.snapshot, &openclaw(), None);
    if let Err(err) = manager.install(&definition) {
        return Err(failed(context, "install", &err));
    }
    let (noun, file) = (manager.words().noun, manager.file().display());
    aside(context, &format!("Installed {noun}: {file}"))
}

fn failed(context: &Context, what: &str, err: &service::Error) -> Failure {
    let hint = err
        .hint()
        .map_or(String::new(), |hint| format!("\n  fix: {hint}"));
    Failure::said(format!(
        "Gateway service {what} failed: Error: {err}{hint}\nTip: rerun `{}` after fixing the error.",
        context.command(&format!("gateway {what}"))
    ))
}

fn outlive(context: &mut Context, manager: &dyn Manager) -> Result<(), Failure> {
    match manager.outlive_login() {
        Some(Ok(line) | Err(line)) => aside(context, &line),
        None => Ok(()),
    }
}

/// The service as a person wants it; `wanted` where that was said already. Whether it was started.
pub fn service(
    context: &mut Context,
    ask: &mut Ask,
    wanted: Option<bool>,
) -> Result<bool, Failure> {
    let snapshot = context.local.snapshot.clone();
    let manager = service::here(&snapshot);
    let nix = snapshot.env.flag("OPENCLAW_NIX_MODE");
    if wanted == Some(false) || nix {
        return Ok(false);
    }
    if let Err(err) = manager.available() {
        note(
            "Service",
            &format!(
                "{err}. Run the gateway in the foreground ({}), or under a supervisor of your own.",
                context.command("gateway")
            ),
        );
        return Ok(false);
    }
    let words = manager.words().clone();
    if manager.loaded().unwrap_or(false) {
        let options = ["Restart", "Reinstall", "Skip"];
        return match ask.choose("Gateway service already installed", &options)? {
            0 => {
                let done = manager.restart();
                done.map_err(|err| failed(context, "restart", &err))?;
                aside(
                    context,
                    &format!("Restarted {}: {}", words.noun, words.name),
                )?;
                Ok(true)
            }
            1 => {
                register(context, &*manager)?;
                Ok(true)
            }
            _ => Ok(false),
        };
    }
    let yes = match wanted {
        Some(said) => said,
        None => ask.confirm("Install Gateway service (recommended)", true)?,
    };
    if yes {
        register(context, &*manager)?;
        outlive(context, &*manager)?;
    }
    Ok(yes)
}

/// How the gateway is; a gateway that does not answer ends no conversation. Whether it did.
pub fn health_or_help(context: &mut Context, started: bool) -> Result<bool, Failure> {
    context.out.flush()?;
    match health(context, started) {
        Ok(()) => Ok(true),
        Err(Failure::Said(text)) => {
            let text = text.trim_start_matches("Error: ");
            eprintln!("Health check failed: {text}");
            note(
                "Health check help",
                &format!(
                    "Start it: {}\nLook at it: {}\nWhat it says: {}",
                    context.command("gateway"),
                    context.command("gateway status"),
                    context.command("logs --follow")
                ),
            );
            Ok(false)
        }
        Err(other) => Err(other),
    }
}

/// Where the page is, and the first chat.
pub fn control_ui(context: &mut Context, ask: &mut Ask, up: bool) -> Result<(), Failure> {
    let snapshot = context.local.snapshot.clone();
    let plain = dashboard::address(&snapshot);
    let whole = dashboard::address_with_token(&snapshot);
    let socket = plain.replacen("http", "ws", 1);
    let state = if up { "reachable" } else { "not detected" };
    note(
        "Control UI",
        &format!(
            "Web UI: {plain}\nWeb UI (with token): {whole}\nGateway WS: {socket}\nGateway: {state}"
        ),
    );
    note(
        "Workspace backup",
        "The workspace is the agent's memory: keep it in a private repository, or in your backups.",
    );
    context.out.line("Onboarding complete.")?;
    context.out.flush()?;
    if !up || context.matches.has("skip-ui") {
        return Ok(());
    }
    let options = [
        "Hatch in TUI (recommended)",
        "Open the Web UI",
        "Do this later",
    ];
    match ask.choose("How do you want to hatch your bot?", &options)? {
        0 => tui::chat(context, Some("Wake up, my friend!")),
        1 => dashboard::show(context, true),
        _ => Ok(()),
    }
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
