//! Events for as long as the caller wants them, over as many connections as it takes.

use super::Caller;
use super::connection::{Client, Event};
use super::error::Error;
use crate::base::exit::{Exit, Report};
use crate::wire::gateway::frame::TICK_MS;
use std::time::{Duration, Instant};

/// First and longest pause before connecting again.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LAST_PAUSE: Duration = Duration::from_secs(30);
/// A gateway ticks; without a sign of life for this long the connection is dead.
const SILENCE: Duration = Duration::from_millis(TICK_MS * 5 / 2);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

pub enum News {
    /// A connection stands; `again` when it is not the first.
    Connected {
        again: bool,
    },
    Event(Event),
    /// It broke; the next attempt comes after `retry_in`.
    Lost {
        why: Error,
        retry_in: Duration,
    },
}

pub struct Watch {
    caller: Caller,
    client: Option<Client>,
    pause: Duration,
    /// Waited before the next attempt.
    due: Duration,
    ever: bool,
}

impl Watch {
    pub fn new(caller: Caller) -> Watch {
        Watch {
            caller,
            client: None,
            pause: FIRST_PAUSE,
            due: Duration::ZERO,
            ever: false,
        }
    }

    /// Blocks until there is something to tell. Fails only when trying again cannot help (a wrong
    /// secret, a missing key), or when the very first connection fails.
    pub fn news(&mut self) -> Result<News, Error> {
        let Some(client) = &mut self.client else {
            std::thread::sleep(std::mem::take(&mut self.due));
            return self.connect();
        };
        client.set_deadline(Some(Instant::now() + SILENCE));
        match client.event() {
            Ok(event) => Ok(News::Event(event)),
            Err(err) => self.lost(err),
        }
    }

    fn connect(&mut self) -> Result<News, Error> {
        match self.caller.connect(CONNECT_TIMEOUT) {
            Ok(client) => {
                let again = std::mem::replace(&mut self.ever, true);
                self.client = Some(client);
                self.pause = FIRST_PAUSE;
                Ok(News::Connected { again })
            }
            Err(err) if !self.ever => Err(err),
            Err(err) => self.lost(err),
        }
    }

    fn lost(&mut self, why: Error) -> Result<News, Error> {
        self.client = None;
        if matches!(why.exit(), Exit::Denied | Exit::Config) {
            return Err(why);
        }
        // The local gateway hands its listeners on when it restarts: it is there again at once.
        let restarting = matches!(why, Error::Closed { code: 1012, .. });
        let retry_in = match restarting {
            true => Duration::from_millis(50),
            false => self.pause,
        };
        self.due = retry_in;
        if !restarting {
            self.pause = (self.pause * 2).min(LAST_PAUSE);
        }
        Ok(News::Lost { why, retry_in })
    }
}
