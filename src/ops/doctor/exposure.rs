//! Who can reach the gateway and the agent: beyond this machine, and through channels that let
//! everybody in.

use super::{Cure, Finding, Ground};
use serde_json::Value;

const TOPIC: &str = "Security";

pub fn look(ground: &Ground) -> Vec<Finding> {
    let snapshot = &ground.snapshot;
    if !snapshot.valid {
        return Vec::new();
    }
    let mut found = Vec::new();
    let open = open_channels(&snapshot.value["channels"]);
    if !open.is_empty() {
        found.push(Finding {
            topic: TOPIC,
            grave: true,
            what: "Channels take direct messages from everybody.".into(),
            details: open,
            why: "Whoever finds the account talks to an agent with tools.",
            cure: Cure::Yours(
                "openclaw config set channels.<id>.dmPolicy pairing; openclaw security audit says \
                 more"
                    .into(),
            ),
        });
    }
    found
}

/// Channels and accounts whose policy for direct messages is `open`.
fn open_channels(channels: &Value) -> Vec<String> {
    let is_open = |block: &Value| {
        let own = block["dmPolicy"]
            .as_str()
            .or(block["dm"]["policy"].as_str());
        own == Some("open") && block["enabled"] != false
    };
    let mut found = Vec::new();
    for (id, block) in channels.as_object().into_iter().flatten() {
        if is_open(block) {
            found.push(format!("{id}: DMs are open"));
        }
        let accounts = block["accounts"].as_object().into_iter().flatten();
        for (account, _) in accounts.filter(|(_, block)| is_open(block)) {
            found.push(format!("{id} ({account}): DMs are open"));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_open_door_is_named_and_a_closed_one_is_not() {
        let channels = json!({
            "telegram": {"dmPolicy": "open", "allowFrom": ["*"]},
            "slack": {"dm": {"policy": "open"}, "enabled": false},
            "discord": {"accounts": {"a": {"dm": {"policy": "open"}}, "b": {}}},
            "signal": {"dmPolicy": "pairing"},
        });
        assert_eq!(
            open_channels(&channels),
            ["telegram: DMs are open", "discord (a): DMs are open"]
        );
    }
}
