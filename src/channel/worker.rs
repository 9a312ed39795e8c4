//! One account: carries a channel's program between its service and the core.
//!
//! The program's standard output is read by one thread: what it heard is in the spool before the
//! program is told so and before the core is. Another thread keeps the link to the core, over and
//! over: a core that goes leaves the program and its connection to the service alone, and the next
//! one is told what still waits. A third writes to the program, so that a program that is slow to
//! read never keeps us from reading it. The main thread waits for the program to end, and this
//! process with it; the supervisor starts both again.
//!
//! Trusts the core. The program may say anything: what is no line of the protocol ends it. Secrets
//! of the account pass through to the program and go nowhere else.

use super::Error;
use super::spool::{Spool, Told};
use crate::base::atomic::create_private_dir;
use crate::base::jsonl;
use crate::base::lock;
use crate::base::sys::child;
use crate::base::sys::signals::Signal;
use crate::config::{Env, Paths};
use crate::wire::channel::{Hello, MAX_LINE, PROTOCOL, Start, ToCore, ToWorker};
use crossbeam_channel::{Receiver, Sender};
use std::collections::HashSet;
use std::io::{self, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Between two tries to reach a core; one that restarts is back sooner.
const RETRY: Duration = Duration::from_millis(100);
/// A core that does not take a line in this time is as good as gone.
const WRITE: Duration = Duration::from_secs(30);
/// For the worker before us to let go of the account.
const LOCK: Duration = Duration::from_secs(5);
/// For a program to end once its standard input has.
const GRACE: Duration = Duration::from_secs(3);
/// Lines that may wait for a program to read them; it has stopped reading long before.
const MAX_LINES: usize = 4096;
/// Messages told and not acknowledged at once: what fits into a socket that nobody reads, so that
/// two sides that write never wait for each other.
const WINDOW: usize = 64;
/// Each parses one line at a time.
const STACK: usize = 128 * 1024;

struct Worker {
    state: Mutex<State>,
    /// Something was acknowledged.
    room: Condvar,
    hello: Mutex<Option<Hello>>,
    said_hello: Condvar,
    pid: u32,
}

struct State {
    spool: Spool,
    /// There once the core has said `start`.
    link: Option<UnixStream>,
    /// So many of those that wait have been told to this core.
    told: usize,
    /// Sends the program has and has not answered.
    sending: HashSet<String>,
    started: Option<Start>,
    /// Lines for the program. `None`: it is to end.
    lines: Option<Sender<ToWorker>>,
}

/// The account's folder: the journal, the lock, and what is the program's own.
pub fn folder(paths: &Paths, kind: &str, account: &str) -> PathBuf {
    paths.ours().join("channels").join(kind).join(account)
}

pub(super) fn run(kind: &str, account: &str, program: &Path) -> Result<(), Error> {
    let paths = Paths::resolve(&Env::process(), None);
    let folder = folder(&paths, kind, account);
    let system = |what: &Path| {
        let what = what.to_path_buf();
        move |err| Error::System { what, err }
    };
    create_private_dir(&folder).map_err(system(&folder))?;
    let own = folder.join("own");
    create_private_dir(&own).map_err(system(&own))?;
    let _lock = lock::take(&folder.join("lock"), "channel", LOCK).map_err(Error::Lock)?;
    let journal = folder.join("spool.jsonl");
    let spool = Spool::open(&journal).map_err(system(&journal))?;

    let mut running = Command::new(program)
        .args(["--account", account])
        .current_dir(&own)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(system(program))?;
    let (input, output) = (running.stdin.take(), running.stdout.take());
    let (lines, waiting) = crossbeam_channel::unbounded();
    let worker = Arc::new(Worker {
        state: Mutex::new(State {
            spool,
            link: None,
            told: 0,
            sending: HashSet::new(),
            started: None,
            lines: Some(lines),
        }),
        room: Condvar::new(),
        hello: Mutex::new(None),
        said_hello: Condvar::new(),
        pid: running.id(),
    });
    if let (Some(input), Some(output)) = (input, output) {
        let (ear, mouth, line) = (worker.clone(), worker.clone(), worker.clone());
        let (socket, kind) = (paths.workers_sock(), kind.to_string());
        let reader = thread("program", move || ear.listen(output, &kind));
        let writer = thread("input", move || mouth.speak(input, &waiting));
        let linked = thread("link", move || line.keep_linked(&socket));
        for started in [reader, writer, linked] {
            started.map_err(system(program))?;
        }
    }
    let status = running.wait().map_err(system(program))?;
    match worker.state().lines.is_some() {
        true => Err(Error::Ended(program.into(), status.to_string())),
        // We asked it to.
        false => Ok(()),
    }
}

fn thread(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let builder = std::thread::Builder::new().name(name.into());
    builder.stack_size(STACK).spawn(work).map(|_| ())
}

impl Worker {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The program's words, until it ends.
    fn listen(&self, output: ChildStdout, kind: &str) {
        let mut reader = BufReader::new(output);
        let mut line = Vec::new();
        let why = loop {
            match jsonl::read_line(&mut reader, &mut line, MAX_LINE) {
                Ok(true) => {}
                Ok(false) => return self.end(),
                Err(err) => break err.to_string(),
            }
            let said = serde_json::from_slice(&line)
                .map_err(|err| err.to_string())
                .and_then(|said| self.hear(said, kind));
            if let Err(why) = said {
                break why;
            }
        };
        log::error!("the channel's program is ended: {why}");
        child::send(self.pid, Signal::Terminate);
        std::thread::sleep(GRACE);
        child::send(self.pid, Signal::Kill);
    }

    /// Its standard output is closed: so it ends, or is made to.
    fn end(&self) {
        std::thread::sleep(GRACE);
        child::send(self.pid, Signal::Kill);
    }

    /// One line of the program. The error ends it.
    fn hear(&self, said: ToCore, kind: &str) -> Result<(), String> {
        let greeted = self.greeting().is_some();
        let disk = |err: io::Error| format!("the spool: {err}");
        match said {
            ToCore::Hello(_) if greeted => return Err("it said hello twice".into()),
            ToCore::Hello(hello) => {
                if hello.protocol != PROTOCOL {
                    let theirs = hello.protocol;
                    return Err(format!(
                        "it speaks protocol {theirs}, this version {PROTOCOL}"
                    ));
                }
                if hello.kind != kind {
                    return Err(format!("it is a channel of kind {:?}", hello.kind));
                }
                *self.greeting() = Some(hello);
                self.said_hello.notify_all();
            }
            _ if !greeted => return Err("it did not say hello first".into()),
            ToCore::Inbound(message) => {
                if message.id.is_empty() || message.chat.id.is_empty() {
                    return Err("an inbound message has no id or no chat".into());
                }
                self.keep(Told::Message(message))?;
            }
            ToCore::Event(event) => {
                if event.id.is_empty() {
                    return Err("an event has no id".into());
                }
                self.keep(Told::Event(event))?;
            }
            ToCore::Cursor { cursor } => self.state().spool.read_to(cursor).map_err(disk)?,
            ToCore::Sent {
                ref id,
                ref message_ids,
                ..
            } => {
                let mut state = self.state();
                state.spool.sent(id, message_ids).map_err(disk)?;
                state.sending.remove(id);
                state.tell(&said);
            }
            ToCore::Failed { ref id, .. } => {
                let mut state = self.state();
                state.sending.remove(id);
                state.tell(&said);
            }
            ToCore::Log { level, text } => log::log!(level.into(), "{text}"),
            ToCore::Status(_) | ToCore::Done { .. } | ToCore::Login { .. } => {
                self.state().tell(&said);
            }
        }
        Ok(())
    }

    /// On disk before the program is told so; waits while the core does not keep up.
    fn keep(&self, told: Told) -> Result<(), String> {
        let mut state = self.state();
        while state.spool.is_full() {
            state = self
                .room
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        let id = told.id().to_string();
        let kept = state.spool.heard(told);
        kept.map_err(|err| format!("the spool: {err}"))?;
        state.pump();
        state.write(ToWorker::Ack { id })
    }

    fn greeting(&self) -> MutexGuard<'_, Option<Hello>> {
        self.hello.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn speak(&self, mut input: ChildStdin, lines: &Receiver<ToWorker>) {
        while let Ok(line) = lines.recv() {
            if let Err(err) = input.write_all(&jsonl::line(&line)) {
                log::debug!("the channel's program does not read any more: {err}");
                return;
            }
        }
        // Asked to go: the end of its input says so.
        drop(input);
        self.end();
    }

    fn keep_linked(&self, socket: &Path) {
        let hello = {
            let mut greeting = self.greeting();
            loop {
                match &*greeting {
                    Some(hello) => break hello.clone(),
                    None => {
                        greeting = self
                            .said_hello
                            .wait(greeting)
                            .unwrap_or_else(PoisonError::into_inner);
                    }
                }
            }
        };
        let mut complained = Instant::now();
        loop {
            let linked = UnixStream::connect(socket).and_then(|stream| self.serve(stream, &hello));
            self.state().link = None;
            match linked {
                Ok(true) => {}
                Ok(false) => return,
                Err(err) if complained.elapsed() > WRITE => {
                    log::warn!("no core: {err}");
                    complained = Instant::now();
                }
                Err(err) => log::debug!("no core: {err}"),
            }
            std::thread::sleep(RETRY);
        }
    }

    /// One core, until it goes (true) or wants the program started anew (false).
    fn serve(&self, mut stream: UnixStream, hello: &Hello) -> io::Result<bool> {
        stream.set_write_timeout(Some(WRITE))?;
        stream.write_all(&jsonl::line(&ToCore::Hello(hello.clone())))?;
        let mut reader = BufReader::new(stream.try_clone()?);
        let mut line = Vec::new();
        while jsonl::read_line(&mut reader, &mut line, MAX_LINE)? {
            match serde_json::from_slice(&line)? {
                ToWorker::Start(start) => {
                    if !self.start(*start, &stream)? {
                        return Ok(false);
                    }
                }
                ToWorker::Ack { id } => {
                    let mut state = self.state();
                    let place = state.spool.acked(&id)?;
                    if place.is_some_and(|place| place < state.told) {
                        state.told -= 1;
                    }
                    state.pump();
                    self.room.notify_all();
                }
                ToWorker::Send(message) => {
                    let mut state = self.state();
                    if let Some(ids) = state.spool.outcome(&message.id) {
                        let sent = ToCore::Sent {
                            id: message.id.clone(),
                            message_ids: ids.to_vec(),
                            chat: None,
                        };
                        state.tell(&sent);
                    } else if state.sending.insert(message.id.clone()) {
                        let written = state.write(ToWorker::Send(message));
                        written.map_err(io::Error::other)?;
                    }
                }
                // A question: asked again, if at all, by who wants to know.
                asked => self.state().write(asked).map_err(io::Error::other)?,
            }
        }
        Ok(true)
    }

    /// False: the program runs with another configuration, and is asked to end.
    fn start(&self, mut start: Start, stream: &UnixStream) -> io::Result<bool> {
        let mut state = self.state();
        start.cursor = serde_json::Value::Null;
        match &state.started {
            Some(before) if *before != start => {
                log::info!("the configuration of this account has changed");
                state.lines = None;
                return Ok(false);
            }
            Some(_) => {}
            None => {
                let mut told = start.clone();
                told.cursor = state.spool.cursor().clone();
                let written = state.write(ToWorker::Start(Box::new(told)));
                written.map_err(io::Error::other)?;
                state.started = Some(start);
            }
        }
        state.link = Some(stream.try_clone()?);
        state.told = 0;
        state.pump();
        Ok(true)
    }
}

impl State {
    /// Tells the core what waits, as far as the window allows.
    fn pump(&mut self) {
        while self.link.is_some() && self.told < WINDOW {
            let Some(told) = self.spool.waiting(self.told) else {
                return;
            };
            let line = told.clone().into_wire();
            self.told += 1;
            self.tell(&line);
        }
    }

    /// To the core, if there is one; the next one is told what matters.
    fn tell(&mut self, line: &ToCore) {
        let Some(link) = &mut self.link else { return };
        if let Err(err) = link.write_all(&jsonl::line(line)) {
            log::debug!("the core does not listen: {err}");
            // Wakes the thread that reads from it, too.
            let _ = link.shutdown(std::net::Shutdown::Both);
            self.link = None;
        }
    }

    fn write(&self, line: ToWorker) -> Result<(), String> {
        let Some(lines) = &self.lines else {
            return Ok(());
        };
        if lines.len() >= MAX_LINES {
            return Err("it does not read what it is told".into());
        }
        // Without a writer it is ending.
        let _ = lines.send(line);
        Ok(())
    }
}
