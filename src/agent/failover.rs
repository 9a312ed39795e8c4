//! What to do after a failed model call: wait and ask again, ask the next model, or give up.

use crate::model::{Class, Error};
use std::time::Duration;

/// Waits between tries of one model, after the HTTP layer's own retries.
const WAITS: [Duration; 3] = [
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
];

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
pub fn decide(error: &Error, tries: usize, more: bool) -> Step {
    let next = if more { Step::Next } else { Step::GiveUp };
    match error.class {
        Class::Aborted | Class::ContextOverflow => Step::GiveUp,
        // The same request would be refused again.
        Class::Auth | Class::Billing | Class::Format => next,
        Class::Timeout => next,
        class if class.is_transient() => retry_or(tries, next),
        Class::Unknown if error.status.is_some_and(|s| s >= 500) => retry_or(tries, next),
        // Not a reason to bother another provider: most often our own request is wrong.
        _ => Step::GiveUp,
    }
}

fn retry_or(tries: usize, otherwise: Step) -> Step {
    match WAITS.get(tries.saturating_sub(1)) {
        Some(wait) => Step::Retry(*wait),
        None => otherwise,
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
        let busy = error(Class::RateLimit, Some(429));
        assert_eq!(decide(&busy, 1, true), Step::Retry(WAITS[0]));
        assert_eq!(decide(&busy, 3, true), Step::Retry(WAITS[2]));
        assert_eq!(decide(&busy, 4, true), Step::Next);
        assert_eq!(decide(&busy, 4, false), Step::GiveUp);
        assert_eq!(decide(&error(Class::Auth, Some(401)), 1, true), Step::Next);
        assert_eq!(
            decide(&error(Class::Unknown, Some(500)), 1, false),
            Step::Retry(WAITS[0])
        );
        assert_eq!(decide(&error(Class::Aborted, None), 1, true), Step::GiveUp);
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
