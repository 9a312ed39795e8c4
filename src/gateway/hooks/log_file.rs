//! `command-logger`: each command of a person as a line of `<state>/logs/commands.log`.

use super::Event;
use crate::base::{atomic, jsonl, time};
use crate::config::Paths;
use serde_json::json;
use std::fs;

/// Bytes at which the file gives way to a new one; one old one is kept.
const FULL: u64 = 10 * 1024 * 1024;

pub fn write(paths: &Paths, event: &Event) -> Result<(), String> {
    let dir = paths.state.join("logs");
    let file = dir.join("commands.log");
    let line = json!({
        "timestamp": time::iso(event.at_ms),
        "action": event.action,
        "sessionKey": event.key,
        "senderId": event.sender.as_deref().unwrap_or("unknown"),
        "source": event.source,
    });
    let append = || {
        atomic::create_private_dir(&dir)?;
        if fs::metadata(&file).is_ok_and(|meta| meta.len() >= FULL) {
            fs::rename(&file, dir.join("commands.log.old"))?;
        }
        let mut open = jsonl::open_append(&file, |_| true)?;
        jsonl::append(&mut open, &jsonl::line(&line))
    };
    append().map_err(|err: std::io::Error| format!("{}: {err}", file.display()))
}
