//! `openclaw models auth add`, `paste-token` and `setup-token`: tokens somebody else issued.

use super::Token;
use crate::base::cmdline::{Command, Flag};
use crate::cli::Context;
use crate::cli::ask::{self, Ask};
use crate::cli::failure::Failure;
use crate::gateway::wizard::auth::{ends, setup_token_fault};
use crate::model::name::provider_id;

pub const ADD: Command = Command {
    name: "add",
    summary: "Be asked for a token and what belongs to it",
    ..Command::NEW
};

pub const PASTE: Command = Command {
    name: "paste-token",
    summary: "Keep a token, typed unseen or piped in",
    flags: &[
        Flag::value(
            "expires-in",
            "duration",
            "When it ends: 365d, 12h; a bare number is days",
        ),
        Flag::value("profile-id", "id", "Name of the profile").default("<provider>:manual"),
        Flag::value("provider", "name", "Whose it is"),
    ],
    ..Command::NEW
};

pub const SETUP: Command = Command {
    name: "setup-token",
    summary: "Keep a token that claude setup-token made",
    flags: &[
        Flag::value("provider", "name", "Only anthropic has them").default("anthropic"),
        Flag::switch("yes", "The token is at hand: do not ask"),
    ],
    ..Command::NEW
};

pub fn add(context: &mut Context) -> Result<(), Failure> {
    at_terminal("models auth add requires an interactive TTY.")?;
    let mut ask = Ask::new()?;
    let provider = match ask.choose("Provider of the token", &["anthropic", "another"])? {
        0 => "anthropic".to_string(),
        _ => provider_id(&ask.text("Provider id", None)?),
    };
    if provider == "anthropic" {
        let ways = ["a setup-token of claude setup-token", "another token"];
        if ask.choose("Kind of token", &ways)? == 0 {
            return take_setup(context, &mut ask);
        }
    }
    let id = ask.text("Profile id", Some(&format!("{provider}:manual")))?;
    let expires = match ask.confirm("Does this token end some day?", false)? {
        false => None,
        true => loop {
            let typed = ask.text("It ends in", Some("365d"))?;
            match ends(&typed) {
                Some(at) => break Some(at),
                None => eprintln!("  a duration, such as 365d, 12h or 30m"),
            }
        },
    };
    take(context, &mut ask, &provider, &id, expires)
}

pub fn paste(context: &mut Context) -> Result<(), Failure> {
    let Some(provider) = context.matches.text("provider").map(provider_id) else {
        return Err(Failure::said(
            "error: required option '--provider <name>' not specified",
        ));
    };
    if provider.is_empty() {
        return Err(Failure::said("Error: Missing --provider."));
    }
    let id = context.matches.text("profile-id").map(str::trim);
    let id = id.filter(|id| !id.is_empty()).map(str::to_string);
    let id = id.unwrap_or_else(|| format!("{provider}:manual"));
    let expires = match context.matches.text("expires-in") {
        None => None,
        Some(typed) => Some(ends(typed).ok_or_else(|| {
            Failure::said(format!(
                "Error: invalid duration: {typed}\n  fix: such as 365d, 12h or 30m"
            ))
        })?),
    };
    take(context, &mut Ask::new()?, &provider, &id, expires)
}

pub fn setup(context: &mut Context) -> Result<(), Failure> {
    let provider = context.matches.text("provider").unwrap_or("anthropic");
    if provider_id(provider) != "anthropic" {
        return Err(Failure::said(
            "Error: Only --provider anthropic is supported for setup-token.",
        ));
    }
    at_terminal("setup-token requires an interactive TTY.")?;
    let mut ask = Ask::new()?;
    let question = "Have you run `claude setup-token` and copied the token?";
    if !context.matches.has("yes") && !ask.confirm(question, true)? {
        return Err(Failure::said("Run it first, then this again."));
    }
    take_setup(context, &mut ask)
}

fn take_setup(context: &mut Context, ask: &mut Ask) -> Result<(), Failure> {
    let fault = |typed: &str| setup_token_fault(typed);
    let secret = ask.secret("Anthropic setup-token", &fault)?;
    let token = Token {
        id: "anthropic:manual",
        provider: "anthropic",
        secret: &secret,
        expires: None,
    };
    super::keep(context, &token)
}

fn take(
    context: &mut Context,
    ask: &mut Ask,
    provider: &str,
    id: &str,
    expires: Option<u64>,
) -> Result<(), Failure> {
    let secret = ask.secret(&format!("Token for {provider}"), &|typed| match typed {
        "" => Some("Required".into()),
        text if text.contains(char::is_whitespace) => Some("A token has no spaces".into()),
        _ => None,
    })?;
    let token = Token {
        id,
        provider,
        secret: &secret,
        expires,
    };
    super::keep(context, &token)
}

pub(super) fn at_terminal(complaint: &str) -> Result<(), Failure> {
    match ask::is_possible() {
        true => Ok(()),
        false => Err(Failure::said(format!(
            "Error: {complaint}\n  fix: run it at a terminal, or pipe a token into: openclaw models auth paste-token --provider <name>"
        ))),
    }
}
