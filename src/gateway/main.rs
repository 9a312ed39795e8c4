//! The core's order of life: take what the supervisor hands over, read the configuration, serve,
//! say goodbye.
//!
//! The supervisor speaks first (`begin`) and last (`stop`). When it is gone, nobody owns the
//! listeners any more and this process ends.

use super::approvals;
use super::channels;
use super::core::Core;
use super::event::{Event, QUEUE};
use super::front;
use super::health;
use super::hooks;
use super::http::exchange::Door;
use super::link::{self, Child};
use super::local_model;
use super::memory;
use super::queue;
use super::reload::{Asked, Outcome, Reloader};
use super::restart;
use super::subagents;
use super::tailscale;
use crate::base::exit::{self, Exit, Report};
use crate::base::logging;
use crate::base::sys::{fds, process};
use crate::config::{Live, Paths, listen, profile};
use crate::net::certificate::{self, Certificate};
use crate::net::listen::Listener;
use crate::session::parting;
use crate::supervisor::{args, listeners, spawn};
use crate::tool::process::left;
use crate::wire::control::{FD_VARIABLE, Flags, Limits, ToCore, Worker};
use crate::wire::version;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use std::fmt;
use std::io::{self, BufReader};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Between two `tick` events, as `hello-ok` promises clients.
const TICK: Duration = Duration::from_secs(30);
/// Every so many ticks old entries are swept and the health payload is made anew.
const SWEEP_EVERY: u32 = 2;
/// A restart waits this long for connections that had just come to get their first answer, and to
/// be told of it then; what keeps silent is cut.
const FIRST_ANSWER: Duration = Duration::from_millis(500);
/// Turns end this fast, or not at all, when nobody is left to ask for more time.
const ORPHAN_GRACE: Duration = Duration::from_millis(500);
/// After this long what the start, or clients that left, made free is given back to the kernel.
const SETTLED: Duration = Duration::from_secs(1);
/// The control thread parses one line at a time and calls nothing else.
const CONTROL_STACK: usize = 64 * 1024;

const PROGRAM: &str = spawn::CORE;

pub fn main() -> ExitCode {
    process::keep_heap_small();
    match start().and_then(serve) {
        Ok(()) => ExitCode::SUCCESS,
        Err(err) => exit::report(PROGRAM, &err),
    }
}

/// The sockets the supervisor handed over.
#[derive(Default)]
struct Listeners {
    front: Vec<Listener>,
    canvas: Vec<Listener>,
    workers: Option<UnixListener>,
    /// Kept for as long as we live: see `supervisor::lock`.
    lock: Option<OwnedFd>,
}

struct Started {
    core: Arc<Core>,
    listeners: Listeners,
    certificate: Option<Arc<Certificate>>,
    events: Receiver<Event>,
    flags: Flags,
}

#[derive(Debug)]
enum Error {
    /// Started by hand.
    NoSupervisor,
    Link(String),
    Handed {
        name: String,
        err: io::Error,
    },
    Protocol(u32),
    Profile(profile::Error),
    Listen(listen::Error),
    Certificate(certificate::Error),
    Accept(io::Error),
    Thread(io::Error),
}

