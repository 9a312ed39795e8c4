//! Our end of the socket pair to one core: whole lines out, bounded lines in, never blocking.

use crate::base::jsonl;
use crate::wire::control::{MAX_LINE, ToCore, ToSupervisor};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

/// Lines that a core which does not read leaves with us, bytes; beyond it, it counts as hung.
const MAX_UNSENT: usize = 1024 * 1024;
/// Bytes read at a time, so that a core that only writes does not keep us from signals.
const READ_CHUNK: usize = 16 * 1024;

pub struct Link {
    stream: UnixStream,
    unsent: Vec<u8>,
    unread: Vec<u8>,
}

/// The core broke the contract: a bug of ours, not input.
#[derive(Debug)]
pub struct Broken(pub String);

impl Link {
    /// A pair: ours, and the end the core inherits.
    pub fn pair() -> io::Result<(Link, UnixStream)> {
        let (ours, theirs) = UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        let link = Link {
            stream: ours,
            unsent: Vec::new(),
            unread: Vec::new(),
        };
        Ok((link, theirs))
    }

    pub fn fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }

    pub fn has_unsent(&self) -> bool {
        !self.unsent.is_empty()
    }

    pub fn send(&mut self, line: &ToCore) -> Result<(), Broken> {
        self.unsent.extend(jsonl::line(line));
        self.flush()?;
        match self.unsent.len() {
            0..=MAX_UNSENT => Ok(()),
            more => Err(Broken(format!("{more} bytes left unread by the core"))),
        }
    }

    /// Writes what the socket takes. A core that has hung up is not broken: its end is coming.
    pub fn flush(&mut self) -> Result<(), Broken> {
        while !self.unsent.is_empty() {
            match self.stream.write(&self.unsent) {
                Ok(n) => drop(self.unsent.drain(..n)),
                Err(err) if err.kind() == io::ErrorKind::Interrupted => {}
                Err(err) if err.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(_) => self.unsent.clear(),
            }
        }
        // Given back: idle is the normal state.
        self.unsent = Vec::new();
        Ok(())
    }

    /// The lines that are there, and whether the core has closed its end.
    pub fn receive(&mut self) -> Result<(Vec<ToSupervisor>, bool), Broken> {
        let mut chunk = [0; READ_CHUNK];
        let closed = match self.stream.read(&mut chunk) {
            Ok(0) => true,
            Ok(n) => {
                self.unread.extend(&chunk[..n]);
                false
            }
            Err(err) => {
                let later = [io::ErrorKind::WouldBlock, io::ErrorKind::Interrupted];
                !later.contains(&err.kind())
            }
        };
        let whole = self
            .unread
            .iter()
            .rposition(|b| *b == b'\n')
            .map_or(0, |at| at + 1);
        let mut lines = Vec::new();
        for line in self.unread[..whole].split(|b| *b == b'\n') {
            if line.is_empty() {
                continue;
            }
            lines.push(serde_json::from_slice(line).map_err(|err| Broken(err.to_string()))?);
        }
        self.unread.drain(..whole);
        self.unread.shrink_to(0);
        match self.unread.len() {
            0..=MAX_LINE => Ok((lines, closed)),
            _ => Err(Broken(format!("a line longer than {MAX_LINE} bytes"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::BufRead;

    #[test]
    fn lines_may_come_in_pieces_and_a_bad_one_breaks_the_link() {
        let (mut link, mut core) = Link::pair().unwrap();
        core.write_all(b"{\"op\":\"ready\",\"sta").unwrap();
        assert_eq!(link.receive().unwrap(), (vec![], false));
        core.write_all(b"tus\":\"up\"}\n").unwrap();
        let ready = ToSupervisor::Ready {
            status: "up".into(),
        };
        assert_eq!(link.receive().unwrap(), (vec![ready], false));
        link.send(&ToCore::Ping).unwrap();
        let mut line = String::new();
        io::BufReader::new(&core).read_line(&mut line).unwrap();
        assert_eq!(line, "{\"op\":\"ping\"}\n");
        core.write_all(b"hello\n").unwrap();
        assert!(link.receive().is_err());
        drop(core);
        assert!(!link.receive().unwrap_err().0.is_empty());
    }

    #[test]
    fn a_core_that_reads_nothing_breaks_the_link() {
        let (mut link, _core) = Link::pair().unwrap();
        let long = ToCore::Stop {
            restarting: false,
            reason: "x".repeat(MAX_UNSENT / 2),
            grace_ms: 0,
        };
        let broken = (0..8).any(|_| link.send(&long).is_err());
        assert!(broken);
    }
}
