//! AWS's event stream: binary frames with named headers and two checksums, bounded in size. Each
//! event is given out as the JSON text `{"<its type>":<its payload>}`.
//!
//! A frame whose length or checksum is wrong ends the stream: there is no way to find the next.

use std::io::{self, Read};
use std::time::{Duration, Instant};

/// One frame carries a piece of an answer.
const MAX_FRAME: usize = 8 * 1024 * 1024;
/// Total length, length of the headers, checksum of both.
const PRELUDE: usize = 12;
const CHECKSUM: usize = 4;

pub(super) struct Frames<R> {
    reader: R,
    frame: Vec<u8>,
    text: String,
    /// How long one frame may take.
    patience: Duration,
}

impl<R: Read> Frames<R> {
    pub fn new(reader: R, patience: Duration) -> Frames<R> {
        Frames {
            reader,
            patience,
            frame: Vec::new(),
            text: String::new(),
        }
    }

    pub fn into_inner(self) -> R {
        self.reader
    }

    /// The next event; `None` at the end of the stream.
    pub fn next(&mut self) -> io::Result<Option<&str>> {
        let asked = (Instant::now(), self.patience);
        let mut prelude = [0; PRELUDE];
        if !fill(&mut self.reader, &mut prelude, asked)? {
            return Ok(None);
        }
        let total = number(&prelude[..4]);
        let headers = number(&prelude[4..8]);
        if crc32(&prelude[..8]) != number(&prelude[8..]) as u32 {
            return Err(damaged("its length does not match its checksum"));
        }
        if total > MAX_FRAME || total < PRELUDE + headers + CHECKSUM {
            return Err(damaged("a length that cannot be"));
        }
        self.frame.clear();
        self.frame.extend_from_slice(&prelude);
        self.frame.resize(total, 0);
        if !fill(&mut self.reader, &mut self.frame[PRELUDE..], asked)? {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let (body, sum) = self.frame.split_at(total - CHECKSUM);
        if crc32(body) != number(sum) as u32 {
            return Err(damaged("it does not match its checksum"));
        }
        let (headers, payload) = body[PRELUDE..].split_at(headers);
        let headers = Headers::read(headers).ok_or_else(|| damaged("headers that end early"))?;
        let payload = String::from_utf8_lossy(payload);
        let payload = match payload.trim() {
            "" => "{}",
            payload => payload,
        };
        let kind = match headers.message {
            "error" => "error",
            "exception" => headers.exception,
            _ => headers.event,
        };
        self.text.clear();
        let name = serde_json::to_string(kind).map_err(io::Error::other)?;
        self.text.push('{');
        self.text.push_str(&name);
        self.text.push(':');
        if headers.message == "error" {
            let told = serde_json::json!({"code": headers.code, "message": headers.told});
            self.text.push_str(&told.to_string());
        } else {
            self.text.push_str(payload);
        }
        self.text.push('}');
        Ok(Some(&self.text))
    }
}

/// The headers that matter.
#[derive(Default)]
struct Headers<'a> {
    message: &'a str,
    event: &'a str,
    exception: &'a str,
    code: &'a str,
    told: &'a str,
}

