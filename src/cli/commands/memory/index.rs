//! `openclaw memory index`: brings the index up to date.

use super::super::super::Context;
use super::super::super::failure::Failure;
use super::{VERBOSE, progress};
use crate::base::cmdline::{Command, Flag};
use crate::tool::memory::Memory;
use crate::tool::memory::settings::Settings;
use crate::wire::memory::{Answer, Ask, Synced};

pub const SPEC: Command = Command {
    name: "index",
    summary: "Bring the index of the notes up to date",
    about: "What changed is indexed. An index made with another model or other sizes is made anew.",
    flags: &[
        Flag::switch("force", "Make the index anew even so"),
        VERBOSE,
    ],
    ..Command::NEW
};

pub fn run(context: &mut Context) -> Result<(), Failure> {
    let verbose = context.matches.has("verbose");
    let force = context.matches.has("force");
    let mut failed = false;
    for agent in super::wanted(context)? {
        let Some(settings) = super::settings(context, &agent)? else {
            continue;
        };
        if verbose {
            let provider = &settings.index.provider;
            let out = &mut context.out;
            out.title(&format!("Memory Index ({agent})"))?;
            out.line(format!(
                "Provider: {provider} (requested: {})",
                settings.requested
            ))?;
            out.line(format!("Model: {}", settings.index.model))?;
            out.line(format!("Sources: {}", settings.sources.join(", ")))?;
            out.line("")?;
            // Before the lines about its progress.
            out.flush()?;
        }
        match sync(&super::memory(), &settings, force, verbose) {
            Ok(Synced { failed: None, .. }) => {
                context
                    .out
                    .line(format!("Memory index updated ({agent})."))?;
                if let Some(why) = settings.without.as_ref().filter(|_| verbose) {
                    context
                        .out
                        .line(format!("Not {}: {why}", settings.requested))?;
                }
            }
            Ok(Synced {
                failed: Some(why),
                pending,
                ..
            }) => {
                eprintln!(
                    "Memory index failed ({agent}): {why}\n  words find everything; \
                     {pending} pieces have no vector yet"
                );
                failed = true;
            }
            Err(why) => {
                eprintln!("Memory index failed ({agent}): {why}");
                failed = true;
            }
        }
    }
    match failed {
        true => Err(Failure::Silent),
        false => Ok(()),
    }
}

/// One agent's.
pub fn sync(
    memory: &Memory,
    settings: &Settings,
    force: bool,
    verbose: bool,
) -> Result<Synced, String> {
    let ask = Ask::Sync {
        index: settings.index.clone(),
        force,
    };
    match memory.ask(&ask, settings.embedder.as_ref(), &mut progress(verbose))? {
        Answer::Synced(synced) => Ok(synced),
        other => Err(format!("the memory index answered {other:?}")),
    }
}
