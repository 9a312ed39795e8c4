//! Notes for the agent that wait for its next turn in the main session: what happened meanwhile,
//! one line each.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The original's bound; the oldest leave first.
const MAX_QUEUED: usize = 20;
/// Characters of one note; a longer one is cut.
const MAX_CHARS: usize = 4_000;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SystemEvent {
    pub text: String,
    /// Milliseconds since 1970.
    pub ts: u64,
}

#[derive(Default)]
pub struct SystemEvents(Mutex<VecDeque<SystemEvent>>);

impl SystemEvents {
    /// Queues a note; the same note twice in a row counts once, a blank one not at all.
    pub fn push(&self, text: &str) {
        let text: String = text.trim().chars().take(MAX_CHARS).collect();
        let mut queue = self.queue();
        if text.is_empty() || queue.back().is_some_and(|last| last.text == text) {
            return;
        }
        if queue.len() == MAX_QUEUED {
            queue.pop_front();
        }
        let ts = crate::base::time::now_ms();
        queue.push_back(SystemEvent { text, ts });
    }

    /// The texts that wait, oldest first.
    pub fn peek(&self) -> Vec<String> {
        self.queue()
            .iter()
            .map(|event| event.text.clone())
            .collect()
    }

    /// Hands them to the turn that starts now.
    pub fn take(&self) -> Vec<SystemEvent> {
        self.queue().drain(..).collect()
    }

    fn queue(&self) -> MutexGuard<'_, VecDeque<SystemEvent>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_queue_is_bounded_and_drops_repeats_and_blanks() {
        let events = SystemEvents::default();
        events.push("a");
        events.push("a");
        events.push("  ");
        assert_eq!(events.peek(), ["a"]);
        for i in 0..MAX_QUEUED {
            events.push(&i.to_string());
        }
        assert_eq!(events.take().len(), MAX_QUEUED);
        assert!(events.peek().is_empty());
    }
}
