//! The agents of the configuration: added, renamed and taken away, with their folders. One locked
//! edit of the configuration each, comments kept; what is taken away goes to the trash, and only
//! what nobody else uses.

use crate::agent::workspace;
use crate::base::atomic::create_private_dir;
use crate::base::time::now_ms;
use crate::config::agents::{MAIN_AGENT, agent_id};
use crate::config::edit::{self, Error};
use crate::config::{Env, Paths, Snapshot};
use crate::model::name;
use serde_json::{Map, Value, json};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// A new agent.
pub struct New<'a> {
    pub id: &'a str,
    /// As typed.
    pub name: &'a str,
    pub workspace: &'a Path,
    pub agent_dir: PathBuf,
    pub model: Option<&'a str>,
    /// `(channel, account)` whose messages are its.
    pub bind: Vec<(String, Option<String>)>,
}

/// What became of the bindings that were asked for, as `channel[:account]`.
#[derive(Debug, Default, PartialEq)]
pub struct Bound {
    pub added: Vec<String>,
    /// There already.
    pub skipped: Vec<String>,
    /// Another agent's, whose they stay.
    pub conflicts: Vec<String>,
}

/// What went with an agent.
#[derive(Debug, Default, PartialEq)]
pub struct Removed {
    pub bindings: usize,
    /// Entries of `tools.agentToAgent.allow`.
    pub allow: usize,
}

fn refused(text: String) -> Error {
    Error::Refused(text)
}

pub fn is_known(snapshot: &Snapshot, id: &str) -> bool {
    snapshot.config.agent_ids().iter().any(|known| known == id)
}

fn list(tree: &mut Value) -> Result<&mut Vec<Value>, Error> {
    let wrong = || refused("agents.list: expected a list".into());
    let root = tree.as_object_mut().ok_or_else(wrong)?;
    let agents = root.entry("agents").or_insert_with(|| json!({}));
    let agents = agents.as_object_mut().ok_or_else(wrong)?;
    let list = agents.entry("list").or_insert_with(|| json!([]));
    list.as_array_mut().ok_or_else(wrong)
}

fn is(entry: &Value, id: &str) -> bool {
    entry["id"].as_str().map(agent_id).as_deref() == Some(id)
}

/// Writes the agent into the configuration and makes its folders.
pub fn add(paths: &Paths, env: &Env, new: &New) -> Result<(Snapshot, Bound), Error> {
    let bound = std::cell::RefCell::new(Bound::default());
    let after = edit::change(paths, env, |tree| {
        let list = list(tree)?;
        if list.is_empty() {
            // The agent there was without being named stays, and stays the default one.
            list.push(json!({"id": MAIN_AGENT}));
        }
        if list.iter().any(|entry| is(entry, new.id)) {
            return Err(refused(format!("Agent \"{}\" already exists.", new.id)));
        }
        let mut entry = json!({"id": new.id, "name": new.name, "workspace": new.workspace,
            "agentDir": new.agent_dir});
        if let Some(model) = new.model {
            entry["model"] = model.into();
        }
        list.push(entry);
        *bound.borrow_mut() = bind(tree, new)?;
        Ok(())
    })?;
    let failed = |path: &Path| {
        let path = path.display().to_string();
        move |err: io::Error| refused(format!("{path}: {err}"))
    };
    let skip = after.config.agents.defaults.skip_bootstrap;
    workspace::create(new.workspace, skip).map_err(failed(new.workspace))?;
    create_private_dir(&new.agent_dir).map_err(failed(&new.agent_dir))?;
    let sessions = paths.sessions(new.id);
    create_private_dir(&sessions).map_err(failed(&sessions))?;
    Ok((after, bound.into_inner()))
}

fn bind(tree: &mut Value, new: &New) -> Result<Bound, Error> {
    let mut bound = Bound::default();
    if new.bind.is_empty() {
        return Ok(bound);
    }
    let wrong = || refused("bindings: expected a list".into());
    let root = tree.as_object_mut().ok_or_else(wrong)?;
    let bindings = root.entry("bindings").or_insert_with(|| json!([]));
    let bindings = bindings.as_array_mut().ok_or_else(wrong)?;
    for (channel, account) in &new.bind {
        let shown = match account {
            Some(account) => format!("{channel}:{account}"),
            None => channel.clone(),
        };
        let mut place = json!({"channel": channel});
        if let Some(account) = account {
            place["accountId"] = account.as_str().into();
        }
        let same = bindings.iter().find(|binding| binding["match"] == place);
        match same.map(|binding| binding["agentId"].as_str().map(agent_id)) {
            None => {
                bindings.push(json!({"agentId": new.id, "match": place}));
                bound.added.push(shown);
            }
            Some(Some(owner)) if owner == new.id => bound.skipped.push(shown),
            Some(owner) => {
                let owner = owner.unwrap_or_default();
                bound.conflicts.push(format!("{shown} (agent={owner})"));
            }
        }
    }
    Ok(bound)
}

