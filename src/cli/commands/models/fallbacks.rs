//! `openclaw models fallbacks` and `image-fallbacks`: who answers when the first model does not.

use super::super::super::Context;
use super::super::super::failure::Failure;
use crate::base::cmdline::{Arg, Command, Flag};
use crate::config::edit;
use crate::config::{Env, Paths, Snapshot};
use crate::model::name::Ref;
use crate::ops::models::{self, Chain};
use serde_json::json;

const MODEL: Arg = Arg::required("model", "provider/model, or an alias");

const SUBCOMMANDS: &[Command] = &[
    Command {
        name: "add",
        summary: "Add a model at the end of the list",
        args: &[MODEL],
        ..Command::NEW
    },
    Command {
        name: "clear",
        summary: "Empty the list",
        ..Command::NEW
    },
    Command {
        name: "list",
        summary: "Show the list",
        flags: &[Flag::switch("plain", "One a line")],
        ..Command::NEW
    },
    Command {
        name: "remove",
        summary: "Take a model off the list",
        args: &[MODEL],
        ..Command::NEW
    },
];

pub const SPEC: Command = Command {
    name: "fallbacks",
    summary: "The models that are asked when the default one fails",
    subcommands: SUBCOMMANDS,
    ..Command::NEW
};

pub const IMAGE_SPEC: Command = Command {
    name: "image-fallbacks",
    summary: "The same for the model that looks at pictures",
    subcommands: SUBCOMMANDS,
    ..Command::NEW
};

pub fn list(context: &mut Context) -> Result<(), Failure> {
    show(context, Chain::Chat)
}

pub fn image_list(context: &mut Context) -> Result<(), Failure> {
    show(context, Chain::Image)
}

pub fn add(context: &mut Context) -> Result<(), Failure> {
    change(context, Chain::Chat, models::add_fallback)
}

pub fn image_add(context: &mut Context) -> Result<(), Failure> {
    change(context, Chain::Image, models::add_fallback)
}

pub fn remove(context: &mut Context) -> Result<(), Failure> {
    change(context, Chain::Chat, models::remove_fallback)
}

pub fn image_remove(context: &mut Context) -> Result<(), Failure> {
    change(context, Chain::Image, models::remove_fallback)
}

pub fn clear(context: &mut Context) -> Result<(), Failure> {
    empty(context, Chain::Chat)
}

pub fn image_clear(context: &mut Context) -> Result<(), Failure> {
    empty(context, Chain::Image)
}

fn title(chain: Chain) -> &'static str {
    match chain {
        Chain::Chat => "Fallbacks",
        Chain::Image => "Image fallbacks",
    }
}

fn show(context: &mut Context, chain: Chain) -> Result<(), Failure> {
    super::one_form(context)?;
    let names = chain.fallbacks(&context.local.snapshot).to_vec();
    if context.json() {
        return Ok(context.out.json(&json!({"fallbacks": names}))?);
    }
    let plain = context.matches.has("plain");
    if !plain {
        let title = title(chain);
        context.out.line(format!("{title} ({}):", names.len()))?;
    }
    if names.is_empty() && !plain {
        context.out.line("- none")?;
    }
    for name in names {
        match plain {
            true => context.out.line(name)?,
            false => context.out.line(format!("- {name}"))?,
        }
    }
    Ok(())
}

type Edit = fn(&Paths, &Env, Chain, &Ref) -> Result<Snapshot, edit::Error>;

fn change(context: &mut Context, chain: Chain, edit: Edit) -> Result<(), Failure> {
    let snapshot = &context.local.snapshot;
    let typed = context.matches.arg(0).unwrap_or_default();
    let changed = models::named(snapshot, typed)
        .and_then(|model| edit(&snapshot.paths, &snapshot.env, chain, &model));
    let after = changed.map_err(|err| super::told(&err))?;
    super::updated(context, &after)?;
    let names = chain.fallbacks(&after).join(", ");
    let line = format!("{}: {names}", title(chain));
    Ok(context.out.line(line.trim_end())?)
}

fn empty(context: &mut Context, chain: Chain) -> Result<(), Failure> {
    let snapshot = &context.local.snapshot;
    let after = models::clear_fallbacks(&snapshot.paths, &snapshot.env, chain)
        .map_err(|err| super::told(&err))?;
    super::updated(context, &after)?;
    Ok(context.out.line(match chain {
        Chain::Chat => "Fallback list cleared.",
        Chain::Image => "Image fallback list cleared.",
    })?)
}
