//! Changing a JSON5 text so that it says another value and keeps what a person put into it:
//! comments, order, quotes, blank lines. What did not change is copied byte for byte.
//!
//! The result is read back; should it not say what it was to say, the plain form is written.

use super::text;
use serde_json::{Map, Value};

/// Whether there is something in the text that the plain form would lose.
pub fn has_comments(raw: &str) -> bool {
    let bytes = raw.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            quote @ (b'"' | b'\'') => at = string_end(bytes, at, quote),
            b'/' if matches!(bytes.get(at + 1), Some(b'/' | b'*')) => return true,
            _ => at += 1,
        }
    }
    false
}

/// `raw` changed to say `new`; `None` when `raw` is no JSON5.
pub fn rewrite(raw: &str, new: &Value) -> Option<String> {
    text::parse(raw).ok()?;
    let mut reader = Reader { raw, at: 0 };
    reader.blank();
    let root = reader.node()?;
    let mut edits = Vec::new();
    change(raw, &root, new, &mut edits);
    edits.sort_by_key(|edit| edit.start);
    let mut out = String::with_capacity(raw.len());
    let mut at = 0;
    for edit in edits {
        // Two members taken out one after the other may share a line end.
        out.push_str(raw.get(at..edit.start.max(at))?);
        out.push_str(&edit.put);
        at = edit.end.max(at);
    }
    out.push_str(&raw[at..]);
    (text::parse(&out).as_ref() == Ok(new)).then_some(out)
}

/// A value and where it stands.
struct Node {
    start: usize,
    end: usize,
    value: Value,
    parts: Parts,
}

enum Parts {
    Scalar,
    Object(Vec<Part>),
    Array(Vec<Part>),
}

struct Part {
    /// Empty in an array.
    key: String,
    /// Where the key, or the item, begins.
    start: usize,
    node: Node,
    /// After the comma, when there is one.
    after: usize,
    comma: bool,
}

struct Edit {
    start: usize,
    end: usize,
    put: String,
}

fn change(raw: &str, node: &Node, new: &Value, edits: &mut Vec<Edit>) {
    if node.value == *new {
        return;
    }
    match (&node.parts, new) {
        (Parts::Object(parts), Value::Object(map)) if is_plain(node, parts) => {
            let known = |key: &str| parts.iter().any(|part| part.key == key);
            let added: Vec<String> = map
                .iter()
                .filter(|(key, _)| !known(key))
                .map(|(key, value)| format!("{}: {}", Value::from(key.as_str()), pretty(value)))
                .collect();
            for (i, part) in parts.iter().enumerate() {
                match map.get(&part.key) {
                    Some(value) => change(raw, &part.node, value, edits),
                    // What is added begins where the last one ends.
                    None if i + 1 == parts.len() && !added.is_empty() => {
                        edits.push(cut_last(raw, part));
                    }
                    None => edits.push(cut(raw, part)),
                }
            }
            let last_stays = parts.last().is_some_and(|part| map.contains_key(&part.key));
            add(raw, node, parts, last_stays, &added, edits);
        }
        (Parts::Array(parts), Value::Array(list)) => {
            let common = parts.len().min(list.len());
            for (part, value) in parts.iter().zip(list) {
                change(raw, &part.node, value, edits);
            }
            edits.extend(parts[common..].iter().map(|part| cut(raw, part)));
            let added: Vec<String> = list[common..].iter().map(pretty).collect();
            add(raw, node, parts, true, &added, edits);
        }
        _ => edits.push(Edit {
            start: node.start,
            end: node.end,
            put: indented(&pretty(new), indent_at(raw, node.start)),
        }),
    }
}

/// No key twice: with two of a kind only the last one counts, and a change of it would not show
/// when the other were cut.
fn is_plain(node: &Node, parts: &[Part]) -> bool {
    node.value.as_object().map(Map::len) == Some(parts.len())
}

