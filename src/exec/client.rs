//! The core's connection to the tool runner: commands by id, their output as it comes.
//!
//! Connects at the first command. One reader thread hands every line to the command's callback, in
//! order; a callback must not block, because all commands share the reader. When the runner ends,
//! its commands are reported failed and the next command connects again.

use crate::wire::exec::{FromRunner, KEPT_OUTPUT, Kept, MAX_LINE, Run, ToRunner};
use crate::wire::version;
use base64::{Engine, engine::general_purpose::STANDARD};
use std::collections::HashMap;
use std::fmt;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// How long the runner may take to come up and say hello.
const CONNECT: Duration = Duration::from_secs(5);
/// How long a line to the runner may take: it reads all the time unless it is broken.
const WRITE: Duration = Duration::from_secs(5);
const RETRY: Duration = Duration::from_millis(10);
const STACK: usize = 128 * 1024;
/// Capacity of the reader, bytes: two output lines.
const BUFFER: usize = 24 * 1024;

/// What happens to a command; `Exited` or `Failed` is the last.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    Started {
        pid: u32,
    },
    Output(Vec<u8>),
    /// A write was not taken.
    Refused(String),
    Exited {
        code: Option<i32>,
        signal: Option<i32>,
        timed_out: bool,
    },
    Failed(String),
}

pub type Sink = Arc<dyn Fn(Event) + Send + Sync>;
/// Where the events of a command go that an earlier core started; `None` ends it.
type Heir = Box<dyn Fn(&Kept) -> Option<Sink> + Send + Sync>;

pub struct Client {
    socket: PathBuf,
    on_first_use: Box<dyn Fn() + Send + Sync>,
    heir: Option<Heir>,
    link: Arc<Mutex<Link>>,
}

#[derive(Default)]
struct Link {
    /// `None`: not connected.
    writer: Option<UnixStream>,
    /// Counts connections, so that a reader that ends late clears nothing of its successor.
    generation: u64,
    enforces: Vec<String>,
    runs: HashMap<String, Sink>,
}

#[derive(Debug)]
pub enum Error {
    Unreachable { socket: PathBuf, err: io::Error },
    Protocol { theirs: u32 },
    TooLong,
    Lost(io::Error),
    NotRunning,
}

impl Client {
    /// Does nothing yet. `on_first_use` is called before each attempt to connect: it sees to it
    /// that somebody starts the runner.
    pub fn new(socket: PathBuf, on_first_use: Box<dyn Fn() + Send + Sync>) -> Client {
        Client {
            socket,
            on_first_use,
            heir: None,
            link: Arc::default(),
        }
    }

    /// What the core before this one kept is offered to `heir` at the next connection, under our
    /// lock.
    #[must_use]
    pub fn with_heir(
        mut self,
        heir: impl Fn(&Kept) -> Option<Sink> + Send + Sync + 'static,
    ) -> Client {
        self.heir = Some(Box::new(heir));
        self
    }

    /// Starts a command; everything about it comes to `on_event`, from the reader thread.
    pub fn run(
        &self,
        run: Run,
        on_event: impl Fn(Event) + Send + Sync + 'static,
    ) -> Result<(), Error> {
        let id = run.id.clone();
        let line = line(&ToRunner::Run(Box::new(run)))?;
        let mut link = self.connected()?;
        link.runs.insert(id.clone(), Arc::new(on_event));
        let sent = link.send(&line);
        if sent.is_err() {
            link.runs.remove(&id);
        }
        sent
    }

    /// Writes to a command's standard input, then closes it when `eof`.
    pub fn write(&self, id: &str, data: &[u8], eof: bool) -> Result<(), Error> {
        let line = line(&ToRunner::Write {
            id: id.into(),
            data: STANDARD.encode(data),
            eof,
        })?;
        self.send_for(id, &line)
    }

    /// Has a command outlive this core. The next one gets `note` back; `printed` is what came of its
    /// output so far.
    pub fn keep(&self, id: &str, note: &str, printed: &str) -> Result<(), Error> {
        let printed = printed.as_bytes();
        let last = &printed[printed.len().saturating_sub(KEPT_OUTPUT)..];
        let line = line(&ToRunner::Keep {
            id: id.into(),
            note: note.into(),
            output: STANDARD.encode(last),
        })?;
        self.send_for(id, &line)
    }

    /// Ends a command with all it started: TERM, then KILL after `grace`.
    pub fn kill(&self, id: &str, grace: Duration) -> Result<(), Error> {
        let line = line(&ToRunner::Kill {
            id: id.into(),
            grace_ms: u64::try_from(grace.as_millis()).unwrap_or(u64::MAX),
        })?;
        self.send_for(id, &line)
    }

    /// What the runner's kernel enforces; connects when needed.
    pub fn enforces(&self) -> Result<Vec<String>, Error> {
        Ok(self.connected()?.enforces.clone())
    }

    fn send_for(&self, id: &str, line: &[u8]) -> Result<(), Error> {
        let mut link = lock(&self.link);
        if !link.runs.contains_key(id) {
            return Err(Error::NotRunning);
        }
        link.send(line)
    }

