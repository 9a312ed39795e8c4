//! `openclaw onboard` at a terminal: the questions, what is written, and what comes after: channels,
//! skills, hooks, the service, a look at the gateway.
//!
//! Until the last question nothing is written but what may be offered again next time; Ctrl-C and
//! the end of input leave everything as it was.

use super::super::super::Context;
use super::super::super::ask::{self, Ask};
use super::super::super::failure::Failure;
use super::talk::{self, Memory, note};
use super::{channels, extras, finish, flags, put_away, told};
use crate::client::local::Local;
use crate::config::load::load;
use crate::gateway::wizard::auth::{self, Auth};
use crate::gateway::wizard::error::Error;
use crate::gateway::wizard::flow::{Flow, Question};
use crate::gateway::wizard::listen;
use crate::gateway::wizard::save::{self, By};
use crate::model::offer;
use crate::ops::onboard;
use crate::ops::removal::{self, Scope};
use serde_json::Value;
use std::sync::Arc;

pub fn run(context: &mut Context) -> Result<(), Failure> {
    match converse(context) {
        Err(Failure::Cancelled) => {
            eprintln!("Setup cancelled.");
            Ok(())
        }
        other => other,
    }
}

fn converse(context: &mut Context) -> Result<(), Failure> {
    if !ask::is_possible() {
        return Err(Failure::said(
            "Error: onboarding asks at a terminal\n  fix: openclaw onboard --non-interactive \
             --accept-risk with the flags of openclaw onboard --help",
        ));
    }
    let mut ask = Ask::new()?;
    let memory = Memory::of(context.local.paths());
    let flow = answers(context, &mut ask, &memory)?;
    let given = given_key(context)?;
    let before = context.local.snapshot.clone();
    if let Some(line) = given.keep(&before.paths).map_err(told)? {
        context.out.line(line)?;
    }
    if !given.settings.is_empty() {
        let written = given.settings.write(&before.paths, &before.env);
        written.map_err(|err| told(Error::Config(err)))?;
    }
    let by = By {
        command: "onboard",
        running: false,
    };
    let before = load(&before.paths, &before.env);
    let (after, lines) = save::write(&before, flow.answers(), by).map_err(told)?;
    memory.forget();
    for line in lines {
        context.out.line(line)?;
    }
    let config = after.paths.tilde(&after.paths.config);
    context.out.line(format!("Updated {config}"))?;
    let remote = after.config.gateway.mode.as_deref() == Some("remote");
    context.local = Local::of(after);
    if remote {
        let url = context.local.snapshot.config.gateway.remote.url.clone();
        let url = url.unwrap_or_default();
        context.out.line(format!("Remote gateway: {url}"))?;
        return Ok(context.out.line("Onboarding complete.")?);
    }
    let (_, lines) = onboard::prepare(&context.local.snapshot).map_err(told)?;
    for line in lines {
        context.out.line(line)?;
    }
    context.out.flush()?;
    after_the_questions(context, &mut ask, is(&flow, Question::Flow, "quickstart"))
}

fn after_the_questions(context: &mut Context, ask: &mut Ask, quick: bool) -> Result<(), Failure> {
    if context.matches.has("skip-channels") {
        note("Channels", "Skipping channel setup (--skip-channels).");
    } else {
        channels::ask(context, ask)?;
    }
    if context.matches.has("skip-skills") {
        note("Skills", "Skipping skills setup (--skip-skills).");
    } else {
        extras::skills(context, ask)?;
    }
    extras::hooks(context, ask)?;
    extras::login_left(context)?;
    let wanted = match flags::installs_said(&context.matches) {
        None if quick => Some(true),
        said => said,
    };
    let started = finish::service(context, ask, wanted)?;
    let up = match context.matches.has("skip-health") {
        true => false,
        false => finish::health_or_help(context, started)?,
    };
    finish::control_ui(context, ask, up)
}

/// Asks, and starts anew where that is chosen.
fn answers(context: &mut Context, ask: &mut Ask, memory: &Memory) -> Result<Flow, Failure> {
    let mut carried: Vec<(Question, Value)> = Vec::new();
    loop {
        let snapshot = Arc::new(context.local.snapshot.clone());
        let flow = Flow::new(snapshot).with_reset();
        let mut flow = preset(context, flow.remembering(memory.read()))?;
        for (key, value) in carried.drain(..) {
            flow.set(key, value);
        }
        talk::go(ask, &mut flow, &mut |flow| memory.keep(flow))?;
        let scope = flow.answers().get(&Question::ResetScope);
        let scope = scope.and_then(Value::as_str).and_then(Scope::named);
        let Some(scope) = scope else {
            return Ok(flow);
        };
        start_anew(context, scope)?;
        let through = [
            Question::Intro,
            Question::Security,
            Question::Risk,
            Question::Flow,
        ];
        for key in through {
            if let Some(value) = flow.answers().get(&key) {
                carried.push((key, value.clone()));
            }
        }
    }
}

