//! Words to a command, its flags and its arguments.
//!
//! Words and flags may be mixed. The words up to the first that names no subcommand choose the
//! command; a flag seen on the way is looked up in the command reached so far, above it and below
//! it, and at the end must belong to the command that was chosen. `--` ends the flags.

use super::{Arg, Command, Flag, HELP, Kind, VERSION, flags_of, path_name, suggest};
use crate::base::exit::{Exit, Report};
use std::ffi::OsString;
use std::fmt;
use std::str::FromStr;

#[derive(Debug)]
pub enum Outcome {
    Run(Matches),
    /// `--help` (`asked`), or a group without the subcommand it needs.
    Help {
        path: Vec<&'static Command>,
        asked: bool,
    },
    Version,
}

/// What was typed.
#[derive(Clone, Debug)]
pub struct Matches {
    path: Vec<&'static Command>,
    flags: Vec<Given>,
    args: Vec<String>,
    /// Unknown flags of a lenient command, as typed.
    pub ignored: Vec<String>,
}

#[derive(Clone, Debug)]
struct Given {
    long: &'static str,
    value: Option<String>,
    /// `--no-…`
    negated: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    UnknownFlag {
        flag: String,
        nearest: Option<String>,
    },
    UnknownCommand {
        word: String,
        nearest: Option<String>,
    },
    NoValue {
        flag: String,
        value: &'static str,
    },
    UnwantedValue {
        flag: String,
    },
    BadChoice {
        flag: String,
        got: String,
        choices: &'static [&'static str],
    },
    BadNumber {
        flag: String,
        got: String,
    },
    MissingArgument {
        name: &'static str,
    },
    TooManyArguments {
        command: String,
        most: usize,
        got: usize,
    },
    NotUtf8 {
        shown: String,
    },
}

/// Reads `words` (without the program's name) by the table under `root`.
pub fn parse(
    root: &'static Command,
    words: impl IntoIterator<Item = OsString>,
) -> Result<Outcome, Error> {
    Reader {
        path: vec![root],
        flags: Vec::new(),
        args: Vec::new(),
        unknown: Vec::new(),
        help: false,
        helping: false,
    }
    .read(lexopt::Parser::from_args(words))
}

struct Reader {
    path: Vec<&'static Command>,
    flags: Vec<Given>,
    args: Vec<String>,
    /// Flags no command of the table knows, in the order typed.
    unknown: Vec<String>,
    help: bool,
    /// The first word was `help`: the others only name a command.
    helping: bool,
}

impl Reader {
    fn read(mut self, mut parser: lexopt::Parser) -> Result<Outcome, Error> {
        loop {
            let arg = match parser.next() {
                Ok(Some(arg)) => arg,
                Ok(None) => break,
                // The only error of `next` is a value given to the switch before, as `--json=x`.
                Err(_) => {
                    let flag = self.flags.last().map_or("", |f| f.long);
                    return Err(Error::UnwantedValue {
                        flag: format!("--{flag}"),
                    });
                }
            };
            match arg {
                lexopt::Arg::Value(word) => {
                    let word = text(word)?;
                    self.word(word)?;
                }
                lexopt::Arg::Long(name) => {
                    let name = name.to_string();
                    if name == HELP.long {
                        self.help = true;
                        continue;
                    }
                    if name == VERSION.long && self.path.len() == 1 {
                        return Ok(Outcome::Version);
                    }
                    match self.find(&name) {
                        Some((flag, negated)) => self.take(&mut parser, flag, negated)?,
                        None => {
                            // Whether it had a value cannot be known; `--x=y` at least shows it.
                            let _ = parser.optional_value();
                            self.unknown.push(format!("--{name}"));
                        }
                    }
                }
                lexopt::Arg::Short(c) => {
                    if self.path.len() == 1 && (c == 'V' || c == 'v') {
                        return Ok(Outcome::Version);
                    }
                    if Some(c) == HELP.short {
                        self.help = true;
                        continue;
                    }
                    match self.find_by(|flag| flag.short == Some(c)) {
                        Some(flag) => self.take(&mut parser, flag, false)?,
                        None => self.unknown.push(format!("-{c}")),
                    }
                }
            }
        }
        self.finish()
    }

