//! Rules that span keys: what a table of single keys cannot say. They run on a value that fits the
//! tables, in the original's stages: one that finds something ends the check.

mod agents;
mod channels;
mod plugins;
mod policies;

use super::keys::check;
use super::{Issue, Paths, path};
use serde_json::Value;

/// What a rule looks at, and what it found.
struct Refined {
    /// The rule says nothing when a single key in here has a fault of its own.
    of: String,
    issue: Issue,
}

/// Rules inside one section: told together with the faults of single keys, which are `single`,
/// after those of the value each looks at, whose path is given.
pub fn in_sections(value: &Value, single: &[Issue]) -> Vec<(String, Issue)> {
    let mut out = Vec::new();
    heartbeats(value, &mut out);
    policies::check(value, &mut out);
    browser_profiles(value, &mut out);
    channels::check(value, &mut out);
    // A key that nobody knows makes no value of another kind.
    let broken: Vec<&Issue> = single
        .iter()
        .filter(|issue| !issue.message.starts_with("Unrecognized key"))
        .collect();
    let stands = |refined: &Refined| {
        !broken.iter().any(|issue| {
            let below = issue.path.strip_prefix(&refined.of);
            below.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        })
    };
    out.retain(stands);
    out.into_iter().map(|r| (r.of, r.issue)).collect()
}

/// Rules between sections: only looked at when every section is fine by itself.
pub fn between_sections(value: &Value, paths: &Paths) -> Vec<Issue> {
    let mut out = Vec::new();
    broadcast(value, &mut out);
    out.extend(agents::folders(value, paths));
    if out.is_empty() {
        out = agents::avatars(value, paths);
    }
    out
}

/// Names of plugins and channels, and the plugins' own settings. `installed` is whether somebody
/// put in a worker for a channel that is not built in.
pub fn names(
    value: &Value,
    paths: &Paths,
    installed: impl Fn(&str) -> bool,
    warnings: &mut Vec<Issue>,
) -> Vec<Issue> {
    let mut out = plugins::check(value, paths, &installed, warnings);
    out.extend(channels::unknown(value, &installed));
    out.extend(channels::heartbeat_targets(value, &installed));
    out
}

fn issue(path: String, message: impl Into<String>, hint: &str) -> Issue {
    Issue {
        path,
        message: message.into(),
        hint: Some(hint.to_string()).filter(|hint| !hint.is_empty()),
    }
}

fn agent_list(value: &Value) -> impl Iterator<Item = (usize, &Value)> {
    let list = value["agents"]["list"].as_array();
    list.into_iter().flatten().enumerate()
}

/// Each `heartbeat` block with its place.
fn beats(value: &Value) -> Vec<(String, &Value)> {
    let defaults = &value["agents"]["defaults"]["heartbeat"];
    let mut all = vec![("agents.defaults.heartbeat".to_string(), defaults)];
    let listed = agent_list(value);
    all.extend(listed.map(|(i, a)| (format!("agents.list.{i}.heartbeat"), &a["heartbeat"])));
    all
}

