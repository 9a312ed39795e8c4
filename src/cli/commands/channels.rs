//! `openclaw channels`: which accounts there are, how they do, and forgetting a login.

use super::super::Context;
use super::super::failure::Failure;
use super::super::output::age;
use crate::base::cmdline::{Command, Flag};
use crate::client::local;
use serde_json::{Value, json};
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(10);
/// What the gateway waits for its workers comes on top.
const SLACK: Duration = Duration::from_secs(5);

const ACCOUNT: Flag = Flag::value("account", "id", "The account").default("default");
const CHANNEL: Flag = Flag::value("channel", "channel", "The channel");

pub const SPEC: Command = Command {
    name: "channels",
    summary: "See the chat channels and look after them",
    subcommands: &[
        Command {
            name: "logout",
            summary: "Forget the login of an account",
            flags: &[ACCOUNT, CHANNEL],
            ..Command::NEW
        },
        Command {
            name: "status",
            summary: "Show how each account does",
            flags: &[Flag::switch(
                "probe",
                "Ask the services whether the accounts work",
            )],
            ..Command::NEW
        },
    ],
    ..Command::NEW
};

pub fn status(context: &mut Context) -> Result<(), Failure> {
    let timeout = local::timeout(&context.matches, TIMEOUT)?;
    let probe = context.matches.has("probe");
    let params = json!({"probe": probe, "timeoutMs": timeout.as_millis() as u64});
    let caller = context.local.caller()?;
    let result = caller.call("channels.status", Some(&params), timeout + SLACK)?;
    if context.json() {
        return Ok(context.out.json(&result)?);
    }
    context.out.line("Gateway reachable.")?;
    let kinds = result["channelOrder"].as_array().into_iter().flatten();
    let mut any = false;
    for kind in kinds.filter_map(Value::as_str) {
        let label = result["channelLabels"][kind].as_str().unwrap_or(kind);
        let accounts = result["channelAccounts"][kind].as_array();
        for account in accounts.into_iter().flatten() {
            any = true;
            let id = account["accountId"].as_str().unwrap_or_default();
            let line = format!("- {label} {id}: {}", bits(account).join(", "));
            context.out.line(line)?;
        }
    }
    match any {
        true => Ok(()),
        false => Ok(context.out.line("No channel is configured.")?),
    }
}

fn bits(account: &Value) -> Vec<String> {
    let mut bits = Vec::new();
    for (name, yes, no) in [
        ("enabled", "enabled", "disabled"),
        ("configured", "configured", "not configured"),
        ("running", "running", "stopped"),
        ("connected", "connected", "disconnected"),
    ] {
        if let Some(is) = account[name].as_bool() {
            bits.push(if is { yes } else { no }.to_string());
        }
    }
    for (name, at) in [("in", "lastInboundAt"), ("out", "lastOutboundAt")] {
        if let Some(at) = account[at].as_u64() {
            let passed = crate::base::time::now_ms().saturating_sub(at);
            bits.push(format!("{name}:{}", age(Some(passed))));
        }
    }
    for (name, at) in [("mode", &account["mode"]), ("dm", &account["dmPolicy"])] {
        if let Some(text) = at.as_str() {
            bits.push(format!("{name}:{text}"));
        }
    }
    if let Some(name) = account["bot"]["username"].as_str() {
        bits.push(format!("bot:@{}", name.trim_start_matches('@')));
    }
    if let Some(works) = account["probe"]["ok"].as_bool() {
        bits.push(if works { "works" } else { "probe failed" }.into());
    }
    if let Some(error) = account["lastError"].as_str() {
        bits.push(format!("error:{error}"));
    }
    bits
}

/// Silent when it is done, as the original is.
pub fn logout(context: &mut Context) -> Result<(), Failure> {
    let timeout = local::timeout(&context.matches, TIMEOUT)? + SLACK;
    let kind = context.matches.text("channel");
    let kind = kind.ok_or_else(|| Failure::said("Channel is required. Use --channel <name>."))?;
    let account = context.matches.text("account");
    let params = json!({"channel": kind.trim().to_lowercase(), "accountId": account});
    let result = context
        .local
        .caller()?
        .call("channels.logout", Some(&params), timeout)?;
    match context.json() {
        true => Ok(context.out.json(&result)?),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_told_in_bits_of_which_those_that_are_not_known_are_left_out() {
        let account = json!({"enabled": true, "configured": true, "running": false,
            "lastInboundAt": null, "mode": "polling", "bot": {"username": "claw"},
            "probe": {"ok": false}, "lastError": "no token"});
        assert_eq!(
            bits(&account).join(", "),
            "enabled, configured, stopped, mode:polling, bot:@claw, probe failed, error:no token"
        );
    }
}
