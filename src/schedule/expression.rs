//! Cron expressions: five fields, or six with seconds in front, or seven with the year behind.
//!
//! They take what the original's take: lists, ranges, steps on `*` and ranges, names of months and
//! days, `?` for `*`, `L` (last day; `5L` or `FRI#L`: last Friday), `15W` (weekday nearest to the
//! 15th), `5#2` (second Friday), `+MON` (the day of the month must fit as well; else either of the
//! two will do) and `@daily` and its like. Text comes from outside: it is bounded, and so is every
//! search.

use jiff::civil::{Date, DateTime, Time};
use std::fmt;

/// Bytes of an expression: a list of all minutes is 168 long.
const MAX_LEN: usize = 1_000;
/// Items in a field's list: all minutes.
const MAX_ITEMS: usize = 60;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expression {
    seconds: u64,
    minutes: u64,
    hours: u64,
    months: u64,
    days: Days,
    years: Option<Vec<Years>>,
    every_hour: bool,
}

/// The first, the last, and the step.
type Years = (u16, u16, u16);

/// Which days of a month; bit `n` stands for `n`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Days {
    /// Days of the month, and the days whose nearest weekday is meant.
    month: u64,
    nearest: u64,
    last: bool,
    last_weekday: bool,
    /// Weekdays, Sunday first; then only the first to fifth of the month, and only the last.
    week: u64,
    nth: [u64; 5],
    last_of: u64,
    any_month: bool,
    any_week: bool,
    /// Both must fit where both are given.
    both: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    expression: String,
    why: String,
}

/// A field's name, bounds and words.
struct Field {
    name: &'static str,
    min: u8,
    max: u8,
    /// The largest step.
    step: u8,
    words: &'static [&'static str],
}

const SECOND: Field = field("second", 0, 59, 60, &[]);
const MINUTE: Field = field("minute", 0, 59, 60, &[]);
const HOUR: Field = field("hour", 0, 23, 24, &[]);
const DAY: Field = field("day of month", 1, 31, 31, &[]);
const MONTH: Field = field(
    "month",
    1,
    12,
    12,
    &[
        "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
    ],
);
const WEEKDAY: Field = field(
    "day of week",
    0,
    7,
    7,
    &["sun", "mon", "tue", "wed", "thu", "fri", "sat"],
);
const LAST_YEAR: u16 = 9999;

const fn field(
    name: &'static str,
    min: u8,
    max: u8,
    step: u8,
    words: &'static [&'static str],
) -> Field {
    Field {
        name,
        min,
        max,
        step,
        words,
    }
}

impl Expression {
    pub fn parse(text: &str) -> Result<Expression, Error> {
        let fail = |why: String| Error {
            expression: crate::net::frame::cut(text, 100).into(),
            why,
        };
        if text.len() > MAX_LEN {
            return Err(fail(format!("it is longer than {MAX_LEN} bytes")));
        }
        read(text.trim()).map_err(fail)
    }

    /// Every hour fits: the expression counts time rather than naming hours.
    pub fn is_every_hour(&self) -> bool {
        self.every_hour
    }

    /// The first fitting time of a calendar and clock without a zone, from `from` on and before
    /// `until`.
    pub fn next(&self, from: DateTime, until: DateTime) -> Option<DateTime> {
        let mut date = from.date();
        let mut start = from.time();
        if start.subsec_nanosecond() > 0 {
            let next = from.checked_add(jiff::Span::new().seconds(1)).ok()?;
            (date, start) = (
                next.date(),
                next.time().with().subsec_nanosecond(0).build().ok()?,
            );
        }
        let mut month = None;
        while date <= until.date() {
            let this = (date.year(), date.month());
            let skip = if !self.has_year(date.year()) {
                Date::new(date.year().checked_add(1)?, 1, 1).ok()?
            } else if !has(self.months, date.month().unsigned_abs()) {
                date.last_of_month().tomorrow().ok()?
            } else {
                let days = match month {
                    Some((of, days)) if of == this => days,
                    _ => self.days.of(date),
                };
                month = Some((this, days));
                if has(days, date.day().unsigned_abs()) {
                    if let Some(time) = self.time(start) {
                        return Some(date.to_datetime(time)).filter(|found| *found < until);
                    }
                }
                date.tomorrow().ok()?
            };
            date = skip;
            start = Time::midnight();
        }
        None
    }

    fn has_year(&self, year: i16) -> bool {
        let year = year.unsigned_abs();
        self.years.as_ref().is_none_or(|ranges| {
            ranges
                .iter()
                .any(|(from, to, step)| (*from..=*to).contains(&year) && (year - from) % step == 0)
        })
    }

