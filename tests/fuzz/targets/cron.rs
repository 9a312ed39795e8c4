//! Schedules as people type them: the first line is an expression, a time or a number of
//! milliseconds, the second a time zone, the third the time now.
//!
//! What comes next is after now, and comes next at every moment in between.

#![no_main]

use libfuzzer_sys::fuzz_target;
use openclaw::schedule::next;
use openclaw::wire::gateway::cron::Schedule;

/// The year 2200: jobs of a file that another program wrote may hold any time.
const MAX_NOW: u64 = 7_258_118_400_000;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let mut lines = text.lines();
    let typed = lines.next().unwrap_or_default();
    let zone = lines.next().filter(|zone| !zone.is_empty());
    let now = lines.next().and_then(|line| line.parse().ok());
    let now = now.unwrap_or(1_795_000_000_000_u64).min(MAX_NOW);

    let at = Schedule::At { at: typed.into() };
    let _ = (next::check(&at), next::next(&at, now));
    if let Ok(every_ms) = typed.parse() {
        let every = Schedule::Every {
            every_ms,
            anchor_ms: Some(now / 2),
        };
        comes_next(&every, now);
    }
    let cron = Schedule::Cron {
        expr: typed.into(),
        tz: zone.map(Into::into),
    };
    match next::check(&cron) {
        Ok(()) => comes_next(&cron, now),
        Err(err) => assert!(!err.to_string().is_empty()),
    }
});

fn comes_next(schedule: &Schedule, now: u64) {
    let Some(found) = next::next(schedule, now) else {
        return;
    };
    assert!(found > now, "{schedule:?} at {now}: {found}");
    let between = now + (found - now) / 2;
    assert_eq!(
        next::next(schedule, between),
        Some(found),
        "{schedule:?} at {between}"
    );
}
