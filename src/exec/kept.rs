//! What the runner remembers of a command that may outlive its core: the core's note on it, and the
//! last of what it printed.

use crate::wire::exec::KEPT_OUTPUT;
use std::collections::VecDeque;

pub struct Kept {
    /// Means nothing to us: the next core gets it back.
    pub note: String,
    printed: VecDeque<u8>,
}

impl Kept {
    /// `printed` is what the core had of its output.
    pub fn new(note: String, printed: &[u8]) -> Kept {
        let mut kept = Kept {
            note,
            printed: VecDeque::new(),
        };
        kept.push(printed);
        kept
    }

    pub fn push(&mut self, bytes: &[u8]) {
        let bytes = &bytes[bytes.len().saturating_sub(KEPT_OUTPUT)..];
        let extra = (self.printed.len() + bytes.len()).saturating_sub(KEPT_OUTPUT);
        self.printed.drain(..extra.min(self.printed.len()));
        self.printed.extend(bytes);
    }

    /// All of it, from the first whole character on.
    pub fn printed(&self) -> Vec<u8> {
        let bytes: Vec<u8> = self.printed.iter().copied().collect();
        let torn = bytes.iter().take_while(|byte| *byte & 0xc0 == 0x80);
        let torn = torn.count().min(3);
        bytes[torn..].to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_of_what_was_printed_is_kept_from_a_whole_character_on() {
        let mut kept = Kept::new("n".into(), b"first");
        assert_eq!(kept.printed(), b"first");
        kept.push(&[b'x'; KEPT_OUTPUT - 3]);
        let printed = kept.printed();
        assert_eq!(printed.len(), KEPT_OUTPUT);
        assert!(printed.starts_with(b"rstx"));
        kept.push("é".repeat(KEPT_OUTPUT).as_bytes());
        kept.push(b"!");
        let printed = String::from_utf8(kept.printed()).unwrap();
        assert!(printed.starts_with('é') && printed.ends_with('!'));
        assert_eq!(printed.len(), KEPT_OUTPUT - 1);
    }
}
