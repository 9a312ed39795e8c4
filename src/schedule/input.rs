//! What people and programs write when they mean a job, brought into its one form: params of
//! `cron.add` and `cron.update` before they are checked, and jobs as older versions stored them.

use super::next::parse_time;
use crate::base::time::iso;
use crate::config::agents::agent_id;
use serde_json::{Map, Value};

/// Characters of a name made from what the job says.
const NAME_CHARS: usize = 60;

/// Params of `cron.add`, defaults filled in. What cannot be understood is left for the check.
pub fn create(params: Value) -> Value {
    let Some(mut job) = unwrapped(params) else {
        return Value::Null;
    };
    tidy(&mut job);
    default(&mut job, "wakeMode", || "next-heartbeat".into());
    default(&mut job, "enabled", || true.into());
    let target = match kind(&job, "payload") {
        Some("systemEvent") => Some("main"),
        Some("agentTurn") => Some("isolated"),
        _ => None,
    };
    if let Some(target) = target {
        default(&mut job, "sessionTarget", || target.into());
    }
    once_only(&mut job);
    announced(&mut job);
    job.into()
}

/// Params of `cron.update`: the patch in order, the rest as it is.
pub fn update(mut params: Value) -> Value {
    if let Some(patch) = params.get_mut("patch") {
        if let Some(mut inner) = unwrapped(patch.take()) {
            tidy(&mut inner);
            if let Some(delivery) = legacy_delivery(&mut inner) {
                default(&mut inner, "delivery", || delivery.into());
            }
            *patch = inner.into();
        }
    }
    params
}

/// A job as it was stored, in today's form. True when that took a change.
pub fn stored(job: &mut Map<String, Value>, now_ms: u64) -> bool {
    let before = job.clone();
    tidy(job);
    job.remove("isolation");
    default(job, "enabled", || true.into());
    default(job, "wakeMode", || "next-heartbeat".into());
    default(job, "createdAtMs", || now_ms.into());
    default(job, "updatedAtMs", || now_ms.into());
    default(job, "state", || Map::new().into());
    let target = match kind(job, "payload") {
        Some("systemEvent") => "main",
        _ => "isolated",
    };
    default(job, "sessionTarget", || target.into());
    if text(job, "name").is_none_or(|name| name.trim().is_empty()) {
        let name = derived_name(job);
        job.insert("name".into(), name.into());
    }
    announced(job);
    *job != before
}

/// The object meant: itself, or what it holds under `data` or `job`.
fn unwrapped(value: Value) -> Option<Map<String, Value>> {
    let Value::Object(mut outer) = value else {
        return None;
    };
    for name in ["data", "job"] {
        if let Some(Value::Object(inner)) = outer.get_mut(name) {
            return Some(std::mem::take(inner));
        }
    }
    Some(outer)
}

/// What both a new job and a patch may hold in other words.
fn tidy(job: &mut Map<String, Value>) {
    match job.get("agentId") {
        Some(Value::String(id)) if id.trim().is_empty() => {
            job.remove("agentId");
        }
        Some(Value::String(id)) => {
            let id = agent_id(id);
            job.insert("agentId".into(), id.into());
        }
        _ => {}
    }
    if let Some(flag) = text(job, "enabled").map(|t| t.trim().to_ascii_lowercase()) {
        if let Ok(flag) = flag.parse::<bool>() {
            job.insert("enabled".into(), flag.into());
        }
    }
    for name in ["name", "description"] {
        if let Some(text) = text(job, name).map(|t| t.trim().to_string()) {
            job.insert(name.into(), text.into());
        }
    }
    for (name, order) in [
        ("schedule", schedule as fn(&mut Map<String, Value>)),
        ("payload", payload),
        ("delivery", delivery),
        ("state", whole_numbers),
    ] {
        if let Some(Value::Object(inner)) = job.get_mut(name) {
            order(inner);
        }
    }
}

