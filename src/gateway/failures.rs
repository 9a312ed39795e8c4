//! Who offered wrong secrets, and how long it is not heard for that; and the log of refusals, which
//! a crowd of them must not fill.
//!
//! The owner's own programs on this machine are never counted: a wrong setting must not lock the
//! owner out. A browser on this machine is counted, as any page it shows could do the asking, and so
//! is what comes through a proxy that nobody vouches for; both wait a short while only, because the
//! owner may be behind the same source.

use super::origin::Origin;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Wrong secrets in a row before the first wait: a person's mistypings, and a client that knows two.
const FREE: u32 = 8;
/// The first wait; each further wrong secret doubles it.
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(15 * 60);
/// The longest where the owner may be behind the same source.
const LONGEST_SHARED: Duration = Duration::from_secs(30);
/// A source that was quiet for so long is forgotten.
const FORGOTTEN: Duration = Duration::from_secs(60 * 60);
/// Sources kept; beyond it the one that was quiet for longest goes.
const MAX_SOURCES: usize = 1024;
/// Lines of the log in one `WINDOW`.
const MAX_LINES: u32 = 20;
const WINDOW: Duration = Duration::from_secs(60);

/// What failures are counted under.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Source {
    /// Of IPv6 the network: one host has as many addresses as it likes in its own.
    ip: IpAddr,
    shared: bool,
    /// Of the hooks' token, which is another secret: a program with an old one must not lock out
    /// the people behind its address.
    hooks: bool,
}

#[derive(Default)]
pub struct Failures {
    sources: Mutex<HashMap<Source, Row>>,
    log: Mutex<Lines>,
}

struct Row {
    wrong: u32,
    last: Instant,
    until: Instant,
}

#[derive(Default)]
struct Lines {
    since: Option<Instant>,
    written: u32,
    left_out: u32,
}

impl Source {
    /// `None` for who is not counted.
    pub fn of(origin: &Origin, page: bool) -> Option<Source> {
        let ip = origin.ip?;
        if origin.local && !page {
            return None;
        }
        let ip = match ip {
            IpAddr::V6(v6) if !v6.is_loopback() => {
                let network = v6.to_bits() & !u128::from(u64::MAX);
                IpAddr::V6(Ipv6Addr::from_bits(network))
            }
            other => other,
        };
        Some(Source {
            ip,
            shared: origin.behind || ip.is_loopback(),
            hooks: false,
        })
    }

    /// The same, as one that offers the hooks' token.
    pub fn for_hooks(self) -> Source {
        Source {
            hooks: true,
            ..self
        }
    }

    fn longest(&self) -> Duration {
        match self.shared {
            true => LONGEST_SHARED,
            false => LONGEST,
        }
    }
}

impl Failures {
    /// How long it is not heard yet.
    pub fn wait(&self, source: &Source, now: Instant) -> Option<Duration> {
        let sources = self.sources();
        let left = sources.get(source)?.until.saturating_duration_since(now);
        (!left.is_zero()).then_some(left)
    }

    /// A wrong secret was offered.
    pub fn failed(&self, source: &Source, now: Instant) {
        let mut sources = self.sources();
        if sources.len() >= MAX_SOURCES && !sources.contains_key(source) {
            let quiet = |row: &Row| now.saturating_duration_since(row.last);
            sources.retain(|_, row| quiet(row) < FORGOTTEN);
            let longest = sources.iter().max_by_key(|(_, row)| quiet(row));
            if let Some(oldest) = longest.map(|(source, _)| *source) {
                if sources.len() >= MAX_SOURCES {
                    sources.remove(&oldest);
                }
            }
        }
        let row = sources.entry(*source).or_insert(Row {
            wrong: 0,
            last: now,
            until: now,
        });
        if now.saturating_duration_since(row.last) >= FORGOTTEN {
            row.wrong = 0;
        }
        row.wrong = row.wrong.saturating_add(1);
        row.last = now;
        if let Some(doublings) = row.wrong.checked_sub(FREE + 1) {
            let wait = FIRST.saturating_mul(1u32.checked_shl(doublings).unwrap_or(u32::MAX));
            row.until = now + wait.min(source.longest());
        }
    }

    /// It knows the secret: what went before were mistakes.
    pub fn passed(&self, source: &Source) {
        let mut sources = self.sources();
        sources.remove(source);
        if sources.is_empty() {
            *sources = HashMap::new();
        }
    }

