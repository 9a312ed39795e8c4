//! Waiting for descriptors, with a deadline.

use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::{Duration, Instant};

/// A set of borrowed descriptors to wait for. The borrow keeps every descriptor open for as long
/// as the set exists.
#[derive(Default)]
pub struct Poll<'a> {
    entries: Vec<libc::pollfd>,
    borrowed: PhantomData<BorrowedFd<'a>>,
}

/// What to wait for. A hang-up or an error always ends the wait.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum For {
    Reading,
    Writing,
    HangUp,
    /// The peer has said that it sends no more.
    End,
}

#[cfg(target_os = "linux")]
const END: i16 = libc::POLLRDHUP;
/// Without it only a broken connection is noticed.
#[cfg(not(target_os = "linux"))]
const END: i16 = 0;

impl<'a> Poll<'a> {
    pub fn new() -> Poll<'a> {
        Poll::default()
    }

    /// Adds a descriptor and returns its place in the set. The same one may be added twice.
    pub fn add(&mut self, fd: BorrowedFd<'a>, what: For) -> usize {
        self.entries.push(libc::pollfd {
            fd: fd.as_raw_fd(),
            events: match what {
                For::Reading => libc::POLLIN,
                For::Writing => libc::POLLOUT,
                For::HangUp => 0,
                For::End => END,
            },
            revents: 0,
        });
        self.entries.len() - 1
    }

    /// Waits until something is ready or `timeout` has passed; says whether something is.
    pub fn wait(&mut self, timeout: Option<Duration>) -> io::Result<bool> {
        let deadline = timeout.map(|t| Instant::now() + t);
        loop {
            let ms = match deadline {
                None => -1,
                // Rounded up: a wait that ends a fraction early would spin.
                Some(at) => {
                    let left = at.saturating_duration_since(Instant::now());
                    i32::try_from(left.as_micros().div_ceil(1000)).unwrap_or(i32::MAX)
                }
            };
            // SAFETY: the pointer and count describe `entries`, which outlives the call.
            let ready = unsafe {
                libc::poll(
                    self.entries.as_mut_ptr(),
                    self.entries.len() as libc::nfds_t,
                    ms,
                )
            };
            if ready >= 0 {
                return Ok(ready > 0);
            }
            let err = io::Error::last_os_error();
            if err.kind() != io::ErrorKind::Interrupted {
                return Err(err);
            }
        }
    }

    /// The descriptor at `place` can be used, or has hung up (using it will tell).
    pub fn ready(&self, place: usize) -> bool {
        self.entries[place].revents != 0
    }

    pub fn hung_up(&self, place: usize) -> bool {
        self.entries[place].revents & (libc::POLLHUP | libc::POLLERR | libc::POLLNVAL) != 0
    }
}

/// Waits for one descriptor.
pub fn wait_one(fd: BorrowedFd, what: For, timeout: Option<Duration>) -> io::Result<bool> {
    let mut poll = Poll::new();
    poll.add(fd, what);
    poll.wait(timeout)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    #[test]
    fn a_wait_ends_with_data_or_with_time() {
        let (a, mut b) = UnixStream::pair().unwrap();
        let short = Some(Duration::from_millis(1));
        assert!(!wait_one(a.as_fd(), For::Reading, short).unwrap());
        b.write_all(b"x").unwrap();
        assert!(wait_one(a.as_fd(), For::Reading, None).unwrap());
    }

    #[test]
    fn a_peer_that_sends_no_more_is_noticed_while_it_still_reads() {
        let (a, b) = UnixStream::pair().unwrap();
        let short = Some(Duration::from_millis(1));
        assert!(!wait_one(a.as_fd(), For::End, short).unwrap());
        b.shutdown(std::net::Shutdown::Write).unwrap();
        assert!(wait_one(a.as_fd(), For::End, None).unwrap());
        let mut poll = Poll::new();
        let at = poll.add(a.as_fd(), For::End);
        poll.wait(None).unwrap();
        assert!(poll.ready(at) && !poll.hung_up(at));
    }
}