    fn word(&mut self, word: String) -> Result<(), Error> {
        let here = self.here();
        if self.args.is_empty() {
            if let Some(sub) = here.subcommand(&word) {
                self.path.push(sub);
                return Ok(());
            }
            if word == "help" && self.path.len() == 1 && !self.helping {
                self.help = true;
                self.helping = true;
                return Ok(());
            }
            // After an unknown flag the word may be its value, and the flag is the thing to name.
            let doubtful = self.help || !self.unknown.is_empty();
            if !here.subcommands.is_empty() && here.args.is_empty() && !doubtful {
                let names = here.shown_subcommands().map(|c| c.name);
                return Err(Error::UnknownCommand {
                    nearest: suggest::nearest(&word, names).map(str::to_string),
                    word,
                });
            }
        }
        self.args.push(word);
        Ok(())
    }

    fn here(&self) -> &'static Command {
        self.path[self.path.len() - 1]
    }

    /// A flag by its long name, and whether it was named in its `--no-` form.
    fn find(&self, name: &str) -> Option<(&'static Flag, bool)> {
        if let Some(flag) = self.find_by(|flag| flag.long == name) {
            return Some((flag, false));
        }
        let positive = name.strip_prefix("no-")?;
        self.find_by(|flag| flag.long == positive && flag.negatable)
            .map(|flag| (flag, true))
    }

    fn find_by(&self, wanted: impl Fn(&Flag) -> bool + Copy) -> Option<&'static Flag> {
        let above = self.path.iter().rev().flat_map(|c| c.flags.iter());
        let found = above.into_iter().find(|f| wanted(f));
        found.or_else(|| below(self.here(), wanted))
    }

    fn take(
        &mut self,
        parser: &mut lexopt::Parser,
        flag: &'static Flag,
        negated: bool,
    ) -> Result<(), Error> {
        let name = format!("--{}", flag.long);
        let value = match &flag.value {
            None => None,
            Some(spec) => {
                let got = parser.value().map_err(|_| Error::NoValue {
                    flag: name.clone(),
                    value: spec.name,
                })?;
                let got = text(got)?;
                match spec.kind {
                    Kind::Choice(choices) if !choices.contains(&got.as_str()) => {
                        return Err(Error::BadChoice {
                            flag: name,
                            got,
                            choices,
                        });
                    }
                    Kind::Number if got.trim().parse::<i64>().is_err() => {
                        return Err(Error::BadNumber { flag: name, got });
                    }
                    _ => Some(got),
                }
            }
        };
        self.flags.push(Given {
            long: flag.long,
            value,
            negated,
        });
        Ok(())
    }

    fn finish(mut self) -> Result<Outcome, Error> {
        let command = self.here();
        if self.help {
            return Ok(Outcome::Help {
                path: self.path,
                asked: true,
            });
        }
        let known = flags_of(&self.path);
        let foreign = self
            .flags
            .iter()
            .map(|given| given.long)
            .find(|long| !known.iter().any(|f| f.long == *long));
        if let Some(long) = foreign {
            self.unknown.push(format!("--{long}"));
            self.flags.retain(|given| given.long != long);
        }
        if !command.lenient {
            if let Some(flag) = self.unknown.first() {
                let names = known.iter().filter(|f| !f.hidden).map(|f| f.long);
                return Err(Error::UnknownFlag {
                    flag: flag.clone(),
                    nearest: suggest::nearest(flag.trim_start_matches('-'), names)
                        .map(|name| format!("--{name}")),
                });
            }
        }
        if !command.runs() {
            return Ok(Outcome::Help {
                path: self.path,
                asked: false,
            });
        }
        self.check_args(command.args)?;
        Ok(Outcome::Run(Matches {
            path: self.path,
            flags: self.flags,
            args: self.args,
            ignored: self.unknown,
        }))
    }

    fn check_args(&self, specs: &'static [Arg]) -> Result<(), Error> {
        if let Some(missing) = specs.iter().skip(self.args.len()).find(|arg| arg.required) {
            return Err(Error::MissingArgument { name: missing.name });
        }
        let open = specs.last().is_some_and(|arg| arg.many);
        let spare = self.here().lenient && !self.unknown.is_empty();
        if !open && !spare && self.args.len() > specs.len() {
            return Err(Error::TooManyArguments {
                command: self.here().name.to_string(),
                most: specs.len(),
                got: self.args.len(),
            });
        }
        Ok(())
    }
}

fn below(
    command: &'static Command,
    wanted: impl Fn(&Flag) -> bool + Copy,
) -> Option<&'static Flag> {
    command.subcommands.iter().find_map(|sub| {
        let own = sub.flags.iter().find(|f| wanted(f));
        own.or_else(|| below(sub, wanted))
    })
}

