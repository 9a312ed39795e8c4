//! zsh: a `#compdef` file for a folder of `$fpath`, that can also be sourced after `compinit`.

use super::{Offer, Place, forms, function, offer, places, steps};
use crate::base::cmdline::Command;
use std::fmt::Write;

pub fn script(root: &'static Command) -> String {
    let places = places(root);
    let name = root.name;
    let function = function(name);
    let mut out = format!(
        "#compdef {name}\n\
         # zsh completion for {name}; generated from its command table\n\
         _{function}() {{\n\
         \x20 local at=/ word skip=0 i cur=$words[CURRENT] prev=$words[CURRENT-1]\n\
         \x20 local -a subs flags\n\
         \x20 for ((i = 2; i < CURRENT; i++)); do\n\
         \x20   word=$words[i]\n\
         \x20   if ((skip)); then skip=0; continue; fi\n\
         \x20   case $at:$word in\n"
    );
    for (patterns, leads_to) in steps(&places) {
        let act = leads_to.map_or("skip=1".into(), |place| format!("at={place}"));
        let _ = writeln!(out, "      {}) {act} ;;", patterns.join("|"));
    }
    out.push_str("    esac\n  done\n  case $at:$prev in\n");
    for place in &places {
        values(&mut out, place);
    }
    out.push_str("  esac\n  case $at in\n");
    for place in &places {
        let _ = writeln!(out, "    {})", place.at);
        let subs: Vec<String> = place
            .command
            .shown_subcommands()
            .map(|c| described(c.name, c.summary))
            .collect();
        let _ = writeln!(out, "      subs=({})", subs.join(" "));
        let flags: Vec<String> = place
            .flags
            .iter()
            .flat_map(|f| forms(f).into_iter().map(|form| described(&form, f.help)))
            .collect();
        let _ = writeln!(out, "      flags=({}) ;;", flags.join(" "));
    }
    out.push_str(
        "  esac\n\
         \x20 if [[ $cur == -* ]]; then _describe -o option flags; return; fi\n\
         \x20 (($#subs)) && _describe command subs\n\
         \x20 case $at in\n",
    );
    for place in &places {
        for arg in place.command.args {
            let action = match offer(arg.kind) {
                Offer::Words(words) => format!("compadd -- {}", words.join(" ")),
                Offer::Files => "_files".into(),
                Offer::Dirs => "_files -/".into(),
                Offer::Nothing => continue,
            };
            let _ = writeln!(out, "    {}) {action} ;;", place.at);
        }
    }
    let _ = writeln!(
        out,
        "  esac\n}}\nif [[ $funcstack[1] == _{function} ]]; then\n  _{function} \"$@\"\nelse\n  \
         compdef _{function} {name}\nfi"
    );
    out
}

fn values(out: &mut String, place: &Place) {
    for flag in &place.flags {
        let Some(value) = &flag.value else {
            continue;
        };
        let patterns: Vec<String> = forms(flag)
            .iter()
            .map(|f| format!("{}:{f}", place.at))
            .collect();
        let action = match offer(value.kind) {
            Offer::Words(words) => format!("compadd -- {}", words.join(" ")),
            Offer::Files => "_files".into(),
            Offer::Dirs => "_files -/".into(),
            Offer::Nothing => format!("_message {}", quote(value.name)),
        };
        let _ = writeln!(out, "    {}) {action}; return ;;", patterns.join("|"));
    }
}

fn described(word: &str, help: &str) -> String {
    quote(&format!("{}:{help}", word.replace(':', "\\:")))
}

fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}
