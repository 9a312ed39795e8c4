//! Copying one HTTP exchange between a client and the HTTP plane. Bounded buffers, one thread, and
//! a deadline on whoever holds the other up.

use super::stream::Stream;
use crate::base::cancel::Cancel;
use crate::base::sys::poll::{For, Poll};
use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// Bytes on their way, in each direction.
const BUFFER: usize = 8 * 1024;
/// How long the client may keep silent in the middle of its request, or not take its answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a whole request body may take, however steadily it drips.
const BODY_TIME: Duration = Duration::from_secs(600);
/// How long a refused client may go on sending.
const DRAIN: Duration = Duration::from_secs(2);
/// What of a body is read before the plane is asked: its threads are few, so a client that stops
/// half-way must not hold one. A larger body shows by its first part that it is being sent.
const HELD: usize = 64 * 1024;
/// The end of a chunked body without trailers.
const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// How the request's body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// After so many bytes.
    Length(u64),
    /// Chunked: the HTTP plane knows.
    Open,
}

/// Bytes read on one side and not yet sent on the other.
#[derive(Default)]
struct Pending {
    bytes: Vec<u8>,
    sent: usize,
}

/// Reads on in the body that `request` has begun, until it is whole or `HELD` bytes of it are here;
/// what is left of it then.
pub fn hold(client: &Stream, request: &mut Vec<u8>, mut body: Body) -> io::Result<Body> {
    let full = request.len() + HELD;
    let until = Instant::now() + BODY_TIME;
    loop {
        let (room, whole) = match body {
            Body::Length(left) => (left, left == 0),
            Body::Open => (u64::MAX, request.ends_with(LAST_CHUNK)),
        };
        if whole || request.len() >= full {
            return Ok(body);
        }
        let now = Instant::now();
        if now > until {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let have = request.len();
        request.resize(have + bounded(room), 0);
        let read = client.receive_by(&mut request[have..], now + PATIENCE);
        request.truncate(have + read.as_ref().copied().unwrap_or(0));
        match read? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => {
                if let Body::Length(left) = &mut body {
                    *left -= read as u64;
                }
            }
        }
    }
}

/// One read's worth.
fn bounded(most: u64) -> usize {
    usize::try_from(most).map_or(BUFFER, |most| most.min(BUFFER))
}

