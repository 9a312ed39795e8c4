//! A pseudo terminal: the master for us, the slave for a command.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;

/// (master, slave), both closed on exec; nobody's controlling terminal yet.
pub fn open(cols: u16, rows: u16) -> io::Result<(OwnedFd, OwnedFd)> {
    let flags = libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC;
    // SAFETY: opens a descriptor; checked below.
    let fd = unsafe { libc::posix_openpt(flags) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a descriptor the kernel just gave us.
    let master = unsafe { OwnedFd::from_raw_fd(fd) };
    let mut name = [0u8; 128];
    // SAFETY: the calls work on an open master; the name is written within its length.
    unsafe {
        if libc::grantpt(fd) < 0
            || libc::unlockpt(fd) < 0
            || libc::ptsname_r(fd, name.as_mut_ptr().cast(), name.len()) != 0
        {
            return Err(io::Error::last_os_error());
        }
        let size = libc::winsize {
            ws_row: rows,
            ws_col: cols,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        if libc::ioctl(fd, libc::TIOCSWINSZ, &raw const size) < 0 {
            return Err(io::Error::last_os_error());
        }
    }
    let end = name.iter().position(|byte| *byte == 0).unwrap_or(0);
    let path = std::str::from_utf8(&name[..end]).map_err(io::Error::other)?;
    let slave: File = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NOCTTY)
        .open(path)?;
    Ok((master, slave.into()))
}

/// Makes the terminal on descriptor 0 the controlling one of this session. Async-signal-safe.
pub fn take_control() -> io::Result<()> {
    // SAFETY: an ioctl on an open descriptor, with a plain number.
    match unsafe { libc::ioctl(std::io::stdin().as_raw_fd(), libc::TIOCSCTTY, 0) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
