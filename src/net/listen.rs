//! Accepting connections: one thread for all listeners, one thread per connection, bounds on how
//! many there are.

use super::stream::{Peer, Stream};
use crate::base::sys::peer;
use crate::base::sys::poll::{For, Poll};
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, TcpListener};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// Connections at once, all together. Each is a thread with a small stack.
pub const MAX_CONNECTIONS: usize = 4096;
/// Connections of one address elsewhere. Addresses of this machine and trusted proxies share what
/// the whole has room for.
const MAX_PER_PEER: usize = 64;
/// Address space of a connection's thread: room for the deepest JSON a message may hold. Only what
/// is touched costs memory, and an idle connection gives it back.
pub const STACK: usize = 512 * 1024;
/// The accept thread's stack.
const ACCEPT_STACK: usize = 128 * 1024;

pub enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// One accepted connection. Its place counts until this is dropped.
pub struct Admitted {
    pub stream: Arc<Stream>,
    pub peer: Peer,
    _place: Place,
}

/// What to do with connections.
pub trait Service: Send + Sync + 'static {
    /// Serves one connection on its own thread.
    fn serve(&self, connection: Admitted);

    /// Whether this address may have more than a single client's share of connections.
    fn is_shared(&self, ip: IpAddr) -> bool;
}

/// The accept thread. It ends when stopped or dropped; what it accepted goes on.
pub struct Accepting {
    stop: Option<UnixStream>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Counts {
    all: usize,
    by_ip: HashMap<IpAddr, usize>,
}

struct Place {
    counts: Arc<Mutex<Counts>>,
    ip: Option<IpAddr>,
}

/// Starts accepting. The listeners stay open for others who have them (the supervisor).
pub fn start(listeners: Vec<Listener>, service: Arc<dyn Service>) -> io::Result<Accepting> {
    for listener in &listeners {
        // Another process may take the connection between poll and accept.
        listener.set_nonblocking()?;
    }
    let (stop, stopped) = UnixStream::pair()?;
    let thread = std::thread::Builder::new()
        .name("accept".into())
        .stack_size(ACCEPT_STACK)
        .spawn(move || run(&listeners, &stopped, &service))?;
    Ok(Accepting {
        stop: Some(stop),
        thread: Some(thread),
    })
}

impl Accepting {
    /// Accepts nothing more; returns once that is so.
    pub fn stop(&mut self) {
        // Closing our end is what the thread waits for.
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            if thread.join().is_err() {
                log::error!("the accept thread panicked");
            }
        }
    }
}

impl Drop for Accepting {
    fn drop(&mut self) {
        self.stop();
    }
}

fn run(listeners: &[Listener], stopped: &UnixStream, service: &Arc<dyn Service>) {
    let counts = Arc::default();
    loop {
        let mut poll = Poll::new();
        poll.add(stopped.as_fd(), For::Reading);
        for listener in listeners {
            poll.add(listener.as_fd(), For::Reading);
        }
        if let Err(err) = poll.wait(None) {
            log::error!("accept: poll: {err}");
            std::thread::sleep(Duration::from_millis(100));
            continue;
        }
        if poll.ready(0) {
            return;
        }
        for (i, listener) in listeners.iter().enumerate() {
            if poll.ready(i + 1) {
                accept(listener, &counts, service);
            }
        }
    }
}

fn accept(listener: &Listener, counts: &Arc<Mutex<Counts>>, service: &Arc<dyn Service>) {
    let (stream, peer) = match listener.accept() {
        Ok(accepted) => accepted,
        Err(err) => {
            use io::ErrorKind::{ConnectionAborted, Interrupted, WouldBlock};
            if ![ConnectionAborted, Interrupted, WouldBlock].contains(&err.kind()) {
                // Most likely out of descriptors: waiting lets connections end.
                log::warn!("accept: {err}");
                std::thread::sleep(Duration::from_millis(50));
            }
            return;
        }
    };
    let ip = match peer {
        Peer::Ip(addr) => Some(addr.ip()).filter(|ip| !ip.is_loopback() && !service.is_shared(*ip)),
        Peer::Local(_) => None,
    };
    let Some(place) = Place::take(counts, ip) else {
        log::warn!("refused a connection: too many are open");
        // Best effort: a browser shows more than a reset.
        let _ = stream.send_now(
            b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
        );
        return;
    };
    let connection = Admitted {
        stream: Arc::new(stream),
        peer,
        _place: place,
    };
    let service = service.clone();
    let started = std::thread::Builder::new()
        .name("connection".into())
        .stack_size(STACK)
        .spawn(move || service.serve(connection));
    if let Err(err) = started {
        log::error!("cannot start a connection thread: {err}");
    }
}

