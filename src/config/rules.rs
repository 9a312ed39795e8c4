//! Rules that span keys: what a table of single keys cannot say. They run on a value that fits the
//! tables.

use super::{Issue, Paths};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Rules inside one section: told together with the faults of single keys.
pub fn in_sections(value: &Value) -> Vec<Issue> {
    let mut out = Vec::new();
    heartbeats(value, &mut out);
    tool_lists(value, &mut out);
    browser_profiles(value, &mut out);
    channels(value, &mut out);
    out
}

/// Rules between sections: only looked at when every section is fine by itself.
pub fn between_sections(value: &Value, paths: &Paths) -> Vec<Issue> {
    let mut out = Vec::new();
    broadcast(value, &mut out);
    out.extend(agent_folders(value, paths));
    out
}

fn issue(path: String, message: impl Into<String>, hint: &str) -> Issue {
    Issue {
        path,
        message: message.into(),
        hint: Some(hint.to_string()).filter(|hint| !hint.is_empty()),
    }
}

fn agents(value: &Value) -> impl Iterator<Item = (usize, &Value)> {
    let list = value["agents"]["list"].as_array();
    list.into_iter().flatten().enumerate()
}

fn heartbeats(value: &Value, out: &mut Vec<Issue>) {
    let defaults = &value["agents"]["defaults"]["heartbeat"];
    let mut all = vec![("agents.defaults.heartbeat".to_string(), defaults)];
    all.extend(agents(value).map(|(i, a)| (format!("agents.list.{i}.heartbeat"), &a["heartbeat"])));
    for (path, beat) in all {
        if beat["every"]
            .as_str()
            .is_some_and(|every| !is_duration(every))
        {
            out.push(issue(
                format!("{path}.every"),
                "invalid duration (use ms, s, m, h)",
                "such as 30m, or 0m for never",
            ));
        }
        // The original looks at the hours only where the beat itself is set.
        for key in ["start", "end"]
            .iter()
            .filter(|_| beat["every"].is_string())
        {
            let time = beat["activeHours"][key].as_str();
            if time.is_some_and(|time| !is_time(time, *key == "end")) {
                out.push(issue(
                    format!("{path}.activeHours.{key}"),
                    "invalid time (use \"HH:MM\" 24h format)",
                    "such as 08:30",
                ));
            }
        }
    }
}

/// `30m`, `1.5h`; a bare number counts minutes.
fn is_duration(text: &str) -> bool {
    let text = text.trim().to_ascii_lowercase();
    let number = text
        .strip_suffix("ms")
        .or_else(|| text.strip_suffix(['s', 'm', 'h', 'd']))
        .unwrap_or(&text);
    let mut parts = number.splitn(2, '.');
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    digits(parts.next().unwrap_or_default()) && parts.next().is_none_or(digits)
}

/// The end of a day may be written 24:00.
fn is_time(text: &str, end: bool) -> bool {
    let Some((hours, minutes)) = text.split_once(':') else {
        return false;
    };
    let two = |part: &str| match part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit()) {
        true => part.parse::<u8>().ok(),
        false => None,
    };
    match (two(hours), two(minutes)) {
        (Some(24), Some(0)) => end,
        (Some(h), Some(m)) => h < 24 && m < 60,
        _ => false,
    }
}

fn tool_lists(value: &Value, out: &mut Vec<Issue>) {
    let mut all = vec![("tools".to_string(), &value["tools"])];
    all.extend(agents(value).map(|(i, a)| (format!("agents.list.{i}.tools"), &a["tools"])));
    for (path, tools) in all {
        let what = match path.starts_with("agents") {
            true => "agent tools",
            false => "tools",
        };
        let mut check = |path: String, tools: &Value| {
            let filled = |key: &str| tools[key].as_array().is_some_and(|list| !list.is_empty());
            if filled("allow") && filled("alsoAllow") {
                out.push(issue(
                    path,
                    format!("{what} cannot set both allow and alsoAllow in the same scope"),
                    "put everything into allow, or drop allow and use a profile",
                ));
            }
        };
        check(path.clone(), tools);
        for (name, policy) in tools["byProvider"].as_object().into_iter().flatten() {
            check(format!("{path}.byProvider.{name}"), policy);
        }
    }
}

