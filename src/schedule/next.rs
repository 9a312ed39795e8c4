//! When a job runs next. Pure: the time now is an argument.
//!
//! Cron expressions follow the clock of their zone. Where it jumps forward, a time that it skips is
//! made up right after; where it goes back, a time named by its hour comes once and one that fits
//! every hour comes in both.

use super::Error;
use super::expression::Expression;
use crate::base::time::{iso, now_ms};
use crate::wire::gateway::cron::Schedule;
use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::{Offset, TimeZone};

/// How far ahead a cron expression is followed: 29 February on a given weekday comes within 40.
const YEARS_AHEAD: i64 = 50;
/// A job for one moment may be this late when it is made: clocks differ.
const LATE_MS: u64 = 60_000;
const TEN_YEARS_MS: u64 = 3_652 * 24 * 3600 * 1000;
/// Nothing runs more often than this, whatever it asks for: each run is written down.
pub const APART_MS: u64 = 1_000;

/// An ISO time (without a zone: UTC) or milliseconds as digits.
pub fn parse_time(text: &str) -> Option<u64> {
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        return text.parse().ok();
    }
    let utc = |at: DateTime| at.to_zoned(TimeZone::UTC).ok().map(|at| at.timestamp());
    let at = text
        .parse::<Timestamp>()
        .ok()
        .or_else(|| utc(text.parse::<DateTime>().ok()?))
        .or_else(|| {
            utc(text
                .parse::<Date>()
                .ok()?
                .to_datetime(jiff::civil::Time::midnight()))
        })?;
    u64::try_from(at.as_millisecond()).ok()
}

/// Whether a schedule can be kept; the text of the error is the original's where it has one.
pub fn check(schedule: &Schedule) -> Result<(), Error> {
    match schedule {
        Schedule::At { at } => check_at(at, now_ms()),
        Schedule::Every { .. } => Ok(()),
        Schedule::Cron { expr, tz } => {
            Expression::parse(expr)?;
            zone(tz.as_deref()).map(drop)
        }
    }
}

fn check_at(at: &str, now: u64) -> Result<(), Error> {
    let Some(ms) = parse_time(at) else {
        return Err(Error::Input(format!(
            "Invalid schedule.at: expected ISO-8601 timestamp (got {at})"
        )));
    };
    if ms.saturating_add(LATE_MS) < now {
        return Err(Error::Input(format!(
            "schedule.at is in the past: {} ({} minutes ago). Current time: {}",
            iso(ms),
            (now - ms) / 60_000,
            iso(now)
        )));
    }
    if ms > now + TEN_YEARS_MS {
        return Err(Error::Input(format!(
            "schedule.at is too far in the future: {} ({} years ahead). Maximum allowed: 10 years",
            iso(ms),
            (ms - now) / (TEN_YEARS_MS / 10)
        )));
    }
    Ok(())
}

/// The next time after `now`; `None` when there is none or it cannot be told. The moment of a job
/// that runs once is due for ever.
pub fn next(schedule: &Schedule, now: u64) -> Option<u64> {
    match schedule {
        Schedule::At { at } => parse_time(at),
        Schedule::Every {
            every_ms,
            anchor_ms,
        } => Some(every(*every_ms, anchor_ms.unwrap_or(now), now)),
        Schedule::Cron { expr, tz } => {
            let expression = Expression::parse(expr).ok()?;
            cron(&expression, &zone(tz.as_deref()).ok()?, now)
        }
    }
}

/// The first of `anchor`, `anchor + every`, … after `now`.
pub fn every(every_ms: u64, anchor: u64, now: u64) -> u64 {
    let every_ms = every_ms.max(1);
    match now.checked_sub(anchor) {
        None => anchor,
        Some(passed) => anchor.saturating_add((passed / every_ms + 1).saturating_mul(every_ms)),
    }
}

fn zone(name: Option<&str>) -> Result<TimeZone, Error> {
    match name.map(str::trim).filter(|name| !name.is_empty()) {
        None => Ok(TimeZone::system()),
        Some(name) => TimeZone::get(name).map_err(|_| Error::Zone(name.into())),
    }
}

/// A stretch of time in which the zone's clock runs evenly. Seconds since 1970.
struct Stretch {
    from: i64,
    until: i64,
    offset: i64,
    /// The offset before `from`.
    before: i64,
}

