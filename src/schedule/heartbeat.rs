//! Whether a heartbeat is worth a model call: the hours it keeps and the list it reads.

use crate::base::time;
use serde_json::Value;

/// Minutes of a day.
const DAY: u32 = 24 * 60;

/// Whether `now_ms` lies within `activeHours` (`{start, end, timezone}`): start inclusive, end
/// exclusive, over midnight when the end comes first. Hours that say nothing, or the same twice,
/// are always.
pub fn is_active(hours: Option<&Value>, user_zone: Option<&str>, now_ms: u64) -> bool {
    let Some(hours) = hours else {
        return true;
    };
    let at = |key: &str| hours[key].as_str().and_then(minutes);
    let (Some(start), Some(end)) = (at("start"), at("end")) else {
        return true;
    };
    let zone = match hours["timezone"].as_str().map(str::trim) {
        None | Some("" | "user") => user_zone,
        Some("local") => None,
        Some(name) if jiff::tz::TimeZone::get(name).is_ok() => Some(name),
        Some(_) => user_zone,
    };
    let now = time::in_zone(now_ms, zone);
    let now = u32::from(now.hour().unsigned_abs()) * 60 + u32::from(now.minute().unsigned_abs());
    if start == end {
        true
    } else if start < end {
        (start..end).contains(&now)
    } else {
        now >= start || now < end
    }
}

/// `08:30` in minutes; `24:00` is the end of the day.
fn minutes(text: &str) -> Option<u32> {
    let (hours, minutes) = text.trim().split_once(':')?;
    let (hours, minutes): (u32, u32) = (hours.parse().ok()?, minutes.parse().ok()?);
    if hours > 24 || minutes > 59 {
        return None;
    }
    Some(hours * 60 + minutes).filter(|total| *total <= DAY)
}

/// HEARTBEAT.md that gives the agent nothing to do: blank lines, headings, empty list items.
pub fn is_empty(text: &str) -> bool {
    text.lines().map(str::trim).all(|line| {
        let heading = line.trim_start_matches('#');
        let is_heading = heading.len() < line.len() && !heading.starts_with(|c: char| c > ' ');
        line.is_empty() || is_heading || is_empty_item(line)
    })
}

/// `-`, `* [ ]`, `+ [x]` and nothing after.
fn is_empty_item(line: &str) -> bool {
    let Some(rest) = line.strip_prefix(['-', '*', '+']) else {
        return false;
    };
    let rest = rest.trim();
    let inner = rest.strip_prefix('[').and_then(|r| r.strip_suffix(']'));
    rest.is_empty() || inner.is_some_and(|mark| ["", " ", "x", "X"].contains(&mark))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// 2026-11-21 04:50 UTC.
    const NOW: u64 = 1_795_236_600_000;

    #[test]
    fn hours_have_an_inclusive_start_and_may_go_over_midnight() {
        let active = |start: &str, end: &str| {
            let hours = json!({"start": start, "end": end, "timezone": "UTC"});
            is_active(Some(&hours), None, NOW)
        };
        assert!(active("04:50", "04:51") && active("00:00", "24:00"));
        assert!(!active("04:00", "04:50") && !active("08:00", "22:00"));
        assert!(active("22:00", "08:00") && !active("22:00", "04:50"));
        assert!(active("07:00", "07:00") && active("noon", "13:00"));
        assert!(is_active(None, None, NOW));
    }

    #[test]
    fn hours_are_of_the_user_unless_they_name_a_zone() {
        // 13:50 in Tokyo.
        let hours = |zone: Value| json!({"start":"13:00","end":"14:00","timezone":zone});
        let active = |zone: Value| is_active(Some(&hours(zone)), Some("Asia/Tokyo"), NOW);
        assert!(active(json!(null)) && active(json!("user")) && active(json!("No/Where")));
        assert!(active(json!("Asia/Tokyo")) && !active(json!("UTC")));
    }

    #[test]
    fn a_list_without_tasks_is_empty() {
        for empty in ["", "# Tasks\n\n## More\n#\n", "- \n* [ ]\n+ [x]\n-"] {
            assert!(is_empty(empty), "{empty:?}");
        }
        for full in ["#hashtag", "- [ ] water the plants", "look outside", "-5"] {
            assert!(!is_empty(full), "{full:?}");
        }
        assert!(is_empty(include_str!("../agent/templates/HEARTBEAT.md")));
    }
}
