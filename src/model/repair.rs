//! Arguments of a tool call that are not quite JSON: cut off, with a comma too many, with a bare
//! line break in a string, wrapped in a string or a code fence. What can be read is kept, the rest
//! is left out; nothing is made up. One pass, bounded depth.

use crate::base::surrogate;
use serde_json::{Map, Value};

/// Deeper nesting is left out: no tool takes it, and the stack is small.
const MAX_DEPTH: usize = 64;

/// The arguments as an object; empty when there is none to be found.
pub(super) fn arguments(text: &str) -> Map<String, Value> {
    let text = &*surrogate::mend(text.trim());
    if text.is_empty() {
        return Map::new();
    }
    match serde_json::from_str(text) {
        Ok(Value::Object(map)) => return map,
        // Some servers put the object into a string once more.
        Ok(Value::String(inner)) => match serde_json::from_str(&inner) {
            Ok(Value::Object(map)) => return map,
            _ => return Map::new(),
        },
        Ok(_) => return Map::new(),
        Err(_) => {}
    }
    let Some(start) = text.find('{') else {
        return Map::new();
    };
    let mut reader = Reader {
        rest: &text[start..],
    };
    match reader.value(0) {
        Some(Value::Object(map)) => map,
        _ => Map::new(),
    }
}

struct Reader<'a> {
    rest: &'a str,
}

impl Reader<'_> {
    fn space(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn take(&mut self, c: char) -> bool {
        self.space();
        match self.rest.strip_prefix(c) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn value(&mut self, depth: usize) -> Option<Value> {
        self.space();
        if depth > MAX_DEPTH {
            // Nothing after it can be placed.
            self.rest = "";
            return None;
        }
        match self.rest.chars().next()? {
            '{' => Some(Value::Object(self.object(depth))),
            '[' => Some(Value::Array(self.array(depth))),
            '"' => self.string().map(Value::String),
            _ => self.scalar(),
        }
    }

    /// Ends at the closing brace, at the end of the text, or where nothing makes sense any more.
    fn object(&mut self, depth: usize) -> Map<String, Value> {
        let mut map = Map::new();
        self.take('{');
        loop {
            while self.take(',') {}
            if self.take('}') || !self.rest.starts_with('"') {
                return map;
            }
            let Some(key) = self.string() else { return map };
            if !self.take(':') {
                return map;
            }
            let Some(value) = self.value(depth + 1) else {
                return map;
            };
            map.insert(key, value);
        }
    }

    fn array(&mut self, depth: usize) -> Vec<Value> {
        let mut list = Vec::new();
        self.take('[');
        loop {
            while self.take(',') {}
            if self.take(']') {
                return list;
            }
            match self.value(depth + 1) {
                Some(value) => list.push(value),
                None => return list,
            }
        }
    }

    /// A string that may lack its end; control characters stand for themselves.
    fn string(&mut self) -> Option<String> {
        let body = self.rest.strip_prefix('"')?;
        let mut escaped = false;
        let mut end = body.len();
        for (at, c) in body.char_indices() {
            match c {
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                '"' => {
                    end = at;
                    break;
                }
                _ => {}
            }
        }
        self.rest = body.get(end + 1..).unwrap_or_default();
        Some(unescaped(&body[..end]))
    }

    /// A number or a word; a cut one is left out.
    fn scalar(&mut self) -> Option<Value> {
        let end = self
            .rest
            .find(|c: char| c.is_whitespace() || matches!(c, ',' | ']' | '}' | ':'))
            .unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        let value = match word {
            "True" => Value::Bool(true),
            "False" => Value::Bool(false),
            "None" => Value::Null,
            word => serde_json::from_str(word).ok()?,
        };
        self.rest = rest;
        Some(value)
    }
}

/// The text of a string's body. An escape that is none stands for itself, an unfinished one is
/// left out.
fn unescaped(body: &str) -> String {
    let quoted = format!("\"{}\"", whole(body));
    serde_json::from_str(&quoted).unwrap_or_else(|_| body.to_string())
}

/// `body` with what JSON does not allow in a string written as it does.
fn whole(body: &str) -> String {
    let mut out = String::with_capacity(body.len());
    let mut chars = body.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => match chars.next() {
                None => break,
                Some((_, 'u')) => {
                    let digits = body.get(at + 2..at + 6);
                    match digits {
                        Some(digits) if digits.bytes().all(|b| b.is_ascii_hexdigit()) => {
                            out.push_str("\\u");
                        }
                        Some(_) => out.push_str("\\\\u"),
                        None => break,
                    }
                }
                Some((_, e @ ('"' | '\\' | '/' | 'b' | 'f' | 'n' | 'r' | 't'))) => {
                    out.push('\\');
                    out.push(e);
                }
                Some((_, other)) => {
                    out.push_str("\\\\");
                    out.push(other);
                }
            },
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c < ' ' => {}
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> String {
        serde_json::to_string(&arguments(text)).unwrap()
    }

    #[test]
    fn good_json_is_taken_as_it_is() {
        assert_eq!(
            read(r#"{"a":[1,{"b":"\u00e9"}]}"#),
            r#"{"a":[1,{"b":"é"}]}"#
        );
        assert_eq!(read(" "), "{}");
        assert_eq!(read("[1]"), "{}");
        assert_eq!(read(r#""{\"a\":1}""#), r#"{"a":1}"#);
    }

    #[test]
    fn unfinished_arguments_are_completed_or_cut() {
        assert_eq!(read(r#"{"a":"x","b":"y"#), r#"{"a":"x","b":"y"}"#);
        assert_eq!(read(r#"{"a":[1,{"b":2"#), r#"{"a":[1,{"b":2}]}"#);
        assert_eq!(read(r#"{"a":1,"b":"#), r#"{"a":1}"#);
        assert_eq!(read(r#"{"a":1,"b":tru"#), r#"{"a":1}"#);
        assert_eq!(read(r#"{"a":1,"b"#), r#"{"a":1}"#);
        assert_eq!(read(r#"{"a":"x\"#), r#"{"a":"x"}"#);
        assert_eq!(read(r#"{"a":"x\u00"#), r#"{"a":"x"}"#);
        assert_eq!(read("nonsense"), "{}");
        assert_eq!(read("{"), "{}");
    }

    #[test]
    fn what_small_models_get_wrong_is_put_right() {
        assert_eq!(read("```json\n{\"a\": 1,}\n```"), r#"{"a":1}"#);
        assert_eq!(read("{\"a\":\"two\nlines\"}"), r#"{"a":"two\nlines"}"#);
        assert_eq!(
            read(r#"{"a":"C:\path","b":[1,]}"#),
            r#"{"a":"C:\\path","b":[1]}"#
        );
        assert_eq!(read(r#"{"a":True,"b":None,}"#), r#"{"a":true,"b":null}"#);
        assert_eq!(read(r#"{"a":1}}"#), r#"{"a":1}"#);
    }

    #[test]
    fn hostile_nesting_ends() {
        let deep = format!("{{\"a\":{}", "[".repeat(100_000));
        assert!(read(&deep).len() < 1000);
    }
}
