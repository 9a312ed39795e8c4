//! Walking a value along the tables: every fault with its place, in the original's words and
//! order (properties in table order, then unknown keys), and our hint beside it.

use super::kind::{Form, Key, Kind, Mark, Range};
use crate::config::{Issue, path};
use serde_json::{Map, Value};

/// A config with more faults than this is not repaired by reading about them all.
const MAX_ISSUES: usize = 200;

/// Whole numbers beyond this are not exact in JSON.
const MAX_SAFE: f64 = 9_007_199_254_740_991.0;

/// Everything wrong with `value`; `path` is where it stands.
pub fn check(kind: &Kind, value: &Value, path: &str) -> Vec<Issue> {
    let mut issues = Vec::new();
    walk(kind, Some(value), path, &mut issues);
    issues.truncate(MAX_ISSUES);
    issues
}

/// `value` with known keys first, in table order, and without what a `Stripped` table drops: the
/// order in which the original writes and shows a config.
pub fn in_table_order(kind: &Kind, value: Value) -> Value {
    let kind = kind.now();
    match (kind, value) {
        (Kind::Object(keys) | Kind::Stripped(keys), Value::Object(map)) => {
            let rest = matches!(kind, Kind::Object(_)).then_some(&Kind::Any);
            sorted(keys, rest, map)
        }
        (Kind::ObjectOr(keys, other), Value::Object(map)) => sorted(keys, Some(other), map),
        (Kind::Map(item) | Kind::Named(item), Value::Object(map)) => map
            .into_iter()
            .map(|(key, value)| (key, in_table_order(item, value)))
            .collect(),
        (Kind::List(item), Value::Array(list)) => list
            .into_iter()
            .map(|value| in_table_order(item, value))
            .collect(),
        (Kind::Union(kinds), value) => match kinds.iter().find(|k| fits(k, &value)) {
            Some(kind) => in_table_order(kind, value),
            None => value,
        },
        (_, value) => value,
    }
}

fn sorted(keys: &[Key], rest: Option<&Kind>, mut map: Map<String, Value>) -> Value {
    let mut out = Map::new();
    for key in keys {
        if let Some(value) = map.remove(key.name()) {
            out.insert(key.name().into(), in_table_order(&key.kind, value));
        }
    }
    if let Some(kind) = rest {
        out.extend(
            map.into_iter()
                .map(|(key, value)| (key, in_table_order(kind, value))),
        );
    }
    Value::Object(out)
}

pub fn fits(kind: &Kind, value: &Value) -> bool {
    check(kind, value, "").is_empty()
}

/// The kind that stands at `path`, for help and completion.
pub fn kind_at<'k>(kind: &'k Kind, path: &[String]) -> Option<&'k Kind> {
    let Some((first, rest)) = path.split_first() else {
        return Some(kind);
    };
    let below = match kind.now() {
        Kind::Any => kind,
        Kind::List(item) => first.parse::<usize>().ok().map(|_| *item)?,
        Kind::Map(item) | Kind::Named(item) => item,
        Kind::Object(keys) | Kind::Stripped(keys) => {
            &keys.iter().find(|key| key.name() == first)?.kind
        }
        Kind::ObjectOr(keys, other) => keys
            .iter()
            .find(|key| key.name() == first)
            .map_or(*other, |key| &key.kind),
        Kind::Union(kinds) => return kinds.iter().find_map(|kind| kind_at(kind, path)),
        _ => return None,
    };
    kind_at(below, rest)
}

/// Where an issue at `path` stands among all: as the tables list the keys, lists and maps in their
/// own order, what concerns a whole object after its parts.
pub fn rank(kind: &Kind, value: &Value, path: &str) -> Vec<usize> {
    let mut rank = Vec::new();
    let (mut kind, mut value) = (Some(kind), Some(value));
    let mut rest = path;
    while !rest.is_empty() {
        let map = value.and_then(Value::as_object);
        // A key may hold dots itself: the longest that is there counts.
        let whole = map.and_then(|map| {
            let starts = |key: &&String| {
                rest.strip_prefix(key.as_str())
                    .is_some_and(|after| after.is_empty() || after.starts_with('.'))
            };
            map.keys().filter(starts).max_by_key(|key| key.len())
        });
        let segment = match whole {
            Some(key) => &rest[..key.len()],
            None => rest.split('.').next().unwrap_or_default(),
        };
        rest = rest[segment.len()..].trim_start_matches('.');
        let known: &[Key] = match kind.map(Kind::now) {
            Some(Kind::Object(keys) | Kind::Stripped(keys) | Kind::ObjectOr(keys, _)) => keys,
            _ => &[],
        };
        let place = known.iter().position(|key| key.name() == segment);
        let own = || {
            let key = map.and_then(|map| map.keys().position(|key| key == segment));
            key.or_else(|| segment.parse().ok())
                .map_or(usize::MAX - 1, |at| known.len() + at)
        };
        rank.push(place.unwrap_or_else(own));
        kind = kind.and_then(|kind| kind_at(kind, &[segment.to_string()]));
        value = match value {
            Some(Value::Array(list)) => segment.parse().ok().and_then(|at: usize| list.get(at)),
            value => value.and_then(|value| value.get(segment)),
        };
    }
    rank.push(usize::MAX);
    rank
}

