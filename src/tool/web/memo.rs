//! Answers of the last minutes, in memory: asked twice, fetched once.

use serde_json::Value;
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Answers kept, and bytes of them in all: the original has no bound on the latter, and 100 pages of
/// 50,000 characters are more than the rest of the gateway.
const MAX_ENTRIES: usize = 100;
const MAX_BYTES: usize = 1024 * 1024;

struct Entry {
    key: String,
    until: Instant,
    size: usize,
    answer: Value,
}

/// The oldest first.
pub struct Memo(Mutex<VecDeque<Entry>>);

impl Memo {
    pub const fn new() -> Memo {
        Memo(Mutex::new(VecDeque::new()))
    }

    pub fn get(&self, key: &str) -> Option<Value> {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        entries.retain(|entry| entry.until > now);
        let entry = entries.iter().find(|entry| entry.key == key)?;
        let mut answer = entry.answer.clone();
        answer["cached"] = true.into();
        Some(answer)
    }

    pub fn put(&self, key: String, answer: &Value, keep: Duration) {
        let size = key.len() + answer.to_string().len();
        if keep.is_zero() || size > MAX_BYTES {
            return;
        }
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        entries.retain(|entry| entry.key != key);
        entries.push_back(Entry {
            key,
            until: Instant::now() + keep,
            size,
            answer: answer.clone(),
        });
        let mut bytes: usize = entries.iter().map(|entry| entry.size).sum();
        while entries.len() > MAX_ENTRIES || bytes > MAX_BYTES {
            bytes -= entries.pop_front().map_or(0, |entry| entry.size);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_oldest_answers_make_room_and_a_kept_one_says_so() {
        let memo = Memo::new();
        let hour = Duration::from_secs(3600);
        for n in 0..150 {
            memo.put(n.to_string(), &json!({"n": n}), hour);
        }
        assert_eq!(memo.get("0"), None);
        assert_eq!(memo.get("149"), Some(json!({"n": 149, "cached": true})));
        memo.put(
            "large".into(),
            &json!({"x": "x".repeat(MAX_BYTES - 20)}),
            hour,
        );
        assert!(memo.get("large").is_some() && memo.get("149").is_none());
        memo.put("never".into(), &json!({}), Duration::ZERO);
        assert_eq!(memo.get("never"), None);
        memo.put("late".into(), &json!({}), Duration::from_nanos(1));
        assert_eq!(memo.get("late"), None);
    }
}
