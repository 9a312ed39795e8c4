//! `openclaw`: the command line for people, with the output of the original where scripts read it.
//!
//! Results go to stdout, everything else to stderr. Exit status 0 and 1 as the original, 2 for a
//! bad profile; `openclawctl` is the one with finer words. Each command is a file in `commands/`
//! and a row of its table.

mod acp;
mod ask;
mod chat;
pub mod commands;
mod failure;
pub mod output;
mod probe;
mod program;

use crate::base::cmdline::{self, Matches, Outcome, help};
use crate::client::local::{self, Local};
use crate::config::agents::agent_id;
use crate::wire::version;
use commands::{ROOT, Row};
use failure::Failure;
use output::{Out, Stopped};
use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

/// What a command works with.
pub struct Context {
    pub matches: Matches,
    pub out: Out,
    pub local: Local,
}

impl Context {
    pub fn json(&self) -> bool {
        self.matches.has("json")
    }

    /// One of our commands as it can be pasted where this profile is in use.
    fn command(&self, words: &str) -> String {
        match &self.local.paths().profile {
            Some(profile) => format!("openclaw --profile {profile} {words}"),
            None => format!("openclaw {words}"),
        }
    }

    /// The agent named by `--agent`, if one is; an unknown one, as it was typed, is the error.
    fn agent(&self) -> Result<Option<String>, &str> {
        let Some(typed) = self.matches.text("agent") else {
            return Ok(None);
        };
        let id = agent_id(typed);
        match self.local.snapshot.config.agent_ids().contains(&id) {
            true => Ok(Some(id)),
            false => Err(typed),
        }
    }
}

pub fn main() -> ExitCode {
    let words: Vec<OsString> = std::env::args_os().skip(1).collect();
    // Asked for by every installer and prompt: before anything else is looked at.
    if matches!(
        words.first().and_then(|w| w.to_str()),
        Some("--version" | "-V" | "-v")
    ) {
        return print(&format!("{}\n", version::BEHAVIOUR));
    }
    match cmdline::parse(&ROOT, words) {
        Ok(Outcome::Version) => print(&format!("{}\n", version::BEHAVIOUR)),
        Ok(Outcome::Help { path, asked: true }) => print(&help::render(&path)),
        Ok(Outcome::Help { path, .. }) => {
            eprint!("{}", help::render(&path));
            ExitCode::FAILURE
        }
        Ok(Outcome::Run(matches)) => run(matches),
        Err(err) => Failure::Usage(err).tell(),
    }
}

fn run(matches: Matches) -> ExitCode {
    let name = matches.name();
    let Some(row) = commands::find(&name) else {
        eprintln!("openclaw: no command {name}");
        return ExitCode::FAILURE;
    };
    let out = Out::new(matches.has("no-color"));
    let result = start(row, matches, out);
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.tell(),
    }
}

fn start(row: &Row, matches: Matches, out: Out) -> Result<(), Failure> {
    for flag in &matches.ignored {
        eprintln!("openclaw: ignored unknown option '{flag}'");
    }
    let local = Local::open(&matches).map_err(|err| match err {
        local::Error::Profile(err) => Failure::Profile(err),
        local::Error::Flag(err) => Failure::Usage(err),
    })?;
    // To stderr: what a command prints may be read by a script.
    match &local.taken_over {
        Ok(Some(moved)) => eprintln!("openclaw: {moved}"),
        Ok(None) => {}
        Err(err) => eprintln!("openclaw: the state of an earlier version stays where it is: {err}"),
    }
    if row.needs_config && !local.snapshot.valid {
        return Err(Failure::Config(local.snapshot.complaint()));
    }
    let mut context = Context {
        matches,
        out,
        local,
    };
    let done = (row.run)(&mut context);
    // What was written before a failure is shown before the failure.
    let flushed = context.out.flush();
    done?;
    flushed.map_err(Failure::from)
}

/// Text that needs no context.
fn print(text: &str) -> ExitCode {
    let mut out = std::io::stdout();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(err) => Failure::from(Stopped::from(err)).tell(),
    }
}
