//! What was said in groups and not to us, until something is: context for the next turn.
//!
//! In memory only: a core that is started anew has missed nothing that anybody waits for. Bounded
//! in messages of one group and of all together.

use super::lock;
use std::collections::{HashMap, VecDeque};
use std::sync::Mutex;

/// Of all groups; of one of them it is the configuration's `historyLimit`. Each is short.
const MAX_ALL: usize = 2000;
/// Of one group, whatever the configuration says.
const MAX_ONE: usize = 200;

#[derive(Default)]
pub struct History(Mutex<State>);

#[derive(Default)]
struct State {
    groups: HashMap<String, VecDeque<(u64, String)>>,
    /// Names the lines, in their order.
    next: u64,
    count: usize,
}

impl History {
    pub fn remember(&self, key: &str, line: String, limit: usize) {
        if limit == 0 {
            return;
        }
        let mut state = lock(&self.0);
        let state = &mut *state;
        state.next += 1;
        let lines = state.groups.entry(key.into()).or_default();
        lines.push_back((state.next, line));
        state.count += 1;
        while lines.len() > limit.min(MAX_ONE) {
            lines.pop_front();
            state.count -= 1;
        }
        if state.count > MAX_ALL {
            state.forget_oldest();
        }
    }

    /// What was said so far, which is answered now.
    pub fn take(&self, key: &str) -> Vec<String> {
        let mut state = lock(&self.0);
        let lines = state.groups.remove(key).unwrap_or_default();
        state.count -= lines.len();
        lines.into_iter().map(|(_, line)| line).collect()
    }
}

impl State {
    fn forget_oldest(&mut self) {
        let first = |lines: &VecDeque<(u64, String)>| lines.front().map_or(u64::MAX, |(n, _)| *n);
        let oldest = self.groups.iter().min_by_key(|(_, lines)| first(lines));
        let Some(key) = oldest.map(|(key, _)| key.clone()) else {
            return;
        };
        if let Some(lines) = self.groups.get_mut(&key) {
            lines.pop_front();
            self.count -= 1;
            if lines.is_empty() {
                self.groups.remove(&key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_keeps_its_last_lines_until_they_are_answered() {
        let history = History::default();
        for n in 0..5 {
            history.remember("a", n.to_string(), 3);
        }
        history.remember("b", "x".into(), 0);
        assert_eq!(history.take("a"), ["2", "3", "4"]);
        assert!(history.take("a").is_empty() && history.take("b").is_empty());
    }

    #[test]
    fn many_groups_cost_no_more_than_one() {
        let history = History::default();
        for n in 0..MAX_ALL + 10 {
            history.remember(&format!("g{n}"), "x".into(), 50);
        }
        let state = lock(&history.0);
        assert_eq!((state.count, state.groups.len()), (MAX_ALL, MAX_ALL));
        assert!(!state.groups.contains_key("g9") && state.groups.contains_key("g10"));
    }
}
