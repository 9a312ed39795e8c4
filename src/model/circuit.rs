//! The circuits to the services. One that fails again and again is left alone for a while, each time
//! longer, and then asked once before everybody may ask again: a small machine must not spend its
//! hours calling what does not answer, and a busy service is not helped by being called more.
//!
//! There are two circuits to a call: one to the address, for connections that fail, and one to the
//! model there with this key, for answers that say "not now". Only failures that pass by themselves
//! count; an answer of any other kind closes both. Kept in memory: a new process asks anew.

use super::{Class, Error, Target};
use crate::wire::message::Assistant;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Failed calls in a row before a service is left alone; each is up to three requests. More than the
/// four of one run, so that a run alone is as patient as it should be.
const TOLERATED: u32 = 6;
const FIRST_REST: Duration = Duration::from_secs(30);
const LONGEST_REST: Duration = Duration::from_secs(600);
/// A service that asks for a longer pause than this is left alone at once.
pub const SHORT_WISH: Duration = Duration::from_secs(60);
/// Circuits that are remembered; an agent has a handful of models.
const MAX_CIRCUITS: usize = 64;
/// What marks the text of [`Class::Resting`] for people who read it in a chat.
pub(super) const MARK: &str = " is left alone for now: ";
/// Characters of the last failure that are told.
const SHOWN: usize = 200;

#[derive(Debug, Default)]
pub(super) struct Circuits {
    all: Mutex<Vec<Circuit>>,
}

#[derive(Debug)]
struct Circuit {
    key: u64,
    failures: u32,
    /// How often it has been left alone since it last answered.
    rests: u32,
    until: Option<Instant>,
    /// Somebody is trying whether it has recovered.
    probing: bool,
    last: String,
    used: Instant,
}

/// Leave to make one call. What is dropped without an end says nothing about the service.
pub(super) struct Pass<'a> {
    circuits: &'a Circuits,
    /// To the address, to the model.
    keys: [u64; 2],
    probing: [bool; 2],
}

impl Circuits {
    pub fn enter(&self, target: &Target, now: Instant) -> Result<Pass<'_>, Error> {
        let keys = keys(target);
        let mut all = self.lock();
        for circuit in all.iter_mut().filter(|c| keys.contains(&c.key)) {
            if let Some(wait) = circuit.wait(now) {
                return Err(resting(target, circuit, wait));
            }
        }
        let mut pass = Pass {
            circuits: self,
            keys,
            probing: [false; 2],
        };
        for (key, probing) in keys.iter().zip(&mut pass.probing) {
            if let Some(circuit) = all.iter_mut().find(|c| c.key == *key) {
                circuit.used = now;
                *probing = circuit.until.is_some();
                circuit.probing |= *probing;
            }
        }
        Ok(pass)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Circuit>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pass<'_> {
    pub fn end(self, result: &Result<Assistant, Error>, now: Instant) {
        let error = match result {
            Ok(_) => None,
            Err(error) if error.class == Class::Aborted => return,
            Err(error) => Some(error),
        };
        let mut all = self.circuits.lock();
        let Some((error, at)) = error.and_then(|error| Some((error, which(error)?))) else {
            all.retain(|c| !self.keys.contains(&c.key));
            return;
        };
        let [address, model] = self.keys;
        let key = [address, model][at];
        if at == 1 {
            // The address did answer.
            all.retain(|c| c.key != address);
        }
        let known = all.iter().position(|c| c.key == key);
        let place = known.unwrap_or_else(|| {
            if all.len() == MAX_CIRCUITS {
                let oldest = all.iter().enumerate().min_by_key(|(_, c)| c.used);
                let oldest = oldest.map_or(0, |(at, _)| at);
                all.swap_remove(oldest);
            }
            all.push(Circuit {
                key,
                failures: 0,
                rests: 0,
                until: None,
                probing: false,
                last: String::new(),
                used: now,
            });
            all.len() - 1
        });
        all[place].failed(error, now);
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        if self.probing == [false; 2] {
            return;
        }
        let mut all = self.circuits.lock();
        for (key, probing) in self.keys.iter().zip(self.probing) {
            if let Some(circuit) = all.iter_mut().find(|c| c.key == *key) {
                circuit.probing &= !probing;
            }
        }
    }
}

