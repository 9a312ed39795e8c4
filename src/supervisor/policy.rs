//! When a child is started again, and which steps lead from the children that are to those that
//! should be. Pure: time comes in as an argument.

use crate::wire::control::Worker;
use std::time::{Duration, Instant};

/// Wait before the first restart; doubles with each failure in a row.
pub const FIRST_DELAY: Duration = Duration::from_millis(100);
pub const LONGEST_DELAY: Duration = Duration::from_secs(30);
/// A child that was up this long has proved itself: its failures are forgotten.
pub const PROVEN: Duration = Duration::from_secs(60);
/// Endings that another start would only repeat: called wrongly, not permitted, bad configuration.
pub const FINAL: [i32; 3] = [64, 77, 78];

/// Failures in a row of one child.
#[derive(Clone, Debug, Default)]
pub struct Backoff {
    failures: u32,
    /// For people: all restarts, never reset.
    pub restarts: u32,
}

impl Backoff {
    /// The child ended after `up`; how long to wait before its next start.
    pub fn ended(&mut self, up: Duration) -> Duration {
        if up >= PROVEN {
            self.failures = 0;
        }
        let delay = delay(self.failures);
        self.failures = self.failures.saturating_add(1);
        self.restarts = self.restarts.saturating_add(1);
        delay
    }

    /// It ended because we asked: no failure, no wait.
    pub fn asked(&mut self) {
        self.failures = 0;
        self.restarts = self.restarts.saturating_add(1);
    }
}

fn delay(failures: u32) -> Duration {
    FIRST_DELAY
        .saturating_mul(1u32.checked_shl(failures).unwrap_or(u32::MAX))
        .min(LONGEST_DELAY)
}

/// The earlier of two deadlines, either of which may be absent.
pub fn sooner(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    Start(Worker),
    /// The same id is wanted with another command or other limits.
    Replace(Worker),
    Stop(String),
}

/// From `present` to `wanted`. Ids are unique in `present`; of two wanted with one id the first
/// counts.
pub fn compare<'a>(present: impl Iterator<Item = &'a Worker>, wanted: &[Worker]) -> Vec<Step> {
    let present: Vec<&Worker> = present.collect();
    let mut steps: Vec<Step> = present
        .iter()
        .filter(|have| wanted.iter().all(|want| want.id != have.id))
        .map(|have| Step::Stop(have.id.clone()))
        .collect();
    for (at, want) in wanted.iter().enumerate() {
        if wanted[..at].iter().any(|earlier| earlier.id == want.id) {
            continue;
        }
        match present.iter().find(|have| have.id == want.id) {
            None => steps.push(Step::Start(want.clone())),
            Some(have) if *have != want => steps.push(Step::Replace(want.clone())),
            Some(_) => {}
        }
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_to_half_a_minute_and_a_proven_child_starts_over() {
        let mut backoff = Backoff::default();
        let waits: Vec<u128> = (0..11)
            .map(|_| backoff.ended(Duration::ZERO).as_millis())
            .collect();
        assert_eq!(
            waits,
            [
                100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 30000, 30000
            ]
        );
        assert_eq!(backoff.ended(Duration::from_secs(59)), LONGEST_DELAY);
        assert_eq!(backoff.ended(PROVEN), FIRST_DELAY);
        assert_eq!(backoff.restarts, 13);
        assert_eq!(delay(u32::MAX), LONGEST_DELAY);
    }

    #[test]
    fn only_what_differs_is_touched() {
        let worker = |id: &str, arg: &str| Worker {
            id: id.into(),
            argv: vec![arg.into()],
            limits: Default::default(),
        };
        let have = [worker("a", "1"), worker("b", "1"), worker("c", "1")];
        let want = [
            worker("a", "1"),
            worker("b", "2"),
            worker("d", "1"),
            worker("d", "9"),
        ];
        assert_eq!(
            compare(have.iter(), &want),
            [
                Step::Stop("c".into()),
                Step::Replace(worker("b", "2")),
                Step::Start(worker("d", "1")),
            ]
        );
        assert!(compare(have.iter(), &have).is_empty());
    }
}
