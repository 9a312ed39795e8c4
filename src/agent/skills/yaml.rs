//! The part of YAML that front matter is written in: block mappings and lists, plain and quoted
//! texts, block texts, and values in braces. Anything else is an error, and the file
//! is no skill: better than a skill that is half understood.

use serde_json::{Map, Value};

/// Mappings within mappings.
const MAX_DEPTH: usize = 16;

/// A mapping.
pub fn parse(text: &str) -> Result<Map<String, Value>, String> {
    let mut reader = Reader {
        lines: text.lines().map(Line::of).collect(),
        at: 0,
    };
    let map = match reader.next_indent() {
        None => Map::new(),
        Some(indent) => reader.mapping(indent, 0)?,
    };
    match reader.next_indent() {
        None => Ok(map),
        Some(_) => Err(reader.fault("unexpected indentation")),
    }
}

struct Line<'a> {
    raw: &'a str,
    indent: usize,
    /// Without indentation and trailing spaces.
    text: &'a str,
}

impl<'a> Line<'a> {
    fn of(raw: &'a str) -> Line<'a> {
        let text = raw.trim_start_matches(' ');
        Line {
            raw,
            indent: raw.len() - text.len(),
            text: text.trim_end(),
        }
    }

    fn is_blank(&self) -> bool {
        self.text.is_empty() || self.text.starts_with('#')
    }
}

struct Reader<'a> {
    lines: Vec<Line<'a>>,
    at: usize,
}

impl<'a> Reader<'a> {
    /// The indentation of the next line that says something, which is then the present one.
    fn next_indent(&mut self) -> Option<usize> {
        while self.lines.get(self.at).is_some_and(Line::is_blank) {
            self.at += 1;
        }
        self.lines.get(self.at).map(|line| line.indent)
    }

    fn fault(&self, what: &str) -> String {
        format!("line {}: {what}", self.at + 1)
    }

    fn mapping(&mut self, indent: usize, depth: usize) -> Result<Map<String, Value>, String> {
        if depth > MAX_DEPTH {
            return Err(self.fault("too deep"));
        }
        let mut map = Map::new();
        while self.next_indent() == Some(indent) {
            let text = self.lines[self.at].text;
            if is_item(text) {
                break;
            }
            let (key, rest) = split_key(text).ok_or_else(|| self.fault("no `key: value`"))?;
            let value = self.value(rest, indent, depth)?;
            map.insert(key, value);
        }
        Ok(map)
    }

    /// The value that begins with `rest`, on the present line; moves past it.
    fn value(&mut self, rest: &'a str, indent: usize, depth: usize) -> Result<Value, String> {
        match rest.chars().next() {
            None => {
                self.at += 1;
                match self.next_indent() {
                    Some(inner) if inner > indent => self.nested(inner, depth),
                    // A list may stand as far left as its key.
                    Some(same) if same == indent && is_item(self.lines[self.at].text) => {
                        self.list(same, depth)
                    }
                    _ => Ok(Value::Null),
                }
            }
            Some('|' | '>') => Ok(Value::String(self.block(rest, indent))),
            Some(_) => self.inline(rest, indent),
        }
    }

    /// What stands below a key.
    fn nested(&mut self, indent: usize, depth: usize) -> Result<Value, String> {
        let text = self.lines[self.at].text;
        if is_item(text) {
            return self.list(indent, depth);
        }
        if !text.starts_with(['{', '[', '"', '\'']) && split_key(text).is_some() {
            return self.mapping(indent, depth + 1).map(Value::Object);
        }
        self.inline(text, indent.saturating_sub(1))
    }

    fn list(&mut self, indent: usize, depth: usize) -> Result<Value, String> {
        if depth > MAX_DEPTH {
            return Err(self.fault("too deep"));
        }
        let mut list = Vec::new();
        while self.next_indent() == Some(indent) && is_item(self.lines[self.at].text) {
            let text = self.lines[self.at].text;
            let rest = text[1..].trim_start();
            let inner = indent + (text.len() - rest.len());
            let plain = !rest.starts_with(['{', '[', '"', '\'']);
            list.push(if plain && split_key(rest).is_some() {
                // The first key of a mapping stands on the item's own line.
                let line = &mut self.lines[self.at];
                (line.indent, line.text) = (inner, rest);
                Value::Object(self.mapping(inner, depth + 1)?)
            } else {
                self.value(rest, indent, depth + 1)?
            });
        }
        Ok(Value::Array(list))
    }

    /// Braces, quotes or plain words, possibly over several lines.
    fn inline(&mut self, rest: &'a str, indent: usize) -> Result<Value, String> {
        let start = self.at;
        let mut text = rest.to_string();
        self.at += 1;
        loop {
            let whole = match text.as_bytes()[0] {
                b'{' | b'[' => is_balanced(&text),
                quote @ (b'"' | b'\'') => is_closed(&text, char::from(quote)),
                _ => {
                    let next = self.lines.get(self.at);
                    next.is_none_or(|line| line.is_blank() || line.indent <= indent)
                }
            };
            if whole {
                break;
            }
            let Some(line) = self.lines.get(self.at) else {
                break;
            };
            text.push(' ');
            text.push_str(line.text);
            self.at += 1;
        }
        scalar(&text).map_err(|what| format!("line {}: {what}", start + 1))
    }

