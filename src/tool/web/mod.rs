//! `web_fetch` and `web_search`: what the agent reads of the internet.
//!
//! Everything that comes back is a stranger's text and goes to the model in the frame of
//! `tool::external`. Addresses a model names reach the public internet only (`net::policy`, checked at
//! the connection itself), except the hosts an operator lists. Time, size and redirects are bounded,
//! and so is what is remembered of earlier answers.

mod address;
mod charset;
mod fetch;
mod firecrawl;
mod memo;
mod page;
mod search;

pub use fetch::TOOL as FETCH;
pub use search::TOOL as SEARCH;

use serde_json::Value;
use std::time::Duration;

/// Longest patience an operator can ask for.
const MAX_PATIENCE: u64 = 600;

/// Settings of one of the tools, with their defaults.
struct Settings<'a>(&'a Value);

impl<'a> Settings<'a> {
    fn of(config: &'a Value, tool: &str) -> Settings<'a> {
        let web = config.get("tools").and_then(|tools| tools.get("web"));
        Settings(web.and_then(|web| web.get(tool)).unwrap_or(&Value::Null))
    }

    fn part(&self, key: &str) -> Settings<'a> {
        Settings(self.0.get(key).unwrap_or(&Value::Null))
    }

    fn text(&self, key: &str) -> Option<&'a str> {
        let text = self.0.get(key)?.as_str()?.trim();
        Some(text).filter(|text| !text.is_empty())
    }

    fn flag(&self, key: &str) -> Option<bool> {
        self.0.get(key)?.as_bool()
    }

    fn number(&self, key: &str) -> Option<f64> {
        self.0.get(key)?.as_f64()
    }

    fn patience(&self) -> Duration {
        let seconds = self.number("timeoutSeconds").unwrap_or(30.0) as u64;
        Duration::from_secs(seconds.clamp(1, MAX_PATIENCE))
    }

    /// How long answers are remembered.
    fn keep(&self) -> Duration {
        let minutes = self.number("cacheTtlMinutes").unwrap_or(15.0);
        Duration::from_secs_f64(minutes.clamp(0.0, 24.0 * 60.0) * 60.0)
    }
}

/// `text` for a query string.
fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                out.push(char::from(byte));
            }
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}
