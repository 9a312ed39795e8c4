//! A job as its flags describe it.

use super::super::super::failure::Failure;
use crate::base::cmdline::{Flag, Matches};
use crate::base::time::{iso, now_ms};
use crate::config::agents::agent_id;
use crate::schedule::next::parse_time;
use serde_json::{Map, Value, json};

const AT: Flag = Flag::value(
    "at",
    "when",
    "Once: an ISO time (UTC without a zone) or 20m from now",
);
const EVERY: Flag = Flag::value("every", "duration", "Again and again: 10m, 1h, 1d");
const CRON: Flag = Flag::value("cron", "expr", "A cron expression of 5 or 6 fields");
const TZ: Flag = Flag::value("tz", "zone", "Time zone of --cron, such as Europe/Berlin");
const EVENT: Flag = Flag::value("system-event", "text", "A note for the main session");
const MESSAGE: Flag = Flag::value("message", "text", "What a turn of its own is told");
const THINKING: Flag = Flag::value("thinking", "level", "How much the turn thinks");
const MODEL: Flag = Flag::value("model", "model", "Model of the turn");
const SECONDS: Flag = Flag::number("timeout-seconds", "n", "Longest time for the turn");
const ANNOUNCE: Flag = Flag::switch("announce", "Send the answer to a channel");
const DELIVER: Flag = Flag::switch("deliver", "Older name of --announce").negatable();
const CHANNEL: Flag = Flag::value(
    "channel",
    "name",
    "Channel for the answer; last: where people were heard last",
);
const TO: Flag = Flag::value("to", "dest", "Whom the answer is for");
const ONCE: Flag = Flag::switch("delete-after-run", "Remove it when it has run");
const KEEP: Flag = Flag::switch("keep-after-run", "Keep it when it has run");
const AGENT: Flag = Flag::value("agent", "id", "Whose job it is");
const SESSION: Flag = Flag::value("session", "target", "main or isolated");
const WAKE: Flag = Flag::value("wake", "mode", "now or next-heartbeat");
const DESCRIPTION: Flag = Flag::value("description", "text", "What it is for");
const NAME: Flag = Flag::value("name", "name", "What it is called");

pub const ADD: &[Flag] = &[
    AGENT,
    ANNOUNCE,
    AT,
    Flag::switch(
        "best-effort-deliver",
        "An answer that cannot be sent is no failure",
    ),
    CHANNEL.default("last"),
    CRON,
    ONCE,
    DELIVER,
    DESCRIPTION,
    Flag::switch("disabled", "Let it rest for now"),
    EVERY,
    KEEP,
    MESSAGE,
    MODEL,
    NAME,
    SESSION,
    EVENT,
    THINKING,
    SECONDS,
    TO,
    TZ,
    WAKE.default("next-heartbeat"),
];

pub const EDIT: &[Flag] = &[
    AGENT,
    ANNOUNCE,
    AT,
    Flag::switch(
        "best-effort-deliver",
        "An answer that cannot be sent is no failure",
    )
    .negatable(),
    CHANNEL,
    Flag::switch("clear-agent", "Give it to the default agent"),
    CRON,
    ONCE,
    DELIVER,
    DESCRIPTION,
    Flag::switch("disable", "Let it rest"),
    Flag::switch("enable", "Let it run again"),
    EVERY,
    KEEP,
    MESSAGE,
    MODEL,
    NAME,
    SESSION,
    EVENT,
    THINKING,
    SECONDS,
    TO,
    TZ,
    WAKE,
];

fn no(text: &str) -> Failure {
    Failure::said(format!("Error: {text}"))
}

/// A text that is not blank.
fn text<'a>(matches: &'a Matches, name: &str) -> Option<&'a str> {
    let text = matches.text(name)?.trim();
    (!text.is_empty()).then_some(text)
}

