//! `logs.tail`: the end of this gateway's log file.

use super::{Answer, Call};
use crate::base::{logging, logtail};
use crate::gateway::core::Core;
use crate::wire::shape::{Shape, UNSIGNED, between, optional};
use serde_json::Value;
use std::sync::Arc;

pub const TAIL: Shape = Shape::Closed(&[
    optional("cursor", UNSIGNED),
    optional("limit", between(1, 5_000)),
    optional("maxBytes", between(1, 1_000_000)),
]);

const LIMIT: u64 = 500;
const MAX_BYTES: u64 = 250_000;

pub fn tail(_core: &Arc<Core>, call: &Call) -> Answer {
    let number = |name: &str| call.params.get(name).and_then(Value::as_u64);
    let limit = number("limit").unwrap_or(LIMIT);
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let max_bytes = number("maxBytes").unwrap_or(MAX_BYTES);
    let Some(path) = logging::file() else {
        return Answer::unavailable(
            "log read failed: this gateway writes no log file; see its stderr or the journal",
        );
    };
    match logtail::read(&path, number("cursor"), limit, max_bytes) {
        Ok(tail) => Answer::ok(&tail),
        Err(err) => Answer::unavailable(format!("log read failed: {err}")),
    }
}