fn walk(kind: &Kind, value: Option<&Value>, path: &str, out: &mut Vec<Issue>) {
    if out.len() >= MAX_ISSUES {
        return;
    }
    let kind = kind.now();
    let mut say = |message: String| {
        let hint = Some(hint(kind, value, path)).filter(|hint| !hint.is_empty());
        out.push(Issue {
            path: path.into(),
            message,
            hint,
        });
    };
    let expected = |name: &str| {
        format!(
            "Invalid input: expected {name}, received {}",
            received(value)
        )
    };
    match kind {
        // `now` is never late.
        Kind::Any | Kind::Late(_) => {}
        Kind::Bool => {
            if !matches!(value, Some(Value::Bool(_))) {
                say(expected("boolean"));
            }
        }
        Kind::Text { min, max } => match value {
            Some(Value::String(text)) => {
                let length = text.chars().count();
                if length < *min {
                    say(format!(
                        "Too small: expected string to have >={min} characters"
                    ));
                } else if length > *max {
                    say(format!(
                        "Too big: expected string to have <={max} characters"
                    ));
                }
            }
            _ => say(expected("string")),
        },
        Kind::Form(form) => match value {
            Some(Value::String(text)) => {
                if !form.matches(text) {
                    say(form.complaint().into());
                }
            }
            _ => say(expected("string")),
        },
        Kind::Number(range) => match value.and_then(Value::as_f64) {
            Some(number) => {
                if let Some(complaint) = range.complaint(number) {
                    say(complaint);
                }
            }
            None => say(expected("number")),
        },
        Kind::Int(range) => whole(value, range, &mut say, &expected("number")),
        Kind::Port => {
            // Below, in the original's words; above is ours.
            let range = match value.and_then(Value::as_f64) {
                Some(n) if n > 65535.0 => Range::Between(1.0, 65535.0),
                _ => Range::Above(0.0),
            };
            whole(value, &range, &mut say, &expected("number"));
        }
        Kind::Choice(texts) => {
            if !one_of(texts, value) {
                say(format!("Invalid option: expected one of {}", list(texts)));
            }
        }
        Kind::Literals(texts) => {
            if !one_of(texts, value) {
                say(match texts {
                    [text] => format!("Invalid input: expected {text:?}"),
                    _ => "Invalid input".into(),
                });
            }
        }
        Kind::List(item) => match value {
            Some(Value::Array(list)) => {
                for (i, value) in list.iter().enumerate() {
                    walk(item, Some(value), &path::join(path, &i.to_string()), out);
                }
            }
            _ => say(expected("array")),
        },
        Kind::Map(item) | Kind::Named(item) => match value {
            Some(Value::Object(map)) => {
                for (key, value) in map {
                    let below = path::join(path, key);
                    if matches!(kind, Kind::Named(_)) && !is_named(key) {
                        out.push(Issue {
                            path: below.clone(),
                            message: "Invalid key in record".into(),
                            hint: Some(format!("got {key:?}, want only a-z, 0-9 and -")),
                        });
                    }
                    walk(item, Some(value), &below, out);
                }
            }
            _ => say(expected("record")),
        },
        Kind::Object(keys) | Kind::Stripped(keys) => match value {
            Some(Value::Object(map)) => {
                fields(keys, map, path, out);
                if matches!(kind, Kind::Object(_)) {
                    unknown(keys, map, path, out);
                }
            }
            _ => say(expected("object")),
        },
        Kind::ObjectOr(keys, other) => match value {
            Some(Value::Object(map)) => {
                fields(keys, map, path, out);
                for (key, value) in map {
                    if !keys.iter().any(|known| known.name() == key) {
                        walk(other, Some(value), &path::join(path, key), out);
                    }
                }
            }
            _ => say(expected("object")),
        },
        Kind::Union(kinds) => {
            if !value.is_some_and(|value| kinds.iter().any(|kind| fits(kind, value))) {
                say("Invalid input".into());
            }
        }
    }
}

