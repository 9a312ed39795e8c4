//! The keeper: a small process between the runner and one command, forked from the runner.
//!
//! It is the subreaper of the command, so whatever the command starts stays below it, also what
//! double-forks and starts a session of its own: killing everything below the keeper kills the
//! whole run and nothing else. It ends when nothing is below it any more. When the runner dies,
//! however, the keeper kills the run.
//!
//! It talks with the runner over a socket: five bytes a message, a tag and a number.

use super::group::{Group, Home};
use super::sandbox;
use super::tree;
use super::watch::Watch;
use crate::base::sys::child::{self, Ending, Reaped};
use crate::base::sys::limits::Limit;
use crate::base::sys::peer;
use crate::base::sys::poll::{For, Poll};
use crate::base::sys::process;
use crate::base::sys::reaper::{self, Signals};
use crate::base::sys::sandbox::{Setup, prepare};
use crate::wire::exec::{Run, RunLimits};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

pub const STARTED: u8 = b'S';
/// The number is the length of the text that follows.
pub const FAILED: u8 = b'F';
pub const EXITED: u8 = b'X';
pub const SIGNALLED: u8 = b'G';
/// It has more of something than it may and is killed. The number says of what, see `watch::Excess`.
pub const EXCESS: u8 = b'C';
/// From the runner: TERM, then KILL after so many milliseconds.
pub const END: u8 = b'K';
pub const MESSAGE: usize = 5;

/// Pause between two passes of killing.
const KILL_EVERY: Duration = Duration::from_millis(10);
/// Killing is given up after this: what is left is not ours to kill (set-uid programs).
const KILL_FOR: Duration = Duration::from_secs(3);

/// The descriptors of a command.
pub struct Ends {
    pub input: OwnedFd,
    /// Standard output and error, which are one: order is kept.
    pub output: OwnedFd,
    pub terminal: bool,
}

/// What a keeper does when there is no more to wait for.
enum Phase {
    Wait,
    Terminate { until: Instant },
    Kill { until: Instant },
}

struct Keeper {
    control: UnixStream,
    signals: Signals,
    main: u32,
    temp: Option<PathBuf>,
    watch: Option<Watch>,
    group: Option<Group>,
    phase: Phase,
    /// Nothing may outlive a sandboxed command.
    sandboxed: bool,
}

/// The whole life of the forked process.
pub fn keep(control: UnixStream, run: &Run, ends: Ends, home: Option<&Home>) -> ! {
    reaper::close_others(&[
        control.as_raw_fd(),
        ends.input.as_raw_fd(),
        ends.output.as_raw_fd(),
    ]);
    reaper::set_name(c"exec-keeper");
    let mut prepared = None;
    let mut group = home.and_then(|home| home.group(std::process::id(), &run.limits));
    let started = start(run, ends, group.as_mut(), &mut prepared);
    match started {
        Ok((main, signals)) => {
            let watch = run.sandbox.as_ref().and_then(|sandbox| {
                let places = sandbox.write.iter().chain(&prepared).cloned();
                Watch::new(&run.limits, places.collect())
            });
            let mut keeper = Keeper {
                control,
                signals,
                main,
                temp: prepared,
                watch,
                group,
                phase: Phase::Wait,
                sandboxed: run.sandbox.is_some(),
            };
            keeper.tell(STARTED, main);
            // After the command was started: it must not inherit it.
            reaper::go_first();
            keeper.watch();
            keeper.tidy();
        }
        Err(why) => {
            let mut message = vec![FAILED];
            message.extend((why.len() as u32).to_le_bytes());
            message.extend(why.as_bytes());
            // Nobody to tell means nobody to care.
            let _ = (&control).write_all(&message);
            if let Some(temp) = prepared {
                let _ = std::fs::remove_dir_all(temp);
            }
            drop(group);
        }
    }
    reaper::leave(0)
}

fn start(
    run: &Run,
    ends: Ends,
    group: Option<&mut Group>,
    temp: &mut Option<PathBuf>,
) -> Result<(u32, Signals), String> {
    let own = || {
        process::adopt_orphans()?;
        process::forbid_dumps()?;
        Signals::new()
    };
    let signals = own().map_err(|err| format!("keeper: {err}"))?;
    let prepared = run.sandbox.as_ref().map(sandbox::prepare).transpose()?;
    let (program, arguments) = run.argv.split_first().ok_or("no program to run")?;
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env_clear()
        .envs(&run.env)
        .current_dir(&run.cwd)
        .stderr(Stdio::from(
            ends.output.try_clone().map_err(|err| err.to_string())?,
        ))
        .stdin(ends.input)
        .stdout(ends.output);
    if let Some(prepared) = &prepared {
        command.env("TMPDIR", &prepared.scratch);
        *temp = Some(prepared.temp.clone());
    }
    let setup = Setup {
        terminal: ends.terminal,
        limits: limits(&run.limits),
        group: group.and_then(Group::entrance),
        cage: prepared.map(|prepared| prepared.cage),
    };
    prepare(&mut command, setup);
    let child = command.spawn().map_err(|err| format!("{program}: {err}"))?;
    Ok((child.id(), signals))
}

