//! The supervisor's life: arguments, configuration, lock, listeners, the core, then one `poll`.

use super::args::{self, Action, Run};
use super::dev;
use super::drain::{CORE_GRACE, Phase};
use super::force;
use super::link::{Broken, Link};
use super::listeners::Listeners;
use super::lock::{self, GatewayLock};
use super::policy::{Backoff, FINAL, sooner};
use super::spawn;
use super::table::{Table, Then};
use crate::base::exit::{self, Exit, Report};
use crate::base::logging;
use crate::base::sys::child::{self, Ending, Reaped};
use crate::base::sys::notify::Notifier;
use crate::base::sys::poll::{For, Poll};
use crate::base::sys::signals::{Signal, Signals};
use crate::base::sys::{fds, process};
use crate::config::listen::{self, Listen};
use crate::config::{Paths, load, old_home};
use crate::wire::control::{Flags, ToCore, ToSupervisor};
use crate::wire::version;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

const PROGRAM: &str = "openclaw-gateway";

/// A core that hung up but did not end in this time is killed.
const HANG_UP_GRACE: Duration = Duration::from_secs(5);

/// For what was left behind to be gone; a process stuck in the kernel is not waited for.
const PURGE_TIME: Duration = Duration::from_secs(1);

pub fn main() -> ExitCode {
    process::keep_heap_small();
    let run = match args::parse(std::env::args_os().skip(1)) {
        Ok(Action::Run(run)) => *run,
        Ok(Action::Help) => return say(args::HELP),
        Ok(Action::Version) => return say(&format!("{PROGRAM} {}\n", version::PROGRAM)),
        Err(err) => return exit::report(PROGRAM, &err),
    };
    match Supervisor::start(run) {
        Ok(supervisor) => supervisor.serve(),
        Err(err) => exit::report(PROGRAM, err.as_ref()),
    }
}

/// `--help` and `--version` are asked for on standard output; the reader may have gone.
fn say(text: &str) -> ExitCode {
    match io::stdout().write_all(text.as_bytes()) {
        Err(err) if err.kind() != io::ErrorKind::BrokenPipe => Exit::Io.into(),
        _ => ExitCode::SUCCESS,
    }
}

struct Supervisor {
    own: PathBuf,
    flags: Flags,
    paths: Paths,
    lock: GatewayLock,
    listeners: Listeners,
    signals: Signals,
    notifier: Notifier,
    table: Table,
    phase: Phase,
    core: Option<Core>,
    core_backoff: Backoff,
    /// When the next core starts.
    core_next: Option<Instant>,
    /// Where it is to listen.
    next_listen: Option<Listen>,
    next_ping: Option<Instant>,
    /// The tool runner died: what it ran comes to us, generation by generation.
    purging: bool,
    /// A core has once been ready: from then on no ending of one is final.
    served: bool,
    /// The service manager waits for a `READY=1`.
    owes_ready: bool,
    code: Exit,
    /// An exit status of the core that ends us too.
    core_code: Option<u8>,
}

struct Core {
    pid: u32,
    link: Link,
    started: Instant,
    closed: bool,
    kill_at: Option<Instant>,
    ready: bool,
    pinged: bool,
}

/// What ended a wait.
struct Woken {
    signalled: bool,
    readable: bool,
    writable: bool,
    /// The command we serve has gone.
    alone: bool,
}

