//! `security audit --fix`: modes of files, masking of secrets, and open groups. Tokens, bind and
//! people's lists are not touched: somebody relies on them.

use super::files::{agent_dir, agents};
use crate::base::atomic::{PRIVATE_DIR, PRIVATE_FILE};
use crate::channel::pairing::Store;
use crate::config::{Snapshot, edit};
use serde::Serialize;
use serde_json::{Value, json};
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// The services whose open groups are closed.
const GROUPS: [&str; 7] = [
    "telegram", "whatsapp", "discord", "signal", "imessage", "slack", "msteams",
];

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Done {
    pub ok: bool,
    pub state_dir: PathBuf,
    pub config_path: PathBuf,
    pub config_written: bool,
    /// Of the configuration, in words.
    pub changes: Vec<String>,
    pub actions: Vec<Action>,
    pub errors: Vec<String>,
}

/// One file that was to have a mode.
#[derive(Debug, PartialEq, Serialize)]
pub struct Action {
    kind: &'static str,
    pub path: PathBuf,
    pub mode: u32,
    /// It was changed.
    pub ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skipped: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

pub fn run(snapshot: &Snapshot) -> Done {
    let mut done = Done {
        ok: true,
        state_dir: snapshot.paths.state.clone(),
        config_path: snapshot.path.clone(),
        config_written: false,
        changes: Vec::new(),
        actions: Vec::new(),
        errors: Vec::new(),
    };
    // Of the tree as it is written: what a default says is no change of the file.
    let changes = close(&mut snapshot.parsed.clone(), &|kind| {
        let store = Store::of(&snapshot.paths.credentials, kind);
        store.allowed().unwrap_or_default()
    });
    if !changes.is_empty() {
        let credentials = snapshot.paths.credentials.clone();
        let written = edit::change(&snapshot.paths, &snapshot.env, move |tree| {
            close(tree, &|kind| {
                Store::of(&credentials, kind).allowed().unwrap_or_default()
            });
            Ok(())
        });
        match written {
            Ok(_) => (done.config_written, done.changes) = (true, changes),
            Err(err) => done.errors.push(err.to_string()),
        }
    }
    done.actions = wanted(snapshot)
        .into_iter()
        .map(|(path, mode)| chmod(path, mode))
        .collect();
    let failed = done.actions.iter().any(|action| action.error.is_some());
    done.ok = done.errors.is_empty() && !failed;
    done
}

/// Changes `tree`; returns what in words.
fn close(tree: &mut Value, paired: &dyn Fn(&str) -> Vec<String>) -> Vec<String> {
    let mut changes = Vec::new();
    if tree["logging"]["redactSensitive"] == "off" {
        tree["logging"]["redactSensitive"] = json!("tools");
        changes.push("logging.redactSensitive=off -> \"tools\"".to_string());
    }
    for kind in GROUPS {
        if !tree["channels"][kind].is_object() {
            continue;
        }
        let section = &mut tree["channels"][kind];
        changes.extend(close_groups(
            section,
            kind,
            &format!("channels.{kind}"),
            paired,
        ));
        let accounts = section.get_mut("accounts").and_then(Value::as_object_mut);
        for (name, account) in accounts.into_iter().flatten() {
            let place = format!("channels.{kind}.accounts.{name}");
            changes.extend(close_groups(account, kind, &place, paired));
        }
    }
    changes
}

fn close_groups(
    section: &mut Value,
    kind: &str,
    place: &str,
    paired: &dyn Fn(&str) -> Vec<String>,
) -> Vec<String> {
    let mut changes = Vec::new();
    if section["groupPolicy"] != "open" {
        return changes;
    }
    section["groupPolicy"] = json!("allowlist");
    changes.push(format!("{place}.groupPolicy=open -> \"allowlist\""));
    let empty = |value: &Value| value.as_array().is_none_or(Vec::is_empty);
    // Else those who were let in are shut out of the groups they are in.
    if kind == "whatsapp" && empty(&section["groupAllowFrom"]) && empty(&section["allowFrom"]) {
        let people = paired(kind);
        if !people.is_empty() {
            section["groupAllowFrom"] = json!(people);
            changes.push(format!("{place}.groupAllowFrom={} paired", people.len()));
        }
    }
    changes
}

fn wanted(snapshot: &Snapshot) -> Vec<(PathBuf, u32)> {
    let paths = &snapshot.paths;
    let mut all = vec![
        (paths.state.clone(), PRIVATE_DIR),
        (snapshot.path.clone(), PRIVATE_FILE),
    ];
    let files = snapshot.includes.iter();
    all.extend(files.map(|file| (file.clone(), PRIVATE_FILE)));
    all.push((paths.credentials.clone(), PRIVATE_DIR));
    let credentials = fs::read_dir(&paths.credentials).into_iter().flatten();
    let mut credentials: Vec<PathBuf> = credentials
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|ext| ext == "json"))
        .collect();
    credentials.sort();
    all.extend(credentials.into_iter().map(|file| (file, PRIVATE_FILE)));
    for agent in agents(snapshot) {
        let dir = agent_dir(snapshot, &agent);
        let profiles = dir.join("auth-profiles.json");
        let sessions = paths.sessions(&agent);
        let store = sessions.join("sessions.json");
        all.push((paths.agent(&agent), PRIVATE_DIR));
        all.push((dir, PRIVATE_DIR));
        all.push((profiles, PRIVATE_FILE));
        all.push((sessions, PRIVATE_DIR));
        all.push((store, PRIVATE_FILE));
    }
    all
}

