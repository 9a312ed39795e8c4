//! What the standard library cannot say about a socket whose reads and writes block: send and
//! receive without waiting.

use std::io;
use std::os::fd::{AsFd, AsRawFd};

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
