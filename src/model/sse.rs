//! Server-sent events, and lines of JSON, bounded in line and event size.

use crate::net::fetch::Error;
use std::io::{self, Read};
use std::time::{Duration, Instant};

/// One event carries at most a whole answer with its encrypted reasoning.
const MAX_EVENT: usize = 8 * 1024 * 1024;
const CHUNK: usize = 8 * 1024;

pub(super) struct Events<R> {
    reader: R,
    /// Bytes read and not yet taken, from `at` on.
    buffer: Vec<u8>,
    at: usize,
    /// No line end before this index.
    searched: usize,
    data: String,
    ended: bool,
    /// How long one line may take: a service that sends a byte now and then is as good as silent.
    patience: Duration,
}

impl<R: Read> Events<R> {
    pub fn new(reader: R, patience: Duration) -> Events<R> {
        Events {
            reader,
            patience,
            buffer: Vec::new(),
            at: 0,
            searched: 0,
            data: String::new(),
            ended: false,
        }
    }

    pub fn into_inner(self) -> R {
        self.reader
    }

    /// Nothing comes after what was last given out.
    pub fn is_over(&self) -> bool {
        self.ended && self.at == self.buffer.len()
    }

    /// The data of the next event that has some; `None` at the end of the stream.
    pub fn next(&mut self) -> io::Result<Option<&str>> {
        self.data.clear();
        let mut some = false;
        while let Some((from, to)) = self.line()? {
            let line = &self.buffer[from..to];
            if line.is_empty() {
                if some {
                    return Ok(Some(&self.data));
                }
            } else if let Some(data) = line.strip_prefix(b"data:") {
                let data = data.strip_prefix(b" ").unwrap_or(data);
                if self.data.len() + data.len() > MAX_EVENT {
                    return Err(too_long());
                }
                if some {
                    self.data.push('\n');
                }
                some = true;
                self.data.push_str(&String::from_utf8_lossy(data));
            }
        }
        // Some servers leave out the last empty line.
        Ok(some.then_some(&self.data))
    }

    /// The next line that is not empty, of a stream whose events are lines.
    pub fn next_line(&mut self) -> io::Result<Option<&str>> {
        self.data.clear();
        while let Some((from, to)) = self.line()? {
            let line = &self.buffer[from..to];
            if !line.trim_ascii().is_empty() {
                self.data.push_str(&String::from_utf8_lossy(line));
                return Ok(Some(&self.data));
            }
        }
        Ok(None)
    }

    /// Where the next line is in the buffer, without its end.
    fn line(&mut self) -> io::Result<Option<(usize, usize)>> {
        let mut asked = None;
        loop {
            if let Some(found) = self.buffer[self.searched..]
                .iter()
                .position(|b| *b == b'\n')
            {
                let from = self.at;
                let end = self.searched + found;
                self.at = end + 1;
                self.searched = self.at;
                let cr = end > from && self.buffer[end - 1] == b'\r';
                return Ok(Some((from, end - usize::from(cr))));
            }
            self.searched = self.buffer.len();
            if self.ended {
                let from = self.at;
                self.at = self.buffer.len();
                return Ok((from < self.at).then_some((from, self.at)));
            }
            if self.buffer.len() - self.at > MAX_EVENT {
                return Err(too_long());
            }
            let asked = *asked.get_or_insert_with(Instant::now);
            if asked.elapsed() > self.patience {
                return Err(too_slow());
            }
            self.fill()?;
        }
    }

    fn fill(&mut self) -> io::Result<()> {
        self.buffer.drain(..self.at);
        self.searched -= self.at;
        self.at = 0;
        let len = self.buffer.len();
        self.buffer.resize(len + CHUNK, 0);
        let read = self.reader.read(&mut self.buffer[len..]);
        self.buffer.truncate(len + *read.as_ref().unwrap_or(&0));
        self.ended = read? == 0;
        Ok(())
    }
}

/// Of a line or frame that takes too long to arrive.
pub(super) fn too_slow() -> io::Error {
    io::Error::other(Error::Timeout("the rest of the answer".into()))
}

fn too_long() -> io::Error {
    io::Error::other(Error::TooLarge(MAX_EVENT as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives its bytes `n` at a time.
    struct Drip<'a>(&'a [u8], usize);

    impl Read for Drip<'_> {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            let n = self.1.min(self.0.len()).min(buf.len());
            buf[..n].copy_from_slice(&self.0[..n]);
            self.0 = &self.0[n..];
            Ok(n)
        }
    }

    #[test]
    fn events_are_the_same_however_the_bytes_arrive() {
        let text = ": hi\r\nevent: a\r\ndata: {\"x\":\r\ndata:1}\r\n\r\n\n\ndata: é\n\nid: 3\n\ndata: last";
        for step in [1, 2, 3, 7, 1000] {
            let mut events = Events::new(Drip(text.as_bytes(), step), Duration::MAX);
            let mut seen = Vec::new();
            while let Some(data) = events.next().unwrap() {
                seen.push(data.to_string());
            }
            assert_eq!(seen, ["{\"x\":\n1}", "é", "last"], "step {step}");
        }
    }

    #[test]
    fn a_line_without_end_is_refused() {
        let endless = io::repeat(b'x');
        assert!(Events::new(endless, Duration::MAX).next().is_err());
    }

    #[test]
    fn a_line_that_never_becomes_whole_ends_the_patience() {
        let mut events = Events::new(Drip(b"data: a\n\ndata: b", 1), Duration::ZERO);
        let error = events.next().unwrap_err();
        assert!(matches!(Error::from(error), Error::Timeout(_)));
    }
}
