//! `openclawctl`: the command line for scripts. Its manual page is a contract.
//!
//! Never asks, never colours, never folds. One record is one line of stdout: tab-separated fields,
//! or one JSON value with `--json`. Errors go to stderr and their kind is the exit status.

mod commands;
mod record;

use crate::base::cmdline::{self, Command, Flag, Matches, Outcome, help};
use crate::base::exit::{self, Exit, Report};
use crate::client::local::{self, Local};
use crate::wire::version;
use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;

const PROGRAM: &str = "openclawctl";

pub const ROOT: Command = Command {
    name: PROGRAM,
    summary: "Talk to a running gateway from scripts",
    flags: &[
        local::DEV,
        Flag::switch("json", "Print one JSON value a line instead of fields").global(),
        local::PASSWORD,
        local::PROFILE,
        local::TIMEOUT,
        local::TOKEN,
        local::URL,
    ],
    subcommands: commands::SPECS,
    ..Command::NEW
};

/// What a command works with.
struct Context {
    matches: Matches,
    local: Local,
    out: io::BufWriter<io::Stdout>,
}

/// Why a command ends with something other than 0.
enum Failure {
    Told {
        text: String,
        hint: Option<String>,
        exit: Exit,
    },
    /// The status is the whole message.
    Status(u8),
    PipeClosed,
}

type Done = Result<(), Failure>;

impl Context {
    fn json(&self) -> bool {
        self.matches.has("json")
    }

    fn line(&mut self, text: &str) -> Done {
        self.out.write_all(text.as_bytes())?;
        Ok(self.out.write_all(b"\n")?)
    }

    /// Whoever reads a stream wants the line now.
    fn line_now(&mut self, text: &str) -> Done {
        self.line(text)?;
        self.flush()
    }

    fn flush(&mut self) -> Done {
        Ok(self.out.flush()?)
    }
}

pub fn main() -> ExitCode {
    match cmdline::parse(&ROOT, std::env::args_os().skip(1)) {
        Ok(Outcome::Version) => print(&format!(
            "{PROGRAM} {} (gateway protocol {}, behaviour {})\n",
            version::PROGRAM,
            version::GATEWAY,
            version::BEHAVIOUR
        )),
        Ok(Outcome::Help { path, asked: true }) => print(&help::render(&path)),
        Ok(Outcome::Help { path, .. }) => {
            eprint!("{}", help::render(&path));
            Exit::Usage.into()
        }
        Ok(Outcome::Run(matches)) => finish(run(matches)),
        Err(err) => exit::report(PROGRAM, &err),
    }
}

fn run(matches: Matches) -> Done {
    let local = Local::open(&matches)?;
    let name = matches.name();
    let mut context = Context {
        matches,
        local,
        out: io::BufWriter::new(io::stdout()),
    };
    let done = match commands::find(&name) {
        Some(run) => run(&mut context),
        None => Err(Failure::told(format!("no command {name}"), Exit::Usage)),
    };
    // What was written before a failure is kept.
    let flushed = context.out.flush();
    done?;
    Ok(flushed?)
}

fn print(text: &str) -> ExitCode {
    let mut out = io::stdout();
    let done = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    finish(done.map_err(Failure::from))
}

fn finish(done: Done) -> ExitCode {
    match done {
        Ok(()) | Err(Failure::PipeClosed) => ExitCode::SUCCESS,
        Err(Failure::Status(code)) => ExitCode::from(code),
        Err(Failure::Told { text, hint, exit }) => {
            // One line: the target block of a connection error is for people.
            eprintln!("{PROGRAM}: {}", text.replace('\n', "; "));
            if let Some(hint) = hint {
                eprintln!("  fix: {hint}");
            }
            exit.into()
        }
    }
}

impl Failure {
    fn told(text: impl fmt::Display, exit: Exit) -> Failure {
        Failure::Told {
            text: text.to_string(),
            hint: None,
            exit,
        }
    }
}

impl<E: Report> From<E> for Failure {
    fn from(err: E) -> Failure {
        Failure::Told {
            text: err.to_string(),
            hint: err.hint(),
            exit: err.exit(),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(err: io::Error) -> Failure {
        match err.kind() {
            io::ErrorKind::BrokenPipe => Failure::PipeClosed,
            _ => Failure::told(format!("stdout: {err}"), Exit::Io),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::cmdline::path_name;

    #[test]
    fn the_table_is_sound_and_every_command_runs() {
        assert_eq!(cmdline::faults(&ROOT), Vec::<String>::new());
        for path in ROOT.walk().iter().skip(1) {
            if path[path.len() - 1].runs() {
                let name = path_name(&path[1..]);
                assert!(commands::find(&name).is_some(), "{name}");
            }
        }
    }
}
