//! Owning a tree of processes: forking a keeper for it, hearing of ends, killing all of it. What
//! has ended is taken with `child::reap`.
//!
//! For single-threaded processes only: `fork` goes on with Rust code in the child.

use std::ffi::c_int;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

pub const TERM: i32 = libc::SIGTERM;
pub const KILL: i32 = libc::SIGKILL;
pub const STOP: i32 = libc::SIGSTOP;
pub const CONT: i32 = libc::SIGCONT;
pub const CHILD: i32 = libc::SIGCHLD;

pub enum Fork {
    Parent { child: u32 },
    Child,
}

/// What `ps` shows for a process that did not exec; at most 15 bytes count.
pub fn set_name(name: &std::ffi::CStr) {
    // SAFETY: reads a terminated string that lives during the call. It cannot fail for one.
    unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr(), 0, 0, 0) };
}

/// Only for a process with one thread; the child has a copy of everything, also of descriptors.
pub fn fork() -> io::Result<Fork> {
    // SAFETY: with one thread no lock can be held by a thread that does not exist in the child.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(Fork::Child),
        pid => Ok(Fork::Parent {
            child: pid.unsigned_abs(),
        }),
    }
}

/// Ends a forked child: nothing the parent's copy holds is dropped or flushed twice.
pub fn leave(code: i32) -> ! {
    // SAFETY: _exit ends the process.
    unsafe { libc::_exit(code) }
}

/// Closes every descriptor from 3 on except `keep`. For a forked child, before it opens any of its
/// own: what the parent's structures refer to must not be used (or dropped) afterwards.
pub fn close_others(keep: &[RawFd]) {
    let mut keep: Vec<RawFd> = keep.iter().copied().filter(|fd| *fd > 2).collect();
    keep.sort_unstable();
    let mut from = 3;
    for fd in keep {
        close_range(from, fd - 1);
        from = fd + 1;
    }
    close_range(from, RawFd::MAX);
}

fn close_range(from: RawFd, to: RawFd) {
    if from > to {
        return;
    }
    // SAFETY: see `close_others`: nobody uses these descriptors any more.
    let done = unsafe { libc::syscall(libc::SYS_close_range, from, to, 0) };
    if done == 0 {
        return;
    }
    // Before Linux 5.9. Descriptors beyond this cannot exist: the runner is far below it.
    for fd in from..=to.min(4096) {
        // SAFETY: as above; a number that is not open fails harmlessly.
        unsafe { libc::close(fd) };
    }
}

/// Sends a signal; a process that is gone or not ours to signal is left alone.
pub fn send(pid: u32, signal: i32) {
    if let Ok(pid) = i32::try_from(pid) {
        if pid > 1 {
            // SAFETY: sends a signal, touches no memory. pid > 1: never a group, never everybody.
            unsafe { libc::kill(pid, signal) };
        }
    }
}

/// Processes and threads of the whole machine: one cheap call.
pub fn count_all() -> u64 {
    // SAFETY: plain numbers, all zero is a value; the kernel fills the struct.
    unsafe {
        let mut info: libc::sysinfo = std::mem::zeroed();
        libc::sysinfo(&raw mut info);
        info.procs.into()
    }
}

/// Goes first when the processor is short. Only root can; others stay where they are.
pub fn go_first() {
    const NICE: c_int = -15;
    // SAFETY: changes a number of this process. A refusal changes nothing.
    unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, NICE) };
}

/// SIGCHLD and the polite ends (TERM, INT, HUP) as something to poll. Programs started with
/// `std::process::Command` get an empty mask again.
pub struct Signals(OwnedFd);

impl Signals {
    pub fn new() -> io::Result<Signals> {
        // SAFETY: the set is initialised by sigemptyset before it is used; the calls write to it
        // and to this process's mask only.
        let fd = unsafe {
            let mut set: libc::sigset_t = std::mem::zeroed();
            libc::sigemptyset(&raw mut set);
            for signal in [libc::SIGCHLD, libc::SIGTERM, libc::SIGINT, libc::SIGHUP] {
                libc::sigaddset(&raw mut set, signal);
            }
            check(libc::sigprocmask(
                libc::SIG_BLOCK,
                &raw const set,
                std::ptr::null_mut(),
            ))?;
            libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK)
        };
        check(fd)?;
        // SAFETY: a descriptor the kernel just gave us.
        Ok(Signals(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// The next pending signal.
    pub fn take(&self) -> Option<i32> {
        // SAFETY: plain numbers, all zero is a value.
        let mut info: libc::signalfd_siginfo = unsafe { std::mem::zeroed() };
        let size = size_of::<libc::signalfd_siginfo>();
        // SAFETY: the kernel writes at most `size` bytes into `info`.
        let count = unsafe { libc::read(self.0.as_raw_fd(), (&raw mut info).cast(), size) };
        (usize::try_from(count) == Ok(size)).then_some(info.ssi_signo as i32)
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// A pipe: (read end, write end), both closed on exec.
pub fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut fds = [0; 2];
    // SAFETY: the kernel writes two descriptors into the array.
    check(unsafe { libc::pipe2(fds.as_mut_ptr(), libc::O_CLOEXEC) })?;
    // SAFETY: both are fresh and nobody else's.
    Ok(unsafe { (OwnedFd::from_raw_fd(fds[0]), OwnedFd::from_raw_fd(fds[1])) })
}

/// Reads and writes return at once from now on. The other end of a pipe is not affected.
pub fn set_nonblocking(fd: &impl AsRawFd) -> io::Result<()> {
    let fd = fd.as_raw_fd();
    // SAFETY: reads and sets flags of an open descriptor.
    unsafe {
        let flags = libc::fcntl(fd, libc::F_GETFL);
        check(flags)?;
        check(libc::fcntl(fd, libc::F_SETFL, flags | libc::O_NONBLOCK))
    }
}

/// A terminal whose other end was closed reports EIO: the end of its output.
pub fn is_hang_up(err: &io::Error) -> bool {
    err.raw_os_error() == Some(libc::EIO)
}

fn check(result: c_int) -> io::Result<()> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_to_nobody_and_to_everybody_is_not_sent() {
        send(0, KILL);
        send(1, 0);
        send(u32::MAX, KILL);
    }

    #[test]
    fn a_pipe_carries_bytes() {
        use std::io::{Read, Write};
        let (read, write) = pipe().unwrap();
        std::fs::File::from(write).write_all(b"x").unwrap();
        let mut text = String::new();
        std::fs::File::from(read).read_to_string(&mut text).unwrap();
        assert_eq!(text, "x");
    }
}
