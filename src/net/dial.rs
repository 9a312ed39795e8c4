//! The socket under an outgoing call: looking up the name, connecting, and the hold another
//! thread has on it.
//!
//! ureq keeps connections and reuses them for later calls, so a socket does not know whose it is.
//! The call in progress on this thread is therefore kept in a thread-local: each read and write of
//! a socket attaches the socket to that call, and cancelling the call shuts exactly this socket.
//! Name lookup and connect(2) cannot be interrupted; they run on a helper thread that is left
//! behind when nobody waits for it any more.

use super::error::Error;
use super::policy::Policy;
use crate::base::cancel::Cancel;
use crossbeam_channel::{Sender, bounded};
use std::cell::RefCell;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, LazyBuffers, NextTimeout, Transport,
};

/// Addresses of one name that are tried.
const MAX_ADDRESSES: usize = 8;
/// Helper threads at once: a resolver that hangs must not collect threads without end.
const MAX_DIALS: usize = 64;
/// getaddrinfo(3) wants some room.
const DIAL_STACK: usize = 256 * 1024;

static DIALS: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static CURRENT: RefCell<Option<Arc<Call>>> = const { RefCell::new(None) };
}

/// One HTTP call while it lasts, as its sockets see it.
pub(super) struct Call {
    held: Mutex<Held>,
    cancelled: AtomicBool,
    in_body: AtomicBool,
    head_by: Instant,
    total_by: Instant,
    idle_ms: AtomicU64,
}

#[derive(Default)]
struct Held {
    stream: Option<Arc<TcpStream>>,
    dialling: Option<Sender<Dialled>>,
    error: Option<Error>,
}

type Dialled = Result<TcpStream, Error>;

/// Makes a call the current one of this thread until dropped.
pub(super) struct Entered(Option<Arc<Call>>);

impl Call {
    pub fn new(head: Duration, idle: Duration, total: Duration) -> Arc<Call> {
        let now = Instant::now();
        Arc::new(Call {
            held: Mutex::default(),
            cancelled: AtomicBool::new(false),
            in_body: AtomicBool::new(false),
            head_by: now + head,
            total_by: now + total,
            idle_ms: AtomicU64::new(millis(idle)),
        })
    }

    pub fn enter(self: &Arc<Call>) -> Entered {
        Entered(CURRENT.replace(Some(self.clone())))
    }

    /// From any thread: whatever the call is doing ends now.
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::SeqCst);
        let mut held = self.held();
        if let Some(stream) = held.stream.take() {
            // An error means that it is closed already.
            let _ = stream.shutdown(Shutdown::Both);
        }
        if let Some(waiting) = held.dialling.take() {
            // Full means that the answer is already there.
            let _ = waiting.try_send(Err(Error::Cancelled));
        }
    }

    /// The head has arrived: from now on the limit is the silence between bytes.
    pub fn begin_body(&self) {
        self.in_body.store(true, Ordering::Relaxed);
    }

    pub fn set_idle(&self, idle: Duration) {
        self.idle_ms.store(millis(idle), Ordering::Relaxed);
    }

    /// The socket is no longer this call's: it waits for the next one, or is closed.
    pub fn release(&self) {
        self.held().stream = None;
    }

    /// What went wrong while connecting, in our words rather than ureq's.
    pub fn take_error(&self) -> Option<Error> {
        self.held().error.take()
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn check(&self) -> Result<(), ureq::Error> {
        if self.cancelled.load(Ordering::SeqCst) {
            return Err(io::Error::from(io::ErrorKind::ConnectionAborted).into());
        }
        Ok(())
    }

    fn attach(&self, stream: &Arc<TcpStream>) -> Result<(), ureq::Error> {
        let mut held = self.held();
        if !held.stream.as_ref().is_some_and(|s| Arc::ptr_eq(s, stream)) {
            held.stream = Some(stream.clone());
        }
        drop(held);
        // Checked after attaching: a cancellation either saw the socket or is seen here.
        self.check()
    }

    fn left(&self) -> Duration {
        let now = Instant::now();
        let phase = if self.in_body.load(Ordering::Relaxed) {
            Duration::from_millis(self.idle_ms.load(Ordering::Relaxed))
        } else {
            self.head_by.saturating_duration_since(now)
        };
        phase.min(self.total_by.saturating_duration_since(now))
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        CURRENT.set(self.0.take());
    }
}

fn millis(d: Duration) -> u64 {
    u64::try_from(d.as_millis()).unwrap_or(u64::MAX)
}

fn current() -> Option<Arc<Call>> {
    CURRENT.with_borrow(Clone::clone)
}

/// Names are looked up only when a connection is really made, by [`Dialler`].
#[derive(Debug)]
pub(super) struct Later;

impl Resolver for Later {
    fn resolve(
        &self,
        _uri: &ureq::http::Uri,
        _config: &ureq::config::Config,
        _timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let mut addrs = self.empty();
        addrs.push(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)));
        Ok(addrs)
    }
}

