//! What turns share: the sessions, the lanes, the runs, the model client and the commands.

use super::broadcast::Clients;
use super::clock::Clock;
use super::dedupe::Dedupe;
use super::heartbeat::Heartbeat;
use super::ledger::Ledger;
use super::pending;
use super::queue::Queues;
use super::runs::Runs;
use super::skills::Skills;
use super::system_events::SystemEvents;
use super::turns::compaction::Upkeep;
use super::usage::Book;
use crate::agent::lane::{Lanes, Limits};
use crate::config::{Live, Snapshot};
use crate::model;
use crate::session::Store;
use crate::tool::memory::Memory;
use crate::tool::process::Processes;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

pub struct Agents {
    pub sessions: Arc<Store>,
    pub lanes: Lanes,
    pub runs: Arc<Runs>,
    /// What waits for busy sessions.
    pub queues: Queues,
    pub model: Box<dyn model::Client>,
    pub processes: Processes,
    pub memory: Memory,
    /// Held while a session is patched: a label is looked for in the others and set in one step.
    pub patching: Mutex<()>,
    pub skills: Skills,
    pub usage: Book,
    pub upkeep: Upkeep,
    pub ledger: Ledger,
    start_runner: Arc<OnceLock<StartRunner>>,
    machine: OnceLock<Machine>,
}

type StartRunner = Box<dyn Fn() + Send + Sync>;

/// What the prompt says of this machine.
pub struct Machine {
    pub host: String,
    pub os: String,
    pub arch: &'static str,
    pub zone: String,
}

impl Agents {
    pub fn open(config: &Live, notes: &Arc<SystemEvents>, beat: &Arc<Heartbeat>) -> Agents {
        let snapshot = config.current();
        let start_runner: Arc<OnceLock<StartRunner>> = Arc::default();
        let starter = start_runner.clone();
        let sessions = Arc::new(Store::open(config.paths(), &snapshot.config));
        let (notes, beat, homes) = (notes.clone(), beat.clone(), sessions.clone());
        let processes = Processes::new(
            config.paths().clone(),
            Box::new(move || {
                if let Some(start) = starter.get() {
                    start();
                }
            }),
            Box::new(move |ended| {
                log::info!("{}: {}", ended.session_key, ended.notice);
                notes.ask(&ended.session_key, &ended.notice);
                // A heartbeat speaks in the main session: only there it hears of it.
                if homes.defaults().main_of(&ended.agent_id) == ended.session_key {
                    beat.request(&format!("exec:{}:exit", ended.session_id));
                }
            }),
        );
        Agents {
            sessions,
            lanes: Lanes::new(limits(&snapshot)),
            runs: Arc::default(),
            queues: Queues::default(),
            model: Box::new(model::Live::default()),
            processes,
            memory: Memory::default(),
            patching: Mutex::default(),
            skills: Skills::default(),
            usage: Book::default(),
            upkeep: Upkeep::default(),
            ledger: Ledger::default(),
            start_runner,
            machine: OnceLock::new(),
        }
    }

    /// Whom to ask for a tool runner; set once, when the supervisor is known. Must not block.
    pub fn on_runner_needed(&self, start: impl Fn() + Send + Sync + 'static) {
        if self.start_runner.set(Box::new(start)).is_err() {
            log::error!("the starter of the tool runner was set twice");
        }
    }

    /// Before the first client is accepted: completes what a killed core left.
    pub fn recover(&self, dedupe: &Dedupe) {
        let folder = self.sessions.paths().ours();
        self.ledger.recover(&folder, &self.runs, dedupe);
        pending::recover(self.sessions.paths(), &self.sessions);
    }

    /// Once a minute.
    pub fn sweep(&self, clients: &Clients) {
        self.runs.sweep(clients);
        self.sessions.trim();
    }

    /// Takes a changed configuration.
    pub fn reconfigure(&self, snapshot: &Snapshot) {
        self.sessions.reconfigure(&snapshot.config);
        self.lanes.set_limits(limits(snapshot));
    }

    /// Ends every turn, waits up to `grace` for them, and leaves the sessions whole on disk.
    pub fn stop(&self, grace: Duration) {
        self.queues.close();
        self.runs.cancel_all();
        self.upkeep.cancel_all();
        if !self.lanes.close(grace) {
            log::warn!("{} runs did not end in time", self.runs.count());
        }
        if let Err(err) = self.sessions.flush() {
            log::error!("{err}");
        }
    }

    pub fn clock(&self) -> &Clock {
        self.runs.clock()
    }

    pub fn machine(&self) -> &Machine {
        self.machine.get_or_init(Machine::read)
    }
}

fn limits(snapshot: &Snapshot) -> Limits {
    let default = Limits::default();
    let number = |pointer: &str| {
        snapshot
            .value
            .pointer(pointer)
            .and_then(serde_json::Value::as_u64)
            .and_then(|n| usize::try_from(n).ok())
    };
    Limits {
        main: snapshot
            .config
            .agents
            .defaults
            .max_concurrent
            .unwrap_or(default.main),
        subagent: number("/agents/defaults/subagents/maxConcurrent").unwrap_or(default.subagent),
        cron: number("/cron/maxConcurrentRuns").unwrap_or(default.cron),
    }
}

impl Machine {
    fn read() -> Machine {
        let proc = |name: &str| {
            std::fs::read_to_string(format!("/proc/sys/kernel/{name}"))
                .map(|text| text.trim().to_string())
                .unwrap_or_default()
        };
        let (kind, release) = (proc("ostype"), proc("osrelease"));
        let os = if kind.is_empty() {
            std::env::consts::OS.to_string()
        } else {
            format!("{kind} {release}")
        };
        let zone = jiff::tz::TimeZone::system();
        Machine {
            host: proc("hostname"),
            os,
            arch: match std::env::consts::ARCH {
                "x86_64" => "x64",
                "aarch64" => "arm64",
                other => other,
            },
            zone: zone.iana_name().unwrap_or("UTC").to_string(),
        }
    }
}
