//! The runner's loop: one poll over the listener, the core, the signals and every command.

use super::group::Home;
use super::kept::Kept;
use super::link::Link;
use super::run::Running;
use super::{sandbox, tree};
use crate::base::sys::child::{self, Ending, Reaped};
use crate::base::sys::peer;
use crate::base::sys::poll::{For, Poll};
use crate::base::sys::reaper::{self, Signals};
use crate::wire::exec::{self as wire, FromRunner, MAX_NOTE, OUTPUT_CHUNK, Run, ToRunner};
use crate::wire::version;
use base64::{Engine, engine::general_purpose::STANDARD};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::{Duration, Instant};

/// Commands at once, those included that left processes behind.
const MAX_RUNS: usize = 128;
/// TERM to KILL when the core is gone or we are told to end.
const GRACE: Duration = Duration::from_millis(500);
/// How long the last commands may take to die before we end without them; their keepers go on.
const LAST: Duration = Duration::from_secs(5);
/// How long what is kept goes on without a core: longer than the supervisor's longest pause before
/// it starts one again.
const APART: Duration = Duration::from_secs(120);
/// Pause between two looks for processes that lost their keeper.
const STRAY_EVERY: Duration = Duration::from_millis(50);

pub struct Server {
    listener: UnixListener,
    /// Who may connect besides root and our own user: the owner of the socket's file.
    owner: Option<u32>,
    signals: Signals,
    link: Option<Link>,
    runs: Vec<Running>,
    /// Where commands get control groups of their own; `None`: nowhere.
    home: Option<Home>,
    /// A keeper was killed: what it kept is ours now, and is killed.
    strays: bool,
    /// When to end.
    until: Option<Instant>,
    /// No core is there: when what is kept for the next one ends.
    apart_until: Option<Instant>,
}

/// What of a poll was ready.
#[derive(Default)]
struct Ready {
    listener: bool,
    signals: bool,
    link: bool,
    /// Control, output, input of each run.
    runs: Vec<[bool; 3]>,
}

impl Server {
    pub fn new(listener: UnixListener, owner: Option<u32>, signals: Signals) -> io::Result<Server> {
        listener.set_nonblocking(true)?;
        Ok(Server {
            listener,
            owner,
            signals,
            link: None,
            runs: Vec::new(),
            home: Home::find(),
            strays: false,
            until: None,
            apart_until: None,
        })
    }

    /// Until told to end.
    pub fn serve(&mut self) -> io::Result<()> {
        loop {
            let ready = self.wait()?;
            let now = Instant::now();
            if ready.signals {
                self.on_signals(now);
            }
            if ready.listener {
                self.accept();
            }
            if ready.link {
                self.receive();
            }
            for (index, [control, output, input]) in ready.runs.iter().enumerate() {
                self.on_run(index, *control, *output, *input);
            }
            for run in &mut self.runs {
                run.check_time(now);
            }
            if self.apart_until.is_some_and(|until| now >= until) {
                self.orphan_all();
            }
            self.finish();
            if self.strays {
                self.kill_strays();
            }
            self.flush();
            if self
                .until
                .is_some_and(|until| self.runs.is_empty() || now >= until)
            {
                return Ok(());
            }
        }
    }

    fn wait(&self) -> io::Result<Ready> {
        let deadline = self.runs.iter().filter_map(Running::deadline);
        let deadline = deadline.chain(self.until).chain(self.apart_until).min();
        let mut wait = deadline.map(|at| at.saturating_duration_since(Instant::now()));
        if self.strays {
            wait = Some(wait.map_or(STRAY_EVERY, |wait| wait.min(STRAY_EVERY)));
        }
        let mut poll = Poll::new();
        let mut count = 0;
        let mut add = |fd, what| {
            poll.add(fd, what);
            count += 1;
            count - 1
        };
        let listener = add(self.listener.as_fd(), For::Reading);
        let signals = add(self.signals.as_fd(), For::Reading);
        let mut link = Vec::new();
        if let Some(core) = &self.link {
            link.push(add(core.fd(), For::Reading));
            if core.has_output() {
                link.push(add(core.fd(), For::Writing));
            }
        }
        let room = self.link.as_ref().is_none_or(Link::has_room);
        let mut places = Vec::new();
        for run in &self.runs {
            places.push([
                run.control().map(|fd| add(fd, For::Reading)),
                run.output()
                    .filter(|_| room || run.orphan)
                    .map(|fd| add(fd, For::Reading)),
                run.hungry().map(|fd| add(fd, For::Writing)),
            ]);
        }
        poll.wait(wait)?;
        let is = |place: &usize| poll.ready(*place);
        Ok(Ready {
            listener: is(&listener),
            signals: is(&signals),
            link: link.iter().any(is),
            runs: places
                .iter()
                .map(|three| three.map(|place| place.as_ref().is_some_and(is)))
                .collect(),
        })
    }