fn fields(keys: &[Key], map: &Map<String, Value>, path: &str, out: &mut Vec<Issue>) {
    for key in keys {
        let value = map.get(key.name());
        if value.is_some() || key.mark == Mark::Required {
            walk(&key.kind, value, &path::join(path, key.name()), out);
        }
    }
}

fn unknown(keys: &[Key], map: &Map<String, Value>, path: &str, out: &mut Vec<Issue>) {
    let strange: Vec<&str> = map
        .keys()
        .map(String::as_str)
        .filter(|key| !keys.iter().any(|known| known.name() == *key))
        .collect();
    if strange.is_empty() {
        return;
    }
    let word = if strange.len() == 1 { "key" } else { "keys" };
    let near: Vec<String> = strange
        .iter()
        .filter_map(|key| nearest(key, keys))
        .map(|name| format!("{name:?}"))
        .collect();
    let hint = match near.is_empty() {
        true if keys.len() <= 12 => {
            let names: Vec<&str> = keys.iter().map(|key| key.name()).collect();
            Some(format!("known here: {}", names.join(", ")))
        }
        true => None,
        false => Some(format!("did you mean {}?", near.join(", "))),
    };
    let quoted: Vec<String> = strange.iter().map(|key| format!("{key:?}")).collect();
    out.push(Issue {
        path: path.into(),
        message: format!("Unrecognized {word}: {}", quoted.join(", ")),
        hint,
    });
}

fn whole(value: Option<&Value>, range: &Range, say: &mut dyn FnMut(String), expected: &str) {
    match value.and_then(Value::as_f64) {
        None => say(expected.into()),
        Some(number) if number.fract() != 0.0 => {
            say("Invalid input: expected int, received number".into());
        }
        Some(number) if number.abs() > MAX_SAFE => say(match number > 0.0 {
            true => format!("Too big: expected int to be <={MAX_SAFE}"),
            false => format!("Too small: expected int to be >=-{MAX_SAFE}"),
        }),
        Some(number) => {
            if let Some(complaint) = range.complaint(number) {
                say(complaint);
            }
        }
    }
}

fn one_of(texts: &[&str], value: Option<&Value>) -> bool {
    value
        .and_then(Value::as_str)
        .is_some_and(|text| texts.contains(&text))
}

fn list(texts: &[&str]) -> String {
    let quoted: Vec<String> = texts.iter().map(|text| format!("{text:?}")).collect();
    quoted.join("|")
}

fn is_named(key: &str) -> bool {
    let ok = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    !key.is_empty() && key.chars().all(ok)
}

pub fn received(value: Option<&Value>) -> &'static str {
    match value {
        None => "undefined",
        Some(Value::Null) => "null",
        Some(Value::Bool(_)) => "boolean",
        Some(Value::Number(_)) => "number",
        Some(Value::String(_)) => "string",
        Some(Value::Array(_)) => "array",
        Some(Value::Object(_)) => "object",
    }
}

/// `got "abc", want a whole number above 0`.
fn hint(kind: &Kind, value: Option<&Value>, path: &str) -> String {
    let want = want(kind);
    match value {
        Some(value) if crate::config::secrets::is_secret(path) => {
            format!("got {}, want {want}", received(Some(value)))
        }
        Some(value) => format!("got {}, want {want}", shown(value)),
        None => format!("missing, want {want}"),
    }
}

/// A scalar as written, cut short; of a container only what it is.
fn shown(value: &Value) -> String {
    const MAX: usize = 40;
    match value {
        Value::Array(_) => "a list".into(),
        Value::Object(_) => "an object".into(),
        Value::String(text) if text.chars().count() > MAX => {
            let cut: String = text.chars().take(MAX).collect();
            format!("{cut:?}…")
        }
        value => value.to_string(),
    }
}

