//! `POST <hooks.path>/…`: other programs wake the agent or give it work.
//!
//! Whoever has `hooks.token` may do that and nothing else: it is not the gateway's secret, and what
//! it sends is told to the model as a stranger's words unless a mapping says otherwise. The
//! configuration is read for each request. Work is acknowledged when it is on disk.

mod mapping;
mod run;
mod settings;
mod template;

use super::Exchange;
use super::gate::{self, Bad};
use crate::base::id;
use crate::gateway::core::Core;
use crate::gateway::heartbeat;
use mapping::Outcome;
use run::Work;
use serde_json::{Map, Value, json};
use settings::Settings;
use std::sync::Arc;

/// What a request asks for.
#[derive(Debug, PartialEq)]
pub(super) enum Action {
    Wake { text: String, now: bool },
    Work(Work),
}

pub fn serve(core: &Arc<Core>, exchange: Exchange) -> Option<Exchange> {
    let config = core.config.current();
    let Some(settings) = Settings::of(&config) else {
        return Some(exchange);
    };
    let Some(sub) = settings.below(exchange.path()).map(str::to_string) else {
        return Some(exchange);
    };
    if !is_known(core, &exchange, settings.token) {
        match exchange.is_shut_out() {
            true => exchange.unauthorized(),
            false => exchange.text(401, "Unauthorized"),
        }
        return None;
    }
    if exchange.method() != "POST" {
        gate::wrong_method(exchange, "POST");
        return None;
    }
    if sub.is_empty() {
        exchange.text(404, "Not Found");
        return None;
    }
    let Some(_place) = core.plane.rooms.hooks.take() else {
        gate::busy(exchange, &json!({"ok": false, "error": gate::BUSY}));
        return None;
    };
    let mut exchange = exchange;
    let body = match gate::json(&mut exchange, settings.max_body) {
        Ok(Value::Object(body)) => body,
        Ok(_) => Map::new(),
        Err(Bad::TooLarge) => {
            refuse(exchange, 413, "payload too large");
            return None;
        }
        Err(Bad::NotJson(why)) => {
            refuse(exchange, 400, &why);
            return None;
        }
        Err(Bad::Gone) => return None,
    };
    match sub.as_str() {
        "wake" => act(core, exchange, wake(&body)),
        "agent" => act(core, exchange, work(&body)),
        _ => mapped(core, exchange, &settings, &sub, body),
    }
    None
}

fn mapped(
    core: &Arc<Core>,
    exchange: Exchange,
    settings: &Settings,
    sub: &str,
    body: Map<String, Value>,
) {
    let said = template::Said {
        path: sub.into(),
        headers: exchange.headers(),
        query: exchange.query_pairs(),
        payload: Value::Object(body),
        now_ms: crate::base::time::now_ms(),
    };
    match mapping::answer(settings, &said) {
        Outcome::None => exchange.text(404, "Not Found"),
        Outcome::Unsupported(why) => refuse(exchange, 501, &why),
        Outcome::Is(action) => act(core, exchange, action),
    }
}

/// The token, where it is found first. In the address it is deprecated: it ends up in logs.
fn is_known(core: &Core, exchange: &Exchange, token: &str) -> bool {
    let header = exchange
        .header("x-openclaw-token")
        .filter(|t| !t.is_empty());
    if let Some(offered) = exchange.bearer().or(header) {
        return exchange.knows_hook_token(core, token, Some(offered));
    }
    let pairs = exchange.query_pairs();
    let offered = pairs.iter().find(|(name, _)| name == "token");
    let offered = offered.map(|(_, offered)| offered.trim());
    let known = exchange.knows_hook_token(core, token, offered);
    if known {
        log::warn!(target: "gateway/hooks", "a hook token came in the address; use a header");
    }
    known
}

fn refuse(exchange: Exchange, status: u16, why: &str) {
    exchange.json(status, &json!({"ok": false, "error": why}));
}

