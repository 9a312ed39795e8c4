//! `openclaw tui`: a chat with the gateway's agents on the whole terminal.
//!
//! One thread waits for keys, frames, signals and a local command's output at once; `app` holds all
//! state and what keys mean, `told` what frames mean, `paint` makes the picture, `screen` writes what
//! changed. What
//! comes from the gateway is a model's or a stranger's text: it is shown without anything a terminal
//! would obey, and everything kept of it is bounded. A lost connection is made again for as long as
//! the screen is open; nothing that was written is lost by it.

mod app;
mod commands;
mod editor;
mod history;
mod keys;
mod log;
mod paint;
mod picker;
mod screen;
mod shell;
mod text;
mod told;

pub use app::Options;

use crate::base::exit::{Exit, Report};
use crate::base::sys::poll::{For, Poll};
use crate::base::sys::signals::{Signal, Signals};
use crate::base::sys::terminal::{self, Held};
use crate::client::{self, Caller, Client, Frame};
use app::{App, Want, Why};
use screen::Screen;
use shell::Shell;
use std::collections::HashMap;
use std::fmt;
use std::io::{self, IsTerminal, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// For one attempt to connect.
const CONNECT: Duration = Duration::from_secs(10);
/// Between attempts, doubling up to the last.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LAST_PAUSE: Duration = Duration::from_secs(15);
/// After an Escape byte nothing more came: it was the key.
const KEY_PAUSE: Duration = Duration::from_millis(50);
/// The elapsed time is shown in seconds.
const SECOND: Duration = Duration::from_secs(1);
/// Frames taken before keys are looked at again.
const FRAMES: usize = 64;
/// For a request to be written; a gateway that does not read for so long is gone.
const SEND: Duration = Duration::from_secs(10);
/// Where a terminal does not know its size.
const USUAL_SIZE: (u16, u16) = (80, 24);

#[derive(Debug)]
pub enum Error {
    NoTerminal,
    Client(client::Error),
    Io(io::Error),
}

impl From<io::Error> for Error {
    fn from(err: io::Error) -> Error {
        Error::Io(err)
    }
}

/// Until the person leaves. The first connection must stand before the screen opens, so that a wrong
/// address or secret is told like any command's.
pub fn run(caller: Caller, options: Options, colours: bool) -> Result<(), Error> {
    let (stdin, stdout) = (io::stdin(), io::stdout());
    if !stdin.is_terminal() || !stdout.is_terminal() {
        return Err(Error::NoTerminal);
    }
    let client = caller.connect(CONNECT).map_err(Error::Client)?;
    let signals = Signals::catch(&[
        Signal::WindowChange,
        Signal::Terminate,
        Signal::Hangup,
        Signal::Interrupt,
    ])?;
    let _held = Held::raw(stdin.as_fd())?;
    let (columns, rows) = terminal::size(stdout.as_fd()).unwrap_or(USUAL_SIZE);
    let (wake, woken) = UnixStream::pair()?;
    let mut driver = Driver {
        app: App::new(options),
        host: caller.target.url.clone(),
        screen: Screen::open(stdout.lock(), colours, columns.into())?,
        size: (columns.into(), rows.into()),
        link: Link::Up(Box::new(client)),
        asked: HashMap::new(),
        caller,
        pause: FIRST_PAUSE,
        wake,
        woken,
        shell: None,
        signals,
        keys: keys::Decoder::default(),
    };
    driver.greet();
    driver.run(stdin.as_fd())
}

/// The connection, or when the next attempt is due, or the attempt under way.
enum Link {
    Up(Box<Client>),
    Down { next: Instant },
    Dialling(std::thread::JoinHandle<Result<Client, client::Error>>),
}

struct Driver<W: Write> {
    app: App,
    host: String,
    screen: Screen<W>,
    size: (usize, usize),
    link: Link,
    /// Requests under way, and what their answers are for.
    asked: HashMap<String, Why>,
    caller: Caller,
    pause: Duration,
    /// Written to by the thread that dials.
    wake: UnixStream,
    woken: UnixStream,
    shell: Option<Shell>,
    signals: Signals,
    keys: keys::Decoder,
}

impl<W: Write> Driver<W> {
    fn run(mut self, stdin: std::os::fd::BorrowedFd) -> Result<(), Error> {
        loop {
            if self.do_wanted()? {
                return Ok(());
            }
            self.draw()?;
            let came = self.wait(stdin)?;
            for signal in self.signals.take() {
                match signal {
                    Signal::WindowChange => self.resize()?,
                    _ => return Ok(()),
                }
            }
            if came.keys && !self.take_keys(stdin)? {
                return Ok(());
            }
            if !came.keys && self.keys.waits() {
                if let Some(key) = self.keys.rest() {
                    self.app.press(&key, Instant::now());
                }
            }
            self.take_frames();
            self.look_after_link()?;
            if let Some(said) = self.shell.as_mut().and_then(Shell::read) {
                self.shell = None;
                self.app.shell_ended(&said);
            }
        }
    }

    fn wait(&self, stdin: std::os::fd::BorrowedFd) -> io::Result<Came> {
        let mut poll = Poll::new();
        let keys = poll.add(stdin, For::Reading);
        poll.add(self.signals.fd(), For::Reading);
        poll.add(self.woken.as_fd(), For::Reading);
        if let Link::Up(client) = &self.link {
            poll.add(client.fd(), For::Reading);
        }
        for fd in self.shell.iter().flat_map(Shell::fds) {
            poll.add(fd, For::Reading);
        }
        poll.wait(self.patience())?;
        Ok(Came {
            keys: poll.ready(keys),
        })
    }

    /// How long nothing needs to happen by itself.
    fn patience(&self) -> Option<Duration> {
        if self.keys.waits() {
            return Some(KEY_PAUSE);
        }
        match &self.link {
            Link::Down { next } => Some(next.saturating_duration_since(Instant::now())),
            _ if self.app.running.is_some() || self.app.leaving() => Some(SECOND),
            _ => None,
        }
    }

    /// False at the end of the input.
    fn take_keys(&mut self, stdin: std::os::fd::BorrowedFd) -> Result<bool, Error> {
        let mut bytes = [0; 4096];
        // Not through the buffer of `Stdin`: what it holds `poll` would not see.
        let count = match std::fs::File::from(stdin.try_clone_to_owned()?).read(&mut bytes) {
            Ok(0) => return Ok(false),
            Ok(count) => count,
            Err(err) if err.kind() == io::ErrorKind::Interrupted => return Ok(true),
            Err(err) => return Err(err.into()),
        };
        for key in self.keys.feed(&bytes[..count]) {
            self.app.press(&key, Instant::now());
        }
        Ok(true)
    }

    fn take_frames(&mut self) {
        for _ in 0..FRAMES {
            let Link::Up(client) = &mut self.link else {
                return;
            };
            match client.take() {
                Ok(None) => return,
                Ok(Some(Frame::Event(event))) => {
                    self.app.event(&event.name, &event.payload, event.seq);
                }
                Ok(Some(Frame::Answer { id, result })) => {
                    if let Some(why) = self.asked.remove(&id) {
                        self.app.answer(why, result.map_err(|err| err.to_string()));
                    }
                }
                Ok(Some(Frame::Other)) => {}
                Err(err) => return self.lost(&err),
            }
        }
    }

    fn lost(&mut self, err: &client::Error) {
        self.app.lost(&err.probe_text());
        self.asked.clear();
        self.link = Link::Down {
            next: Instant::now() + self.pause,
        };
        self.pause = (self.pause * 2).min(LAST_PAUSE);
    }

    fn greet(&mut self) {
        let Link::Up(client) = &self.link else {
            return;
        };
        let hello = client.hello().clone();
        self.app.connected(&hello);
    }

    fn look_after_link(&mut self) -> Result<(), Error> {
        match std::mem::replace(
            &mut self.link,
            Link::Down {
                next: Instant::now(),
            },
        ) {
            Link::Down { next } if next <= Instant::now() => {
                let (caller, mut wake) = (self.caller.clone(), self.wake.try_clone()?);
                self.link = Link::Dialling(std::thread::spawn(move || {
                    let result = caller.connect(CONNECT);
                    // Nobody waits any more: the screen has been left.
                    let _ = wake.write_all(b"x");
                    result
                }));
            }
            Link::Dialling(dialling) if dialling.is_finished() => {
                // It has written one byte.
                self.woken.read_exact(&mut [0])?;
                match dialling.join() {
                    Ok(Ok(client)) => {
                        self.pause = FIRST_PAUSE;
                        self.link = Link::Up(Box::new(client));
                        self.greet();
                    }
                    Ok(Err(err)) if matches!(err.exit(), Exit::Denied | Exit::Config) => {
                        return Err(Error::Client(err));
                    }
                    Ok(Err(err)) => self.lost(&err),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
            other => self.link = other,
        }
        Ok(())
    }

    /// True when the person leaves.
    fn do_wanted(&mut self) -> Result<bool, Error> {
        for want in std::mem::take(&mut self.app.wants) {
            match want {
                Want::Leave => return Ok(true),
                Want::Shell(command) => match Shell::start(&command) {
                    Ok(shell) => self.shell = Some(shell),
                    Err(err) => self.app.shell_ended(&format!("/bin/sh: {err}")),
                },
                Want::StopShell => {
                    if let Some(shell) = &self.shell {
                        shell.stop();
                    }
                }
                Want::Ask {
                    method,
                    params,
                    why,
                } => {
                    // Without a connection it is asked again, or not needed, when there is one.
                    let Link::Up(client) = &mut self.link else {
                        continue;
                    };
                    client.set_deadline(Some(Instant::now() + SEND));
                    match client.send(method, Some(&params)) {
                        Ok(id) => {
                            self.asked.insert(id, why);
                        }
                        Err(err) => self.lost(&err),
                    }
                }
            }
        }
        Ok(false)
    }

    fn resize(&mut self) -> Result<(), Error> {
        let (columns, rows) = terminal::size(io::stdout().as_fd()).unwrap_or(USUAL_SIZE);
        self.size = (columns.into(), rows.into());
        self.screen.forget(columns.into())?;
        Ok(())
    }

    fn draw(&mut self) -> Result<(), Error> {
        let (columns, rows) = self.size;
        let picture = paint::paint(&mut self.app, &self.host, columns, rows, Instant::now());
        self.screen.show(picture)?;
        Ok(())
    }
}

impl<W: Write> Drop for Driver<W> {
    fn drop(&mut self) {
        if let Some(shell) = &self.shell {
            shell.stop();
        }
    }
}

struct Came {
    keys: bool,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::NoTerminal => f.write_str("openclaw tui needs a terminal to show itself on"),
            Error::Client(err) => err.fmt(f),
            Error::Io(err) => write!(f, "the terminal: {err}"),
        }
    }
}

impl std::error::Error for Error {}

impl Report for Error {
    fn exit(&self) -> Exit {
        match self {
            Error::Client(err) => err.exit(),
            _ => Exit::Io,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Error::NoTerminal => {
                Some("in a script: openclaw agent --message \"…\", or openclawctl watch".into())
            }
            Error::Client(err) => err.hint(),
            Error::Io(_) => None,
        }
    }
}