fn browser_profiles(value: &Value, out: &mut Vec<Issue>) {
    for (name, profile) in value["browser"]["profiles"]
        .as_object()
        .into_iter()
        .flatten()
    {
        if profile.get("cdpPort").is_none() && profile.get("cdpUrl").is_none() {
            out.push(issue(
                format!("browser.profiles.{name}"),
                "Profile must set cdpPort or cdpUrl",
                "",
            ));
        }
    }
}

fn broadcast(value: &Value, out: &mut Vec<Issue>) {
    let known: Vec<&str> = agents(value)
        .filter_map(|(_, a)| a["id"].as_str())
        .collect();
    if known.is_empty() {
        return;
    }
    for (peer, ids) in value["broadcast"].as_object().into_iter().flatten() {
        for (i, id) in ids.as_array().into_iter().flatten().enumerate() {
            match id.as_str() {
                Some(id) if !known.contains(&id) => out.push(issue(
                    format!("broadcast.{peer}.{i}"),
                    format!("Unknown agent id \"{id}\" (not in agents.list)."),
                    &format!("known: {}", known.join(", ")),
                )),
                _ => {}
            }
        }
    }
}

fn channels(value: &Value, out: &mut Vec<Issue>) {
    for (id, block) in value["channels"].as_object().into_iter().flatten() {
        let path = format!("channels.{id}");
        let mut each = |path: &str, block: &Value| account(id, path, block, out);
        each(&path, block);
        for (name, account) in block["accounts"].as_object().into_iter().flatten() {
            each(&format!("{path}.accounts.{name}"), account);
        }
    }
}

fn account(id: &str, path: &str, block: &Value, out: &mut Vec<Issue>) {
    let open = |policy: &Value| policy == "open";
    let everyone = |list: &Value| {
        let star = |item: &Value| item.as_str().is_some_and(|text| text.trim() == "*");
        list.as_array().is_some_and(|list| list.iter().any(star))
    };
    if open(&block["dmPolicy"]) && !everyone(&block["allowFrom"]) {
        out.push(issue(
            format!("{path}.allowFrom"),
            format!("{path}.dmPolicy=\"open\" requires {path}.allowFrom to include \"*\""),
            "\"*\" lets everybody talk to the assistant",
        ));
    }
    if open(&block["dm"]["policy"]) && !everyone(&block["dm"]["allowFrom"]) {
        out.push(issue(
            format!("{path}.dm.allowFrom"),
            format!("{path}.dm.policy=\"open\" requires {path}.dm.allowFrom to include \"*\""),
            "\"*\" lets everybody talk to the assistant",
        ));
    }
    let filled = |key: &str| {
        block[key]
            .as_str()
            .is_some_and(|text| !text.trim().is_empty())
    };
    if id == "telegram" && filled("webhookUrl") && !filled("webhookSecret") {
        out.push(issue(
            format!("{path}.webhookSecret"),
            format!("{path}.webhookUrl requires {path}.webhookSecret"),
            "any long random text; Telegram sends it back with every update",
        ));
    }
    if id == "slack" && block["mode"] == "http" && !filled("signingSecret") {
        out.push(issue(
            format!("{path}.signingSecret"),
            format!("{path}.mode=\"http\" requires {path}.signingSecret"),
            "it is shown on the app's page at Slack",
        ));
    }
}

/// Two agents in one folder would overwrite each other's credentials.
fn agent_folders(value: &Value, paths: &Paths) -> Vec<Issue> {
    let mut owners: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (_, agent) in agents(value) {
        let Some(id) = agent["id"].as_str() else {
            continue;
        };
        let folder = match agent["agentDir"].as_str() {
            Some(dir) => super::paths::expand(dir, &paths.home),
            None => paths.agent(&super::agents::agent_id(id)).join("agent"),
        };
        owners
            .entry(folder.display().to_string())
            .or_default()
            .push(id);
    }
    let lines: Vec<String> = owners
        .iter()
        .filter(|(_, ids)| ids.len() > 1)
        .map(|(folder, ids)| format!("- {folder}: {}", ids.join(", ")))
        .collect();
    if lines.is_empty() {
        return Vec::new();
    }
    let mut message = String::from("Duplicate agentDir detected (multi-agent config).");
    for line in lines {
        message.push('\n');
        message.push_str(&line);
    }
    vec![issue(
        "agents.list".into(),
        message,
        "give each agent its own id and agentDir",
    )]
}

