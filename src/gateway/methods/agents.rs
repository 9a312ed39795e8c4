//! `agents.list` and `agent.identity.get`.

use super::{Answer, Call};
use crate::config::agents::agent_id;
use crate::gateway::core::Core;
use crate::gateway::identity;
use crate::session::key;
use crate::wire::shape::{NON_EMPTY, STRING, Shape, optional};
use serde_json::{Map, Value, json};
use std::sync::Arc;

pub const IDENTITY: Shape = Shape::Closed(&[
    optional("agentId", NON_EMPTY),
    optional("sessionKey", STRING),
]);

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
            if ["http://", "https://", "data:"]
                .iter()
                .any(|s| avatar.starts_with(s))
            {
                let url = avatar.clone();
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
