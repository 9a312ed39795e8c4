//! The endpoints that look like a model to programs written for OpenAI's API: chat completions,
//! responses, models. Behind them stands an agent with its tools and memory.
//!
//! Whoever has the gateway's secret may use them, and acts as the agent's owner. A request holds one
//! thread of the HTTP plane for as long as its turn takes; there is room for a few. A client that
//! goes ends its turn: nobody else would read the answer.

pub mod chat;
mod conversation;
pub mod models;
pub mod responses;
mod talk;

use super::Exchange;
use super::gate::{self, Bad, Taken};
use crate::base::id;
use crate::config::Snapshot;
use crate::config::agents::agent_id;
use crate::gateway::core::Core;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// A body beyond this is a large one: pictures or files are in it.
const LARGE: usize = 1024 * 1024;

/// Between two signs of life in a stream that has nothing to say: proxies give up after a minute.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

const STREAM: [(&str, &str); 3] = [
    ("Content-Type", "text/event-stream; charset=utf-8"),
    ("Cache-Control", "no-cache"),
    // Proxies that collect before they pass on (nginx) are told not to.
    ("X-Accel-Buffering", "no"),
];

/// Where a conversation is kept.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    /// As events show it.
    shown: String,
    key: String,
    agent_id: String,
}

/// A request that may be answered.
struct Admitted<'a> {
    exchange: Exchange,
    body: Value,
    _place: Taken<'a>,
    _large: Option<Taken<'a>>,
}

/// Reads a POST of at most `max` bytes, or answers why not.
fn admit(core: &Core, exchange: Exchange, max: usize) -> Option<Admitted<'_>> {
    let mut exchange = gate::admit(core, exchange, "POST")?;
    let rooms = &core.plane.rooms;
    let Some(place) = rooms.turns.take() else {
        busy(exchange);
        return None;
    };
    let large = max > LARGE && exchange.body_length().is_none_or(|length| length > LARGE);
    let large = match large.then(|| rooms.large.take()) {
        Some(None) => {
            busy(exchange);
            return None;
        }
        taken => taken.flatten(),
    };
    match gate::json(&mut exchange, max) {
        Ok(body) => Some(Admitted {
            exchange,
            body,
            _place: place,
            _large: large,
        }),
        Err(bad) => {
            match bad {
                Bad::TooLarge => invalid(exchange, "payload too large"),
                Bad::NotJson(why) => invalid(exchange, &why),
                Bad::Gone => {}
            }
            None
        }
    }
}

fn busy(exchange: Exchange) {
    gate::busy(exchange, &error(gate::BUSY, "rate_limit_error"));
}

fn invalid(exchange: Exchange, message: &str) {
    exchange.json(400, &error(message, "invalid_request_error"));
}

fn error(message: &str, kind: &str) -> Value {
    json!({"error": {"message": message, "type": kind}})
}

/// Whether `gateway.http.endpoints.<name>` is on.
fn is_on(config: &Snapshot, name: &str) -> bool {
    config.value["gateway"]["http"]["endpoints"][name]["enabled"] == true
}

/// The agent a model name asks for: `openclaw:<agent>`, `openclaw/<agent>`, `agent:<agent>`.
fn agent_in(model: &str) -> Option<&str> {
    let model = model.trim();
    let prefixes = ["openclaw:", "openclaw/", "agent:"];
    let rest = prefixes.iter().find_map(|prefix| {
        let head = model.get(..prefix.len())?;
        head.eq_ignore_ascii_case(prefix)
            .then(|| &model[prefix.len()..])
    })?;
    let mut chars = rest.chars();
    let plain = rest.len() <= 64
        && chars.next().is_some_and(|c| c.is_ascii_alphanumeric())
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    plain.then_some(rest)
}

/// Agent and session of a request. `family` tells the endpoints' sessions apart.
fn place(
    core: &Core,
    exchange: &Exchange,
    model: Option<&str>,
    user: Option<&str>,
    family: &str,
) -> Place {
    let header = |name| exchange.header(name).filter(|v| !v.is_empty());
    let asked = header("x-openclaw-agent-id").or_else(|| header("x-openclaw-agent"));
    let agent = agent_id(asked.or_else(|| agent_in(model?)).unwrap_or("main"));
    let user = user.map(str::trim).filter(|u| !u.is_empty());
    let shown = match (header("x-openclaw-session-key"), user) {
        (Some(key), _) => key.to_string(),
        (None, Some(user)) => format!("agent:{agent}:{family}-user:{user}").to_lowercase(),
        (None, None) => format!("agent:{agent}:{family}:{}", id::uuid()),
    };
    let sessions = &core.agents.sessions;
    let key = sessions.canonical(&shown);
    Place {
        agent_id: sessions.agent_of(&key),
        key,
        shown,
    }
}

/// Reads what a JSON API may call true.
fn truthy(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(flag) => *flag,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(_) | Value::Object(_) => true,
    }
}

type Shared = Arc<Core>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_name_can_pick_an_agent_and_nothing_else() {
        for name in ["openclaw:beta", "OpenClaw/beta", " agent:beta "] {
            assert_eq!(agent_in(name), Some("beta"), "{name}");
        }
        for name in [
            "openclaw",
            "gpt-5",
            "openclaw:",
            "openclaw:../x",
            "é",
            "agent:-a",
        ] {
            assert_eq!(agent_in(name), None, "{name}");
        }
    }

    #[test]
    fn truth_is_what_the_original_takes_for_it() {
        for yes in [json!(true), json!(1), json!("no"), json!([])] {
            assert!(truthy(&yes), "{yes}");
        }
        for no in [json!(null), json!(false), json!(0), json!("")] {
            assert!(!truthy(&no), "{no}");
        }
    }
}
