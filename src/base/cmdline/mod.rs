//! The command line as data: one table of commands and flags from which come the parser, `--help`,
//! the completions of bash, zsh and fish, and the SYNOPSIS and option lists of the manual pages.
//!
//! A program is one `Command` (the root) with subcommands. A table row is written as
//!
//! ```
//! use openclaw::base::cmdline::{Arg, Command, Flag};
//! const SPEC: Command = Command {
//!     name: "call",
//!     summary: "Call one method and print its result",
//!     flags: &[
//!         Flag::value("params", "json", "Parameters of the method").default("{}"),
//!         Flag::switch("json", "Print only the result"),
//!     ],
//!     args: &[Arg::required("method", "Name of the method")],
//!     ..Command::NEW
//! };
//! # assert_eq!(SPEC.flags.len(), 2);
//! ```
//!
//! A flag may stand anywhere on the line, before or after the command it belongs to; a `global`
//! flag belongs to the command that declares it and to everything below.

mod check;
pub mod complete;
pub mod help;
pub mod mdoc;
mod parse;
mod suggest;

pub use check::faults;
pub use parse::{Error, Matches, Outcome, parse};
pub use suggest::nearest;

/// One command of a program, or the program itself.
#[derive(Clone, Copy, Debug)]
pub struct Command {
    pub name: &'static str,
    pub aliases: &'static [&'static str],
    /// One line, no full stop.
    pub summary: &'static str,
    /// Paragraphs below the summary, separated by blank lines. May be empty.
    pub about: &'static str,
    pub flags: &'static [Flag],
    pub args: &'static [Arg],
    pub subcommands: &'static [Command],
    /// Does something without a subcommand. A command without subcommands always does.
    pub standalone: bool,
    /// Works, but is not shown in help, completions and manual pages.
    pub hidden: bool,
    /// Unknown flags are collected in `Matches::ignored` instead of being refused. For the
    /// commands whose scripts rely on that.
    pub lenient: bool,
}

#[derive(Clone, Copy, Debug)]
pub struct Flag {
    /// Without the dashes.
    pub long: &'static str,
    pub short: Option<char>,
    /// `None`: a switch.
    pub value: Option<Value>,
    /// One line, no full stop.
    pub help: &'static str,
    pub global: bool,
    /// A switch that also has the form `--no-<long>`; the last one counts.
    pub negatable: bool,
    /// May be given several times, each counts. Otherwise the last one counts.
    pub repeatable: bool,
    pub hidden: bool,
}

#[derive(Clone, Copy, Debug)]
pub struct Value {
    /// As it stands in help: `<json>`.
    pub name: &'static str,
    pub kind: Kind,
    /// Said in help; applying it is the command's business.
    pub default: Option<&'static str>,
}

#[derive(Clone, Copy, Debug)]
pub enum Kind {
    Text,
    /// A whole number, checked by the parser.
    Number,
    /// One of these words, checked by the parser.
    Choice(&'static [&'static str]),
    File,
    Dir,
}

#[derive(Clone, Copy, Debug)]
pub struct Arg {
    pub name: &'static str,
    pub help: &'static str,
    pub required: bool,
    /// Takes all remaining words. Only the last may.
    pub many: bool,
    pub kind: Kind,
}

/// Understood everywhere; not part of any table.
pub const HELP: Flag = Flag::switch("help", "Show this text").short('h');
/// Understood by the root.
pub const VERSION: Flag = Flag::switch("version", "Print the version").short('V');

impl Command {
    /// For `..Command::NEW`.
    pub const NEW: Command = Command {
        name: "",
        aliases: &[],
        summary: "",
        about: "",
        flags: &[],
        args: &[],
        subcommands: &[],
        standalone: false,
        hidden: false,
        lenient: false,
    };