impl Circuit {
    /// How long it is still left alone; zero while somebody else tries it.
    fn wait(&self, now: Instant) -> Option<Duration> {
        let left = self.until?.saturating_duration_since(now);
        (!left.is_zero() || self.probing).then_some(left)
    }

    fn failed(&mut self, error: &Error, now: Instant) {
        self.failures += 1;
        self.used = now;
        self.last = error.message.chars().take(SHOWN).collect();
        let wish = error.retry_after_ms.map(Duration::from_millis);
        let wish = wish.filter(|wish| *wish > SHORT_WISH);
        if self.failures < TOLERATED && wish.is_none() {
            return;
        }
        let rest = FIRST_REST * 2u32.saturating_pow(self.rests.min(8));
        let rest = rest.max(wish.unwrap_or_default()).min(LONGEST_REST);
        self.rests += 1;
        self.until = Some(now + rest);
    }
}

/// The circuit a failure belongs to; `None` where the service did answer.
fn which(error: &Error) -> Option<usize> {
    match error.class {
        Class::Network | Class::Timeout if error.status.is_none() => Some(0),
        Class::Network | Class::Timeout | Class::RateLimit | Class::Overloaded => Some(1),
        Class::Unknown if error.status.is_some_and(|s| s >= 500) => Some(1),
        _ => None,
    }
}

fn keys(target: &Target) -> [u64; 2] {
    let mut hasher = DefaultHasher::new();
    (&target.provider, &target.base_url).hash(&mut hasher);
    let address = hasher.finish();
    target.model.hash(&mut hasher);
    target
        .key
        .as_ref()
        .map(|key| key.expose())
        .hash(&mut hasher);
    target.aws.as_ref().map(|aws| &aws.id).hash(&mut hasher);
    [address, hasher.finish()]
}