    /// The first fitting time of a day at or after `from`.
    fn time(&self, from: Time) -> Option<Time> {
        let [hour, minute, second] =
            [from.hour(), from.minute(), from.second()].map(i8::unsigned_abs);
        let first = |bits: u64| at_or_after(bits, 0);
        if has(self.hours, hour) {
            if has(self.minutes, minute) {
                if let Some(second) = at_or_after(self.seconds, second) {
                    return time(hour, minute, second);
                }
            }
            if let Some(minute) = at_or_after(self.minutes, minute + 1) {
                return time(hour, minute, first(self.seconds)?);
            }
        }
        let hour = at_or_after(self.hours, hour + 1)?;
        time(hour, first(self.minutes)?, first(self.seconds)?)
    }
}

fn time(hour: u8, minute: u8, second: u8) -> Option<Time> {
    let [hour, minute, second] = [hour, minute, second].map(|n| i8::try_from(n).ok());
    Time::new(hour?, minute?, second?, 0).ok()
}

fn has(bits: u64, n: u8) -> bool {
    n < 64 && bits & (1 << n) != 0
}

fn at_or_after(bits: u64, n: u8) -> Option<u8> {
    let left = if n < 64 { bits >> n << n } else { 0 };
    (left != 0).then(|| left.trailing_zeros() as u8)
}

impl Days {
    /// The fitting days of the month that `date` lies in, as bits.
    fn of(&self, date: Date) -> u64 {
        let length = date.days_in_month().unsigned_abs();
        let whole = (2u64 << length) - 2;
        let first = date.first_of_month().weekday().to_sunday_zero_offset();
        let weekday = |day: u8| (first.unsigned_abs() + day - 1) % 7;
        let month = if self.any_month {
            whole
        } else {
            let mut bits = self.month & whole;
            if self.last {
                bits |= 1 << length;
            }
            let near = |day: u8| 1 << nearest_weekday(day, length, weekday(day));
            for day in (1..=length).filter(|day| has(self.nearest, *day)) {
                bits |= near(day);
            }
            if self.last_weekday {
                bits |= near(length);
            }
            bits
        };
        let week = if self.any_week {
            whole
        } else {
            let fits = |day: u8| {
                let on = weekday(day);
                has(self.week, on)
                    || has(self.nth[usize::from((day - 1) / 7)], on)
                    || day + 7 > length && has(self.last_of, on)
            };
            (1..=length)
                .filter(|day| fits(*day))
                .fold(0, |bits, day| bits | 1 << day)
        };
        match self.any_month || self.any_week || self.both {
            true => month & week,
            false => month | week,
        }
    }
}

/// The day of Monday to Friday nearest to `day` in its own month.
fn nearest_weekday(day: u8, length: u8, weekday: u8) -> u8 {
    match weekday {
        6 if day > 1 => day - 1,
        6 => day + 2,
        0 if day < length => day + 1,
        0 => day - 2,
        _ => day,
    }
}

fn read(text: &str) -> Result<Expression, String> {
    let lower = text.to_ascii_lowercase();
    let text = match lower.as_str() {
        "@yearly" | "@annually" => "0 0 1 1 *",
        "@monthly" => "0 0 1 * *",
        "@weekly" => "0 0 * * 0",
        "@daily" | "@midnight" => "0 0 * * *",
        "@hourly" => "0 * * * *",
        other => other,
    };
    let parts: Vec<&str> = text.split_whitespace().collect();
    let (second, rest, year) = match parts.len() {
        5 => ("0", &parts[..], None),
        6 => (parts[0], &parts[1..], None),
        7 => (parts[0], &parts[1..6], Some(parts[6])),
        n => {
            return Err(format!(
                "it has {n} fields; five, six or seven are needed (minute hour day month weekday)"
            ));
        }
    };
    let every_hour = ["*", "?"].contains(&rest[1]);
    let mut days = Days::default();
    month_days(rest[2], &mut days)?;
    week_days(rest[4], &mut days)?;
    Ok(Expression {
        seconds: SECOND.bits(second)?,
        minutes: MINUTE.bits(rest[0])?,
        hours: HOUR.bits(rest[1])?,
        months: MONTH.bits(rest[3])?,
        days,
        years: year.map(years).transpose()?.flatten(),
        every_hour,
    })
}

fn month_days(text: &str, days: &mut Days) -> Result<(), String> {
    days.any_month = is_any(text);
    for item in DAY.items(text)? {
        if item == "lw" {
            days.last_weekday = true;
        } else if item == "l" {
            days.last = true;
        } else if let Some(day) = item.strip_suffix('w') {
            days.nearest |= 1 << DAY.number(day)?;
        } else {
            days.month |= DAY.item(item)?;
        }
    }
    Ok(())
}