impl Listener {
    fn set_nonblocking(&self) -> io::Result<()> {
        match self {
            Listener::Tcp(tcp) => tcp.set_nonblocking(true),
            Listener::Unix(unix) => unix.set_nonblocking(true),
        }
    }

    /// Accepted sockets block, whatever the listener does (BSD hands the flag down).
    fn accept(&self) -> io::Result<(Stream, Peer)> {
        match self {
            Listener::Tcp(tcp) => {
                let (stream, addr) = tcp.accept()?;
                stream.set_nonblocking(false)?;
                stream.set_nodelay(true)?;
                Ok((Stream::Tcp(stream), Peer::Ip(addr)))
            }
            Listener::Unix(unix) => {
                let (stream, _) = unix.accept()?;
                stream.set_nonblocking(false)?;
                let peer = Peer::Local(peer::credentials(&stream)?);
                Ok((Stream::Unix(stream), peer))
            }
        }
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Listener::Tcp(tcp) => tcp.as_fd(),
            Listener::Unix(unix) => unix.as_fd(),
        }
    }
}

impl Place {
    fn take(counts: &Arc<Mutex<Counts>>, ip: Option<IpAddr>) -> Option<Place> {
        let mut c = counts.lock().unwrap_or_else(PoisonError::into_inner);
        if c.all >= MAX_CONNECTIONS {
            return None;
        }
        if let Some(ip) = ip {
            let mine = c.by_ip.entry(ip).or_default();
            if *mine >= MAX_PER_PEER {
                return None;
            }
            *mine += 1;
        }
        c.all += 1;
        Some(Place {
            counts: counts.clone(),
            ip,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut c = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        c.all -= 1;
        if let Some(ip) = self.ip {
            if let Some(mine) = c.by_ip.get_mut(&ip) {
                *mine -= 1;
                if *mine == 0 {
                    c.by_ip.remove(&ip);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};

    struct Echo;

    impl Service for Echo {
        fn serve(&self, connection: Admitted) {
            let mut byte = [0];
            (&*connection.stream).read_exact(&mut byte).unwrap();
            connection.stream.send_now(&byte).unwrap();
        }

        fn is_shared(&self, _ip: IpAddr) -> bool {
            false
        }
    }

    #[test]
    fn connections_are_served_until_stopped_and_the_listener_stays() {
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = tcp.local_addr().unwrap();
        let kept = tcp.try_clone().unwrap();
        let mut accepting = start(vec![Listener::Tcp(tcp)], Arc::new(Echo)).unwrap();
        let mut client = std::net::TcpStream::connect(addr).unwrap();
        client.write_all(b"x").unwrap();
        let mut got = [0];
        client.read_exact(&mut got).unwrap();
        assert_eq!(&got, b"x");
        accepting.stop();
        // The backlog still takes connections for whoever accepts next.
        let _waiting = std::net::TcpStream::connect(addr).unwrap();
        kept.set_nonblocking(false).unwrap();
        kept.accept().unwrap();
    }

    #[test]
    fn one_address_gets_its_share_and_no_more() {
        let counts = Arc::default();
        let ip = Some(IpAddr::from([192, 0, 2, 1]));
        let held: Vec<Place> = (0..MAX_PER_PEER)
            .map(|_| Place::take(&counts, ip).unwrap())
            .collect();
        assert!(Place::take(&counts, ip).is_none());
        assert!(Place::take(&counts, None).is_some());
        drop(held);
        assert!(Place::take(&counts, ip).is_some());
        assert!(counts.lock().unwrap().by_ip.is_empty());
    }
}
