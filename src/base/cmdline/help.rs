//! `--help`: 80 columns, no colour.

use super::{Arg, Command, Flag, HELP, VERSION, path_name};
use std::fmt::Write;

const WIDTH: usize = 80;
/// A left column wider than this gets its help on the next line.
const MAX_LEFT: usize = 30;

pub fn render(path: &[&'static Command]) -> String {
    let mut out = String::new();
    let Some(command) = path.last() else {
        return out;
    };
    let _ = writeln!(out, "Usage: {}", usage(path));
    let _ = writeln!(out, "\n{}.", command.summary);
    for paragraph in command.about.split("\n\n").filter(|p| !p.is_empty()) {
        out.push('\n');
        wrap(&mut out, paragraph, 0, 0);
    }
    if command.args.iter().any(|a| !a.help.is_empty()) {
        let rows = command.args.iter().map(|a| (arg(a), a.help.to_string()));
        table(&mut out, "Arguments", rows.collect());
    }
    let subs: Vec<(String, String)> = command
        .shown_subcommands()
        .map(|c| (c.name.to_string(), c.summary.to_string()))
        .collect();
    if !subs.is_empty() {
        table(&mut out, "Commands", subs);
    }
    let mut own: Vec<(String, String)> = command.shown_flags().map(row).collect();
    own.push(row(&HELP));
    if path.len() == 1 {
        own.push(row(&VERSION));
    }
    table(&mut out, "Options", own);
    let global: Vec<(String, String)> = super::flags_of(path)
        .into_iter()
        .filter(|f| f.global && !f.hidden && !command.flags.iter().any(|own| own.long == f.long))
        .map(row)
        .collect();
    if !global.is_empty() {
        table(&mut out, "Global options", global);
    }
    out
}

/// `openclaw gateway call [options] <method>`.
pub fn usage(path: &[&'static Command]) -> String {
    let mut out = path_name(path);
    out.push_str(" [options]");
    let Some(command) = path.last() else {
        return out;
    };
    if !command.subcommands.is_empty() {
        out.push_str(match command.runs() {
            true => " [command]",
            false => " <command>",
        });
    }
    for a in command.args {
        out.push(' ');
        out.push_str(&arg(a));
    }
    out
}

fn arg(arg: &Arg) -> String {
    let dots = if arg.many { "..." } else { "" };
    match arg.required {
        true => format!("<{}{dots}>", arg.name),
        false => format!("[{}{dots}]", arg.name),
    }
}

fn row(flag: &'static Flag) -> (String, String) {
    let mut left = match flag.short {
        Some(c) => format!("-{c}, --"),
        None => String::from("    --"),
    };
    if flag.negatable {
        left.push_str("[no-]");
    }
    left.push_str(flag.long);
    let mut right = flag.help.to_string();
    if let Some(value) = &flag.value {
        let _ = write!(left, " <{}>", value.name);
        if let super::Kind::Choice(words) = value.kind {
            let _ = write!(right, " ({})", words.join(", "));
        }
        if let Some(default) = value.default {
            let _ = write!(right, " [default: {default}]");
        }
    }
    (left, right)
}

fn table(out: &mut String, title: &str, rows: Vec<(String, String)>) {
    let left = rows
        .iter()
        .map(|(l, _)| l.chars().count())
        .filter(|n| *n <= MAX_LEFT)
        .max()
        .unwrap_or(MAX_LEFT);
    let _ = writeln!(out, "\n{title}:");
    for (l, r) in rows {
        let indent = left + 4;
        if l.chars().count() > left {
            let _ = writeln!(out, "  {l}");
            out.push_str(&" ".repeat(indent));
        } else {
            let _ = write!(out, "  {l:<left$}  ");
        }
        wrap(out, &r, indent, indent);
    }
}

/// Appends `text` folded to the width; the first line starts at column `at`.
fn wrap(out: &mut String, text: &str, at: usize, indent: usize) {
    let mut column = at;
    let mut first = true;
    for word in text.split_whitespace() {
        let len = word.chars().count();
        if !first && column + 1 + len > WIDTH {
            out.push('\n');
            out.push_str(&" ".repeat(indent));
            column = indent;
        } else if !first {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += len;
        first = false;
    }
    out.push('\n');
}
