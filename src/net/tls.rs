//! TLS over one TCP connection: the server's side (1.3), and a client's (1.2 and 1.3) that believes
//! the authorities of `trust`.
//!
//! Any thread may send while one thread reads: one lock around the protocol's state, which is never
//! held while anybody waits. Sending takes at most one record beyond what the socket takes, so what
//! a slow client costs is bounded here too; the rest is the caller's to keep. A peer that breaks the
//! protocol gets its alert and an error of kind `InvalidData`; an end without the protocol's
//! goodbye reads as an end.

use super::trust::Authorities;
use crate::base::sys::poll::{For, wait_one};
use crate::base::sys::socket;
use rustls::client::Resumption;
use rustls::crypto::ring;
use rustls::pki_types::ServerName;
use rustls::{
    ClientConfig, ClientConnection, Connection, ConnectionCommon, ServerConfig, ServerConnection,
};
use std::fmt;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

/// Plaintext made into one record at a time: the protocol's largest.
const RECORD: usize = 16 * 1024;
/// Bytes that may wait inside rustls: one record. It is sent before the next is made.
const WAITING: usize = RECORD + 1024;
/// Servers whose sessions a client remembers.
const SESSIONS: usize = 4;
/// The first byte of every TLS connection: a handshake record.
const HANDSHAKE: u8 = 22;
/// What of a request that is not TLS is read before the answer: heads of browsers are smaller.
const MAX_UNREAD: usize = 4096;
/// Said to a client that speaks HTTP to a port that wants TLS. Browsers show it, curl prints it.
const SPEAK_TLS: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n\
    Connection: close\r\nContent-Length: 46\r\n\r\nThis port speaks TLS: use https:// or wss://.\n";

pub struct Tls {
    tcp: TcpStream,
    state: Mutex<Connection>,
}

/// Why there is no TLS connection.
#[derive(Debug)]
pub enum Refused {
    /// The client speaks something else; if it was HTTP it was told.
    NotTls,
    Late,
    Protocol(rustls::Error),
    Io(io::Error),
}

/// The socket, without waiting.
struct Now<'a>(&'a TcpStream);

impl Tls {
    /// Shakes hands; the client has until `until`.
    pub fn accept(
        tcp: TcpStream,
        config: Arc<ServerConfig>,
        until: Instant,
    ) -> Result<Tls, Refused> {
        let mut state = ServerConnection::new(config).map_err(Refused::Protocol)?;
        state.set_buffer_limit(Some(WAITING));
        wait(&tcp, For::Reading, until)?;
        let mut first = [0];
        match tcp.peek(&mut first) {
            Ok(0) => return Err(Refused::Io(io::ErrorKind::UnexpectedEof.into())),
            Ok(_) if first[0] == HANDSHAKE => {}
            Ok(_) => {
                answer_plainly(&tcp);
                return Err(Refused::NotTls);
            }
            Err(err) => return Err(Refused::Io(err)),
        }
        shake(&tcp, &mut state, until)?;
        Ok(Tls {
            tcp,
            state: Mutex::new(state.into()),
        })
    }

    /// Shakes hands with the server `host`, which has until `until`.
    pub fn connect(tcp: TcpStream, host: &str, until: Instant) -> Result<Tls, Refused> {
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(host.to_string())
            .map_err(|err| Refused::Protocol(rustls::Error::General(err.to_string())))?;
        let mut state = ClientConnection::new(client()?, name).map_err(Refused::Protocol)?;
        state.set_buffer_limit(Some(WAITING));
        shake(&tcp, &mut state, until)?;
        Ok(Tls {
            tcp,
            state: Mutex::new(state.into()),
        })
    }

    pub fn tcp(&self) -> &TcpStream {
        &self.tcp
    }

    pub fn send_now(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut state = self.state();
        let mut taken = 0;
        while self.flush(&mut state)? && taken < bytes.len() {
            let end = bytes.len().min(taken + RECORD);
            taken += state.writer().write(&bytes[taken..end])?;
        }
        match taken {
            0 if !bytes.is_empty() => Err(io::ErrorKind::WouldBlock.into()),
            taken => Ok(taken),
        }
    }

    pub fn has_unsent(&self) -> bool {
        self.state().wants_write()
    }

    pub fn flush_now(&self) -> io::Result<()> {
        self.flush(&mut self.state()).map(drop)
    }

    /// Whether everything has left.
    fn flush(&self, state: &mut Connection) -> io::Result<bool> {
        while state.wants_write() {
            match state.write_tls(&mut Now(&self.tcp)) {
                Ok(_) => {}
                Err(err) if err.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(err) => return Err(err),
            }
        }
        Ok(true)
    }

