//! Completion scripts. All three shells work alike: walk the words typed so far to find the command
//! (`/`, `/gateway`, `/gateway/call`), then offer the value of a flag that wants one, else flags or
//! subcommands of that command. A script is static text: completing starts no process.

mod bash;
mod fish;
mod zsh;

use super::{Command, Flag, Kind, flags_of};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shell {
    Bash,
    Fish,
    Zsh,
}

/// Their names as one types them.
pub const SHELLS: &[&str] = &["bash", "fish", "zsh"];

impl Shell {
    pub fn named(name: &str) -> Option<Shell> {
        Some(match name {
            "bash" => Shell::Bash,
            "fish" => Shell::Fish,
            "zsh" => Shell::Zsh,
            _ => return None,
        })
    }
}

pub fn script(root: &'static Command, shell: Shell) -> String {
    match shell {
        Shell::Bash => bash::script(root),
        Shell::Fish => fish::script(root),
        Shell::Zsh => zsh::script(root),
    }
}

/// One command as the scripts see it.
struct Place {
    /// `/` or `/gateway/call`.
    at: String,
    command: &'static Command,
    flags: Vec<&'static Flag>,
}

fn places(root: &'static Command) -> Vec<Place> {
    root.walk()
        .into_iter()
        .map(|path| Place {
            at: format!("/{}", super::path_name(&path[1..]).replace(' ', "/")),
            command: path[path.len() - 1],
            flags: flags_of(&path).into_iter().filter(|f| !f.hidden).collect(),
        })
        .collect()
}

/// What a word typed after the command at a place means: the patterns `place:word`, and the place
/// it leads to, or `None` when it is a flag whose value comes next.
fn steps(places: &[Place]) -> Vec<(Vec<String>, Option<String>)> {
    let patterns = |place: &Place, words: &[&str]| -> Vec<String> {
        words.iter().map(|w| format!("{}:{w}", place.at)).collect()
    };
    let mut steps = Vec::new();
    for place in places {
        let forms = place.value_forms();
        if !forms.is_empty() {
            let forms: Vec<&str> = forms.iter().map(String::as_str).collect();
            steps.push((patterns(place, &forms), None));
        }
    }
    for place in places {
        for sub in place.command.shown_subcommands() {
            let mut names = vec![sub.name];
            names.extend(sub.aliases);
            steps.push((patterns(place, &names), Some(place.child(sub.name))));
        }
    }
    steps
}

impl Place {
    fn child(&self, name: &str) -> String {
        format!("{}/{name}", self.at.trim_end_matches('/'))
    }

    /// The forms of the flags that take a value: `--url`, `-s`.
    fn value_forms(&self) -> Vec<String> {
        self.flags
            .iter()
            .filter(|f| f.value.is_some())
            .flat_map(|f| forms(f))
            .collect()
    }
}

/// `-h`, `--help`; for a negatable one also `--no-x`.
fn forms(flag: &Flag) -> Vec<String> {
    let mut out: Vec<String> = flag.short.map(|c| format!("-{c}")).into_iter().collect();
    out.push(format!("--{}", flag.long));
    if flag.negatable {
        out.push(format!("--no-{}", flag.long));
    }
    out
}

/// What to offer for a value or an argument.
fn offer(kind: Kind) -> Offer {
    match kind {
        Kind::Choice(words) => Offer::Words(words),
        Kind::File => Offer::Files,
        Kind::Dir => Offer::Dirs,
        Kind::Text | Kind::Number => Offer::Nothing,
    }
}

enum Offer {
    Words(&'static [&'static str]),
    Files,
    Dirs,
    Nothing,
}

/// A name that can be part of a shell function's name.
fn function(name: &str) -> String {
    name.replace(|c: char| !c.is_ascii_alphanumeric(), "_")
}
