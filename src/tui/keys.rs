//! What a terminal sends when a key is pressed, as keys.
//!
//! Bytes may come in pieces and from a paste of anything: what is no key is dropped, and what is
//! kept while a key is incomplete is bounded.

/// A paste beyond this is cut.
const MAX_PASTE: usize = 256 * 1024;
/// No key is longer.
const MAX_SEQUENCE: usize = 32;

const PASTE_BEGINS: &[u8] = b"\x1b[200~";
const PASTE_ENDS: &[u8] = b"\x1b[201~";

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Key {
    Char(char),
    Paste(String),
    Enter,
    /// Alt-Enter, and Ctrl-J: a new line in what is written.
    NewLine,
    Escape,
    Tab,
    Backspace,
    Delete,
    Up,
    Down,
    Left,
    Right,
    WordLeft,
    WordRight,
    Home,
    End,
    PageUp,
    PageDown,
    Ctrl(char),
}

#[derive(Default)]
pub struct Decoder {
    held: Vec<u8>,
    paste: Option<Vec<u8>>,
}

impl Decoder {
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<Key> {
        let mut keys = Vec::new();
        self.held.extend_from_slice(bytes);
        while !self.held.is_empty() {
            if self.paste.is_some() {
                if !self.take_paste(&mut keys) {
                    break;
                }
                continue;
            }
            let Some((key, used)) = first(&self.held) else {
                break;
            };
            self.held.drain(..used);
            match key {
                Some(Found::Key(key)) => keys.push(key),
                Some(Found::Paste) => self.paste = Some(Vec::new()),
                None => {}
            }
        }
        keys
    }

    /// Whether a key has begun; `rest` says what it was when nothing more comes.
    pub fn waits(&self) -> bool {
        !self.held.is_empty() && self.paste.is_none()
    }

    /// The Escape key itself, when no more bytes followed it.
    pub fn rest(&mut self) -> Option<Key> {
        if !self.waits() {
            return None;
        }
        let escape = self.held[0] == 0x1b;
        self.held.clear();
        escape.then_some(Key::Escape)
    }

    /// Moves what is held into the paste; true when that is over.
    fn take_paste(&mut self, keys: &mut Vec<Key>) -> bool {
        let Some(paste) = &mut self.paste else {
            return true;
        };
        let end = self
            .held
            .windows(PASTE_ENDS.len())
            .position(|window| window == PASTE_ENDS);
        // The mark of the end may come in two pieces.
        let upto = end.unwrap_or_else(|| self.held.len().saturating_sub(PASTE_ENDS.len() - 1));
        let room = MAX_PASTE.saturating_sub(paste.len());
        paste.extend_from_slice(&self.held[..upto.min(room)]);
        self.held
            .drain(..upto + end.map_or(0, |_| PASTE_ENDS.len()));
        if end.is_none() {
            return false;
        }
        let text = String::from_utf8_lossy(paste).replace("\r\n", "\n");
        keys.push(Key::Paste(text.replace('\r', "\n")));
        self.paste = None;
        true
    }
}

enum Found {
    Key(Key),
    Paste,
}

/// The first key of `bytes` and how many of them it is; no key where they mean nothing here, and
/// nothing where more must come.
fn first(bytes: &[u8]) -> Option<(Option<Found>, usize)> {
    let key = |key: Key| Some((Some(Found::Key(key)), 1));
    match bytes[0] {
        0x1b => escape(bytes),
        b'\r' => key(Key::Enter),
        b'\n' => key(Key::NewLine),
        b'\t' => key(Key::Tab),
        0x7f | 0x08 => key(Key::Backspace),
        control @ 1..=26 => key(Key::Ctrl((control - 1 + b'a').into())),
        0..=31 => Some((None, 1)),
        _ => character(bytes),
    }
}

fn character(bytes: &[u8]) -> Option<(Option<Found>, usize)> {
    let length = match bytes[0] {
        0..=0x7f => 1,
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => return Some((None, 1)),
    };
    let text = bytes.get(..length)?;
    let found = std::str::from_utf8(text)
        .ok()
        .and_then(|t| t.chars().next());
    match found {
        Some(c) if !c.is_control() => Some((Some(Found::Key(Key::Char(c))), length)),
        Some(_) => Some((None, length)),
        None => Some((None, 1)),
    }
}

