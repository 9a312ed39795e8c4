//! A service's WebSocket, held by one thread.
//!
//! Waits for the next message until an instant of the caller's, so that heartbeats of a service's
//! own are said on time; a stop from any thread ends the wait at once. Silence is answered by a
//! ping, and more silence by the end of the connection: a peer that vanished without a word is
//! noticed. Messages beyond a bound end it too. Small buffers: most of the time nothing is said.

use super::kind::Failed;
use crate::base::cancel::{Cancel, Registration};
use crate::base::sys::poll::{For, wait_one};
use crate::net::dial;
use crate::net::fetch;
use crate::net::policy::Policy;
use crate::net::stream::Stream;
use crate::net::tls::Tls;
use std::fmt;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};
use tungstenite::handshake::HandshakeError;
use tungstenite::http::{HeaderValue, Request, Uri};
use tungstenite::protocol::{CloseFrame, WebSocketConfig, frame::coding::CloseCode};
use tungstenite::{Message, WebSocket};

/// Connecting, TLS and the upgrade together.
const PATIENCE: Duration = Duration::from_secs(30);
/// A peer that takes nothing for so long is gone.
const WRITE: Duration = Duration::from_secs(20);
/// For the word that we leave.
const GOODBYE: Duration = Duration::from_millis(500);
/// What is held while nothing is said.
const BUFFER: usize = 4 * 1024;

pub struct Socket {
    inner: WebSocket<Wire>,
    /// Silence after which we ask whether anybody is there, and after which nobody is.
    silence: Duration,
    heard: Instant,
    asked: bool,
    stop: Cancel,
    _wake: Registration,
}

/// What tungstenite reads from and writes to.
struct Wire {
    stream: Stream,
    /// Reads end here, with `TimedOut`.
    until: Instant,
}

/// Why a connection is none, or none any more.
#[derive(Debug)]
pub enum Gone {
    /// By whoever closed it: the code and the reason.
    Closed(u16, String),
    /// The upgrade was refused with this status.
    Refused(u16),
    Failed(String),
    Silent,
    /// We were told to stop.
    Stopped,
}

