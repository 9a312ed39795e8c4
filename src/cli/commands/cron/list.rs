//! The jobs as lines with the original's columns.

use super::super::super::Context;
use super::super::super::failure::Failure;
use crate::base::time::now_ms;
use crate::schedule::next::parse_time;
use serde_json::Value;

const WIDTHS: [usize; 8] = [36, 24, 32, 10, 10, 9, 9, 10];
const TITLES: [&str; 8] = [
    "ID", "Name", "Schedule", "Next", "Last", "Status", "Target", "Agent",
];

pub fn print(context: &mut Context, answer: &Value) -> Result<(), Failure> {
    let jobs = answer["jobs"].as_array().map_or(&[][..], Vec::as_slice);
    if jobs.is_empty() {
        return Ok(context.out.line("No cron jobs.")?);
    }
    context.out.line(row(TITLES.map(str::to_string)))?;
    let now = now_ms();
    for job in jobs {
        context.out.line(row(cells(job, now)).trim_end())?;
    }
    Ok(())
}

fn row(cells: [String; 8]) -> String {
    let cells = cells.iter().zip(WIDTHS);
    let cells: Vec<String> = cells
        .map(|(text, width)| format!("{:<width$}", cut(text, width)))
        .collect();
    cells.join(" ")
}

fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.into();
    }
    let kept: String = text.chars().take(width - 3).collect();
    format!("{kept}...")
}

fn cells(job: &Value, now: u64) -> [String; 8] {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_string();
    let state = &job["state"];
    let status = if job["enabled"] == false {
        "disabled"
    } else if state["runningAtMs"].is_u64() {
        "running"
    } else {
        state["lastStatus"].as_str().unwrap_or("idle")
    };
    let next = state["nextRunAtMs"]
        .as_u64()
        .filter(|_| job["enabled"] != false);
    [
        text(&job["id"]),
        text(&job["name"]),
        schedule(&job["schedule"]),
        relative(next, now),
        relative(state["lastRunAtMs"].as_u64(), now),
        status.into(),
        text(&job["sessionTarget"]),
        job["agentId"].as_str().unwrap_or("default").into(),
    ]
}

fn schedule(schedule: &Value) -> String {
    let text = |name: &str| schedule[name].as_str().unwrap_or_default();
    match schedule["kind"].as_str() {
        Some("at") => match parse_time(text("at")) {
            Some(ms) => {
                let iso = crate::base::time::iso(ms);
                format!("at {} {}Z", &iso[..10], &iso[11..16])
            }
            None => "at ?".into(),
        },
        Some("every") => format!("every {}", span(schedule["everyMs"].as_u64().unwrap_or(0))),
        _ => match text("tz") {
            "" => format!("cron {}", text("expr")),
            zone => format!("cron {} @ {zone}", text("expr")),
        },
    }
}

/// In the largest unit that fits, rounded.
fn span(ms: u64) -> String {
    let (unit, name) = match ms {
        0..1_000 => return format!("{ms}ms"),
        1_000..60_000 => (1_000, "s"),
        60_000..3_600_000 => (60_000, "m"),
        3_600_000..86_400_000 => (3_600_000, "h"),
        _ => (86_400_000, "d"),
    };
    format!("{}{name}", (ms + unit / 2) / unit)
}

fn relative(at: Option<u64>, now: u64) -> String {
    let Some(at) = at else { return "-".into() };
    let span = match at.abs_diff(now) {
        0..60_000 => "<1m".to_string(),
        more => span(more),
    };
    match at >= now {
        true => format!("in {span}"),
        false => format!("{span} ago"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn rows_are_the_originals() {
        let head = row(TITLES.map(str::to_string));
        assert_eq!(
            head,
            "ID                                   Name                     Schedule                         Next       Last       Status    Target    Agent     "
        );
        let now = 1_795_239_863_000;
        let once = json!({"id": "34028060-2c11-41a1-af53-bd654a96df02", "name": "Once",
            "enabled": true, "schedule": {"kind": "at", "at": "2026-11-21T06:04:23.721Z"},
            "sessionTarget": "main", "state": {"nextRunAtMs": 1_795_241_063_721u64}});
        assert_eq!(
            row(cells(&once, now)).trim_end(),
            "34028060-2c11-41a1-af53-bd654a96df02 Once                     at 2026-11-21 06:04Z             in 20m     -          idle      main      default"
        );
        let morning = json!({"schedule": {"kind": "cron", "expr": "0 7 * * *", "tz": "Asia/Tokyo"},
            "enabled": false, "state": {"nextRunAtMs": 1, "lastRunAtMs": now - 30_000}});
        let cells = cells(&morning, now);
        assert_eq!(cells[2], "cron 0 7 * * * @ Asia/Tokyo");
        assert_eq!((cells[3].as_str(), cells[4].as_str()), ("-", "<1m ago"));
        assert_eq!(cells[5], "disabled");
        assert_eq!(
            (span(600_000), span(5_400_000)),
            ("10m".into(), "2h".into())
        );
        assert_eq!(cut("abcdefghij", 8), "abcde...");
    }
}
