//! One command as the runner sees it: its keeper, its output, its input.

use super::group::Home;
use super::keeper::{self, Ends, MESSAGE};
use super::kept::Kept;
use super::watch::Excess;
use crate::base::sys::{pty, reaper};
use crate::wire::exec::{FromRunner, OUTPUT_CHUNK, Run};
use base64::{Engine, engine::general_purpose::STANDARD};
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// Input a command has not read yet, bytes; more is refused.
const MAX_INPUT: usize = 1024 * 1024;
/// TERM to KILL of a command whose time is up.
const TIMEOUT_GRACE: Duration = Duration::from_secs(1);
/// Longest text a keeper says about a failed start, bytes.
const MAX_FAILURE: usize = 16 * 1024;

pub struct Running {
    pub id: String,
    /// Of the keeper.
    pub pid: u32,
    /// `None`: the keeper ended, and with it everything below it.
    control: Option<UnixStream>,
    /// What the keeper said so far and is not understood yet.
    heard: Vec<u8>,
    /// The keeper said so. A quick command prints before that, which waits: first things first.
    started: bool,
    /// `None`: at its end.
    output: Option<File>,
    input: Option<File>,
    pending: VecDeque<u8>,
    close_input: bool,
    terminal: bool,
    sandboxed: bool,
    deadline: Option<Instant>,
    timed_out: bool,
    ending: bool,
    end: Option<(Option<i32>, Option<i32>)>,
    /// The last line about it was said; what may be left is its keeper with processes that the
    /// command left behind.
    pub told: bool,
    /// The connection that asked for it is gone.
    pub orphan: bool,
    /// It outlives its connection.
    pub kept: Option<Kept>,
}

impl Running {
    pub fn start(run: &Run, home: Option<&Home>) -> io::Result<Running> {
        let (ours, theirs) = UnixStream::pair()?;
        let (input, output, ends) = match run.pty {
            Some(size) => {
                let (master, slave) = pty::open(size.cols, size.rows)?;
                let ends = Ends {
                    input: slave.try_clone()?,
                    output: slave,
                    terminal: true,
                };
                (master.try_clone()?, master, ends)
            }
            None => {
                let (command_reads, we_write) = reaper::pipe()?;
                let (we_read, command_writes) = reaper::pipe()?;
                let ends = Ends {
                    input: command_reads,
                    output: command_writes,
                    terminal: false,
                };
                (we_write, we_read, ends)
            }
        };
        reaper::set_nonblocking(&input)?;
        reaper::set_nonblocking(&output)?;
        let pid = match reaper::fork()? {
            reaper::Fork::Child => keeper::keep(theirs, run, ends, home),
            reaper::Fork::Parent { child } => child,
        };
        ours.set_nonblocking(true)?;
        let file = |fd: OwnedFd| Some(File::from(fd));
        let timeout = Some(run.timeout_ms).filter(|ms| *ms > 0);
        Ok(Running {
            id: run.id.clone(),
            pid,
            control: Some(ours),
            heard: Vec::new(),
            started: false,
            output: file(output),
            input: file(input),
            pending: VecDeque::new(),
            close_input: false,
            terminal: run.pty.is_some(),
            sandboxed: run.sandbox.is_some(),
            deadline: timeout.and_then(|ms| Instant::now().checked_add(Duration::from_millis(ms))),
            timed_out: false,
            ending: false,
            end: None,
            told: false,
            orphan: false,
            kept: None,
        })
    }

