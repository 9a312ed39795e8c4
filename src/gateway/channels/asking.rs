//! Questions to workers whose answers somebody waits for, and messages whose fate somebody wants to
//! know. Each is answered once: by the worker, or by the clock.

use super::super::clock::Alarm;
use super::super::core::Core;
use super::lock;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// At once, of all accounts: far more than clients ask.
const MAX_OPEN: usize = 200;

pub type Answered = Box<dyn FnOnce(Result<Value, String>) + Send>;

#[derive(Default)]
pub struct Asking(Mutex<HashMap<String, Open>>);

struct Open {
    then: Answered,
    _patience: Alarm,
}

impl Asking {
    /// `then` is called once, on any thread; it must not block.
    pub fn expect(&self, core: &Arc<Core>, id: &str, patience: Duration, then: Answered) {
        let (later, name) = (core.clone(), id.to_string());
        let alarm = core.agents.clock().at(Instant::now() + patience, move || {
            let why = format!("no answer in {} seconds", patience.as_secs());
            later.channels.asking.answer(&name, Err(why));
        });
        let mut open = lock(&self.0);
        if open.len() >= MAX_OPEN {
            drop(open);
            return then(Err("too many questions are open".into()));
        }
        let entry = Open {
            then,
            _patience: alarm,
        };
        open.insert(id.into(), entry);
    }

    /// False: nobody waits for it.
    pub fn answer(&self, id: &str, answer: Result<Value, String>) -> bool {
        let open = lock(&self.0).remove(id);
        match open {
            Some(open) => {
                (open.then)(answer);
                true
            }
            None => false,
        }
    }
}
