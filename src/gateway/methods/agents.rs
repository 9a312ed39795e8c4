//! `agents.list`, `agent.identity.get`, and the files of an agent's workspace.

use super::{Answer, Call};
use crate::agent::files::{self, Seen};
use crate::config::agents::agent_id;
use crate::gateway::core::Core;
use crate::gateway::http::avatar;
use crate::gateway::identity;
use crate::session::key;
use crate::wire::gateway::agents::{FileEntry, FileParams, Files, OneFile};
use crate::wire::gateway::frame::RpcError;
use serde_json::{Map, Value, json};
use std::path::PathBuf;
use std::sync::Arc;

/// The identity fields a list row may carry.
const IDENTITY_FIELDS: &[&str] = &["name", "theme", "emoji", "avatar"];

/// The configured agents; without any, those that have a folder, and the default one.
pub fn list(core: &Arc<Core>, _call: &Call) -> Answer {
    let snapshot = core.config.current();
    let config = &snapshot.config;
    let default_id = config.default_agent_id();
    let mut ids = config.agent_ids();
    if config.agents.list.is_empty() {
        ids.extend(core.agents.sessions.agents());
    }
    ids.sort();
    ids.dedup();
    ids.retain(|id| *id != default_id);
    ids.insert(0, default_id.clone());
    let agents: Vec<Value> = ids.iter().map(|id| summary(core, id)).collect();
    Answer::ok(&json!({
        "defaultId": default_id,
        "mainKey": "main",
        "scope": config.session_scope(),
        "agents": agents,
    }))
}

fn summary(core: &Core, id: &str) -> Value {
    let snapshot = core.config.current();
    let mut row = Map::new();
    row.insert("id".into(), id.into());
    if let Some(agent) = snapshot.config.agent(id) {
        if let Some(name) = &agent.name {
            row.insert("name".into(), name.as_str().into());
        }
        let mut shown = Map::new();
        for field in IDENTITY_FIELDS {
            if let Some(Value::String(text)) = agent.identity.get(*field) {
                if !text.trim().is_empty() {
                    shown.insert((*field).into(), text.as_str().into());
                }
            }
        }
        if let Some(Value::String(avatar)) = shown.get("avatar") {
            let link = ["http://", "https://", "data:"];
            let url = match link.iter().any(|scheme| avatar.starts_with(scheme)) {
                true => Some(avatar.clone()),
                false => {
                    let workspace = snapshot.config.workspace(id, core.config.paths());
                    avatar::data_url(&workspace, avatar)
                }
            };
            if let Some(url) = url {
                shown.insert("avatarUrl".into(), url.into());
            }
        }
        if !shown.is_empty() {
            row.insert("identity".into(), Value::Object(shown));
        }
    }
    Value::Object(row)
}

pub fn identity(core: &Arc<Core>, call: &Call) -> Answer {
    let text = |name: &str| call.params.get(name).and_then(Value::as_str).map(str::trim);
    let named = text("agentId").map(agent_id);
    let session = text("sessionKey").filter(|key| !key.is_empty());
    let of_session = session.and_then(|session| {
        let key = core.agents.sessions.canonical(session);
        key::agent_of(&key).map(str::to_string)
    });
    if let (Some(named), Some(other), Some(_)) = (&named, &of_session, session) {
        if named != other {
            return Answer::invalid(format!(
                "invalid agent.identity.get params: agent \"{named}\" does not match session key agent \"{other}\""
            ));
        }
    }
    let snapshot = core.config.current();
    let id = named
        .or(of_session)
        .unwrap_or_else(|| snapshot.config.default_agent_id());
    Answer::ok(&identity::resolve(&snapshot, core.config.paths(), &id))
}

pub fn files_list(core: &Arc<Core>, call: &Call) -> Answer {
    let list = || {
        let (agent_id, workspace, _) = place(core, call)?;
        let seen = files::list(&workspace).into_iter();
        Ok(Answer::ok(&Files {
            agent_id: &agent_id,
            files: seen.map(|seen| entry(seen, None)).collect(),
            workspace: workspace.display().to_string(),
        }))
    };
    list().into()
}

pub fn files_get(core: &Arc<Core>, call: &Call) -> Answer {
    let get = || {
        let (agent_id, workspace, params) = place(core, call)?;
        let name = files::known(&params.name).map_err(told)?;
        let (seen, text) = files::read(&workspace, name).map_err(told)?;
        Ok(Answer::ok(&OneFile {
            ok: None,
            agent_id: &agent_id,
            workspace: workspace.display().to_string(),
            file: entry(seen, text),
        }))
    };
    get().into()
}

pub fn files_set(core: &Arc<Core>, call: &Call) -> Answer {
    let set = || {
        let (agent_id, workspace, params) = place(core, call)?;
        let name = files::known(&params.name).map_err(told)?;
        let seen = files::write(&workspace, name, &params.content).map_err(told)?;
        Ok(Answer::ok(&OneFile {
            ok: Some(true),
            agent_id: &agent_id,
            workspace: workspace.display().to_string(),
            file: entry(seen, Some(params.content)),
        }))
    };
    set().into()
}

/// A configured agent and its workspace.
fn place(core: &Core, call: &Call) -> Result<(String, PathBuf, FileParams), RpcError> {
    let params: FileParams = call.parse()?;
    let snapshot = core.config.current();
    let config = &snapshot.config;
    let id = agent_id(&params.agent_id);
    if !config.agent_ids().contains(&id) {
        return Err(RpcError::invalid("unknown agent id"));
    }
    let workspace = config.workspace(&id, core.config.paths());
    Ok((id, workspace, params))
}

fn entry(seen: Seen, content: Option<String>) -> FileEntry {
    FileEntry {
        name: seen.name,
        path: seen.path.display().to_string(),
        missing: seen.state.is_none(),
        size: seen.state.map(|state| state.size),
        updated_at_ms: seen.state.map(|state| state.updated_ms),
        content,
    }
}

fn told(err: files::Error) -> RpcError {
    match err {
        files::Error::Io(..) => RpcError::unavailable(err.to_string()),
        _ => RpcError::invalid(err.to_string()),
    }
}