    /// `|` keeps line breaks, `>` folds them; `-` leaves out the last.
    fn block(&mut self, mark: &str, indent: usize) -> String {
        let folded = mark.starts_with('>');
        let strip = mark[1..].starts_with('-');
        self.at += 1;
        let mut lines: Vec<&str> = Vec::new();
        let mut inner = None;
        while let Some(line) = self.lines.get(self.at) {
            let blank = line.raw.trim().is_empty();
            if !blank && line.indent <= indent {
                break;
            }
            let inner = *inner.get_or_insert(line.indent);
            lines.push(if blank {
                ""
            } else {
                line.raw.get(inner.min(line.indent)..).unwrap_or_default()
            });
            self.at += 1;
        }
        while lines.last().is_some_and(|line| line.is_empty()) {
            lines.pop();
        }
        let mut text = String::new();
        for (i, line) in lines.iter().enumerate() {
            if i > 0 {
                let breaks = !folded || line.is_empty() || lines[i - 1].is_empty();
                text.push(if breaks { '\n' } else { ' ' });
            }
            text.push_str(line);
        }
        if !strip && !text.is_empty() {
            text.push('\n');
        }
        text
    }
}

fn is_item(text: &str) -> bool {
    text == "-" || text.starts_with("- ")
}

/// Key and value of `key: value`; the key may be quoted.
fn split_key(text: &str) -> Option<(String, &str)> {
    if let Some(quote) = text.chars().next().filter(|c| *c == '"' || *c == '\'') {
        let (key, rest) = text[1..].split_once(quote)?;
        let rest = rest.trim_start().strip_prefix(':')?;
        return Some((key.to_string(), rest.trim_start()));
    }
    let at = text
        .find(": ")
        .or_else(|| text.ends_with(':').then(|| text.len() - 1))?;
    let key = text[..at].trim_end();
    let plain = !key.is_empty() && !key.starts_with(['{', '[', '&', '*', '!', '?', '%', '@', '`']);
    let rest = text[at + 1..].trim_start();
    let rest = if rest.starts_with('#') { "" } else { rest };
    plain.then(|| (key.to_string(), rest))
}

fn scalar(text: &str) -> Result<Value, String> {
    let text = text.trim();
    match text.as_bytes()[0] {
        b'{' | b'[' => {
            let mut flow = Flow { rest: text };
            let value = flow.value(0)?;
            after(flow.rest)?;
            Ok(value)
        }
        b'"' | b'\'' => {
            let (value, rest) = quoted(text)?;
            after(rest)?;
            Ok(Value::String(value))
        }
        b'&' | b'*' | b'!' | b'%' | b'@' | b'`' => Err("anchors and tags are not read".into()),
        _ => {
            let plain = text
                .split_once(" #")
                .map_or(text, |(plain, _)| plain)
                .trim_end();
            if plain.contains(": ") || plain.ends_with(':') {
                return Err("a text with a colon must be quoted".into());
            }
            Ok(typed(plain))
        }
    }
}

/// A plain word as what it looks like.
fn typed(plain: &str) -> Value {
    match plain {
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        "null" | "Null" | "NULL" | "~" | "" => Value::Null,
        _ => match plain.parse::<i64>() {
            Ok(number) => number.into(),
            Err(_) => Value::String(plain.into()),
        },
    }
}

/// A quoted text and what follows it.
fn quoted(text: &str) -> Result<(String, &str), String> {
    let quote = char::from(text.as_bytes()[0]);
    let end = closing(text, quote).ok_or("a quote is not closed")?;
    let value = match quote {
        '"' => json5::from_str(&text[..=end]).map_err(|err| err.to_string())?,
        _ => text[1..end].replace("''", "'"),
    };
    Ok((value, &text[end + 1..]))
}

/// Braces and brackets: JSON, and the same with plain words.
struct Flow<'a> {
    rest: &'a str,
}

impl<'a> Flow<'a> {
    /// The next character that is no space.
    fn peek(&mut self) -> Result<char, String> {
        self.rest = self.rest.trim_start();
        self.rest
            .chars()
            .next()
            .ok_or_else(|| "a brace is not closed".to_string())
    }

    fn take(&mut self, c: char) -> Result<bool, String> {
        let is_next = self.peek()? == c;
        if is_next {
            self.rest = &self.rest[c.len_utf8()..];
        }
        Ok(is_next)
    }

    fn value(&mut self, depth: usize) -> Result<Value, String> {
        if depth > MAX_DEPTH {
            return Err("too deep".into());
        }
        match self.peek()? {
            '{' => self.map(depth),
            '[' => self.list(depth),
            '"' | '\'' => self.quoted().map(Value::String),
            _ => Ok(typed(self.plain(&[',', ']', '}'])?)),
        }
    }