impl Supervisor {
    fn start(run: Run) -> Result<Supervisor, Box<dyn Report>> {
        // The descriptors of a service manager must be taken before we open our own.
        let handed = fds::handed_over().map_err(|err| failed("LISTEN_FDS", err))?;
        fds::close_all_on_exec();
        let mut notifier =
            Notifier::open(run.notify_fd).map_err(|err| failed("--notify-fd", err))?;
        if run.flags.embedded {
            notifier.say_on_stdout();
        }
        let own = std::env::current_exe().map_err(|err| failed("own program", err))?;
        let env = args::environment(&run.flags).map_err(boxed)?;
        let taken_over = old_home::take_over(&env);
        let paths = Paths::resolve(&env, None);
        // What is put aside must be nobody's; otherwise `--force` comes before the lock.
        let mut lock = None;
        if run.reset {
            lock = Some(lock::take(&paths, &env).map_err(boxed)?);
        }
        let prepared = match run.flags.dev {
            true => dev::prepare(&paths, run.reset).map_err(boxed)?,
            false => Vec::new(),
        };
        let snapshot = load::load(&paths, &env);
        let listen = listen::resolve(&snapshot, &args::listening(&run.flags)).map_err(boxed)?;
        logging::start(args::logging(&snapshot.config.logging, &paths, &run.flags));
        drop(snapshot);
        match taken_over {
            Ok(Some(moved)) => log::warn!(target: "gateway", "{moved}"),
            Ok(None) => {}
            Err(err) => log::warn!(
                target: "gateway",
                "the state of an earlier version stays where it is: {err}"
            ),
        }
        for line in prepared {
            log::info!(target: "gateway", "{line}");
        }
        if !run.ignored.is_empty() {
            let flags = run.ignored.join(", ");
            log::warn!(target: "gateway", "{flags}: no effect in this version");
        }
        for warning in &listen.warnings {
            log::warn!(target: "gateway", "{warning}");
        }
        if run.force && listen.port != 0 {
            force::free(listen.port);
        }
        let lock = match lock {
            Some(lock) => lock,
            None => lock::take(&paths, &env).map_err(boxed)?,
        };
        let listeners = Listeners::open(handed, &listen, &paths).map_err(boxed)?;
        let signals = Signals::catch(&[
            Signal::Terminate,
            Signal::Interrupt,
            Signal::Hangup,
            Signal::User1,
            Signal::Child,
        ])
        .map_err(|err| failed("signals", err))?;
        if let Err(err) = process::adopt_orphans() {
            log::debug!(target: "supervisor", "orphans go to init: {err}");
        }
        let now = Instant::now();
        Ok(Supervisor {
            own,
            flags: run.flags,
            paths,
            lock,
            listeners,
            signals,
            next_ping: notifier.watchdog.map(|every| now + every / 2),
            notifier,
            table: Table::default(),
            phase: Phase::Serving,
            core: None,
            core_backoff: Backoff::default(),
            core_next: Some(now),
            next_listen: None,
            purging: false,
            served: false,
            owes_ready: true,
            code: Exit::Ok,
            core_code: None,
        })
    }

    fn serve(mut self) -> ExitCode {
        process::trim_heap();
        loop {
            self.due(Instant::now());
            if self.finished() {
                break;
            }
            let deadline = self.deadline();
            let woken = match self.wait(deadline) {
                Ok(woken) => woken,
                Err(err) => {
                    log::error!(target: "supervisor", "poll: {err}");
                    self.code = Exit::Failed;
                    break;
                }
            };
            if woken.readable || woken.writable {
                self.hear(woken.writable);
            }
            if woken.alone {
                self.stop("the end of the command it served");
            }
            if woken.signalled {
                for signal in self.signals.take() {
                    self.handle(signal);
                }
            }
            self.tell_changes();
        }
        self.purge_all();
        match self.core_code {
            Some(code) => ExitCode::from(code),
            None => self.code.into(),
        }
    }

    fn finished(&self) -> bool {
        self.phase == Phase::StoppingChildren && self.core.is_none() && self.table.is_empty()
    }