/// Params of `cron.add`.
pub fn job(matches: &Matches) -> Result<Value, Failure> {
    let Some(name) = text(matches, "name") else {
        let text = "error: required option '--name <name>' not specified";
        return Err(Failure::said(text));
    };
    let schedule = schedule(matches)?
        .ok_or_else(|| no("Choose exactly one schedule: --at, --every, or --cron"))?;
    let wake = wake(matches)?.unwrap_or("next-heartbeat");
    let payload = match (text(matches, "system-event"), text(matches, "message")) {
        (Some(event), None) => json!({"kind": "systemEvent", "text": event}),
        (None, Some(message)) => {
            let mut payload = json!({"kind": "agentTurn", "message": message});
            turn(matches, &mut payload)?;
            payload
        }
        _ => {
            return Err(no(
                "Choose exactly one payload: --system-event or --message",
            ));
        }
    };
    let isolated = payload["kind"] == "agentTurn";
    let inferred = if isolated { "isolated" } else { "main" };
    let target = session(matches)?.unwrap_or(inferred);
    match (target, isolated) {
        ("main", true) => return Err(no("Main jobs require --system-event (systemEvent).")),
        ("isolated", false) => {
            return Err(no("Isolated jobs require --message (agentTurn)."));
        }
        _ => {}
    }
    let announced = announced(matches)?;
    if announced.is_some() && !isolated {
        return Err(no("--announce/--no-deliver require --session isolated."));
    }
    let mut job = json!({
        "name": name,
        "enabled": !matches.has("disabled"),
        "schedule": schedule,
        "sessionTarget": target,
        "wakeMode": wake,
        "payload": payload,
    });
    if let Some(once) = once(matches)? {
        job["deleteAfterRun"] = once.into();
    }
    if let Some(agent) = text(matches, "agent") {
        job["agentId"] = agent_id(agent).into();
    }
    if let Some(description) = text(matches, "description") {
        job["description"] = description.into();
    }
    if isolated {
        let mode = if announced == Some(false) {
            "none"
        } else {
            "announce"
        };
        let mut delivery = json!({"mode": mode,
            "channel": text(matches, "channel").unwrap_or("last")});
        if let Some(to) = text(matches, "to") {
            delivery["to"] = to.into();
        }
        if matches.has("best-effort-deliver") {
            delivery["bestEffort"] = true.into();
        }
        job["delivery"] = delivery;
    }
    Ok(job)
}

/// The patch of `cron.update`.
pub fn patch(matches: &Matches) -> Result<Value, Failure> {
    let mut patch = Map::new();
    for name in ["name", "description"] {
        if let Some(text) = matches.text(name) {
            patch.insert(name.into(), text.into());
        }
    }
    match (matches.has("enable"), matches.has("disable")) {
        (true, true) => return Err(no("Choose --enable or --disable, not both")),
        (false, false) => {}
        (enable, _) => drop(patch.insert("enabled".into(), enable.into())),
    }
    if let Some(once) = once(matches)? {
        patch.insert("deleteAfterRun".into(), once.into());
    }
    match (text(matches, "agent"), matches.has("clear-agent")) {
        (Some(_), true) => return Err(no("Use --agent or --clear-agent, not both")),
        (Some(agent), false) => drop(patch.insert("agentId".into(), agent_id(agent).into())),
        (None, true) => drop(patch.insert("agentId".into(), Value::Null)),
        (None, false) => {}
    }
    let target = session(matches)?;
    if let Some(target) = target {
        patch.insert("sessionTarget".into(), target.into());
    }
    if let Some(wake) = wake(matches)? {
        patch.insert("wakeMode".into(), wake.into());
    }
    if let Some(schedule) = schedule(matches)? {
        patch.insert("schedule".into(), schedule);
    }
    let mut payload = json!({"kind": "agentTurn"});
    turn(matches, &mut payload)?;
    if let Some(message) = text(matches, "message") {
        payload["message"] = message.into();
    }
    let turns = payload.as_object().is_some_and(|payload| payload.len() > 1);
    match (text(matches, "system-event"), turns) {
        (Some(_), true) => {
            return Err(no("Choose at most one payload change"));
        }
        (Some(event), false) => {
            if target == Some("isolated") {
                return Err(no("Isolated jobs require --message (agentTurn)."));
            }
            payload = json!({"kind": "systemEvent", "text": event});
            patch.insert("payload".into(), payload);
        }
        (None, true) => {
            if target == Some("main") {
                return Err(no("Main jobs require --system-event (systemEvent)."));
            }
            patch.insert("payload".into(), payload);
        }
        (None, false) => {}
    }
    let mut delivery = Map::new();
    if let Some(announced) = announced(matches)? {
        let mode = if announced { "announce" } else { "none" };
        delivery.insert("mode".into(), mode.into());
    }
    for name in ["channel", "to"] {
        if let Some(text) = text(matches, name) {
            delivery.insert(name.into(), text.into());
        }
    }
    if let Some(best) = matches.switch("best-effort-deliver") {
        delivery.insert("bestEffort".into(), best.into());
    }
    if !delivery.is_empty() {
        patch.insert("delivery".into(), delivery.into());
    }
    Ok(patch.into())
}

