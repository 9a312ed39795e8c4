//! `openclaw cron`: the gateway's jobs. The gateway keeps and runs them; here they are named.

mod form;
mod list;

use super::super::Context;
use super::super::failure::Failure;
use crate::base::cmdline::{Arg, Command, Flag};
use crate::base::exit::Report;
use crate::client::local;
use serde_json::{Value, json};
use std::time::Duration;

/// A job that is run by hand is waited for.
const PATIENCE: Duration = Duration::from_secs(30);
/// Entries of a run log, when nobody says.
const RUNS: u64 = 50;
const MAX_RUNS: u64 = 5_000;

const ID: Arg = Arg::required("id", "The job, as list shows it");
const FINAL: Flag = Flag::switch("expect-final", "Accepted for scripts; answers are final");

pub const SPEC: Command = Command {
    name: "cron",
    summary: "See, add and change the gateway's jobs",
    flags: &[FINAL.global()],
    subcommands: &[
        Command {
            name: "add",
            aliases: &["create"],
            summary: "Add a job",
            about: "When: one of --at, --every and --cron. What: --system-event, a note for the \
                main session, or --message, a turn of its own whose answer is announced.",
            flags: form::ADD,
            ..Command::NEW
        },
        Command {
            name: "disable",
            summary: "Let a job rest",
            args: &[ID],
            ..Command::NEW
        },
        Command {
            name: "edit",
            summary: "Change what is named of a job",
            flags: form::EDIT,
            args: &[ID],
            ..Command::NEW
        },
        Command {
            name: "enable",
            summary: "Let a job run again",
            args: &[ID],
            ..Command::NEW
        },
        Command {
            name: "list",
            summary: "List the jobs, the next one first",
            flags: &[Flag::switch("all", "Those that rest, too")],
            ..Command::NEW
        },
        Command {
            name: "rm",
            aliases: &["remove", "delete"],
            summary: "Remove a job",
            args: &[ID],
            ..Command::NEW
        },
        Command {
            name: "run",
            summary: "Run a job now",
            flags: &[Flag::switch("force", "Also when it is not due")],
            args: &[ID],
            ..Command::NEW
        },
        Command {
            name: "runs",
            summary: "Show what runs of a job came to",
            flags: &[
                Flag::value("id", "id", "The job, as list shows it"),
                Flag::number("limit", "n", "Runs to show").default("50"),
            ],
            ..Command::NEW
        },
        Command {
            name: "status",
            summary: "Show whether jobs run, how many there are and when the next one does",
            ..Command::NEW
        },
    ],
    ..Command::NEW
};

/// Asks the gateway.
fn call(context: &Context, method: &str, params: Value) -> Result<Value, Failure> {
    let timeout = local::timeout(&context.matches, PATIENCE)?;
    let caller = context.local.caller()?;
    let answer = caller.call(method, Some(&params), timeout);
    answer.map_err(|err| match err.is_rpc() {
        true => Failure::said(format!("Error: {err}")),
        false => Failure::Error {
            text: err.to_string(),
            hint: err.hint(),
        },
    })
}

fn show(context: &mut Context, method: &str, params: Value) -> Result<(), Failure> {
    let answer = call(context, method, params)?;
    Ok(context.out.json(&answer)?)
}

fn id(context: &Context) -> &str {
    context.matches.arg(0).unwrap_or_default()
}

pub fn status(context: &mut Context) -> Result<(), Failure> {
    show(context, "cron.status", json!({}))
}

pub fn list(context: &mut Context) -> Result<(), Failure> {
    let params = json!({"includeDisabled": context.matches.has("all")});
    let answer = call(context, "cron.list", params)?;
    match context.json() {
        true => Ok(context.out.json(&answer)?),
        false => list::print(context, &answer),
    }
}

pub fn add(context: &mut Context) -> Result<(), Failure> {
    let job = form::job(&context.matches)?;
    let made = call(context, "cron.add", job)?;
    context.out.json(&made)?;
    let status = call(context, "cron.status", json!({}))?;
    if status["enabled"] == false {
        eprintln!("The gateway's scheduler is off: the job is kept and does not run.");
        eprintln!("Jobs file: {}", status["storePath"].as_str().unwrap_or("?"));
        eprintln!(
            "Set cron.enabled to true (and unset OPENCLAW_SKIP_CRON), then restart the gateway."
        );
    }
    Ok(())
}

pub fn edit(context: &mut Context) -> Result<(), Failure> {
    let params = json!({"id": id(context), "patch": form::patch(&context.matches)?});
    show(context, "cron.update", params)
}

pub fn enable(context: &mut Context) -> Result<(), Failure> {
    let params = json!({"id": id(context), "patch": {"enabled": true}});
    show(context, "cron.update", params)
}

pub fn disable(context: &mut Context) -> Result<(), Failure> {
    let params = json!({"id": id(context), "patch": {"enabled": false}});
    show(context, "cron.update", params)
}

pub fn rm(context: &mut Context) -> Result<(), Failure> {
    let params = json!({"id": id(context)});
    show(context, "cron.remove", params)
}

pub fn run(context: &mut Context) -> Result<(), Failure> {
    let mode = match context.matches.has("force") {
        true => "force",
        false => "due",
    };
    let params = json!({"id": id(context), "mode": mode});
    show(context, "cron.run", params)
}

pub fn runs(context: &mut Context) -> Result<(), Failure> {
    let Some(job) = context.matches.text("id") else {
        let text = "error: required option '--id <id>' not specified";
        return Err(Failure::said(text));
    };
    let limit = context.matches.number::<u64>("limit")?;
    let limit = limit.unwrap_or(RUNS).clamp(1, MAX_RUNS);
    let params = json!({"id": job, "limit": limit});
    show(context, "cron.runs", params)
}
