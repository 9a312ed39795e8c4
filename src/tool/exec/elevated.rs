//! `elevated`: leaving the sandbox for the host, for the people named in
//! `tools.elevated.allowFrom`.
//!
//! The session's level says what that means: `on` and `ask` run on the host with approvals, `full`
//! without any. It applies to calls that do not mention it, too; `elevated: false` declines it.

use crate::tool::approve::Sender;
use crate::tool::{Call, Context, Error};
use serde_json::Value;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    Off,
    Ask,
    Full,
}

/// Why this call's sender has no elevation.
enum Gate {
    /// Switched off, globally or for the agent.
    Enabled,
    /// The sender is not among those allowed.
    AllowFrom,
}

/// The level that holds for a call. An error when it asks for what it may not have.
pub fn level(call: &Call, ctx: &Context, caged: bool) -> Result<Level, Error> {
    let asked = call.flag("elevated");
    if asked == Some(false) {
        return Ok(Level::Off);
    }
    let value = &ctx.config.value;
    let standing = of_session(value, ctx.approve.elevated);
    match (gate(value, ctx.agent_id, ctx.approve.sender), asked) {
        (None, Some(true)) if standing == Level::Full => Ok(Level::Full),
        (None, Some(true)) => Ok(Level::Ask),
        (None, _) => Ok(standing),
        (Some(gate), Some(true)) => Err(refusal(ctx, &gate, caged)),
        (Some(_), _) => Ok(Level::Off),
    }
}

/// What `sender` may do in a session of this level, for the prompt; `None` where the host is closed.
pub fn open_to(
    config: &Value,
    agent_id: &str,
    sender: Option<&Sender>,
    session: Option<&str>,
) -> Option<&'static str> {
    if gate(config, agent_id, sender).is_some() {
        return None;
    }
    Some(match of_session(config, session) {
        Level::Off => "off",
        Level::Ask => "ask",
        Level::Full => "full",
    })
}

/// The session's level, else the configured one, else `on`.
fn of_session(config: &Value, session: Option<&str>) -> Level {
    let default = config.pointer("/agents/defaults/elevatedDefault");
    let said = session.or(default.and_then(Value::as_str));
    match said.map(str::trim) {
        Some("off") => Level::Off,
        Some("full") => Level::Full,
        _ => Level::Ask,
    }
}

fn gate(value: &Value, agent_id: &str, sender: Option<&Sender>) -> Option<Gate> {
    let shared = value.pointer("/tools/elevated").unwrap_or(&Value::Null);
    let agents = value.pointer("/agents/list").and_then(Value::as_array);
    let own = agents.into_iter().flatten().find(|agent| {
        let id = agent.get("id").and_then(Value::as_str);
        id.is_some_and(|id| id.trim().eq_ignore_ascii_case(agent_id))
    });
    let own = own.and_then(|agent| agent.pointer("/tools/elevated"));
    let places = [Some(shared), own];
    let places = || places.iter().flatten();
    if places().any(|place| place.get("enabled") == Some(&Value::Bool(false))) {
        return Some(Gate::Enabled);
    }
    let Some(sender) = sender else {
        return Some(Gate::AllowFrom);
    };
    let names = |list: &Value| {
        let list = list.as_array().map(Vec::as_slice).unwrap_or_default();
        list.iter()
            .filter_map(name)
            .any(|allowed| allowed == "*" || sender.names.iter().any(|have| plain(have) == allowed))
    };
    let list = |place: &Value| place.pointer("/allowFrom")?.get(&sender.channel).cloned();
    let by_all = list(shared).is_some_and(|list| names(&list));
    // The agent's own list, when it has one, narrows.
    let by_own = own.and_then(list).is_none_or(|list| names(&list));
    (!(by_all && by_own)).then_some(Gate::AllowFrom)
}

fn name(entry: &Value) -> Option<String> {
    match entry {
        Value::String(text) => Some(plain(text)),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
    .filter(|name| !name.is_empty())
}

/// As names are compared: in lower case and without an `@`.
fn plain(name: &str) -> String {
    let name = name.trim().to_lowercase();
    name.strip_prefix('@').unwrap_or(&name).to_string()
}

fn refusal(ctx: &Context, gate: &Gate, caged: bool) -> Error {
    let runtime = if caged { "sandboxed" } else { "direct" };
    let failing = match gate {
        Gate::Enabled => "enabled (tools.elevated.enabled / agents.list[].tools.elevated.enabled)",
        Gate::AllowFrom => {
            "allowFrom (tools.elevated.allowFrom.<channel> / \
             agents.list[].tools.elevated.allowFrom.<channel>)"
        }
    };
    let channel = ctx.approve.sender.map_or("none", |s| s.channel.as_str());
    Error(format!(
        "elevated is not available to this run (runtime={runtime}).\n\
         Failing gate: {failing}\n\
         Context: channel={channel} session={}\n\
         An operator can change it with one of these keys:\n\
         - tools.elevated.enabled\n\
         - tools.elevated.allowFrom.<channel>\n\
         - agents.list[].tools.elevated.enabled\n\
         - agents.list[].tools.elevated.allowFrom.<channel>",
        ctx.session_key
    ))
}
