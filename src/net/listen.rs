//! Accepting connections: one thread for all listeners, one thread per connection, bounds on how
//! many there are.

use super::stream::{Peer, Stream};
use super::tls::{Refused, Tls};
use crate::base::sys::peer;
use crate::base::sys::poll::{For, Poll};
use rustls::ServerConfig;
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::net::{IpAddr, TcpListener};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

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
    place: Place,
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
    places: Arc<Places>,
}

#[derive(Default)]
struct Places {
    counts: Mutex<Counts>,
    /// Signalled when the last of `fresh` goes.
    attended: Condvar,
}

#[derive(Default)]
struct Counts {
    all: usize,
    by_ip: HashMap<IpAddr, usize>,
    /// Connections that have not had an answer yet, by number, and when they came.
    fresh: BTreeMap<u64, Instant>,
    next: u64,
}

struct Place {
    places: Arc<Places>,
    ip: Option<IpAddr>,
    number: u64,
}

/// Starts accepting. The listeners stay open for others who have them (the supervisor).
pub fn start(listeners: Vec<Listener>, service: Arc<dyn Service>) -> io::Result<Accepting> {
    for listener in &listeners {
        // Another process may take the connection between poll and accept.
        listener.set_nonblocking()?;
    }
    let (stop, stopped) = UnixStream::pair()?;
    let places: Arc<Places> = Arc::default();
    let taken = places.clone();
    let thread = std::thread::Builder::new()
        .name("accept".into())
        .stack_size(ACCEPT_STACK)
        .spawn(move || run(&listeners, &stopped, &taken, &service))?;
    Ok(Accepting {
        stop: Some(stop),
        thread: Some(thread),
        places,
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

    /// After `stop`: waits until every connection has had its first answer, but for none longer
    /// than `patience` from when it came.
    pub fn settle(&self, patience: Duration) {
        let mut counts = self.places.counts();
        loop {
            let now = Instant::now();
            let left = counts
                .fresh
                .values()
                .filter_map(|came| patience.checked_sub(now - *came))
                .max();
            let Some(left) = left.filter(|left| !left.is_zero()) else {
                return;
            };
            counts = self
                .places
                .attended
                .wait_timeout(counts, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }
}

impl Admitted {
    /// The same connection under TLS, once both have shaken hands; a client that does not is gone.
    pub fn secured(self, config: Arc<ServerConfig>, until: Instant) -> Result<Admitted, Refused> {
        let stream = match Arc::into_inner(self.stream) {
            Some(Stream::Tcp(tcp)) => Stream::Tls(Box::new(Tls::accept(tcp, config, until)?)),
            // Of another kind, or in use already: a mistake of ours, and no reason to go on plainly.
            _ => return Err(Refused::Io(io::ErrorKind::Unsupported.into())),
        };
        Ok(Admitted {
            stream: Arc::new(stream),
            peer: self.peer,
            place: self.place,
        })
    }

    /// The peer has had its first answer.
    pub fn attended(&self) {
        self.place.attended();
    }
}

impl Drop for Accepting {
    fn drop(&mut self) {
        self.stop();
    }
}

fn run(
    listeners: &[Listener],
    stopped: &UnixStream,
    places: &Arc<Places>,
    service: &Arc<dyn Service>,
) {
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
                accept(listener, places, service);
            }
        }
    }
}

fn accept(listener: &Listener, places: &Arc<Places>, service: &Arc<dyn Service>) {
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
    let Some(place) = Place::take(places, ip) else {
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
        place,
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

impl Places {
    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn attended(&self, number: u64, counts: &mut Counts) {
        if counts.fresh.remove(&number).is_some() && counts.fresh.is_empty() {
            self.attended.notify_all();
        }
    }
}

impl Place {
    fn take(places: &Arc<Places>, ip: Option<IpAddr>) -> Option<Place> {
        let mut c = places.counts();
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
        c.next += 1;
        let number = c.next;
        c.fresh.insert(number, Instant::now());
        Some(Place {
            places: places.clone(),
            ip,
            number,
        })
    }

    fn attended(&self) {
        self.places.attended(self.number, &mut self.places.counts());
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut c = self.places.counts();
        self.places.attended(self.number, &mut c);
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
    fn settling_waits_for_first_answers_but_not_for_the_silent() {
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = tcp.local_addr().unwrap();
        let mut accepting = start(vec![Listener::Tcp(tcp)], Arc::new(Echo)).unwrap();
        let mut quick = std::net::TcpStream::connect(addr).unwrap();
        let _silent = std::net::TcpStream::connect(addr).unwrap();
        while accepting.places.counts().next < 2 {
            std::thread::yield_now();
        }
        quick.write_all(b"x").unwrap();
        accepting.stop();
        accepting.settle(Duration::from_millis(20));
        let mut got = [0];
        quick.read_exact(&mut got).unwrap();
        assert!(accepting.places.counts().fresh.len() <= 1);
    }

    #[test]
    fn one_address_gets_its_share_and_no_more() {
        let places = Arc::default();
        let ip = Some(IpAddr::from([192, 0, 2, 1]));
        let held: Vec<Place> = (0..MAX_PER_PEER)
            .map(|_| Place::take(&places, ip).unwrap())
            .collect();
        assert!(Place::take(&places, ip).is_none());
        assert!(Place::take(&places, None).is_some());
        drop(held);
        assert!(Place::take(&places, ip).is_some());
        assert!(places.counts().by_ip.is_empty());
    }
}
