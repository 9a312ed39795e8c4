//! What the standard library cannot say about sockets: send and receive without waiting where reads
//! and writes block, and listen for nobody else.

use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::UnixListener;
use std::path::Path;

/// Listens at `path`, for our own user only from its first instant on. What is there already is a
/// dead process's. The mode is that of the whole process meanwhile: call it while there is one thread.
pub fn listen_private(path: &Path) -> io::Result<UnixListener> {
    match std::fs::remove_file(path) {
        Err(err) if err.kind() != io::ErrorKind::NotFound => return Err(err),
        _ => {}
    }
    let mask = super::process::set_umask(0o177);
    let bound = UnixListener::bind(path);
    super::process::set_umask(mask);
    bound
}

/// Sends what the socket takes now. `WouldBlock` when it takes nothing. Never raises SIGPIPE.
pub fn send_now(socket: impl AsFd, bytes: &[u8]) -> io::Result<usize> {
    let fd = socket.as_fd().as_raw_fd();
    loop {
        // SAFETY: the pointer and length describe `bytes`, which outlives the call; `fd` is open
        // because it is borrowed.
        let sent = unsafe {
            libc::send(
                fd,
                bytes.as_ptr().cast(),
                bytes.len(),
                libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL,
            )
        };
        if sent >= 0 {
            return Ok(sent as usize);
        }
        let err = io::Error::last_os_error();
        if err.kind() != io::ErrorKind::Interrupted {
            return Err(err);
        }
    }
}

/// Receives what is there now. `WouldBlock` when there is nothing, 0 at the end.
pub fn receive_now(socket: impl AsFd, room: &mut [u8]) -> io::Result<usize> {
    let fd = socket.as_fd().as_raw_fd();
    loop {
        // SAFETY: the pointer and length describe `room`, which outlives the call; `fd` is open
        // because it is borrowed.
        let got =
            unsafe { libc::recv(fd, room.as_mut_ptr().cast(), room.len(), libc::MSG_DONTWAIT) };
        if got >= 0 {
            return Ok(got as usize);
        }
        let err = io::Error::last_os_error();
        if err.kind() != io::ErrorKind::Interrupted {
            return Err(err);
        }
    }
}
