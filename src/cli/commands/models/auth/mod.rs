//! `openclaw models auth`: the keys, tokens and logins that open providers, and their order.
//!
//! A secret is typed unseen or comes on stdin, never as a word of the command line: those are seen
//! by everybody on the machine and kept by the shell.

pub mod login;
pub mod order;
pub mod token;

use crate::base::cmdline::Command;
use crate::base::exit::Report;
use crate::base::secret::Secret;
use crate::cli::Context;
use crate::cli::failure::Failure;
use crate::model::credential;
use crate::ops::models;
use serde_json::{Value, json};

pub const SPEC: Command = Command {
    name: "auth",
    summary: "Keep keys, tokens and logins, and say in which order they are used",
    subcommands: &[
        token::ADD,
        login::SPEC,
        login::COPILOT,
        order::SPEC,
        token::PASTE,
        token::SETUP,
    ],
    ..Command::NEW
};

/// A token that is to be kept.
struct Token<'a> {
    id: &'a str,
    provider: &'a str,
    secret: &'a Secret,
    /// Milliseconds since 1970.
    expires: Option<u64>,
}

/// Puts it in the agent's store, makes it known to the configuration, and says so.
fn keep(context: &mut Context, token: &Token) -> Result<(), Failure> {
    let mut profile = json!({
        "type": "token",
        "provider": token.provider,
        "token": token.secret.expose(),
    });
    if let Some(at) = token.expires {
        profile["expires"] = json!(at);
    }
    keep_profile(context, token.id, token.provider, "token", profile)
}

fn keep_profile(
    context: &mut Context,
    id: &str,
    provider: &str,
    mode: &str,
    profile: Value,
) -> Result<(), Failure> {
    let (_, dir) = super::agent_and_dir(context)?;
    credential::put(&dir, id, profile).map_err(|err| told(&err))?;
    let snapshot = &context.local.snapshot;
    let after = models::note_profile(&snapshot.paths, &snapshot.env, id, provider, mode)
        .map_err(|err| told(&err))?;
    super::updated(context, &after)?;
    Ok(context
        .out
        .line(format!("Auth profile: {id} ({provider}/{mode})"))?)
}

fn told(err: &(impl Report + ?Sized)) -> Failure {
    super::told(err)
}