fn week_days(text: &str, days: &mut Days) -> Result<(), String> {
    let text = match text.strip_prefix('+') {
        Some(rest) => {
            days.both = true;
            rest
        }
        None => text,
    };
    days.any_week = is_any(text);
    for item in WEEKDAY.items(text)? {
        let (item, which) = match item.split_once('#') {
            Some((item, which)) => (item, Some(which)),
            // `5l` is the last Friday, as `5#l`.
            None => match item.strip_suffix('l').filter(|day| !day.is_empty()) {
                Some(day) => (day, Some("l")),
                None => (item, None),
            },
        };
        if which.is_some() && item.starts_with(['*', '?']) {
            return Err(format!("{} {item:?} cannot be counted", WEEKDAY.name));
        }
        let bits = WEEKDAY.item(item)?;
        let bits = (bits | bits >> 7) & 0x7f;
        match which {
            None => days.week |= bits,
            Some("l") => days.last_of |= bits,
            Some(which) => {
                let n = which.parse::<usize>().ok().filter(|n| (1..=5).contains(n));
                let n = n.ok_or_else(|| format!("#{which} is not #1 to #5 or #L"))?;
                days.nth[n - 1] |= bits;
            }
        }
    }
    Ok(())
}

fn is_any(text: &str) -> bool {
    ["*", "?"].contains(&text)
}

/// `None` when any year fits.
fn years(text: &str) -> Result<Option<Vec<Years>>, String> {
    if is_any(text) {
        return Ok(None);
    }
    let bad = || format!("year {text:?} is not a list of years 1 to {LAST_YEAR}");
    let year = |text: &str| match digits(text)?.parse::<u16>() {
        Ok(year) if (1..=LAST_YEAR).contains(&year) => Some(year),
        _ => None,
    };
    let item = |item: &str| {
        let (range, step) = match item.split_once('/') {
            Some((range, step)) if range.contains('-') => (range, year(step)?),
            Some(_) => return None,
            None => (item, 1),
        };
        let (from, to) = range.split_once('-').unwrap_or((range, range));
        Some((year(from)?, year(to)?, step)).filter(|(from, to, _)| from <= to)
    };
    let list: Option<Vec<_>> = text.split(',').take(MAX_ITEMS + 1).map(item).collect();
    list.filter(|list| list.len() <= MAX_ITEMS)
        .map(Some)
        .ok_or_else(bad)
}

/// Plain digits, a few.
fn digits(text: &str) -> Option<&str> {
    let plain = text.bytes().all(|b| b.is_ascii_digit());
    (plain && (1..=4).contains(&text.len())).then_some(text)
}

