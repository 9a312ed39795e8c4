//! Writes JSON straight into one buffer: a request repeats the whole conversation, so no tree of it
//! is built first.

use serde::Serialize;

/// Commas place themselves: a value is preceded by one unless it is the first in its bracket or
/// follows its key.
#[derive(Default)]
pub(super) struct Json {
    out: Vec<u8>,
}

impl Json {
    pub fn with_capacity(bytes: usize) -> Json {
        Json {
            out: Vec::with_capacity(bytes),
        }
    }

    pub fn into_bytes(self) -> Vec<u8> {
        self.out
    }

    pub fn open(&mut self, bracket: u8) -> &mut Json {
        self.comma();
        self.out.push(bracket);
        self
    }

    pub fn close(&mut self, bracket: u8) -> &mut Json {
        self.out.push(bracket);
        self
    }

    pub fn key(&mut self, key: &'static str) -> &mut Json {
        self.comma();
        self.out.push(b'"');
        self.out.extend_from_slice(key.as_bytes());
        self.out.extend_from_slice(b"\":");
        self
    }

    pub fn str(&mut self, text: &str) -> &mut Json {
        self.strs(&[text])
    }

    /// One string made of several parts.
    pub fn strs(&mut self, parts: &[&str]) -> &mut Json {
        self.comma();
        self.out.push(b'"');
        for part in parts {
            self.escaped(part);
        }
        self.out.push(b'"');
        self
    }

    /// `"key":"text"`
    pub fn pair(&mut self, key: &'static str, text: &str) -> &mut Json {
        self.key(key).str(text)
    }

    pub fn value(&mut self, value: &impl Serialize) -> &mut Json {
        self.comma();
        serde_json::to_writer(&mut self.out, value).expect("JSON values always serialise");
        self
    }

    /// Text that is JSON already, or a literal.
    pub fn raw(&mut self, json: &str) -> &mut Json {
        self.comma();
        self.out.extend_from_slice(json.as_bytes());
        self
    }

    /// `"key":null`, `"key":true` and other fixed text.
    pub fn raw_pair(&mut self, key: &'static str, json: &str) -> &mut Json {
        self.key(key).raw(json)
    }

    fn comma(&mut self) {
        // A string ends in its quote, so these bytes can only be punctuation.
        if !matches!(self.out.last(), None | Some(b'{' | b'[' | b':' | b',')) {
            self.out.push(b',');
        }
    }

    fn escaped(&mut self, text: &str) {
        let bytes = text.as_bytes();
        let mut from = 0;
        let mut at = 0;
        while at < bytes.len() {
            // Most text has nothing to escape: eight bytes are looked at together.
            if let Some(&eight) = bytes[at..].first_chunk::<8>() {
                if !needs_escape(u64::from_ne_bytes(eight)) {
                    at += 8;
                    continue;
                }
            }
            let byte = bytes[at];
            at += 1;
            if byte >= 0x20 && byte != b'"' && byte != b'\\' {
                continue;
            }
            self.out.extend_from_slice(&bytes[from..at - 1]);
            from = at;
            match byte {
                b'"' => self.out.extend_from_slice(b"\\\""),
                b'\\' => self.out.extend_from_slice(b"\\\\"),
                b'\n' => self.out.extend_from_slice(b"\\n"),
                b'\r' => self.out.extend_from_slice(b"\\r"),
                b'\t' => self.out.extend_from_slice(b"\\t"),
                other => {
                    const HEX: &[u8; 16] = b"0123456789abcdef";
                    self.out.extend_from_slice(b"\\u00");
                    self.out.push(HEX[usize::from(other >> 4)]);
                    self.out.push(HEX[usize::from(other & 15)]);
                }
            }
        }
        self.out.extend_from_slice(&bytes[from..]);
    }
}

/// Whether one of eight bytes may be below 0x20, a quote or a backslash. May say yes in vain.
fn needs_escape(eight: u64) -> bool {
    const ONES: u64 = u64::MAX / 255;
    const HIGHS: u64 = ONES * 0x80;
    let below = |word: u64, limit: u64| word.wrapping_sub(ONES * limit) & !word & HIGHS;
    let control = below(eight, 0x20);
    let quote = below(eight ^ (ONES * u64::from(b'"')), 1);
    let backslash = below(eight ^ (ONES * u64::from(b'\\')), 1);
    control | quote | backslash != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back_the_same() {
        let text = "a\"b\\c\n\r\t\u{1}\u{7f}é😀:,[";
        let mut json = Json::default();
        json.open(b'{').key("list").open(b'[');
        json.str(text).str("").raw("null").value(&1.5);
        json.open(b'{').close(b'}').close(b']');
        json.pair("k", "v").raw_pair("b", "true");
        json.key("s").strs(&["x", text]).close(b'}');
        let bytes = json.into_bytes();
        let value: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        let expected = serde_json::json!({
            "list": [text, "", null, 1.5, {}], "k": "v", "b": true, "s": format!("x{text}")
        });
        assert_eq!(value, expected);
    }

    #[test]
    fn every_byte_is_escaped_wherever_it_stands() {
        for byte in 0..0x80u8 {
            for before in 0..9 {
                let text = format!(
                    "{}{}é tail of some length",
                    "x".repeat(before),
                    byte as char
                );
                let mut json = Json::default();
                json.str(&text);
                let back: String = serde_json::from_slice(&json.into_bytes()).unwrap();
                assert_eq!(back, text);
            }
        }
    }
}
