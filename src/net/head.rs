//! The head of an HTTP request: read with a deadline and a bound, parsed in place.

use super::stream::Stream;
use httparse::Header;
use std::fmt;
use std::io;
use std::time::{Duration, Instant};

/// Largest head, bytes: the bound of common servers, far above what browsers send.
pub const MAX_HEAD: usize = 16 * 1024;
/// Most headers in one head.
pub const MAX_HEADERS: usize = 64;
/// First size of the read buffer; a head of an official client is below 600 bytes.
const FIRST_READ: usize = 1024;

/// Bytes read from a connection and not yet used.
#[derive(Default)]
pub struct Input(Vec<u8>);

#[derive(Debug)]
pub enum Error {
    /// The head is larger than `MAX_HEAD` or has more than `MAX_HEADERS`.
    TooLarge,
    /// It did not arrive in time.
    Late,
    Malformed,
    Io(io::Error),
}

/// A parsed head. Borrows the bytes it came from.
pub struct Head<'b> {
    pub method: &'b str,
    /// Path and query as sent.
    pub target: &'b str,
    /// 0 or 1, of HTTP/1.x.
    pub minor: u8,
    pub headers: &'b [Header<'b>],
}

impl Input {
    /// Reads until a whole head is there and returns its length. `None` when the peer closed (or
    /// kept silent for `idle`) before its first byte. The head must be whole `patience` after its
    /// first byte.
    pub fn head(
        &mut self,
        stream: &Stream,
        idle: Duration,
        patience: Duration,
    ) -> Result<Option<usize>, Error> {
        let mut deadline = Instant::now() + if self.0.is_empty() { idle } else { patience };
        let mut searched = 0usize;
        loop {
            let from = searched.saturating_sub(3);
            if let Some(at) = self.0[from..].windows(4).position(|w| w == b"\r\n\r\n") {
                let end = from + at + 4;
                return if end > MAX_HEAD {
                    Err(Error::TooLarge)
                } else {
                    Ok(Some(end))
                };
            }
            searched = self.0.len();
            if searched >= MAX_HEAD {
                return Err(Error::TooLarge);
            }
            let room = (searched.max(FIRST_READ)).min(MAX_HEAD - searched);
            self.0.resize(searched + room, 0);
            let read = stream.receive_by(&mut self.0[searched..], deadline);
            self.0
                .truncate(searched + read.as_ref().copied().unwrap_or(0));
            match read {
                Ok(0) if searched == 0 => return Ok(None),
                Ok(0) => return Err(Error::Malformed),
                Ok(_) if searched == 0 => deadline = Instant::now() + patience,
                Ok(_) => {}
                Err(err) if err.kind() == io::ErrorKind::TimedOut => {
                    return if searched == 0 {
                        Ok(None)
                    } else {
                        Err(Error::Late)
                    };
                }
                Err(err) => return Err(Error::Io(err)),
            }
        }
    }

    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Drops the first `len` bytes: they are dealt with.
    pub fn consume(&mut self, len: usize) {
        self.0.drain(..len);
    }

    /// What was read beyond the first `len` bytes.
    pub fn into_rest(mut self, len: usize) -> Vec<u8> {
        self.0.split_off(len)
    }
}

/// Room for the headers of one head.
pub fn slots<'b>() -> [Header<'b>; MAX_HEADERS] {
    [httparse::EMPTY_HEADER; MAX_HEADERS]
}

/// Parses a whole head.
pub fn parse<'b>(bytes: &'b [u8], slots: &'b mut [Header<'b>]) -> Result<Head<'b>, Error> {
    let mut request = httparse::Request::new(slots);
    match request.parse(bytes) {
        Ok(httparse::Status::Complete(_)) => {}
        Err(httparse::Error::TooManyHeaders) => return Err(Error::TooLarge),
        _ => return Err(Error::Malformed),
    }
    let (Some(method), Some(target), Some(minor)) = (request.method, request.path, request.version)
    else {
        return Err(Error::Malformed);
    };
    let head = Head {
        method,
        target,
        minor,
        headers: request.headers,
    };
    // Two Host headers, or two lengths, mean different things to different readers.
    for name in ["host", "content-length"] {
        if head.all(name).count() > 1 {
            return Err(Error::Malformed);
        }
    }
    Ok(head)
}

