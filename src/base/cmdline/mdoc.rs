//! The generated parts of the manual pages: SYNOPSIS lines, option lists, and a list of commands.
//! The prose around them is written by hand in `man/`.

use super::{Arg, Command, Flag, HELP, Kind, VERSION, flags_of};
use std::fmt::Write;

/// The lines of a SYNOPSIS for the program itself.
pub fn synopsis(root: &'static Command) -> String {
    let mut out = format!(".Nm {}\n", root.name);
    flags_brief(&mut out, root.shown_flags());
    if !root.subcommands.is_empty() {
        let optional = if root.runs() { ".Op Ar" } else { ".Ar" };
        let _ = writeln!(out, "{optional} command");
        out.push_str(".Op Ar argument ...\n");
    }
    args_brief(&mut out, root.args);
    out
}

/// A `.Bl` list of the options of the command at the end of `path`, without the global ones of
/// the commands above.
pub fn options(path: &[&'static Command]) -> String {
    let Some(command) = path.last() else {
        return String::new();
    };
    let mut flags: Vec<&'static Flag> = command.shown_flags().collect();
    if path.len() == 1 {
        flags.extend([&HELP, &VERSION]);
    }
    list(flags)
}

/// Every command below `root`: its synopsis, summary, paragraphs and options.
pub fn commands(root: &'static Command) -> String {
    let mut out = String::from(".Bl -tag -width Ds\n");
    for path in root.walk().into_iter().skip(1) {
        let command = path[path.len() - 1];
        if !command.runs() {
            continue;
        }
        out.push_str(".It Xo\n.Ic");
        for part in &path[1..] {
            let _ = write!(out, " {}", word(part.name));
        }
        out.push('\n');
        flags_brief(&mut out, command.shown_flags());
        args_brief(&mut out, command.args);
        out.push_str(".Xc\n");
        let _ = writeln!(out, "{}.", text(command.summary));
        for paragraph in command.about.split("\n\n").filter(|p| !p.is_empty()) {
            let _ = writeln!(out, ".Pp\n{}", text(paragraph));
        }
        let flags: Vec<&'static Flag> = command.shown_flags().collect();
        if !flags.is_empty() {
            out.push_str(&list(flags));
        }
    }
    out.push_str(".El\n");
    out
}

/// The flags every command of `root` takes.
pub fn globals(root: &'static Command) -> String {
    let flags = flags_of(&[root]);
    list(
        flags
            .into_iter()
            .filter(|f| f.global && !f.hidden)
            .chain([&HELP])
            .collect(),
    )
}

fn list(flags: Vec<&'static Flag>) -> String {
    if flags.is_empty() {
        return String::new();
    }
    let mut out = String::from(".Bl -tag -width Ds\n");
    for flag in flags {
        out.push_str(".It");
        if let Some(short) = flag.short {
            let _ = write!(out, " Fl {short} ,");
        }
        let _ = write!(out, " Fl -{}", long(flag));
        if let Some(value) = &flag.value {
            let _ = write!(out, " Ar {}", word(value.name));
        }
        let _ = write!(out, "\n{}.\n", text(flag.help));
        let Some(value) = &flag.value else {
            continue;
        };
        if let Kind::Choice(words) = value.kind {
            out.push_str("One of\n");
            for (i, choice) in words.iter().enumerate() {
                let end = if i + 1 == words.len() { "." } else { "," };
                let _ = writeln!(out, ".Cm {} {end}", word(choice));
            }
        }
        if let Some(default) = value.default {
            let _ = writeln!(out, "The default is\n.Ql {} .", word(default));
        }
    }
    out.push_str(".El\n");
    out
}

fn flags_brief(out: &mut String, flags: impl Iterator<Item = &'static Flag>) {
    for flag in flags {
        let _ = write!(out, ".Op Fl -{}", long(flag));
        if let Some(value) = &flag.value {
            let _ = write!(out, " Ar {}", word(value.name));
        }
        out.push('\n');
    }
}

fn args_brief(out: &mut String, args: &[Arg]) {
    for arg in args {
        let open = if arg.required { ".Ar" } else { ".Op Ar" };
        let dots = if arg.many { " ..." } else { "" };
        let _ = writeln!(out, "{open} {}{dots}", word(arg.name));
    }
}

fn long(flag: &Flag) -> String {
    match flag.negatable {
        true => word(&format!("[no-]{}", flag.long)),
        false => word(flag.long),
    }
}

/// A word as a macro argument: what roff or mdoc would take for an instruction is made inert.
pub fn word(text: &str) -> String {
    let text = inert(text).replace('-', "\\-");
    let delimiter = text.len() == 1 && ".,:;()[]?!|".contains(&text);
    let callable = text.len() <= 3 && text.starts_with(|c: char| c.is_ascii_uppercase());
    let quoted = match text.contains([' ', '"']) {
        true => format!("\"{}\"", text.replace('"', "\\(dq")),
        false => text,
    };
    match delimiter || callable {
        true => format!("\\&{quoted}"),
        false => quoted,
    }
}

/// A paragraph as text lines: folded, and no line that starts as a request would.
pub fn text(paragraph: &str) -> String {
    let mut out = String::new();
    let mut column = 0;
    for part in paragraph.split_whitespace() {
        let part = inert(part);
        if column > 0 && column + 1 + part.len() > 78 {
            out.push('\n');
            column = 0;
        }
        if column > 0 {
            out.push(' ');
            column += 1;
        } else if part.starts_with(['.', '\'']) {
            out.push_str("\\&");
        }
        column += part.len();
        out.push_str(&part);
        // mandoc wants a new line after each sentence.
        if part.ends_with('.') && part.len() > 3 {
            out.push('\n');
            column = 0;
        }
    }
    out.trim_end().to_string()
}

/// No escapes by accident, and nothing that an old roff cannot read.
fn inert(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\e"),
            c if c.is_ascii() => out.push(c),
            c => {
                let _ = write!(out, "\\[u{:04X}]", u32::from(c));
            }
        }
    }
    out
}
