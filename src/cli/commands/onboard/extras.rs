//! What a new agent can also have: keys for its skills, hooks, a login with a browser.

use super::super::super::Context;
use super::super::super::ask::Ask;
use super::super::super::failure::Failure;
use super::super::{hooks as hook_commands, skills as skill_commands};
use super::talk::note;
use crate::client::local::Local;
use crate::config::edit;
use crate::config::settings::Settings;
use crate::gateway::wizard::auth;
use crate::ops::hooks as hook_settings;

/// The skills that lack nothing but a key, and the key where somebody has it.
pub fn skills(context: &mut Context, ask: &mut Ask) -> Result<(), Failure> {
    let all = skill_commands::status(context).skills;
    let count = |wanted: &dyn Fn(&skill_commands::Skill) -> bool| {
        all.iter().filter(|skill| wanted(skill)).count()
    };
    let blocked = count(&|skill| skill.blocked_by_allowlist);
    let eligible = count(&|skill| skill.eligible);
    let missing = count(&|s| !s.eligible && !s.disabled && !s.blocked_by_allowlist);
    note(
        "Skills status",
        &format!(
            "Eligible: {eligible}\nMissing requirements: {missing}\nBlocked by allowlist: {blocked}"
        ),
    );
    let open: Vec<_> = all
        .into_iter()
        .filter(|skill| !skill.disabled && !skill.blocked_by_allowlist)
        .filter(skill_commands::lacks_only_its_key)
        .collect();
    if open.is_empty() || !ask.confirm("Configure skills now? (recommended)", true)? {
        return Ok(());
    }
    let mut settings = Settings::default();
    for skill in open {
        let name = skill.primary_env.as_deref().unwrap_or_default();
        if ask.confirm(&format!("Set {name} for {}?", skill.name), false)? {
            let key = ask.hidden(&format!("{name} (blank: not now)"))?;
            let key = key.trim();
            if !key.is_empty() {
                settings.put(&["skills", "entries", &skill.skill_key, "apiKey"], key);
            }
        }
    }
    write(context, &settings)
}

/// The hooks that can run here and are not on.
pub fn hooks(context: &mut Context, ask: &mut Ask) -> Result<(), Failure> {
    let off = hook_commands::that_are_off(context);
    if off.is_empty() {
        return Ok(());
    }
    note(
        "Hooks",
        "Hooks run on what happens in the gateway, for example keep a session's notes on /new.",
    );
    let names: Vec<String> = off
        .iter()
        .map(|(_, name, about)| format!("{name}: {about}"))
        .collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let chosen = ask.several("Enable hooks?", &names, &[])?;
    if chosen.is_empty() {
        return Ok(());
    }
    let keys: Vec<&str> = chosen.iter().map(|at| off[*at].0.as_str()).collect();
    let snapshot = &context.local.snapshot;
    let after = hook_settings::switch(&snapshot.paths, &snapshot.env, &keys, true);
    updated(context, after)
}

/// A choice that needs a browser is made with its own command.
pub fn login_left(context: &mut Context) -> Result<(), Failure> {
    let choice = context.matches.text("auth-choice").map(auth::present_name);
    let Some(choice) = choice.filter(|choice| auth::is_login(choice)) else {
        return Ok(());
    };
    let command = context.command(&format!("models auth login --provider {choice}"));
    note("Model", &format!("Sign in with: {command}"));
    Ok(())
}

pub fn write(context: &mut Context, settings: &Settings) -> Result<(), Failure> {
    if settings.is_empty() {
        return Ok(());
    }
    let snapshot = &context.local.snapshot;
    let after = settings.write(&snapshot.paths, &snapshot.env);
    updated(context, after)
}

pub fn updated(
    context: &mut Context,
    after: Result<crate::config::Snapshot, edit::Error>,
) -> Result<(), Failure> {
    let after = after.map_err(|err| Failure::of(&err))?;
    let config = after.paths.tilde(&after.paths.config);
    context.local = Local::of(after);
    context.out.line(format!("Updated {config}"))?;
    Ok(context.out.flush()?)
}