fn start() -> Result<Started, Error> {
    let control = control()?;
    let listeners = take_listeners()?;
    let mut reader = BufReader::with_capacity(
        4096,
        control
            .try_clone()
            .map_err(|err| Error::Link(err.to_string()))?,
    );
    let flags = begin(&mut reader)?;

    let env = args::environment(&flags).map_err(Error::Profile)?;
    let paths = Paths::resolve(&env, None);
    let live = Live::open(paths, env);
    let listen = listen::resolve_opened(
        &live.current(),
        &args::listening(&flags),
        listeners.addresses(),
    )
    .map_err(Error::Listen)?;
    logging::start(log_options(&live, &flags));
    // After the last question to /proc/self, before the first byte from a peer.
    if let Err(err) = process::forbid_dumps() {
        log::warn!("this process may be traced: {err}");
    }
    let certificate = match &listen.tls {
        Some(files) => Some(Certificate::open(files).map_err(Error::Certificate)?),
        None => None,
    };
    let core = Core::new(live, listen);
    local_model::follow(core.config.paths(), &core.supervisor);
    tailscale::want(&core.listen, &core.supervisor);
    if !core.listen.embedded {
        channels::follow(&core);
    }
    let background = parting::found(&left::folder(core.config.paths()));
    if !background.is_empty() && core.config.paths().runner.is_none() {
        // Before anything else is wanted: a runner that nobody wants is ended.
        core.supervisor.want_also(runner());
    }
    core.supervisor.attach(control);
    core.supervisor.announce();
    let asker = Arc::downgrade(&core);
    core.agents.on_runner_needed(move || {
        // One that systemd starts on its socket is none of our children.
        let core = asker.upgrade();
        if let Some(core) = core.filter(|core| core.config.paths().runner.is_none()) {
            core.supervisor.want_also(runner());
        }
    });
    memory::attach(&core);
    core.agents.recover(&core.dedupe);
    if !core.listen.embedded {
        queue::recover(&core);
        restart::take_note(
            core.config.paths(),
            &core.system_events,
            &core.agents.sessions.defaults(),
        );
    }
    parting::say(&approvals::folder(core.config.paths()), |key, notice| {
        core.system_events.ask(key, notice);
    });
    // The runner may be a moment away, and the first client need not wait for it.
    let taker = core.clone();
    let taken_over = core.pool.run(move || {
        let events = &taker.system_events;
        let processes = &taker.agents.processes;
        processes.take_over(background, |key, notice| events.ask(key, notice));
    });
    if taken_over.is_err() {
        log::error!("what was left running in the background is not taken over");
    }
    let (sender, events) = crossbeam_channel::bounded(QUEUE);
    core.attach_main(sender.clone());
    std::thread::Builder::new()
        .name("control".into())
        .stack_size(CONTROL_STACK)
        .spawn(move || listen_to(reader, sender))
        .map_err(Error::Thread)?;
    Ok(Started {
        core,
        listeners,
        certificate: certificate.map(Arc::new),
        events,
        flags: *flags,
    })
}

fn runner() -> Worker {
    Worker {
        id: spawn::EXEC_ID.into(),
        argv: vec!["openclaw-exec".into()],
        limits: Limits::default(),
    }
}

fn log_options(live: &Live, flags: &Flags) -> logging::Options {
    args::logging(&live.current().config.logging, live.paths(), flags)
}

fn control() -> Result<UnixStream, Error> {
    let number = std::env::var(FD_VARIABLE).map_err(|_| Error::NoSupervisor)?;
    let number = number.parse().map_err(|_| Error::NoSupervisor)?;
    let fd = fds::take(number).map_err(|_| Error::NoSupervisor)?;
    Ok(UnixStream::from(fd))
}

fn take_listeners() -> Result<Listeners, Error> {
    let fail = |name: &str, err| Error::Handed {
        name: name.into(),
        err,
    };
    let mut taken = Listeners::default();
    for (name, fd) in fds::handed_over().map_err(|err| fail("LISTEN_FDS", err))? {
        match name.as_str() {
            listeners::GATEWAY => taken.front.push(Listener::Tcp(fd.into())),
            listeners::CANVAS => taken.canvas.push(Listener::Tcp(fd.into())),
            listeners::UNIX => taken.front.push(Listener::Unix(fd.into())),
            listeners::WORKERS => taken.workers = Some(fd.into()),
            spawn::LOCK => taken.lock = Some(fd),
            other => return Err(fail(other, io::ErrorKind::InvalidInput.into())),
        }
    }
    Ok(taken)
}

