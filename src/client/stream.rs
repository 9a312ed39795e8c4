//! The byte stream below the WebSocket: TCP, TLS over TCP, or the local socket, with a deadline
//! over every read and write.

use super::tls;
use crate::config::client::Target;
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

pub struct Stream {
    wire: Wire,
    /// `None`: wait for ever.
    pub deadline: Option<Instant>,
}

enum Wire {
    Tcp(TcpStream),
    Local(UnixStream),
    Tls(Box<tls::Stream>),
}

/// The parts of `ws://host:port/path` that a connection needs.
pub struct Url<'a> {
    pub tls: bool,
    pub authority: &'a str,
    pub host: &'a str,
    pub port: u16,
}

impl<'a> Url<'a> {
    pub fn parse(url: &'a str) -> Option<Url<'a>> {
        let (tls, rest) = match url.strip_prefix("wss://") {
            Some(rest) => (true, rest),
            None => (false, url.strip_prefix("ws://")?),
        };
        let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
        let authority = authority.rsplit_once('@').map_or(authority, |(_, a)| a);
        let (host, port) = match authority.strip_prefix('[') {
            Some(v6) => {
                let (host, rest) = v6.split_once(']')?;
                (host, rest.strip_prefix(':'))
            }
            None => match authority.rsplit_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (authority, None),
            },
        };
        let port = match port {
            Some(port) => port.parse().ok()?,
            None if tls => 443,
            None => 80,
        };
        (!host.is_empty()).then_some(Url {
            tls,
            authority,
            host,
            port,
        })
    }
}

impl Stream {
    /// The local socket, when the target has one and somebody answers there.
    pub fn local(target: &Target, deadline: Instant) -> Option<Stream> {
        let socket = target.socket.as_ref()?;
        let stream = UnixStream::connect(socket).ok()?;
        Some(Stream {
            wire: Wire::Local(stream),
            deadline: Some(deadline),
        })
    }

    pub fn remote(target: &Target, deadline: Instant) -> io::Result<Stream> {
        let url = Url::parse(&target.url)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "not a gateway URL"))?;
        if target.pin.is_some() && !url.tls {
            return Err(tls::failed(
                "gateway tls fingerprint requires wss:// gateway url".into(),
            ));
        }
        let tcp = dial(url.host, url.port, deadline)?;
        // One small frame each way: waiting to fill a packet only adds delay.
        tcp.set_nodelay(true)?;
        let wire = match url.tls {
            false => Wire::Tcp(tcp),
            true => Wire::Tls(Box::new(tls::Stream::open(
                tcp,
                url.host,
                target.pin.as_ref(),
            )?)),
        };
        Ok(Stream {
            wire,
            deadline: Some(deadline),
        })
    }

    /// For waiting; what TLS has read ahead it does not show.
    pub fn fd(&self) -> BorrowedFd<'_> {
        match &self.wire {
            Wire::Tcp(tcp) => tcp.as_fd(),
            Wire::Tls(tls) => tls.tcp().as_fd(),
            Wire::Local(unix) => unix.as_fd(),
        }
    }

    fn arm(&self) -> io::Result<()> {
        let left = match self.deadline {
            None => None,
            Some(deadline) => Some(remaining(deadline)?),
        };
        match &self.wire {
            Wire::Tcp(tcp) => set_timeouts(tcp, left),
            Wire::Tls(tls) => set_timeouts(tls.tcp(), left),
            Wire::Local(unix) => {
                unix.set_read_timeout(left)?;
                unix.set_write_timeout(left)
            }
        }
    }
}

fn set_timeouts(tcp: &TcpStream, left: Option<Duration>) -> io::Result<()> {
    tcp.set_read_timeout(left)?;
    tcp.set_write_timeout(left)
}

/// Tries every address of a name until the deadline; the last failure is the one to tell.
fn dial(host: &str, port: u16, deadline: Instant) -> io::Result<TcpStream> {
    let mut failure = io::Error::new(io::ErrorKind::NotFound, format!("{host}: no address"));
    for address in (host, port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, remaining(deadline)?) {
            Ok(tcp) => return Ok(tcp),
            Err(err) => failure = err,
        }
    }
    Err(failure)
}

fn remaining(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    match left.is_zero() {
        true => Err(io::ErrorKind::TimedOut.into()),
        // A timeout that rounds to zero would mean "for ever" to the kernel.
        false => Ok(left.max(Duration::from_micros(1))),
    }
}

/// The kernel says `WouldBlock` when a timeout of the socket passes.
fn timed_out(err: io::Error) -> io::Error {
    match err.kind() {
        io::ErrorKind::WouldBlock => io::ErrorKind::TimedOut.into(),
        _ => err,
    }
}

impl Read for Stream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.arm()?;
        match &mut self.wire {
            Wire::Tcp(tcp) => tcp.read(buf),
            Wire::Local(unix) => unix.read(buf),
            Wire::Tls(tls) => tls.read(buf),
        }
        .map_err(timed_out)
    }
}

impl Write for Stream {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.arm()?;
        match &mut self.wire {
            Wire::Tcp(tcp) => tcp.write(buf),
            Wire::Local(unix) => unix.write(buf),
            Wire::Tls(tls) => tls.write(buf),
        }
        .map_err(timed_out)
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.wire {
            Wire::Tcp(_) | Wire::Local(_) => Ok(()),
            Wire::Tls(tls) => tls.flush().map_err(timed_out),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_taken_apart() {
        let url = Url::parse("ws://127.0.0.1:18789/").unwrap();
        assert_eq!((url.tls, url.host, url.port), (false, "127.0.0.1", 18789));
        let url = Url::parse("wss://[::1]:7?x").unwrap();
        assert_eq!((url.tls, url.host, url.port), (true, "::1", 7));
        let url = Url::parse("wss://far.ts.net").unwrap();
        assert_eq!((url.host, url.port), ("far.ts.net", 443));
        assert!(Url::parse("ws://:80").is_none());
        assert!(Url::parse("http://x").is_none());
    }
}
