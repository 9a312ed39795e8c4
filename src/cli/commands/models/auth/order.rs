//! `openclaw models auth order`: which of a provider's profiles an agent tries first.

use crate::base::cmdline::{Arg, Command, Flag};
use crate::cli::Context;
use crate::cli::commands::models;
use crate::cli::failure::Failure;
use crate::model::credential::{self, Profiles};
use crate::model::name::provider_id;
use serde_json::json;

const PROVIDER: Flag = Flag::value("provider", "name", "Whose profiles");

pub const SPEC: Command = Command {
    name: "order",
    summary: "The order in which an agent tries a provider's profiles",
    subcommands: &[
        Command {
            name: "clear",
            summary: "Take the agent's own order away",
            flags: &[PROVIDER],
            ..Command::NEW
        },
        Command {
            name: "get",
            summary: "Show the agent's own order",
            flags: &[PROVIDER],
            ..Command::NEW
        },
        Command {
            name: "set",
            summary: "Set the agent's own order; others are not tried",
            flags: &[PROVIDER],
            args: &[Arg::required("profileIds", "Ids of profiles, best first").many()],
            ..Command::NEW
        },
    ],
    ..Command::NEW
};

fn provider(context: &Context) -> Result<String, Failure> {
    match context.matches.text("provider").map(provider_id) {
        Some(provider) if !provider.is_empty() => Ok(provider),
        Some(_) => Err(Failure::said("Error: Missing --provider.")),
        None => Err(Failure::said(
            "error: required option '--provider <name>' not specified",
        )),
    }
}

pub fn get(context: &mut Context) -> Result<(), Failure> {
    let provider = provider(context)?;
    let (agent, dir) = models::agent_and_dir(context)?;
    let paths = context.local.paths();
    let order = Profiles::read(paths, &dir).set_order(&provider);
    let store = paths.tilde(&dir.join("auth-profiles.json"));
    if context.json() {
        let order = Some(order).filter(|order| !order.is_empty());
        return Ok(context.out.json(&json!({
            "agentId": agent,
            "agentDir": dir,
            "provider": provider,
            "authStorePath": store,
            "order": order,
        }))?);
    }
    let order = match order.is_empty() {
        true => "(none)".into(),
        false => order.join(", "),
    };
    let out = &mut context.out;
    out.line(format!("Agent: {agent}"))?;
    out.line(format!("Provider: {provider}"))?;
    out.line(format!("Auth file: {store}"))?;
    Ok(out.line(format!("Order override: {order}"))?)
}

pub fn set(context: &mut Context) -> Result<(), Failure> {
    let provider = provider(context)?;
    let (agent, dir) = models::agent_and_dir(context)?;
    let profiles = Profiles::read(context.local.paths(), &dir);
    let ids: Vec<String> = context.matches.args().to_vec();
    for id in &ids {
        let Some(own) = profiles.provider(id) else {
            return Err(Failure::said(format!(
                "Error: Auth profile \"{id}\" not found in {}.",
                dir.display()
            )));
        };
        if provider_id(own) != provider {
            return Err(Failure::said(format!(
                "Error: Auth profile \"{id}\" is for {own}, not {provider}."
            )));
        }
    }
    credential::set_order(&dir, &provider, Some(&ids)).map_err(|err| models::told(&err))?;
    let line = format!("Order override: {}", ids.join(", "));
    tell(context, &agent, &provider, &line)
}

pub fn clear(context: &mut Context) -> Result<(), Failure> {
    let provider = provider(context)?;
    let (agent, dir) = models::agent_and_dir(context)?;
    credential::set_order(&dir, &provider, None).map_err(|err| models::told(&err))?;
    tell(
        context,
        &agent,
        &provider,
        "Cleared per-agent order override.",
    )
}

fn tell(context: &mut Context, agent: &str, provider: &str, line: &str) -> Result<(), Failure> {
    let out = &mut context.out;
    out.line(format!("Agent: {agent}"))?;
    out.line(format!("Provider: {provider}"))?;
    Ok(out.line(line)?)
}
