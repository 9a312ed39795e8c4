//! Key names (`Enter`, `C-c`, `S-Up`, `M-x`) as the bytes a terminal sends for them.

const ESC: &str = "\u{1b}";

/// Name, and what follows ESC unless the text stands for itself.
const NAMED: &[(&str, &str)] = &[
    ("enter", "\r"),
    ("return", "\r"),
    ("tab", "\t"),
    ("escape", "\u{1b}"),
    ("esc", "\u{1b}"),
    ("space", " "),
    ("bspace", "\u{7f}"),
    ("backspace", "\u{7f}"),
    ("up", "\u{1b}[A"),
    ("down", "\u{1b}[B"),
    ("right", "\u{1b}[C"),
    ("left", "\u{1b}[D"),
    ("home", "\u{1b}[1~"),
    ("end", "\u{1b}[4~"),
    ("pageup", "\u{1b}[5~"),
    ("pgup", "\u{1b}[5~"),
    ("ppage", "\u{1b}[5~"),
    ("pagedown", "\u{1b}[6~"),
    ("pgdn", "\u{1b}[6~"),
    ("npage", "\u{1b}[6~"),
    ("insert", "\u{1b}[2~"),
    ("ic", "\u{1b}[2~"),
    ("delete", "\u{1b}[3~"),
    ("del", "\u{1b}[3~"),
    ("dc", "\u{1b}[3~"),
    ("btab", "\u{1b}[Z"),
    ("f1", "\u{1b}OP"),
    ("f2", "\u{1b}OQ"),
    ("f3", "\u{1b}OR"),
    ("f4", "\u{1b}OS"),
    ("f5", "\u{1b}[15~"),
    ("f6", "\u{1b}[17~"),
    ("f7", "\u{1b}[18~"),
    ("f8", "\u{1b}[19~"),
    ("f9", "\u{1b}[20~"),
    ("f10", "\u{1b}[21~"),
    ("f11", "\u{1b}[23~"),
    ("f12", "\u{1b}[24~"),
];

/// The bytes of `tokens`; a token that is no key stands for itself.
pub fn encode(tokens: &[String]) -> Vec<u8> {
    tokens.iter().flat_map(|token| key(token)).collect()
}

/// Bytes from two hex digits each, and what was not understood.
pub fn from_hex(bytes: &[String]) -> (Vec<u8>, Vec<String>) {
    let (mut data, mut warnings) = (Vec::new(), Vec::new());
    for text in bytes {
        let digits = text.trim().trim_start_matches("0x");
        match u8::from_str_radix(digits, 16) {
            Ok(byte) => data.push(byte),
            Err(_) => warnings.push(format!("Invalid hex byte: {text}")),
        }
    }
    (data, warnings)
}

fn key(token: &str) -> Vec<u8> {
    // `^C`
    if let Some(c) = token.strip_prefix('^').and_then(only_char) {
        if let Some(byte) = control(c) {
            return vec![byte];
        }
    }
    let (mut ctrl, mut alt, mut shift) = (false, false, false);
    let mut rest = token;
    while let Some((modifier, after)) = rest.split_once('-') {
        if after.is_empty() {
            break;
        }
        match modifier {
            "C" | "c" => ctrl = true,
            "M" | "m" => alt = true,
            "S" | "s" => shift = true,
            _ => break,
        }
        rest = after;
    }
    let lower = rest.to_lowercase();
    if shift && lower == "tab" {
        return format!("{ESC}[Z").into();
    }
    let mut bytes = if let Some((_, text)) = NAMED.iter().find(|(name, _)| *name == lower) {
        let number = 1 + u8::from(shift) + 2 * u8::from(alt) + 4 * u8::from(ctrl);
        if let Some(modified) = modified(text, number).filter(|_| number > 1) {
            return modified.into();
        }
        text.as_bytes().to_vec()
    } else if let Some(c) = only_char(rest) {
        match control(c).filter(|_| ctrl) {
            Some(byte) => vec![byte],
            None if shift => c.to_uppercase().to_string().into(),
            None => c.to_string().into(),
        }
    } else {
        return token.as_bytes().to_vec();
    };
    if alt {
        bytes.insert(0, 0x1b);
    }
    bytes
}

/// xterm's form of a cursor or function key with modifiers: `ESC [ 1 ; n A`, `ESC [ 5 ; n ~`.
fn modified(text: &str, number: u8) -> Option<String> {
    let body = text.strip_prefix(ESC)?;
    if let Some(digits) = body.strip_prefix('[').and_then(|b| b.strip_suffix('~')) {
        return Some(format!("{ESC}[{digits};{number}~"));
    }
    let letter = body
        .strip_prefix('[')
        .or_else(|| body.strip_prefix('O'))
        .and_then(only_char)?;
    Some(format!("{ESC}[1;{number}{letter}"))
}

fn control(c: char) -> Option<u8> {
    match c.to_ascii_uppercase() {
        '?' => Some(0x7f),
        ' ' => Some(0),
        upper @ '@'..='_' => Some(upper as u8 & 0x1f),
        _ => None,
    }
}

fn only_char(text: &str) -> Option<char> {
    let mut chars = text.chars();
    chars.next().filter(|_| chars.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_what_a_terminal_sends() {
        let sent = |token: &str| String::from_utf8(key(token)).unwrap();
        assert_eq!(sent("Enter"), "\r");
        assert_eq!(sent("C-c"), "\u{3}");
        assert_eq!(sent("^D"), "\u{4}");
        assert_eq!(sent("M-x"), "\u{1b}x");
        assert_eq!(sent("Up"), "\u{1b}[A");
        assert_eq!(sent("C-Up"), "\u{1b}[1;5A");
        assert_eq!(sent("S-PageUp"), "\u{1b}[5;2~");
        assert_eq!(sent("S-Tab"), "\u{1b}[Z");
        assert_eq!(sent("hello"), "hello");
        assert_eq!(sent("-"), "-");
    }

    #[test]
    fn hex_that_is_not_hex_is_named() {
        let (data, warnings) = from_hex(&["0d".into(), "0x1B".into(), "zz".into()]);
        assert_eq!(data, [0x0d, 0x1b]);
        assert_eq!(warnings, ["Invalid hex byte: zz"]);
    }
}
