//! Who an agent says it is: name, avatar and emoji from `ui.assistant`, `agents.list[].identity`
//! and the workspace's IDENTITY.md.

use crate::config::{Paths, Snapshot};
use serde::Serialize;
use serde_json::{Map, Value};
use std::path::Path;

const DEFAULT_NAME: &str = "Assistant";
const DEFAULT_AVATAR: &str = "A";
/// The original's limits, characters.
const NAME_MAX: usize = 50;
const AVATAR_MAX: usize = 200;
const EMOJI_MAX: usize = 16;
/// Bytes of IDENTITY.md that are looked at.
const IDENTITY_FILE_MAX: u64 = 64 * 1024;

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Identity {
    pub agent_id: String,
    pub name: String,
    pub avatar: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub emoji: Option<String>,
}

/// What IDENTITY.md's `- Name: …` lines say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FromFile {
    pub name: Option<String>,
    pub theme: Option<String>,
    pub emoji: Option<String>,
    pub avatar: Option<String>,
}

pub fn resolve(config: &Snapshot, paths: &Paths, agent_id: &str) -> Identity {
    let typed = &config.config;
    let none = Map::new();
    let own = typed.agent(agent_id).map_or(&none, |agent| &agent.identity);
    let ui = &typed.ui.assistant;
    let workspace = typed.workspace(agent_id, paths);
    let file = from_file(&workspace);
    let name =
        first([text(ui, "name"), text(own, "name"), file.name.as_deref()]).unwrap_or(DEFAULT_NAME);
    let avatar = [
        text(ui, "avatar"),
        text(own, "avatar"),
        text(own, "emoji"),
        file.avatar.as_deref(),
        file.emoji.as_deref(),
    ]
    .into_iter()
    .flatten()
    .map(|avatar| cut(avatar, AVATAR_MAX))
    .find_map(|avatar| shown_avatar(config, &avatar, agent_id));
    let emoji = first([text(own, "emoji"), file.emoji.as_deref()])
        .map(|emoji| cut(emoji, EMOJI_MAX))
        .filter(|emoji| !emoji.is_ascii());
    Identity {
        agent_id: agent_id.to_string(),
        name: cut(name, NAME_MAX),
        avatar: avatar.unwrap_or_else(|| DEFAULT_AVATAR.into()),
        emoji,
    }
}

/// A link stays, a path becomes the avatar route, a sign of up to four characters is shown as it is.
fn shown_avatar(config: &Snapshot, avatar: &str, agent_id: &str) -> Option<String> {
    let link = ["http://", "https://", "data:image/"];
    if link.iter().any(|scheme| avatar.starts_with(scheme)) {
        return Some(avatar.to_string());
    }
    if avatar.contains(['/', '.']) {
        let base = config.config.gateway.control_ui.base_path.as_deref();
        let base = base.unwrap_or_default().trim().trim_matches('/');
        let slash = if base.is_empty() { "" } else { "/" };
        return Some(format!("{slash}{base}/avatar/{agent_id}"));
    }
    let short = avatar.chars().count() <= 4 && !avatar.contains(char::is_whitespace);
    short.then(|| avatar.to_string())
}

pub fn from_file(workspace: &Path) -> FromFile {
    read(&workspace.join("IDENTITY.md"))
}

pub fn read(path: &Path) -> FromFile {
    use std::io::Read;
    let mut content = String::new();
    let read = std::fs::File::open(path)
        .and_then(|file| file.take(IDENTITY_FILE_MAX).read_to_string(&mut content));
    match read {
        Ok(_) => parse(&content),
        // No file, or not text: nothing is said.
        Err(_) => FromFile::default(),
    }
}

fn parse(content: &str) -> FromFile {
    let mut found = FromFile::default();
    for line in content.lines() {
        let line = line.trim_start().trim_start_matches(['-', '*', ' ']);
        let Some((label, value)) = line.split_once(':') else {
            continue;
        };
        let value = value.trim().trim_matches(['*', '_', '`']).trim();
        // A template's hint in brackets is no answer.
        if value.is_empty() || value.starts_with(['(', '[', '<']) {
            continue;
        }
        let field = match label.trim_matches(['*', '_', ' ']).to_lowercase().as_str() {
            "name" => &mut found.name,
            "theme" => &mut found.theme,
            "emoji" => &mut found.emoji,
            "avatar" => &mut found.avatar,
            _ => continue,
        };
        field.get_or_insert_with(|| value.to_string());
    }
    found
}

fn text<'a>(map: &'a Map<String, Value>, key: &str) -> Option<&'a str> {
    map.get(key)
        .and_then(Value::as_str)
        .map(str::trim)
        .filter(|text| !text.is_empty())
}

fn first<const N: usize>(options: [Option<&str>; N]) -> Option<&str> {
    options.into_iter().flatten().next()
}

fn cut(text: &str, max: usize) -> String {
    text.chars().take(max).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_speaks_through_its_labels_and_its_hints_are_ignored() {
        let found = parse("# Me\n- **Name:** Clawd\n- Emoji: 🦞\n- Avatar: (a path or link)\n");
        assert_eq!(found.name.as_deref(), Some("Clawd"));
        assert_eq!(found.emoji.as_deref(), Some("🦞"));
        assert_eq!(found.avatar, None);
    }

    #[test]
    fn configuration_comes_before_the_file_and_paths_become_the_route() {
        let dir = crate::base::id::temp_dir("identity");
        std::fs::write(dir.join("IDENTITY.md"), "- Name: File\n- Avatar: me.png\n").unwrap();
        let snapshot = Snapshot {
            config: serde_json::from_value(serde_json::json!({
                "agents": {"defaults": {"workspace": dir}},
                "gateway": {"controlUi": {"basePath": "/ui"}},
            }))
            .unwrap(),
            ..Snapshot::default()
        };
        let paths = Paths::resolve(&crate::config::Env::from_pairs(&[("HOME", "/x")]), None);
        let identity = resolve(&snapshot, &paths, "main");
        assert_eq!(identity.name, "File");
        assert_eq!(identity.avatar, "/ui/avatar/main");
        assert_eq!(identity.emoji, None);
        std::fs::remove_dir_all(dir).unwrap();
    }
}
