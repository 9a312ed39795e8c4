//! `openclaw health`: what the running gateway says of itself and its channels.

use super::super::Context;
use super::super::failure::Failure;
use super::super::output::Out;
use crate::base::cmdline::{Command, Flag};
use crate::client::{DEFAULT_TIMEOUT, local};
use serde_json::{Value, json};

pub const SPEC: Command = Command {
    name: "health",
    summary: "Ask the running gateway how it is",
    about: "Fails when the gateway cannot be reached.",
    flags: &[
        Flag::switch("debug", "Same as --verbose"),
        Flag::switch("deep", "Let every channel try its connection first"),
        Flag::switch(
            "verbose",
            "Say which gateway is asked, and let every channel try",
        ),
    ],
    // The original takes any flag here.
    lenient: true,
    ..Command::NEW
};

pub fn run(context: &mut Context) -> Result<(), Failure> {
    let matches = &context.matches;
    let verbose = matches.has("verbose") || matches.has("debug");
    let probe = json!({"probe": true});
    let params = (verbose || matches.has("deep")).then_some(&probe);
    // A number that is none falls back to the default, as in the original.
    let timeout = local::timeout(matches, DEFAULT_TIMEOUT).unwrap_or(DEFAULT_TIMEOUT);
    let caller = context.local.caller()?;
    let health = caller.call("health", params, timeout)?;
    if context.json() {
        return Ok(context.out.json(&health)?);
    }
    if verbose {
        context.out.line(caller.target.to_string())?;
    }
    print(&mut context.out, &health)
}

/// The human form, from whatever fields the gateway sent.
pub fn print(out: &mut Out, health: &Value) -> Result<(), Failure> {
    for line in channels(health) {
        out.line(line)?;
    }
    let agents: Vec<&Value> = list(&health["agents"]);
    let names: Vec<String> = agents
        .iter()
        .map(|agent| {
            let id = text(&agent["agentId"]);
            match agent["isDefault"] == true {
                true => format!("{id} (default)"),
                false => id.to_string(),
            }
        })
        .collect();
    if !names.is_empty() {
        out.line(format!("Agents: {}", names.join(", ")))?;
    }
    let beats: Vec<String> = agents
        .iter()
        .map(|agent| {
            let beat = &agent["heartbeat"];
            let every = match beat["everyMs"].as_u64() {
                Some(ms) if ms > 0 => text(&beat["every"]),
                _ => "disabled",
            };
            format!("{every} ({})", text(&agent["agentId"]))
        })
        .collect();
    if !beats.is_empty() {
        out.line(format!("Heartbeat interval: {}", beats.join(", ")))?;
    }
    for agent in &agents {
        let sessions = &agent["sessions"];
        out.line(format!(
            "Session store ({}): {} ({} entries)",
            text(&agent["agentId"]),
            text(&sessions["path"]),
            sessions["count"].as_u64().unwrap_or(0)
        ))?;
        for recent in list(&sessions["recent"]) {
            let age = match recent["age"].as_u64() {
                Some(ms) => format!("{}m ago", (ms + 30_000) / 60_000),
                None => "no activity".into(),
            };
            out.line(format!("- {} ({age})", text(&recent["key"])))?;
        }
    }
    Ok(())
}

/// One line per channel, in the gateway's order.
pub fn channels(health: &Value) -> Vec<String> {
    list(&health["channelOrder"])
        .into_iter()
        .filter_map(|id| {
            let id = text(id);
            let channel = health["channels"].get(id)?;
            let label = health["channelLabels"][id].as_str().unwrap_or(id);
            Some(format!("{label}: {}", state(channel)))
        })
        .collect()
}

fn state(channel: &Value) -> String {
    if let Some(linked) = channel["linked"].as_bool() {
        if !linked {
            return "not linked".into();
        }
        return match channel["authAgeMs"].as_u64() {
            Some(ms) => format!("linked (auth age {}m)", (ms + 30_000) / 60_000),
            None => "linked".into(),
        };
    }
    let probe = &channel["probe"];
    if probe["ok"] == true {
        let mut text = "ok".to_string();
        if let Some(name) = probe["bot"]["username"].as_str() {
            text.push_str(&format!(" (@{name})"));
        }
        if let Some(ms) = probe["elapsedMs"].as_u64() {
            text.push_str(&format!(" ({ms}ms)"));
        }
        if let Some(url) = probe["webhook"]["url"]
            .as_str()
            .filter(|url| !url.is_empty())
        {
            text.push_str(&format!(" - webhook {url}"));
        }
        return text;
    }
    if probe["ok"] == false {
        let status = match probe["status"].as_u64() {
            Some(status) => status.to_string(),
            None => "unknown".into(),
        };
        let why = probe["error"].as_str().unwrap_or("");
        return match why {
            "" => format!("failed ({status})"),
            why => format!("failed ({status}) - {why}"),
        };
    }
    match channel["configured"] == true {
        true => "configured".into(),
        false => "not configured".into(),
    }
}

fn list(value: &Value) -> Vec<&Value> {
    value
        .as_array()
        .map(|v| v.iter().collect())
        .unwrap_or_default()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_are_told_by_what_is_known_of_them() {
        let health = json!({
            "channelOrder": ["whatsapp", "telegram", "discord", "signal"],
            "channelLabels": {"whatsapp": "WhatsApp", "telegram": "Telegram", "discord": "Discord"},
            "channels": {
                "whatsapp": {"linked": true, "authAgeMs": 300_000},
                "telegram": {"configured": true,
                    "probe": {"ok": true, "elapsedMs": 5, "bot": {"username": "b"}}},
                "discord": {"probe": {"ok": false, "status": null, "error": "fetch failed"}},
                "signal": {"configured": false},
            },
        });
        assert_eq!(
            channels(&health),
            [
                "WhatsApp: linked (auth age 5m)",
                "Telegram: ok (@b) (5ms)",
                "Discord: failed (unknown) - fetch failed",
                "signal: not configured",
            ]
        );
    }
}