    pub fn has_input(&self) -> bool {
        let state = self.state().process_new_packets();
        // A broken connection is seen by the read that follows.
        state.is_ok_and(|state| state.plaintext_bytes_to_read() > 0 || state.peer_has_closed())
    }

    pub fn receive_now(&self, room: &mut [u8]) -> io::Result<usize> {
        let mut state = self.state();
        loop {
            match state.reader().read(room) {
                Ok(read) => return Ok(read),
                Err(err) if err.kind() == io::ErrorKind::WouldBlock => {}
                Err(err) if err.kind() == io::ErrorKind::UnexpectedEof => return Ok(0),
                Err(err) => return Err(err),
            }
            state.read_tls(&mut Now(&self.tcp))?;
            if let Err(err) = state.process_new_packets() {
                // The alert that says why; best effort.
                let _ = self.flush(&mut state);
                return Err(io::Error::new(io::ErrorKind::InvalidData, err));
            }
            // An answer to the client's change of keys, perhaps.
            self.flush(&mut state)?;
        }
    }

    /// Waits for the next bytes, as long as the socket's read timeout says. One thread reads.
    pub fn read(&self, room: &mut [u8]) -> io::Result<usize> {
        if !self.has_input() {
            self.wait_for_bytes()?;
        }
        loop {
            match self.receive_now(room) {
                Err(err) if err.kind() == io::ErrorKind::WouldBlock => self.wait_for_bytes()?,
                other => return other,
            }
        }
    }

    /// Without the lock: others send meanwhile.
    fn wait_for_bytes(&self) -> io::Result<()> {
        self.tcp.peek(&mut [0]).map(drop)
    }

    /// The end as the protocol says it, as far as the socket takes it now.
    pub fn say_goodbye(&self) {
        let mut state = self.state();
        state.send_close_notify();
        // A client that takes nothing more does not hear it.
        let _ = self.flush(&mut state);
    }

    fn state(&self) -> MutexGuard<'_, Connection> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn shake<Side>(
    tcp: &TcpStream,
    state: &mut ConnectionCommon<Side>,
    until: Instant,
) -> Result<(), Refused> {
    // The last of the handshake may wait to be sent when it is over for us.
    while state.is_handshaking() || state.wants_write() {
        if state.wants_write() {
            match state.write_tls(&mut Now(tcp)) {
                Err(err) if err.kind() == io::ErrorKind::WouldBlock => {
                    wait(tcp, For::Writing, until)?;
                }
                Err(err) => return Err(Refused::Io(err)),
                Ok(_) => {}
            }
            continue;
        }
        wait(tcp, For::Reading, until)?;
        match state.read_tls(&mut Now(tcp)) {
            Ok(0) => return Err(Refused::Io(io::ErrorKind::UnexpectedEof.into())),
            Err(err) if err.kind() == io::ErrorKind::WouldBlock => continue,
            Err(err) => return Err(Refused::Io(err)),
            Ok(_) => {}
        }
        if let Err(err) = state.process_new_packets() {
            // The alert that says why; best effort.
            let _ = state.write_tls(&mut Now(tcp));
            return Err(Refused::Protocol(err));
        }
    }
    Ok(())
}

/// What all our connections as a client share.
fn client() -> Result<Arc<ClientConfig>, Refused> {
    static CONFIG: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    if let Some(config) = CONFIG.get() {
        return Ok(config.clone());
    }
    let provider = Arc::new(ring::default_provider());
    let authorities = Authorities::new(provider.clone()).map_err(Refused::Protocol)?;
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(Refused::Protocol)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(authorities))
        .with_no_client_auth();
    // One service, seldom two.
    config.resumption = Resumption::in_memory_sessions(SESSIONS);
    Ok(CONFIG.get_or_init(|| Arc::new(config)).clone())
}

fn wait(tcp: &TcpStream, what: For, until: Instant) -> Result<(), Refused> {
    let left = until.saturating_duration_since(Instant::now());
    match wait_one(tcp.as_fd(), what, Some(left)) {
        Ok(true) => Ok(()),
        Ok(false) => Err(Refused::Late),
        Err(err) => Err(Refused::Io(err)),
    }
}

/// What was sent is read first: ending a connection with unread data would cut the answer off.
fn answer_plainly(tcp: &TcpStream) {
    let mut unread = [0; MAX_UNREAD];
    let _ = socket::receive_now(tcp, &mut unread);
    let _ = socket::send_now(tcp, SPEAK_TLS);
    let _ = tcp.shutdown(Shutdown::Write);
}

