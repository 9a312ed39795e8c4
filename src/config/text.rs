//! JSON5 text to a value: bounded, with error texts as the original's parser words them.

use json5::ErrorCode;
use serde_json::{Map, Number, Value};

/// No configuration nests deeper; the parser recurses, so its stack is what this protects.
pub const MAX_DEPTH: usize = 64;

/// Why a text is no JSON5: `JSON5: invalid character '}' at 3:7`.
pub fn parse(text: &str) -> Result<Value, String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if let Some(at) = too_deep(text) {
        let (line, column) = position(&text[..at]);
        return Err(format!(
            "JSON5: nested deeper than {MAX_DEPTH} levels at {line}:{column}"
        ));
    }
    match json5::from_str::<Value>(text) {
        Ok(value) => Ok(plain_numbers(value)),
        Err(err) => Err(reworded(text, &err)),
    }
}

/// `parse`, with the class name that the original's messages carry.
pub fn parse_or_syntax_error(text: &str) -> Result<Value, String> {
    parse(text).map_err(|err| format!("SyntaxError: {err}"))
}

/// Strict JSON with 2 spaces and a final newline: how every file is written.
pub fn pretty(value: &Value) -> String {
    let mut text = serde_json::to_string_pretty(value).expect("a JSON value is printable");
    text.push('\n');
    text
}

/// As in JavaScript `1.0` and `1e3` are whole numbers.
fn plain_numbers(value: Value) -> Value {
    const EXACT: f64 = 9_007_199_254_740_991.0;
    match value {
        Value::Number(number) if number.is_f64() => match number.as_f64() {
            Some(n) if n.fract() == 0.0 && n.abs() <= EXACT => Value::Number((n as i64).into()),
            _ => Value::Number(number),
        },
        Value::Array(list) => list.into_iter().map(plain_numbers).collect(),
        Value::Object(map) => map
            .into_iter()
            .map(|(key, value)| (key, plain_numbers(value)))
            .collect::<Map<_, _>>()
            .into(),
        value => value,
    }
}

/// A number as the configuration holds it.
pub fn number(n: u64) -> Value {
    Value::Number(Number::from(n))
}

fn reworded(text: &str, err: &json5::Error) -> String {
    let Some(code) = err.code() else {
        return format!("JSON5: {err}");
    };
    let ended = matches!(
        code,
        ErrorCode::EofParsingArray
            | ErrorCode::EofParsingBool
            | ErrorCode::EofParsingComment
            | ErrorCode::EofParsingEscapeSequence
            | ErrorCode::EofParsingIdentifier
            | ErrorCode::EofParsingNull
            | ErrorCode::EofParsingNumber
            | ErrorCode::EofParsingObject
            | ErrorCode::EofParsingString
            | ErrorCode::EofParsingValue
    );
    let place = err.position();
    let found = place.and_then(|at| {
        let line = text.split_inclusive('\n').nth(at.line)?;
        let mut column = at.column;
        if code == ErrorCode::InvalidEscapeSequence {
            // Reported where the escape starts; the original names the letter that is no digit.
            let digits = line.chars().skip(column + 2);
            column += 2 + digits.take_while(char::is_ascii_hexdigit).count();
        }
        if code == ErrorCode::LeadingZero {
            column += 1;
        }
        Some((line.chars().nth(column)?, at.line + 1, column + 1))
    });
    match found {
        // The original counts a line end as the start of the next line.
        Some(('\n', line, _)) if !ended => {
            format!("JSON5: invalid character '\\n' at {}:0", line + 1)
        }
        Some((char, line, column)) if !ended => {
            format!(
                "JSON5: invalid character {} at {line}:{column}",
                quoted(char)
            )
        }
        _ => {
            let (line, column) = position(text);
            format!("JSON5: invalid end of input at {line}:{column}")
        }
    }
}

fn quoted(char: char) -> String {
    match char {
        '\'' => "'\\''".into(),
        '\n' => "'\\n'".into(),
        '\r' => "'\\r'".into(),
        '\t' => "'\\t'".into(),
        char => format!("'{char}'"),
    }
}

/// Line and column after `text`, counted from 1.
fn position(text: &str) -> (usize, usize) {
    let line = text.matches('\n').count() + 1;
    let last = text.rsplit('\n').next().unwrap_or_default();
    (line, last.chars().count() + 1)
}

/// Where the nesting passes the bound, looking past strings and comments.
fn too_deep(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut depth = 0usize;
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'[' | b'{' => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return Some(at);
                }
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            quote @ (b'"' | b'\'') => {
                at += 1;
                while at < bytes.len() && bytes[at] != quote {
                    at += if bytes[at] == b'\\' { 2 } else { 1 };
                }
            }
            b'/' if bytes.get(at + 1) == Some(&b'/') => {
                while at < bytes.len() && bytes[at] != b'\n' {
                    at += 1;
                }
            }
            b'/' if bytes.get(at + 1) == Some(&b'*') => {
                let rest = &text.as_bytes()[at + 2..];
                at += 3 + rest
                    .windows(2)
                    .position(|w| w == b"*/")
                    .unwrap_or(rest.len());
            }
            _ => {}
        }
        at += 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn json5_is_read_as_javascript_would() {
        let text = "\u{feff}// c\n{a:1,'b':[+2,.5,0x10,],/* [[ */ c:'x\\'y',d:1.0,a:9,}";
        assert_eq!(
            parse(text).unwrap(),
            json!({"a": 9, "b": [2, 0.5, 16], "c": "x'y", "d": 1})
        );
    }

    #[test]
    fn faults_are_worded_and_placed_as_in_the_original() {
        let said = |text| parse(text).unwrap_err();
        assert_eq!(said(""), "JSON5: invalid end of input at 1:1");
        assert_eq!(said("{gateway:"), "JSON5: invalid end of input at 1:10");
        assert_eq!(said("{oops"), "JSON5: invalid end of input at 1:6");
        assert_eq!(said("{\n  a: ]\n}"), "JSON5: invalid character ']' at 2:6");
        assert_eq!(said("{a:1} x"), "JSON5: invalid character 'x' at 1:7");
    }

    #[test]
    fn deep_nesting_is_refused_before_it_is_parsed() {
        assert!(parse(&("[".repeat(64) + &"]".repeat(64))).is_ok());
        let deep = parse(&"[".repeat(1_000_000)).unwrap_err();
        assert_eq!(deep, "JSON5: nested deeper than 64 levels at 1:65");
        assert!(parse(&format!("['{}']", "[".repeat(100))).is_ok());
    }
}