    fn on_signals(&mut self, now: Instant) {
        while let Some(signal) = self.signals.take() {
            if signal != reaper::CHILD {
                self.until = Some(now + LAST);
                self.link = None;
                self.orphan_all();
            }
        }
        while let Reaped::Child(pid, status) = child::reap() {
            // A keeper that was killed leaves its processes to us.
            if matches!(status, Ending::Signal(_)) {
                self.strays = true;
                if let Some(home) = &self.home {
                    home.end(pid);
                }
            }
        }
    }

    fn accept(&mut self) {
        let Ok((stream, _)) = self.listener.accept() else {
            return;
        };
        if let Err(why) = self.admit(&stream) {
            eprintln!("openclaw-exec: refused a connection: {why}");
            return;
        }
        // The newer core is the one that lives.
        self.drop_link();
        let hello = FromRunner::Hello {
            protocol: version::EXEC,
            pid: std::process::id(),
            enforces: self.enforces(),
            kept: self.kept().map(|(kept, _)| kept).collect(),
        };
        let Ok(link) = Link::new(stream) else { return };
        self.link = Some(link);
        self.apart_until = None;
        self.say(&hello);
        let printed: Vec<(wire::Kept, Vec<u8>)> = self.kept().collect();
        for (kept, printed) in printed {
            for part in printed.chunks(OUTPUT_CHUNK) {
                let (id, data) = (kept.id.clone(), STANDARD.encode(part));
                self.say(&FromRunner::Output { id, data });
            }
        }
    }

    /// What outlived the connection that asked for it, and what it printed.
    fn kept(&self) -> impl Iterator<Item = (wire::Kept, Vec<u8>)> {
        let runs = self.runs.iter().filter(|run| !run.orphan && !run.told);
        runs.filter_map(|run| {
            let kept = run.kept.as_ref()?;
            let named = wire::Kept {
                id: run.id.clone(),
                note: kept.note.clone(),
            };
            Some((named, kept.printed()))
        })
    }

    /// Root, our own user or the socket's owner; and never one of our own commands, which share our
    /// user on a plain install.
    fn admit(&self, stream: &UnixStream) -> Result<(), String> {
        let peer = peer::credentials(stream).map_err(|err| err.to_string())?;
        let known = [Some(0), Some(peer::own_uid()), self.owner];
        if !known.contains(&Some(peer.uid)) {
            return Err(format!("uid {} is not ours", peer.uid));
        }
        let pid = peer.pid.ok_or("its process is not known")?;
        match peer::descends_from(pid, std::process::id()) {
            Some(true) => Err(format!("process {pid} is one of our commands")),
            // Not visible to us: then it cannot be below us either, all of which we see.
            Some(false) | None => Ok(()),
        }
    }

    fn enforces(&self) -> Vec<String> {
        let mut enforces = sandbox::enforces();
        if let Some(home) = &self.home {
            enforces.push("cgroup".into());
            enforces.extend(home.controllers().map(|name| format!("cgroup.{name}")));
        }
        enforces
    }

    fn receive(&mut self) {
        let Some(link) = &mut self.link else { return };
        match link.receive() {
            Ok(messages) => {
                for message in messages {
                    self.on_message(message);
                }
            }
            Err(err) => {
                if err.kind() != io::ErrorKind::UnexpectedEof {
                    eprintln!("openclaw-exec: the core's connection: {err}");
                }
                self.drop_link();
            }
        }
    }