fn session(matches: &Matches) -> Result<Option<&str>, Failure> {
    match text(matches, "session") {
        None => Ok(None),
        Some(target @ ("main" | "isolated")) => Ok(Some(target)),
        Some(_) => Err(no("--session must be main or isolated")),
    }
}

fn wake(matches: &Matches) -> Result<Option<&str>, Failure> {
    match text(matches, "wake") {
        None => Ok(None),
        Some(mode @ ("now" | "next-heartbeat")) => Ok(Some(mode)),
        Some(_) => Err(no("--wake must be now or next-heartbeat")),
    }
}

/// Whether it goes away when it has run.
fn once(matches: &Matches) -> Result<Option<bool>, Failure> {
    match (
        matches.has("delete-after-run"),
        matches.has("keep-after-run"),
    ) {
        (true, true) => Err(no(
            "Choose --delete-after-run or --keep-after-run, not both",
        )),
        (false, false) => Ok(None),
        (delete, _) => Ok(Some(delete)),
    }
}

fn announced(matches: &Matches) -> Result<Option<bool>, Failure> {
    match (matches.has("announce"), matches.switch("deliver")) {
        (true, Some(false)) => Err(no("Choose --announce or --no-deliver, not both")),
        (true, _) => Ok(Some(true)),
        (false, deliver) => Ok(deliver),
    }
}

fn turn(matches: &Matches, payload: &mut Value) -> Result<(), Failure> {
    for name in ["model", "thinking"] {
        if let Some(text) = text(matches, name) {
            payload[name] = text.into();
        }
    }
    if let Some(seconds) = matches.number::<u64>("timeout-seconds")? {
        payload["timeoutSeconds"] = seconds.into();
    }
    Ok(())
}

/// The one schedule that is named, if any is.
fn schedule(matches: &Matches) -> Result<Option<Value>, Failure> {
    let [at, every, cron] = ["at", "every", "cron"].map(|name| text(matches, name));
    let zone = text(matches, "tz");
    Ok(match (at, every, cron) {
        (None, None, None) => None,
        (Some(at), None, None) => {
            let when = milliseconds(at).map(|ms| now_ms().saturating_add(ms));
            let when = when.or_else(|| parse_time(at));
            let when = when.ok_or_else(|| no("Invalid --at; use ISO time or duration like 20m"))?;
            Some(json!({"kind": "at", "at": iso(when)}))
        }
        (None, Some(every), None) => {
            let ms = milliseconds(every).filter(|ms| *ms > 0);
            let ms = ms.ok_or_else(|| no("Invalid --every; use e.g. 10m, 1h, 1d"))?;
            Some(json!({"kind": "every", "everyMs": ms}))
        }
        (None, None, Some(expr)) => {
            let mut schedule = json!({"kind": "cron", "expr": expr});
            if let Some(zone) = zone {
                schedule["tz"] = zone.into();
            }
            Some(schedule)
        }
        _ => return Err(no("Choose exactly one schedule: --at, --every, or --cron")),
    })
}

/// `90s`, `10m`, `1.5h`, `1d`.
fn milliseconds(text: &str) -> Option<u64> {
    let text = text.to_ascii_lowercase();
    let at = text.find(|c: char| c.is_ascii_alphabetic())?;
    let (number, unit) = text.split_at(at);
    let unit = match unit {
        "ms" => 1.0,
        "s" => 1e3,
        "m" => 60e3,
        "h" => 3_600e3,
        "d" => 86_400e3,
        _ => return None,
    };
    let plain = number.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let number: f64 = number.parse().ok().filter(|_| plain)?;
    // Beyond a thousand years the scheduler has no time for it.
    Some((number * unit).floor() as u64).filter(|ms| *ms < 1_000 * 366 * 86_400_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_a_number_and_a_unit() {
        for (text, ms) in [("10m", 600_000), ("1.5h", 5_400_000), ("1D", 86_400_000)] {
            assert_eq!(milliseconds(text), Some(ms));
        }
        for text in [
            "soon",
            "10",
            "m",
            "1w",
            "2026-11-21T06:04Z",
            "-1m",
            "99999999d",
        ] {
            assert_eq!(milliseconds(text), None, "{text}");
        }
    }
}
