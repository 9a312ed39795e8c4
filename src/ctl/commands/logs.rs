//! The end of the gateway's log, and what follows.

use super::super::record::tsv;
use super::super::{Context, Done};
use crate::base::cmdline::{Command, Flag};
use crate::client::{DEFAULT_TIMEOUT, local};
use crate::wire::log::Record;
use serde_json::json;
use std::time::Duration;

pub const SPEC: Command = Command {
    name: "logs",
    summary: "Print the end of the gateway's log",
    about: "Fields: time, level, subsystem, message. With --json the records as they are stored.",
    flags: &[
        Flag::switch("follow", "Go on as lines are added").short('f'),
        Flag::number("interval", "ms", "How often --follow asks").default("1000"),
        Flag::number("limit", "n", "Lines at most").default("200"),
    ],
    ..Command::NEW
};

pub fn run(context: &mut Context) -> Done {
    let matches = &context.matches;
    let limit = matches
        .number::<u64>("limit")?
        .unwrap_or(200)
        .clamp(1, 5000);
    let interval = matches.number::<u64>("interval")?.unwrap_or(1000).max(50);
    let timeout = local::timeout(matches, DEFAULT_TIMEOUT)?;
    let follow = matches.has("follow");
    let caller = context.local.caller()?;
    let mut params = json!({"limit": limit, "maxBytes": 1_000_000});
    loop {
        let answer = caller.call("logs.tail", Some(&params), timeout)?;
        for line in answer["lines"].as_array().into_iter().flatten() {
            let raw = line.as_str().unwrap_or_default();
            let text = match (context.json(), Record::parse(raw)) {
                (true, Some(_)) => raw.to_string(),
                (true, None) => json!({"raw": raw}).to_string(),
                (false, None) => tsv(&[String::new(), String::new(), String::new(), raw.into()]),
                (false, Some(record)) => tsv(&[
                    record.time.unwrap_or_default(),
                    record.level.unwrap_or_default(),
                    record.subsystem.or(record.module).unwrap_or_default(),
                    record.message,
                ]),
            };
            context.line(&text)?;
        }
        if !follow {
            return Ok(());
        }
        context.flush()?;
        params["cursor"] = answer["cursor"].clone();
        std::thread::sleep(Duration::from_millis(interval));
    }
}
