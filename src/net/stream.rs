//! One accepted connection, TCP or Unix: reads block, sends never do.

use crate::base::sys::{peer, socket};
use std::io::{self, Read};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

#[derive(Debug)]
pub enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// Who is at the other end, as far as the kernel knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    Ip(SocketAddr),
    Local(peer::Credentials),
}

impl Stream {
    /// Sends what the socket takes now.
    pub fn send_now(&self, bytes: &[u8]) -> io::Result<usize> {
        socket::send_now(self, bytes)
    }

    /// Ends both directions and wakes whoever reads.
    pub fn shut(&self) {
        // Fails only when the peer has ended it already.
        let _ = match self {
            Stream::Tcp(tcp) => tcp.shutdown(Shutdown::Both),
            Stream::Unix(unix) => unix.shutdown(Shutdown::Both),
        };
    }

    /// Says that nothing more will be sent; reading goes on.
    pub fn finish(&self) {
        let _ = match self {
            Stream::Tcp(tcp) => tcp.shutdown(Shutdown::Write),
            Stream::Unix(unix) => unix.shutdown(Shutdown::Write),
        };
    }

    /// Reads that find nothing for so long fail with `WouldBlock`.
    pub fn set_read_timeout(&self, after: Option<Duration>) -> io::Result<()> {
        match self {
            Stream::Tcp(tcp) => tcp.set_read_timeout(after),
            Stream::Unix(unix) => unix.set_read_timeout(after),
        }
    }

    /// The address the client reached us at.
    pub fn local_ip(&self) -> Option<IpAddr> {
        match self {
            Stream::Tcp(tcp) => tcp.local_addr().ok().map(|a| a.ip()),
            Stream::Unix(_) => None,
        }
    }
}

impl Read for &Stream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Tcp(tcp) => (&*tcp).read(buf),
            Stream::Unix(unix) => (&*unix).read(buf),
        }
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Stream::Tcp(tcp) => tcp.as_fd(),
            Stream::Unix(unix) => unix.as_fd(),
        }
    }
}