/// Takes the agent and what names it out of the configuration.
pub fn remove(paths: &Paths, env: &Env, id: &str) -> Result<(Snapshot, Removed), Error> {
    let removed = std::cell::Cell::new((0, 0));
    let after = edit::change(paths, env, |tree| {
        list(tree)?.retain(|entry| !is(entry, id));
        let mut gone = (0, 0);
        if let Some(Value::Array(bindings)) = tree.get_mut("bindings") {
            let before = bindings.len();
            bindings.retain(|b| b["agentId"].as_str().map(agent_id).as_deref() != Some(id));
            gone.0 = before - bindings.len();
        }
        if let Some(Value::Array(allow)) = tree.pointer_mut("/tools/agentToAgent/allow") {
            let before = allow.len();
            allow.retain(|entry| entry.as_str() != Some(id));
            gone.1 = before - allow.len();
        }
        removed.set(gone);
        Ok(())
    })?;
    let (bindings, allow) = removed.get();
    Ok((after, Removed { bindings, allow }))
}

/// Puts a removed agent's folders into the trash: `after` says what others use. What stays, and
/// why.
pub fn put_away(paths: &Paths, after: &Snapshot, folders: &[&Path]) -> Vec<String> {
    let used: Vec<PathBuf> = after
        .config
        .agent_ids()
        .iter()
        .flat_map(|id| {
            [
                after.config.workspace(id, paths),
                name::agent_dir(paths, id),
            ]
        })
        .collect();
    let mut kept = Vec::new();
    for folder in folders {
        if used
            .iter()
            .any(|other| other.starts_with(folder) || folder.starts_with(other))
        {
            kept.push(format!("{} stays: another agent uses it", folder.display()));
        } else if let Err(err) = trash(paths, folder) {
            kept.push(format!("{} stays: {err}", folder.display()));
        }
    }
    kept
}

fn trash(paths: &Paths, folder: &Path) -> io::Result<()> {
    if !folder.exists() {
        return Ok(());
    }
    let bin = paths.home.join(".Trash");
    create_private_dir(&bin)?;
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    fs::rename(folder, bin.join(format!("{name}-{}", now_ms())))
}

/// Writes fields of an agent's identity; the ones there are stay. What it is then.
pub fn identify(
    paths: &Paths,
    env: &Env,
    id: &str,
    fields: &Map<String, Value>,
) -> Result<(Snapshot, Map<String, Value>), Error> {
    let identity = std::cell::RefCell::new(Map::new());
    let after = edit::change(paths, env, |tree| {
        let list = list(tree)?;
        if !list.iter().any(|entry| is(entry, id)) {
            list.push(json!({"id": id}));
        }
        let entry = list.iter_mut().find(|entry| is(entry, id));
        let entry = entry.and_then(Value::as_object_mut);
        let wrong = || refused(format!("agents.list: {id} is no object"));
        let own = entry.ok_or_else(wrong)?;
        let own = own.entry("identity").or_insert_with(|| json!({}));
        let own = own.as_object_mut().ok_or_else(wrong)?;
        own.extend(fields.clone());
        identity.borrow_mut().clone_from(own);
        Ok(())
    })?;
    Ok((after, identity.into_inner()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(config: Value) -> (Paths, Env, PathBuf) {
        let dir = crate::base::id::temp_dir("agents");
        let home = dir.to_str().unwrap();
        let env = Env::from_pairs(&[("HOME", home), ("OPENCLAW_STATE_DIR", home)]);
        let paths = Paths::resolve(&env, None);
        fs::write(&paths.config, config.to_string()).unwrap();
        (paths, env, dir)
    }

    #[test]
    fn an_agent_comes_with_its_folders_and_goes_with_what_names_it() {
        let taken = json!([{"agentId": "main", "match": {"channel": "telegram"}}]);
        let (paths, env, dir) = place(json!({"bindings": taken,
            "tools": {"agentToAgent": {"allow": ["ops", "main"]}}}));
        let (work, own) = (dir.join("work"), dir.join("agents/ops/agent"));
        let new = New {
            id: "ops",
            name: "Ops",
            workspace: &work,
            agent_dir: own.clone(),
            model: None,
            bind: vec![
                ("telegram".into(), None),
                ("discord".into(), Some("x".into())),
            ],
        };
        let (after, bound) = add(&paths, &env, &new).unwrap();
        assert_eq!(after.config.agent_ids(), ["main", "ops"]);
        assert_eq!(bound.added, ["discord:x"]);
        assert_eq!(bound.conflicts, ["telegram (agent=main)"]);
        assert!(work.join("AGENTS.md").exists() && own.exists());
        assert!(add(&paths, &env, &new).is_err());
        let name = Map::from_iter([("name".to_string(), json!("O"))]);
        let (_, identity) = identify(&paths, &env, "ops", &name).unwrap();
        assert_eq!(identity, name);
        let (after, removed) = remove(&paths, &env, "ops").unwrap();
        assert_eq!(
            removed,
            Removed {
                bindings: 1,
                allow: 1
            }
        );
        assert_eq!(after.config.agent_ids(), ["main"]);
        let shared = after.config.workspace("main", &paths);
        let kept = put_away(&paths, &after, &[&work, &own, &shared]);
        assert!(
            kept.len() == 1 && !work.exists() && !own.exists(),
            "{kept:?}"
        );
        fs::remove_dir_all(dir).unwrap();
    }
}
