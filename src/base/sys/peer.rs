//! Who is at the other end of a Unix socket, and whose child a process is.
//!
//! The kernel vouches for uid and pid at connect time. A pid may be reused after its process ends,
//! so it only ever takes rights away, never gives them.

use std::io;
use std::os::fd::{AsFd, AsRawFd};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Credentials {
    pub uid: u32,
    /// Absent where the platform does not tell.
    pub pid: Option<u32>,
}

/// Longest chain of parents that is followed; a longer one counts as unknown.
const MAX_ANCESTORS: usize = 256;

#[cfg(any(target_os = "linux", target_os = "android"))]
pub fn credentials(socket: impl AsFd) -> io::Result<Credentials> {
    let mut cred = libc::ucred {
        pid: 0,
        uid: u32::MAX,
        gid: u32::MAX,
    };
    let mut len = size_of::<libc::ucred>() as libc::socklen_t;
    // SAFETY: the kernel writes at most `len` bytes into `cred`, which has that size.
    let done = unsafe {
        libc::getsockopt(
            socket.as_fd().as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            (&raw mut cred).cast(),
            &mut len,
        )
    };
    if done != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(Credentials {
        uid: cred.uid,
        pid: u32::try_from(cred.pid).ok().filter(|pid| *pid > 0),
    })
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub fn credentials(socket: impl AsFd) -> io::Result<Credentials> {
    let (mut uid, mut gid) = (libc::uid_t::MAX, libc::gid_t::MAX);
    // SAFETY: both pointers are to live locals of the right type.
    if unsafe { libc::getpeereid(socket.as_fd().as_raw_fd(), &mut uid, &mut gid) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(Credentials { uid, pid: None })
}

/// Our effective user.
pub fn own_uid() -> u32 {
    // SAFETY: geteuid takes nothing and cannot fail.
    unsafe { libc::geteuid() }
}

/// Whether `pid` is `ancestor` or below it. `None` when the chain cannot be followed (no /proc,
/// hidden processes, already gone): the caller decides on the safe side.
pub fn descends_from(pid: u32, ancestor: u32) -> Option<bool> {
    let mut at = pid;
    for _ in 0..MAX_ANCESTORS {
        if at == ancestor {
            return Some(true);
        }
        if at <= 1 {
            return Some(false);
        }
        at = parent(at)?;
    }
    None
}

/// The fourth field of /proc/PID/stat. The second is the program's name in parentheses and may
/// hold anything, so fields are counted from the last parenthesis.
fn parent(pid: u32) -> Option<u32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_ascii_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixStream;

    #[test]
    fn the_peer_of_our_own_socket_is_us() {
        let (a, _b) = UnixStream::pair().unwrap();
        let peer = credentials(&a).unwrap();
        assert_eq!(peer.uid, own_uid());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_child_descends_from_us_and_we_do_not_from_it() {
        let mut child = std::process::Command::new("cat")
            .stdin(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let us = std::process::id();
        assert_eq!(descends_from(child.id(), us), Some(true));
        assert_eq!(descends_from(us, child.id()), Some(false));
        drop(child.stdin.take());
        child.wait().unwrap();
    }
}
