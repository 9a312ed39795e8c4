//! Setting up: what was said, by flags or in a conversation, becomes a configuration, a key in its
//! place, a workspace and a folder for sessions.
//!
//! `look` checks everything and writes nothing; `apply` writes. What a person wrote before stays
//! where nothing else was said.

use crate::agent::workspace;
use crate::base::atomic;
use crate::base::secret::Secret;
use crate::config::Snapshot;
use crate::config::paths::expand;
use crate::config::settings::Settings;
use crate::gateway::wizard::auth::{self, Auth};
use crate::gateway::wizard::error::{Error, io};
use crate::gateway::wizard::listen::{self, Gateway};
use crate::gateway::wizard::save;
use serde_json::json;
use std::path::{Path, PathBuf};

const NODE_MANAGERS: [&str; 3] = ["npm", "pnpm", "bun"];

/// A gateway on this machine.
#[derive(Default)]
pub struct Local {
    pub workspace: Option<String>,
    pub auth: auth::Wanted,
    pub gateway: listen::Wanted,
    pub skip_skills: bool,
    pub node_manager: Option<String>,
}

/// Checked, not yet written.
pub struct Plan {
    pub gateway: Gateway,
    auth: Auth,
    settings: Settings,
}

/// What was done, in the lines of the original.
pub struct Done {
    pub after: Snapshot,
    pub workspace: PathBuf,
    pub lines: Vec<String>,
}

pub fn look(snapshot: &Snapshot, wanted: &Local) -> Result<Plan, Error> {
    let auth = auth::look(snapshot, &wanted.auth)?;
    let gateway = listen::look(snapshot, &wanted.gateway)?;
    let mut settings = Settings::default();
    set_workspace(snapshot, wanted.workspace.as_deref(), &mut settings);
    settings.put(&["gateway", "mode"], "local");
    settings.fill(&["agents", "defaults", "compaction", "mode"], "safeguard");
    if !wanted.skip_skills {
        match wanted.node_manager.as_deref() {
            None => settings.fill(&["skills", "install", "nodeManager"], "npm"),
            Some(name) if NODE_MANAGERS.contains(&name) => {
                settings.put(&["skills", "install", "nodeManager"], name);
            }
            Some(_) => {
                return Err(Error::said(
                    "Invalid --node-manager (use npm, pnpm, or bun)",
                ));
            }
        }
    }
    settings.note_run("onboard", "local");
    Ok(Plan {
        gateway,
        auth,
        settings,
    })
}

impl Plan {
    pub fn apply(self, before: &Snapshot) -> Result<Done, Error> {
        let mut lines = Vec::new();
        lines.extend(self.auth.keep(&before.paths)?);
        let mut settings = self.settings;
        settings.append(self.auth.settings);
        settings.append(self.gateway.settings);
        let after = settings
            .write(&before.paths, &before.env)
            .map_err(Error::Config)?;
        lines.push(format!(
            "Updated {}",
            after.paths.tilde(&after.paths.config)
        ));
        let (workspace, made) = prepare(&after)?;
        lines.extend(made);
        Ok(Done {
            after,
            workspace,
            lines,
        })
    }
}

/// A gateway somewhere else: its address, and the token if it wants one.
pub fn remote(before: &Snapshot, url: &str, token: Option<&Secret>) -> Result<Done, Error> {
    let mut settings = save::remote(before, url, token)?;
    settings.put(&["gateway", "mode"], "remote");
    settings.note_run("onboard", "remote");
    let after = settings
        .write(&before.paths, &before.env)
        .map_err(Error::Config)?;
    let config = after.paths.tilde(&after.paths.config);
    let auth = if token.is_some() { "token" } else { "none" };
    Ok(Done {
        workspace: PathBuf::new(),
        lines: vec![
            format!("Updated {config}"),
            format!("Remote gateway: {url}"),
            format!("Auth: {auth}"),
        ],
        after,
    })
}

/// `openclaw setup`: a configuration that names the workspace, and the folders.
pub fn bare(before: &Snapshot, workspace: Option<&str>) -> Result<Done, Error> {
    let config = before.paths.tilde(&before.paths.config);
    let mut settings = Settings::default();
    set_workspace(before, workspace, &mut settings);
    let mut lines = Vec::new();
    let after = match settings.is_empty() {
        true => {
            lines.push(format!("Config OK: {config}"));
            before.clone()
        }
        false => {
            lines.push(match before.exists {
                true => format!("Updated {config} (set agents.defaults.workspace)"),
                false => format!("Wrote {config}"),
            });
            settings
                .write(&before.paths, &before.env)
                .map_err(Error::Config)?
        }
    };
    let (workspace, made) = prepare(&after)?;
    lines.extend(made);
    Ok(Done {
        after,
        workspace,
        lines,
    })
}