fn begin(reader: &mut BufReader<UnixStream>) -> Result<Box<Flags>, Error> {
    match link::next(reader, &mut Vec::new()) {
        Ok(Some(ToCore::Begin { protocol, flags })) if protocol == version::CONTROL => Ok(flags),
        Ok(Some(ToCore::Begin { protocol, .. })) => Err(Error::Protocol(protocol)),
        Ok(Some(other)) => Err(Error::Link(format!("began with {other:?}"))),
        Ok(None) => Err(Error::Link("closed".into())),
        Err(err) => Err(Error::Link(err.to_string())),
    }
}

/// The control thread: lines become events until the link ends.
fn listen_to(mut reader: BufReader<UnixStream>, events: Sender<Event>) {
    let mut line = Vec::new();
    loop {
        let (event, last) = match link::next(&mut reader, &mut line) {
            Ok(Some(line)) => (Event::Control(line), false),
            Ok(None) => (Event::Orphaned("it has gone".into()), true),
            Err(err) => (Event::Orphaned(err.to_string()), true),
        };
        if events.send(event).is_err() || last {
            return;
        }
    }
}

fn serve(started: Started) -> Result<(), Error> {
    let Started {
        core,
        listeners,
        certificate,
        events,
        flags,
    } = started;
    let addresses = listeners.addresses();
    let scheme = core.listen.scheme();
    let status = status(scheme, &addresses);
    for addr in &addresses {
        log::info!(target: "gateway", "listening on {scheme}://{addr} (PID {})", std::process::id());
    }
    if let Some(certificate) = &certificate {
        log::info!(target: "gateway", "TLS certificate sha256 {}", certificate.fingerprint());
    }
    if let Some(file) = logging::file() {
        log::info!(target: "gateway", "log file: {}", file.display());
    }
    let _lock = listeners.lock;
    let mut accepting = front::serve(&core, listeners.front, Door::Gateway, certificate.clone())
        .map_err(Error::Accept)?;
    // Ends with this function.
    let _canvas = match listeners.canvas.is_empty() {
        true => None,
        false => {
            let accepting =
                front::serve(&core, listeners.canvas, Door::Canvas, certificate.clone());
            Some(accepting.map_err(Error::Accept)?)
        }
    };
    core.supervisor.ready(status.clone());
    // What waits for a gateway waits for one that stays.
    if !core.listen.embedded {
        core.heartbeat.start(&core);
        core.cron.start(&core);
        subagents::restore(&core);
        channels::start(&core, listeners.workers);
        hooks::startup(&core);
    }
    health::refresh_soon(&core);
    let reloader = Reloader::start(&core, flags);
    process::trim_heap();

    let mut started = true;
    let mut settled = Some(Instant::now() + SETTLED);
    let mut ticks = 0u32;
    let mut next_tick = Instant::now() + TICK;
    loop {
        let event = match events.recv_deadline(settled.unwrap_or(next_tick)) {
            Ok(event) => event,
            Err(RecvTimeoutError::Timeout) if settled.take().is_some() => {
                core.settle();
                if std::mem::take(&mut started) {
                    process::unmap_cold_code();
                }
                continue;
            }
            Err(RecvTimeoutError::Timeout) => {
                next_tick += TICK;
                ticks = ticks.wrapping_add(1);
                core.tick();
                if ticks % SWEEP_EVERY == 0 {
                    core.sweep();
                    if let Some(certificate) = &certificate {
                        certificate.refresh();
                    }
                }
                continue;
            }
            Err(RecvTimeoutError::Disconnected) => {
                Event::Orphaned("the control thread ended".into())
            }
        };
        match event {
            Event::Control(ToCore::Child {
                id,
                state,
                pid,
                exit,
                restarts,
                next_start_ms,
            }) => {
                if id == spawn::EXEC_ID {
                    core.set_exec_pid(pid);
                }
                let child = Child {
                    state,
                    pid,
                    exit,
                    restarts,
                    next_start_ms,
                };
                let helper = id == crate::tailscale::WORKER_ID && pid.is_some();
                core.supervisor.told(id, child);
                if helper {
                    tailscale::started(&core);
                }
            }
            Event::Control(ToCore::Ping) => core.supervisor.ready(status.clone()),
            Event::Control(ToCore::Reload) => {
                if let Some(certificate) = &certificate {
                    certificate.refresh();
                }
                // A fresh core says so itself.
                if reloader.reload(Asked::Plainly) == Outcome::Stays {
                    core.supervisor.ready(status.clone());
                }
            }
            Event::ConfigTouched => {
                reloader.reload(Asked::Saved);
            }
            Event::ConfigOverlaid => {
                reloader.reload(Asked::Plainly);
            }
            Event::Control(ToCore::Stop {
                restarting,
                reason,
                grace_ms,
            }) => {
                log::debug!(target: "gateway", "stopping within {grace_ms} ms: {reason}");
                // Who connects from here on waits for the next core.
                accepting.stop();
                if restarting {
                    accepting.settle(FIRST_ANSWER);
                }
                core.say_goodbye(restarting);
                core.channels.stop();
                core.cron.stop();
                core.subagents.stop();
                core.agents.stop(Duration::from_millis(grace_ms) / 2);
                if !restarting {
                    core.agents.processes.end_all();
                }
                return Ok(());
            }
            Event::Control(ToCore::Begin { .. }) => {
                return Err(Error::Link("a second begin".into()));
            }
            Event::Departed => settled = settled.or(Some(Instant::now() + SETTLED)),
            Event::Orphaned(why) => {
                accepting.stop();
                core.say_goodbye(false);
                core.channels.stop();
                core.cron.stop();
                core.subagents.stop();
                core.agents.stop(ORPHAN_GRACE);
                return Err(Error::Link(why));
            }
        }
    }
}

