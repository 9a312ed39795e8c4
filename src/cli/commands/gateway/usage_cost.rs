//! `openclaw gateway usage-cost`: what the sessions of the last days cost.

use super::super::super::Context;
use super::super::super::failure::Failure;
use crate::base::cmdline::{Command, Flag};
use crate::client::{DEFAULT_TIMEOUT, local};
use serde_json::{Value, json};

const DAYS: u64 = 30;

pub const SPEC: Command = Command {
    name: "usage-cost",
    summary: "Show what the sessions of the last days cost",
    flags: &[Flag::number("days", "n", "How many days").default("30")],
    ..Command::NEW
};

pub fn run(context: &mut Context) -> Result<(), Failure> {
    let timeout = local::timeout(&context.matches, DEFAULT_TIMEOUT)?;
    let days = context
        .matches
        .number::<u64>("days")?
        .unwrap_or(DAYS)
        .max(1);
    let caller = context.local.caller()?;
    let result = caller.call("usage.cost", Some(&json!({"days": days})), timeout)?;
    if context.json() {
        return Ok(context.out.json(&result)?);
    }
    let out = &mut context.out;
    out.title(&format!("Usage cost ({days} days)"))?;
    out.line(format!("Total: {}", sum(&result["totals"])))?;
    if let Some(day) = result["daily"].as_array().and_then(|days| days.last()) {
        let date = day["date"].as_str().unwrap_or("unknown");
        out.line(format!("Latest day: {date} · {}", sum(day)))?;
    }
    let unpriced = result["totals"]["missingCostEntries"].as_u64().unwrap_or(0);
    match unpriced {
        0 => Ok(()),
        n => Ok(out.line(format!(
            "Of {n} answers the price is not known; they count as nothing."
        ))?),
    }
}

fn sum(of: &Value) -> String {
    let cost = of["totalCost"].as_f64().unwrap_or(0.0);
    let tokens = of["totalTokens"].as_u64().unwrap_or(0);
    // Small amounts in full: most days cost less than a cent.
    let digits = if cost < 1.0 { 4 } else { 2 };
    format!("${cost:.digits$} · {tokens} tokens")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_amounts_are_shown_in_full() {
        let of = |cost: f64| sum(&json!({"totalCost": cost, "totalTokens": 7}));
        assert_eq!(of(0.0), "$0.0000 · 7 tokens");
        assert_eq!(of(0.0123), "$0.0123 · 7 tokens");
        assert_eq!(of(12.3), "$12.30 · 7 tokens");
        assert_eq!(sum(&Value::Null), "$0.0000 · 0 tokens");
    }
}
