//! `GET <base>/avatar/<agent>`: the picture an agent shows, or where it is.

use super::Exchange;
use super::control_ui::{self, SAFETY};
use crate::config::Snapshot;
use crate::gateway::core::Core;
use crate::gateway::identity;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Largest picture, bytes.
const MAX_PICTURE: u64 = 8 * 1024 * 1024;
/// Largest picture inside a list, the original's.
const MAX_INLINE: u64 = 2 * 1024 * 1024;
const EXTENSIONS: [&str; 6] = ["png", "jpg", "jpeg", "gif", "webp", "svg"];

enum Avatar {
    File(PathBuf),
    Link(String),
    None,
}

pub fn serve(core: &Arc<Core>, exchange: Exchange) -> Option<Exchange> {
    let config = core.config.current();
    let base = control_ui::base_path(&config);
    let agent = exchange
        .path()
        .strip_prefix(base.as_str())
        .and_then(|path| path.strip_prefix("/avatar/"))
        .map(str::to_string);
    let (Some(agent), true) = (agent, ["GET", "HEAD"].contains(&exchange.method())) else {
        return Some(exchange);
    };
    if config.config.gateway.control_ui.enabled == Some(false) {
        return Some(exchange);
    }
    if !is_agent_id(&agent) {
        control_ui::not_found(exchange);
        return None;
    }
    let avatar = find(core, &config, &agent.to_ascii_lowercase());
    if exchange.query_value("meta") == Some("1") {
        let url = match avatar {
            Avatar::File(_) => Some(format!("{base}/avatar/{agent}")),
            Avatar::Link(url) => Some(url),
            Avatar::None => None,
        };
        let body = serde_json::json!({"avatarUrl": url}).to_string();
        let mut headers = SAFETY.to_vec();
        headers.extend([
            ("Content-Type", "application/json; charset=utf-8"),
            ("Cache-Control", "no-cache"),
        ]);
        exchange.respond(200, &headers, body.as_bytes());
        return None;
    }
    let picture = match &avatar {
        Avatar::File(path) => control_ui::read_file(path, MAX_PICTURE).map(|b| (b, path)),
        _ => None,
    };
    let Some((bytes, path)) = picture else {
        control_ui::not_found(exchange);
        return None;
    };
    let mut headers = SAFETY.to_vec();
    headers.extend([
        ("Content-Type", control_ui::content_type(path)),
        ("Cache-Control", "no-cache"),
    ]);
    exchange.respond(200, &headers, &bytes);
    None
}

/// `^[a-z0-9][a-z0-9_-]{0,63}$` in any case.
fn is_agent_id(id: &str) -> bool {
    let mut chars = id.chars();
    id.len() <= 64
        && chars.next().is_some_and(|c| c.is_ascii_alphanumeric())
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
}

fn find(core: &Core, config: &Snapshot, agent: &str) -> Avatar {
    let paths = core.config.paths();
    let typed = &config.config;
    let workspace = typed.workspace(agent, paths);
    let own = typed
        .agent(agent)
        .and_then(|a| a.identity.get("avatar")?.as_str())
        .map(str::trim)
        .filter(|a| !a.is_empty())
        .map(str::to_string);
    let Some(source) = own.or_else(|| identity::from_file(&workspace).avatar) else {
        return Avatar::None;
    };
    if ["http://", "https://", "data:"]
        .iter()
        .any(|s| source.starts_with(s))
    {
        return Avatar::Link(source);
    }
    let path = match source.strip_prefix("~/") {
        Some(rest) => paths.home.join(rest),
        None => workspace.join(&source),
    };
    inside(&workspace, &path).map_or(Avatar::None, Avatar::File)
}

/// A picture of the workspace as a `data:` URL, for lists that carry it along.
pub fn data_url(workspace: &Path, source: &str) -> Option<String> {
    let file = inside(workspace, &workspace.join(source))?;
    let bytes = control_ui::read_file(&file, MAX_INLINE)?;
    let kind = control_ui::content_type(&file);
    Some(format!("data:{kind};base64,{}", STANDARD.encode(bytes)))
}

/// The real file, when it is a picture inside the workspace.
fn inside(workspace: &Path, path: &Path) -> Option<PathBuf> {
    let root = workspace.canonicalize().ok()?;
    let file = path.canonicalize().ok()?;
    let extension = file.extension()?.to_str()?.to_ascii_lowercase();
    (file.starts_with(&root) && file.is_file() && EXTENSIONS.contains(&extension.as_str()))
        .then_some(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pictures_inside_the_workspace_are_files() {
        let dir = crate::base::id::temp_dir("avatar");
        let root = dir.join("ws");
        std::fs::create_dir(&root).unwrap();
        for name in ["ws/a.png", "ws/a.txt", "b.png"] {
            std::fs::write(dir.join(name), "x").unwrap();
        }
        std::os::unix::fs::symlink(dir.join("b.png"), root.join("link.png")).unwrap();
        assert!(inside(&root, &root.join("a.png")).is_some());
        for bad in ["a.txt", "../b.png", "link.png", "none.png"] {
            assert!(inside(&root, &root.join(bad)).is_none(), "{bad}");
        }
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn agent_ids_are_one_plain_word() {
        assert!(is_agent_id("Main_2-x"));
        for bad in ["", "-a", "a/b", "a.b", &"a".repeat(65)] {
            assert!(!is_agent_id(bad), "{bad}");
        }
    }
}
