//! Whether a session is sandboxed, and the room it then has: one folder, read-only or not.
//!
//! The state directory is never part of a room except the one folder meant for it
//! (`<state>/sandboxes/<scope>`, or a workspace that lies below it), so neither a token nor a
//! transcript is in reach.

use super::{Context, Error};
use crate::base::atomic::create_private_dir;
use crate::base::hex;
use crate::config::schema::Sandbox;
use crate::config::{Config, Paths};
use std::path::{Path, PathBuf};

/// What a sandboxed session may do with the agent's workspace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Not even see it: it works in a folder of its own.
    None,
    Read,
    Write,
}

/// The one place a sandboxed session can reach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Room {
    pub root: PathBuf,
    pub writable: bool,
}

/// `None`: not sandboxed.
pub fn mode(config: &Config, agent_id: &str, session_key: &str) -> Option<Access> {
    let mode = pick(config, agent_id, |sandbox| sandbox.mode.as_deref());
    let sandboxed = match mode {
        Some("all") => true,
        Some("non-main") => !is_main(config, agent_id, session_key),
        _ => false,
    };
    let access = pick(config, agent_id, |sandbox| {
        sandbox.workspace_access.as_deref()
    });
    sandboxed.then_some(match access {
        Some("rw") => Access::Write,
        Some("ro") => Access::Read,
        _ => Access::None,
    })
}

/// The room of this call's session; made when it is a folder of our own. `None`: not sandboxed.
pub fn room(ctx: &Context) -> Result<Option<Room>, Error> {
    let config = &ctx.config.config;
    let Some(access) = mode(config, ctx.agent_id, ctx.session_key) else {
        return Ok(None);
    };
    if pick(config, ctx.agent_id, |sandbox| sandbox.docker.as_ref()).is_some() {
        return Err(
            "This session is sandboxed with agents.defaults.sandbox.docker (or the agent's \
             own), and this build has no Docker backend yet. Remove the docker block to use the \
             built-in sandbox (Landlock and seccomp), or set sandbox.mode to off."
                .into(),
        );
    }
    let paths = ctx.processes.paths();
    let root = match access {
        Access::None => own_folder(ctx, paths)?,
        Access::Read | Access::Write => ctx.workspace.clone(),
    };
    let root = root.canonicalize().map_err(|err| {
        let root = root.display();
        Error(format!("The sandbox's folder {root} cannot be used: {err}"))
    })?;
    for private in [&paths.state, &paths.runtime] {
        let private = private.canonicalize().unwrap_or_else(|_| private.clone());
        if private.starts_with(&root) {
            let (root, private) = (root.display(), private.display());
            return Err(Error(format!(
                "The workspace {root} contains {private}, which a sandboxed session must not \
                 reach. Choose a workspace that does not."
            )));
        }
    }
    Ok(Some(Room {
        root,
        writable: access != Access::Read,
    }))
}

/// `<state>/sandboxes/<scope>`: per agent, session, or one for all (`sandbox.scope`).
fn own_folder(ctx: &Context, paths: &Paths) -> Result<PathBuf, Error> {
    let setting = |key: &str| {
        let list = ctx.config.value.pointer("/agents/list");
        let own = list.and_then(|list| list.as_array()).and_then(|list| {
            let id = |a: &serde_json::Value| {
                a.get("id")
                    .and_then(|id| id.as_str())
                    .map(str::to_lowercase)
            };
            list.iter()
                .find(|agent| id(agent).as_deref() == Some(ctx.agent_id))
        });
        own.and_then(|agent| agent.pointer(&format!("/sandbox/{key}")))
            .or_else(|| {
                let path = format!("/agents/defaults/sandbox/{key}");
                ctx.config.value.pointer(&path)
            })
            .and_then(|value| value.as_str())
    };
    let scope = match setting("scope") {
        Some("session") => ctx.session_key.to_string(),
        Some("shared") => "shared".into(),
        _ => format!("agent:{}", ctx.agent_id),
    };
    let parent = match setting("workspaceRoot") {
        Some(root) => match root.strip_prefix("~/") {
            Some(rest) => paths.home.join(rest),
            None => PathBuf::from(root),
        },
        None => paths.state.join("sandboxes"),
    };
    let dir = parent.join(slug(&scope));
    create_private_dir(&dir)
        .map_err(|err| Error(format!("The sandbox's folder {}: {err}", dir.display())))?;
    Ok(dir)
}

/// A folder name that is readable and, by its hash, nobody else's.
fn slug(scope: &str) -> String {
    let readable: String = scope
        .chars()
        .take(32)
        .map(|c| {
            if c.is_ascii_alphanumeric() {
                c.to_ascii_lowercase()
            } else {
                '-'
            }
        })
        .collect();
    format!("{readable}-{}", &hex::sha256(scope.as_bytes())[..8])
}

fn is_main(config: &Config, agent_id: &str, session_key: &str) -> bool {
    session_key == format!("agent:{agent_id}:main")
        || (session_key == "global" && config.session_scope() == "global")
}

/// The agent's own value, else the default's.
fn pick<'a, T>(
    config: &'a Config,
    agent_id: &str,
    get: impl Fn(&'a Sandbox) -> Option<T>,
) -> Option<T> {
    let own = config
        .agent(agent_id)
        .and_then(|agent| agent.sandbox.as_ref());
    own.and_then(&get)
        .or_else(|| get(&config.agents.defaults.sandbox))
}

/// `path` without `.` and `..`, by its spelling alone.
pub fn tidy(path: &Path) -> PathBuf {
    let mut tidy = PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::ParentDir => {
                tidy.pop();
            }
            std::path::Component::CurDir => {}
            part => tidy.push(part),
        }
    }
    tidy
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_agents_own_setting_wins_and_main_is_spared_by_non_main() {
        let config: Config = serde_json::from_value(serde_json::json!({"agents": {
            "defaults": {"sandbox": {"mode": "non-main", "workspaceAccess": "rw"}},
            "list": [{"id": "ops", "sandbox": {"mode": "all"}}, {"id": "main"}]}}))
        .unwrap();
        assert_eq!(mode(&config, "main", "agent:main:main"), None);
        assert_eq!(mode(&config, "main", "agent:main:x"), Some(Access::Write));
        assert_eq!(mode(&config, "ops", "agent:ops:main"), Some(Access::Write));
    }

    #[test]
    fn scopes_that_read_alike_have_folders_of_their_own() {
        assert_ne!(slug("agent:a/b"), slug("agent:a.b"));
        assert!(slug("agent:main").starts_with("agent-main-"));
    }
}