impl Listeners {
    fn addresses(&self) -> Vec<SocketAddr> {
        self.front
            .iter()
            .filter_map(|listener| match listener {
                Listener::Tcp(tcp) => tcp.local_addr().ok(),
                Listener::Unix(_) => None,
            })
            .collect()
    }
}

/// One line for `systemctl status`.
fn status(scheme: &str, addresses: &[SocketAddr]) -> String {
    let urls: Vec<String> = addresses
        .iter()
        .map(|addr| format!("{scheme}://{addr}"))
        .collect();
    format!("listening on {}", urls.join(", "))
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::NoSupervisor => f.write_str("this role is started by openclaw-gateway only"),
            Error::Link(why) => write!(f, "the line to the supervisor: {why}"),
            Error::Handed { name, err } => write!(f, "inherited descriptor {name:?}: {err}"),
            Error::Protocol(theirs) => write!(
                f,
                "the supervisor speaks control protocol {theirs}, this program {}",
                version::CONTROL
            ),
            Error::Profile(err) => err.fmt(f),
            Error::Listen(err) => err.fmt(f),
            Error::Certificate(err) => err.fmt(f),
            Error::Accept(err) => write!(f, "cannot accept connections: {err}"),
            Error::Thread(err) => write!(f, "cannot start a thread: {err}"),
        }
    }
}

impl Report for Error {
    fn exit(&self) -> Exit {
        match self {
            Error::NoSupervisor => Exit::Usage,
            Error::Listen(err) => err.exit(),
            Error::Certificate(err) => err.exit(),
            Error::Profile(err) => err.exit(),
            _ => Exit::Failed,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Error::NoSupervisor => Some("start openclaw-gateway without a role".into()),
            Error::Protocol(_) => {
                Some("the program was updated under a running gateway: restart the service".into())
            }
            Error::Listen(err) => err.hint(),
            Error::Certificate(err) => err.hint(),
            Error::Profile(err) => err.hint(),
            _ => None,
        }
    }
}