    fn on_message(&mut self, message: ToRunner) {
        match message {
            ToRunner::Run(run) => self.start(&run),
            ToRunner::Write { id, data, eof } => {
                let Some(run) = self.find(&id) else { return };
                let taken = match STANDARD.decode(data) {
                    Ok(data) => run.take_input(&data, eof),
                    Err(_) => Err("its input is not base64"),
                };
                if let Err(error) = taken {
                    let error = error.into();
                    self.say(&FromRunner::Refused { id, error });
                }
            }
            ToRunner::Keep { id, note, output } => {
                let Some(run) = self.find(&id) else { return };
                match STANDARD.decode(output) {
                    Ok(printed) if note.len() <= MAX_NOTE => {
                        run.kept = Some(Kept::new(note, &printed));
                    }
                    _ => {
                        eprintln!("openclaw-exec: {id} is not kept: a note too long, or no base64")
                    }
                }
            }
            ToRunner::Kill { id, grace_ms } => {
                if let Some(run) = self.find(&id) {
                    run.kill(Duration::from_millis(grace_ms));
                }
            }
        }
    }

    fn start(&mut self, run: &Run) {
        let refused = if self.find(&run.id).is_some() {
            Some("a command of that id is running".to_string())
        } else if self.runs.len() >= MAX_RUNS {
            Some(format!("{MAX_RUNS} commands are running already"))
        } else {
            match Running::start(run, self.home.as_ref()) {
                Ok(running) => {
                    self.runs.push(running);
                    None
                }
                Err(err) => Some(err.to_string()),
            }
        };
        if let Some(error) = refused {
            let id = run.id.clone();
            self.say(&FromRunner::Failed { id, error });
        }
    }

    fn find(&mut self, id: &str) -> Option<&mut Running> {
        self.runs
            .iter_mut()
            .find(|run| run.id == id && !run.orphan && !run.told)
    }

    fn on_run(&mut self, index: usize, control: bool, output: bool, input: bool) {
        let Some(run) = self.runs.get_mut(index) else {
            return;
        };
        let mut said = if control { run.hear() } else { Vec::new() };
        if output {
            said.extend(run.read());
        }
        if input {
            run.feed();
        }
        if !run.orphan {
            for message in said {
                self.say(&message);
            }
        }
    }

    /// Says the last line about commands that ended, and forgets those of which nothing is left.
    fn finish(&mut self) {
        for index in 0..self.runs.len() {
            loop {
                let run = &mut self.runs[index];
                // Poll may never again tell of output whose last writer is gone: look.
                if !run.is_draining() || !self.link.as_ref().is_none_or(Link::has_room) {
                    break;
                }
                match run.read() {
                    Some(message) if !run.orphan => self.say(&message),
                    Some(_) => {}
                    None => break,
                }
            }
            let run = &mut self.runs[index];
            if run.kept.is_some() && !run.orphan && self.link.is_none() {
                // Its end waits for the next core.
                continue;
            }
            if let Some(message) = run.last() {
                if !run.orphan {
                    self.say(&message);
                }
            }
        }
        self.runs.retain(|run| !run.is_over());
    }

    /// Kills whatever is our child and no keeper.
    fn kill_strays(&mut self) {
        let keepers: Vec<u32> = self.runs.iter().map(|run| run.pid).collect();
        let strays: Vec<u32> = tree::children(std::process::id())
            .into_iter()
            .filter(|pid| !keepers.contains(pid))
            .collect();
        for pid in &strays {
            tree::kill(*pid);
            reaper::send(*pid, reaper::KILL);
        }
        self.strays = !strays.is_empty();
    }

    fn say(&mut self, message: &FromRunner) {
        let Some(link) = &mut self.link else { return };
        if let Err(err) = link.send(message) {
            eprintln!("openclaw-exec: the core's connection: {err}");
            self.drop_link();
        }
    }

    fn flush(&mut self) {
        let Some(link) = &mut self.link else { return };
        if link.flush().is_err() {
            self.drop_link();
        }
    }

    /// The commands of a core that is gone belong to nobody: they end, but for those that are kept
    /// for the next one.
    fn drop_link(&mut self) {
        if self.link.take().is_none() {
            return;
        }
        self.orphan(|run| run.kept.is_none());
        let waits = self.runs.iter().any(|run| !run.orphan);
        self.apart_until = waits.then(|| Instant::now() + APART);
    }

    fn orphan_all(&mut self) {
        self.apart_until = None;
        self.orphan(|_| true);
    }

    fn orphan(&mut self, which: impl Fn(&Running) -> bool) {
        for run in self.runs.iter_mut().filter(|run| !run.orphan) {
            if which(run) {
                run.orphan = true;
                run.kill(GRACE);
            }
        }
    }
}
