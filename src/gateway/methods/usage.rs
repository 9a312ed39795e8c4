//! `usage.cost` and `usage.status`.

use super::{Answer, Call};
use crate::base::time::{self, now_ms};
use crate::gateway::core::Core;
use crate::gateway::usage;
use crate::wire::gateway::usage::Status;
use serde_json::Value;
use std::sync::Arc;

const DAYS: u64 = 30;
/// Ten years: what is asked beyond it is the same.
const MAX_DAYS: f64 = 3_650.0;

pub fn cost(core: &Arc<Core>, call: &Call) -> Answer {
    let days = days(&call.params["days"]);
    match usage::cost(core, days, time::now_ms()) {
        Ok(cost) => Answer::Shared(cost),
        Err(err) => Answer::unavailable(err.to_string()),
    }
}

/// A number or the text of one; whole, at least one day.
fn days(asked: &Value) -> u64 {
    let number = match asked {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    number
        .filter(|n: &f64| n.is_finite())
        .map_or(DAYS, |n| n.floor().clamp(1.0, MAX_DAYS) as u64)
}

pub fn status(core: &Arc<Core>, _call: &Call) -> Answer {
    Answer::ok(&Status {
        updated_at: now_ms(),
        providers: usage::providers(core),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn days_are_read_leniently() {
        for (asked, want) in [
            (json!(null), 30),
            (json!("7"), 7),
            (json!("abc"), 30),
            (json!(2.7), 2),
            (json!(0), 1),
            (json!(-1), 1),
            (json!(1e300), 3650),
        ] {
            assert_eq!(days(&asked), want, "{asked}");
        }
    }
}