impl Socket {
    /// `ws://` or `wss://`; `headers` go with the upgrade. No message is larger than `room`.
    pub fn open(
        url: &str,
        headers: &[(&'static str, &str)],
        silence: Duration,
        room: usize,
        stop: &Cancel,
    ) -> Result<Socket, Gone> {
        let bad = |why: &str| Gone::Failed(format!("the address of the WebSocket: {why}"));
        let uri: Uri = url.parse().map_err(|_| bad("not a URL"))?;
        let secure = match uri.scheme_str() {
            Some("wss") => true,
            Some("ws") => false,
            _ => return Err(bad("neither ws:// nor wss://")),
        };
        let host = uri.host().ok_or_else(|| bad("no host"))?.to_string();
        let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let until = Instant::now() + PATIENCE;
        let tcp = dial::tcp(&host, port, Policy::Any, PATIENCE, stop)?;
        let tcp_wake = tcp.try_clone().map_err(Gone::io)?;
        // During the handshake as well as after it.
        let wake = stop.on_cancel(move || {
            // An error means that it is closed already.
            let _ = tcp_wake.shutdown(std::net::Shutdown::Both);
        });
        let stopped = |gone| {
            if stop.is_cancelled() {
                Gone::Stopped
            } else {
                gone
            }
        };
        let stream = match secure {
            false => Stream::Tcp(tcp),
            true => {
                let tls = Tls::connect(tcp, &host, until);
                let tls = tls.map_err(|err| stopped(Gone::Failed(format!("{host}: {err}"))))?;
                Stream::Tls(Box::new(tls))
            }
        };
        let mut request = tungstenite::client::IntoClientRequest::into_client_request(url)
            .map_err(|err| bad(&err.to_string()))?;
        add(&mut request, headers)?;
        let config = WebSocketConfig::default()
            .read_buffer_size(BUFFER)
            .write_buffer_size(0)
            .max_message_size(Some(room))
            .max_frame_size(Some(room));
        let wire = Wire { stream, until };
        let opened = tungstenite::client::client_with_config(request, wire, Some(config));
        let (inner, _) = opened.map_err(|err| {
            stopped(match err {
                HandshakeError::Failure(err) => Gone::from(err),
                HandshakeError::Interrupted(_) => Gone::Silent,
            })
        })?;
        Ok(Socket {
            inner,
            silence,
            heard: Instant::now(),
            asked: false,
            stop: stop.clone(),
            _wake: wake,
        })
    }

    /// The next text, or `None` when there is none until then.
    pub fn next(&mut self, until: Instant) -> Result<Option<String>, Gone> {
        loop {
            let patient = self.heard + self.silence;
            self.inner.get_mut().until = until.min(patient);
            match self.inner.read() {
                Ok(message) => {
                    self.heard = Instant::now();
                    self.asked = false;
                    match message {
                        Message::Text(text) => return Ok(Some(text.as_str().to_string())),
                        Message::Close(frame) => return Err(self.closed(frame)),
                        // A ping is answered by the library; nothing else concerns us.
                        _ => self.flush()?,
                    }
                }
                Err(tungstenite::Error::Io(err)) if err.kind() == io::ErrorKind::TimedOut => {
                    let now = Instant::now();
                    if now >= patient {
                        if self.asked {
                            return Err(Gone::Silent);
                        }
                        self.asked = true;
                        self.heard = now;
                        self.write(Message::Ping(Default::default()))?;
                    }
                    if now >= until {
                        return Ok(None);
                    }
                }
                Err(err) => return Err(self.gone(err)),
            }
        }
    }

    pub fn say(&mut self, text: String) -> Result<(), Gone> {
        self.write(Message::text(text))
    }

    /// Says goodbye with `code`, as far as the peer takes it now.
    pub fn close(mut self, code: u16) {
        let frame = CloseFrame {
            code: CloseCode::from(code),
            reason: Default::default(),
        };
        let _ = self.inner.close(Some(frame));
        let _ = self.inner.flush();
        // The answer shows that it was heard; who does not answer is left.
        self.inner.get_mut().until = Instant::now() + GOODBYE;
        while self.inner.read().is_ok() {}
        self.inner.get_ref().stream.shut();
    }

    fn write(&mut self, message: Message) -> Result<(), Gone> {
        self.inner.send(message).map_err(|err| self.gone(err))
    }

    fn flush(&mut self) -> Result<(), Gone> {
        self.inner.flush().map_err(|err| self.gone(err))
    }

    fn closed(&mut self, frame: Option<CloseFrame>) -> Gone {
        // The answer to it, as far as the peer takes it.
        let _ = self.inner.flush();
        // 1005: closed without a code.
        frame.map_or(Gone::Closed(1005, String::new()), |frame| {
            Gone::Closed(frame.code.into(), frame.reason.as_str().to_string())
        })
    }

    fn gone(&self, err: tungstenite::Error) -> Gone {
        match self.stop.is_cancelled() {
            true => Gone::Stopped,
            false => err.into(),
        }
    }
}

fn add(request: &mut Request<()>, headers: &[(&'static str, &str)]) -> Result<(), Gone> {
    for (name, value) in headers {
        let value = HeaderValue::from_str(value);
        // The value may be a secret and is not shown.
        let value = value.map_err(|_| Gone::Failed(format!("{name} cannot be sent as it is")))?;
        request.headers_mut().insert(*name, value);
    }
    Ok(())
}

impl Read for Wire {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        self.stream.receive_by(room, self.until)
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let until = Instant::now() + WRITE;
        loop {
            match self.stream.send_now(bytes) {
                Err(err) if err.kind() == io::ErrorKind::WouldBlock => self.wait(until)?,
                other => return other,
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        let until = Instant::now() + WRITE;
        while self.stream.has_unsent() {
            self.stream.flush_now()?;
            if self.stream.has_unsent() {
                self.wait(until)?;
            }
        }
        Ok(())
    }
}

impl Wire {
    fn wait(&self, until: Instant) -> io::Result<()> {
        let left = until.saturating_duration_since(Instant::now());
        match wait_one(self.stream.as_fd(), For::Writing, Some(left))? {
            true => Ok(()),
            // Not `TimedOut`, which a read that may go on says.
            false => Err(io::Error::new(io::ErrorKind::BrokenPipe, "nobody reads")),
        }
    }
}

impl Gone {
    fn io(err: io::Error) -> Gone {
        Gone::Failed(err.to_string())
    }
}

impl From<fetch::Error> for Gone {
    fn from(err: fetch::Error) -> Gone {
        match err {
            fetch::Error::Cancelled => Gone::Stopped,
            err => Gone::Failed(err.to_string()),
        }
    }
}

impl From<tungstenite::Error> for Gone {
    fn from(err: tungstenite::Error) -> Gone {
        use tungstenite::Error;
        match err {
            Error::Http(response) => Gone::Refused(response.status().as_u16()),
            Error::Io(err) if err.kind() == io::ErrorKind::TimedOut => Gone::Silent,
            Error::ConnectionClosed | Error::AlreadyClosed => Gone::Closed(1006, String::new()),
            err => Gone::Failed(err.to_string()),
        }
    }
}

impl From<Gone> for Failed {
    fn from(gone: Gone) -> Failed {
        Failed::for_now(gone.to_string())
    }
}

impl fmt::Display for Gone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Gone::Closed(code, reason) if reason.is_empty() => {
                write!(f, "the service closed the connection ({code})")
            }
            Gone::Closed(code, reason) => {
                write!(f, "the service closed the connection ({code}: {reason})")
            }
            Gone::Refused(status) => write!(f, "the service refuses a WebSocket: HTTP {status}"),
            Gone::Failed(why) => f.write_str(why),
            Gone::Silent => f.write_str("the service has fallen silent"),
            Gone::Stopped => f.write_str("stopped"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use tungstenite::accept;

    /// A service with one connection, and the socket to it.
    fn meet<T: Send + 'static>(
        silence: Duration,
        stop: &Cancel,
        serve: impl FnOnce(WebSocket<std::net::TcpStream>) -> T + Send + 'static,
    ) -> (Socket, std::thread::JoinHandle<T>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("ws://{}/x", listener.local_addr().unwrap());
        let serving = std::thread::spawn(move || {
            let (tcp, _) = listener.accept().unwrap();
            serve(accept(tcp).unwrap())
        });
        let socket = Socket::open(&url, &[("x-test", "1")], silence, 1000, stop).unwrap();
        (socket, serving)
    }

    fn long() -> Instant {
        Instant::now() + Duration::from_secs(20)
    }

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn texts_go_both_ways_and_a_wait_without_one_ends_on_time() {
        let (mut socket, serving) = meet(HOUR, &Cancel::new(), |mut peer| {
            let said = peer.read().unwrap();
            peer.send(Message::Ping(Default::default())).unwrap();
            peer.send(said).unwrap();
            let pong = peer.read().unwrap();
            peer.close(Some(CloseFrame {
                code: CloseCode::from(4004),
                reason: "no such token".into(),
            }))
            .unwrap();
            pong.is_pong()
        });
        assert!(socket.next(Instant::now()).unwrap().is_none());
        socket.say("hello".into()).unwrap();
        assert_eq!(socket.next(long()).unwrap().as_deref(), Some("hello"));
        let gone = socket.next(long()).unwrap_err();
        assert!(matches!(&gone, Gone::Closed(4004, why) if why == "no such token"));
        assert!(serving.join().unwrap(), "the ping was answered");
    }

    #[test]
    fn a_stop_ends_the_wait_and_a_message_beyond_the_bound_the_connection() {
        let stop = Cancel::new();
        let (mut socket, serving) = meet(HOUR, &stop, |mut peer| peer.read().is_err());
        let stopping = std::thread::spawn({
            let stop = stop.clone();
            move || stop.cancel()
        });
        let gone = socket.next(long()).unwrap_err();
        assert!(matches!(gone, Gone::Stopped));
        assert!(serving.join().unwrap());
        stopping.join().unwrap();

        let (mut socket, serving) = meet(HOUR, &Cancel::new(), |mut peer| {
            peer.send(Message::text("x".repeat(1001))).unwrap();
            peer.read().is_err()
        });
        assert!(matches!(socket.next(long()), Err(Gone::Failed(_))));
        drop(socket);
        assert!(serving.join().unwrap());
    }

    #[test]
    fn a_peer_that_does_not_even_answer_a_ping_is_given_up() {
        let silence = Duration::from_millis(5);
        // It is there and reads nothing.
        let (mut socket, serving) = meet(silence, &Cancel::new(), |peer| peer);
        assert!(matches!(socket.next(long()), Err(Gone::Silent)));
        let mut peer = serving.join().unwrap();
        assert!(peer.read().unwrap().is_ping());
    }

    #[test]
    fn a_refused_upgrade_says_its_status_and_no_header_is_shown() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("ws://{}/", listener.local_addr().unwrap());
        let serving = std::thread::spawn(move || {
            let (mut tcp, _) = listener.accept().unwrap();
            let mut head = [0; 1024];
            let _ = tcp.read(&mut head).unwrap();
            tcp.write_all(b"HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n")
                .unwrap();
        });
        let stop = Cancel::new();
        let open = |header| Socket::open(&url, &[("authorization", header)], HOUR, 1000, &stop);
        assert!(matches!(open("Bearer x").err(), Some(Gone::Refused(401))));
        serving.join().unwrap();
        let listener = TcpListener::bind(url[5..].trim_end_matches('/')).unwrap();
        let gone = open("Bearer \n").err().unwrap().to_string();
        assert!(!gone.contains("Bearer"), "{gone}");
        drop(listener);
        assert!(Socket::open("http://x", &[], HOUR, 1000, &stop).is_err());
    }
}
