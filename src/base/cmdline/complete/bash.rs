//! bash 3.2 and later, without the bash-completion package.

use super::{Offer, Place, forms, function, offer, places, steps};
use crate::base::cmdline::Command;
use std::fmt::Write;

pub fn script(root: &'static Command) -> String {
    let places = places(root);
    let name = root.name;
    let function = function(name);
    let mut out = format!(
        "# bash completion for {name}; generated from its command table\n\
         # shellcheck shell=bash disable=SC2207\n\
         _{function}() {{\n\
         \x20   local cur=${{COMP_WORDS[COMP_CWORD]}} prev=${{COMP_WORDS[COMP_CWORD-1]}}\n\
         \x20   local at=/ word words= flags= skip=0 i\n\
         \x20   COMPREPLY=()\n\
         \x20   # --flag=value arrives as three words\n\
         \x20   if [[ $cur == = ]]; then cur=; elif [[ $prev == = ]]; then prev=${{COMP_WORDS[COMP_CWORD-2]}}; fi\n\
         \x20   for ((i = 1; i < COMP_CWORD; i++)); do\n\
         \x20       word=${{COMP_WORDS[i]}}\n\
         \x20       if [[ $word == = ]]; then skip=1; continue; fi\n\
         \x20       if ((skip)); then skip=0; continue; fi\n\
         \x20       case $at:$word in\n"
    );
    for (patterns, leads_to) in steps(&places) {
        let act = leads_to.map_or("skip=1".into(), |place| format!("at={place}"));
        let _ = writeln!(out, "            {}) {act} ;;", patterns.join("|"));
    }
    out.push_str("        esac\n    done\n    case $at:$prev in\n");
    for place in &places {
        values(&mut out, place);
    }
    out.push_str("    esac\n    case $at in\n");
    for place in &places {
        let subs: Vec<&str> = place.command.shown_subcommands().map(|c| c.name).collect();
        let flags: Vec<String> = place.flags.iter().flat_map(|f| forms(f)).collect();
        let _ = writeln!(
            out,
            "        {}) words='{}' flags='{}' ;;",
            place.at,
            subs.join(" "),
            flags.join(" ")
        );
    }
    out.push_str(
        "    esac\n\
         \x20   if [[ $cur == -* ]]; then\n\
         \x20       COMPREPLY=($(compgen -W \"$flags\" -- \"$cur\"))\n\
         \x20       return\n\
         \x20   fi\n\
         \x20   COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n",
    );
    let mut files = Vec::new();
    for place in &places {
        for arg in place.command.args {
            match offer(arg.kind) {
                Offer::Words(words) => {
                    let _ = writeln!(
                        out,
                        "    [[ $at == {} ]] && COMPREPLY+=($(compgen -W '{}' -- \"$cur\"))",
                        place.at,
                        words.join(" ")
                    );
                }
                Offer::Files | Offer::Dirs => files.push(place.at.as_str()),
                Offer::Nothing => {}
            }
        }
    }
    if !files.is_empty() {
        let _ = writeln!(
            out,
            "    case $at in {}) COMPREPLY+=($(compgen -f -- \"$cur\")) ;; esac",
            files.join("|")
        );
    }
    let _ = writeln!(out, "    return 0\n}}\ncomplete -F _{function} {name}");
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
        let reply = match offer(value.kind) {
            Offer::Words(words) => format!(
                "COMPREPLY=($(compgen -W '{}' -- \"$cur\")); ",
                words.join(" ")
            ),
            Offer::Files => "COMPREPLY=($(compgen -f -- \"$cur\")); ".into(),
            Offer::Dirs => "COMPREPLY=($(compgen -d -- \"$cur\")); ".into(),
            Offer::Nothing => String::new(),
        };
        let _ = writeln!(out, "        {}) {reply}return ;;", patterns.join("|"));
    }
}
