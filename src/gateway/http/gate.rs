//! What the endpoints for programs ask of every request before they look at it: the method, the
//! secret, a JSON body of bounded size, and room for one more.

use super::Exchange;
use super::exchange::BodyError;
use crate::gateway::core::Core;
use serde_json::Value;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What is wrong with a body.
#[derive(Debug, PartialEq, Eq)]
pub enum Bad {
    TooLarge,
    /// The parser's words.
    NotJson(String),
    /// The client broke off.
    Gone,
}

/// So many at once; the next is refused, not queued: its client knows better when to come again.
pub struct Room {
    max: usize,
    taken: AtomicUsize,
}

/// What the endpoints have room for. Together less than the plane has, so that one kind of client
/// does not keep the web page out.
pub struct Rooms {
    /// Turns over OpenAI's endpoints. The lanes let fewer run; the rest wait with a thread each.
    pub turns: Room,
    /// Large bodies read at once: one is parsed into a few times its size.
    pub large: Room,
    /// Calls of tools: most wait for somebody else's server.
    pub tools: Room,
    /// Hooks: each waits for its work to be on disk.
    pub hooks: Room,
}

impl Default for Rooms {
    fn default() -> Rooms {
        Rooms {
            turns: Room::of(32),
            large: Room::of(2),
            tools: Room::of(8),
            hooks: Room::of(16),
        }
    }
}

pub const BUSY: &str = "Too many requests are in work; try again soon.";

/// No room: 429, and when to come again.
pub fn busy(exchange: Exchange, body: &Value) {
    exchange.respond(
        429,
        &[
            ("Content-Type", "application/json; charset=utf-8"),
            ("Retry-After", "2"),
        ],
        body.to_string().as_bytes(),
    );
}

/// Taken until dropped.
pub struct Taken<'a>(&'a Room);

impl Room {
    pub const fn of(max: usize) -> Room {
        Room {
            max,
            taken: AtomicUsize::new(0),
        }
    }

    pub fn take(&self) -> Option<Taken<'_>> {
        let taken = self.taken.fetch_add(1, Ordering::AcqRel);
        let place = Taken(self);
        (taken < self.max).then_some(place)
    }

    pub fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.0.taken.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Lets through what has this method and has proven the secret; the rest is answered here. The
/// method is looked at first, as in the original.
pub fn admit(core: &Core, exchange: Exchange, method: &'static str) -> Option<Exchange> {
    if exchange.method() != method {
        wrong_method(exchange, method);
        return None;
    }
    if !exchange.is_authorized(core) {
        exchange.unauthorized();
        return None;
    }
    Some(exchange)
}

pub fn wrong_method(exchange: Exchange, allowed: &'static str) {
    exchange.respond(
        405,
        &[
            ("Allow", allowed),
            ("Content-Type", "text/plain; charset=utf-8"),
        ],
        b"Method Not Allowed",
    );
}

/// The body; an empty one is an empty object.
pub fn json(exchange: &mut Exchange, max: usize) -> Result<Value, Bad> {
    let body = exchange.body(max).map_err(|err| match err {
        BodyError::TooLarge => Bad::TooLarge,
        BodyError::Io(err) => {
            log::debug!("HTTP body: {err}");
            Bad::Gone
        }
    })?;
    parse(&body)
}

fn parse(body: &[u8]) -> Result<Value, Bad> {
    let text = String::from_utf8_lossy(body);
    let text = text.trim();
    if text.is_empty() {
        return Ok(Value::Object(serde_json::Map::new()));
    }
    serde_json::from_str(text).map_err(|err| Bad::NotJson(err.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_body_is_an_object_and_a_broken_one_is_named() {
        assert_eq!(parse(b"  \n"), Ok(serde_json::json!({})));
        assert_eq!(parse(b" [1] "), Ok(serde_json::json!([1])));
        assert!(matches!(parse(b"{\"a\":"), Err(Bad::NotJson(why)) if why.contains("EOF")));
        let deep = "[".repeat(100_000);
        assert!(matches!(parse(deep.as_bytes()), Err(Bad::NotJson(_))));
    }

    #[test]
    fn full_rooms_leave_the_web_page_some_of_the_plane() {
        let rooms = Rooms::default();
        let taken = rooms.turns.max + rooms.tools.max + rooms.hooks.max;
        assert!(taken + 8 <= crate::gateway::http::plane::MAX_REQUESTS);
    }

    #[test]
    fn a_full_room_refuses_until_somebody_leaves() {
        let room = Room::of(2);
        let one = room.take().unwrap();
        let _two = room.take().unwrap();
        assert!(room.take().is_none());
        assert_eq!(room.taken(), 2);
        drop(one);
        assert!(room.take().is_some());
    }
}