impl Field {
    fn items<'t>(&self, text: &'t str) -> Result<std::str::Split<'t, char>, String> {
        if text.split(',').count() > MAX_ITEMS {
            return Err(format!("{} has more than {MAX_ITEMS} items", self.name));
        }
        Ok(text.split(','))
    }

    fn bits(&self, text: &str) -> Result<u64, String> {
        let mut bits = 0;
        for item in self.items(text)? {
            bits |= self.item(item)?;
        }
        Ok(bits)
    }

    /// `*`, `5`, `1-5`, `*/15`, `1-5/2`.
    fn item(&self, item: &str) -> Result<u64, String> {
        let (range, step) = match item.split_once('/') {
            Some((range, step)) => (range, Some(step)),
            None => (item, None),
        };
        let (from, to) = match range.split_once('-') {
            _ if is_any(range) => (self.min, self.max - u8::from(self.max == 7)),
            Some((from, to)) => (self.number(from)?, self.number(to)?),
            None if step.is_some() => {
                return Err(format!(
                    "{} {item:?}: a step needs * or a range before it",
                    self.name
                ));
            }
            None => (self.number(range)?, self.number(range)?),
        };
        if from > to {
            return Err(format!("{} {range:?} runs backwards", self.name));
        }
        let step = match step {
            None => 1,
            Some(text) => {
                let step = digits(text).and_then(|t| t.parse::<u8>().ok());
                step.filter(|step| (1..=self.step).contains(step))
                    .ok_or_else(|| {
                        format!("{} step {text:?} is not 1 to {}", self.name, self.step)
                    })?
            }
        };
        let numbers = (from..=to).step_by(usize::from(step));
        Ok(numbers.fold(0, |bits, n| bits | 1 << n))
    }

    fn number(&self, text: &str) -> Result<u8, String> {
        if let Some(at) = self.words.iter().position(|word| *word == text) {
            return Ok(self.min + at as u8);
        }
        let number = digits(text).and_then(|t| t.parse::<u8>().ok());
        number
            .filter(|n| (self.min..=self.max).contains(n))
            .ok_or_else(|| {
                let (name, min, max) = (self.name, self.min, self.max);
                format!("{name} {text:?} is not {min} to {max}")
            })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cron expression {:?}: {}", self.expression, self.why)
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::datetime;

    fn dates(expression: &str, count: usize) -> Vec<String> {
        let parsed = Expression::parse(expression).unwrap();
        let until = datetime(2130, 1, 1, 0, 0, 0, 0);
        let mut from = datetime(2026, 11, 21, 4, 50, 1, 0);
        let mut out = Vec::new();
        while out.len() < count {
            let Some(next) = parsed.next(from, until) else {
                break;
            };
            out.push(next.strftime("%F %T").to_string());
            from = next.checked_add(jiff::Span::new().seconds(1)).unwrap();
        }
        out
    }

    #[test]
    fn fields_take_lists_ranges_steps_and_names() {
        assert_eq!(
            dates("0 9 * * MON-FRI/2", 3),
            [
                "2026-11-23 09:00:00",
                "2026-11-25 09:00:00",
                "2026-11-27 09:00:00"
            ]
        );
        assert_eq!(
            dates("1-3,7-9/2 5 * jan,JUN *", 5),
            [
                "2027-01-01 05:01:00",
                "2027-01-01 05:02:00",
                "2027-01-01 05:03:00",
                "2027-01-01 05:07:00",
                "2027-01-01 05:09:00"
            ]
        );
        assert_eq!(
            dates("*/10 * * * * *", 2),
            ["2026-11-21 04:50:10", "2026-11-21 04:50:20"]
        );
        assert_eq!(dates("@weekly", 1), ["2026-11-22 00:00:00"]);
        assert_eq!(
            dates("0 0 * * 6-7", 2),
            ["2026-11-22 00:00:00", "2026-11-28 00:00:00"]
        );
        assert_eq!(dates("  07\t08 ? * ?", 1), ["2026-11-21 08:07:00"]);
    }

    #[test]
    fn days_of_month_and_week_are_alternatives_unless_joined() {
        let day = |text: &str, n: usize| {
            let list = dates(text, n);
            list.into_iter()
                .map(|d| d[..10].to_string())
                .collect::<Vec<_>>()
        };
        assert_eq!(day("0 0 13 * FRI", 2), ["2026-11-27", "2026-12-04"]);
        assert_eq!(day("0 0 13 * +FRI", 2), ["2027-08-13", "2028-10-13"]);
        assert_eq!(day("0 0 ? * MON", 2), ["2026-11-23", "2026-11-30"]);
        assert_eq!(day("0 0 L * *", 2), ["2026-11-30", "2026-12-31"]);
        assert_eq!(
            day("0 0 LW * *", 3),
            ["2026-11-30", "2026-12-31", "2027-01-29"]
        );
        assert_eq!(day("0 0 15W * +1", 1), ["2027-02-15"]);
        assert_eq!(day("0 0 31W * *", 2), ["2026-12-31", "2027-01-29"]);
        assert_eq!(day("0 0 1W 5 *", 1), ["2027-05-03"]);
        assert_eq!(day("0 0 * * 5L", 2), ["2026-11-27", "2026-12-25"]);
        assert_eq!(day("0 0 * * MON#1,FRI#3", 2), ["2026-12-07", "2026-12-18"]);
        assert_eq!(day("0 0 29 2 *", 2), ["2028-02-29", "2032-02-29"]);
        assert_eq!(
            day("0 0 12 1 1 * 2030-2040/5", 2),
            ["2030-01-01", "2035-01-01"]
        );
        assert!(day("0 0 30 2 *", 1).is_empty());
    }

    #[test]
    fn what_the_original_refuses_is_refused() {
        for text in [
            "",
            "* * * *",
            "* * * * * * * *",
            "60 * * * *",
            "* 24 * * *",
            "* * 0 * *",
            "* * 32 * *",
            "* * * 13 *",
            "* * * * 8",
            "*/0 * * * *",
            "*/61 * * * *",
            "5-1 * * * *",
            "5/15 * * * *",
            "1-5-7 * * * *",
            "1,,2 * * * *",
            "1, * * * *",
            "a * * * *",
            "-1 * * * *",
            "1.5 * * * *",
            "* * * * MONDAY",
            "*/5/2 * * * *",
            "0 0 W * *",
            "0 0 1-5W * *",
            "0 0 * * L",
            "0 0 * * 5#6",
            "0 0 * * *#2",
            "0 0 * * #2",
            "L * * * *",
            "0 0 1 * 2,+3",
            "0 0 L-3 * *",
            "0 0 * * 7-2",
            "@reboot",
            "1e1 * * * *",
            "+5 * * * *",
            "0 0 0 1 1 * 0",
            "* * * * \u{ff11}",
        ] {
            assert!(Expression::parse(text).is_err(), "{text:?}");
        }
        let long = "1,".repeat(600) + "1 * * * *";
        assert!(Expression::parse(&long).is_err());
        let error = Expression::parse("61 * * * *").unwrap_err().to_string();
        assert_eq!(
            error,
            "cron expression \"61 * * * *\": minute \"61\" is not 0 to 59"
        );
    }
}
