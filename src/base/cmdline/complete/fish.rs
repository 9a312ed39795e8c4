//! fish 3 and later.

use super::{Offer, forms, function, offer, places, steps};
use crate::base::cmdline::Command;
use std::fmt::Write;

pub fn script(root: &'static Command) -> String {
    let places = places(root);
    let name = root.name;
    let at = format!("__{}_at", function(name));
    let mut out = format!(
        "# fish completion for {name}; generated from its command table\n\
         function {at}\n\
         \x20   set -l at /\n\
         \x20   set -l skip 0\n\
         \x20   for word in (commandline -opc)[2..-1]\n\
         \x20       if test $skip = 1\n\
         \x20           set skip 0\n\
         \x20           continue\n\
         \x20       end\n\
         \x20       switch $at:$word\n"
    );
    for (patterns, leads_to) in steps(&places) {
        let act = leads_to.map_or("skip 1".into(), |place| format!("at {place}"));
        let _ = writeln!(
            out,
            "            case {}\n                set {act}",
            patterns.join(" ")
        );
    }
    let _ = writeln!(
        out,
        "        end\n    end\n    string match -q -- $argv[1] $at\nend\ncomplete -c {name} -f"
    );
    for place in &places {
        let here = format!("complete -c {name} -n '{at} {}'", place.at);
        for sub in place.command.shown_subcommands() {
            let _ = writeln!(out, "{here} -a {} -d {}", sub.name, quote(sub.summary));
        }
        for arg in place.command.args {
            match offer(arg.kind) {
                Offer::Words(words) => {
                    let _ = writeln!(out, "{here} -a '{}'", words.join(" "));
                }
                Offer::Files | Offer::Dirs => {
                    let _ = writeln!(out, "{here} -F");
                }
                Offer::Nothing => {}
            }
        }
        for flag in &place.flags {
            let action = match flag.value.map(|v| offer(v.kind)) {
                None => String::new(),
                Some(Offer::Words(words)) => format!(" -x -a '{}'", words.join(" ")),
                Some(Offer::Files) => " -r -F".into(),
                Some(Offer::Dirs) => " -x -a '(__fish_complete_directories)'".into(),
                Some(Offer::Nothing) => " -x".into(),
            };
            for form in forms(flag) {
                let form = match form.strip_prefix("--") {
                    Some(long) => format!("-l {long}"),
                    None => format!("-s {}", form.trim_start_matches('-')),
                };
                let _ = writeln!(out, "{here} {form}{action} -d {}", quote(flag.help));
            }
        }
    }
    out
}

fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}
