//! What can be wrong with a table. A program's test calls `faults` and wants nothing back.

use super::{Command, Flag, flags_of, path_name};

/// Every fault of the table under `root`, as one line each.
pub fn faults(root: &'static Command) -> Vec<String> {
    let mut out = Vec::new();
    walk(&mut vec![root], &mut out);
    out
}

fn walk(path: &mut Vec<&'static Command>, out: &mut Vec<String>) {
    let command = path[path.len() - 1];
    let here = path_name(path);
    let mut fault = |text: String| out.push(format!("{here}: {text}"));
    if command.summary.is_empty() || command.summary.ends_with('.') {
        fault("wants a summary without a full stop".into());
    }
    let mut words: Vec<&str> = Vec::new();
    for sub in command.subcommands {
        words.push(sub.name);
        words.extend(sub.aliases);
    }
    words.sort_unstable();
    for pair in words.windows(2).filter(|pair| pair[0] == pair[1]) {
        fault(format!("two subcommands {}", pair[0]));
    }
    if !command.subcommands.is_sorted_by_key(|c| c.name) {
        fault("subcommands are not sorted".into());
    }
    if !command.flags.is_sorted_by_key(|f| f.long) {
        fault("flags are not sorted".into());
    }
    let flags = flags_of(path);
    for (i, flag) in flags.iter().enumerate() {
        for other in &flags[i + 1..] {
            if flag.long == other.long || (flag.short.is_some() && flag.short == other.short) {
                fault(format!("--{} clashes with --{}", flag.long, other.long));
            }
        }
        for text in flag_faults(flag) {
            fault(format!("--{}: {text}", flag.long));
        }
    }
    let args = command.args;
    if args.iter().any(|a| a.help.is_empty()) {
        fault("an argument without help".into());
    }
    if args.iter().rev().skip(1).any(|a| a.many) {
        fault("only the last argument may take many words".into());
    }
    if args.windows(2).any(|w| !w[0].required && w[1].required) {
        fault("a required argument after an optional one".into());
    }
    for sub in command.subcommands {
        path.push(sub);
        walk(path, out);
        path.pop();
    }
}

fn flag_faults(flag: &Flag) -> Vec<&'static str> {
    let mut out = Vec::new();
    if flag.help.is_empty() || flag.help.ends_with('.') {
        out.push("wants a help text without a full stop");
    }
    if flag.negatable && flag.value.is_some() {
        out.push("only a switch can be negatable");
    }
    if flag.value.is_some_and(|v| v.name.is_empty()) {
        out.push("its value has no name");
    }
    out
}