/// Takes a member out, and its line when nothing else is on it.
fn cut(raw: &str, part: &Part) -> Edit {
    let before = &raw[..part.start];
    let blank = before.len() - before.trim_end_matches([' ', '\t']).len();
    let starts_line = before[..before.len() - blank].ends_with('\n');
    let mut end = part.after;
    let rest = &raw[end..];
    let line = &rest[..rest.find('\n').unwrap_or(rest.len())];
    let remark = line.trim_start();
    let whole = starts_line && (remark.is_empty() || remark.starts_with("//"));
    if whole {
        end += line.len() + usize::from(rest.len() > line.len());
    }
    Edit {
        start: if whole {
            part.start - blank
        } else {
            part.start
        },
        end,
        put: String::new(),
    }
}

/// Takes the last member out, and what is before it on its line.
fn cut_last(raw: &str, part: &Part) -> Edit {
    let before = raw[..part.start].trim_end_matches([' ', '\t']);
    let rest = &raw[part.after..];
    let alone = rest.trim_start_matches([' ', '\t']).starts_with('\n');
    Edit {
        start: before.len() - usize::from(alone && before.ends_with('\n')),
        end: part.after,
        put: String::new(),
    }
}

/// Puts members behind the last one, before the closing bracket.
fn add(
    raw: &str,
    node: &Node,
    parts: &[Part],
    last_stays: bool,
    added: &[String],
    edits: &mut Vec<Edit>,
) {
    if added.is_empty() {
        return;
    }
    let close = node.end - 1;
    let inside = &raw[node.start + 1..close];
    let lines = inside.contains('\n');
    let outer = indent_at(raw, node.start);
    if let Some(last) = parts.last().filter(|last| last_stays && !last.comma) {
        edits.push(Edit {
            start: last.node.end,
            end: last.node.end,
            put: ",".into(),
        });
    }
    let inner = match parts.first() {
        Some(first) if lines => indent_at(raw, first.start),
        _ => outer + 2,
    };
    // After the last thing that is said, comments included.
    let at = node.start + 1 + inside.trim_end().len();
    let mut put = String::new();
    for (i, text) in added.iter().enumerate() {
        if i > 0 {
            put.push(',');
        }
        match lines || parts.is_empty() {
            true => put.push_str(&format!("\n{}", " ".repeat(inner))),
            false => put.push(' '),
        }
        put.push_str(&indented(text, inner));
    }
    if parts.is_empty() && !lines {
        put.push_str(&format!("\n{}", " ".repeat(outer)));
    }
    edits.push(Edit {
        start: at,
        end: close.min(at),
        put,
    });
}

/// How far the line with `at` on it is indented.
fn indent_at(raw: &str, at: usize) -> usize {
    let line = &raw[raw[..at].rfind('\n').map_or(0, |n| n + 1)..];
    line.len() - line.trim_start_matches([' ', '\t']).len()
}

fn pretty(value: &Value) -> String {
    text::pretty(value).trim_end().to_string()
}

fn indented(text: &str, by: usize) -> String {
    text.replace('\n', &format!("\n{}", " ".repeat(by)))
}