fn limits(wanted: &RunLimits) -> Vec<Limit> {
    let mut limits = vec![Limit::no_core()];
    limits.extend(wanted.memory.map(Limit::memory));
    limits.extend(wanted.file_size.map(Limit::file_size));
    limits.extend(wanted.open_files.map(Limit::open_files));
    limits.extend(wanted.cpu_seconds.map(Limit::cpu_seconds));
    // The kernel counts all of a user's, so those that run already are added.
    limits.extend(wanted.processes.map(|most| {
        let running = tree::threads_of(peer::own_uid());
        Limit::user_processes(most.saturating_add(running))
    }));
    limits
}

impl Keeper {
    fn watch(&mut self) {
        loop {
            let wait = match self.phase {
                Phase::Wait => self.watch.as_ref().map(Watch::pause),
                Phase::Terminate { until } => Some(until.saturating_duration_since(Instant::now())),
                Phase::Kill { .. } => Some(KILL_EVERY),
            };
            let mut poll = Poll::new();
            poll.add(self.control.as_fd(), For::Reading);
            poll.add(self.signals.as_fd(), For::Reading);
            // An error of poll itself leaves the rest of the loop to look at everything.
            let _ = poll.wait(wait);
            let (told, signal) = (poll.ready(0), poll.ready(1));
            drop(poll);
            if told && !matches!(self.phase, Phase::Kill { .. }) {
                self.listen();
            }
            while let Some(number) = self.signals.take().filter(|_| signal) {
                if number != reaper::CHILD {
                    self.end(Duration::ZERO);
                }
            }
            if self.reap() {
                return;
            }
            match self.phase {
                Phase::Wait => {
                    if let Some(excess) = self.watch.as_mut().and_then(Watch::look) {
                        self.tell(EXCESS, excess.number());
                        self.end(Duration::ZERO);
                    }
                }
                Phase::Terminate { until } => {
                    if Instant::now() >= until {
                        self.end(Duration::ZERO);
                    }
                }
                Phase::Kill { until } => {
                    tree::kill(std::process::id());
                    if Instant::now() >= until {
                        return;
                    }
                }
            }
        }
    }

    /// Takes the ended; true when nothing is below us any more.
    fn reap(&mut self) -> bool {
        loop {
            match child::reap() {
                Reaped::Child(pid, status) if pid == self.main => {
                    match status {
                        Ending::Exit(code) => self.tell(EXITED, code as u32),
                        Ending::Signal(signal) => {
                            self.tell(SIGNALLED, signal as u32);
                        }
                    }
                    if self.sandboxed {
                        self.end(Duration::ZERO);
                    }
                }
                Reaped::Child(..) => {}
                Reaped::Nothing => return false,
                Reaped::NoChildren => return true,
            }
        }
    }

    fn listen(&mut self) {
        let mut message = [0; MESSAGE];
        match self.control.read_exact(&mut message) {
            Ok(()) if message[0] == END => {
                self.end(Duration::from_millis(number(&message).into()));
            }
            // The runner died, or talks nonsense.
            _ => self.end(Duration::ZERO),
        }
    }

    fn end(&mut self, grace: Duration) {
        match self.phase {
            Phase::Kill { .. } => {}
            _ if grace.is_zero() => {
                let until = Instant::now() + KILL_FOR;
                self.phase = Phase::Kill { until };
                // At once and whole, where the kernel can; what it can not, one by one.
                if let Some(group) = &self.group {
                    group.kill();
                }
                tree::kill(std::process::id());
            }
            _ => {
                let until = Instant::now() + grace;
                self.phase = Phase::Terminate { until };
                tree::terminate(std::process::id());
            }
        }
    }

    fn tell(&self, tag: u8, value: u32) {
        let mut message = [tag, 0, 0, 0, 0];
        message[1..].copy_from_slice(&value.to_le_bytes());
        // A runner that is gone is noticed by `listen`.
        let _ = (&self.control).write_all(&message);
    }

    fn tidy(&mut self) {
        self.group = None;
        if let Some(temp) = &self.temp {
            // What a hostile command made undeletable stays in the temp folder; it is private.
            let _ = std::fs::remove_dir_all(temp);
        }
    }
}

pub fn number(message: &[u8; MESSAGE]) -> u32 {
    u32::from_le_bytes([message[1], message[2], message[3], message[4]])
}

/// Asks the keeper at the other end to end its run.
pub fn ask_end(control: &UnixStream, grace: Duration) -> io::Result<()> {
    let grace = u32::try_from(grace.as_millis()).unwrap_or(u32::MAX);
    let mut message = [END, 0, 0, 0, 0];
    message[1..].copy_from_slice(&grace.to_le_bytes());
    (&*control).write_all(&message)
}