fn cron(expression: &Expression, zone: &TimeZone, now_ms: u64) -> Option<u64> {
    let start = i64::try_from(now_ms / 1000).ok()?.checked_add(1)?;
    let end = start.checked_add(YEARS_AHEAD * 366 * 24 * 3600)?;
    let mut at = start;
    while at < end {
        let stretch = Stretch::of(zone, at, end)?;
        if let Some(found) = stretch.first(expression, at) {
            return u64::try_from(found).ok()?.checked_mul(1000);
        }
        at = stretch.until;
    }
    None
}

impl Stretch {
    fn of(zone: &TimeZone, at: i64, end: i64) -> Option<Stretch> {
        let moment = Timestamp::from_second(at).ok()?;
        let offset = zone.to_offset(moment);
        let next = zone
            .following(moment)
            .next()
            .map(|t| t.timestamp().as_second());
        // The transition this stretch begins with, if `at` is not before all of them.
        let after = Timestamp::from_second(at + 1).ok()?;
        let from = zone
            .preceding(after)
            .next()
            .map(|t| t.timestamp().as_second());
        let before = |from: i64| {
            Timestamp::from_second(from - 1)
                .map(|t| zone.to_offset(t))
                .ok()
        };
        let seconds = |offset: Offset| i64::from(offset.seconds());
        Some(Stretch {
            from: from.unwrap_or(at),
            until: next.unwrap_or(end).min(end).max(at + 1),
            offset: seconds(offset),
            before: seconds(from.and_then(before).unwrap_or(offset)),
        })
    }

    /// The first fitting moment from `at` on within the stretch.
    fn first(&self, expression: &Expression, at: i64) -> Option<i64> {
        let clock = |moment: i64| civil(moment);
        let find = |from: i64, until: i64| {
            (from < until)
                .then(|| expression.next(clock(from)?, clock(until)?))
                .flatten()
                .map(|found| seconds(&found))
        };
        let mut from = at + self.offset;
        let mut made_up = None;
        if !expression.is_every_hour() {
            // Went back: what the clock shows again has been.
            from = from.max(self.from + self.before);
            // Jumped forward: what was skipped comes as late as it would have without the jump.
            let skipped = find(
                (at + self.before).max(self.from + self.before),
                self.from + self.offset,
            );
            made_up = skipped.map(|found| found - self.before);
        }
        let plain = find(from, self.until + self.offset).map(|found| found - self.offset);
        match (plain, made_up) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
        .filter(|found| *found < self.until)
    }
}

/// What a clock that counts from 1970 shows after so many seconds.
fn civil(seconds: i64) -> Option<DateTime> {
    Some(
        Timestamp::from_second(seconds)
            .ok()?
            .to_zoned(TimeZone::UTC)
            .datetime(),
    )
}

