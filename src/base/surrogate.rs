//! JavaScript writes half a surrogate pair as an escape (`\\ud83d`) when a text was cut in the middle
//! of an emoji. It is valid JSON that no Rust string can hold.

use std::borrow::Cow;

/// `json` with every lone surrogate escape replaced by the replacement character.
pub fn mend(json: &str) -> Cow<'_, str> {
    with_lone(json, |_, _, out| out.push_str("\\ufffd"))
}

/// Puts pairs together that were cut between one JSON and the next.
#[derive(Debug, Default)]
pub struct Halves {
    /// The escape of a first half whose second may come.
    first: Option<String>,
}

impl Halves {
    /// `json` without a first half that ends a text, which the next one gets with its second.
    pub fn join<'j>(&mut self, json: &'j str) -> Cow<'j, str> {
        with_lone(json, |code, escape, out| match (code, &self.first) {
            (..0xDC00, _) => self.first = Some(escape.into()),
            (_, Some(first)) => {
                out.push_str(first);
                out.push_str(escape);
                self.first = None;
            }
            (_, None) => out.push_str("\\ufffd"),
        })
    }
}

/// `json` with what `lone` writes in the place of each lone surrogate: its code and escape.
fn with_lone(json: &str, mut lone: impl FnMut(u32, &str, &mut String)) -> Cow<'_, str> {
    let bytes = json.as_bytes();
    let mut out = String::new();
    let mut done = 0;
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at] != b'\\' {
            at += 1;
            continue;
        }
        match escape(bytes, at) {
            Some(0xD800..=0xDBFF) if matches!(escape(bytes, at + 6), Some(0xDC00..=0xDFFF)) => {
                at += 12;
            }
            Some(code @ 0xD800..=0xDFFF) => {
                out.push_str(&json[done..at]);
                lone(code, &json[at..at + 6], &mut out);
                at += 6;
                done = at;
            }
            _ => at += 2,
        }
    }
    if done == 0 {
        return Cow::Borrowed(json);
    }
    out.push_str(&json[done..]);
    Cow::Owned(out)
}

/// The code of the `\\uXXXX` at `at`.
fn escape(bytes: &[u8], at: usize) -> Option<u32> {
    let digits = bytes.get(at..at + 6)?.strip_prefix(b"\\u")?;
    u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_pair_cut_between_two_events_is_put_together() {
        let mut halves = super::Halves::default();
        assert_eq!(halves.join(r#"{"a":"hi \ud83d"}"#), r#"{"a":"hi "}"#);
        assert_eq!(halves.join(r#"{"b":1}"#), r#"{"b":1}"#);
        let whole = r#"{"a":"\ud83d\uDE00!"}"#;
        assert_eq!(halves.join(r#"{"a":"\uDE00!"}"#), whole);
        assert_eq!(halves.join(r#"{"a":"\uDE00!"}"#), r#"{"a":"\ufffd!"}"#);
    }

    #[test]
    fn only_lone_halves_are_replaced() {
        let whole = r#"{"a":"\ud83d\ude00 \\ud83d \n"}"#;
        assert_eq!(super::mend(whole), whole);
        assert_eq!(
            super::mend(r#"["x\ud83d","\ude00\ud83d\ud83d\ude00"]"#),
            r#"["x\ufffd","\ufffd\ufffd\ud83d\ude00"]"#
        );
    }
}