impl<'b> Head<'b> {
    /// The first header of that name, trimmed. Values that are not UTF-8 count as absent.
    pub fn header(&self, name: &str) -> Option<&'b str> {
        self.all(name).next()
    }

    /// All values of a header as one list: a proxy may add a line of its own behind the client's.
    pub fn joined(&self, name: &str) -> Option<String> {
        let mut all = self.all(name);
        let first = all.next()?.to_string();
        Some(all.fold(first, |list, value| list + ", " + value))
    }

    fn all<'n>(&self, name: &'n str) -> impl Iterator<Item = &'b str> + use<'b, 'n> {
        self.headers
            .iter()
            .filter(move |h| h.name.eq_ignore_ascii_case(name))
            .filter_map(|h| std::str::from_utf8(h.value).ok())
            .map(str::trim)
    }

    pub fn has(&self, name: &str) -> bool {
        self.headers
            .iter()
            .any(|h| h.name.eq_ignore_ascii_case(name))
    }

    /// Whether a comma-separated header holds `token`, in any case.
    pub fn lists(&self, name: &str, token: &str) -> bool {
        self.all(name)
            .flat_map(|v| v.split(','))
            .any(|t| t.trim().eq_ignore_ascii_case(token))
    }

    /// The target without its query.
    pub fn path(&self) -> &'b str {
        self.target.split(['?', '#']).next().unwrap_or_default()
    }

    pub fn wants_websocket(&self) -> bool {
        self.lists("upgrade", "websocket")
    }

    /// The client is done after this request.
    pub fn closes(&self) -> bool {
        self.lists("connection", "close")
            || (self.minor == 0 && !self.lists("connection", "keep-alive"))
    }

    /// A body follows.
    pub fn has_body(&self) -> bool {
        self.has("transfer-encoding") || self.header("content-length").is_some_and(|l| l != "0")
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::TooLarge => write!(f, "request head larger than {MAX_HEAD} bytes"),
            Error::Late => f.write_str("request head did not arrive in time"),
            Error::Malformed => f.write_str("request head is not HTTP"),
            Error::Io(err) => err.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::unix::net::UnixStream;

    const SHORT: Duration = Duration::from_millis(20);
    const LONG: Duration = Duration::from_secs(5);

    fn pair() -> (Stream, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        (Stream::Unix(ours), theirs)
    }

    #[test]
    fn a_head_is_found_and_what_follows_is_kept() {
        let (stream, mut far) = pair();
        far.write_all(b"GET /a?b HTTP/1.1\r\nHost: x\r\nUpgrade: WebSocket\r\n\r\nrest")
            .unwrap();
        let mut input = Input::default();
        let len = input.head(&stream, LONG, LONG).unwrap().unwrap();
        let mut slots = slots();
        let head = parse(&input.bytes()[..len], &mut slots).unwrap();
        assert_eq!((head.method, head.path()), ("GET", "/a"));
        assert_eq!(head.header("HOST"), Some("x"));
        assert!(head.wants_websocket() && !head.closes());
        assert_eq!(input.into_rest(len), b"rest");
    }

    #[test]
    fn silence_ends_quietly_and_a_half_head_is_late() {
        let (stream, mut far) = pair();
        let mut input = Input::default();
        assert!(input.head(&stream, SHORT, SHORT).unwrap().is_none());
        far.write_all(b"GET / HT").unwrap();
        assert!(matches!(
            input.head(&stream, SHORT, SHORT),
            Err(Error::Late)
        ));
        drop(far);
        assert!(matches!(
            input.head(&stream, SHORT, SHORT),
            Err(Error::Malformed)
        ));
    }

    #[test]
    fn heads_out_of_bounds_are_refused() {
        let (stream, mut far) = pair();
        far.write_all(&vec![b'a'; MAX_HEAD]).unwrap();
        assert!(matches!(
            Input::default().head(&stream, LONG, LONG),
            Err(Error::TooLarge)
        ));
        let many = format!(
            "GET / HTTP/1.1\r\n{}\r\n",
            "a: b\r\n".repeat(MAX_HEADERS + 1)
        );
        assert!(matches!(
            parse(many.as_bytes(), &mut slots()),
            Err(Error::TooLarge)
        ));
        let twice = b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n";
        assert!(matches!(parse(twice, &mut slots()), Err(Error::Malformed)));
    }
}
