//! Descriptors that cross an exec: taking over what a parent handed us, and keeping the rest from
//! our children. The convention is systemd's: `LISTEN_PID`, `LISTEN_FDS`, `LISTEN_FDNAMES`, from 3.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicU64, Ordering};

/// The first descriptor a parent hands over.
pub const FIRST: RawFd = 3;
/// Most descriptors taken over; `TAKEN` has a bit for each.
const MAX: RawFd = 60;

/// Which inherited descriptors already have an owner in this process.
static TAKEN: AtomicU64 = AtomicU64::new(0);

/// Makes an inherited descriptor ours, closed on exec. Each number has one owner: a second call
/// with it fails, and so does a number above 63.
pub fn take(fd: RawFd) -> io::Result<OwnedFd> {
    if !(FIRST..FIRST + MAX).contains(&fd) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // SAFETY: F_GETFD and F_SETFD only read and set a flag of the number, valid or not.
    let set = unsafe {
        libc::fcntl(fd, libc::F_GETFD) != -1
            && libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) != -1
    };
    if !set {
        return Err(io::Error::last_os_error());
    }
    let bit = 1 << fd;
    if TAKEN.fetch_or(bit, Ordering::AcqRel) & bit != 0 {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    // SAFETY: the number is open (checked above) and TAKEN gives it to nobody else. Callers pass
    // numbers that a parent announced, before this process opens descriptors of its own there.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// The descriptors a service manager or our supervisor handed to this very process, by name.
/// A missing name is empty.
pub fn handed_over() -> io::Result<Vec<(String, OwnedFd)>> {
    let var = |name| std::env::var(name).unwrap_or_default();
    if var("LISTEN_PID").parse() != Ok(std::process::id()) {
        return Ok(Vec::new());
    }
    let count: RawFd = var("LISTEN_FDS").parse().unwrap_or(0);
    if count > MAX {
        return Err(io::Error::other(format!(
            "LISTEN_FDS={count}: at most {MAX} descriptors are taken over"
        )));
    }
    let names = var("LISTEN_FDNAMES");
    let mut names = names.split(':');
    (FIRST..FIRST + count)
        .map(|fd| Ok((names.next().unwrap_or_default().to_string(), take(fd)?)))
        .collect()
}

/// Keeps every descriptor from 3 on from children: what a careless parent leaked to us ends here.
pub fn close_all_on_exec() {
    #[cfg(target_os = "linux")]
    {
        // SAFETY: sets a flag on this process's descriptors, and closes none.
        let done = unsafe {
            libc::syscall(
                libc::SYS_close_range,
                FIRST,
                u32::MAX,
                libc::CLOSE_RANGE_CLOEXEC,
            )
        };
        if done == 0 {
            return;
        }
    }
    for fd in FIRST..1024 {
        // SAFETY: sets a flag on a number; one that is not open fails harmlessly.
        unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) };
    }
}

/// Lets more connections wait than the 128 of the standard library: they do while a core restarts.
pub fn deepen_backlog(listener: &impl AsRawFd, backlog: i32) -> io::Result<()> {
    // SAFETY: a second listen on a listening socket only changes its backlog.
    match unsafe { libc::listen(listener.as_raw_fd(), backlog) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::IntoRawFd;

    #[test]
    fn an_inherited_descriptor_has_one_owner() {
        assert!(take(1).is_err());
        assert!(take(5000).is_err());
        let fd = std::fs::File::open("/dev/null").unwrap().into_raw_fd();
        let owned = take(fd).unwrap();
        assert_eq!(take(fd).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        drop(owned);
    }
}