impl Read for Now<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        socket::receive_now(self.0, buf)
    }
}

impl Write for Now<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        socket::send_now(self.0, buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tls({:?})", self.tcp)
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refused::NotTls => f.write_str("it does not speak TLS"),
            Refused::Late => f.write_str("the TLS handshake took too long"),
            Refused::Protocol(err) => write!(f, "TLS: {err}"),
            Refused::Io(err) => err.fmt(f),
        }
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::net::certificate::Certificate;
    use crate::net::stream::Stream;
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;
    use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
    use std::net::TcpListener;
    use std::time::Duration;

    pub type Client = StreamOwned<ClientConnection, TcpStream>;

    /// A connection under TLS, both ends.
    pub fn pair() -> (Stream, Client) {
        let dir = crate::base::id::temp_dir("tls");
        let files = crate::config::tls::Tls {
            cert: dir.join("cert"),
            key: dir.join("key"),
            ca: None,
            generate: true,
        };
        let server = Certificate::open(&files).unwrap().config();
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_file(&files.cert).unwrap())
            .unwrap();
        std::fs::remove_dir_all(dir).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let client = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let shaking = std::thread::spawn(move || {
            let mut tcp = TcpStream::connect(addr).unwrap();
            tcp.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
            let name = "localhost".try_into().unwrap();
            let mut tls = ClientConnection::new(Arc::new(client), name).unwrap();
            while tls.is_handshaking() || tls.wants_write() {
                tls.complete_io(&mut tcp).unwrap();
            }
            StreamOwned::new(tls, tcp)
        });
        let (tcp, _) = listener.accept().unwrap();
        let until = Instant::now() + Duration::from_secs(10);
        let tls = Tls::accept(tcp, server, until).unwrap();
        (Stream::Tls(Box::new(tls)), shaking.join().unwrap())
    }

    #[test]
    fn a_record_that_does_not_fit_is_finished_later_and_the_end_is_said() {
        let (ours, mut theirs) = pair();
        let mut sent = 0;
        while !ours.has_unsent() {
            sent += ours.send_now(&[7; 50_000]).unwrap();
        }
        let full = ours.send_now(&[7]).unwrap_err();
        assert_eq!(full.kind(), io::ErrorKind::WouldBlock);
        let reading = std::thread::spawn(move || {
            let mut got = Vec::new();
            theirs.read_to_end(&mut got).map(|_| got.len())
        });
        while ours.has_unsent() {
            wait_one(ours.as_fd(), For::Writing, None).unwrap();
            ours.flush_now().unwrap();
        }
        ours.finish();
        // Without the protocol's goodbye this would be an error.
        assert_eq!(reading.join().unwrap().unwrap(), sent);
    }

    #[test]
    fn a_server_nobody_vouches_for_is_refused_before_anything_is_said() {
        let dir = crate::base::id::temp_dir("tls");
        let files = crate::config::tls::Tls {
            cert: dir.join("cert"),
            key: dir.join("key"),
            ca: None,
            generate: true,
        };
        let server = Certificate::open(&files).unwrap().config();
        std::fs::remove_dir_all(dir).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let until = Instant::now() + Duration::from_secs(10);
        let serving = std::thread::spawn(move || {
            let (tcp, _) = listener.accept().unwrap();
            Tls::accept(tcp, server, until).map(drop)
        });
        let tcp = TcpStream::connect(addr).unwrap();
        let refused = Tls::connect(tcp, "localhost", until).unwrap_err();
        assert!(matches!(refused, Refused::Protocol(err) if crate::net::trust::is_unknown(&err)));
        assert!(serving.join().unwrap().is_err());
    }

    #[test]
    fn what_was_received_and_not_read_is_known_to_be_there() {
        let (ours, mut theirs) = pair();
        let soon = Instant::now() + Duration::from_secs(10);
        theirs.write_all(b"hello").unwrap();
        let mut byte = [0];
        assert_eq!(ours.receive_by(&mut byte, soon).unwrap(), 1);
        assert!(ours.has_input(), "the socket shows nothing of the rest");
        let mut rest = [0; 8];
        assert_eq!((&ours).read(&mut rest).unwrap(), 4);
        assert!(!ours.has_input());
        let late = ours.receive_by(&mut rest, Instant::now()).unwrap_err();
        assert_eq!(late.kind(), io::ErrorKind::TimedOut);
        drop(theirs);
        assert_eq!(ours.receive_by(&mut rest, soon).unwrap(), 0);
    }
}