    /// Sleeps until a signal, the core, or the deadline.
    fn wait(&self, deadline: Option<Instant>) -> io::Result<Woken> {
        let stdin = io::stdin();
        let mut poll = Poll::new();
        poll.add(self.signals.fd(), For::Reading);
        let core = self.core.as_ref().filter(|core| !core.closed);
        if let Some(core) = core {
            poll.add(core.link.fd(), For::Reading);
            if core.link.has_unsent() {
                poll.add(core.link.fd(), For::Writing);
            }
        }
        // Its end is told once; from then on there is nothing to wait for there.
        let command = (self.flags.embedded && !self.phase.is_final())
            .then(|| poll.add(stdin.as_fd(), For::HangUp));
        poll.wait(deadline.map(|at| at.saturating_duration_since(Instant::now())))?;
        let writing = core.is_some_and(|core| core.link.has_unsent());
        Ok(Woken {
            signalled: poll.ready(0),
            readable: core.is_some() && poll.ready(1),
            writable: writing && poll.ready(2),
            alone: command.is_some_and(|place| poll.ready(place)),
        })
    }

    fn deadline(&self) -> Option<Instant> {
        let core = match &self.core {
            Some(core) => sooner(core.kill_at, self.phase.kill_at()),
            None => self.core_next,
        };
        sooner(sooner(core, self.table.deadline()), self.next_ping)
    }

    /// Does what the clock asks for.
    fn due(&mut self, now: Instant) {
        let past = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        if let Some(core) = &mut self.core {
            if past(core.kill_at) || past(self.phase.kill_at()) {
                log::warn!(target: "supervisor", "core: still there after its grace, killed");
                child::send_group(core.pid, Signal::Kill);
                core.kill_at = None;
                self.phase = match self.phase {
                    // Killed once; what follows is decided by its end.
                    Phase::Restarting { .. } => Phase::Serving,
                    Phase::StoppingCore { .. } => {
                        self.table.close(now);
                        Phase::StoppingChildren
                    }
                    other => other,
                };
            }
        } else if past(self.core_next) && !self.phase.is_final() {
            self.core_next = None;
            self.start_core(now);
        }
        if past(self.next_ping) {
            self.next_ping = self.notifier.watchdog.map(|every| now + every / 2);
            self.tell(&ToCore::Ping);
            if let Some(core) = &mut self.core {
                core.pinged = true;
            }
        }
        let (own, listeners, paths) = (&self.own, &self.listeners, &self.paths);
        self.table
            .due(now, |worker| spawn::worker(own, worker, listeners, paths));
        self.tell_changes();
    }

    fn start_core(&mut self, now: Instant) {
        let started = Link::pair().and_then(|(link, theirs)| {
            let lock = self.lock.fd();
            let pid = spawn::core(&self.own, &self.listeners, lock, &theirs)?;
            Ok((link, pid))
        });
        let (link, pid) = match started {
            Ok(started) => started,
            Err(err) => {
                let delay = self.core_backoff.ended(Duration::ZERO);
                log::error!(target: "supervisor", "core: cannot start: {err}; next try in {delay:?}");
                self.core_next = Some(now + delay);
                return;
            }
        };
        log::debug!(target: "supervisor", "core: started, pid {pid}");
        self.core = Some(Core {
            pid,
            link,
            started: now,
            closed: false,
            kill_at: None,
            ready: false,
            pinged: false,
        });
        let begin = ToCore::Begin {
            protocol: version::CONTROL,
            flags: Box::new(self.flags.clone()),
        };
        self.tell(&begin);
        for line in self.table.all(now) {
            self.tell(&line);
        }
    }

    fn tell(&mut self, line: &ToCore) {
        if let Some(core) = self.core.as_mut().filter(|core| !core.closed) {
            if let Err(broken) = core.link.send(line) {
                self.broken(broken);
            }
        }
    }

    fn tell_changes(&mut self) {
        for line in self.table.take_changes() {
            self.tell(&line);
        }
    }

    /// A bug of a sibling: it ends, and a fresh one takes over.
    fn broken(&mut self, broken: Broken) {
        if let Some(core) = &mut self.core {
            log::error!(target: "supervisor", "core: control link: {}; killed", broken.0);
            child::send_group(core.pid, Signal::Kill);
            core.closed = true;
        }
    }

