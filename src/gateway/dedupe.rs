//! Answers kept for repeated requests: one key of the caller's choice, one answer.
//!
//! A repeat within five minutes gets the stored answer, whatever its other params say. Keys are
//! namespaced by method and shared by all clients.

use crate::wire::gateway::frame::RpcError;
use serde_json::value::RawValue;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long an answer is kept.
const TTL: Duration = Duration::from_secs(300);
/// Entries that are left when the oldest have to leave.
const SOFT_CAP: usize = 1000;
/// Entries at which they leave without waiting for the sweep: bounds what one busy minute holds.
const HARD_CAP: usize = SOFT_CAP + SOFT_CAP / 4;

/// An answer as it was given.
#[derive(Clone, Debug)]
pub struct Stored {
    pub payload: Option<Arc<RawValue>>,
    pub error: Option<RpcError>,
}

#[derive(Default)]
pub struct Dedupe(Mutex<HashMap<String, Kept>>);

struct Kept {
    at: Instant,
    answer: Stored,
}

impl Dedupe {
    /// The answer stored under `namespace:key`.
    pub fn get(&self, namespace: &str, key: &str) -> Option<Stored> {
        let map = self.map();
        let kept = map.get(&full(namespace, key))?;
        (kept.at.elapsed() < TTL).then(|| kept.answer.clone())
    }

    /// Stores or replaces an answer; its time starts anew.
    pub fn put(&self, namespace: &str, key: &str, answer: Stored) {
        let mut map = self.map();
        let key = full(namespace, key);
        make_room(&mut map);
        let at = Instant::now();
        map.insert(key, Kept { at, answer });
    }

    /// Stores `answer` and returns `None`, or returns the answer that is there already. In one
    /// step, so of two equal requests at once only one goes ahead.
    pub fn claim(&self, namespace: &str, key: &str, answer: Stored) -> Option<Stored> {
        let mut map = self.map();
        make_room(&mut map);
        let at = Instant::now();
        match map.entry(full(namespace, key)) {
            Entry::Occupied(mut old) => {
                if old.get().at.elapsed() < TTL {
                    return Some(old.get().answer.clone());
                }
                old.insert(Kept { at, answer });
            }
            Entry::Vacant(free) => {
                free.insert(Kept { at, answer });
            }
        }
        None
    }

    /// Takes back an answer that turned out not to be one.
    pub fn forget(&self, namespace: &str, key: &str) {
        self.map().remove(&full(namespace, key));
    }

    /// Once a minute: drops what is too old, then the oldest above the cap.
    pub fn sweep(&self) {
        let mut map = self.map();
        map.retain(|_, kept| kept.at.elapsed() < TTL);
        drop_oldest(&mut map);
        map.shrink_to_fit();
    }

    fn map(&self) -> MutexGuard<'_, HashMap<String, Kept>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stored {
    pub fn ok(payload: &impl serde::Serialize) -> Stored {
        let raw = serde_json::value::to_raw_value(payload).expect("wire types serialise to JSON");
        Stored {
            payload: Some(raw.into()),
            error: None,
        }
    }
}

/// Before an entry is added.
fn make_room(map: &mut HashMap<String, Kept>) {
    if map.len() >= HARD_CAP {
        drop_oldest(map);
    }
}

/// Down to the soft cap.
fn drop_oldest(map: &mut HashMap<String, Kept>) {
    if map.len() > SOFT_CAP {
        let mut ages: Vec<Instant> = map.values().map(|kept| kept.at).collect();
        ages.sort_unstable();
        let oldest_kept = ages[ages.len() - SOFT_CAP];
        map.retain(|_, kept| kept.at >= oldest_kept);
    }
}

fn full(namespace: &str, key: &str) -> String {
    format!("{namespace}:{key}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_two_equal_requests_wins() {
        let dedupe = Dedupe::default();
        assert!(dedupe.claim("agent", "k", Stored::ok(&1)).is_none());
        let kept = dedupe.claim("agent", "k", Stored::ok(&2)).unwrap();
        assert_eq!(kept.payload.unwrap().get(), "1");
        assert!(dedupe.get("chat", "k").is_none());
        dedupe.put("agent", "k", Stored::ok(&3));
        assert_eq!(
            dedupe.get("agent", "k").unwrap().payload.unwrap().get(),
            "3"
        );
    }

    #[test]
    fn a_sweep_keeps_the_newest() {
        let dedupe = Dedupe::default();
        for i in 0..SOFT_CAP + 10 {
            dedupe.put("send", &i.to_string(), Stored::ok(&i));
        }
        dedupe.sweep();
        assert!(dedupe.get("send", "0").is_none());
        assert!(dedupe.get("send", "1009").is_some());
        assert!(dedupe.map().len() <= SOFT_CAP);
    }

    #[test]
    fn a_busy_minute_is_bounded_and_its_newest_are_kept() {
        let dedupe = Dedupe::default();
        for i in 0..3 * HARD_CAP {
            dedupe.put("send", &i.to_string(), Stored::ok(&i));
            assert!(dedupe.map().len() <= HARD_CAP);
            assert!(dedupe.get("send", &i.to_string()).is_some());
        }
    }
}