/// The workspace that was asked for, or the usual one where the configuration names none.
fn set_workspace(snapshot: &Snapshot, asked: Option<&str>, settings: &mut Settings) {
    let place = ["agents", "defaults", "workspace"];
    let there = &snapshot.config.agents.defaults.workspace;
    let paths = &snapshot.paths;
    let asked = asked.map(str::trim).filter(|path| !path.is_empty());
    match (asked, there) {
        (None, Some(_)) => {}
        (None, None) => {
            let usual = paths.default_workspace();
            settings.put(&place, usual.to_string_lossy().as_ref());
        }
        (Some(typed), there) => {
            let asked = expand(typed, &paths.home);
            let same = there.as_deref().map(|there| expand(there, &paths.home));
            if same.as_ref() != Some(&asked) {
                settings.put(&place, asked.to_string_lossy().as_ref());
            }
        }
    }
}

/// The workspace with the files a new agent starts with, and the folder of its sessions.
pub fn prepare(after: &Snapshot) -> Result<(PathBuf, Vec<String>), Error> {
    let paths = &after.paths;
    let agent = after.config.default_agent_id();
    let folder = after.config.workspace(&agent, paths);
    let skip = after.config.agents.defaults.skip_bootstrap;
    workspace::create(&folder, skip).map_err(io(&folder))?;
    let sessions = paths.sessions(&agent);
    atomic::create_private_dir(&sessions).map_err(io(&sessions))?;
    let lines = vec![
        format!("Workspace OK: {}", paths.tilde(&folder)),
        format!("Sessions OK: {}", paths.tilde(&sessions)),
    ];
    Ok((folder, lines))
}

/// The end of `onboard --json`.
pub fn summary(plan: &Gateway, workspace: &Path, wanted: &Local) -> serde_json::Value {
    json!({
        "mode": "local",
        "workspace": workspace,
        "authChoice": wanted.auth.choice.as_deref().map_or(auth::SKIP, auth::present_name),
        "gateway": {
            "port": plan.port,
            "bind": plan.bind,
            "authMode": plan.auth,
            "tailscaleMode": plan.tailscale,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::wizard::place::Place;

    #[test]
    fn a_first_setup_makes_everything_and_a_second_one_changes_nothing_that_was_chosen() {
        let place = Place::new("{}");
        let home = &place.snapshot.paths.home;
        let wanted = Local {
            workspace: Some("~/work".into()),
            ..Local::default()
        };
        let done = look(&place.snapshot, &wanted)
            .and_then(|plan| plan.apply(&place.snapshot))
            .unwrap();
        assert_eq!(
            done.lines,
            [
                "Updated ~/.openclaw/openclaw.json",
                "Workspace OK: ~/work",
                "Sessions OK: ~/.openclaw/agents/main/sessions"
            ]
        );
        assert!(home.join("work/SOUL.md").is_file());
        let first = done.after.parsed.clone();
        assert_eq!(first["wizard"]["lastRunCommand"], "onboard");
        assert_eq!(first["skills"]["install"]["nodeManager"], "npm");
        let again = look(&done.after, &Local::default())
            .and_then(|plan| plan.apply(&done.after))
            .unwrap();
        for part in ["gateway", "agents", "skills"] {
            assert_eq!(again.after.parsed[part], first[part], "{part}");
        }
    }

    #[test]
    fn setup_names_the_workspace_and_nothing_else() {
        let place = Place::new("{}");
        let done = bare(&place.snapshot, None).unwrap();
        assert_eq!(done.lines[0], "Wrote ~/.openclaw/openclaw.json");
        let file = done.after.parsed.as_object().unwrap();
        let keys: Vec<&String> = file.keys().filter(|key| *key != "meta").collect();
        assert_eq!(keys, ["agents"]);
        let again = bare(&done.after, None).unwrap();
        assert_eq!(again.lines[0], "Config OK: ~/.openclaw/openclaw.json");
        let moved = bare(&done.after, Some("~/other")).unwrap();
        assert_eq!(
            moved.lines[..2],
            [
                "Updated ~/.openclaw/openclaw.json (set agents.defaults.workspace)",
                "Workspace OK: ~/other"
            ]
        );
    }

    #[test]
    fn a_gateway_elsewhere_needs_an_address_that_is_one() {
        let place = Place::new("{}");
        assert!(remote(&place.snapshot, "http://x", None).is_err());
        let token = Secret::new("rt");
        let done = remote(&place.snapshot, "wss://gw.example", Some(&token)).unwrap();
        assert_eq!(done.lines[2], "Auth: token");
        let gateway = &done.after.parsed["gateway"];
        assert_eq!(gateway["remote"]["token"], "rt");
        assert!(!done.lines.concat().contains("rt\n"));
        assert!(gateway.get("port").is_none());
    }
}