fn schedule(schedule: &mut Map<String, Value>) {
    whole_numbers(schedule);
    if !schedule.get("kind").is_some_and(Value::is_string) {
        let has = |name: &str| schedule.contains_key(name);
        let kind = [
            ("at", "at"),
            ("atMs", "at"),
            ("everyMs", "every"),
            ("expr", "cron"),
        ];
        if let Some((_, kind)) = kind.into_iter().find(|(name, _)| has(name)) {
            schedule.insert("kind".into(), kind.into());
        }
    }
    let time = ["atMs", "at"]
        .iter()
        .find_map(|name| match schedule.get(*name)? {
            Value::Number(ms) => ms.as_u64(),
            Value::String(text) => parse_time(text),
            _ => None,
        });
    if let Some(ms) = time {
        schedule.insert("at".into(), iso(ms).into());
    }
    schedule.remove("atMs");
}

fn payload(payload: &mut Map<String, Value>) {
    whole_numbers(payload);
    if !payload.get("kind").is_some_and(Value::is_string) {
        let kind = [("message", "agentTurn"), ("text", "systemEvent")];
        if let Some((_, kind)) = kind
            .into_iter()
            .find(|(name, _)| payload.contains_key(*name))
        {
            payload.insert("kind".into(), kind.into());
        }
    }
    if let Some(provider) = payload.remove("provider") {
        default(payload, "channel", || provider);
    }
}

fn delivery(delivery: &mut Map<String, Value>) {
    for (name, lower) in [("mode", true), ("channel", true), ("to", false)] {
        let Some(word) = text(delivery, name).map(str::trim) else {
            continue;
        };
        let word = if lower {
            word.to_lowercase()
        } else {
            word.to_string()
        };
        match word.as_str() {
            "" => delivery.remove(name),
            "deliver" if name == "mode" => delivery.insert(name.into(), "announce".into()),
            _ => delivery.insert(name.into(), word.into()),
        };
    }
}

/// As in JavaScript `1.0` is a whole number.
fn whole_numbers(map: &mut Map<String, Value>) {
    const EXACT: f64 = 9_007_199_254_740_991.0;
    for value in map.values_mut() {
        if let Some(n) = value.as_f64().filter(|_| value.is_f64()) {
            if n.fract() == 0.0 && (0.0..=EXACT).contains(&n) {
                *value = (n as u64).into();
            }
        }
    }
}

/// A job that runs once goes when it has.
fn once_only(job: &mut Map<String, Value>) {
    if kind(job, "schedule") == Some("at") {
        default(job, "deleteAfterRun", || true.into());
    }
}

/// An isolated job announces what it found unless it says otherwise.
fn announced(job: &mut Map<String, Value>) {
    let isolated = text(job, "sessionTarget") == Some("isolated");
    let legacy = legacy_delivery(job);
    if isolated && kind(job, "payload") == Some("agentTurn") {
        default(job, "delivery", || {
            let announce = || Map::from_iter([("mode".to_string(), "announce".into())]);
            legacy.unwrap_or_else(announce).into()
        });
    }
}

/// Takes delivery out of the payload, where older versions had it.
fn legacy_delivery(job: &mut Map<String, Value>) -> Option<Map<String, Value>> {
    let payload = job.get_mut("payload")?.as_object_mut()?;
    let [deliver, channel, to, best_effort] =
        ["deliver", "channel", "to", "bestEffortDeliver"].map(|name| payload.remove(name));
    let said = deliver.is_some() || to.is_some() || best_effort.is_some() || channel.is_some();
    if !said {
        return None;
    }
    let mut out = Map::new();
    let mode = match deliver {
        Some(Value::Bool(false)) => "none",
        _ => "announce",
    };
    out.insert("mode".into(), mode.into());
    for (name, value) in [
        ("channel", channel),
        ("to", to),
        ("bestEffort", best_effort),
    ] {
        if let Some(value) = value.filter(|v| v.is_string() || v.is_boolean()) {
            out.insert(name.into(), value);
        }
    }
    delivery(&mut out);
    Some(out)
}

