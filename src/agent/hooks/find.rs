//! Finding hooks on disk: folders with a HOOK.md, and packs, whose package.json names such folders.

use super::super::skills::{Source, find::front};
use super::{Built, Hook};
use crate::config::{Paths, Snapshot};
use serde_json::Value;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Component, Path, PathBuf};

pub const FILE: &str = "HOOK.md";
const PACK: &str = "package.json";
/// Hooks of one agent; each event asks all of them.
const MAX_HOOKS: usize = 200;
/// Names looked at in one folder.
const MAX_NAMES: usize = 1_000;
/// A pack's description, bytes.
const MAX_PACK: u64 = 256 * 1024;

/// Where hooks for all agents lie.
pub fn managed(paths: &Paths) -> PathBuf {
    let config = paths.config.parent();
    config.unwrap_or(&paths.state).join("hooks")
}

/// Every hook of an agent, usable or not, by name. Of two with one name the operator's own wins
/// over one that is built in, that over one of the extra folders, and a workspace's never.
pub fn all(config: &Snapshot, paths: &Paths, agent_id: &str) -> Vec<Hook> {
    let home = |text: &str| match text.strip_prefix("~/") {
        Some(rest) => paths.home.join(rest),
        None => PathBuf::from(text),
    };
    let mut hooks = folder(&managed(paths), Source::Managed);
    add(&mut hooks, Built::hooks());
    let extra = config.value.pointer("/hooks/internal/load/extraDirs");
    for dir in extra.and_then(Value::as_array).into_iter().flatten() {
        if let Some(dir) = dir.as_str().map(str::trim).filter(|dir| !dir.is_empty()) {
            let dir = home(dir);
            let own = one(&dir, Source::Extra);
            let found = if own.is_empty() {
                folder(&dir, Source::Extra)
            } else {
                own
            };
            add(&mut hooks, found);
        }
    }
    let workspace = config.config.workspace(agent_id, paths).join("hooks");
    // A link could lead to what its writer may not change, and make a hook of it.
    if fs::symlink_metadata(&workspace).is_ok_and(|meta| meta.is_dir()) {
        add(&mut hooks, folder(&workspace, Source::Workspace));
    }
    hooks.sort_by(|a, b| a.name.cmp(&b.name));
    hooks.truncate(MAX_HOOKS);
    hooks
}

fn add(hooks: &mut Vec<Hook>, more: impl IntoIterator<Item = Hook>) {
    for hook in more {
        match hooks.iter().find(|other| other.name == hook.name) {
            None => hooks.push(hook),
            Some(other) => {
                let (name, of) = (&hook.name, hook.source.as_str());
                log::debug!(target: "hooks", "{name} of {of} stays behind that of {}", other.source.as_str());
            }
        }
    }
}

/// The hooks in the folders of `root`.
fn folder(root: &Path, source: Source) -> Vec<Hook> {
    let entries = fs::read_dir(root).into_iter().flatten().flatten();
    let mut dirs: Vec<PathBuf> = entries
        .take(MAX_NAMES)
        // Half an installation, an editor's or git's.
        .filter(|entry| !entry.file_name().as_encoded_bytes().starts_with(b"."))
        .filter(|entry| match source {
            Source::Workspace => entry.file_type().is_ok_and(|kind| kind.is_dir()),
            _ => entry.path().is_dir(),
        })
        .map(|entry| entry.path())
        .collect();
    dirs.sort();
    let mut hooks = Vec::new();
    for dir in dirs {
        add(&mut hooks, one(&dir, source));
    }
    hooks
}

/// The hook in `dir`, or those of the pack there.
pub fn one(dir: &Path, source: Source) -> Vec<Hook> {
    if dir.join(FILE).is_file() {
        return read(dir, source).into_iter().collect();
    }
    let mut hooks = Vec::new();
    for inside in pack(dir).map(|pack| pack.hooks).unwrap_or_default() {
        hooks.extend(read(&dir.join(inside), source));
    }
    hooks
}

