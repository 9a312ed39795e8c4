//! Settings within a message: `/think high what is this?`.
//!
//! A message of nothing else sets them for the session; beside other words they hold for that
//! message and are not shown to the model. A slash word whose argument is none of its values is
//! part of the text, unless it is all there is.

use super::super::queue::{Mode, Overflow, Wish};
use super::super::{inbound, levels};
use super::find;

/// Settings in one message; more are text.
const MAX: usize = 16;
const MAX_DEBOUNCE_MS: f64 = 24.0 * 3600.0 * 1000.0;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    /// Command names and their argument words.
    pub items: Vec<(&'static str, Vec<String>)>,
    /// What is left.
    pub text: String,
}

impl Found {
    /// All of the message.
    pub fn is_all(&self) -> bool {
        !self.items.is_empty() && self.text.is_empty()
    }

    pub fn has(&self, names: &[&str]) -> bool {
        self.items.iter().any(|(name, _)| names.contains(name))
    }
}

/// Whether a command only ever sets something.
pub fn is_one(name: &str) -> bool {
    let all = [
        "think",
        "verbose",
        "reasoning",
        "elevated",
        "exec",
        "queue",
        "model",
    ];
    all.contains(&name)
}

/// `is_model` says whether a word names a model.
pub fn find_in(text: &str, is_model: &dyn Fn(&str) -> bool) -> Found {
    let words = words(text);
    let mut items = Vec::new();
    let mut kept: Vec<(usize, usize)> = Vec::new();
    let mut at = 0;
    while at < words.len() {
        let (start, end) = words[at];
        let taken = match items.len() < MAX {
            true => take(text, &words, at, is_model),
            false => None,
        };
        match taken {
            Some((name, args, next)) => {
                items.push((name, args));
                at = next;
            }
            None => {
                kept.push((start, end));
                at += 1;
            }
        }
    }
    if items.is_empty() {
        return Found {
            items,
            text: text.to_string(),
        };
    }
    Found {
        items,
        text: join(text, &kept),
    }
}

