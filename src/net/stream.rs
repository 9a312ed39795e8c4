//! One accepted connection, TCP, Unix or TLS over TCP: reads block, sends never do.

use super::tls::Tls;
use crate::base::sys::poll::{For, wait_one};
use crate::base::sys::{peer, socket};
use std::fmt;
use std::io::{self, Read};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

#[derive(Debug)]
pub enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
    Tls(Box<Tls>),
}

/// Who is at the other end, as far as the kernel knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    Ip(SocketAddr),
    Local(peer::Credentials),
}

impl Stream {
    /// Sends what the socket takes now. Over TLS the last record may be taken and not be sent
    /// whole: see `has_unsent`.
    pub fn send_now(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Tls(tls) => tls.send_now(bytes),
            _ => socket::send_now(self, bytes),
        }
    }

    /// What `send_now` took has not left whole; `flush_now` goes on with it.
    pub fn has_unsent(&self) -> bool {
        match self {
            Stream::Tls(tls) => tls.has_unsent(),
            _ => false,
        }
    }

    /// Sends on what was taken, as far as the socket goes.
    pub fn flush_now(&self) -> io::Result<()> {
        match self {
            Stream::Tls(tls) => tls.flush_now(),
            _ => Ok(()),
        }
    }

    /// Receives what is there now. `WouldBlock` when there is nothing, 0 at the end.
    pub fn receive_now(&self, room: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Tls(tls) => tls.receive_now(room),
            _ => socket::receive_now(self, room),
        }
    }

    /// Something was received that the socket does not show any more.
    pub fn has_input(&self) -> bool {
        match self {
            Stream::Tls(tls) => tls.has_input(),
            _ => false,
        }
    }

    /// The next bytes, waited for until `until`; `TimedOut` then.
    pub fn receive_by(&self, room: &mut [u8], until: Instant) -> io::Result<usize> {
        loop {
            match self.receive_now(room) {
                Err(err) if err.kind() == io::ErrorKind::WouldBlock => {}
                other => return other,
            }
            let left = until.saturating_duration_since(Instant::now());
            if !wait_one(self.as_fd(), For::Reading, Some(left))? {
                return Err(io::ErrorKind::TimedOut.into());
            }
        }
    }

    /// Ends both directions and wakes whoever reads.
    pub fn shut(&self) {
        // Fails only when the peer has ended it already.
        let _ = match self {
            Stream::Tcp(tcp) => tcp.shutdown(Shutdown::Both),
            Stream::Unix(unix) => unix.shutdown(Shutdown::Both),
            Stream::Tls(tls) => tls.tcp().shutdown(Shutdown::Both),
        };
    }

    /// Says that nothing more will be sent; reading goes on.
    pub fn finish(&self) {
        let _ = match self {
            Stream::Tcp(tcp) => tcp.shutdown(Shutdown::Write),
            Stream::Unix(unix) => unix.shutdown(Shutdown::Write),
            Stream::Tls(tls) => {
                tls.say_goodbye();
                tls.tcp().shutdown(Shutdown::Write)
            }
        };
    }

    /// Reads that find nothing for so long fail with `WouldBlock`.
    pub fn set_read_timeout(&self, after: Option<Duration>) -> io::Result<()> {
        match self {
            Stream::Tcp(tcp) => tcp.set_read_timeout(after),
            Stream::Unix(unix) => unix.set_read_timeout(after),
            Stream::Tls(tls) => tls.tcp().set_read_timeout(after),
        }
    }

    /// The address the client reached us at.
    pub fn local_ip(&self) -> Option<IpAddr> {
        match self {
            Stream::Tcp(tcp) => tcp.local_addr().ok().map(|a| a.ip()),
            Stream::Tls(tls) => tls.tcp().local_addr().ok().map(|a| a.ip()),
            Stream::Unix(_) => None,
        }
    }
}

impl Read for &Stream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Tcp(tcp) => (&*tcp).read(buf),
            Stream::Unix(unix) => (&*unix).read(buf),
            Stream::Tls(tls) => tls.read(buf),
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Peer::Ip(addr) => addr.ip().to_canonical().fmt(f),
            Peer::Local(who) => match who.pid {
                Some(pid) => write!(f, "pid {pid} of uid {}", who.uid),
                None => write!(f, "uid {}", who.uid),
            },
        }
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Stream::Tcp(tcp) => tcp.as_fd(),
            Stream::Unix(unix) => unix.as_fd(),
            Stream::Tls(tls) => tls.tcp().as_fd(),
        }
    }
}