    pub fn control(&self) -> Option<BorrowedFd<'_>> {
        self.control.as_ref().map(AsFd::as_fd)
    }

    pub fn output(&self) -> Option<BorrowedFd<'_>> {
        let started = self.started;
        self.output.as_ref().filter(|_| started).map(AsFd::as_fd)
    }

    /// Its input, while there is something to write.
    pub fn hungry(&self) -> Option<BorrowedFd<'_>> {
        let wants = !self.pending.is_empty();
        self.input.as_ref().filter(|_| wants).map(AsFd::as_fd)
    }

    pub fn deadline(&self) -> Option<Instant> {
        self.deadline.filter(|_| !self.ending)
    }

    /// Nothing of it is left.
    pub fn is_over(&self) -> bool {
        self.control.is_none() && (self.told || self.orphan)
    }

    /// Its last writer is gone, and output may be left.
    pub fn is_draining(&self) -> bool {
        self.output.is_some() && (self.control.is_none() || (self.terminal && self.end.is_some()))
    }

    pub fn check_time(&mut self, now: Instant) {
        if self.deadline().is_some_and(|deadline| now >= deadline) && self.end.is_none() {
            self.timed_out = true;
            self.kill(TIMEOUT_GRACE);
        }
    }

    pub fn kill(&mut self, grace: Duration) {
        self.ending = true;
        if let Some(control) = &self.control {
            // A keeper that does not take five bytes is about to end: `hear` will see that.
            let _ = keeper::ask_end(control, grace);
        }
    }

    /// Reads what the keeper says.
    pub fn hear(&mut self) -> Vec<FromRunner> {
        let mut said = Vec::new();
        let mut gone = false;
        if let Some(control) = &mut self.control {
            let mut part = [0; 512];
            loop {
                match control.read(&mut part) {
                    Ok(0) => break gone = true,
                    Ok(count) if self.heard.len() <= MAX_FAILURE => {
                        self.heard.extend_from_slice(&part[..count]);
                    }
                    Ok(_) => {}
                    Err(err) if err.kind() == io::ErrorKind::Interrupted => {}
                    Err(err) => break gone = err.kind() != io::ErrorKind::WouldBlock,
                }
            }
        }
        while let Some(message) = self.heard.first_chunk::<MESSAGE>().copied() {
            let value = keeper::number(&message);
            let id = self.id.clone();
            let mut used = MESSAGE;
            match message[0] {
                keeper::STARTED => {
                    self.started = true;
                    said.push(FromRunner::Started { id, pid: value });
                }
                keeper::EXITED => self.end = Some((Some(value as i32), None)),
                keeper::SIGNALLED => self.end = Some((None, Some(value as i32))),
                keeper::EXCESS => {
                    self.ending = true;
                    let what = Excess::what(value);
                    let text = format!("\n[ended: {what}]\n");
                    if let Some(kept) = &mut self.kept {
                        kept.push(text.as_bytes());
                    }
                    said.push(output(&self.id, text.as_bytes()));
                }
                keeper::FAILED => {
                    used += value as usize;
                    if self.heard.len() < used && !gone {
                        break;
                    }
                    let text = self.heard.get(MESSAGE..used).unwrap_or_default();
                    let error = String::from_utf8_lossy(text).into_owned();
                    said.push(FromRunner::Failed { id, error });
                    self.told = true;
                    self.output = None;
                }
                _ => {}
            }
            self.heard.drain(..used.min(self.heard.len()));
        }
        if gone {
            self.control = None;
            self.input = None;
        }
        said
    }

    /// Reads one piece of output.
    pub fn read(&mut self) -> Option<FromRunner> {
        let file = self.output.as_mut()?;
        let mut part = [0; OUTPUT_CHUNK];
        match file.read(&mut part) {
            Ok(0) => self.output = None,
            Ok(count) => {
                if let Some(kept) = &mut self.kept {
                    kept.push(&part[..count]);
                }
                return Some(output(&self.id, &part[..count]));
            }
            Err(err) if err.kind() == io::ErrorKind::WouldBlock => {
                // All that was to come has come when nobody is left who could write: nobody at
                // all, or nobody the terminal was opened for.
                if self.is_draining() {
                    self.output = None;
                }
            }
            Err(err) if err.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => self.output = None,
        }
        None
    }

    /// Takes input for the command.
    pub fn take_input(&mut self, data: &[u8], eof: bool) -> Result<(), &'static str> {
        if self.input.is_none() || self.close_input {
            return Err("its standard input is closed");
        }
        if self.pending.len() + data.len() > MAX_INPUT {
            return Err("it does not read its standard input");
        }
        self.pending.extend(data);
        if eof && self.terminal {
            // A terminal has no end of file; control-D at the start of a line says it.
            self.pending.push_back(4);
        }
        self.close_input = eof && !self.terminal;
        self.feed();
        Ok(())
    }

    /// Writes what the command takes.
    pub fn feed(&mut self) {
        let Some(input) = &mut self.input else {
            return;
        };
        while !self.pending.is_empty() {
            let (front, _) = self.pending.as_slices();
            match input.write(front) {
                Ok(count) => drop(self.pending.drain(..count)),
                Err(err) if err.kind() == io::ErrorKind::Interrupted => {}
                Err(err) if err.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => {
                    self.input = None;
                    break;
                }
            }
        }
        self.pending = VecDeque::new();
        if self.close_input {
            self.input = None;
        }
    }

    /// The last line, once: after all output, and after the whole tree when it was to be killed.
    pub fn last(&mut self) -> Option<FromRunner> {
        let gone = self.control.is_none();
        let tree_ends = self.ending || self.sandboxed;
        let done = self.output.is_none() && (gone || (self.end.is_some() && !tree_ends));
        if self.told || !done {
            return None;
        }
        self.told = true;
        self.input = None;
        let id = self.id.clone();
        Some(match self.end {
            Some((code, signal)) => FromRunner::Exited {
                id,
                code,
                signal,
                timed_out: self.timed_out,
            },
            None if self.ending => FromRunner::Exited {
                id,
                code: None,
                signal: Some(reaper::KILL),
                timed_out: self.timed_out,
            },
            None => FromRunner::Failed {
                id,
                error: "its keeper was killed".into(),
            },
        })
    }
}

fn output(id: &str, data: &[u8]) -> FromRunner {
    FromRunner::Output {
        id: id.into(),
        data: STANDARD.encode(data),
    }
}
