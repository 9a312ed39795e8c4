//! Clock readings in the forms the wire and the files use. Wall time only; waiting uses `Instant`.

use jiff::{Timestamp, Zoned, tz::TimeZone};
use std::time::{SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970.
pub fn now_ms() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// `2026-11-21T05:42:27.705Z`, as JavaScript's `toISOString`.
pub fn iso(ms: u64) -> String {
    utc(ms).strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}

pub fn now_iso() -> String {
    iso(now_ms())
}

/// `ms` in the host's zone.
pub fn local(ms: u64) -> Zoned {
    timestamp(ms).to_zoned(TimeZone::system())
}

/// `ms` in the IANA zone `name`, or in the host's when there is none of that name.
pub fn in_zone(ms: u64, name: Option<&str>) -> Zoned {
    let zone = name.and_then(|name| TimeZone::get(name).ok());
    timestamp(ms).to_zoned(zone.unwrap_or_else(TimeZone::system))
}

fn utc(ms: u64) -> Zoned {
    timestamp(ms).to_zoned(TimeZone::UTC)
}

fn timestamp(ms: u64) -> Timestamp {
    i64::try_from(ms)
        .ok()
        .and_then(|ms| Timestamp::from_millisecond(ms).ok())
        .unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    #[test]
    fn iso_has_milliseconds_and_z() {
        assert_eq!(super::iso(1_795_239_747_705), "2026-11-21T05:42:27.705Z");
    }
}
