//! `!command`: run on this machine, as the person at the terminal.

use crate::base::sys::child;
use crate::base::sys::poll::{For, wait_one};
use crate::base::sys::signals::Signal;
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Characters of the output that are kept; the rest is read and dropped.
const MAX_OUTPUT: usize = 40_000;

pub struct Shell {
    child: Child,
    out: Option<std::process::ChildStdout>,
    err: Option<std::process::ChildStderr>,
    output: Vec<u8>,
}

impl Shell {
    pub fn start(command: &str) -> std::io::Result<Shell> {
        let mut child = Command::new("/bin/sh")
            .arg("-c")
            .arg(command)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Its own group: Escape ends it with whatever it started.
            .process_group(0)
            .spawn()?;
        Ok(Shell {
            out: child.stdout.take(),
            err: child.stderr.take(),
            child,
            output: Vec::new(),
        })
    }

    pub fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let out = self.out.as_ref().map(AsFd::as_fd);
        let err = self.err.as_ref().map(AsFd::as_fd);
        out.into_iter().chain(err)
    }

    pub fn stop(&self) {
        child::send_group(self.child.id(), Signal::Kill);
    }

    /// Takes what it has written; its text with how it ended, when it has.
    pub fn read(&mut self) -> Option<String> {
        let mut kept = std::mem::take(&mut self.output);
        pull(&mut self.out, &mut kept);
        pull(&mut self.err, &mut kept);
        self.output = kept;
        if self.out.is_some() || self.err.is_some() {
            return None;
        }
        let end = match self.child.wait() {
            Ok(status) => match status.code() {
                Some(code) => format!("[local] exit {code}"),
                None => format!("[local] signal {}", status.signal().unwrap_or_default()),
            },
            Err(err) => format!("[local] {err}"),
        };
        let text = String::from_utf8_lossy(&self.output);
        Some(format!("{}\n{end}", text.trim_end()))
    }
}

fn pull<R: Read + AsFd>(from: &mut Option<R>, kept: &mut Vec<u8>) {
    let mut piece = [0; 8192];
    while let Some(pipe) = from {
        if !wait_one(pipe.as_fd(), For::Reading, Some(Duration::ZERO)).unwrap_or(true) {
            return;
        }
        match pipe.read(&mut piece) {
            Ok(0) | Err(_) => *from = None,
            Ok(count) => {
                let room = MAX_OUTPUT.saturating_sub(kept.len());
                kept.extend_from_slice(&piece[..count.min(room)]);
            }
        }
    }
}
