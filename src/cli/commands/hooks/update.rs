//! `openclaw hooks update`: what of the installed packs could be fetched anew. Packs come from
//! folders and archives here, so there is nothing to fetch; each is named with its source.

use super::super::super::Context;
use super::super::super::failure::Failure;
use crate::base::cmdline::{Arg, Command, Flag};
use crate::ops::hooks;

pub const SPEC: Command = Command {
    name: "update",
    summary: "Say what could be updated",
    about: "Only packs from npm could, and this program fetches none: install a newer folder or \
        archive in the place of the old one.",
    flags: &[
        Flag::switch("all", "All packs"),
        Flag::switch("dry-run", "Change nothing"),
    ],
    args: &[Arg::optional("id", "The pack")],
    ..Command::NEW
};

pub fn run(context: &mut Context) -> Result<(), Failure> {
    let wanted = context.matches.arg(0).map(String::from);
    if wanted.is_none() && !context.matches.has("all") {
        return Err(Failure::said("Provide a hook id or use --all."));
    }
    let installs = hooks::installs(&context.local.snapshot);
    let chosen: Vec<_> = installs
        .iter()
        .filter(|(id, _)| wanted.as_ref().is_none_or(|wanted| wanted == id))
        .collect();
    if let Some(wanted) = wanted.filter(|_| chosen.is_empty()) {
        let text = format!("No install record for \"{wanted}\".");
        return Ok(context.out.line(text)?);
    }
    if chosen.is_empty() {
        return Ok(context.out.line("No hook packs to update.")?);
    }
    for (id, source) in chosen {
        context
            .out
            .line(format!("Skipping \"{id}\" (source: {source})."))?;
    }
    Ok(())
}