fn escape(bytes: &[u8]) -> Option<(Option<Found>, usize)> {
    let found = |key: Option<Key>, used: usize| Some((key.map(Found::Key), used));
    match bytes.get(1)? {
        b'\r' | b'\n' => found(Some(Key::NewLine), 2),
        b'b' => found(Some(Key::WordLeft), 2),
        b'f' => found(Some(Key::WordRight), 2),
        0x1b => found(Some(Key::Escape), 1),
        b'O' => found(letter(*bytes.get(2)?, ""), 3),
        b'[' => {
            if bytes.starts_with(PASTE_BEGINS) {
                return Some((Some(Found::Paste), PASTE_BEGINS.len()));
            }
            let end = bytes[2..]
                .iter()
                .take(MAX_SEQUENCE)
                .position(|byte| (0x40..=0x7e).contains(byte));
            let Some(end) = end else {
                return match bytes.len() > MAX_SEQUENCE {
                    true => Some((None, MAX_SEQUENCE)),
                    false => None,
                };
            };
            let numbers = std::str::from_utf8(&bytes[2..2 + end]).unwrap_or_default();
            let key = match bytes[2 + end] {
                b'~' => tilde(numbers),
                other => letter(other, numbers),
            };
            found(key, 3 + end)
        }
        _ => found(None, 2),
    }
}

/// `CSI numbers letter`; a number after `;` names the keys held with it.
fn letter(letter: u8, numbers: &str) -> Option<Key> {
    let with_another = numbers.contains(';');
    Some(match (letter, with_another) {
        (b'A', _) => Key::Up,
        (b'B', _) => Key::Down,
        (b'C', false) => Key::Right,
        (b'C', true) => Key::WordRight,
        (b'D', false) => Key::Left,
        (b'D', true) => Key::WordLeft,
        (b'H', _) => Key::Home,
        (b'F', _) => Key::End,
        // Terminals that tell more about each key: Enter with Alt or Shift.
        (b'u', true) if numbers.starts_with("13;") => Key::NewLine,
        _ => return None,
    })
}

fn tilde(numbers: &str) -> Option<Key> {
    Some(match numbers.split(';').next().unwrap_or_default() {
        "1" | "7" => Key::Home,
        "3" => Key::Delete,
        "4" | "8" => Key::End,
        "5" => Key::PageUp,
        "6" => Key::PageDown,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(bytes: &[u8]) -> Vec<Key> {
        Decoder::default().feed(bytes)
    }

    #[test]
    fn keys_are_told_apart() {
        assert_eq!(
            all("aé界\r\x7f\x03\x1b[A\x1b[1;5C\x1b[3~\x1bOH\x1b\r\t".as_bytes()),
            [
                Key::Char('a'),
                Key::Char('é'),
                Key::Char('界'),
                Key::Enter,
                Key::Backspace,
                Key::Ctrl('c'),
                Key::Up,
                Key::WordRight,
                Key::Delete,
                Key::Home,
                Key::NewLine,
                Key::Tab,
            ]
        );
    }

    #[test]
    fn a_key_in_pieces_is_one_and_an_escape_alone_is_itself() {
        let mut decoder = Decoder::default();
        for byte in "\x1b[5~界".as_bytes() {
            let keys = decoder.feed(&[*byte]);
            assert!(keys.len() <= 1);
        }
        assert!(!decoder.waits());
        assert!(decoder.feed(b"\x1b").is_empty() && decoder.waits());
        assert_eq!(decoder.rest(), Some(Key::Escape));
        assert_eq!(decoder.rest(), None);
    }

    #[test]
    fn a_paste_is_one_key_whatever_is_in_it_and_wherever_it_is_cut() {
        let bytes = b"\x1b[200~one\r\ntwo\x1b[A\x1b[201~x";
        for cut in 1..bytes.len() {
            let mut decoder = Decoder::default();
            let mut keys = decoder.feed(&bytes[..cut]);
            keys.extend(decoder.feed(&bytes[cut..]));
            assert_eq!(
                keys,
                [Key::Paste("one\ntwo\x1b[A".into()), Key::Char('x')],
                "cut at {cut}"
            );
        }
    }

    #[test]
    fn noise_is_dropped_and_never_kept_for_long() {
        let mut decoder = Decoder::default();
        let noise: Vec<u8> = (0..200_000u32)
            .map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8)
            .collect();
        decoder.feed(&noise);
        decoder.feed(b"\x1b[201~");
        assert!(decoder.held.len() <= MAX_SEQUENCE + 4);
        let mut decoder = Decoder::default();
        decoder.feed(b"\x1b[200~");
        for _ in 0..100 {
            decoder.feed(&[b'x'; 10_000]);
        }
        assert!(
            matches!(&decoder.feed(b"\x1b[201~")[..], [Key::Paste(text)] if text.len() == MAX_PASTE)
        );
    }
}
