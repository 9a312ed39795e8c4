//! Messages on their way into a turn that runs.

use super::{Load, Record};
use crate::agent::queue::Item;
use crate::agent::turn::Steer;
use crate::base::time::now_ms;
use crate::wire::message::{Block, Content, Message, User};
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// More than a person says between two tool calls.
const MAX_WAITING: usize = 32;

/// One run's. Open from the turn's first event to its last look: what it takes in between is in
/// the turn, and what the turn leaves is given back.
#[derive(Debug, Default)]
pub struct Steering(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    open: bool,
    waiting: VecDeque<Item<Load>>,
    /// Given to the turn, which is about to write it down.
    given: Option<Item<Load>>,
}

impl Steering {
    pub fn open(&self) {
        self.lock().open = true;
    }

    /// Gives the message to the turn, or back when it takes none.
    pub fn offer(&self, item: Item<Load>) -> Option<Item<Load>> {
        let mut state = self.lock();
        if !state.open || state.waiting.len() >= MAX_WAITING {
            return Some(item);
        }
        state.waiting.push_back(item);
        None
    }

    /// Something has not reached the transcript yet.
    pub fn holds(&self) -> bool {
        let state = self.lock();
        state.given.is_some() || !state.waiting.is_empty()
    }

    /// What the turn did not take, oldest first; it takes no more.
    pub fn close(&self) -> Vec<Item<Load>> {
        let mut state = self.lock();
        state.open = false;
        let given = state.given.take();
        given.into_iter().chain(state.waiting.drain(..)).collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Steer for Steering {
    fn next(&self, ending: bool) -> Option<Message> {
        loop {
            let item = {
                let mut state = self.lock();
                let item = state.waiting.pop_front();
                if item.is_none() && ending {
                    state.open = false;
                }
                item?
            };
            match item.load.kept.read() {
                Ok(record) => {
                    self.lock().given = Some(item);
                    return Some(message(&record));
                }
                // Nobody but us writes there.
                Err(err) => log::error!("a queued message is lost: {err}"),
            }
        }
    }

    fn stored(&self) {
        let given = self.lock().given.take();
        if let Some(item) = given {
            item.load.kept.done();
        }
    }
}

pub(super) fn message(record: &Record) -> Message {
    let blocks = std::iter::once(Block::text(&record.text)).chain(record.images.iter().cloned());
    Message::User(User {
        content: Content::Blocks(blocks.collect()),
        timestamp: now_ms(),
    })
}