/// Sends `request` (the rewritten head and what was read of the body) to `plane`, passes on the
/// rest of the body, and passes the answer back until the plane closes. A client that ends its side
/// after its request cancels `gone`: the plane decides what that means, the answer still passes.
pub fn relay(
    client: &Stream,
    plane: &Stream,
    request: Vec<u8>,
    body: Body,
    gone: &Cancel,
) -> io::Result<()> {
    let mut left = match body {
        Body::Length(bytes) => bytes,
        Body::Open => u64::MAX,
    };
    // Whether the client still owes something. Of a chunked body only the usual end is seen here,
    // and only to stop the clock: reading goes on.
    let mut owes = match body {
        Body::Length(bytes) => bytes > 0,
        Body::Open => !request.ends_with(LAST_CHUNK),
    };
    let body_until = Instant::now() + BODY_TIME;
    let mut up = Pending {
        bytes: request,
        sent: 0,
    };
    let mut down = Pending::default();
    let mut ended = false;
    let mut refused = false;
    loop {
        let reads_client = up.is_empty() && left > 0;
        let mut poll = Poll::new();
        let from_client = reads_client.then(|| poll.add(client.as_fd(), For::Reading));
        let owed = !down.is_empty() || client.has_unsent();
        let to_client = owed.then(|| poll.add(client.as_fd(), For::Writing));
        let to_plane = (!up.is_empty()).then(|| poll.add(plane.as_fd(), For::Writing));
        let from_plane = (!owed).then(|| poll.add(plane.as_fd(), For::Reading));
        let broken = poll.add(client.as_fd(), For::HangUp);
        let end = (left == 0 && !ended).then(|| poll.add(client.as_fd(), For::End));

        // Only the client can be late: the plane may think for as long as an agent's turn.
        let on_client = to_client.is_some() || (reads_client && owes);
        // TLS may hold what the socket does not show any more.
        let here = reads_client && client.has_input();
        let patience = match here {
            true => Some(Duration::ZERO),
            false => on_client.then_some(PATIENCE),
        };
        let in_time = poll.wait(patience)? || here;
        if !in_time || (owes && Instant::now() > body_until) {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let ready = |place: Option<usize>| place.is_some_and(|at| poll.ready(at));
        if poll.hung_up(broken) {
            return Ok(());
        }
        if ready(end) {
            ended = true;
            gone.cancel();
        }
        if ready(to_client) {
            client.flush_now()?;
            down.send_to(client)?;
        }
        if ready(to_plane) && up.send_to(plane).is_err() {
            // The plane answers before it has the whole body (413): what it says still counts.
            up = Pending::default();
            left = 0;
            owes = false;
        }
        if ready(from_client) || here {
            if let Some(read) = up.fill_from(client, left)? {
                if read == 0 && owes {
                    // Whoever reads the body in the plane would wait for the rest for ever.
                    plane.finish();
                }
                left = if read == 0 { 0 } else { left - read };
                owes = left > 0 && !(body == Body::Open && up.bytes.ends_with(LAST_CHUNK));
            }
        }
        if ready(from_plane) {
            match down.fill_from(plane, u64::MAX)? {
                Some(0) => {
                    if refused {
                        drain(client);
                    }
                    return Ok(());
                }
                // An answer before the whole body is a refusal: endpoints read all of it first. The
                // plane's thread must not wait for what nobody wants.
                Some(_) if owes => {
                    plane.finish();
                    up = Pending::default();
                    left = 0;
                    owes = false;
                    refused = true;
                }
                _ => {}
            }
        }
    }
}

/// Takes in what the client still sends after its answer, for a moment: closed with something unread,
/// a connection may lose the answer on its way.
fn drain(client: &Stream) {
    client.finish();
    let until = Instant::now() + DRAIN;
    let mut room = [0; BUFFER];
    // Ends with an error when the time is over, too.
    while matches!(client.receive_by(&mut room, until), Ok(1..)) && Instant::now() < until {}
}

impl Pending {
    fn is_empty(&self) -> bool {
        self.sent == self.bytes.len()
    }

    /// Sends what the socket takes.
    fn send_to(&mut self, stream: &Stream) -> io::Result<()> {
        match stream.send_now(&self.bytes[self.sent..]) {
            Ok(sent) => self.sent += sent,
            Err(err) if err.kind() == io::ErrorKind::WouldBlock => {}
            Err(err) => return Err(err),
        }
        Ok(())
    }

    /// Receives at most `most` bytes: 0 at the end, `None` when no whole record of TLS is there.
    fn fill_from(&mut self, stream: &Stream, most: u64) -> io::Result<Option<u64>> {
        self.bytes.resize(bounded(most), 0);
        self.sent = 0;
        let read = stream.receive_now(&mut self.bytes);
        self.bytes.truncate(read.as_ref().copied().unwrap_or(0));
        match read {
            Ok(read) => Ok(Some(read as u64)),
            Err(err) if err.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(err) => Err(err),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    fn pair() -> (Stream, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        (Stream::Unix(ours), theirs)
    }

    #[test]
    fn a_large_body_and_a_large_answer_pass_whole() {
        let (client, mut browser) = pair();
        let (plane, mut server) = pair();
        let body = vec![7u8; 300_000];
        let sent = body.clone();
        let writer = std::thread::spawn(move || {
            browser.write_all(&sent[1000..]).unwrap();
            let mut answer = Vec::new();
            browser.read_to_end(&mut answer).unwrap();
            answer.len()
        });
        let serving = std::thread::spawn(move || {
            let mut got = vec![0; 300_000];
            server.read_exact(&mut got).unwrap();
            server.write_all(&got).unwrap();
        });
        relay(
            &client,
            &plane,
            body[..1000].to_vec(),
            Body::Length(299_000),
            &Cancel::new(),
        )
        .unwrap();
        drop(client);
        serving.join().unwrap();
        assert_eq!(writer.join().unwrap(), 300_000);
    }

    #[test]
    fn a_small_body_is_waited_for_and_a_large_one_begun() {
        let (client, mut browser) = pair();
        let writer = std::thread::spawn(move || {
            browser.write_all(b"lf").unwrap();
            browser.write_all(&[1; 2 * HELD]).unwrap();
        });
        let mut request = b"head ha".to_vec();
        let left = hold(&client, &mut request, Body::Length(2)).unwrap();
        assert_eq!((left, &request[..]), (Body::Length(0), &b"head half"[..]));
        let all = 2 * HELD as u64;
        let Body::Length(left) = hold(&client, &mut request, Body::Length(all)).unwrap() else {
            panic!("a length stays a length");
        };
        assert!(left > 0 && left <= HELD as u64);
        assert_eq!(request.len() as u64 - 9, all - left);
        drop(client);
        // The writer may be cut off with the second half unsent.
        let _ = writer.join();
    }

    #[test]
    fn an_answer_before_the_end_of_the_body_arrives() {
        let (client, mut browser) = pair();
        let (plane, mut server) = pair();
        server.write_all(b"413").unwrap();
        drop(server);
        let gone = Cancel::new();
        relay(&client, &plane, b"x".to_vec(), Body::Open, &gone).unwrap();
        drop(client);
        let mut answer = String::new();
        browser.read_to_string(&mut answer).unwrap();
        assert_eq!(answer, "413");
    }

    #[test]
    fn a_client_that_goes_in_the_middle_of_its_body_ends_it_for_the_plane() {
        let (client, browser) = pair();
        let (plane, mut server) = pair();
        browser.shutdown(std::net::Shutdown::Write).unwrap();
        let serving = std::thread::spawn(move || {
            let mut all = Vec::new();
            server.read_to_end(&mut all).unwrap();
            all
        });
        relay(
            &client,
            &plane,
            b"half".to_vec(),
            Body::Length(100),
            &Cancel::new(),
        )
        .unwrap();
        drop(plane);
        assert_eq!(serving.join().unwrap(), b"half");
    }

    #[test]
    fn a_refusal_ends_the_body_for_the_plane_and_reaches_a_client_that_still_sends() {
        let (client, mut browser) = pair();
        let (plane, mut server) = pair();
        let serving = std::thread::spawn(move || {
            server.write_all(b"401").unwrap();
            // As the plane's library does with what is left of a request.
            server.read_to_end(&mut Vec::new()).unwrap();
        });
        let sending = std::thread::spawn(move || {
            browser.write_all(&[1; 100_000]).unwrap();
            browser.shutdown(std::net::Shutdown::Write).unwrap();
            let mut answer = String::new();
            browser.read_to_string(&mut answer).unwrap();
            answer
        });
        let body = Body::Length(200_000);
        relay(&client, &plane, b"x".to_vec(), body, &Cancel::new()).unwrap();
        serving.join().unwrap();
        drop(client);
        assert_eq!(sending.join().unwrap(), "401");
    }

    #[test]
    fn a_client_that_ends_its_side_is_told_of_and_still_answered() {
        let (client, mut browser) = pair();
        let (plane, mut server) = pair();
        let gone = Cancel::new();
        browser.shutdown(std::net::Shutdown::Write).unwrap();
        let told = gone.clone();
        let serving = std::thread::spawn(move || {
            let thread = std::thread::current();
            let _wake = told.on_cancel(move || thread.unpark());
            // What is left unread would break the connection at its end.
            server.read_exact(&mut [0]).unwrap();
            while !told.is_cancelled() {
                std::thread::park();
            }
            server.write_all(b"200").unwrap();
        });
        relay(&client, &plane, b"x".to_vec(), Body::Length(0), &gone).unwrap();
        serving.join().unwrap();
        drop(client);
        let mut answer = String::new();
        browser.read_to_string(&mut answer).unwrap();
        assert_eq!(answer, "200");
    }
}
