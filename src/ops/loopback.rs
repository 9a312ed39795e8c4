//! Asking a server on this machine whether it is there. No answer, in time or in full, is a no.

use crate::base::cancel::Cancel;
use crate::net::fetch::{self, Limits, Policy, Response};
use std::time::Duration;

/// A server on this machine answers at once or is none.
const PATIENCE: Duration = Duration::from_secs(2);

/// The answer of the server on `port`, whatever its status; its body is read up to `max` bytes.
pub fn get(port: u16, path: &str, max: u64) -> Option<Response> {
    let request = fetch::Request {
        method: "GET",
        url: &format!("http://127.0.0.1:{port}{path}"),
        headers: &[("accept", "application/json")],
        body: None,
        policy: Policy::Any,
        limits: Limits::within(PATIENCE, max),
    };
    fetch::send(&request, &Cancel::new()).ok()
}
