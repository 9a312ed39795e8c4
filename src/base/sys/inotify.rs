//! Being told of changes in folders (Linux inotify). Elsewhere opening one fails and the caller
//! lives without.
//!
//! A folder is watched, not a file: editors move a new file over the old one, and a watch on the
//! old file would follow it into the bin.

use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::time::Duration;

/// A watched folder.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct WatchId(i32);

/// What happened in a watched folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// `None`: more happened than the kernel kept, so anything may have.
    pub watch: Option<WatchId>,
    /// The entry; empty when it is the folder itself, which has gone.
    pub name: OsString,
    /// The entry was written to and may still be open for more.
    pub unfinished: bool,
}

#[cfg(target_os = "linux")]
mod kernel {
    use super::*;
    use crate::base::sys::poll::{For, wait_one};
    use std::ffi::CString;
    use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
    use std::os::unix::ffi::{OsStrExt, OsStringExt};

    /// Room for a few dozen events; more are read in the next round.
    const BUFFER: usize = 4096;
    /// `struct inotify_event` without its name: wd, mask, cookie, len.
    const HEAD: usize = 16;
    const EVENTS: u32 = libc::IN_CLOSE_WRITE
        | libc::IN_MODIFY
        | libc::IN_CREATE
        | libc::IN_MOVED_TO
        | libc::IN_MOVED_FROM
        | libc::IN_DELETE
        | libc::IN_DELETE_SELF
        | libc::IN_MOVE_SELF
        | libc::IN_ONLYDIR;

    #[derive(Debug)]
    pub struct Inotify(OwnedFd);

    impl Inotify {
        pub fn open() -> io::Result<Inotify> {
            // SAFETY: takes no pointers; the result is checked and owned by nobody else.
            let fd = unsafe { libc::inotify_init1(libc::IN_CLOEXEC | libc::IN_NONBLOCK) };
            match fd {
                -1 => Err(io::Error::last_os_error()),
                // SAFETY: a fresh descriptor of ours.
                fd => Ok(Inotify(unsafe { OwnedFd::from_raw_fd(fd) })),
            }
        }

        /// Watches a folder; the same one twice is the same watch.
        pub fn watch(&self, dir: &Path) -> io::Result<WatchId> {
            let path = CString::new(dir.as_os_str().as_bytes())?;
            // SAFETY: `path` is a C string that outlives the call.
            let id = unsafe { libc::inotify_add_watch(self.0.as_raw_fd(), path.as_ptr(), EVENTS) };
            match id {
                -1 => Err(io::Error::last_os_error()),
                id => Ok(WatchId(id)),
            }
        }

        /// A watch that is gone already (its folder was removed) is no error.
        pub fn forget(&self, watch: WatchId) {
            // SAFETY: takes no pointers.
            unsafe { libc::inotify_rm_watch(self.0.as_raw_fd(), watch.0) };
        }

        /// Waits for events; empty after `timeout`.
        pub fn next(&self, timeout: Option<Duration>) -> io::Result<Vec<Seen>> {
            if !wait_one(self.0.as_fd(), For::Reading, timeout)? {
                return Ok(Vec::new());
            }
            let mut buffer = [0u8; BUFFER];
            // SAFETY: the pointer and length describe `buffer`.
            let n =
                unsafe { libc::read(self.0.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len()) };
            match usize::try_from(n) {
                Ok(n) => Ok(events(&buffer[..n])),
                Err(_) => match io::Error::last_os_error() {
                    err if err.kind() == io::ErrorKind::WouldBlock => Ok(Vec::new()),
                    err => Err(err),
                },
            }
        }
    }

    fn events(mut bytes: &[u8]) -> Vec<Seen> {
        let word = |bytes: &[u8], at: usize| {
            let four = bytes[at..at + 4].try_into().expect("four bytes");
            u32::from_ne_bytes(four)
        };
        let mut out = Vec::new();
        while bytes.len() >= HEAD {
            let mask = word(bytes, 4);
            let end = HEAD + word(bytes, 12) as usize;
            let Some(name) = bytes.get(HEAD..end) else {
                break;
            };
            let name: Vec<u8> = name.iter().copied().take_while(|b| *b != 0).collect();
            let watch = i32::from_ne_bytes(bytes[..4].try_into().expect("four bytes"));
            // That a watch ended is said after the reason for it.
            if mask & libc::IN_IGNORED == 0 {
                out.push(Seen {
                    watch: (mask & libc::IN_Q_OVERFLOW == 0).then_some(WatchId(watch)),
                    name: OsString::from_vec(name),
                    unfinished: mask & libc::IN_MODIFY != 0,
                });
            }
            bytes = &bytes[end..];
        }
        out
    }
}

#[cfg(not(target_os = "linux"))]
mod kernel {
    use super::*;

    #[derive(Debug)]
    pub enum Inotify {}

    impl Inotify {
        pub fn open() -> io::Result<Inotify> {
            Err(io::ErrorKind::Unsupported.into())
        }

        pub fn watch(&self, _dir: &Path) -> io::Result<WatchId> {
            match *self {}
        }

        pub fn forget(&self, _watch: WatchId) {
            match *self {}
        }

        pub fn next(&self, _timeout: Option<Duration>) -> io::Result<Vec<Seen>> {
            match *self {}
        }
    }
}

pub use kernel::Inotify;

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_file_moved_over_another_is_seen_and_silence_is_silence() {
        let dir = crate::base::id::temp_dir("inotify");
        let inotify = Inotify::open().unwrap();
        let watch = inotify.watch(&dir).unwrap();
        assert_eq!(inotify.watch(&dir).unwrap(), watch);
        let now = Some(Duration::ZERO);
        assert!(inotify.next(now).unwrap().is_empty());
        fs::write(dir.join("a.tmp"), "x").unwrap();
        fs::rename(dir.join("a.tmp"), dir.join("a")).unwrap();
        let seen = inotify.next(now).unwrap();
        assert!(seen.iter().any(|s| s.unfinished && s.name == "a.tmp"));
        let last = seen.last().unwrap();
        assert_eq!((last.watch, last.name.to_str()), (Some(watch), Some("a")));
        assert!(!last.unfinished);
        fs::remove_dir_all(&dir).unwrap();
        let gone = inotify.next(now).unwrap();
        assert!(gone.last().unwrap().name.is_empty());
        inotify.forget(watch);
        assert!(inotify.watch(&dir).is_err());
    }
}
