//! Bytes of a page as text: UTF-8, UTF-16 and the Western and Cyrillic single-byte sets, by the
//! byte order mark, the header, or what the page's own head says. Anything else is taken as UTF-8
//! with its faults replaced, and the model is told.

/// Where HTML says its own encoding, if at all.
const HEAD: usize = 1024;

/// The text, and the name of an encoding that is not known here.
pub fn decode(bytes: &[u8], content_type: &str, is_html: bool) -> (String, Option<String>) {
    if let Some(rest) = bytes.strip_prefix(b"\xef\xbb\xbf") {
        return (utf8(rest), None);
    }
    if let Some(rest) = bytes.strip_prefix(b"\xff\xfe") {
        return (utf16(rest, u16::from_le_bytes), None);
    }
    if let Some(rest) = bytes.strip_prefix(b"\xfe\xff") {
        return (utf16(rest, u16::from_be_bytes), None);
    }
    let label = label(content_type).or_else(|| {
        let head = String::from_utf8_lossy(&bytes[..bytes.len().min(HEAD)]).into_owned();
        // A page whose head can be read as ASCII is no UTF-16, whatever it says.
        label(&head).filter(|label| is_html && !label.starts_with("utf-16"))
    });
    let Some(label) = label else {
        // Nothing said: what is no UTF-8 is most likely Western.
        return match std::str::from_utf8(bytes) {
            Ok(text) => (text.into(), None),
            Err(_) if mostly_utf8(bytes) => (utf8(bytes), None),
            Err(_) => (bytes.iter().map(|b| single(*b, &WESTERN)).collect(), None),
        };
    };
    let table = match label.as_str() {
        "utf-8" | "utf8" => return (utf8(bytes), None),
        "utf-16" | "utf-16le" => return (utf16(bytes, u16::from_le_bytes), None),
        "utf-16be" => return (utf16(bytes, u16::from_be_bytes), None),
        "us-ascii" | "ascii" | "iso-8859-1" | "iso8859-1" | "latin1" | "windows-1252"
        | "cp1252" | "iso-8859-15" => &WESTERN,
        "windows-1251" | "cp1251" => &CYRILLIC,
        "koi8-r" | "koi8-u" => {
            return (bytes.iter().map(|b| koi8(*b)).collect(), None);
        }
        _ => return (utf8(bytes), Some(label)),
    };
    let euro = label == "iso-8859-15";
    let text = bytes.iter().map(|b| match b {
        0xa4 if euro => '€',
        b => single(*b, table),
    });
    (text.collect(), None)
}

/// The value behind `charset=`, in lower case.
fn label(text: &str) -> Option<String> {
    let lower = text.to_ascii_lowercase();
    let mut rest = lower.as_str();
    loop {
        rest = &rest[rest.find("charset")? + "charset".len()..];
        if let Some(value) = rest.trim_start().strip_prefix('=') {
            let value = value.trim_start().trim_start_matches(['"', '\'']);
            let name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | ':' | '.');
            let end = value.find(|c| !name(c)).unwrap_or(value.len());
            return Some(value[..end].to_string()).filter(|label| !label.is_empty());
        }
    }
}

