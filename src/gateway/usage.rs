//! What model calls cost, from the transcripts, and what providers say of a subscription's limits.

use super::core::Core;
use crate::base::cancel::Cancel;
use crate::base::time;
use crate::config::Snapshot;
use crate::model::choose;
use crate::model::credential::{self, Credential, Profiles, Source};
use crate::model::name::{self, Ref};
use crate::net::fetch::{self, Limits, Policy, Request};
use crate::session::Error;
use crate::session::usage::Ledger;
use crate::wire::gateway::usage::{Cost, Day, Provider, Totals, Window};
use jiff::ToSpan;
use serde_json::Value;
use serde_json::value::RawValue;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long an answer holds; windows ask again and again.
const FRESH: Duration = Duration::from_secs(30);
/// Answers kept: people ask for a handful of spans.
const MAX_KEPT: usize = 16;
/// What a provider gets to answer in, as in the original.
const PATIENCE: Duration = Duration::from_secs(5);
/// An answer about limits is a few hundred bytes.
const MAX_ANSWER: u64 = 64 * 1024;

/// Providers that sell subscriptions with limits, and their names for people.
const SUBSCRIPTIONS: [(&str, &str); 8] = [
    ("anthropic", "Claude"),
    ("github-copilot", "Copilot"),
    ("google-gemini-cli", "Gemini"),
    ("google-antigravity", "Antigravity"),
    ("minimax", "MiniMax"),
    ("openai-codex", "Codex"),
    ("xiaomi", "Xiaomi"),
    ("zai", "z.ai"),
];

#[derive(Default)]
pub struct Book {
    ledger: Ledger,
    kept: Mutex<HashMap<u64, (Instant, Arc<RawValue>)>>,
}

/// The answer of `usage.cost` for the last `days` days, today included.
pub fn cost(core: &Core, days: u64, now_ms: u64) -> Result<Arc<RawValue>, Error> {
    let book = &core.agents.usage;
    let kept = || book.kept.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((at, answer)) = kept().get(&days) {
        if at.elapsed() < FRESH {
            return Ok(answer.clone());
        }
    }
    let config = core.config.current();
    let today = time::local(now_ms);
    let back = i64::try_from(days).unwrap_or(1) - 1;
    let first = today.date().saturating_sub(back.days());
    let start = first.to_zoned(today.time_zone().clone());
    let since_ms = start.map_or(0, |at| {
        u64::try_from(at.timestamp().as_millisecond()).unwrap_or(0)
    });
    let prices = |provider: &str, model: &str| price(&config, provider, model);
    let store = &core.agents.sessions;
    let agent = config.config.default_agent_id();
    let first = first.to_string();
    let daily: Vec<Day> = book
        .ledger
        .days(store, &agent, since_ms, &prices)?
        .into_iter()
        .filter(|(date, _)| *date >= first)
        .map(|(date, totals)| Day { date, totals })
        .collect();
    let mut totals = Totals::default();
    for day in &daily {
        totals.add(&day.totals);
    }
    let cost = Cost {
        updated_at: now_ms,
        days,
        daily,
        totals,
    };
    let answer: Arc<RawValue> = serde_json::value::to_raw_value(&cost)
        .expect("plain data serialises")
        .into();
    let mut kept = kept();
    kept.retain(|_, (at, _)| at.elapsed() < FRESH);
    if kept.len() < MAX_KEPT {
        kept.insert(days, (Instant::now(), answer.clone()));
    }
    Ok(answer)
}

/// Of a model somebody put a price on.
fn price(config: &Snapshot, provider: &str, model: &str) -> Option<[f64; 4]> {
    let target = choose::target(config, &Ref::new(provider, model)).ok()?;
    target
        .cost
        .iter()
        .any(|price| *price > 0.0)
        .then_some(target.cost)
}

