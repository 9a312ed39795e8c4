//! What one connection still has to be sent, and the one thread that sends it late.
//!
//! A sender writes straight to the socket when nothing is queued and the socket takes it. What the
//! socket does not take is kept, in order, and left to the flusher thread, which exists only while
//! some connection is behind or closing. No sender ever waits for a client.

use crate::base::sys::poll::{For, Poll};
use crate::net::frame;
use crate::net::stream::Stream;
use crate::wire::gateway::frame::MAX_BUFFERED;
use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tungstenite::Bytes;

/// Unsent bytes at which even answers are refused and the client is cut off: twice the largest
/// answer (a chat history of 6 MiB), so an honest slow reader is never hit.
const MAX_QUEUED: usize = 12 * 1024 * 1024;

/// How long a closing connection may take to read the rest and answer the close frame.
const CLOSE_GRACE: Duration = Duration::from_secs(5);

/// The flusher's stack: a poll loop without deep calls.
const FLUSHER_STACK: usize = 64 * 1024;

/// What happens when the client is more than `MAX_BUFFERED` bytes behind.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Slow {
    /// This frame is left out.
    Drop,
    /// The client is closed with 1008 `slow consumer`.
    Close,
    /// The frame is queued: answers are never refused for lag.
    Queue,
}

pub struct Outbox {
    stream: Arc<Stream>,
    flusher: Arc<Flusher>,
    state: Mutex<State>,
    /// Signalled whenever the queue shrinks or the connection ends.
    drained: Condvar,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Bytes>,
    /// Bytes in `queue`.
    queued: usize,
    /// A close frame was queued: nothing may follow it.
    closing: Option<Instant>,
    /// Nothing can be sent any more.
    ended: bool,
    /// The front of the queue is the rest of a frame whose start was sent.
    partial: bool,
    parked: bool,
}

impl Outbox {
    pub fn new(stream: Arc<Stream>, flusher: Arc<Flusher>) -> Arc<Outbox> {
        Arc::new(Outbox {
            stream,
            flusher,
            state: Mutex::default(),
            drained: Condvar::new(),
        })
    }

    pub fn stream(&self) -> &Arc<Stream> {
        &self.stream
    }

    /// Sends one frame, now or later.
    pub fn send(self: &Arc<Self>, bytes: Bytes, slow: Slow) {
        let mut state = self.state();
        if state.closing.is_some() || state.ended {
            return;
        }
        let behind = state.queued > MAX_BUFFERED;
        if behind && slow == Slow::Drop {
            return;
        }
        if (behind && slow == Slow::Close) || state.queued > MAX_QUEUED {
            self.close_locked(&mut state, 1008, "slow consumer");
            return;
        }
        self.push(&mut state, bytes);
    }

    /// Sends a close frame after what was begun; frames not begun are dropped.
    pub fn close(self: &Arc<Self>, code: u16, reason: &str) {
        let mut state = self.state();
        if state.closing.is_none() && !state.ended {
            self.close_locked(&mut state, code, reason);
        }
    }

    fn close_locked(self: &Arc<Self>, state: &mut State, code: u16, reason: &str) {
        // Answers queued before an orderly close are still worth sending; a client that is far
        // behind would never get to the close frame.
        if state.queued > MAX_BUFFERED {
            state.queue.truncate(usize::from(state.partial));
            state.queued = state.queue.iter().map(Bytes::len).sum();
        }
        self.push(state, frame::close(code, reason));
        state.closing = Some(Instant::now() + CLOSE_GRACE);
        self.finish_if_sent(state);
        self.park(state);
    }

    /// Ends our direction once the close frame has left, so that a client which does not answer it
    /// ends too.
    fn finish_if_sent(&self, state: &State) {
        let sent = state.queue.is_empty() && !self.stream.has_unsent();
        if state.closing.is_some() && sent && !state.ended {
            self.stream.finish();
        }
    }

    /// The reader has left: drops the queue and ends the socket.
    pub fn end(&self) {
        let mut state = self.state();
        self.end_locked(&mut state);
    }

    fn end_locked(&self, state: &mut State) {
        state.ended = true;
        state.queue = VecDeque::new();
        state.queued = 0;
        self.stream.shut();
        self.drained.notify_all();
    }

