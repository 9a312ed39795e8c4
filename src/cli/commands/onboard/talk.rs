//! A conversation at a terminal: plain lines that also go over a serial line. Questions come from
//! the wizard's own table, so that a client of the gateway is asked the same.

use super::super::super::ask::Ask;
use super::super::super::failure::Failure;
use crate::base::atomic;
use crate::config::Paths;
use crate::gateway::wizard::flow::{Flow, Next};
use crate::wire::gateway::wizard::Step;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

/// Options that are shown at once; the rest can be typed.
const SHOWN: usize = 24;
/// A longer file is none of ours.
const MAX_MEMORY: u64 = 64 * 1024;

/// Goes through it to the end. `after` is told of every answer.
pub fn go(ask: &mut Ask, flow: &mut Flow, after: &mut dyn FnMut(&Flow)) -> Result<(), Failure> {
    loop {
        match flow.go_on() {
            Next::Save => return Ok(()),
            Next::Cancelled => return Err(Failure::Cancelled),
            Next::Failed(why) => return Err(Failure::said(format!("Error: {why}"))),
            Next::Ask(step) => {
                let answer = put(ask, &step)?;
                match flow.answer(&answer) {
                    Ok(()) => after(flow),
                    Err(why) => eprintln!("  {why}"),
                }
            }
        }
    }
}

fn put(ask: &mut Ask, step: &Step) -> Result<Value, Failure> {
    let message = step.message.as_deref().unwrap_or_default();
    let initial = step.initial_value.as_ref();
    match step.kind {
        "note" => {
            note(step.title.as_deref().unwrap_or_default(), message);
            Ok(Value::Null)
        }
        "confirm" => {
            let default = initial.and_then(Value::as_bool).unwrap_or(false);
            Ok(ask.confirm(message, default)?.into())
        }
        "select" => select(ask, step, message),
        _ if step.sensitive == Some(true) => Ok(ask.hidden(message)?.into()),
        _ => {
            let initial = initial.map(|value| match value {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            });
            Ok(ask.text(message, initial.as_deref())?.into())
        }
    }
}

fn select(ask: &mut Ask, step: &Step, message: &str) -> Result<Value, Failure> {
    let labels: Vec<String> = step
        .options
        .iter()
        .map(|option| match &option.hint {
            Some(hint) => format!("{} ({hint})", option.label),
            None => option.label.clone(),
        })
        .collect();
    let names: Vec<&str> = labels.iter().map(String::as_str).collect();
    let initial = step.initial_value.as_ref();
    let default = step.options.iter().position(|o| Some(&o.value) == initial);
    let values: Vec<&str> = step
        .options
        .iter()
        .map(|option| option.value.as_str().unwrap_or_default())
        .collect();
    let at = ask.pick(message, &names, &values, default.unwrap_or(0), SHOWN)?;
    Ok(step.options[at].value.clone())
}

/// A heading and what belongs to it.
pub fn note(title: &str, text: &str) {
    eprintln!("\n== {title}");
    let width = 78;
    for line in text.lines() {
        for line in super::super::super::output::fold(line, width) {
            eprintln!("   {line}");
        }
    }
    if !text.is_empty() {
        eprintln!();
    }
}

/// What was answered before an interruption, without secrets.
pub struct Memory(PathBuf);

impl Memory {
    pub fn of(paths: &Paths) -> Memory {
        Memory(paths.ours().join("onboard.json"))
    }

    pub fn read(&self) -> BTreeMap<String, Value> {
        let small = fs::metadata(&self.0).is_ok_and(|meta| meta.len() <= MAX_MEMORY);
        let text = match small {
            true => fs::read(&self.0).unwrap_or_default(),
            false => Vec::new(),
        };
        serde_json::from_slice(&text).unwrap_or_default()
    }

    /// Best effort: without it only a default is missing next time.
    pub fn keep(&self, flow: &Flow) {
        let kept = flow.worth_keeping();
        if kept.is_empty() {
            return;
        }
        let text = serde_json::to_vec(&kept).expect("answers are plain data");
        if let Err(err) = atomic::write(&self.0, &text) {
            log::debug!("{}: {err}", self.0.display());
        }
    }

    pub fn forget(&self) {
        // It may never have been written.
        let _ = fs::remove_file(&self.0);
    }
}