#[derive(Debug)]
pub(super) struct Dialler(pub Policy);

impl<In: Transport> Connector<In> for Dialler {
    type Out = ureq::unversioned::transport::Either<In, Tcp>;

    fn connect(
        &self,
        details: &ConnectionDetails,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, ureq::Error> {
        use ureq::unversioned::transport::Either;
        if let Some(transport) = chained {
            return Ok(Some(Either::A(transport)));
        }
        let host = details.uri.host().unwrap_or_default();
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let https = details.uri.scheme_str() == Some("https");
        let port = details
            .uri
            .port_u16()
            .unwrap_or(if https { 443 } else { 80 });
        let call = current();
        let left = call.as_ref().map_or(Duration::MAX, |call| call.left());
        let limit = left.min(*details.timeout.after);
        match dial(host, port, self.0, limit, call.as_deref()) {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                let stream = Arc::new(stream);
                if let Some(call) = call {
                    call.attach(&stream)?;
                }
                let sizes = details.config;
                Ok(Some(Either::B(Tcp {
                    stream,
                    buffers: LazyBuffers::new(
                        sizes.input_buffer_size(),
                        sizes.output_buffer_size(),
                    ),
                    read_limit: None,
                    write_limit: None,
                })))
            }
            Err(error) => {
                if let Some(call) = call {
                    call.held().error = Some(error);
                }
                Err(ureq::Error::ConnectionFailed)
            }
        }
    }
}

/// A connection for a protocol that is not HTTP, made within `limit` or until `cancel`.
pub fn tcp(
    host: &str,
    port: u16,
    policy: Policy,
    limit: Duration,
    cancel: &Cancel,
) -> Result<TcpStream, Error> {
    let call = Call::new(limit, limit, limit);
    let _stop = cancel.on_cancel({
        let call = call.clone();
        move || call.cancel()
    });
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let stream = dial(host, port, policy, limit, Some(&call))?;
    // Small frames, each waited for by somebody.
    let _ = stream.set_nodelay(true);
    Ok(stream)
}

/// Looks up `host` and connects, waiting at most `limit` or until `call` is cancelled.
fn dial(host: &str, port: u16, policy: Policy, limit: Duration, call: Option<&Call>) -> Dialled {
    let place = format!("{host}:{port}");
    if DIALS.fetch_add(1, Ordering::SeqCst) >= MAX_DIALS {
        DIALS.fetch_sub(1, Ordering::SeqCst);
        return Err(Error::Unreachable(
            place,
            "too many connects under way".into(),
        ));
    }
    let (sender, answer) = bounded(1);
    if let Some(call) = call {
        call.held().dialling = Some(sender.clone());
        if call.cancelled.load(Ordering::SeqCst) {
            DIALS.fetch_sub(1, Ordering::SeqCst);
            return Err(Error::Cancelled);
        }
    }
    let host = host.to_string();
    let work = move || {
        // A receiver that has left closes the socket by dropping it.
        let _ = sender.try_send(connect(&host, port, policy, limit, look_up));
        DIALS.fetch_sub(1, Ordering::SeqCst);
    };
    std::thread::Builder::new()
        .name("dial".into())
        .stack_size(DIAL_STACK)
        .spawn(work)
        .map_err(|err| {
            DIALS.fetch_sub(1, Ordering::SeqCst);
            Error::Unreachable(place.clone(), err.to_string())
        })?;
    let dialled = answer.recv_timeout(limit.min(Duration::from_secs(3600)));
    if let Some(call) = call {
        call.held().dialling = None;
    }
    dialled.unwrap_or_else(|_| Err(Error::Timeout(format!("connecting to {place}"))))
}

fn look_up(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    Ok((host, port).to_socket_addrs()?.collect())
}

/// Asks for the name once; what is checked is what is connected to.
fn connect(
    host: &str,
    port: u16,
    policy: Policy,
    limit: Duration,
    look_up: impl Fn(&str, u16) -> io::Result<Vec<SocketAddr>>,
) -> Dialled {
    let until = Instant::now() + limit.min(Duration::from_secs(3600));
    let mut addrs = match host.parse::<IpAddr>() {
        Ok(ip) => vec![SocketAddr::new(ip, port)],
        Err(_) => {
            look_up(host, port).map_err(|err| Error::Unresolved(host.into(), err.to_string()))?
        }
    };
    addrs.truncate(MAX_ADDRESSES);
    let mut error = Error::Unresolved(host.into(), "no address".into());
    for (i, addr) in addrs.iter().enumerate() {
        if !policy.allows(addr.ip()) {
            error = Error::Denied(host.into(), addr.ip());
            continue;
        }
        // Each address gets an equal share of what is left.
        let share = until.saturating_duration_since(Instant::now()) / (addrs.len() - i) as u32;
        match TcpStream::connect_timeout(addr, share.max(Duration::from_millis(10))) {
            Ok(stream) => return Ok(stream),
            Err(err) => error = Error::Unreachable(format!("{host}:{port}"), reason(&err)),
        }
    }
    Err(error)
}