    /// Waits while the client is behind, so that it cannot ask for more than it reads.
    pub fn wait_until_read(&self) {
        let mut state = self.state();
        while state.queued > MAX_BUFFERED && !state.ended {
            state = self
                .drained
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    pub fn is_closing(&self) -> bool {
        let state = self.state();
        state.closing.is_some() || state.ended
    }

    fn push(self: &Arc<Self>, state: &mut State, bytes: Bytes) {
        let mut rest = bytes;
        if state.queue.is_empty() {
            match self.stream.send_now(&rest) {
                Ok(sent) if sent == rest.len() => {
                    state.partial = false;
                    if self.stream.has_unsent() {
                        self.park(state);
                    }
                    return;
                }
                Ok(sent) => {
                    state.partial = sent > 0;
                    rest = rest.slice(sent..);
                }
                Err(err) if err.kind() == io::ErrorKind::WouldBlock => state.partial = false,
                Err(_) => return self.end_locked(state),
            }
        }
        state.queued += rest.len();
        state.queue.push_back(rest);
        self.park(state);
    }

    fn park(self: &Arc<Self>, state: &mut State) {
        if !state.parked && !state.ended {
            state.parked = true;
            self.flusher.take(self.clone());
        }
    }

    /// Sends what the socket takes. Called by the flusher.
    fn flush(&self) {
        let mut state = self.state();
        if self.stream.flush_now().is_err() {
            self.end_locked(&mut state);
            return;
        }
        while let Some(front) = state.queue.front_mut() {
            match self.stream.send_now(front) {
                Ok(sent) if sent == front.len() => {
                    state.queue.pop_front();
                    state.queued -= sent;
                    state.partial = false;
                }
                Ok(sent) => {
                    *front = front.slice(sent..);
                    state.queued -= sent;
                    state.partial = true;
                    break;
                }
                Err(err) if err.kind() == io::ErrorKind::WouldBlock => break,
                Err(_) => {
                    self.end_locked(&mut state);
                    return;
                }
            }
        }
        if state.queue.is_empty() {
            // A burst may have grown it; an idle connection keeps nothing.
            state.queue = VecDeque::new();
            self.finish_if_sent(&state);
        }
        self.drained.notify_all();
    }

    /// What the flusher has to wait for; `None` when it has nothing more to do here.
    fn wants(&self, now: Instant) -> Option<(For, Option<Instant>)> {
        let mut state = self.state();
        if state.closing.is_some_and(|at| at <= now) {
            self.end_locked(&mut state);
        }
        let unsent = !state.queue.is_empty() || self.stream.has_unsent();
        if state.ended || (!unsent && state.closing.is_none()) {
            state.parked = false;
            return None;
        }
        let what = if unsent { For::Writing } else { For::HangUp };
        Some((what, state.closing))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The thread behind all outboxes. It starts when a connection first falls behind and ends when
/// none is.
#[derive(Default)]
pub struct Flusher {
    inner: Mutex<Parked>,
}

#[derive(Default)]
struct Parked {
    arrived: Vec<Arc<Outbox>>,
    /// Written to in order to wake the running thread; absent when none runs.
    wake: Option<UnixStream>,
}

impl Flusher {
    /// Called with the outbox locked; the flusher never holds its own lock while it takes an
    /// outbox's, so the order is always outbox, then flusher.
    fn take(self: &Arc<Self>, outbox: Arc<Outbox>) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.arrived.push(outbox);
        if let Some(wake) = &mut inner.wake {
            // A full pipe means that the thread is about to wake anyway.
            let _ = wake.write(&[1]);
            return;
        }
        match self.start() {
            Ok(wake) => inner.wake = Some(wake),
            // It stays in `arrived`; the next outbox that falls behind tries again.
            Err(err) => log::error!("cannot start the flusher thread: {err}"),
        }
    }

    fn start(self: &Arc<Self>) -> io::Result<UnixStream> {
        let (wake, woken) = UnixStream::pair()?;
        wake.set_nonblocking(true)?;
        woken.set_nonblocking(true)?;
        let flusher = self.clone();
        std::thread::Builder::new()
            .name("flusher".into())
            .stack_size(FLUSHER_STACK)
            .spawn(move || flusher.run(&woken))?;
        Ok(wake)
    }

    fn run(&self, woken: &UnixStream) {
        let mut parked: Vec<Arc<Outbox>> = Vec::new();
        loop {
            {
                let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
                parked.append(&mut inner.arrived);
                if parked.is_empty() {
                    inner.wake = None;
                    return;
                }
            }
            let now = Instant::now();
            let mut deadline: Option<Instant> = None;
            let mut wants = Vec::with_capacity(parked.len());
            parked.retain(|outbox| match outbox.wants(now) {
                Some((what, until)) => {
                    wants.push(what);
                    deadline = [deadline, until].into_iter().flatten().min();
                    true
                }
                None => false,
            });
            if parked.is_empty() {
                continue;
            }
            let mut poll = Poll::new();
            poll.add(woken.as_fd(), For::Reading);
            for (outbox, what) in parked.iter().zip(&wants) {
                poll.add(outbox.stream.as_fd(), *what);
            }
            let timeout = deadline.map(|at| at.saturating_duration_since(Instant::now()));
            if let Err(err) = poll.wait(timeout) {
                log::error!("flusher: poll: {err}");
                std::thread::sleep(Duration::from_millis(100));
                continue;
            }
            if poll.ready(0) {
                let mut drain = [0; 64];
                let _ = (&*woken).read(&mut drain);
            }
            for (i, outbox) in parked.iter().enumerate() {
                if poll.hung_up(i + 1) {
                    outbox.end();
                } else if poll.ready(i + 1) {
                    outbox.flush();
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixStream;

    fn pair() -> (Arc<Outbox>, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let stream = Arc::new(Stream::Unix(ours));
        (Outbox::new(stream, Arc::new(Flusher::default())), theirs)
    }

    fn kib(n: usize) -> Bytes {
        Bytes::from(vec![b'x'; n * 1024])
    }

    #[test]
    fn what_the_socket_does_not_take_is_sent_later_in_order() {
        let (outbox, mut theirs) = pair();
        let mut sent = Vec::new();
        for i in 0..64u8 {
            let part = vec![i; 32 * 1024];
            sent.extend_from_slice(&part);
            outbox.send(part.into(), Slow::Queue);
        }
        let mut got = vec![0; sent.len()];
        theirs.read_exact(&mut got).unwrap();
        assert!(got == sent);
    }

    #[test]
    fn the_last_record_reaches_a_tls_client_though_nothing_follows_it() {
        let (ours, mut theirs) = crate::net::tls::tests::pair();
        let outbox = Outbox::new(Arc::new(ours), Arc::new(Flusher::default()));
        let mut sent = 0;
        // Until the kernel has taken a part of the last one and nothing waits behind it.
        while !outbox.stream.has_unsent() {
            outbox.send(kib(8), Slow::Queue);
            sent += 8 * 1024;
        }
        assert!(outbox.state().queue.is_empty());
        let mut got = vec![0; sent];
        theirs.read_exact(&mut got).unwrap();
    }

    #[test]
    fn a_slow_client_misses_droppable_frames_and_is_closed_by_others() {
        let (outbox, mut theirs) = pair();
        while outbox.state().queued <= MAX_BUFFERED {
            outbox.send(kib(64), Slow::Close);
        }
        let queued = outbox.state().queued;
        outbox.send(kib(1), Slow::Drop);
        assert_eq!(outbox.state().queued, queued);
        outbox.send(kib(1), Slow::Close);
        assert!(outbox.is_closing());
        assert!(outbox.state().queued < MAX_BUFFERED);
        let mut got = Vec::new();
        theirs
            .set_read_timeout(Some(Duration::from_millis(200)))
            .unwrap();
        let _ = theirs.read_to_end(&mut got);
        let close = frame::close(1008, "slow consumer");
        assert!(got.ends_with(&close));
        assert_eq!((got.len() - close.len()) % (64 * 1024), 0);
    }

    #[test]
    fn a_reader_waits_until_the_client_has_read() {
        let (outbox, mut theirs) = pair();
        for _ in 0..40 {
            outbox.send(kib(64), Slow::Queue);
        }
        let waiting = outbox.clone();
        let waiter = std::thread::spawn(move || waiting.wait_until_read());
        let mut got = vec![0; 40 * 64 * 1024];
        theirs.read_exact(&mut got).unwrap();
        waiter.join().unwrap();
    }
}
