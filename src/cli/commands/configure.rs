//! `openclaw configure`: one part of the setup anew, as often as one likes. Each part is written when
//! it has been gone through; Ctrl-C leaves the rest as it was.

use super::super::Context;
use super::super::ask::{self, Ask};
use super::super::failure::Failure;
use super::dashboard;
use super::onboard::{channels, extras, finish, talk};
use crate::base::cmdline::{Command, Flag};
use crate::base::exit::Report;
use crate::client::local::Local;
use crate::config::settings::Settings;
use crate::gateway::wizard::error::Error;
use crate::gateway::wizard::flow::{Flow, Part, Question};
use crate::gateway::wizard::save::{self, By};
use crate::ops::onboard;
use std::sync::Arc;
use talk::note;

pub const SECTION: Flag = Flag::value(
    "section",
    "name",
    "Only this: workspace, model, web, gateway, daemon, channels, skills or health",
)
.repeatable();

pub const SPEC: Command = Command {
    name: "configure",
    summary: "Go through parts of the setup again",
    about: "Asks at a terminal. For scripts there are onboard --non-interactive and config set.",
    flags: &[SECTION],
    ..Command::NEW
};

const BY: By = By {
    command: "configure",
    running: false,
};

/// In the order they are gone through.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Section {
    Workspace,
    Model,
    Web,
    Gateway,
    Channels,
    Skills,
    Daemon,
    Health,
}

const SECTIONS: [(&str, &str, Section); 8] = [
    ("workspace", "Workspace", Section::Workspace),
    ("model", "Model", Section::Model),
    ("web", "Web tools", Section::Web),
    ("gateway", "Gateway", Section::Gateway),
    ("channels", "Channels", Section::Channels),
    ("skills", "Skills", Section::Skills),
    ("daemon", "Daemon", Section::Daemon),
    ("health", "Health check", Section::Health),
];

/// As the complaint lists them.
const NAMES: &str = "workspace, model, web, gateway, daemon, channels, skills, health";

pub fn run(context: &mut Context) -> Result<(), Failure> {
    let mut wanted = Vec::new();
    for typed in context.matches.all("section") {
        let known = SECTIONS.iter().find(|(name, ..)| *name == typed);
        let Some((.., section)) = known else {
            return Err(Failure::said(format!(
                "Invalid --section: {typed}. Expected one of: {NAMES}."
            )));
        };
        wanted.push(*section);
    }
    if !ask::is_possible() {
        // No failure, as in the original.
        eprintln!(
            "configure asks at a terminal; nothing was changed.\n  fix: openclaw config set, or \
             openclaw onboard --non-interactive"
        );
        return Ok(());
    }
    match converse(context, &wanted) {
        Err(Failure::Cancelled) => {
            eprintln!("Configure cancelled.");
            Ok(())
        }
        other => other,
    }
}

fn converse(context: &mut Context, wanted: &[Section]) -> Result<(), Failure> {
    let mut ask = Ask::new()?;
    note("OpenClaw configure", "");
    if !place(context, &mut ask)? {
        return Ok(context.out.line("Configure complete.")?);
    }
    if wanted.is_empty() {
        if !menu(context, &mut ask)? {
            return Ok(());
        }
    } else {
        for (.., section) in SECTIONS {
            if wanted.contains(&section) {
                go(context, &mut ask, section)?;
            }
        }
    }
    note("Control UI", &dashboard::address(&context.local.snapshot));
    Ok(context.out.line("Configure complete.")?)
}

/// Where the gateway runs; false: elsewhere, and that is all.
fn place(context: &mut Context, ask: &mut Ask) -> Result<bool, Failure> {
    let mut flow = Flow::place(Arc::new(context.local.snapshot.clone()));
    talk::go(ask, &mut flow, &mut |_| {})?;
    let remote = flow.answers().get(&Question::Place);
    if remote.is_none_or(|place| place != "remote") {
        return Ok(true);
    }
    write(context, &flow)?;
    Ok(false)
}

