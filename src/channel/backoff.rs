//! How long to wait before a service is tried again.

use crate::base::id;
use std::time::Duration;

/// Waits that grow, with something at random on top so that many do not return in step.
#[derive(Debug)]
pub struct Backoff {
    first: Duration,
    most: Duration,
    factor: f64,
    /// Of the wait, on top of it.
    jitter: f64,
    tries: u32,
}

impl Backoff {
    pub fn new(first: Duration, most: Duration, factor: f64, jitter: f64) -> Backoff {
        Backoff {
            first,
            most,
            factor,
            jitter,
            tries: 0,
        }
    }

    /// The wait before the next try.
    pub fn wait(&mut self) -> Duration {
        // Beyond this the longest wait is reached with any factor above 1.
        const ENOUGH: u32 = 64;
        let grown = self.first.as_secs_f64() * self.factor.powi(self.tries.min(ENOUGH) as i32);
        self.tries = self.tries.saturating_add(1);
        let wait = grown.min(self.most.as_secs_f64());
        let random = f64::from(u16::from_le_bytes(id::random())) / f64::from(u16::MAX);
        Duration::from_secs_f64(wait * (1.0 + self.jitter * random))
    }

    /// It worked.
    pub fn reset(&mut self) {
        self.tries = 0;
    }

    /// Tries without success, one after the other.
    pub fn tries(&self) -> u32 {
        self.tries
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_the_longest_and_begin_anew_after_a_success() {
        let second = Duration::from_secs(1);
        let mut backoff = Backoff::new(second, second * 10, 2.0, 0.0);
        let waits: Vec<u64> = (0..6).map(|_| backoff.wait().as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 10, 10]);
        backoff.tries = u32::MAX;
        assert_eq!(backoff.wait(), second * 10);
        backoff.reset();
        assert_eq!((backoff.tries(), backoff.wait()), (0, second));
        let mut backoff = Backoff::new(second, second * 10, 2.0, 0.25);
        let wait = backoff.wait();
        assert!(wait >= second && wait <= second * 5 / 4);
    }
}