/// What a kind accepts, in words.
pub fn want(kind: &Kind) -> String {
    match kind.now() {
        Kind::Any | Kind::Late(_) => "anything".into(),
        Kind::Bool => "true or false".into(),
        Kind::Text { min: 0, max } if *max == usize::MAX => "text".into(),
        Kind::Text { min: 0, max } => format!("text of at most {max} characters"),
        Kind::Text { .. } => "text that is not empty".into(),
        Kind::Form(Form::Color) => "a colour as RRGGBB".into(),
        Kind::Form(Form::E164) => "a telephone number as +15555550123".into(),
        Kind::Form(Form::Executable) => "the name or path of a program, without arguments".into(),
        Kind::Number(range) => format!("a number{}", range.words()),
        Kind::Int(range) => format!("a whole number{}", range.words()),
        Kind::Port => "a port from 1 to 65535".into(),
        Kind::Choice(texts) | Kind::Literals(texts) => texts.join(", "),
        Kind::List(item) => format!("a list of: {}", want(item)),
        Kind::Map(_) | Kind::Named(_) => "an object".into(),
        Kind::Object(keys) | Kind::Stripped(keys) | Kind::ObjectOr(keys, _) => {
            const SHOWN: usize = 4;
            let names: Vec<&str> = keys.iter().take(SHOWN).map(|key| key.name()).collect();
            let more = if keys.len() > SHOWN { ", …" } else { "" };
            format!("an object {{{}{more}}}", names.join(", "))
        }
        Kind::Union(kinds) => {
            let all: Vec<String> = kinds.iter().map(want).collect();
            all.join(" or ")
        }
    }
}

impl Range {
    fn complaint(&self, number: f64) -> Option<String> {
        let small = |bound: String| Some(format!("Too small: expected number to be {bound}"));
        match self {
            Range::Above(above) if number <= *above => small(format!(">{above}")),
            Range::From(min) | Range::Between(min, _) if number < *min => small(format!(">={min}")),
            Range::Between(_, max) if number > *max => {
                Some(format!("Too big: expected number to be <={max}"))
            }
            _ => None,
        }
    }

    fn words(&self) -> String {
        match self {
            Range::Free => String::new(),
            Range::Above(above) => format!(" above {above}"),
            Range::From(min) => format!(" of at least {min}"),
            Range::Between(min, max) => format!(" from {min} to {max}"),
        }
    }
}

impl Form {
    fn matches(self, text: &str) -> bool {
        match self {
            Form::Color => {
                let hex = text.strip_prefix('#').unwrap_or(text);
                hex.len() == 6 && hex.bytes().all(|b| b.is_ascii_hexdigit())
            }
            Form::E164 => text.strip_prefix('+').is_some_and(|digits| {
                (2..=15).contains(&digits.len())
                    && !digits.starts_with('0')
                    && digits.bytes().all(|b| b.is_ascii_digit())
            }),
            Form::Executable => is_executable(text.trim()),
        }
    }

    fn complaint(self) -> &'static str {
        match self {
            Form::Color => "expected hex color (RRGGBB)",
            Form::E164 => "expected E.164 format, e.g. +15555550123",
            Form::Executable => "expected safe executable name or path",
        }
    }
}

/// A path may hold blanks, a bare name only what names of programs are made of.
fn is_executable(text: &str) -> bool {
    if text.is_empty() || text.contains(|c: char| "\0\r\n;&|`$<>\"'".contains(c)) {
        return false;
    }
    let path = text.starts_with(['.', '~']) || text.contains(['/', '\\']);
    let plain = |c: char| c.is_ascii_alphanumeric() || "._+-".contains(c);
    path || (!text.starts_with('-') && text.chars().all(plain))
}

/// The known key that was probably meant: equal but for case and separators, or few letters away.
pub fn nearest(key: &str, keys: &[Key]) -> Option<&'static str> {
    let folded = |text: &str| {
        text.chars()
            .filter(|c| c.is_alphanumeric())
            .flat_map(char::to_lowercase)
            .collect::<String>()
    };
    let typed = folded(key);
    let bound = typed.len().div_ceil(3).clamp(1, 3);
    keys.iter()
        .map(|known| (distance(&typed, &folded(known.name())), known.name()))
        .filter(|(distance, _)| *distance <= bound)
        .min()
        .map(|(_, name)| name)
}

/// Edits from `a` to `b`; long keys are cut, they are near nothing.
pub fn distance(a: &str, b: &str) -> usize {
    const LONG: usize = 64;
    let b: Vec<char> = b.chars().take(LONG).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().take(LONG).enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