/// One after another until nothing more is chosen; false: nothing was.
fn menu(context: &mut Context, ask: &mut Ask) -> Result<bool, Failure> {
    let mut labels: Vec<&str> = SECTIONS.iter().map(|(_, label, _)| *label).collect();
    labels.push("Continue");
    let mut values: Vec<&str> = SECTIONS.iter().map(|(name, ..)| *name).collect();
    values.push("continue");
    let mut any = false;
    loop {
        let last = labels.len() - 1;
        let question = "Select sections to configure";
        let at = ask.pick(question, &labels, &values, last, labels.len())?;
        let Some((.., section)) = SECTIONS.get(at) else {
            break;
        };
        any = true;
        go(context, ask, *section)?;
    }
    if any {
        return Ok(true);
    }
    if context.local.snapshot.config.gateway.mode.is_some() {
        context.out.line("No changes selected.")?;
        return Ok(false);
    }
    let mut settings = Settings::default();
    settings.put(&["gateway", "mode"], "local");
    extras::write(context, &settings)?;
    context.out.line("Gateway mode set to local.")?;
    Ok(false)
}

fn go(context: &mut Context, ask: &mut Ask, section: Section) -> Result<(), Failure> {
    match section {
        Section::Workspace => {
            part(context, ask, Part::Workspace)?;
            let (_, lines) = onboard::prepare(&context.local.snapshot).map_err(told)?;
            for line in lines {
                context.out.line(line)?;
            }
        }
        Section::Model => part(context, ask, Part::Model)?,
        Section::Gateway => part(context, ask, Part::Gateway)?,
        Section::Web => web(context, ask)?,
        Section::Channels => {
            let options = ["Configure/link", "Remove channel config"];
            match ask.choose("Channels", &options)? {
                0 => channels::ask(context, ask)?,
                _ => channels::remove(context, ask)?,
            }
        }
        Section::Skills => extras::skills(context, ask)?,
        Section::Daemon => {
            finish::service(context, ask, None)?;
        }
        Section::Health => {
            finish::health_or_help(context, false)?;
        }
    }
    Ok(context.out.flush()?)
}

fn part(context: &mut Context, ask: &mut Ask, part: Part) -> Result<(), Failure> {
    let mut flow = Flow::part(Arc::new(context.local.snapshot.clone()), part);
    talk::go(ask, &mut flow, &mut |_| {})?;
    write(context, &flow)
}

fn write(context: &mut Context, flow: &Flow) -> Result<(), Failure> {
    let done = save::write(&context.local.snapshot, flow.answers(), BY);
    let (after, lines) = done.map_err(told)?;
    let config = after.paths.tilde(&after.paths.config);
    context.local = Local::of(after);
    for line in lines {
        context.out.line(line)?;
    }
    Ok(context.out.line(format!("Updated {config}"))?)
}

/// The tools that look things up.
fn web(context: &mut Context, ask: &mut Ask) -> Result<(), Failure> {
    let set = |pointer: &str| {
        let value = context.local.snapshot.value.pointer(pointer);
        value.and_then(serde_json::Value::as_bool)
    };
    let has_key = context
        .local
        .snapshot
        .value
        .pointer("/tools/web/search/apiKey")
        .is_some();
    let search = set("/tools/web/search/enabled").unwrap_or(has_key);
    let fetch = set("/tools/web/fetch/enabled").unwrap_or(true);
    let mut settings = Settings::default();
    let search = ask.confirm("Enable web_search (Brave Search)?", search)?;
    settings.put(&["tools", "web", "search", "enabled"], search);
    if search {
        let question = match has_key {
            true => "Brave Search API key (blank to keep the one there is)",
            false => "Brave Search API key (blank to use BRAVE_API_KEY)",
        };
        let key = ask.hidden(question)?;
        let key = key.trim();
        if !key.is_empty() {
            settings.put(&["tools", "web", "search", "apiKey"], key);
        }
    }
    let fetch = ask.confirm("Enable web_fetch (keyless HTTP fetch)?", fetch)?;
    settings.put(&["tools", "web", "fetch", "enabled"], fetch);
    settings.note_run("configure", "local");
    extras::write(context, &settings)
}

fn told(err: Error) -> Failure {
    match err {
        Error::Said(text) => Failure::Said(text),
        other => Failure::of(&other as &dyn Report),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_complaint_names_every_section() {
        for (name, ..) in SECTIONS {
            assert!(NAMES.split(", ").any(|known| known == name), "{name}");
        }
        assert_eq!(NAMES.split(", ").count(), SECTIONS.len());
    }
}
