//! Paths into the configuration as people type them: `agents.list[0].id`,
//! `agents.defaults.models[openai/gpt-5.2].alias`, `a\.b.c`.

use serde_json::{Map, Value};
use std::fmt;

/// Deeper than any setting.
const MAX_SEGMENTS: usize = super::text::MAX_DEPTH;
/// Writing far past the end of a list would fill it with nulls.
const MAX_INDEX: usize = 10_000;

#[derive(Debug, PartialEq, Eq)]
pub enum Error {
    Empty,
    Unclosed(String),
    EmptyBrackets(String),
    TooLong(String),
    /// A key where a list wants a number.
    NotAnIndex(String),
    IndexTooLarge(String),
}

/// Dots separate, `[x]` is one segment as it stands, `\` takes the next character literally.
/// Empty segments are passed over.
pub fn parse(text: &str) -> Result<Vec<String>, Error> {
    let text = text.trim();
    let mut segments = Vec::new();
    let mut current = String::new();
    let mut chars = text.chars();
    let flush = |current: &mut String, segments: &mut Vec<String>| {
        let segment = current.trim().to_string();
        current.clear();
        if !segment.is_empty() {
            segments.push(segment);
        }
    };
    while let Some(c) = chars.next() {
        match c {
            '\\' => current.extend(chars.next()),
            '.' => flush(&mut current, &mut segments),
            '[' => {
                flush(&mut current, &mut segments);
                let rest = chars.as_str();
                let Some(end) = rest.find(']') else {
                    return Err(Error::Unclosed(text.into()));
                };
                let inside = rest[..end].trim();
                if inside.is_empty() {
                    return Err(Error::EmptyBrackets(text.into()));
                }
                segments.push(inside.into());
                chars = rest[end + 1..].chars();
            }
            c => current.push(c),
        }
    }
    flush(&mut current, &mut segments);
    match segments.len() {
        0 => Err(Error::Empty),
        n if n > MAX_SEGMENTS => Err(Error::TooLong(text.into())),
        _ => Ok(segments),
    }
}

/// The path of `key` below `path`, as issues and hints write it.
pub fn join(path: &str, key: &str) -> String {
    match path.is_empty() {
        true => key.into(),
        false => format!("{path}.{key}"),
    }
}

pub fn get<'v>(value: &'v Value, path: &[String]) -> Option<&'v Value> {
    path.iter().try_fold(value, |value, segment| match value {
        Value::Array(list) => list.get(index(segment)?),
        Value::Object(map) => map.get(segment),
        _ => None,
    })
}

/// Puts `new` at `path`, making what is missing on the way; a scalar in the way is replaced.
pub fn set(value: &mut Value, path: &[String], new: Value) -> Result<(), Error> {
    let Some((first, rest)) = path.split_first() else {
        *value = new;
        return Ok(());
    };
    if !value.is_array() && !value.is_object() {
        *value = match index(first) {
            Some(_) => Value::Array(Vec::new()),
            None => Value::Object(Map::new()),
        };
    }
    let slot = match value {
        Value::Array(list) => {
            let at = index(first).ok_or_else(|| Error::NotAnIndex(first.clone()))?;
            if at > MAX_INDEX {
                return Err(Error::IndexTooLarge(first.clone()));
            }
            if at >= list.len() {
                list.resize(at + 1, Value::Null);
            }
            &mut list[at]
        }
        Value::Object(map) => map.entry(first.clone()).or_insert(Value::Null),
        _ => return Err(Error::NotAnIndex(first.clone())),
    };
    set(slot, rest, new)
}

/// Removes the key or list element; `false` when there is none. Emptied parents stay.
pub fn unset(value: &mut Value, path: &[String]) -> bool {
    match (path, value) {
        ([last], Value::Array(list)) => match index(last).filter(|at| *at < list.len()) {
            Some(at) => {
                list.remove(at);
                true
            }
            None => false,
        },
        ([last], Value::Object(map)) => map.shift_remove(last).is_some(),
        ([first, rest @ ..], Value::Array(list)) => index(first)
            .and_then(|at| list.get_mut(at))
            .is_some_and(|next| unset(next, rest)),
        ([first, rest @ ..], Value::Object(map)) => {
            map.get_mut(first).is_some_and(|next| unset(next, rest))
        }
        _ => false,
    }
}

fn index(segment: &str) -> Option<usize> {
    let digits = !segment.is_empty() && segment.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| segment.parse().unwrap_or(usize::MAX))
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Empty => f.write_str("Path is empty."),
            Error::Unclosed(path) => write!(f, "Invalid path (missing \"]\"): {path}"),
            Error::EmptyBrackets(path) => write!(f, "Invalid path (empty \"[]\"): {path}"),
            Error::TooLong(path) => write!(
                f,
                "Invalid path (more than {MAX_SEGMENTS} segments): {:.80}…",
                path
            ),
            Error::NotAnIndex(segment) => {
                write!(f, "Expected numeric index for array segment \"{segment}\"")
            }
            Error::IndexTooLarge(segment) => {
                write!(
                    f,
                    "Index {segment:.20} is beyond {MAX_INDEX}, the longest list"
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_form_of_a_path_is_understood() {
        let of = |text| parse(text).unwrap().join("|");
        assert_eq!(of(" a . b [0].c "), "a|b|0|c");
        assert_eq!(of("m[openai/gpt-5.2].alias"), "m|openai/gpt-5.2|alias");
        assert_eq!(of(r"a\.b.c\\d"), r"a.b|c\d");
        assert_eq!(of(r#"a["x"]..b."#), r#"a|"x"|b"#);
        assert_eq!(
            parse("agents.list[").unwrap_err().to_string(),
            "Invalid path (missing \"]\"): agents.list["
        );
        assert_eq!(
            parse("a[ ]").unwrap_err().to_string(),
            "Invalid path (empty \"[]\"): a[ ]"
        );
        assert_eq!(parse(" . ").unwrap_err().to_string(), "Path is empty.");
        assert!(parse(&"a.".repeat(1000)).is_err());
    }

    #[test]
    fn parents_are_made_and_removal_splices() {
        let mut value = json!({"s": 1});
        let set = |value: &mut Value, path: &str, new: Value| {
            super::set(value, &parse(path).unwrap(), new)
        };
        set(&mut value, "a.b[1].c", json!(true)).unwrap();
        set(&mut value, "s.t", json!("x")).unwrap();
        assert_eq!(
            value,
            json!({"s": {"t": "x"}, "a": {"b": [null, {"c": true}]}})
        );
        assert!(unset(&mut value, &parse("a.b[0]").unwrap()));
        assert!(!unset(&mut value, &parse("a.b[7]").unwrap()));
        assert!(!unset(&mut value, &parse("a.x.y").unwrap()));
        assert!(unset(&mut value, &parse("s.t").unwrap()));
        assert_eq!(value, json!({"s": {}, "a": {"b": [{"c": true}]}}));
        assert_eq!(get(&value, &parse("a.b.0.c").unwrap()), Some(&json!(true)));
        assert_eq!(
            set(&mut value, "a.b.x", json!(1)).unwrap_err().to_string(),
            "Expected numeric index for array segment \"x\""
        );
        assert!(set(&mut value, "a.b[99999999999999999999999]", json!(1)).is_err());
    }
}