fn read(dir: &Path, source: Source) -> Option<Hook> {
    let file = dir.join(FILE);
    let read = front(&file)
        .map_err(|err| err.to_string())
        .and_then(|front| front.ok_or_else(|| "it has no front matter".into()))
        .and_then(|front| Hook::read(&front, dir, source));
    match read {
        Ok(hook) => Some(hook),
        Err(why) => {
            log::warn!(target: "hooks", "{}: {why}", file.display());
            None
        }
    }
}

/// What a pack's package.json says.
pub struct Pack {
    pub name: String,
    pub version: Option<String>,
    /// Folders of its hooks, inside it.
    pub hooks: Vec<PathBuf>,
}

/// `None` when `dir` is no pack.
pub fn pack(dir: &Path) -> Option<Pack> {
    let mut text = String::new();
    let file = File::open(dir.join(PACK)).ok()?;
    file.take(MAX_PACK).read_to_string(&mut text).ok()?;
    let value: Value = serde_json::from_str(&text).ok()?;
    let hooks = value["openclaw"]["hooks"].as_array()?;
    let inside = |path: &PathBuf| {
        let plain = |part| matches!(part, Component::Normal(_) | Component::CurDir);
        path.components().all(plain)
    };
    Some(Pack {
        name: value["name"].as_str()?.to_string(),
        version: value["version"].as_str().map(String::from),
        hooks: hooks
            .iter()
            .filter_map(|path| path.as_str().map(PathBuf::from))
            .filter(inside)
            .take(MAX_HOOKS)
            .collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::id;
    use crate::config::Env;
    use serde_json::json;

    fn put(dir: &Path, name: &str, handler: &str) {
        fs::create_dir_all(dir).unwrap();
        let text = format!(
            "---\nname: {name}\ndescription: d\nmetadata: {{\"openclaw\":{{\"events\":[\"command\"]}}}}\n---\n"
        );
        fs::write(dir.join(FILE), text).unwrap();
        fs::write(dir.join(handler), "").unwrap();
    }

    #[test]
    fn hooks_and_packs_are_found_and_a_workspaces_takes_nobodys_place() {
        let dir = id::temp_dir("hooks-find");
        let (state, ws) = (dir.join("state"), dir.join("ws"));
        put(&state.join("hooks/a"), "a", "handler");
        put(&state.join("hooks/pack/hooks/b"), "b", "handler.js");
        let package = json!({"name": "@x/pack", "openclaw": {"hooks": ["./hooks/b", "../a"]}});
        fs::write(state.join("hooks/pack/package.json"), package.to_string()).unwrap();
        put(&dir.join("more/c"), "c", "index.ts");
        put(&ws.join("hooks/a"), "a", "handler");
        put(
            &ws.join("hooks/command-logger"),
            "command-logger",
            "handler",
        );
        put(&ws.join("hooks/own"), "own", "handler");
        fs::create_dir_all(ws.join("hooks/none")).unwrap();
        fs::write(ws.join("hooks/none/HOOK.md"), "---\nname: none\n---\n").unwrap();
        let text = |path: &Path| path.to_str().unwrap().to_string();
        let env = Env::from_pairs(&[("HOME", &text(&dir)), ("OPENCLAW_STATE_DIR", &text(&state))]);
        let value = json!({
            "agents": {"defaults": {"workspace": ws}},
            "hooks": {"internal": {"load": {"extraDirs": [dir.join("more")]}}},
        });
        let config = Snapshot {
            config: serde_json::from_value(value.clone()).unwrap(),
            value,
            ..Snapshot::default()
        };
        let found = all(&config, &Paths::resolve(&env, None), "main");
        let names: Vec<(&str, &str)> = found
            .iter()
            .map(|hook| (hook.name.as_str(), hook.source.as_str()))
            .collect();
        assert_eq!(
            names,
            [
                ("a", "openclaw-managed"),
                ("b", "openclaw-managed"),
                ("boot-md", "openclaw-bundled"),
                ("c", "openclaw-extra"),
                ("command-logger", "openclaw-bundled"),
                ("own", "openclaw-workspace"),
                ("session-memory", "openclaw-bundled"),
                ("soul-evil", "openclaw-bundled"),
            ]
        );
        assert_eq!(found[1].requires.bins, ["node"]);
        fs::remove_dir_all(dir).unwrap();
    }
}