    fn hear(&mut self, writable: bool) {
        let Some(core) = &mut self.core else { return };
        let received = match writable.then(|| core.link.flush()).transpose() {
            Ok(_) => core.link.receive(),
            Err(broken) => Err(broken),
        };
        let (lines, closed) = match received {
            Ok(received) => received,
            Err(broken) => return self.broken(broken),
        };
        if closed {
            core.closed = true;
            core.kill_at = Some(Instant::now() + HANG_UP_GRACE);
        }
        for line in lines {
            self.obey(line);
        }
    }

    fn obey(&mut self, line: ToSupervisor) {
        let now = Instant::now();
        match line {
            ToSupervisor::Want { workers } => self.table.want(workers, now),
            ToSupervisor::Part { id } => self.table.part(&id, Then::Forget, now),
            ToSupervisor::Ready { status } => {
                if let Some(core) = &mut self.core {
                    core.ready = true;
                    if std::mem::take(&mut core.pinged) {
                        self.notifier.alive();
                    }
                }
                self.served = true;
                if std::mem::take(&mut self.owes_ready) {
                    self.notifier.ready(&status);
                    process::unmap_cold_code();
                } else {
                    self.notifier.status(&status);
                }
            }
            ToSupervisor::Restart { reason } => self.restart(&reason),
            ToSupervisor::Stop { reason } => self.stop(&reason),
        }
    }

    fn handle(&mut self, signal: Signal) {
        match signal {
            Signal::Terminate | Signal::Interrupt => {
                log::info!(target: "gateway", "signal {} received", signal.name());
                self.stop(signal.name());
            }
            Signal::User1 => {
                log::info!(target: "gateway", "signal {} received", signal.name());
                self.restart(signal.name());
            }
            Signal::Hangup if self.phase == Phase::Serving => {
                self.owes_ready = true;
                self.notifier.reloading("reading the configuration again");
                self.tell(&ToCore::Reload);
            }
            Signal::Child => self.reap(),
            Signal::Hangup | Signal::Kill | Signal::WindowChange => {}
        }
    }

    fn restart(&mut self, reason: &str) {
        if self.phase != Phase::Serving {
            return;
        }
        let now = Instant::now();
        if self.core.is_some() {
            if let Err(why) = self.prepare_restart() {
                log::error!(
                    target: "gateway",
                    "received {reason}; not restarting, the new core could not start: {why}"
                );
                self.notifier.status(&format!("not restarted: {why}"));
                return;
            }
        }
        log::info!(target: "gateway", "received {reason}; restarting");
        self.owes_ready = true;
        self.notifier.reloading("restarting the core");
        match self.core {
            Some(_) => {
                self.phase = Phase::restarting(now);
                self.tell(&ToCore::Stop {
                    restarting: true,
                    reason: reason.into(),
                    grace_ms: CORE_GRACE.as_millis() as u64,
                });
            }
            None => self.core_next = Some(now),
        }
    }

    /// A fresh core must not fail where the old one ran: the configuration is looked at first.
    fn prepare_restart(&mut self) -> Result<(), String> {
        let env = args::environment(&self.flags).map_err(|err| err.to_string())?;
        let snapshot = load::load(&self.paths, &env);
        let listen = listen::resolve(&snapshot, &args::listening(&self.flags))
            .map_err(|err| err.to_string().replace('\n', " "))?;
        logging::change(args::logging(
            &snapshot.config.logging,
            &self.paths,
            &self.flags,
        ));
        self.next_listen = Some(listen);
        drop(snapshot);
        process::trim_heap();
        Ok(())
    }