fn utf8(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> String {
    let units = bytes.chunks_exact(2).map(|pair| unit([pair[0], pair[1]]));
    char::decode_utf16(units)
        .map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect()
}

/// A slip in a long UTF-8 text, rather than another encoding.
fn mostly_utf8(bytes: &[u8]) -> bool {
    let (mut good, mut bad) = (0, 0);
    for chunk in bytes.utf8_chunks() {
        good += chunk.valid().chars().filter(|c| !c.is_ascii()).count();
        bad += usize::from(!chunk.invalid().is_empty());
    }
    good > bad
}

fn single(byte: u8, upper: &[char; 32]) -> char {
    match byte {
        0x80..=0x9f => upper[usize::from(byte - 0x80)],
        0xa0.. if std::ptr::eq(upper, &CYRILLIC) => match byte {
            0xc0.. => char::from_u32(0x410 + u32::from(byte - 0xc0)).unwrap_or(' '),
            0xa0..=0xbf => CYRILLIC_SIGNS[usize::from(byte - 0xa0)],
            _ => ' ',
        },
        byte => char::from(byte),
    }
}

fn koi8(byte: u8) -> char {
    match byte {
        0xa3 => 'ё',
        0xb3 => 'Ё',
        0xa4 => 'є',
        0xa6 => 'і',
        0xa7 => 'ї',
        0xb4 => 'Є',
        0xb6 => 'І',
        0xb7 => 'Ї',
        0xc0.. => {
            let lower = KOI8[usize::from((byte - 0xc0) & 0x1f)];
            match byte {
                0xe0.. => lower.to_uppercase().next().unwrap_or(lower),
                _ => lower,
            }
        }
        0x80.. => ' ',
        byte => char::from(byte),
    }
}

/// 0x80 to 0x9f; the rest is Latin-1.
static WESTERN: [char; 32] = [
    '€', '\u{fffd}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{fffd}', 'Ž',
    '\u{fffd}', '\u{fffd}', '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{fffd}',
    'ž', 'Ÿ',
];
static CYRILLIC: [char; 32] = [
    'Ђ', 'Ѓ', '‚', 'ѓ', '„', '…', '†', '‡', '€', '‰', 'Љ', '‹', 'Њ', 'Ќ', 'Ћ', 'Џ', 'ђ', '‘', '’',
    '“', '”', '•', '–', '—', '\u{fffd}', '™', 'љ', '›', 'њ', 'ќ', 'ћ', 'џ',
];
/// 0xa0 to 0xbf; the letters follow.
static CYRILLIC_SIGNS: [char; 32] = [
    '\u{a0}', 'Ў', 'ў', 'Ј', '¤', 'Ґ', '¦', '§', 'Ё', '©', 'Є', '«', '¬', '\u{ad}', '®', 'Ї', '°',
    '±', 'І', 'і', 'ґ', 'µ', '¶', '·', 'ё', '№', 'є', '»', 'ј', 'Ѕ', 'ѕ', 'ї',
];
/// 0xc0 to 0xdf, and the same in upper case behind it.
static KOI8: [char; 32] = [
    'ю', 'а', 'б', 'ц', 'д', 'е', 'ф', 'г', 'х', 'и', 'й', 'к', 'л', 'м', 'н', 'о', 'п', 'я', 'р',
    'с', 'т', 'у', 'ж', 'в', 'ь', 'ы', 'з', 'ш', 'э', 'щ', 'ч', 'ъ',
];

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: &[u8], kind: &str) -> String {
        decode(bytes, kind, true).0
    }

    #[test]
    fn what_a_page_says_about_its_bytes_is_believed() {
        assert_eq!(text("grün".as_bytes(), "text/html"), "grün");
        assert_eq!(
            text(b"gr\xfcn \x80", "text/html; charset=ISO-8859-1"),
            "grün €"
        );
        assert_eq!(text(b"gr\xfcn", "text/html"), "grün", "a guess");
        assert_eq!(
            text(
                b"<meta charset=\"windows-1251\">\xcf\xf0\xe8\xe2\xe5\xf2",
                ""
            ),
            "<meta charset=\"windows-1251\">Привет"
        );
        assert_eq!(
            text(b"\xf0\xd2\xc9\xd7\xc5\xd4", "text/plain; charset=koi8-r"),
            "Привет"
        );
        assert_eq!(text(b"\xff\xfeh\0i\0", ""), "hi");
        assert_eq!(text(b"\0h\0i", "text/html;charset='utf-16be'"), "hi");
        assert_eq!(text(b"\xa4", "text/plain; charset=iso-8859-15"), "€");
        assert_eq!(text(b"\xef\xbb\xbfhi", "text/html; charset=latin1"), "hi");
        assert_eq!(
            text("viele Umläute, ein Fehler: ".as_bytes(), ""),
            "viele Umläute, ein Fehler: "
        );
        let slip = ["üäöß".as_bytes(), b"\xff"].concat();
        assert_eq!(text(&slip, ""), "üäöß\u{fffd}");
    }

    #[test]
    fn an_unknown_encoding_is_named_and_no_bytes_are_fatal() {
        let (text, unknown) = decode(b"\x82\xa0", "text/html; charset=Shift_JIS", true);
        assert!(text.contains('\u{fffd}'));
        assert_eq!(unknown.as_deref(), Some("shift_jis"));
        for kind in ["", "charset", "charset=", "x;charset=\"", "charset=utf-16"] {
            for byte in 0..=255 {
                decode(&[byte, b'x', byte], kind, true);
            }
        }
    }
}