fn heartbeats(value: &Value, out: &mut Vec<Refined>) {
    for (path, beat) in beats(value) {
        // The original looks at the hours only where the beat itself is set.
        let Some(every) = beat["every"].as_str().filter(|every| !every.is_empty()) else {
            continue;
        };
        let mut say = |key: &str, message: &str, hint: &str| {
            out.push(Refined {
                of: path.clone(),
                issue: issue(format!("{path}.{key}"), message, hint),
            });
        };
        if !is_duration(every) {
            let hint = "such as 30m, or 0m for never";
            say("every", "invalid duration (use ms, s, m, h)", hint);
        }
        for key in ["start", "end"] {
            let time = beat["activeHours"][key].as_str();
            if let Some(fault) = time.and_then(|time| time_fault(time, key == "end")) {
                let message = format!("invalid time ({fault})");
                say(&format!("activeHours.{key}"), &message, "such as 08:30");
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

/// What is wrong with a time of day. The end of a day may be written 24:00.
fn time_fault(text: &str, end: bool) -> Option<&'static str> {
    const FORM: Option<&str> = Some("use \"HH:MM\" 24h format");
    let Some((hours, minutes)) = text.split_once(':') else {
        return FORM;
    };
    let two = |part: &str| match part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit()) {
        true => part.parse::<u8>().ok(),
        false => None,
    };
    match (two(hours), two(minutes)) {
        (Some(24), Some(0)) if end => None,
        (Some(24), Some(0)) => Some("start cannot be 24:00"),
        (Some(24), Some(m)) if m < 60 => Some("24:00 is the only allowed 24:xx value"),
        (Some(h), Some(m)) if h < 24 && m < 60 => None,
        _ => FORM,
    }
}

fn browser_profiles(value: &Value, out: &mut Vec<Refined>) {
    for (name, profile) in value["browser"]["profiles"]
        .as_object()
        .into_iter()
        .flatten()
    {
        if profile.get("cdpPort").is_none() && profile.get("cdpUrl").is_none() {
            let path = format!("browser.profiles.{name}");
            out.push(Refined {
                of: path.clone(),
                issue: issue(path, "Profile must set cdpPort or cdpUrl", ""),
            });
        }
    }
}

fn broadcast(value: &Value, out: &mut Vec<Issue>) {
    let known: Vec<&str> = agent_list(value)
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn told(value: Value) -> Vec<String> {
        let single = check::check(&crate::config::keys::ROOT, &value, "");
        let found = in_sections(&value, &single);
        let mut found: Vec<Issue> = found.into_iter().map(|(_, issue)| issue).collect();
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
                    {"id": "a", "heartbeat": {"every": "30m", "activeHours": {"start": "8:00", "end": "24:01"}}}]},
                "browser": {"profiles": {"x": {"color": "00aa00"}}},
                "broadcast": {"strategy": "parallel", "p": ["a", "zz"]},
                "channels": {"telegram": {"dmPolicy": "open", "accounts": {"b": {"webhookUrl": "https://x"}}},
                    "slack": {"mode": "http", "dm": {"policy": "open", "allowFrom": ["*"]}}},
            })),
            [
                "agents.defaults.heartbeat.every: invalid duration (use ms, s, m, h)",
                "agents.list.0.heartbeat.activeHours.start: invalid time (use \"HH:MM\" 24h format)",
                "agents.list.0.heartbeat.activeHours.end: invalid time (24:00 is the only allowed 24:xx value)",
                "browser.profiles.x: Profile must set cdpPort or cdpUrl",
                "channels.telegram.allowFrom: channels.telegram.dmPolicy=\"open\" requires channels.telegram.allowFrom to include \"*\"",
                "channels.telegram.accounts.b.webhookSecret: channels.telegram.accounts.*.webhookUrl requires channels.telegram.webhookSecret or channels.telegram.accounts.*.webhookSecret",
                "channels.slack.signingSecret: channels.slack.mode=\"http\" requires channels.slack.signingSecret",
                "broadcast.p.1: Unknown agent id \"zz\" (not in agents.list).",
            ]
        );
    }

    #[test]
    fn a_rule_is_silent_where_a_key_has_a_fault_of_its_own() {
        let found = told(json!({"channels": {
            "telegram": {"dmPolicy": "open", "botToken": 1},
            "signal": {"dmPolicy": "open", "nope": 1},
        }}));
        assert_eq!(
            found,
            [
                "channels.signal.allowFrom: channels.signal.dmPolicy=\"open\" requires channels.signal.allowFrom to include \"*\""
            ]
        );
    }

    #[test]
    fn a_misspelt_channel_is_named() {
        let value = json!({"channels": {"telegrm": {}, "irc": {}, "slack": {}}});
        let found = channels::unknown(&value, |id| id == "irc");
        assert_eq!(found.len(), 1);
        assert_eq!(
            found[0].to_string(),
            "channels.telegrm: unknown channel id: telegrm (did you mean \"telegram\"?)"
        );
        let targets = ["last", "None", "gchat", "irc", "Telegram", "webchat", " "];
        let beat = |target: &str| json!({"agents": {"list": [{"heartbeat": {"target": target}}]}});
        let wrong = |target: &&&str| {
            !channels::heartbeat_targets(&beat(target), |id| id == "irc").is_empty()
        };
        let wrong: Vec<&&str> = targets.iter().filter(wrong).collect();
        assert_eq!(wrong, [&"webchat", &" "]);
    }
}
