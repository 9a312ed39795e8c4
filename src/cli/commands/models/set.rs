//! `openclaw models set` and `set-image`: which model answers, which looks at pictures.

use super::super::super::Context;
use super::super::super::failure::Failure;
use crate::base::cmdline::{Arg, Command};
use crate::model::choose;
use crate::ops::models::{self, Chain};

const MODEL: Arg = Arg::required("model", "provider/model, or an alias");

pub const SPEC: Command = Command {
    name: "set",
    summary: "Set the default model",
    args: &[MODEL],
    ..Command::NEW
};

pub const IMAGE_SPEC: Command = Command {
    name: "set-image",
    summary: "Set the model that looks at pictures for one that cannot",
    args: &[MODEL],
    ..Command::NEW
};

pub fn run(context: &mut Context) -> Result<(), Failure> {
    set(context, Chain::Chat, "Default model")
}

pub fn image(context: &mut Context) -> Result<(), Failure> {
    set(context, Chain::Image, "Image model")
}

fn set(context: &mut Context, chain: Chain, title: &str) -> Result<(), Failure> {
    let typed = context.matches.arg(0).unwrap_or_default();
    let snapshot = &context.local.snapshot;
    let model = models::named(snapshot, typed).map_err(|err| super::told(&err))?;
    let after = models::set(&snapshot.paths, &snapshot.env, chain, &model)
        .map_err(|err| super::told(&err))?;
    super::updated(context, &after)?;
    context.out.line(format!("{title}: {model}"))?;
    // Accepted all the same: tomorrow's models are not in today's catalogue.
    if choose::target(&after, &model).is_err() {
        eprintln!(
            "{model} is neither in the catalogue nor configured; the known ones: openclaw models list --all"
        );
    }
    Ok(())
}
