//! JSON text in the original's file form: two-space indentation, as `JSON.stringify(x, null, 2)`.
//!
//! Works on the bytes of valid JSON, so values we only carry (a skills prompt of many KiB) are
//! never taken apart.

/// Appends `json` to `out`, indented as at nesting `depth`. Whitespace of the input is dropped.
pub fn pretty(json: &[u8], depth: usize, out: &mut Vec<u8>) {
    let mut depth = depth;
    let mut at = 0;
    while at < json.len() {
        let byte = json[at];
        match byte {
            b'"' => {
                let end = string_end(json, at);
                out.extend_from_slice(&json[at..end]);
                at = end;
                continue;
            }
            b'{' | b'[' => {
                out.push(byte);
                let next = skip_space(json, at + 1);
                if matches!(json.get(next), Some(b'}' | b']')) {
                    out.push(json[next]);
                    at = next + 1;
                    continue;
                }
                depth += 1;
                newline(depth, out);
            }
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                newline(depth, out);
                out.push(byte);
            }
            b',' => {
                out.push(byte);
                newline(depth, out);
            }
            b':' => out.extend_from_slice(b": "),
            b' ' | b'\n' | b'\r' | b'\t' => {}
            _ => out.push(byte),
        }
        at += 1;
    }
}

/// `json` without the whitespace between tokens.
pub fn compact(json: &str) -> String {
    let bytes = json.as_bytes();
    let mut out = String::with_capacity(json.len());
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b' ' | b'\n' | b'\r' | b'\t' => at += 1,
            b'"' => {
                let end = string_end(bytes, at);
                out.push_str(&json[at..end]);
                at = end;
            }
            // Outside strings JSON is ASCII.
            byte => {
                out.push(char::from(byte));
                at += 1;
            }
        }
    }
    out
}

/// The index after the string that starts at `at`.
fn string_end(json: &[u8], at: usize) -> usize {
    let mut i = at + 1;
    while i < json.len() {
        match json[i] {
            b'\\' => i += 2,
            b'"' => return i + 1,
            _ => i += 1,
        }
    }
    json.len()
}

fn skip_space(json: &[u8], mut at: usize) -> usize {
    while matches!(json.get(at), Some(b' ' | b'\n' | b'\r' | b'\t')) {
        at += 1;
    }
    at
}

fn newline(depth: usize, out: &mut Vec<u8>) {
    out.push(b'\n');
    for _ in 0..depth {
        out.extend_from_slice(b"  ");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_is_the_one_serde_and_javascript_write() {
        for text in [
            r#"{"a":[1,{"b":"x, {\"y\": [1]}"}],"c":{},"d":[],"e":null,"f":-1.5e3,"g":"ü\\"}"#,
            "[]",
            "\"s\"",
            r#"{"a":{"b":{"c":[[],[{}]]}}}"#,
        ] {
            let value: serde_json::Value = serde_json::from_str(text).unwrap();
            let want = serde_json::to_string_pretty(&value).unwrap();
            let mut got = Vec::new();
            pretty(text.as_bytes(), 0, &mut got);
            assert_eq!(
                String::from_utf8(got).unwrap(),
                want.replace("-1500.0", "-1.5e3")
            );
            let mut again = Vec::new();
            pretty(want.as_bytes(), 0, &mut again);
            assert_eq!(String::from_utf8(again).unwrap(), want);
            assert_eq!(compact(&want), serde_json::to_string(&value).unwrap());
        }
    }
}
