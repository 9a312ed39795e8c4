//! Agents against one another and against their folders.

use super::{agent_list, issue};
use crate::config::agents::{MAIN_AGENT, agent_id};
use crate::config::{Config, Issue, Paths, paths};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Two agents in one folder would overwrite each other's credentials. Entries of one id are one
/// agent, the first.
pub(super) fn folders(value: &Value, places: &Paths) -> Vec<Issue> {
    let mut owners: BTreeMap<PathBuf, Vec<String>> = BTreeMap::new();
    let mut seen = Vec::new();
    for (_, agent) in agent_list(value) {
        let id = agent_id(agent["id"].as_str().unwrap_or(MAIN_AGENT));
        if seen.contains(&id) {
            continue;
        }
        seen.push(id.clone());
        let folder = match agent["agentDir"].as_str().filter(|dir| !dir.is_empty()) {
            Some(dir) => paths::expand(dir, &places.home),
            None => places.agent(&id).join("agent"),
        };
        // Without the `/` at the end that a folder may be written with.
        let folder = folder.components().collect();
        owners.entry(folder).or_default().push(id);
    }
    let lines: Vec<String> = owners
        .iter()
        .filter(|(_, ids)| ids.len() > 1)
        .map(|(folder, ids)| format!("- {}: {}", folder.display(), ids.join(", ")))
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

/// A picture is a file of the agent's workspace or an address; clients are shown its content, so
/// it must not name any file of the machine.
pub(super) fn avatars(value: &Value, places: &Paths) -> Vec<Issue> {
    let named = |agent: &Value| -> Option<String> {
        let text = agent["identity"]["avatar"].as_str()?.trim();
        Some(text.to_string()).filter(|text| !text.is_empty())
    };
    if !agent_list(value).any(|(_, agent)| named(agent).is_some()) {
        return Vec::new();
    }
    let config: Config = serde_json::from_value(value.clone()).unwrap_or_default();
    let fault = |agent: &Value| -> Option<&'static str> {
        let avatar = named(agent)?;
        let lower = avatar.to_ascii_lowercase();
        if ["http://", "https://", "data:"]
            .iter()
            .any(|s| lower.starts_with(s))
        {
            return None;
        }
        if avatar.starts_with('~') || has_scheme(&avatar) {
            return Some(
                "identity.avatar must be a workspace-relative path, http(s) URL, or data URI.",
            );
        }
        let id = agent_id(agent["id"].as_str().unwrap_or(MAIN_AGENT));
        let workspace = paths::normal(&config.workspace(&id, places));
        match paths::normal(&workspace.join(&avatar)).starts_with(&workspace) {
            true => None,
            false => Some("identity.avatar must stay within the agent workspace."),
        }
    };
    agent_list(value)
        .filter_map(|(i, agent)| {
            let path = format!("agents.list.{i}.identity.avatar");
            Some(issue(path, fault(agent)?, "such as avatars/me.png"))
        })
        .collect()
}

/// `mailto:x`; a drive of Windows is no scheme.
fn has_scheme(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else {
        return false;
    };
    let drive = scheme.len() == 1 && rest.starts_with(['\\', '/']);
    let letter = |c: char| c.is_ascii_alphanumeric() || "+.-".contains(c);
    !drive && scheme.starts_with(|c: char| c.is_ascii_alphabetic()) && scheme.chars().all(letter)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Env;
    use serde_json::json;

    fn places() -> Paths {
        Paths::resolve(&Env::from_pairs(&[("HOME", "/h")]), None)
    }

    #[test]
    fn pictures_stay_in_the_workspace() {
        let told = |avatar: &str| {
            let value = json!({"agents": {"list": [
                {"id": "a", "workspace": "/w/a", "identity": {"avatar": avatar}}]}});
            let found = avatars(&value, &places());
            found.first().map(|issue| issue.message.clone())
        };
        for fine in [
            "a.png",
            "x/../y.png",
            "/w/a/pic.png",
            "HTTPS://x/y",
            "data:x",
            " ",
            "C:\\a",
        ] {
            assert_eq!(told(fine), None, "{fine}");
        }
        for out in ["../b", "/w/ab/pic.png", "x/../../y", "/"] {
            assert!(told(out).unwrap().contains("stay within"), "{out}");
        }
        for other in ["~/d.png", "ftp://x/g", "a:b", "file:///x"] {
            assert!(
                told(other).unwrap().contains("workspace-relative"),
                "{other}"
            );
        }
    }

    #[test]
    fn agents_in_one_folder_are_told_and_one_agent_listed_twice_is_not() {
        let told = |list: Value| {
            let found = folders(&json!({"agents": {"list": list}}), &places());
            found.first().map(|issue| issue.message.clone())
        };
        assert_eq!(told(json!([{"id": "a"}, {"id": "A"}])), None);
        let shared = json!([{"id": "a", "agentDir": "/x"}, {"id": "b", "agentDir": "/x/"}]);
        assert!(told(shared).unwrap().ends_with("- /x: a, b"));
        let beside = json!([{"id": "a"}, {"id": "b", "agentDir": "~/.openclaw/agents/a/agent"}]);
        assert!(told(beside).unwrap().contains("a, b"));
    }
}
