//! What to do after a failed model call: wait and ask again, ask the next model, or give up.

use crate::model::{Class, Error, SHORT_WISH};
use std::time::Duration;

/// How often one model is asked again after the HTTP layer's own retries, and how long after; the
/// pause doubles each time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    pub retries: usize,
    pub first: Duration,
}

/// Longest pause, however often it doubled.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

impl Default for Patience {
    fn default() -> Patience {
        Patience {
            retries: 3,
            first: Duration::from_secs(2),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Retry(Duration),
    /// The next model of the chain.
    Next,
    /// The error is the answer.
    GiveUp,
}

/// One model that failed, for the report when all did.
#[derive(Clone, Debug)]
pub struct Attempt {
    pub candidate: usize,
    pub model: String,
    pub error: String,
    pub class: Class,
}

/// `tries` counts this model's failed calls in this run, this one included; `more` says whether
/// the chain has another model.
pub fn decide(error: &Error, tries: usize, more: bool, patience: Patience) -> Step {
    let next = if more { Step::Next } else { Step::GiveUp };
    match error.class {
        Class::Aborted | Class::ContextOverflow => Step::GiveUp,
        // The same request would be refused again.
        Class::Auth | Class::Billing | Class::Format | Class::Untrusted => next,
        // It took its time, or had its chances.
        Class::Timeout | Class::Resting => next,
        // Such a wish is longer than anybody waits for an answer.
        class if class.is_transient() && wishes_long(error) => next,
        class if class.is_transient() => patience.again_or(tries, next),
        Class::Unknown if error.status.is_some_and(|s| s >= 500) => patience.again_or(tries, next),
        // Not a reason to bother another provider: most often our own request is wrong.
        _ => Step::GiveUp,
    }
}

fn wishes_long(error: &Error) -> bool {
    let wish = error.retry_after_ms.map(Duration::from_millis);
    wish.is_some_and(|wish| wish > SHORT_WISH)
}

impl Patience {
    fn again_or(self, tries: usize, otherwise: Step) -> Step {
        if tries > self.retries {
            return otherwise;
        }
        let doubled = u32::try_from(tries - 1).map_or(u32::MAX, |n| 2u32.saturating_pow(n));
        Step::Retry(self.first.saturating_mul(doubled).min(LONGEST_PAUSE))
    }
}

/// The original's wording when several models were asked in vain; `None` when it was one, with
/// however many keys.
pub fn all_failed(attempts: &[Attempt]) -> Option<String> {
    let mut last: Vec<&Attempt> = Vec::new();
    for attempt in attempts {
        match last.iter_mut().find(|a| a.model == attempt.model) {
            Some(same) => *same = attempt,
            None => last.push(attempt),
        }
    }
    if last.len() < 2 {
        return None;
    }
    let list: Vec<String> = last
        .iter()
        .map(|a| match a.class.failover() {
            Some(reason) => format!("{}: {} ({reason})", a.model, a.error),
            None => format!("{}: {}", a.model, a.error),
        })
        .collect();
    Some(format!(
        "All models failed ({}): {}",
        list.len(),
        list.join(" | ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(class: Class, status: Option<u16>) -> Error {
        Error {
            class,
            status,
            message: "m".into(),
            retry_after_ms: None,
            partial: None,
        }
    }

    #[test]
    fn a_passing_failure_is_retried_and_a_lasting_one_moves_on() {
        let decide =
            |error: &Error, tries, more| super::decide(error, tries, more, Patience::default());
        let wait = |seconds| Step::Retry(Duration::from_secs(seconds));
        let mut busy = error(Class::RateLimit, Some(429));
        assert_eq!(decide(&busy, 1, true), wait(2));
        assert_eq!(decide(&busy, 3, true), wait(8));
        assert_eq!(decide(&busy, 4, true), Step::Next);
        assert_eq!(decide(&busy, 4, false), Step::GiveUp);
        busy.retry_after_ms = Some(3_600_000);
        assert_eq!(decide(&busy, 1, true), Step::Next);
        for class in [
            Class::Auth,
            Class::Untrusted,
            Class::Resting,
            Class::Timeout,
        ] {
            assert_eq!(decide(&error(class, None), 1, true), Step::Next);
        }
        assert_eq!(decide(&error(Class::Unknown, Some(500)), 1, false), wait(2));
        assert_eq!(decide(&error(Class::Aborted, None), 1, true), Step::GiveUp);
        let never = Patience {
            retries: 0,
            ..Patience::default()
        };
        let lost = error(Class::Network, None);
        assert_eq!(super::decide(&lost, 1, false, never), Step::GiveUp);
        let long = Patience {
            retries: 90,
            ..Patience::default()
        };
        let step = super::decide(&lost, 90, false, long);
        assert_eq!(step, Step::Retry(LONGEST_PAUSE));
    }

    #[test]
    fn an_exhausted_chain_names_every_model_once() {
        let attempt = |candidate, model: &str, error: &str, class| Attempt {
            candidate,
            model: model.into(),
            error: error.into(),
            class,
        };
        let attempts = [
            attempt(0, "a/b", "first key", Class::Auth),
            attempt(1, "a/b", "no", Class::Auth),
            attempt(2, "c/d", "odd", Class::Unknown),
        ];
        assert_eq!(
            all_failed(&attempts).as_deref(),
            Some("All models failed (2): a/b: no (auth) | c/d: odd")
        );
        assert_eq!(all_failed(&attempts[..2]), None);
    }
}