fn resting(target: &Target, circuit: &Circuit, wait: Duration) -> Error {
    let when = match wait.as_millis().div_ceil(1000) {
        0 => "It is being tried right now.".to_string(),
        seconds => format!("It is tried again in {seconds} s."),
    };
    let times = match circuit.failures {
        1 => "it failed".to_string(),
        n => format!("it failed {n} times in a row"),
    };
    Error {
        class: Class::Resting,
        status: None,
        message: format!(
            "{}/{}{MARK}{times}. {when} Last failure: {}",
            target.provider, target.model, circuit.last
        ),
        retry_after_ms: Some(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)),
        partial: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::secret::Secret;
    use crate::wire::message::StopReason;

    fn target(model: &str, key: &str) -> Target {
        Target {
            provider: "p".into(),
            model: model.into(),
            base_url: "http://h".into(),
            key: Some(Secret::new(key)),
            ..Target::default()
        }
    }

    fn failure(class: Class, status: Option<u16>, wish: Option<u64>) -> Result<Assistant, Error> {
        Err(Error {
            class,
            status,
            message: "503 no backend".into(),
            retry_after_ms: wish,
            partial: None,
        })
    }

    fn answer() -> Result<Assistant, Error> {
        Ok(Assistant {
            content: Vec::new(),
            api: String::new(),
            provider: String::new(),
            model: String::new(),
            usage: Default::default(),
            stop_reason: StopReason::Stop,
            error_message: None,
            timestamp: 0,
        })
    }

    fn waits(circuits: &Circuits, target: &Target, now: Instant) -> Option<u64> {
        let refused = circuits.enter(target, now).err()?;
        assert_eq!(refused.class, Class::Resting);
        refused.retry_after_ms.map(|ms| ms.div_ceil(1000))
    }

    const BUSY: (Class, Option<u16>) = (Class::Overloaded, Some(529));

    fn fail(
        circuits: &Circuits,
        target: &Target,
        (class, status): (Class, Option<u16>),
        now: Instant,
    ) {
        let pass = circuits.enter(target, now).expect("a pass");
        pass.end(&failure(class, status, None), now);
    }

    #[test]
    fn a_service_that_keeps_failing_is_left_alone_ever_longer_and_tried_once() {
        let circuits = Circuits::default();
        let target = target("m", "k");
        let mut now = Instant::now();
        for _ in 0..TOLERATED {
            fail(&circuits, &target, BUSY, now);
        }
        for rest in [30, 60, 120, 240, 480, 600, 600] {
            assert_eq!(waits(&circuits, &target, now), Some(rest));
            now += Duration::from_secs(rest);
            let probe = circuits.enter(&target, now).expect("a probe");
            // Meanwhile nobody else; and a probe that is given up frees its place.
            assert_eq!(waits(&circuits, &target, now), Some(0));
            drop(probe);
            fail(&circuits, &target, BUSY, now);
        }
        now += LONGEST_REST;
        let probe = circuits.enter(&target, now).expect("a probe");
        probe.end(&answer(), now);
        fail(&circuits, &target, BUSY, now);
        assert_eq!(
            waits(&circuits, &target, now),
            None,
            "the count starts anew"
        );
    }

    #[test]
    fn a_busy_model_rests_alone_and_a_dead_address_with_all_its_models() {
        let now = Instant::now();
        let (one, other) = (target("m", "k"), target("n", "k"));
        let key = target("m", "another");
        let circuits = Circuits::default();
        for _ in 0..TOLERATED {
            fail(&circuits, &one, (Class::RateLimit, Some(429)), now);
        }
        assert_eq!(waits(&circuits, &one, now), Some(30));
        assert_eq!(waits(&circuits, &other, now), None);
        assert_eq!(waits(&circuits, &key, now), None);
        let circuits = Circuits::default();
        for _ in 0..TOLERATED {
            fail(&circuits, &one, (Class::Network, None), now);
        }
        assert_eq!(waits(&circuits, &other, now), Some(30));
    }

    #[test]
    fn only_passing_failures_in_a_row_count_and_a_long_wish_at_once() {
        let now = Instant::now();
        let target = target("m", "k");
        let circuits = Circuits::default();
        for round in 0..4 {
            for _ in 1..TOLERATED {
                fail(&circuits, &target, BUSY, now);
            }
            let refused = (Class::Auth, Some(401));
            fail(&circuits, &target, refused, now);
            assert_eq!(waits(&circuits, &target, now), None, "round {round}");
        }
        for (wish, rest) in [(59_000, None), (120_000, Some(120)), (9_000_000, Some(600))] {
            let circuits = Circuits::default();
            let pass = circuits.enter(&target, now).expect("a pass");
            pass.end(&failure(Class::RateLimit, Some(429), Some(wish)), now);
            assert_eq!(waits(&circuits, &target, now), rest);
        }
    }

    #[test]
    fn the_text_says_why_and_when_and_no_key() {
        let now = Instant::now();
        let target = target("m", "very-secret-key");
        let circuits = Circuits::default();
        for _ in 0..TOLERATED {
            fail(&circuits, &target, BUSY, now);
        }
        let error = circuits.enter(&target, now).err().expect("a refusal");
        assert_eq!(
            error.user_text(),
            "p/m is left alone for now: it failed 6 times in a row. It is tried again in 30 s. \
             Last failure: 503 no backend"
        );
        for n in 0..MAX_CIRCUITS * 2 {
            fail(&circuits, &self::target(&n.to_string(), "k"), BUSY, now);
        }
        assert_eq!(circuits.lock().len(), MAX_CIRCUITS);
    }
}