    pub fn subcommand(&self, word: &str) -> Option<&'static Command> {
        self.subcommands
            .iter()
            .find(|c| c.name == word || c.aliases.contains(&word))
    }

    /// Can be the end of a command line.
    pub fn runs(&self) -> bool {
        self.standalone || self.subcommands.is_empty()
    }

    pub fn shown_subcommands(&self) -> impl Iterator<Item = &'static Command> + use<> {
        self.subcommands.iter().filter(|c| !c.hidden)
    }

    pub fn shown_flags(&self) -> impl Iterator<Item = &'static Flag> + use<> {
        self.flags.iter().filter(|f| !f.hidden)
    }

    /// This command and all shown ones below, each with its path from the root (`[root, …, it]`).
    pub fn walk(&'static self) -> Vec<Vec<&'static Command>> {
        let mut out = vec![vec![self]];
        for sub in self.shown_subcommands() {
            for mut path in sub.walk() {
                path.insert(0, self);
                out.push(path);
            }
        }
        out
    }
}

impl Flag {
    pub const fn switch(long: &'static str, help: &'static str) -> Flag {
        Flag {
            long,
            short: None,
            value: None,
            help,
            global: false,
            negatable: false,
            repeatable: false,
            hidden: false,
        }
    }

    pub const fn value(long: &'static str, name: &'static str, help: &'static str) -> Flag {
        Flag::switch(long, help).with(name, Kind::Text)
    }

    pub const fn number(long: &'static str, name: &'static str, help: &'static str) -> Flag {
        Flag::switch(long, help).with(name, Kind::Number)
    }

    pub const fn file(long: &'static str, name: &'static str, help: &'static str) -> Flag {
        Flag::switch(long, help).with(name, Kind::File)
    }

    pub const fn dir(long: &'static str, name: &'static str, help: &'static str) -> Flag {
        Flag::switch(long, help).with(name, Kind::Dir)
    }

    pub const fn choice(
        long: &'static str,
        name: &'static str,
        words: &'static [&'static str],
        help: &'static str,
    ) -> Flag {
        Flag::switch(long, help).with(name, Kind::Choice(words))
    }

    const fn with(mut self, name: &'static str, kind: Kind) -> Flag {
        self.value = Some(Value {
            name,
            kind,
            default: None,
        });
        self
    }

    pub const fn short(mut self, short: char) -> Flag {
        self.short = Some(short);
        self
    }

    pub const fn default(mut self, text: &'static str) -> Flag {
        if let Some(value) = &mut self.value {
            value.default = Some(text);
        }
        self
    }

    pub const fn global(mut self) -> Flag {
        self.global = true;
        self
    }

    pub const fn negatable(mut self) -> Flag {
        self.negatable = true;
        self
    }

    pub const fn repeatable(mut self) -> Flag {
        self.repeatable = true;
        self
    }

    pub const fn hidden(mut self) -> Flag {
        self.hidden = true;
        self
    }
}

impl Arg {
    pub const fn required(name: &'static str, help: &'static str) -> Arg {
        Arg {
            name,
            help,
            required: true,
            many: false,
            kind: Kind::Text,
        }
    }

    pub const fn optional(name: &'static str, help: &'static str) -> Arg {
        let mut arg = Arg::required(name, help);
        arg.required = false;
        arg
    }

    pub const fn many(mut self) -> Arg {
        self.many = true;
        self
    }

    pub const fn kind(mut self, kind: Kind) -> Arg {
        self.kind = kind;
        self
    }
}

/// The flags a command understands: its own, then the global ones of the commands above it that it
/// does not declare anew, then `--help` (and `--version` for the root).
pub fn flags_of(path: &[&'static Command]) -> Vec<&'static Flag> {
    let Some((command, above)) = path.split_last() else {
        return Vec::new();
    };
    let mut out: Vec<&'static Flag> = command.flags.iter().collect();
    for parent in above.iter().rev() {
        for flag in parent.flags.iter().filter(|f| f.global) {
            if !out.iter().any(|f| f.long == flag.long) {
                out.push(flag);
            }
        }
    }
    out.push(&HELP);
    if above.is_empty() {
        out.push(&VERSION);
    }
    out
}

/// `openclaw gateway call`.
pub fn path_name(path: &[&'static Command]) -> String {
    let names: Vec<&str> = path.iter().map(|c| c.name).collect();
    names.join(" ")
}

#[cfg(test)]
mod tests;
