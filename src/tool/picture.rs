//! What a picture is and how large, by its first bytes. Nothing is decoded.

/// Pixels of a side. Services refuse larger pictures, and with one in its conversation a session
/// could not say anything any more. Smaller ones they make fit themselves.
const MAX_SIDE: u32 = 8_000;

/// What a picture is, by content, never by name.
pub fn kind(head: &[u8]) -> Option<&'static str> {
    match head {
        [0xff, 0xd8, 0xff, ..] => Some("image/jpeg"),
        [0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a, ..] => Some("image/png"),
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some("image/gif"),
        _ if head.starts_with(b"RIFF") && head.get(8..12) == Some(b"WEBP") => Some("image/webp"),
        _ => None,
    }
}

/// Why no service takes it, when its size says so.
pub fn too_wide(bytes: &[u8]) -> Option<String> {
    let (width, height) = size(bytes)?;
    (width > MAX_SIDE || height > MAX_SIDE).then(|| {
        format!("{width} x {height} pixels, more than {MAX_SIDE} a side. Make a smaller copy first")
    })
}

/// Width and height, where they can be found.
fn size(bytes: &[u8]) -> Option<(u32, u32)> {
    let big = |at: usize, n: usize| {
        let part = bytes.get(at..at + n)?;
        Some(part.iter().fold(0, |sum, byte| sum << 8 | u32::from(*byte)))
    };
    let little = |at: usize, n: usize| {
        let part = bytes.get(at..at + n)?;
        let part = part.iter().rev();
        Some(part.fold(0, |sum, byte| sum << 8 | u32::from(*byte)))
    };
    match kind(bytes)? {
        "image/png" => Some((big(16, 4)?, big(20, 4)?)),
        "image/gif" => Some((little(6, 2)?, little(8, 2)?)),
        "image/webp" => match bytes.get(12..16)? {
            b"VP8X" => Some((little(24, 3)? + 1, little(27, 3)? + 1)),
            b"VP8 " => Some((little(26, 2)? & 0x3fff, little(28, 2)? & 0x3fff)),
            b"VP8L" => {
                let bits = little(21, 4)?;
                Some(((bits & 0x3fff) + 1, (bits >> 14 & 0x3fff) + 1))
            }
            _ => None,
        },
        _ => {
            // Each segment says how long it is; the frame header holds the size.
            let mut at = 2;
            loop {
                if big(at, 1)? != 0xff {
                    return None;
                }
                let marker = big(at + 1, 1)?;
                match marker {
                    0xff => at += 1,
                    0xc0..=0xcf if !matches!(marker, 0xc4 | 0xc8 | 0xcc) => {
                        return Some((big(at + 7, 2)?, big(at + 5, 2)?));
                    }
                    0xd0..=0xd8 | 0x01 => at += 2,
                    _ => at += 2 + usize::try_from(big(at + 2, 2)?).ok()?.max(2),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_of_each_kind_is_found_and_nonsense_has_none() {
        let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x1f\x41\0\0\0\x02".to_vec();
        assert_eq!(size(&png), Some((8001, 2)));
        assert!(too_wide(&png).unwrap().starts_with("8001 x 2 pixels"));
        png[19] = 0x40;
        assert_eq!(too_wide(&png), None);
        assert_eq!(size(b"GIF89a\x05\0\x06\x01"), Some((5, 262)));
        let jpeg = b"\xff\xd8\xff\xe0\0\x04ab\xff\xff\xc2\0\x0b\x08\x01\0\x02\0\x03";
        assert_eq!(size(jpeg), Some((512, 256)));
        let webp = b"RIFF\0\0\0\0WEBPVP8X\0\0\0\0\0\0\0\0\x09\0\0\x0a\0\0";
        assert_eq!(size(webp), Some((10, 11)));
        let lossless = b"RIFF\0\0\0\0WEBPVP8L\0\0\0\0\x2f\x09\x80\x02\0";
        assert_eq!(size(lossless), Some((10, 11)));
        for odd in [
            &b"\xff\xd8\xff"[..],
            b"\x89PNG\r\n\x1a\n",
            b"text",
            b"\xff\xd8\xff\xe0\0\0",
        ] {
            assert_eq!(size(odd), None);
            assert_eq!(too_wide(odd), None);
        }
    }
}
