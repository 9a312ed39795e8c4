//! What the prompt says of the channel somebody writes on, from its account's settings. Pure.

use serde_json::Value;

/// Services where people can be reacted to, as far as their accounts say how much.
const REACTING: [&str; 2] = ["telegram", "signal"];

/// What the account says its channel can do beyond text. Telegram has buttons unless they are
/// switched off.
pub fn capabilities(kind: &str, account: &Value) -> Vec<String> {
    let set = &account["capabilities"];
    let listed = set
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str);
    let mut can: Vec<String> = listed.map(|text| text.trim().to_string()).collect();
    can.retain(|text| !text.is_empty());
    let buttons = set["inlineButtons"].as_str().unwrap_or("allowlist");
    if kind == "telegram" && !set.is_array() && buttons != "off" {
        can.push("inlineButtons".into());
    }
    can
}

/// How much the agent shall react with emoji: `minimal` or `extensive`, where the service has that.
pub fn reactions<'a>(kind: &str, account: &'a Value) -> Option<&'a str> {
    let level = account["reactionLevel"].as_str().unwrap_or("minimal");
    let reacts = REACTING.contains(&kind) && ["minimal", "extensive"].contains(&level);
    reacts.then_some(level)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_a_channel_can_do_is_what_its_account_says() {
        let can = |kind, set: Value| capabilities(kind, &json!({"capabilities": set}));
        assert_eq!(can("telegram", Value::Null), ["inlineButtons"]);
        assert_eq!(can("telegram", json!({"inlineButtons": "off"})), [""; 0]);
        assert_eq!(can("telegram", json!(["polls", " "])), ["polls"]);
        assert_eq!(can("signal", Value::Null), [""; 0]);
        assert_eq!(reactions("signal", &json!({})), Some("minimal"));
        let all = json!({"reactionLevel": "extensive"});
        assert_eq!(reactions("telegram", &all), Some("extensive"));
        assert_eq!(reactions("irc", &all), None);
        assert_eq!(reactions("signal", &json!({"reactionLevel": "ack"})), None);
    }
}