fn string_end(bytes: &[u8], start: usize, quote: u8) -> usize {
    let mut at = start + 1;
    while at < bytes.len() && bytes[at] != quote {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(bytes.len())
}

/// Reads a text that is known to be JSON5 and not nested too deep; `None` would be a bug here.
struct Reader<'t> {
    raw: &'t str,
    at: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<char> {
        self.raw.get(self.at..)?.chars().next()
    }

    /// Passes over white space and comments.
    fn blank(&mut self) {
        while let Some(c) = self.peek() {
            let rest = &self.raw[self.at..];
            if let Some(comment) = rest.strip_prefix("//") {
                self.at += 2 + comment
                    .find(['\n', '\r', '\u{2028}', '\u{2029}'])
                    .unwrap_or(comment.len());
            } else if let Some(comment) = rest.strip_prefix("/*") {
                self.at += 2 + comment.find("*/").map_or(comment.len(), |end| end + 2);
            } else if c.is_whitespace() || c == '\u{feff}' {
                self.at += c.len_utf8();
            } else {
                return;
            }
        }
    }

    fn node(&mut self) -> Option<Node> {
        match self.peek()? {
            '{' => self.parts('}', true),
            '[' => self.parts(']', false),
            _ => self.scalar(),
        }
    }

    fn parts(&mut self, close: char, keyed: bool) -> Option<Node> {
        let start = self.at;
        self.at += 1;
        let mut parts = Vec::new();
        loop {
            self.blank();
            if self.peek()? == close {
                self.at += 1;
                break;
            }
            let begun = self.at;
            let key = match keyed {
                true => self.key()?,
                false => String::new(),
            };
            let node = self.node()?;
            self.blank();
            let comma = self.peek()? == ',';
            self.at += usize::from(comma);
            parts.push(Part {
                key,
                start: begun,
                after: if comma { self.at } else { node.end },
                node,
                comma,
            });
        }
        let of = |part: &Part| part.node.value.clone();
        let value = match keyed {
            true => parts
                .iter()
                .map(|part| (part.key.clone(), of(part)))
                .collect(),
            false => parts.iter().map(of).collect(),
        };
        Some(Node {
            start,
            end: self.at,
            value,
            parts: match keyed {
                true => Parts::Object(parts),
                false => Parts::Array(parts),
            },
        })
    }

    /// A key and the colon behind it.
    fn key(&mut self) -> Option<String> {
        let start = self.at;
        self.word();
        let word = &self.raw[start..self.at];
        // The parser knows quotes and escapes.
        let one = text::parse(&format!("{{{word}:0}}")).ok()?;
        let key = one.as_object()?.keys().next()?.clone();
        self.blank();
        (self.peek()? == ':').then(|| self.at += 1)?;
        self.blank();
        Some(key)
    }

    fn scalar(&mut self) -> Option<Node> {
        let start = self.at;
        self.word();
        Some(Node {
            start,
            end: self.at,
            value: text::parse(&self.raw[start..self.at]).ok()?,
            parts: Parts::Scalar,
        })
    }

    /// A string, or everything up to the next punctuation.
    fn word(&mut self) {
        let bytes = self.raw.as_bytes();
        if let Some(quote @ (b'"' | b'\'')) = bytes.get(self.at) {
            self.at = string_end(bytes, self.at, *quote);
            return;
        }
        while let Some(c) = self.peek() {
            if c.is_whitespace() || c == '\u{feff}' || ",:]}/".contains(c) {
                return;
            }
            self.at += c.len_utf8();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const RAW: &str = "\
// mine
{
  gateway: { port: 18789, mode: 'local' }, // the port
  /* agents */
  agents: {
    list: [
      { id: 'a' }, // first
      { id: 'b' }
    ],
    // none yet
  },
  env: {},
  ui: {seamColor: '#00aa00'} // green
}
";

    fn value() -> Value {
        text::parse(RAW).unwrap()
    }

    #[test]
    fn comments_and_order_survive_a_change() {
        let mut new = value();
        new["gateway"]["port"] = json!(1);
        new["agents"]["list"][1] = json!({"id": "b", "default": true});
        new["agents"]["defaults"] = json!({"workspace": "/w"});
        new["env"]["A"] = json!("x");
        new.as_object_mut().unwrap().shift_remove("ui");
        new["meta"] = json!({"lastTouchedVersion": "1"});
        let out = rewrite(RAW, &new).unwrap();
        assert_eq!(
            out,
            "\
// mine
{
  gateway: { port: 1, mode: 'local' }, // the port
  /* agents */
  agents: {
    list: [
      { id: 'a' }, // first
      { id: 'b', \"default\": true }
    ],
    // none yet
    \"defaults\": {
      \"workspace\": \"/w\"
    }
  },
  env: {
    \"A\": \"x\"
  },
 // green
  \"meta\": {
    \"lastTouchedVersion\": \"1\"
  }
}
"
        );
    }

    #[test]
    fn an_unchanged_value_is_the_same_text() {
        assert_eq!(rewrite(RAW, &value()).unwrap(), RAW);
        assert!(has_comments(RAW));
        assert!(!has_comments("{\"a\": \"http://x\", 'b': '/* \\' */'}"));
        assert_eq!(rewrite("{oops", &json!({})), None);
    }

    #[test]
    fn odd_texts_end_in_what_they_should_say() {
        for (raw, new) in [
            ("{a:1,a:2}", json!({"a": 3})),
            ("{a:1,a:2,b:3}", json!({"b": 3})),
            ("[1,2,3] // x", json!([1])),
            ("{'a\\u0062':[1,],}", json!({"ab": [1, 2], "c": {}})),
            ("{a:1 /* x */}", json!({"a": 1, "b": 2})),
            ("{a:1 // x\n}", json!({"a": 1, "b": 2})),
            ("{// x\n}", json!({"b": 2})),
            ("{a:{b:+1,c:.5,d:0x10}}", json!({"a": {"b": 2, "d": 16}})),
            ("{a:'x\\\ny'}", json!({"a": "xy", "b": null})),
            ("1", json!({"a": 1})),
            ("{a:1, b:2, c:3}", json!({"b": 2})),
        ] {
            let out = rewrite(raw, &new).unwrap_or_else(|| panic!("{raw} -> {new}"));
            assert_eq!(text::parse(&out).unwrap(), new, "{out}");
        }
    }

    /// Numbers that look random and are the same each time.
    struct Dice(u64);

    impl Dice {
        fn below(&mut self, n: usize) -> usize {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            (self.0 % n as u64) as usize
        }

        fn value(&mut self, depth: usize) -> Value {
            const TEXTS: [&str; 6] = ["", "a", "// no", "/* no */", "\"'\\", "\n\u{2028}é"];
            match self.below(if depth > 3 { 4 } else { 7 }) {
                0 => json!(self.below(100)),
                1 => json!(TEXTS[self.below(6)]),
                2 => json!(self.below(2) == 0),
                3 => Value::Null,
                4 => (0..self.below(4)).map(|_| self.value(depth + 1)).collect(),
                _ => (0..self.below(4))
                    .map(|_| (self.key(), self.value(depth + 1)))
                    .collect(),
            }
        }

        fn key(&mut self) -> String {
            const KEYS: [&str; 7] = ["a", "b", "c.d", "e f", "openai/gpt", "\"", "é"];
            KEYS[self.below(7)].into()
        }

        /// As a person might have written it.
        fn text(&mut self, value: &Value) -> String {
            let mut out = String::new();
            let blank = |dice: &mut Dice| {
                const BLANKS: [&str; 6] = ["", " ", "\n  ", " // x }\n", "/* { */", "\t"];
                BLANKS[dice.below(6)]
            };
            match value {
                Value::Array(list) => {
                    out.push('[');
                    for item in list {
                        out.push_str(blank(self));
                        out.push_str(&self.text(item));
                        out.push_str(blank(self));
                        out.push(',');
                    }
                    out.push_str(blank(self));
                    out.push(']');
                }
                Value::Object(map) => {
                    out.push('{');
                    for (i, (key, item)) in map.iter().enumerate() {
                        out.push_str(blank(self));
                        match key.as_str() {
                            "a" | "b" | "é" => out.push_str(key),
                            key => out.push_str(&Value::from(key).to_string()),
                        }
                        out.push_str(blank(self));
                        out.push(':');
                        out.push_str(blank(self));
                        out.push_str(&self.text(item));
                        out.push_str(blank(self));
                        if i + 1 < map.len() || self.below(2) == 0 {
                            out.push(',');
                        }
                    }
                    out.push_str(blank(self));
                    out.push('}');
                }
                scalar => out.push_str(&scalar.to_string()),
            }
            out
        }
    }

    #[test]
    fn any_edits_of_the_text_are_the_same_edits_of_the_value() {
        use crate::config::path;
        let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
        let mut rewritten = 0;
        for _ in 0..400 {
            let mut value = json!({"a": dice.value(0), "b": dice.value(0), "é": dice.value(0)});
            let mut raw = dice.text(&value);
            assert_eq!(text::parse(&raw).as_ref(), Ok(&value), "{raw}");
            for _ in 0..6 {
                let path: Vec<String> = (0..1 + dice.below(3))
                    .map(|_| match dice.below(3) {
                        0 => dice.below(3).to_string(),
                        _ => dice.key(),
                    })
                    .collect();
                match dice.below(2) {
                    // A key where a list wants a number changes nothing, in either.
                    0 => drop(path::set(&mut value, &path, dice.value(2))),
                    _ => drop(path::unset(&mut value, &path)),
                }
                raw = rewrite(&raw, &value).unwrap_or_else(|| panic!("{raw}\n-> {value}"));
                assert_eq!(text::parse(&raw).as_ref(), Ok(&value), "{raw}");
                rewritten += 1;
            }
        }
        assert_eq!(rewritten, 2400);
    }
}