impl<'a> Headers<'a> {
    fn read(mut rest: &'a [u8]) -> Option<Headers<'a>> {
        let mut headers = Headers::default();
        while let Some((len, after)) = rest.split_first() {
            let (name, after) = after.split_at_checked(usize::from(*len))?;
            let (kind, after) = after.split_first()?;
            let (len, after) = match kind {
                0 | 1 => (0, after),
                2 => (1, after),
                3 => (2, after),
                4 => (4, after),
                5 | 8 => (8, after),
                9 => (16, after),
                6 | 7 => {
                    let (len, after) = after.split_first_chunk::<2>()?;
                    (usize::from(u16::from_be_bytes(*len)), after)
                }
                _ => return None,
            };
            let (value, after) = after.split_at_checked(len)?;
            rest = after;
            if *kind != 7 {
                continue;
            }
            let value = std::str::from_utf8(value).unwrap_or_default();
            match name {
                b":message-type" => headers.message = value,
                b":event-type" => headers.event = value,
                b":exception-type" => headers.exception = value,
                b":error-code" => headers.code = value,
                b":error-message" => headers.told = value,
                _ => {}
            }
        }
        Some(headers)
    }
}

/// False at an end before the first byte. `asked`: since when, and for how long.
fn fill(
    reader: &mut impl Read,
    into: &mut [u8],
    (asked, patience): (Instant, Duration),
) -> io::Result<bool> {
    let mut at = 0;
    while at < into.len() {
        if at > 0 && asked.elapsed() > patience {
            return Err(super::sse::too_slow());
        }
        match reader.read(&mut into[at..]) {
            Ok(0) if at == 0 => return Ok(false),
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(n) => at += n,
            Err(err) if err.kind() == io::ErrorKind::Interrupted => {}
            Err(err) => return Err(err),
        }
    }
    Ok(true)
}

fn number(bytes: &[u8]) -> usize {
    bytes.iter().fold(0, |n, b| n << 8 | usize::from(*b))
}

fn damaged(why: &str) -> io::Error {
    let why = format!("a frame of the answer is damaged: {why}");
    io::Error::other(crate::net::fetch::Error::Broken(why))
}

/// The checksum of Ethernet and zip, four bits at a time: its table fits a cache line.
fn crc32(bytes: &[u8]) -> u32 {
    const TABLE: [u32; 16] = {
        let mut table = [0; 16];
        let mut i = 0;
        while i < 16 {
            let mut n = i as u32;
            let mut bit = 0;
            while bit < 4 {
                n = if n & 1 == 1 {
                    n >> 1 ^ 0xEDB8_8320
                } else {
                    n >> 1
                };
                bit += 1;
            }
            table[i] = n;
            i += 1;
        }
        table
    };
    let step = |sum: u32, bits: u32| sum >> 4 ^ TABLE[((sum ^ bits) & 15) as usize];
    !bytes.iter().fold(!0, |sum, byte| {
        let low = step(sum, u32::from(*byte));
        step(low, u32::from(*byte >> 4))
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A frame as the service would send it.
    pub fn frame(headers: &[(&str, &str)], payload: &[u8]) -> Vec<u8> {
        let mut head = Vec::new();
        for (name, value) in headers {
            head.push(name.len() as u8);
            head.extend_from_slice(name.as_bytes());
            head.push(7);
            head.extend_from_slice(&(value.len() as u16).to_be_bytes());
            head.extend_from_slice(value.as_bytes());
        }
        let total = PRELUDE + head.len() + payload.len() + CHECKSUM;
        let mut out = (total as u32).to_be_bytes().to_vec();
        out.extend_from_slice(&(head.len() as u32).to_be_bytes());
        out.extend_from_slice(&crc32(&out).to_be_bytes());
        out.extend_from_slice(&head);
        out.extend_from_slice(payload);
        out.extend_from_slice(&crc32(&out).to_be_bytes());
        out
    }

    fn event(name: &str, payload: &str) -> Vec<u8> {
        frame(
            &[(":message-type", "event"), (":event-type", name)],
            payload.as_bytes(),
        )
    }

    #[test]
    fn the_checksum_is_the_one_everybody_means() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
        // The empty message of AWS's own test vectors.
        let empty = [0, 0, 0, 16, 0, 0, 0, 0, 0x05, 0xc2, 0x48, 0xeb];
        assert_eq!(crc32(&empty[..8]), 0x05c2_48eb);
        assert_eq!(crc32(&empty), 0x7d98_c8ff);
    }

    #[test]
    fn events_and_exceptions_are_told_by_name() {
        let mut bytes = event("messageStart", r#"{"role":"assistant"}"#);
        bytes.extend(event("ping", ""));
        bytes.extend(frame(
            &[
                (":message-type", "exception"),
                (":exception-type", "throttlingException"),
            ],
            br#"{"message":"slow down"}"#,
        ));
        bytes.extend(frame(
            &[
                (":message-type", "error"),
                (":error-code", "Internal"),
                (":error-message", "it \"broke\""),
            ],
            b"",
        ));
        let mut frames = Frames::new(&bytes[..], Duration::MAX);
        let mut seen = Vec::new();
        while let Some(text) = frames.next().unwrap() {
            seen.push(text.to_string());
        }
        assert_eq!(
            seen,
            [
                r#"{"messageStart":{"role":"assistant"}}"#,
                r#"{"ping":{}}"#,
                r#"{"throttlingException":{"message":"slow down"}}"#,
                r#"{"error":{"code":"Internal","message":"it \"broke\""}}"#,
            ]
        );
    }

    #[test]
    fn a_damaged_frame_ends_the_stream() {
        let good = event("messageStart", r#"{"role":"assistant"}"#);
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 0x10;
            assert!(
                Frames::new(&bad[..], Duration::MAX).next().is_err(),
                "byte {at}"
            );
        }
        for end in 1..good.len() {
            assert!(
                Frames::new(&good[..end], Duration::MAX).next().is_err(),
                "{end} bytes"
            );
        }
        let mut huge = u32::MAX.to_be_bytes().to_vec();
        huge.extend([0; 4]);
        huge.extend(crc32(&huge).to_be_bytes());
        assert!(Frames::new(&huge[..], Duration::MAX).next().is_err());
    }
}
