//! The connection of the core: whole lines in, lines out, both bounded, never blocking.

use crate::wire::exec::{FromRunner, MAX_LINE, ToRunner};
use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

/// Output waiting for the core, bytes. Beyond it commands are not read from: their pipes fill, and
/// they wait.
const FULL: usize = 128 * 1024;
/// A core that takes nothing while this much waits is broken: other lines are few and small.
const BROKEN: usize = 4 * 1024 * 1024;

pub struct Link {
    stream: UnixStream,
    incoming: Vec<u8>,
    outgoing: VecDeque<u8>,
}

impl Link {
    pub fn new(stream: UnixStream) -> io::Result<Link> {
        stream.set_nonblocking(true)?;
        Ok(Link {
            stream,
            incoming: Vec::new(),
            outgoing: VecDeque::new(),
        })
    }

    pub fn fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }

    pub fn has_room(&self) -> bool {
        self.outgoing.len() < FULL
    }

    pub fn has_output(&self) -> bool {
        !self.outgoing.is_empty()
    }

    /// The lines that have come whole. An error, also a line that is none, ends the connection.
    pub fn receive(&mut self) -> io::Result<Vec<ToRunner>> {
        let mut part = [0; 16 * 1024];
        // A core that talks without end must not keep us from its commands.
        for _ in 0..16 {
            match self.stream.read(&mut part) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => self.incoming.extend_from_slice(&part[..count]),
                Err(err) if err.kind() == io::ErrorKind::WouldBlock => break,
                Err(err) if err.kind() == io::ErrorKind::Interrupted => {}
                Err(err) => return Err(err),
            }
            if self.incoming.len() > MAX_LINE {
                break;
            }
        }
        let Some(end) = self.incoming.iter().rposition(|byte| *byte == b'\n') else {
            if self.incoming.len() > MAX_LINE {
                return Err(io::Error::other("a line is too long"));
            }
            return Ok(Vec::new());
        };
        let lines = self.incoming[..end]
            .split(|byte| *byte == b'\n')
            .map(|line| serde_json::from_slice(line).map_err(io::Error::other))
            .collect();
        self.incoming.drain(..=end);
        self.incoming.shrink_to(0);
        lines
    }

    pub fn send(&mut self, message: &FromRunner) -> io::Result<()> {
        serde_json::to_writer(&mut self.outgoing, message)?;
        self.outgoing.push_back(b'\n');
        if self.outgoing.len() > BROKEN {
            return Err(io::Error::other("the core does not read"));
        }
        Ok(())
    }

    /// Writes what the core takes.
    pub fn flush(&mut self) -> io::Result<()> {
        while !self.outgoing.is_empty() {
            let (front, _) = self.outgoing.as_slices();
            match self.stream.write(front) {
                Ok(count) => drop(self.outgoing.drain(..count)),
                Err(err) if err.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(err) if err.kind() == io::ErrorKind::Interrupted => {}
                Err(err) => return Err(err),
            }
        }
        // Nothing is held while idle.
        self.outgoing = VecDeque::new();
        Ok(())
    }
}