    /// Once: in order. Twice: no more grace.
    fn stop(&mut self, reason: &str) {
        let now = Instant::now();
        if self.phase.is_final() {
            log::info!(target: "gateway", "received {reason} during shutdown; not waiting any longer");
            if let Some(core) = &self.core {
                child::send_group(core.pid, Signal::Kill);
            }
            self.table.close(now);
            self.table.hurry(now);
            return;
        }
        log::info!(target: "gateway", "received {reason}; shutting down");
        self.notifier.stopping("shutting down");
        self.core_next = None;
        if self.core.is_some() {
            self.phase = Phase::stopping(now);
            self.tell(&ToCore::Stop {
                restarting: false,
                reason: reason.into(),
                grace_ms: CORE_GRACE.as_millis() as u64,
            });
        } else {
            self.stop_children(now);
        }
    }

    fn stop_children(&mut self, now: Instant) {
        self.phase = Phase::StoppingChildren;
        self.table.close(now);
    }

    fn reap(&mut self) {
        while let Reaped::Child(pid, ending) = child::reap() {
            let now = Instant::now();
            if self.core.as_ref().is_some_and(|core| core.pid == pid) {
                self.core_ended(ending, now);
            } else if self.table.ended(pid, ending, now).as_deref() == Some(spawn::EXEC_ID) {
                // Its commands are ours now, and below no tool runner any more: as local peers
                // they would pass for an operator.
                self.purging = true;
            }
        }
        if self.purging {
            self.purging = self.purge();
        }
    }

    fn core_ended(&mut self, ending: Ending, now: Instant) {
        let Some(mut core) = self.core.take() else {
            return;
        };
        // Its last words may still be in the socket.
        if let Ok((lines, _)) = core.link.receive() {
            for line in lines {
                self.obey(line);
            }
        }
        match self.phase {
            Phase::Restarting { .. } => {
                self.phase = Phase::Serving;
                self.core_backoff.asked();
                self.core_next = Some(now);
                if let Some(listen) = self.next_listen.take() {
                    self.listeners.follow(&listen);
                }
            }
            Phase::StoppingCore { .. } => self.stop_children(now),
            Phase::StoppingChildren => {}
            Phase::Serving => {
                if let (Ending::Exit(code), false) = (ending, self.served) {
                    if FINAL.contains(&code) {
                        self.core_code = u8::try_from(code).ok();
                        return self.stop_children(now);
                    }
                }
                let delay = self
                    .core_backoff
                    .ended(now.saturating_duration_since(core.started));
                log::error!(target: "supervisor", "core: {ending}; next start in {delay:?}");
                self.notifier
                    .status(&format!("the core ended ({ending}), starting it again"));
                self.core_next = Some(now + delay);
            }
        }
    }

    /// Kills what our children left behind; whether there was anything. Whose parent is killed
    /// comes to us next.
    fn purge(&self) -> bool {
        let known: Vec<u32> = self
            .table
            .pids()
            .chain(self.core.as_ref().map(|core| core.pid))
            .collect();
        let mut found = false;
        for pid in process::children(std::process::id()) {
            if !known.contains(&pid) {
                log::debug!(target: "supervisor", "pid {pid}: left behind by its parent, killed");
                child::send(pid, Signal::Kill);
                found = true;
            }
        }
        found
    }

    /// The same, at the end, until nothing is left.
    fn purge_all(&self) {
        let start = Instant::now();
        while self.purge() && start.elapsed() < PURGE_TIME {
            while let Reaped::Child(..) = child::reap() {}
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// A start that failed on something of the system.
struct Failed {
    what: &'static str,
    err: io::Error,
}

fn boxed(err: impl Report + 'static) -> Box<dyn Report> {
    Box::new(err)
}

fn failed(what: &'static str, err: io::Error) -> Box<dyn Report> {
    Box::new(Failed { what, err })
}

impl std::fmt::Display for Failed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Gateway failed to start: {}: {}", self.what, self.err)
    }
}

impl Report for Failed {
    fn exit(&self) -> Exit {
        Exit::Failed
    }
}