/// Channel names the original or one of its plugins knows.
const CHANNELS: [&str; 20] = [
    "defaults",
    "whatsapp",
    "telegram",
    "discord",
    "googlechat",
    "slack",
    "signal",
    "imessage",
    "bluebubbles",
    "feishu",
    "line",
    "matrix",
    "mattermost",
    "msteams",
    "nextcloud-talk",
    "nostr",
    "tlon",
    "twitch",
    "zalo",
    "zalouser",
];

/// A channel nobody knows, neither this program nor an executable `openclaw-channel-<id>`.
pub fn unknown_channels(value: &Value, installed: impl Fn(&str) -> bool) -> Vec<Issue> {
    let empty = Map::new();
    let blocks = value["channels"].as_object().unwrap_or(&empty);
    blocks
        .keys()
        .filter(|id| !CHANNELS.contains(&id.as_str()) && !installed(id))
        .map(|id| {
            let near = CHANNELS
                .iter()
                .filter(|known| super::keys::check::distance(id, known) <= 2)
                .map(|known| format!("did you mean {known:?}?"))
                .next();
            let other = format!("there is no executable openclaw-channel-{id} either");
            issue(
                format!("channels.{id}"),
                format!("unknown channel id: {id}"),
                &near.unwrap_or(other),
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn told(value: Value) -> Vec<String> {
        let mut found = in_sections(&value);
        broadcast(&value, &mut found);
        found
            .iter()
            .map(|i| format!("{}: {}", i.path, i.message))
            .collect()
    }

    #[test]
    fn rules_that_span_keys_speak_the_original_words() {
        assert_eq!(
            told(json!({
                "agents": {"defaults": {"heartbeat": {"every": "1w"}}, "list": [
                    {"id": "a", "heartbeat": {"every": "30m", "activeHours": {"start": "8:00", "end": "24:00"}}}]},
                "browser": {"profiles": {"x": {"color": "00aa00"}}},
                "broadcast": {"strategy": "parallel", "p": ["a", "zz"]},
                "channels": {"telegram": {"dmPolicy": "open", "accounts": {"b": {"webhookUrl": "https://x"}}},
                    "slack": {"mode": "http", "dm": {"policy": "open", "allowFrom": ["*"]}}},
            })),
            [
                "agents.defaults.heartbeat.every: invalid duration (use ms, s, m, h)",
                "agents.list.0.heartbeat.activeHours.start: invalid time (use \"HH:MM\" 24h format)",
                "browser.profiles.x: Profile must set cdpPort or cdpUrl",
                "channels.telegram.allowFrom: channels.telegram.dmPolicy=\"open\" requires channels.telegram.allowFrom to include \"*\"",
                "channels.telegram.accounts.b.webhookSecret: channels.telegram.accounts.b.webhookUrl requires channels.telegram.accounts.b.webhookSecret",
                "channels.slack.signingSecret: channels.slack.mode=\"http\" requires channels.slack.signingSecret",
                "broadcast.p.1: Unknown agent id \"zz\" (not in agents.list).",
            ]
        );
    }

    #[test]
    fn two_agents_in_one_folder_are_refused() {
        let paths = Paths {
            home: "/h".into(),
            state: "/s".into(),
            ..Paths::default()
        };
        let value = json!({"agents": {"list": [{"id": "a"}, {"id": "b", "agentDir": "/s/agents/a/agent"}]}});
        assert_eq!(
            agent_folders(&value, &paths)[0].message,
            "Duplicate agentDir detected (multi-agent config).\n- /s/agents/a/agent: a, b"
        );
    }

    #[test]
    fn a_misspelt_channel_is_named() {
        let value = json!({"channels": {"telegrm": {}, "irc": {}, "slack": {}}});
        let found = unknown_channels(&value, |id| id == "irc");
        assert_eq!(found.len(), 1);
        assert_eq!(
            found[0].to_string(),
            "channels.telegrm: unknown channel id: telegrm (did you mean \"telegram\"?)"
        );
    }
}