fn seconds(at: &DateTime) -> i64 {
    let zoned = at.to_zoned(TimeZone::UTC);
    zoned.map_or(i64::MAX, |at| at.timestamp().as_second())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(text: &str) -> u64 {
        parse_time(text).unwrap()
    }

    fn runs(expr: &str, tz: &str, from: &str, n: usize) -> Vec<String> {
        let schedule = Schedule::Cron {
            expr: expr.into(),
            tz: Some(tz.into()),
        };
        let mut now = ms(from);
        (0..n)
            .map(|_| {
                now = next(&schedule, now).unwrap();
                iso(now).replace(":00.000Z", "Z")
            })
            .collect()
    }

    #[test]
    fn times_are_read_as_utc_unless_they_say_otherwise() {
        assert_eq!(ms("1795241063721"), 1_795_241_063_721);
        assert_eq!(iso(ms("2026-11-21")), "2026-11-21T00:00:00.000Z");
        assert_eq!(iso(ms(" 2026-11-21T06:04 ")), "2026-11-21T06:04:00.000Z");
        assert_eq!(
            iso(ms("2026-11-21T06:04:23.5+01:00")),
            "2026-11-21T05:04:23.500Z"
        );
        for bad in ["", "soon", "20m", "2026-13-01", "1969-01-01"] {
            assert_eq!(parse_time(bad), None, "{bad}");
        }
    }

    #[test]
    fn moments_in_the_past_and_far_ahead_are_refused_in_the_originals_words() {
        let now = ms("2026-11-21T05:14:14.883Z");
        let why = |at: &str| check_at(at, now).unwrap_err().to_string();
        assert_eq!(
            why("2020-01-01T00:00:00Z"),
            "schedule.at is in the past: 2020-01-01T00:00:00.000Z (3623354 minutes ago). \
             Current time: 2026-11-21T05:14:14.883Z"
        );
        assert!(why("2099-01-01").starts_with("schedule.at is too far in the future: 2099-01-01T"));
        assert_eq!(
            why("soon"),
            "Invalid schedule.at: expected ISO-8601 timestamp (got soon)"
        );
        assert!(check_at("2026-11-21T05:13:30Z", now).is_ok());
        let last = check_at(&u64::MAX.to_string(), now).unwrap_err();
        assert!(last.to_string().contains("too far in the future"), "{last}");
    }

    #[test]
    fn an_interval_keeps_its_phase() {
        assert_eq!(every(10, 100, 50), 100);
        assert_eq!(every(10, 100, 100), 110);
        assert_eq!(every(10, 100, 109), 110);
        assert_eq!(every(0, 0, 7), 8);
        assert_eq!(every(u64::MAX, 5, 7), u64::MAX);
    }

    #[test]
    fn cron_follows_its_zone() {
        assert_eq!(
            runs("0 7 * * *", "Asia/Tokyo", "2026-11-21T05:26:11Z", 2),
            ["2026-11-21T22:00Z", "2026-11-22T22:00Z"]
        );
        assert_eq!(
            runs("*/15 * * * *", "UTC", "2026-11-21T04:45:00.001Z", 1),
            ["2026-11-21T05:00Z"]
        );
        assert_eq!(
            runs("0 5 * * *", "UTC", "2026-11-21T05:00:00Z", 1),
            ["2026-11-22T05:00Z"]
        );
    }

    #[test]
    fn a_skipped_time_is_made_up_once() {
        let day = "2027-03-27T02:00:00Z";
        assert_eq!(
            runs("30 2 * * *", "Europe/Paris", day, 2),
            ["2027-03-28T01:30Z", "2027-03-29T00:30Z"]
        );
        // 02:15 is made up at 03:15, which it would be anyway.
        assert_eq!(
            runs("15 2,3 * * *", "Europe/Paris", "2027-03-27T20:00:00Z", 2),
            ["2027-03-28T01:15Z", "2027-03-29T00:15Z"]
        );
        assert_eq!(
            runs("30 2 * * *", "Europe/Paris", "2027-03-28T01:10:00Z", 1),
            ["2027-03-28T01:30Z"]
        );
        assert_eq!(
            runs("*/30 * * * *", "Europe/Paris", "2027-03-28T00:00:00Z", 4),
            [
                "2027-03-28T00:30Z",
                "2027-03-28T01:00Z",
                "2027-03-28T01:30Z",
                "2027-03-28T02:00Z"
            ]
        );
        assert_eq!(
            runs("0 0 * * *", "America/Sao_Paulo", "2018-11-03T12:00:00Z", 2),
            ["2018-11-04T03:00Z", "2018-11-05T02:00Z"]
        );
    }

    #[test]
    fn a_repeated_time_comes_once_and_a_repeated_hour_is_an_hour() {
        assert_eq!(
            runs("30 2 * * *", "Europe/Paris", "2026-10-24T01:00:00Z", 2),
            ["2026-10-25T00:30Z", "2026-10-26T01:30Z"]
        );
        assert_eq!(
            runs("30 2 * * *", "Europe/Paris", "2026-10-25T01:00:00Z", 1),
            ["2026-10-26T01:30Z"]
        );
        assert_eq!(
            runs("*/30 * * * *", "Europe/Paris", "2026-10-25T00:00:00Z", 5),
            [
                "2026-10-25T00:30Z",
                "2026-10-25T01:00Z",
                "2026-10-25T01:30Z",
                "2026-10-25T02:00Z",
                "2026-10-25T02:30Z",
            ]
        );
        assert_eq!(
            runs(
                "30 1 * * *",
                "Australia/Lord_Howe",
                "2026-04-04T00:00:00Z",
                2
            ),
            ["2026-04-04T14:30Z", "2026-04-05T15:00Z"]
        );
    }

    #[test]
    fn what_never_comes_is_none_and_found_out_quickly() {
        let never = |expr: &str| {
            let tz = Some("Europe/Paris".into());
            next(
                &Schedule::Cron {
                    expr: expr.into(),
                    tz,
                },
                ms("2026-11-21"),
            )
        };
        assert_eq!(never("0 0 30 2 *"), None);
        assert_eq!(never("0 0 0 1 1 * 2020"), None);
        assert_eq!(never("nonsense"), None);
        assert!(never("0 0 29 2 +MON").is_some());
        let zone = Schedule::Cron {
            expr: "* * * * *".into(),
            tz: Some("No/Where".into()),
        };
        assert_eq!(next(&zone, 0), None);
        assert_eq!(
            check(&zone).unwrap_err().to_string(),
            "\"No/Where\" is not a time zone"
        );
    }
}