fn text(word: OsString) -> Result<String, Error> {
    word.into_string().map_err(|word| Error::NotUtf8 {
        shown: word.to_string_lossy().into_owned(),
    })
}

impl Matches {
    pub fn command(&self) -> &'static Command {
        self.path[self.path.len() - 1]
    }

    /// From the root to the command.
    pub fn path(&self) -> &[&'static Command] {
        &self.path
    }

    /// `gateway call`: the path without the program.
    pub fn name(&self) -> String {
        path_name(&self.path[1..])
    }

    /// A switch is on.
    pub fn has(&self, long: &str) -> bool {
        self.last(long).is_some_and(|g| !g.negated)
    }

    /// A switch with a `--no-` form, when it was typed in either form.
    pub fn switch(&self, long: &str) -> Option<bool> {
        self.last(long).map(|g| !g.negated)
    }

    /// The last value of a flag.
    pub fn text(&self, long: &str) -> Option<&str> {
        self.last(long)?.value.as_deref()
    }

    /// Every value of a repeatable flag.
    pub fn all<'a>(&'a self, long: &'a str) -> impl Iterator<Item = &'a str> {
        self.check(long);
        self.flags
            .iter()
            .filter(move |g| g.long == long)
            .filter_map(|g| g.value.as_deref())
    }

    /// The value of a numeric flag in the type the caller can use; a number outside it is refused
    /// in the same words as no number.
    pub fn number<T: FromStr>(&self, long: &str) -> Result<Option<T>, Error> {
        let Some(got) = self.text(long) else {
            return Ok(None);
        };
        got.trim().parse().map(Some).map_err(|_| Error::BadNumber {
            flag: format!("--{long}"),
            got: got.to_string(),
        })
    }

    /// The flags named in `only` as words for another program, in the order typed.
    pub fn words(&self, only: &[&str]) -> Vec<String> {
        let mut out = Vec::new();
        for given in self.flags.iter().filter(|g| only.contains(&g.long)) {
            let no = if given.negated { "no-" } else { "" };
            out.push(match &given.value {
                Some(value) => format!("--{}={value}", given.long),
                None => format!("--{no}{}", given.long),
            });
        }
        out
    }

    pub fn args(&self) -> &[String] {
        &self.args
    }

    pub fn arg(&self, index: usize) -> Option<&str> {
        self.args.get(index).map(String::as_str)
    }

    fn last(&self, long: &str) -> Option<&Given> {
        self.check(long);
        self.flags.iter().rev().find(|g| g.long == long)
    }

    /// A name mistyped in the program shows in every debug run.
    fn check(&self, long: &str) {
        debug_assert!(
            flags_of(&self.path).iter().any(|f| f.long == long),
            "{} has no flag --{long}",
            self.name()
        );
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::UnknownFlag { flag, .. } => write!(f, "unknown option '{flag}'"),
            Error::UnknownCommand { word, .. } => write!(f, "unknown command '{word}'"),
            Error::NoValue { flag, value } => {
                write!(f, "option '{flag} <{value}>' argument missing")
            }
            Error::UnwantedValue { flag } => write!(f, "option '{flag}' takes no value"),
            Error::BadChoice { flag, got, choices } => write!(
                f,
                "option '{flag}' argument '{got}' is invalid. Allowed choices are {}.",
                choices.join(", ")
            ),
            Error::BadNumber { flag, got } => {
                write!(f, "option '{flag}' argument '{got}' is not a valid number")
            }
            Error::MissingArgument { name } => write!(f, "missing required argument '{name}'"),
            Error::TooManyArguments { command, most, got } => write!(
                f,
                "too many arguments for '{command}'. Expected {most} argument{} but got {got}.",
                if *most == 1 { "" } else { "s" }
            ),
            Error::NotUtf8 { shown } => write!(f, "argument {shown:?} is not UTF-8"),
        }
    }
}

impl std::error::Error for Error {}

impl Report for Error {
    fn exit(&self) -> Exit {
        Exit::Usage
    }

    fn hint(&self) -> Option<String> {
        match self {
            Error::UnknownFlag { nearest, .. } | Error::UnknownCommand { nearest, .. } => {
                nearest.as_ref().map(|name| format!("did you mean {name}?"))
            }
            _ => None,
        }
    }
}
