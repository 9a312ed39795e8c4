//! Server-side WebSocket frames as bytes, made once and sent to any number of connections.

use serde::Serialize;
use tungstenite::Bytes;
use tungstenite::protocol::frame::coding::{CloseCode, Control, Data, OpCode};
use tungstenite::protocol::frame::{CloseFrame, Frame, FrameHeader};

/// The longest header of an unmasked frame.
const HEADER: usize = 10;

/// Longest close reason the original sends; the protocol would allow 123.
const MAX_REASON: usize = 120;

/// A text message holding `value` as JSON. The header is put in front of the text in the same
/// buffer, so nothing is copied.
pub fn json(value: &impl Serialize) -> Bytes {
    let mut bytes = vec![0; HEADER];
    serde_json::to_writer(&mut bytes, value).expect("wire types serialise to JSON");
    with_header(bytes)
}

/// A text message whose JSON the caller has ready in parts.
pub fn text(parts: &[&str]) -> Bytes {
    let len: usize = parts.iter().map(|p| p.len()).sum();
    let mut bytes = Vec::with_capacity(HEADER + len);
    bytes.resize(HEADER, 0);
    for part in parts {
        bytes.extend_from_slice(part.as_bytes());
    }
    with_header(bytes)
}

/// Fills in the header before the payload that starts at `HEADER`.
fn with_header(mut bytes: Vec<u8>) -> Bytes {
    let header = FrameHeader {
        opcode: OpCode::Data(Data::Text),
        ..FrameHeader::default()
    };
    let len = (bytes.len() - HEADER) as u64;
    let start = HEADER - header.len(len);
    let mut room = &mut bytes[start..HEADER];
    header
        .format(len, &mut room)
        .expect("the room is as long as the header says");
    Bytes::from(bytes).slice(start..)
}

/// A close frame; a long reason is cut at a character boundary.
pub fn close(code: u16, reason: &str) -> Bytes {
    let frame = Frame::close(Some(CloseFrame {
        code: CloseCode::from(code),
        reason: cut(reason, MAX_REASON).into(),
    }));
    let mut bytes = Vec::with_capacity(frame.len());
    frame
        .format(&mut bytes)
        .expect("writing to memory does not fail");
    bytes.into()
}

/// The longest start of `text` of at most `max` bytes that ends between characters.
pub fn cut(text: &str, max: usize) -> &str {
    let mut end = max.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// Whether `bytes` is a close frame as made here.
pub fn is_close(bytes: &[u8]) -> bool {
    bytes.first() == Some(&(0x80 | u8::from(OpCode::Control(Control::Close))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_have_the_shortest_length_form() {
        let at = |n: usize| text(&[&"x".repeat(n)]);
        assert_eq!(at(2)[..], *b"\x81\x02xx");
        assert_eq!(at(126)[..4], *b"\x81\x7e\x00\x7e");
        assert_eq!(
            at(70_000)[..10],
            *b"\x81\x7f\x00\x00\x00\x00\x00\x01\x11\x70"
        );
        assert_eq!(json(&[1])[..], *b"\x81\x03[1]");
    }

    #[test]
    fn close_reasons_are_cut_between_characters() {
        let frame = close(1008, &format!("{}é", "a".repeat(119)));
        assert_eq!(frame[1] as usize, 2 + 119);
        assert_eq!(frame[2..4], 1008u16.to_be_bytes());
        assert!(is_close(&frame));
    }
}