    fn connected(&self) -> Result<MutexGuard<'_, Link>, Error> {
        let mut link = lock(&self.link);
        if link.writer.is_some() {
            return Ok(link);
        }
        (self.on_first_use)();
        let until = Instant::now() + CONNECT;
        let unreachable = |err| Error::Unreachable {
            socket: self.socket.clone(),
            err,
        };
        let stream = loop {
            match UnixStream::connect(&self.socket) {
                Ok(stream) => break stream,
                Err(err) if Instant::now() > until => return Err(unreachable(err)),
                Err(_) => thread::sleep(RETRY),
            }
        };
        let prepare = || {
            stream.set_read_timeout(Some(CONNECT))?;
            stream.set_write_timeout(Some(WRITE))?;
            let mut reader = BufReader::with_capacity(BUFFER, stream.try_clone()?);
            let hello = next(&mut reader)?;
            stream.set_read_timeout(None)?;
            Ok((reader, hello))
        };
        let (reader, hello) = prepare().map_err(unreachable)?;
        let mut refused = Vec::new();
        match hello {
            Some(FromRunner::Hello {
                protocol: version::EXEC,
                enforces,
                kept,
                ..
            }) => {
                link.enforces = enforces;
                for kept in kept {
                    match self.heir.as_ref().and_then(|heir| heir(&kept)) {
                        Some(sink) => drop(link.runs.insert(kept.id, sink)),
                        None => refused.push(kept.id),
                    }
                }
            }
            Some(FromRunner::Hello { protocol, .. }) => {
                return Err(Error::Protocol { theirs: protocol });
            }
            _ => return Err(Error::Protocol { theirs: 0 }),
        }
        link.generation += 1;
        let (shared, generation) = (self.link.clone(), link.generation);
        thread::Builder::new()
            .name("exec reader".into())
            .stack_size(STACK)
            .spawn(move || read(reader, &shared, generation))
            .map_err(unreachable)?;
        link.writer = Some(stream);
        for id in refused {
            let grace_ms = 0;
            link.send(&line(&ToRunner::Kill { id, grace_ms })?)?;
        }
        Ok(link)
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        lock(&self.link).hang_up();
    }
}

impl Link {
    fn send(&mut self, line: &[u8]) -> Result<(), Error> {
        let Some(writer) = &mut self.writer else {
            return Err(Error::NotRunning);
        };
        writer.write_all(line).map_err(|err| {
            // Half a line may be out: nothing sensible can follow it. The reader ends, and tells
            // the commands.
            self.hang_up();
            Error::Lost(err)
        })
    }

    fn hang_up(&mut self) {
        if let Some(writer) = self.writer.take() {
            // It may be gone already, which is what is wanted.
            let _ = writer.shutdown(Shutdown::Both);
        }
    }
}

fn read(mut reader: BufReader<UnixStream>, shared: &Mutex<Link>, generation: u64) {
    let why = loop {
        match next(&mut reader) {
            Ok(Some(message)) => deliver(message, shared),
            Ok(None) => break "the tool runner ended".to_string(),
            Err(err) => break format!("lost the tool runner: {err}"),
        }
    };
    let mut link = lock(shared);
    if link.generation != generation {
        return;
    }
    link.hang_up();
    let orphans: Vec<Sink> = link.runs.drain().map(|(_, sink)| sink).collect();
    drop(link);
    for sink in orphans {
        sink(Event::Failed(why.clone()));
    }
}

fn deliver(message: FromRunner, shared: &Mutex<Link>) {
    let (id, event) = match message {
        FromRunner::Hello { .. } => return,
        FromRunner::Started { id, pid } => (id, Event::Started { pid }),
        FromRunner::Output { id, data } => match STANDARD.decode(data) {
            Ok(bytes) => (id, Event::Output(bytes)),
            Err(_) => return,
        },
        FromRunner::Refused { id, error } => (id, Event::Refused(error)),
        FromRunner::Exited {
            id,
            code,
            signal,
            timed_out,
        } => {
            let event = Event::Exited {
                code,
                signal,
                timed_out,
            };
            (id, event)
        }
        FromRunner::Failed { id, error } => (id, Event::Failed(error)),
    };
    let last = matches!(event, Event::Exited { .. } | Event::Failed(_));
    let mut link = lock(shared);
    let sink = if last {
        link.runs.remove(&id)
    } else {
        link.runs.get(&id).cloned()
    };
    // The callback may well write to or kill its command: not under our lock.
    drop(link);
    if let Some(sink) = sink {
        sink(event);
    }
}

/// The next line; `None` at the end.
fn next(reader: &mut BufReader<UnixStream>) -> io::Result<Option<FromRunner>> {
    let mut line = Vec::new();
    let limit = MAX_LINE as u64 + 1;
    let count = reader.by_ref().take(limit).read_until(b'\n', &mut line)?;
    if count == 0 {
        return Ok(None);
    }
    if line.last() != Some(&b'\n') {
        let said = "a line of the tool runner is torn or too long";
        return Err(io::Error::new(io::ErrorKind::InvalidData, said));
    }
    serde_json::from_slice(&line)
        .map(Some)
        .map_err(io::Error::other)
}

fn line(message: &ToRunner) -> Result<Vec<u8>, Error> {
    let mut line = serde_json::to_vec(message).map_err(|err| Error::Lost(err.into()))?;
    line.push(b'\n');
    if line.len() > MAX_LINE {
        return Err(Error::TooLong);
    }
    Ok(line)
}

fn lock(link: &Mutex<Link>) -> MutexGuard<'_, Link> {
    link.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Unreachable { socket, err } => {
                let socket = socket.display();
                write!(
                    f,
                    "cannot reach the tool runner (openclaw-exec) at {socket}: {err}"
                )
            }
            Error::Protocol { theirs } => write!(
                f,
                "the tool runner speaks protocol {theirs}, this gateway {}: restart the gateway",
                version::EXEC
            ),
            Error::TooLong => write!(f, "longer than the tool runner takes ({MAX_LINE} bytes)"),
            Error::Lost(err) => write!(f, "lost the tool runner: {err}"),
            Error::NotRunning => write!(f, "the command is not running any more"),
        }
    }
}