    fn map(&mut self, depth: usize) -> Result<Value, String> {
        self.take('{')?;
        let mut map = Map::new();
        while !self.take('}')? {
            let key = match self.peek()? {
                '"' | '\'' => self.quoted()?,
                _ => self.plain(&[':', ',', '}'])?.to_string(),
            };
            if !self.take(':')? {
                return Err(format!("no value for {key}"));
            }
            map.insert(key, self.value(depth + 1)?);
            if !self.take(',')? && self.peek()? != '}' {
                return Err("a comma is missing".into());
            }
        }
        Ok(Value::Object(map))
    }

    fn list(&mut self, depth: usize) -> Result<Value, String> {
        self.take('[')?;
        let mut list = Vec::new();
        while !self.take(']')? {
            list.push(self.value(depth + 1)?);
            if !self.take(',')? && self.peek()? != ']' {
                return Err("a comma is missing".into());
            }
        }
        Ok(Value::Array(list))
    }

    fn quoted(&mut self) -> Result<String, String> {
        let (value, rest) = quoted(self.rest)?;
        self.rest = rest;
        Ok(value)
    }

    /// A word up to one of `ends`.
    fn plain(&mut self, ends: &[char]) -> Result<&'a str, String> {
        let end = self.rest.find(ends).ok_or("a brace is not closed")?;
        let (word, rest) = self.rest.split_at(end);
        let word = word.trim_end();
        if word.is_empty() || word.starts_with(['{', '[', '&', '*', '!', '%', '@', '`']) {
            return Err("a word is missing".into());
        }
        self.rest = rest;
        Ok(word)
    }
}

/// Only a comment may follow a closed quote.
fn after(rest: &str) -> Result<(), String> {
    let rest = rest.trim_start();
    match rest.is_empty() || rest.starts_with('#') {
        true => Ok(()),
        false => Err("text after a closed quote".into()),
    }
}

fn is_closed(text: &str, quote: char) -> bool {
    closing(text, quote).is_some()
}

/// Where the quote that begins `text` ends.
fn closing(text: &str, quote: char) -> Option<usize> {
    let mut chars = text.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' if quote == '"' => {
                chars.next();
            }
            c if c == quote => match chars.peek() {
                Some((_, next)) if quote == '\'' && *next == quote => {
                    chars.next();
                }
                _ => return Some(at),
            },
            _ => {}
        }
    }
    None
}

/// Every brace and bracket outside of quotes is closed.
fn is_balanced(text: &str) -> bool {
    let mut open = 0i32;
    let mut quote = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(_), '\\') => {
                chars.next();
            }
            (Some(q), c) if c == q => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(c),
            (None, '{' | '[') => open += 1,
            (None, '}' | ']') => open -= 1,
            _ => {}
        }
    }
    open <= 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(text: &str) -> Value {
        Value::Object(parse(text).unwrap())
    }

    #[test]
    fn texts_are_plain_quoted_or_blocks() {
        assert_eq!(
            read(
                "name: a b # c\nsingle: 'it''s: x'\ndouble: \"q: # \\\"y\\\"\"\nflag: true\nn: 5\n\
                 fold: >\n  one\n  two\n\n  three\nkeep: |-\n  l1\n    l2\n\nlong: first\n  second\nnone:\n"
            ),
            json!({
                "name": "a b", "single": "it's: x", "double": "q: # \"y\"", "flag": true, "n": 5,
                "fold": "one two\n\nthree\n", "keep": "l1\n  l2", "long": "first second",
                "none": null
            })
        );
    }

    #[test]
    fn braces_are_read_on_one_line_and_on_many() {
        let want = json!({"m": {"openclaw": {"bins": ["a"], "emoji": "}"}}});
        assert_eq!(
            read("m: {\"openclaw\":{\"bins\":[\"a\"],\"emoji\":\"}\"}}"),
            want
        );
        assert_eq!(read("m: {openclaw: {bins: [a], emoji: '}'}}"), want);
        assert_eq!(
            read(
                "m:\n  {\n    \"openclaw\":\n      { \"bins\": [\"a\"], \"emoji\": \"}\", },\n  }\n"
            ),
            want
        );
    }

    #[test]
    fn mappings_and_lists_nest() {
        assert_eq!(
            read(
                "a:\n  b:\n    - x\n    - kind: brew\n      bins: [q]\n    -\n      k: v\n  c: d\nlist:\n- 1\n- two\n"
            ),
            json!({
                "a": {"b": ["x", {"kind": "brew", "bins": ["q"]}, {"k": "v"}], "c": "d"},
                "list": [1, "two"]
            })
        );
    }

    #[test]
    fn what_is_not_understood_is_refused_and_nothing_panics() {
        for bad in [
            "just words",
            "a: b: c",
            "a: &x y",
            "a: {b",
            "a: 'x",
            "a: \"x\" y",
            "  a: 1\n b: 2",
            "a: 1\n   b: 2\n",
            "a: [1, {]",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        let deep: String = (0..40).map(|n| format!("{}k:\n", " ".repeat(n))).collect();
        assert!(parse(&deep).is_err());
        assert!(parse("").unwrap().is_empty());
    }
}
