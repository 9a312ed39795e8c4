//! What goes into an archive, and under which name. Reads folders; opens no file.

use super::Skipped;
use crate::config::Snapshot;
use std::fs;
use std::path::{Path, PathBuf};

#[derive(Debug, Default)]
pub struct Plan {
    pub open: Vec<Item>,
    pub secret: Vec<Item>,
    pub skipped: Vec<Skipped>,
}

#[derive(Debug)]
pub struct Item {
    pub source: PathBuf,
    pub name: String,
}

/// Of the state folder: made anew where they are missing, or of use to this machine alone.
/// `memory/` is the index of notes and sessions, which are taken themselves.
const LEFT: [&str; 8] = [
    super::FOLDER,
    "rs",
    "run",
    "logs",
    "memory",
    "sandboxes",
    "completions",
    "node_modules",
];

/// Of the state folder: keys, logins, and who is let in.
const SECRET: [&str; 6] = [
    ".env",
    "credentials",
    "devices",
    "exec-approvals.json",
    "identity",
    "nodes",
];

/// In an agent's own folder.
const SECRET_OF_AGENT: [&str; 3] = ["auth-profiles.json", "auth.json", "models.json"];

pub fn plan(snapshot: &Snapshot, workspaces: bool) -> Plan {
    let paths = &snapshot.paths;
    let mut plan = Plan::default();
    let mut work: Vec<(String, PathBuf)> = Vec::new();
    for id in snapshot.config.agent_ids() {
        let folder = snapshot.config.workspace(&id, paths);
        // Agents may share one.
        if !work.iter().any(|(_, other)| *other == folder) {
            work.push((id, folder));
        }
    }
    let elsewhere: Vec<&Path> = work.iter().map(|(_, folder)| folder.as_path()).collect();
    let state = |relative: &Path| -> Fate {
        let full = paths.state.join(relative);
        if full == paths.config || elsewhere.contains(&full.as_path()) {
            return Fate::Leave;
        }
        state_fate(relative)
    };
    plan.walk(&paths.state, "state", &state);
    if !paths.credentials.starts_with(&paths.state) {
        plan.walk(&paths.credentials, "credentials", &|_| Fate::Secret);
    }
    if !paths.agent_dir.starts_with(&paths.state) {
        plan.walk(&paths.agent_dir, "agent", &|_| Fate::Secret);
    }
    if paths.shared() != paths.state {
        for (file, name) in [
            (paths.device_identity(), "shared/identity/device.json"),
            (paths.exec_approvals(), "shared/exec-approvals.json"),
        ] {
            if file.is_file() {
                plan.secret.push(Item {
                    source: file,
                    name: name.into(),
                });
            }
        }
    }
    // Parts of the configuration may hold what the whole has masked.
    for file in snapshot.includes.iter().filter(|file| file.is_file()) {
        match file.strip_prefix(snapshot.path.parent().unwrap_or(Path::new("/"))) {
            Ok(relative) => plan.secret.push(Item {
                source: file.clone(),
                name: format!("include/{}", relative.display()),
            }),
            Err(_) => plan.skip(file, "part of the configuration, not beside it"),
        }
    }
    if workspaces {
        for (id, folder) in &work {
            plan.walk(
                folder,
                &format!("workspace/{id}"),
                &|relative| match relative
                    .file_name()
                    .is_some_and(|name| name == "node_modules")
                {
                    true => Fate::Leave,
                    false => Fate::Take,
                },
            );
        }
    }
    // A list of sessions is older than the conversations it names, never newer.
    plan.open.sort_by(|a, b| {
        let late = |item: &Item| item.name.ends_with(".jsonl");
        (late(a), &a.name).cmp(&(late(b), &b.name))
    });
    plan.secret.sort_by(|a, b| a.name.cmp(&b.name));
    plan.secret.dedup_by(|b, a| a.name == b.name);
    plan
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Take,
    Secret,
    Leave,
}

fn state_fate(relative: &Path) -> Fate {
    let text = relative.to_string_lossy();
    let mut parts = text.split('/');
    let first = parts.next().unwrap_or_default();
    let last = text.rsplit('/').next().unwrap_or_default();
    let of_agent = first == "agents" && parts.nth(1) == Some("agent");
    // Halves of writes, locks, sockets' neighbours; old configurations have old secrets.
    let passing = last.ends_with(".lock")
        || last.ends_with(".tmp")
        || last.contains(".sqlite")
        || (first.starts_with("openclaw.json") && !text.contains('/'));
    match () {
        () if passing || LEFT.contains(&first) => Fate::Leave,
        () if SECRET.contains(&first) => Fate::Secret,
        () if of_agent && SECRET_OF_AGENT.contains(&last) => Fate::Secret,
        () => Fate::Take,
    }
}

impl Plan {
    fn skip(&mut self, path: &Path, why: &str) {
        self.skipped.push(Skipped {
            path: path.display().to_string(),
            why: why.into(),
        });
    }

    fn walk(&mut self, root: &Path, name: &str, fate: &dyn Fn(&Path) -> Fate) {
        let mut open = vec![PathBuf::new()];
        while let Some(folder) = open.pop() {
            let entries = match fs::read_dir(root.join(&folder)) {
                Ok(entries) => entries,
                Err(err) if err.kind() == std::io::ErrorKind::NotFound => continue,
                Err(err) => {
                    self.skip(&root.join(&folder), &err.to_string());
                    continue;
                }
            };
            for entry in entries.flatten() {
                let relative = folder.join(entry.file_name());
                let full = root.join(&relative);
                let fate = fate(&relative);
                if fate == Fate::Leave {
                    continue;
                }
                let Some(text) = relative.to_str() else {
                    self.skip(&full, "its name is not UTF-8");
                    continue;
                };
                match entry.file_type() {
                    Ok(kind) if kind.is_dir() => open.push(relative),
                    Ok(kind) if kind.is_file() => {
                        let item = Item {
                            name: format!("{name}/{text}"),
                            source: full,
                        };
                        match fate {
                            Fate::Secret => self.secret.push(item),
                            _ => self.open.push(item),
                        }
                    }
                    Ok(kind) if kind.is_symlink() => self.skip(&full, "a symbolic link"),
                    // Sockets and pipes have no content.
                    Ok(_) => {}
                    Err(err) => self.skip(&full, &err.to_string()),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_secret_and_what_is_made_anew_is_left() {
        let rows = [
            (Fate::Take, "agents/main/sessions/sessions.json"),
            (Fate::Take, "agents/main/sessions/a.jsonl"),
            (Fate::Take, "cron/jobs.json"),
            (Fate::Take, "media/inbound/x.png"),
            (Fate::Secret, "agents/main/agent/auth-profiles.json"),
            (Fate::Take, "agents/main/agent/settings.json"),
            (Fate::Secret, "credentials/whatsapp/default/creds.json"),
            (Fate::Secret, ".env"),
            (Fate::Secret, "identity/device.json"),
            (Fate::Leave, "openclaw.json.bak"),
            (Fate::Leave, "agents/main/sessions/sessions.json.lock"),
            (Fate::Leave, "memory/main.sqlite"),
            (Fate::Leave, "rs/channels/outbox/x"),
            (Fate::Leave, "backups/old.tar.gz"),
        ];
        for (fate, path) in rows {
            assert_eq!(state_fate(Path::new(path)), fate, "{path}");
        }
    }
}