/// The subscriptions the default agent has a key for.
pub fn providers(core: &Core) -> Vec<Provider> {
    let config = core.config.current();
    let dir = name::agent_dir(core.config.paths(), &config.config.default_agent_id());
    let profiles = Profiles::read(core.config.paths(), &dir);
    SUBSCRIPTIONS
        .iter()
        .filter_map(|(id, name)| {
            let key = subscription(&config, &profiles, id)?;
            let asked = match *id {
                "anthropic" => anthropic(&config, &key),
                _ => Err("not asked by this version".into()),
            };
            let (windows, error) = match asked {
                Ok(windows) => (windows, None),
                Err(why) => (Vec::new(), Some(why)),
            };
            Some(Provider {
                provider: (*id).into(),
                display_name: name,
                windows,
                plan: None,
                error,
            })
        })
        .collect()
}

/// A key that belongs to a subscription: Anthropic's pay-as-you-go keys have no limits to show.
fn subscription(config: &Snapshot, profiles: &Profiles, provider: &str) -> Option<Credential> {
    let fits = |found: &Credential| match &found.source {
        _ if provider != "anthropic" => true,
        Source::Profile(id) => ["oauth", "token"].contains(&profiles.kind(id)),
        Source::Env(name) => name == "ANTHROPIC_OAUTH_TOKEN",
        Source::Config => false,
    };
    credential::find(config, profiles, provider)
        .into_iter()
        .find(fits)
}

fn anthropic(config: &Snapshot, key: &Credential) -> Result<Vec<Window>, String> {
    let own = name::configured(&config.config, "anthropic").and_then(|p| p.base_url.as_deref());
    let base = own
        .unwrap_or("https://api.anthropic.com")
        .trim_end_matches('/');
    let base = base.strip_suffix("/v1").unwrap_or(base);
    let bearer = format!("Bearer {}", key.key.expose());
    let answer = ask(
        &format!("{base}/api/oauth/usage"),
        &[
            ("authorization", &bearer),
            ("accept", "application/json"),
            ("anthropic-version", "2023-06-01"),
            ("anthropic-beta", "oauth-2025-04-20"),
        ],
    )?;
    let windows = [
        ("five_hour", "5h"),
        ("seven_day", "Week"),
        ("seven_day_sonnet", "Sonnet"),
        ("seven_day_opus", "Opus"),
    ];
    Ok(windows
        .iter()
        .filter_map(|(name, label)| window(label, answer.get(name)?))
        .collect())
}

fn window(label: &str, said: &Value) -> Option<Window> {
    let reset = said["resets_at"]
        .as_str()
        .and_then(|at| at.parse::<jiff::Timestamp>().ok());
    Some(Window {
        label: label.into(),
        used_percent: said["utilization"].as_f64()?.clamp(0.0, 100.0),
        reset_at: reset.and_then(|at| u64::try_from(at.as_millisecond()).ok()),
    })
}

/// The error never holds what was sent or what came back.
fn ask(url: &str, headers: &[(&str, &str)]) -> Result<Value, String> {
    let request = Request {
        method: "GET",
        url,
        headers,
        body: None,
        policy: Policy::Any,
        limits: Limits::within(PATIENCE, MAX_ANSWER),
    };
    let response = fetch::send(&request, &Cancel::new()).map_err(|err| match err {
        fetch::Error::Timeout(_) => "Timeout".to_string(),
        err => err.to_string(),
    })?;
    if response.status != 200 {
        return Err(format!("HTTP {}", response.status));
    }
    let body = response.text().map_err(|err| err.to_string())?;
    serde_json::from_str(&body).map_err(|_| "an answer that is no JSON".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_window_is_read_from_what_the_provider_says() {
        let said = json!({"utilization": 42.5, "resets_at": "2026-11-21T05:42:27Z"});
        let want = Window {
            label: "5h".into(),
            used_percent: 42.5,
            reset_at: Some(1_795_239_747_000),
        };
        assert_eq!(window("5h", &said), Some(want));
        assert_eq!(window("5h", &json!(null)), None);
    }
}
