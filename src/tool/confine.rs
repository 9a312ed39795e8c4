//! The room of a sandboxed session: the folder it works in and what else it can read.
//!
//! The state directory is never part of a room except the one folder meant for it (below
//! `~/.openclaw/sandboxes`, or a workspace that lies there), so neither a token nor a transcript is
//! in reach.

use super::{Context, Error, container};
use crate::base::atomic::create_private_dir;
use crate::config::Config;
use crate::config::sandbox::{Settings, of_session};
use serde_json::Value;
use std::path::{Path, PathBuf};

pub use crate::config::sandbox::Access;

/// Skills whose folders are granted; a rule of the kernel's each.
const MAX_SKILLS: usize = 256;
/// What makes a folder a skill's.
const SKILL: &str = "SKILL.md";

/// What a sandboxed session can reach.
#[derive(Clone, Debug, PartialEq)]
pub struct Room {
    /// Its own: it works here and may write.
    pub root: PathBuf,
    /// What may be read besides: the folders of the agent's skills, and its workspace when that is
    /// another one.
    pub also: Vec<PathBuf>,
    pub settings: Settings,
    /// The `docker` program, when its commands run in a container.
    pub docker: Option<PathBuf>,
}

/// `None`: not sandboxed.
pub fn mode(config: &Config, agent_id: &str, session_key: &str) -> Option<Access> {
    of_session(config, agent_id, session_key)
}

/// The room of this call's session; made when it is a folder of our own. `None`: not sandboxed.
pub fn room(ctx: &Context) -> Result<Option<Room>, Error> {
    let config = &ctx.config.config;
    let Some(access) = mode(config, ctx.agent_id, ctx.session_key) else {
        return Ok(None);
    };
    let paths = ctx.processes.paths();
    let settings = Settings::of(config, paths, ctx.agent_id);
    let docker = container::program(&settings, &ctx.config.env);
    let usable = |folder: &Path| {
        let real = folder.canonicalize().map_err(|err| {
            let folder = folder.display();
            Error(format!(
                "The sandbox's folder {folder} cannot be used: {err}"
            ))
        })?;
        for private in [paths.state.clone(), paths.runtime.clone(), paths.shared()] {
            let private = private.canonicalize().unwrap_or(private);
            if private.starts_with(&real) {
                let (real, private) = (real.display(), private.display());
                return Err(Error(format!(
                    "The workspace {real} contains {private}, which a sandboxed session must not \
                     reach. Choose a workspace that does not."
                )));
            }
        }
        Ok(real)
    };
    // A skill may lie in a folder that commands can write, and be a link to anywhere by now. So where
    // it leads is looked at once, must be a skill's folder, and is taken without links from here on.
    let skills = ctx.skills.iter().take(MAX_SKILLS);
    let mut also: Vec<PathBuf> = skills
        .filter_map(|folder| usable(folder).ok())
        .filter(|folder| folder.join(SKILL).is_file())
        .collect();
    if access == Access::Write {
        let root = usable(&ctx.workspace)?;
        also.retain(|folder| !folder.starts_with(&root));
        return Ok(Some(Room {
            root,
            also,
            settings,
            docker,
        }));
    }
    let own = settings.folder(ctx.agent_id, ctx.session_key);
    create_private_dir(&own)
        .map_err(|err| Error(format!("The sandbox's folder {}: {err}", own.display())))?;
    if access == Access::Read {
        also.push(usable(&ctx.workspace)?);
    }
    Ok(Some(Room {
        root: usable(&own)?,
        also,
        settings,
        docker,
    }))
}

impl Room {
    /// The folder of the room that `path` lies in.
    pub fn holder<'a>(&'a self, path: &Path) -> Option<&'a Path> {
        let mut folders = std::iter::once(&self.root).chain(&self.also);
        let folder = folders.find(|folder| path.starts_with(folder));
        folder.map(PathBuf::as_path)
    }

    /// What `path` means when it is spelled as a container shows it.
    pub fn outside(&self, workspace: &Path, path: &Path) -> Option<PathBuf> {
        self.docker.as_ref()?;
        container::outside(&self.settings, &self.root, workspace, path)
    }

    /// A limit from `docker.*`: a number, or bytes with a unit as docker takes them (`512m`).
    pub fn limit(&self, key: &str) -> Option<u64> {
        bytes(self.settings.docker.get(key)?)
    }

    /// A limit from `docker.ulimits.*`: a number, `soft:hard`, or an object of both. The lower one
    /// counts: a sandboxed command has no reason to raise it.
    pub fn ulimit(&self, name: &str) -> Option<u64> {
        match self.settings.docker.get("ulimits")?.get(name)? {
            Value::Object(both) => {
                let part = |key: &str| both.get(key).and_then(Value::as_u64);
                part("soft").or_else(|| part("hard"))
            }
            Value::String(text) => text.split(':').next()?.trim().parse().ok(),
            number => number.as_u64(),
        }
    }
}

fn bytes(value: &Value) -> Option<u64> {
    let Value::String(text) = value else {
        return value.as_f64().filter(|n| *n > 0.0).map(|n| n as u64);
    };
    let text = text.trim().to_lowercase();
    let text = text.trim_end_matches('b');
    let (digits, shift) = match text.chars().last()? {
        'k' => (&text[..text.len() - 1], 10),
        'm' => (&text[..text.len() - 1], 20),
        'g' => (&text[..text.len() - 1], 30),
        _ => (text, 0),
    };
    let number: f64 = digits.trim().parse().ok()?;
    let all = number * f64::from(1u32 << shift);
    (all > 0.0).then_some(all as u64)
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
    use serde_json::json;

    #[test]
    fn limits_are_read_as_docker_takes_them() {
        assert_eq!(bytes(&json!("512m")), Some(512 << 20));
        assert_eq!(bytes(&json!("1.5GB")), Some(3 << 29));
        assert_eq!(bytes(&json!(4096)), Some(4096));
        assert_eq!(bytes(&json!("much")), None);
        assert_eq!(bytes(&json!("-1")), None);
    }
}