/// What the system said, without Rust's ` (os error 111)`.
fn reason(err: &io::Error) -> String {
    let text = err.to_string();
    match text.find(" (os error") {
        Some(at) => text[..at].to_string(),
        None => text,
    }
}

pub(super) struct Tcp {
    stream: Arc<TcpStream>,
    buffers: LazyBuffers,
    read_limit: Option<Duration>,
    write_limit: Option<Duration>,
}

impl Tcp {
    /// Ties the socket to the current call and says how long the next step may take.
    fn attach(&self, timeout: NextTimeout) -> Result<Duration, ureq::Error> {
        let mut left = *timeout.after;
        if let Some(call) = current() {
            call.attach(&self.stream)?;
            left = left.min(call.left());
        }
        if left.is_zero() {
            return Err(ureq::Error::Timeout(timeout.reason));
        }
        Ok(left)
    }
}

impl Transport for Tcp {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        let left = self.attach(timeout)?;
        if self.write_limit != Some(left) {
            self.stream.set_write_timeout(Some(left))?;
            self.write_limit = Some(left);
        }
        match (&*self.stream).write_all(&self.buffers.output()[..amount]) {
            Ok(()) => Ok(()),
            Err(err) if is_timeout(&err) => Err(ureq::Error::Timeout(timeout.reason)),
            Err(err) => Err(err.into()),
        }
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        loop {
            let left = self.attach(timeout)?;
            if self.read_limit != Some(left) {
                self.stream.set_read_timeout(Some(left))?;
                self.read_limit = Some(left);
            }
            match (&*self.stream).read(self.buffers.input_append_buf()) {
                Ok(amount) => {
                    self.buffers.input_appended(amount);
                    // A socket that was shut under us reads as its end.
                    if let Some(call) = current() {
                        call.check()?;
                    }
                    return Ok(amount > 0);
                }
                Err(err) if err.kind() == io::ErrorKind::Interrupted => {}
                Err(err) if is_timeout(&err) => return Err(ureq::Error::Timeout(timeout.reason)),
                Err(err) => return Err(err.into()),
            }
        }
    }

    fn is_open(&mut self) -> bool {
        // A kept connection must have nothing to read: neither an end nor unasked bytes.
        let probe = |stream: &TcpStream| {
            stream.set_nonblocking(true)?;
            let read = stream.peek(&mut [0]);
            stream.set_nonblocking(false)?;
            read
        };
        matches!(probe(&self.stream), Err(err) if err.kind() == io::ErrorKind::WouldBlock)
    }
}

fn is_timeout(err: &io::Error) -> bool {
    matches!(
        err.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
    )
}

impl std::fmt::Debug for Tcp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Tcp({:?})", self.stream.peer_addr().ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::net::TcpListener;

    /// A name server that answers with a public address first and with ours from then on, or with
    /// both at once.
    #[test]
    fn a_name_that_changes_its_mind_does_not_lead_to_this_machine() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let here = listener.local_addr().unwrap();
        let short = Duration::from_millis(50);
        // TEST-NET-1 is not public either, so the public one is nobody's: 192.88.98.1.
        let public = SocketAddr::from(([192, 88, 98, 1], here.port()));
        let asked = Cell::new(0);
        let rebinding = |_: &str, _: u16| {
            asked.set(asked.get() + 1);
            Ok(vec![if asked.get() == 1 { public } else { here }])
        };
        let first = connect(
            "rebind.example",
            here.port(),
            Policy::Public,
            short,
            rebinding,
        );
        assert!(first.is_err() && !matches!(first, Err(Error::Denied(..))));
        assert_eq!(asked.get(), 1, "checked and connected to is one answer");
        let second = connect(
            "rebind.example",
            here.port(),
            Policy::Public,
            short,
            rebinding,
        );
        assert_eq!(
            second.err(),
            Some(Error::Denied("rebind.example".into(), here.ip()))
        );
        for private in [
            here,
            SocketAddr::new("::ffff:127.0.0.1".parse().unwrap(), here.port()),
            SocketAddr::new("64:ff9b::7f00:1".parse().unwrap(), here.port()),
            SocketAddr::new("0.0.0.0".parse().unwrap(), here.port()),
        ] {
            let both = |_: &str, _: u16| Ok(vec![private, public, private]);
            assert!(connect("x", here.port(), Policy::Public, short, both).is_err());
        }
        assert!(listener.accept().is_err(), "nobody came");
        let any = connect("x", here.port(), Policy::Any, short, |_, _| Ok(vec![here]));
        assert!(any.is_ok());
    }
}
