//! When a session is too old to go on with: the daily hour and the idle time of the configuration.

use crate::base::time;
use serde_json::Value;

/// Local hour of the daily reset when the configuration names none.
const RESET_HOUR: i8 = 4;
/// Minutes of `mode: idle` without a number.
const IDLE_MINUTES: u64 = 60;

/// Whether a session last used at `updated_ms` starts anew. `session` is that section of the
/// configuration.
pub fn is_stale(session: &Value, key: &str, updated_ms: u64, now_ms: u64) -> bool {
    let rule = rule(session, key);
    let idle_only = rule["mode"] == "idle";
    let legacy = session["idleMinutes"]
        .as_u64()
        .filter(|_| rule.is_null())
        .map(|m| m.max(1));
    let idle = legacy
        .or_else(|| rule["idleMinutes"].as_u64().map(|m| m.max(1)))
        .or(idle_only.then_some(IDLE_MINUTES));
    if idle.is_some_and(|minutes| now_ms > updated_ms.saturating_add(minutes * 60_000)) {
        return true;
    }
    if idle_only || legacy.is_some() {
        return false;
    }
    let hour = rule["atHour"]
        .as_i64()
        .and_then(|h| i8::try_from(h).ok())
        .filter(|h| (0..24).contains(h))
        .unwrap_or(RESET_HOUR);
    last_reset(now_ms, hour).is_some_and(|reset| updated_ms < reset)
}

/// The rule for this key: its type's over the general one. Null when none is configured.
fn rule<'a>(session: &'a Value, key: &str) -> &'a Value {
    let kind = if key.contains(":thread:") || key.contains(":topic:") {
        "thread"
    } else if key.contains(":group:") || key.contains(":channel:") {
        "group"
    } else {
        "dm"
    };
    let by_channel = key
        .split(':')
        .map(|part| &session["resetByChannel"][part])
        .find(|rule| rule.is_object());
    let by_type = &session["resetByType"][kind];
    match by_channel {
        Some(rule) => rule,
        None if by_type.is_object() => by_type,
        None => &session["reset"],
    }
}

/// The latest local `hour` o'clock not after `now_ms`.
fn last_reset(now_ms: u64, hour: i8) -> Option<u64> {
    let now = time::local(now_ms);
    let today = now.date().at(hour, 0, 0, 0);
    let zone = now.time_zone().clone();
    let mut reset = today.to_zoned(zone.clone()).ok()?;
    if reset.timestamp() > now.timestamp() {
        reset = today
            .date()
            .yesterday()
            .ok()?
            .at(hour, 0, 0, 0)
            .to_zoned(zone)
            .ok()?;
    }
    u64::try_from(reset.timestamp().as_millisecond()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const HOUR: u64 = 3_600_000;
    const KEY: &str = "agent:main:main";

    #[test]
    fn a_day_old_session_starts_anew_and_a_fresh_one_does_not() {
        let now = 1_795_240_000_000;
        assert!(is_stale(&Value::Null, KEY, now - 25 * HOUR, now));
        assert!(!is_stale(&Value::Null, KEY, now, now));
        let reset = last_reset(now, 4).unwrap();
        assert!(reset <= now && now - reset < 25 * HOUR);
        assert!(is_stale(&Value::Null, KEY, reset - 1, now));
        assert!(!is_stale(&Value::Null, KEY, reset, now));
    }

    #[test]
    fn idle_rules_count_minutes() {
        let now = 1_795_240_000_000;
        let idle = json!({"reset":{"mode":"idle","idleMinutes":10}});
        assert!(is_stale(&idle, KEY, now - 11 * 60_000, now));
        assert!(!is_stale(&idle, KEY, now - 9 * 60_000, now));
        let default = json!({"reset":{"mode":"idle"}});
        assert!(!is_stale(&default, KEY, now - 59 * 60_000, now));
        let legacy = json!({"idleMinutes":5});
        assert!(is_stale(&legacy, KEY, now - 6 * 60_000, now));
        let typed = json!({"resetByType":{"group":{"mode":"idle","idleMinutes":1}}});
        let group = "agent:main:telegram:group:1";
        assert!(is_stale(&typed, group, now - 2 * 60_000, now));
        let channel = json!({"resetByChannel":{"telegram":{"mode":"idle","idleMinutes":9}}, "reset":{"mode":"idle","idleMinutes":1}});
        assert!(!is_stale(&channel, group, now - 2 * 60_000, now));
    }
}
