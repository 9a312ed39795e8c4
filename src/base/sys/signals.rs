//! Signals as bytes on a descriptor, so that one `poll` waits for them and for everything else.

use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGKILL, SIGTERM, SIGUSR1, SIGWINCH};
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    Hangup,
    Interrupt,
    Terminate,
    User1,
    Child,
    Kill,
    /// The terminal has another size.
    WindowChange,
}

impl Signal {
    pub fn number(self) -> i32 {
        match self {
            Signal::Hangup => SIGHUP,
            Signal::Interrupt => SIGINT,
            Signal::Terminate => SIGTERM,
            Signal::User1 => SIGUSR1,
            Signal::Child => SIGCHLD,
            Signal::Kill => SIGKILL,
            Signal::WindowChange => SIGWINCH,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Signal::Hangup => "SIGHUP",
            Signal::Interrupt => "SIGINT",
            Signal::Terminate => "SIGTERM",
            Signal::User1 => "SIGUSR1",
            Signal::Child => "SIGCHLD",
            Signal::Kill => "SIGKILL",
            Signal::WindowChange => "SIGWINCH",
        }
    }
}

/// Between fork and exec: a terminal's or a parent's settings are not the child's; ignored signals
/// and the mask would survive the exec.
pub(super) fn fresh() {
    // SAFETY: async-signal-safe system calls on numbers and on a set that sigemptyset initialises.
    unsafe {
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &none, std::ptr::null_mut());
        for signal in [libc::SIGPIPE, libc::SIGHUP, libc::SIGINT, libc::SIGTERM] {
            libc::signal(signal, libc::SIG_DFL);
        }
    }
}

/// The caught signals of this process. Never given back: a process catches to its end.
pub struct Signals {
    wake: UnixStream,
    caught: Vec<(Signal, Arc<AtomicBool>)>,
}

impl Signals {
    pub fn catch(signals: &[Signal]) -> io::Result<Signals> {
        let (wake, from_handler) = UnixStream::pair()?;
        wake.set_nonblocking(true)?;
        let mut caught = Vec::with_capacity(signals.len());
        for signal in signals {
            let flag = Arc::new(AtomicBool::new(false));
            // The flag first: handlers run in this order, and the byte says a flag is set.
            signal_hook::flag::register(signal.number(), flag.clone())?;
            signal_hook::low_level::pipe::register(signal.number(), from_handler.try_clone()?)?;
            caught.push((*signal, flag));
        }
        Ok(Signals { wake, caught })
    }

    /// Readable when a signal came.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }

    /// What came since the last call. Several of one kind count as one, as in the kernel.
    pub fn take(&mut self) -> Vec<Signal> {
        let mut bytes = [0; 64];
        while matches!(self.wake.read(&mut bytes), Ok(n) if n > 0) {}
        self.caught
            .iter()
            .filter(|(_, flag)| flag.swap(false, Ordering::AcqRel))
            .map(|(signal, _)| *signal)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_makes_the_descriptor_readable_and_is_told_once() {
        let mut signals = Signals::catch(&[Signal::User1]).unwrap();
        signal_hook::low_level::raise(SIGUSR1).unwrap();
        let second = Some(std::time::Duration::from_secs(1));
        let reading = super::super::poll::For::Reading;
        assert!(super::super::poll::wait_one(signals.fd(), reading, second).unwrap());
        assert_eq!(signals.take(), [Signal::User1]);
        assert!(signals.take().is_empty());
    }
}