    /// Writes what `line` says, unless the log has enough of it; says so later then.
    pub fn log(&self, line: impl FnOnce() -> String) {
        let (write, left_out) = self.lines().admit(Instant::now());
        if left_out > 0 {
            log::warn!(target: "gateway", "{left_out} more refusals were left out of this log");
        }
        if write {
            log::warn!(target: "gateway", "{}", line());
        }
    }

    fn sources(&self) -> MutexGuard<'_, HashMap<Source, Row>> {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lines {
    /// Whether there is room for one, and how many were left out in the window that ended with it.
    fn admit(&mut self, now: Instant) -> (bool, u32) {
        let fresh = self.since.is_none_or(|since| now >= since + WINDOW);
        let left_out = if fresh {
            self.since = Some(now);
            self.written = 0;
            std::mem::take(&mut self.left_out)
        } else {
            0
        };
        let room = self.written < MAX_LINES;
        match room {
            true => self.written += 1,
            false => self.left_out += 1,
        }
        (room, left_out)
    }
}

/// A text a stranger chose, as it may stand in the log: short, on one line.
pub fn shown(text: &str) -> String {
    /// Bytes; names of programs and hosts are shorter.
    const MAX: usize = 80;
    crate::net::frame::cut(text, MAX)
        .chars()
        .map(|c| if c.is_control() { '?' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::origin::{Forwarding, origin};
    use super::*;

    fn source(peer: &str, host: &str, forwarded: bool, page: bool) -> Option<Source> {
        let forwarding = Forwarding {
            host: Some(host.into()),
            forwarded,
            ..Forwarding::default()
        };
        Source::of(&origin(peer.parse().unwrap(), &forwarding, &[]), page)
    }

    #[test]
    fn the_owners_programs_are_not_counted_and_a_page_in_the_owners_browser_is() {
        assert_eq!(source("127.0.0.1", "localhost", false, false), None);
        let page = source("127.0.0.1", "localhost", false, true).unwrap();
        assert!(page.shared);
        assert!(
            source("127.0.0.1", "gw.example", true, false)
                .unwrap()
                .shared
        );
        assert!(!source("192.0.2.1", "gw", false, false).unwrap().shared);
        assert!(source("192.0.2.1", "gw", true, false).unwrap().shared);
        assert_eq!(
            source("2001:db8:1:2:3::4", "gw", false, false),
            source("2001:db8:1:2:ffff::1", "gw", false, true)
        );
    }

    #[test]
    fn waits_double_after_the_free_ones_up_to_a_bound_and_success_ends_them() {
        let failures = Failures::default();
        let far = source("192.0.2.1", "gw", false, false).unwrap();
        let near = source("127.0.0.1", "localhost", false, true).unwrap();
        let mut now = Instant::now();
        for _ in 0..FREE {
            failures.failed(&far, now);
            failures.failed(&near, now);
            assert_eq!(failures.wait(&far, now), None);
        }
        let mut waits = Vec::new();
        for _ in 0..12 {
            failures.failed(&far, now);
            failures.failed(&near, now);
            waits.push(failures.wait(&far, now).unwrap().as_secs());
            now += Duration::from_millis(1);
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900]);
        assert!(failures.wait(&near, now).unwrap() <= LONGEST_SHARED);
        assert_eq!(failures.wait(&far, now + LONGEST), None);
        failures.passed(&far);
        assert_eq!(failures.wait(&far, now), None);
    }

    #[test]
    fn a_crowd_of_sources_is_bounded_and_the_quiet_ones_go() {
        let failures = Failures::default();
        let start = Instant::now();
        for at in 0..MAX_SOURCES as u32 + 100 {
            let ip = IpAddr::from((0x0a00_0000 + at).to_be_bytes());
            let source = Source {
                ip,
                shared: false,
                hooks: false,
            };
            failures.failed(&source, start + Duration::from_millis(u64::from(at)));
        }
        let sources = failures.sources();
        assert_eq!(sources.len(), MAX_SOURCES);
        let first = IpAddr::from([10, 0, 0, 0]);
        assert!(!sources.contains_key(&Source {
            ip: first,
            shared: false,
            hooks: false,
        }));
    }

    #[test]
    fn the_log_of_a_flood_is_short_and_says_what_it_left_out() {
        let (mut lines, start) = (Lines::default(), Instant::now());
        let admitted = (0..100).filter(|_| lines.admit(start).0).count();
        assert_eq!(admitted as u32, MAX_LINES);
        assert_eq!(lines.admit(start + WINDOW), (true, 100 - MAX_LINES));
        assert_eq!(shown("a\nb\u{1b}[0m"), "a?b?[0m");
    }
}