fn derived_name(job: &Map<String, Value>) -> String {
    let payload = job.get("payload");
    let said = ["text", "message"]
        .iter()
        .find_map(|name| payload?.get(*name)?.as_str());
    let line = said.and_then(|said| said.lines().map(str::trim).find(|line| !line.is_empty()));
    match line {
        Some(line) => line.chars().take(NAME_CHARS).collect(),
        None => match kind(job, "schedule") {
            Some("cron") => "Cron job".into(),
            Some("every") => "Repeated job".into(),
            _ => "One-shot job".into(),
        },
    }
}

fn kind<'a>(job: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    job.get(name)?.get("kind")?.as_str()
}

fn text<'a>(map: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    map.get(name)?.as_str()
}

fn default(map: &mut Map<String, Value>, name: &str, value: impl FnOnce() -> Value) {
    if !map.contains_key(name) {
        map.insert(name.into(), value());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_bare_job_gets_its_kinds_and_defaults() {
        let job = create(json!({"job": {
            "name": " Tea ", "schedule": {"atMs": 1_795_241_063_721u64}, "agentId": "My Ops",
            "payload": {"text": "tea"}, "enabled": "FALSE",
        }}));
        assert_eq!(
            job,
            json!({
                "name": "Tea", "agentId": "my-ops", "enabled": false, "deleteAfterRun": true,
                "schedule": {"kind": "at", "at": "2026-11-21T06:04:23.721Z"},
                "payload": {"kind": "systemEvent", "text": "tea"},
                "wakeMode": "next-heartbeat", "sessionTarget": "main",
            })
        );
        assert_eq!(create(json!([1])), Value::Null);
        let kept = create(json!({"agentId": null, "schedule": {"kind": "at", "at": "soon"}}));
        assert_eq!(
            (&kept["agentId"], &kept["schedule"]["at"]),
            (&json!(null), &json!("soon"))
        );
    }

    #[test]
    fn delivery_in_the_payload_moves_out() {
        let job = create(json!({"data": {
            "name": "n", "schedule": {"everyMs": 60000.0},
            "payload": {"message": "m", "deliver": false, "provider": "Telegram", "to": " 7 ",
                        "bestEffortDeliver": true},
        }}));
        assert_eq!(job["payload"], json!({"kind": "agentTurn", "message": "m"}));
        assert_eq!(job["schedule"], json!({"kind": "every", "everyMs": 60000}));
        assert_eq!(
            job["delivery"],
            json!({"mode": "none", "channel": "telegram", "to": "7", "bestEffort": true})
        );
        let plain = create(json!({"name": "n", "payload": {"message": "m"}}));
        assert_eq!(plain["delivery"], json!({"mode": "announce"}));
        let patch = update(json!({"id": "x", "patch": {
            "enabled": "true", "delivery": {"mode": "deliver"}, "payload": {"message": "m"}}}));
        assert_eq!(
            patch["patch"],
            json!({"enabled": true, "delivery": {"mode": "announce"},
                   "payload": {"kind": "agentTurn", "message": "m"}})
        );
    }

    #[test]
    fn jobs_of_older_versions_are_brought_up_to_date_once() {
        let mut old = json!({
            "id": "1", "schedule": {"kind": "at", "atMs": 1_795_241_063_721u64},
            "payload": {"kind": "agentTurn", "message": "\n Say hi\nand more", "channel": "last"},
            "isolation": {"postToMainPrefix": "Cron"},
        });
        let old = old.as_object_mut().unwrap();
        assert!(stored(old, 5));
        assert_eq!(
            serde_json::to_value(&*old).unwrap(),
            json!({
                "id": "1", "name": "Say hi", "enabled": true, "createdAtMs": 5, "updatedAtMs": 5,
                "schedule": {"kind": "at", "at": "2026-11-21T06:04:23.721Z"},
                "payload": {"kind": "agentTurn", "message": "\n Say hi\nand more"},
                "delivery": {"mode": "announce", "channel": "last"},
                "wakeMode": "next-heartbeat", "sessionTarget": "isolated", "state": {},
            })
        );
        assert!(!stored(old, 9));
    }
}