fn chmod(path: PathBuf, mode: u32) -> Action {
    let (ok, skipped, error) = match set(&path, mode) {
        Ok(None) => (true, None, None),
        Ok(skipped) => (false, skipped, None),
        Err(err) => (false, None, Some(err.to_string())),
    };
    Action {
        kind: "chmod",
        path,
        mode,
        ok,
        skipped,
        error,
    }
}

fn set(path: &Path, mode: u32) -> std::io::Result<Option<&'static str>> {
    let meta = match fs::symlink_metadata(path) {
        Err(err) if err.kind() == ErrorKind::NotFound => return Ok(Some("missing")),
        meta => meta?,
    };
    let folder = mode == PRIVATE_DIR;
    if meta.is_symlink() {
        return Ok(Some("symlink"));
    }
    if folder && !meta.is_dir() {
        return Ok(Some("not-a-directory"));
    }
    if !folder && !meta.is_file() {
        return Ok(Some("not-a-file"));
    }
    if meta.permissions().mode() & 0o777 == mode {
        return Ok(Some("already"));
    }
    fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::id;
    use crate::config::{Env, Paths, load};

    #[test]
    fn open_groups_are_closed_and_secrets_masked_and_the_rest_stays() {
        let mut tree = json!({
            "gateway": {"bind": "lan"},
            "logging": {"redactSensitive": "off"},
            "channels": {
                "whatsapp": {"groupPolicy": "open"},
                "telegram": {"groupPolicy": "allowlist",
                    "accounts": {"a": {"groupPolicy": "open"}}},
                "irc": {"groupPolicy": "open"},
            },
        });
        let changes = close(&mut tree, &|_| vec!["+1".into()]);
        assert_eq!(
            changes,
            [
                "logging.redactSensitive=off -> \"tools\"",
                "channels.telegram.accounts.a.groupPolicy=open -> \"allowlist\"",
                "channels.whatsapp.groupPolicy=open -> \"allowlist\"",
                "channels.whatsapp.groupAllowFrom=1 paired",
            ]
        );
        assert_eq!(tree["channels"]["irc"]["groupPolicy"], "open");
        assert_eq!(
            tree["channels"]["whatsapp"]["groupAllowFrom"],
            json!(["+1"])
        );
        assert_eq!(tree["gateway"], json!({"bind": "lan"}));
        let before = tree.clone();
        assert!(close(&mut tree, &|_| Vec::new()).is_empty());
        assert_eq!(tree, before);
    }

    #[test]
    fn a_second_run_changes_nothing_and_a_link_is_left_alone() {
        let dir = id::temp_dir("audit-fix");
        let home = dir.to_str().unwrap();
        let env = Env::from_pairs(&[("HOME", home), ("OPENCLAW_STATE_DIR", home)]);
        let paths = Paths::resolve(&env, None);
        let sessions = paths.sessions("main");
        fs::create_dir_all(&sessions).unwrap();
        std::os::unix::fs::symlink("/dev/null", sessions.join("sessions.json")).unwrap();
        fs::write(&paths.config, "{logging: {redactSensitive: 'off'}}").unwrap();
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o755)).unwrap();
        let first = run(&load::load(&paths, &env));
        assert!(first.ok && first.config_written, "{first:?}");
        assert_eq!(first.actions[0].path, dir);
        assert!(first.actions[0].ok);
        let last = first.actions.last().unwrap();
        assert_eq!(last.skipped, Some("symlink"));
        let second = run(&load::load(&paths, &env));
        assert!(second.ok && !second.config_written && second.changes.is_empty());
        assert!(second.actions.iter().all(|action| !action.ok));
        fs::remove_dir_all(dir).unwrap();
    }
}
