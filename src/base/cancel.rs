//! A run's stop button: one flag plus the actions that wake whatever is blocked.
//!
//! Blocking code registers an action (shut a socket, kill a child) for as long as it blocks; the
//! one who cancels runs all of them at once, so a stop takes effect within a system call, not at
//! the next poll.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

type Action = Box<dyn Fn() + Send>;

#[derive(Clone, Default)]
pub struct Cancel(Arc<Inner>);

#[derive(Default)]
struct Inner {
    cancelled: AtomicBool,
    actions: Mutex<Vec<(u64, Action)>>,
}

/// Keeps an action registered until dropped.
pub struct Registration {
    cancel: Cancel,
    id: u64,
}

impl Cancel {
    pub fn new() -> Cancel {
        Cancel::default()
    }

    /// Both are the same button.
    pub fn is_same(&self, other: &Cancel) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    pub fn is_cancelled(&self) -> bool {
        self.0.cancelled.load(Ordering::SeqCst)
    }

    /// Sets the flag and runs every registered action, each once. Later calls do nothing.
    pub fn cancel(&self) {
        if self.0.cancelled.swap(true, Ordering::SeqCst) {
            return;
        }
        for (_, action) in self.actions().iter() {
            action();
        }
    }

    /// Registers `action` to run at cancellation; runs it at once when that already happened.
    /// The action must not block and must not register or drop registrations itself.
    #[must_use = "the action is forgotten when the registration is dropped"]
    pub fn on_cancel(&self, action: impl Fn() + Send + 'static) -> Registration {
        let mut actions = self.actions();
        let id = actions.last().map_or(0, |(id, _)| id + 1);
        if self.is_cancelled() {
            action();
        }
        actions.push((id, Box::new(action)));
        Registration {
            cancel: self.clone(),
            id,
        }
    }

    fn actions(&self) -> std::sync::MutexGuard<'_, Vec<(u64, Action)>> {
        self.0
            .actions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.cancel.actions().retain(|(id, _)| *id != self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;

    #[test]
    fn actions_run_once_and_only_while_registered() {
        let cancel = Cancel::new();
        let count = Arc::new(AtomicUsize::new(0));
        let add = |count: &Arc<AtomicUsize>| {
            let count = count.clone();
            move || {
                count.fetch_add(1, Ordering::SeqCst);
            }
        };
        drop(cancel.on_cancel(add(&count)));
        let _kept = cancel.on_cancel(add(&count));
        cancel.cancel();
        cancel.cancel();
        assert_eq!(count.load(Ordering::SeqCst), 1);
        let _late = cancel.on_cancel(add(&count));
        assert_eq!(count.load(Ordering::SeqCst), 2);
    }
}
