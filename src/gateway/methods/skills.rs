//! `skills.status`, `skills.bins`, `skills.install`, `skills.update`.

use super::{Answer, Call};
use crate::config::agents::agent_id;
use crate::config::edit;
use crate::gateway::core::Core;
use crate::gateway::skills::{self, install};
use crate::wire::gateway::frame::RpcError;
use crate::wire::gateway::skills::{Bins, InstallParams, Installed, UpdateParams, Updated};
use serde_json::{Map, Value, json};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// Time an installation gets, milliseconds, when the client does not say, and at most.
const INSTALL_MS: f64 = 300_000.0;
const INSTALL_MAX_MS: f64 = 900_000.0;

pub fn status(core: &Arc<Core>, call: &Call) -> Answer {
    try_status(core, call).into()
}

fn try_status(core: &Core, call: &Call) -> Result<Answer, RpcError> {
    // As the file is: whoever has just changed a skill asks for this at once, and must not see what
    // was in force before.
    let config = Some(Arc::new(core.config.read())).filter(|fresh| fresh.valid);
    let config = config.unwrap_or_else(|| core.config.current());
    let agent = match call.params["agentId"].as_str().map(str::trim) {
        None | Some("") => config.config.default_agent_id(),
        Some(named) => {
            let id = agent_id(named);
            if !config.config.agent_ids().contains(&id) {
                return Err(RpcError::invalid(format!("unknown agent id \"{named}\"")));
            }
            id
        }
    };
    let found = skills::all(core, &config, &agent);
    let report = skills::report::report(&config, core.config.paths(), &agent, &found);
    Ok(Answer::ok(&report))
}

/// Every program a skill of any agent speaks of.
pub fn bins(core: &Arc<Core>, _call: &Call) -> Answer {
    Answer::ok(&Bins {
        bins: programs(core),
    })
}

/// Programs that the skills of any agent need, sorted.
pub fn programs(core: &Core) -> Vec<String> {
    let config = core.config.current();
    let mut bins = BTreeSet::new();
    for agent in config.config.agent_ids() {
        for skill in skills::all(core, &config, &agent).iter() {
            let needs = &skill.meta.requires;
            let installs = skill.meta.install.iter().flat_map(|i| &i.bins);
            let named = needs.bins.iter().chain(&needs.any_bins).chain(installs);
            bins.extend(named.cloned());
        }
    }
    bins.into_iter().collect()
}

pub fn install(core: &Arc<Core>, call: &Call) -> Answer {
    let params: InstallParams = match call.parse() {
        Ok(params) => params,
        Err(error) => return error.into(),
    };
    let limit = params.timeout_ms.unwrap_or(INSTALL_MS).min(INSTALL_MAX_MS);
    let limit = Duration::from_millis(limit as u64);
    let (core, responder) = (core.clone(), call.responder());
    // Minutes, where a pool thread is for seconds.
    let started = std::thread::Builder::new()
        .name("skill-install".into())
        .stack_size(install::STACK)
        .spawn(move || {
            let done = install::run(&core, &params.name, &params.install_id, limit);
            answer(done).give(&responder.client, &responder.id);
        });
    match started {
        Ok(_) => Answer::Later,
        Err(err) => Answer::unavailable(format!("no thread for the installation: {err}")),
    }
}

fn answer(done: Installed) -> Answer {
    if done.ok {
        return Answer::ok(&done);
    }
    let error = RpcError::unavailable(done.message.clone());
    match Answer::ok(&done) {
        Answer::Ok(payload) => Answer::Failed(payload, error),
        other => other,
    }
}

pub fn update(core: &Arc<Core>, call: &Call) -> Answer {
    try_update(core, call).into()
}

fn try_update(core: &Core, call: &Call) -> Result<Answer, RpcError> {
    let params: UpdateParams = call.parse()?;
    let key = params.skill_key.trim();
    if key.is_empty() {
        return Err(RpcError::invalid("skillKey required"));
    }
    let entry = RefCell::new(Value::Null);
    let (paths, env) = (core.config.paths(), core.config.env());
    edit::change(paths, env, |tree| {
        let entries = object(object(tree, "skills")?, "entries")?;
        let own = object(entries, key)?;
        set(own, &params);
        entry.replace(own.clone());
        Ok(())
    })
    .map_err(|err| RpcError::invalid(err.to_string()))?;
    Ok(Answer::ok(&Updated {
        ok: true,
        skill_key: key,
        config: entry.into_inner(),
    }))
}

/// The object under `name`, made when there is none.
fn object<'v>(parent: &'v mut Value, name: &str) -> Result<&'v mut Value, edit::Error> {
    let wrong = || edit::Error::Value(format!("{name} is not an object"));
    let child = parent
        .as_object_mut()
        .ok_or_else(wrong)?
        .entry(name)
        .or_insert_with(|| Value::Object(Map::new()));
    if !child.is_object() {
        return Err(wrong());
    }
    Ok(child)
}

/// Empty texts take away.
fn set(entry: &mut Value, params: &UpdateParams) {
    let Some(entry) = entry.as_object_mut() else {
        return;
    };
    if let Some(enabled) = params.enabled {
        entry.insert("enabled".into(), enabled.into());
    }
    match params.api_key.as_deref().map(str::trim) {
        None => {}
        Some("") => drop(entry.shift_remove("apiKey")),
        Some(key) => drop(entry.insert("apiKey".into(), key.into())),
    }
    let pairs = params.env.iter().map(|(k, v)| (k.trim(), v.trim()));
    for (name, value) in pairs.filter(|(name, _)| !name.is_empty()) {
        let env = entry.entry("env").or_insert_with(|| json!({}));
        if let Some(env) = env.as_object_mut() {
            match value {
                "" => drop(env.shift_remove(name)),
                value => drop(env.insert(name.into(), value.into())),
            }
        }
    }
}
