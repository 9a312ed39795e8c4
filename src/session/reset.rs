//! When a conversation has gone stale and the next message starts a new one.

use super::key;
use crate::base::time;
use jiff::ToSpan;
use serde_json::Value;

/// Local hour of the daily reset, and the idle bound where a mode needs one and has none.
const DEFAULT_HOUR: u64 = 4;
const DEFAULT_IDLE_MINUTES: u64 = 60;

/// After what silence a session starts anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Local hour of a daily reset.
    pub daily: Option<u64>,
    pub idle_minutes: Option<u64>,
}

impl Policy {
    /// The rule for a session, from the `session` section of the configuration. `channel` is where
    /// the message came from; `threaded` when it belongs to a thread whatever the key says.
    pub fn of(session: &Value, key: &str, channel: Option<&str>, threaded: bool) -> Policy {
        let object = |value: Option<&Value>| value.filter(|v| v.is_object()).cloned();
        let by_channel = channel
            .and_then(|channel| object(session.get("resetByChannel")?.get(channel.to_lowercase())));
        if let Some(rule) = by_channel {
            return Policy::read(&[&rule], None);
        }
        let by_type = object(
            session
                .get("resetByType")
                .and_then(|t| t.get(kind(key, threaded))),
        );
        let base = object(session.get("reset"));
        // The old key alone means idle only.
        let legacy = session.get("idleMinutes").and_then(Value::as_u64);
        let configured = base.is_some() || object(session.get("resetByType")).is_some();
        let rules: Vec<&Value> = by_type.iter().chain(base.iter()).collect();
        Policy::read(&rules, legacy.filter(|_| !configured))
    }

    /// The first rule that has a value gives it.
    fn read(rules: &[&Value], legacy: Option<u64>) -> Policy {
        if legacy.is_some() {
            return Policy {
                daily: None,
                idle_minutes: legacy,
            };
        }
        let find = |name: &str| rules.iter().find_map(|rule| rule.get(name));
        let idle = find("idleMinutes").and_then(Value::as_u64);
        if find("mode").and_then(Value::as_str) == Some("idle") {
            return Policy {
                daily: None,
                idle_minutes: Some(idle.unwrap_or(DEFAULT_IDLE_MINUTES)),
            };
        }
        let hour = find("atHour")
            .and_then(Value::as_u64)
            .unwrap_or(DEFAULT_HOUR);
        Policy {
            daily: Some(hour.min(23)),
            idle_minutes: idle,
        }
    }

    /// Whether a session last active at `updated_ms` is over at `now_ms`.
    pub fn is_stale(&self, updated_ms: u64, now_ms: u64) -> bool {
        let idle = self
            .idle_minutes
            .is_some_and(|minutes| now_ms > updated_ms.saturating_add(minutes.max(1) * 60_000));
        idle || self
            .daily
            .and_then(|hour| last_reset(hour, now_ms))
            .is_some_and(|reset| updated_ms < reset)
    }
}

/// Whether the session under `key` must start anew for a message that did not come by a channel.
pub fn is_stale(session: &Value, key: &str, updated_ms: u64, now_ms: u64) -> bool {
    Policy::of(session, key, None, false).is_stale(updated_ms, now_ms)
}

fn kind(key: &str, threaded: bool) -> &'static str {
    if threaded || key::thread_parent(key).is_some() {
        "thread"
    } else if key::kind(key) == key::Kind::Group {
        "group"
    } else {
        "dm"
    }
}

/// The latest local `hour` o'clock at or before `now_ms`.
fn last_reset(hour: u64, now_ms: u64) -> Option<u64> {
    let now = time::local(now_ms);
    let today = now
        .date()
        .at(hour as i8, 0, 0, 0)
        .to_zoned(now.time_zone().clone())
        .ok()?;
    let reset = if today > now {
        let yesterday = now.date().checked_sub(1.day()).ok()?;
        yesterday
            .at(hour as i8, 0, 0, 0)
            .to_zoned(now.time_zone().clone())
            .ok()?
    } else {
        today
    };
    u64::try_from(reset.timestamp().as_millisecond()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const MINUTE: u64 = 60_000;

    #[test]
    fn by_default_a_session_ends_at_four_in_the_morning() {
        let now = 1_795_239_747_705;
        let reset = last_reset(4, now).unwrap();
        assert!(reset <= now && now - reset < 25 * 60 * MINUTE);
        assert!(is_stale(&json!({}), "agent:main:main", reset - 1, now));
        assert!(!is_stale(&json!({}), "agent:main:main", reset, now));
    }

    #[test]
    fn idle_minutes_count_alone_or_beside_the_daily_hour() {
        let now = 1_795_239_747_705;
        let long_ago = now - 40 * 24 * 60 * MINUTE;
        let legacy = json!({"idleMinutes": 100_000});
        assert!(!is_stale(&legacy, "agent:main:main", long_ago, now));
        let idle = json!({"reset": {"mode": "idle"}});
        assert!(!is_stale(&idle, "agent:main:main", now - 59 * MINUTE, now));
        assert!(is_stale(&idle, "agent:main:main", now - 61 * MINUTE, now));
        let both = json!({"reset": {"mode": "daily", "idleMinutes": 5}});
        assert!(is_stale(&both, "agent:main:main", now - 6 * MINUTE, now));
    }

    #[test]
    fn the_nearest_rule_wins() {
        let session = json!({
            "reset": {"mode": "daily", "atHour": 5, "idleMinutes": 7},
            "resetByType": {"group": {"mode": "idle", "idleMinutes": 30}, "thread": {"atHour": 6}},
            "resetByChannel": {"slack": {"mode": "idle"}}
        });
        let of = |key: &str, channel: Option<&str>| Policy::of(&session, key, channel, false);
        let policy = |daily, idle_minutes| Policy {
            daily,
            idle_minutes,
        };
        assert_eq!(of("agent:a:main", None), policy(Some(5), Some(7)));
        assert_eq!(of("agent:a:x:group:1", None), policy(None, Some(30)));
        assert_eq!(
            of("agent:a:x:group:1:topic:2", None),
            policy(Some(6), Some(7))
        );
        assert_eq!(of("agent:a:main", Some("Slack")), policy(None, Some(60)));
    }
}