type Taken = (&'static str, Vec<String>, usize);

/// The directive that begins at word `at`, and the word after it.
fn take(
    text: &str,
    words: &[(usize, usize)],
    at: usize,
    is_model: &dyn Fn(&str) -> bool,
) -> Option<Taken> {
    let word = |i: usize| words.get(i).map(|(start, end)| &text[*start..*end]);
    let (name, tail) = word(at)?
        .strip_prefix('/')?
        .split_once(':')
        .unwrap_or((word(at)?.strip_prefix('/')?, ""));
    let name = find(name)?.name;
    let accepts: fn(&str) -> bool = match name {
        "think" => |w| inbound::thinking_level(w).is_some(),
        "verbose" => |w| levels::verbose(w).is_some(),
        "reasoning" => |w| levels::reasoning(w).is_some(),
        "elevated" => |w| levels::elevated(w).is_some(),
        "exec" => |w| exec_setting(w).is_some(),
        "queue" => |w| queue_word(w, &mut Wish::default()) || is_reset(w),
        "model" => |_| false,
        "status" => return tail.is_empty().then(|| (name, Vec::new(), at + 1)),
        _ => return None,
    };
    let accepts = |w: &str| match name {
        "model" => is_model(w) || matches!(w, "default" | "list" | "status"),
        _ => accepts(w),
    };
    let several = matches!(name, "exec" | "queue");
    let mut args = Vec::new();
    let mut next = at + 1;
    if !tail.is_empty() {
        args.push(tail.to_string());
    } else if word(next) == Some(":") {
        next += 1;
    }
    while let Some(arg) = word(next).filter(|_| several || args.is_empty()) {
        if !accepts(arg) {
            break;
        }
        args.push(arg.to_string());
        next += 1;
    }
    let alone = at == 0;
    if args.is_empty() || !args.iter().all(|arg| accepts(arg)) {
        // A question for the present value, or a value that is none: only as a whole message.
        let rest: Vec<String> = (next..words.len())
            .filter_map(word)
            .map(str::to_string)
            .collect();
        let most = if several { usize::MAX } else { 1 };
        if !alone || args.len() + rest.len() > most {
            return None;
        }
        args.extend(rest);
        next = words.len();
    }
    Some((name, args, next))
}

/// `host=gateway` and the like, as a field of the session and its value.
pub fn exec_setting(word: &str) -> Option<(&'static str, &str)> {
    let (name, value) = word.split_once('=')?;
    let field = match name.to_ascii_lowercase().as_str() {
        "host" => "execHost",
        "security" => "execSecurity",
        "ask" => "execAsk",
        "node" => "execNode",
        _ => return None,
    };
    (!value.is_empty()).then_some((field, value))
}

pub fn is_reset(word: &str) -> bool {
    ["default", "reset", "clear"]
        .iter()
        .any(|reset| word.eq_ignore_ascii_case(reset))
}

/// Takes a word of `/queue` into `wish`; false when it is none.
pub fn queue_word(word: &str, wish: &mut Wish) -> bool {
    let split = word.split_once([':', '=']);
    match split.map(|(name, value)| (name.to_ascii_lowercase(), value)) {
        None => match Mode::parse(word) {
            Some(mode) => wish.mode = Some(mode),
            None => return false,
        },
        Some((name, value)) => match name.as_str() {
            "debounce" => match milliseconds(value) {
                Some(ms) => wish.debounce_ms = Some(ms),
                None => return false,
            },
            "cap" => match value.parse().ok().filter(|cap| *cap > 0) {
                Some(cap) => wish.cap = Some(cap),
                None => return false,
            },
            "drop" => match Overflow::parse(value) {
                Some(drop) => wish.overflow = Some(drop),
                None => return false,
            },
            _ => return false,
        },
    }
    true
}

/// `500`, `500ms`, `2s`, `1m`.
fn milliseconds(text: &str) -> Option<u64> {
    let text = text.to_ascii_lowercase();
    let (number, factor) = match text.as_str() {
        t if t.ends_with("ms") => (&t[..t.len() - 2], 1.0),
        t if t.ends_with('s') => (&t[..t.len() - 1], 1000.0),
        t if t.ends_with('m') => (&t[..t.len() - 1], 60_000.0),
        t => (t, 1.0),
    };
    let ms = number.parse::<f64>().ok()? * factor;
    (0.0..=MAX_DEBOUNCE_MS).contains(&ms).then_some(ms as u64)
}

/// Where the words stand.
fn words(text: &str) -> Vec<(usize, usize)> {
    text.split_whitespace()
        .map(|word| {
            let start = word.as_ptr() as usize - text.as_ptr() as usize;
            (start, start + word.len())
        })
        .collect()
}

/// The kept words with the space that stood before each of them.
fn join(text: &str, kept: &[(usize, usize)]) -> String {
    let mut out = String::new();
    for (start, end) in kept {
        let before = &text[..*start];
        let space = &before[before.trim_end().len()..];
        if !out.is_empty() {
            out.push_str(space);
        }
        out.push_str(&text[*start..*end]);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> (Vec<String>, String) {
        let found = find_in(text, &|word| word.contains('/') || word == "opus");
        let items = found.items.iter();
        let items = items.map(|(name, args)| format!("{name} {}", args.join(" ")));
        (items.map(|i| i.trim().to_string()).collect(), found.text)
    }

    #[test]
    fn settings_beside_words_are_taken_out_and_the_layout_stays() {
        let (items, text) = found("/think high what\n  is this? /verbose:on");
        assert_eq!(items, ["think high", "verbose on"]);
        assert_eq!(text, "what\n  is this?");
        let (items, text) = found("fix it /model opus /queue steer cap:3 now /status");
        assert_eq!(items, ["model opus", "queue steer cap:3", "status"]);
        assert_eq!(text, "fix it now");
    }

    #[test]
    fn what_is_no_setting_stays_text() {
        for text in [
            "/think about it",
            "use /model here",
            "see /queue in the manual",
            "a\n\n  b",
            "/etc/hosts",
        ] {
            assert_eq!(found(text), (vec![], text.to_string()), "{text}");
        }
    }

    #[test]
    fn a_whole_message_may_ask_or_be_wrong() {
        assert_eq!(found("/think"), (vec!["think".into()], String::new()));
        assert_eq!(
            found("/t : hard"),
            (vec!["think hard".into()], String::new())
        );
        assert_eq!(
            found("/exec host=gateway ask=off"),
            (vec!["exec host=gateway ask=off".into()], String::new())
        );
        assert_eq!(
            found("/queue fast"),
            (vec!["queue fast".into()], String::new())
        );
        assert_eq!(
            found("/think high /verbose on"),
            (
                vec!["think high".into(), "verbose on".into()],
                String::new()
            )
        );
    }

    #[test]
    fn a_queues_words_are_read_in_any_order() {
        let mut wish = Wish::default();
        for word in ["debounce:2s", "Collect", "cap=5", "drop:summarize"] {
            assert!(queue_word(word, &mut wish), "{word}");
        }
        assert_eq!(wish.mode, Some(Mode::Collect));
        assert_eq!((wish.debounce_ms, wish.cap), (Some(2000), Some(5)));
        assert_eq!(wish.overflow, Some(Overflow::Summarize));
        for word in ["cap:0", "debounce:soon", "debounce:-1", "drop:all", "x:1"] {
            assert!(!queue_word(word, &mut wish), "{word}");
        }
    }
}