fn act(core: &Arc<Core>, exchange: Exchange, action: Result<Action, String>) {
    match action {
        Err(why) => refuse(exchange, 400, &why),
        Ok(Action::Wake { text, now }) => {
            note(core, &text);
            if now {
                heartbeat::request(core, "hook:wake");
            }
            let mode = if now { "now" } else { "next-heartbeat" };
            exchange.json(200, &json!({"ok": true, "mode": mode}));
        }
        Ok(Action::Work(work)) => match run::start(core, work) {
            Ok(id) => exchange.json(202, &json!({"ok": true, "runId": id})),
            Err(why) => refuse(exchange, 503, &why),
        },
    }
}

/// Leaves a note for the main session's next turn.
fn note(core: &Core, text: &str) {
    let key = core.agents.sessions.defaults().main_key();
    core.system_events.ask(&key, text);
}

fn wake(body: &Map<String, Value>) -> Result<Action, String> {
    let text = text(body, "text").ok_or("text required")?;
    let now = body.get("mode").and_then(Value::as_str) != Some("next-heartbeat");
    Ok(Action::Wake { text, now })
}

fn work(body: &Map<String, Value>) -> Result<Action, String> {
    let message = text(body, "message").ok_or("message required")?;
    Ok(Action::Work(Work {
        message,
        name: text(body, "name").unwrap_or_else(|| "Hook".into()),
        session_key: text(body, "sessionKey").unwrap_or_else(|| format!("hook:{}", id::uuid())),
        wake: body.get("wakeMode").and_then(Value::as_str) != Some("next-heartbeat"),
        channel: channel(body.get("channel"))?,
        model: match body.get("model") {
            None => None,
            Some(_) => Some(text(body, "model").ok_or("model required")?),
        },
        thinking: text(body, "thinking"),
        seconds: seconds(body.get("timeoutSeconds")),
        trusted: false,
    }))
}

/// `last`, or the name of a channel that runs. None is built in yet.
fn channel(value: Option<&Value>) -> Result<String, String> {
    match value {
        None => Ok("last".into()),
        Some(Value::String(name)) if name.trim().eq_ignore_ascii_case("last") => Ok("last".into()),
        Some(_) => Err("channel must be last".into()),
    }
}

fn text(body: &Map<String, Value>, key: &str) -> Option<String> {
    let text = body.get(key)?.as_str()?.trim();
    (!text.is_empty()).then(|| text.to_string())
}

fn seconds(value: Option<&Value>) -> Option<u64> {
    let seconds = value?.as_f64()?;
    (seconds >= 1.0).then_some(seconds as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(value: Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn a_wake_needs_a_text_and_is_at_once_unless_it_says_later() {
        let of = |body: Value| wake(&object(body));
        let is = |text: &str, now| {
            let text = text.to_string();
            Ok(Action::Wake { text, now })
        };
        assert_eq!(of(json!({"text": " hi "})), is("hi", true));
        assert_eq!(of(json!({"text": "x", "mode": "soon"})), is("x", true));
        assert_eq!(
            of(json!({"text": "x", "mode": "next-heartbeat"})),
            is("x", false)
        );
        for bad in [json!({}), json!({"text": " "}), json!({"text": 7})] {
            assert_eq!(of(bad), Err("text required".into()));
        }
    }

    #[test]
    fn work_has_the_originals_defaults_and_refusals() {
        let of = |body: Value| work(&object(body));
        let Ok(Action::Work(work)) = of(json!({"message": "m", "timeoutSeconds": 2.9})) else {
            panic!("work");
        };
        assert_eq!((work.name.as_str(), work.wake), ("Hook", true));
        assert!(work.session_key.starts_with("hook:"));
        assert_eq!((work.seconds, work.trusted), (Some(2), false));
        let bad = |body: Value| of(body).unwrap_err();
        assert_eq!(bad(json!({})), "message required");
        assert_eq!(bad(json!({"message": "m", "model": " "})), "model required");
        assert_eq!(bad(json!({"message": "m", "model": 1})), "model required");
        assert_eq!(
            bad(json!({"message": "m", "channel": "telegram"})),
            "channel must be last"
        );
    }
}
