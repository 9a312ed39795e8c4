//! What a worker remembers for a while: names it asked for, messages it has seen. The oldest goes
//! when there is no room, whatever strangers do.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

pub struct Recent<V> {
    age: Duration,
    most: usize,
    held: Mutex<Held<V>>,
}

struct Held<V> {
    values: HashMap<String, (Instant, V)>,
    /// By the time they came, and which time: a value set again has two places here.
    order: VecDeque<(Instant, String)>,
}

impl<V: Clone> Recent<V> {
    pub fn new(age: Duration, most: usize) -> Recent<V> {
        Recent {
            age,
            most,
            held: Mutex::new(Held {
                values: HashMap::new(),
                order: VecDeque::new(),
            }),
        }
    }

    pub fn get(&self, key: &str) -> Option<V> {
        self.get_at(key, Instant::now())
    }

    pub fn set(&self, key: &str, value: V) {
        self.set_at(key, value, Instant::now());
    }

    pub fn forget(&self, key: &str) {
        self.held().values.remove(key);
    }

    fn get_at(&self, key: &str, now: Instant) -> Option<V> {
        let held = self.held();
        let (since, value) = held.values.get(key)?;
        (now.saturating_duration_since(*since) < self.age).then(|| value.clone())
    }

    fn set_at(&self, key: &str, value: V, now: Instant) {
        let mut held = self.held();
        held.values.insert(key.to_string(), (now, value));
        held.order.push_back((now, key.to_string()));
        while let Some((since, _)) = held.order.front() {
            let old = now.saturating_duration_since(*since) >= self.age;
            if !old && held.order.len() <= self.most {
                break;
            }
            let Some((since, key)) = held.order.pop_front() else {
                break;
            };
            if held.values.get(&key).is_some_and(|(at, _)| *at == since) {
                held.values.remove(&key);
            }
        }
    }

    fn held(&self) -> MutexGuard<'_, Held<V>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_goes_by_age_and_by_number() {
        let start = Instant::now();
        let at = |s| start + Duration::from_secs(s);
        let recent = Recent::new(Duration::from_secs(10), 3);
        for (n, key) in ["a", "b", "a", "c"].into_iter().enumerate() {
            recent.set_at(key, n, at(n as u64));
        }
        // What was set again counts from then on.
        assert_eq!(recent.get_at("a", at(4)), Some(2));
        assert_eq!(recent.get_at("b", at(4)), Some(1));
        recent.set_at("d", 4, at(4));
        assert_eq!(recent.get_at("b", at(4)), None);
        assert_eq!(recent.get_at("a", at(12)), None);
        assert_eq!(recent.get_at("d", at(12)), Some(4));
        recent.set_at("e", 5, at(100));
        assert_eq!(recent.held().values.len(), 1);
        recent.set("x", 1);
        assert_eq!(recent.get("x"), Some(1));
        recent.forget("x");
        assert_eq!(recent.get("x"), None);
    }
}