fn start_anew(context: &mut Context, scope: Scope) -> Result<(), Failure> {
    let snapshot = context.local.snapshot.clone();
    super::not_running(context)?;
    let mut paths = match scope {
        Scope::Full => removal::of_reset(&snapshot, Scope::Sessions),
        scope => removal::of_reset(&snapshot, scope),
    };
    if scope == Scope::Full {
        paths.extend(removal::workspaces(&snapshot));
    }
    for path in paths {
        put_away(context, &path)?;
    }
    context.local = Local::of(load(&snapshot.paths, &snapshot.env));
    Ok(())
}

/// What flags have answered already.
fn preset(context: &Context, mut flow: Flow) -> Result<Flow, Failure> {
    let matches = &context.matches;
    if matches.has("accept-risk") {
        flow.set(Question::Security, Value::Null);
        flow.set(Question::Risk, true);
    }
    match matches.text("flow") {
        None => {}
        Some("quickstart") => flow.set(Question::Flow, "quickstart"),
        Some("manual" | "advanced") => flow.set(Question::Flow, "advanced"),
        Some(_) => {
            return Err(Failure::said(
                "Invalid --flow (use quickstart, manual, or advanced).",
            ));
        }
    }
    if matches.has("reset") && context.local.snapshot.exists {
        flow.set(Question::Existing, Value::Null);
        flow.set(Question::Handling, "reset");
        flow.set(Question::ResetScope, "full");
    }
    let wanted = flags::local(matches);
    let gateway = &wanted.gateway;
    listen::check(gateway).map_err(told)?;
    if let Some(port) = &gateway.port {
        flow.set(Question::Port, port.parse::<u16>().unwrap_or_default());
    }
    if let Some(reset) = gateway.reset_on_exit {
        flow.set(Question::ResetOnExit, reset);
    }
    let secret = |name: &str| flags::secret(matches, name).map(|s| s.expose().to_string());
    flow = flow
        .given(Question::Place, matches.text("mode"))
        .given(Question::Workspace, matches.text("workspace"))
        .given(Question::Bind, gateway.bind.as_deref())
        .given(Question::Auth, gateway.auth.as_deref())
        .given(Question::Tailscale, gateway.tailscale.as_deref())
        .given(Question::Token, secret("gateway-token").as_deref())
        .given(Question::Password, secret("gateway-password").as_deref())
        .given(Question::RemoteUrl, matches.text("remote-url"))
        .given(Question::RemoteToken, secret("remote-token").as_deref());
    if matches.text("remote-token").is_some() {
        flow.set(Question::RemoteAuth, "token");
    }
    let choice = wanted.auth.choice.as_deref().map(auth::present_name);
    Ok(match choice {
        None => flow,
        Some(auth::TOKEN) => {
            auth::look(&context.local.snapshot, &wanted.auth).map_err(told)?;
            flow.given(Question::Provider, Some(auth::SKIP))
        }
        Some("setup-token") => flow.given(Question::Provider, Some("setup-token")),
        Some(choice) => match offer::find(choice) {
            // What the flag does not say is asked.
            Some(offer) if auth::look(&context.local.snapshot, &wanted.auth).is_err() => {
                flow.given(Question::Provider, Some(offer.provider))
            }
            _ => flow.given(Question::Provider, Some(auth::SKIP)),
        },
    })
}

/// A key that flags or the environment brought whole.
fn given_key(context: &Context) -> Result<Auth, Failure> {
    let wanted = flags::local(&context.matches).auth;
    let choice = wanted.choice.as_deref().map(auth::present_name);
    let by_key =
        choice.is_some_and(|choice| choice == auth::TOKEN || offer::find(choice).is_some());
    match by_key {
        true => Ok(auth::look(&context.local.snapshot, &wanted).unwrap_or_default()),
        false => Ok(Auth::default()),
    }
}

fn is(flow: &Flow, key: Question, text: &str) -> bool {
    flow.answers().get(&key).is_some_and(|value| value == text)
}
