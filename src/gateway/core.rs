//! What the core's threads share. Each noun guards itself with its own small lock; no code holds
//! two of them at once, except that the registry of clients is held while their outboxes take a
//! broadcast, and the queues while the registry of runs or the clock is asked.

use super::agents::Agents;
use super::approvals::Approvals;
use super::broadcast::{Client, Clients, Rules};
use super::channels::Channels;
use super::cron::Cron;
use super::dedupe::Dedupe;
use super::devices::Devices;
use super::event::Event;
use super::failures::Failures;
use super::health;
use super::heartbeat::Heartbeat;
use super::host;
use super::http::canvas::reload::Reload;
use super::http::health::Probe;
use super::http::plane::Plane;
use super::link::Supervisor;
use super::memory;
use super::outbox::Flusher;
use super::pool::Pool;
use super::presence::Presence;
use super::restart::Restarts;
use super::subagents::{self, Subagents};
use super::system_events::SystemEvents;
use super::tailscale::Known;
use super::talk::Talks;
use super::wizard::Wizard;
use crate::base::sys::process;
use crate::base::time::now_ms;
use crate::config::Live;
use crate::config::listen::Listen;
use crossbeam_channel::Sender;
use serde_json::json;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

pub struct Core {
    pub config: Live,
    /// What was decided at start: port, bind, the shared secret. Changing it takes a restart.
    pub listen: Listen,
    pub supervisor: Supervisor,
    pub clients: Clients,
    pub presence: Presence,
    pub devices: Devices,
    /// Commands that wait for somebody's word.
    pub approvals: Approvals,
    pub wizard: Wizard,
    pub dedupe: Dedupe,
    pub system_events: Arc<SystemEvents>,
    pub heartbeat: Arc<Heartbeat>,
    /// Who offered wrong secrets.
    pub failures: Failures,
    /// Who is who in the tailnet.
    pub logins: Known,
    pub cron: Cron,
    pub subagents: Subagents,
    pub talks: Talks,
    pub channels: Channels,
    /// Threads for requests that may block.
    pub pool: Pool,
    pub flusher: Arc<Flusher>,
    /// The last health payload; `{}` before the first one.
    pub health: health::Cached,
    /// What `GET /health` answers.
    pub probe: Probe,
    /// The HTTP server behind the front; runs once it is needed.
    pub plane: Plane,
    /// Pages of the canvas that wait for a change.
    pub reload: Reload,
    pub started: Instant,
    pub restarts: Restarts,
    /// Process id of the tool runner, 0 when there is none: local peers below it are confined.
    pub exec_pid: AtomicU32,
    /// A client left since the heap was last trimmed.
    departed: AtomicBool,
    /// Where the main thread is told so.
    main: OnceLock<Sender<Event>>,
    /// What turns share.
    pub agents: Agents,
}

impl Core {
    pub fn new(config: Live, listen: Listen) -> Arc<Core> {
        let devices = Devices::open(&config.paths().state);
        let system_events = SystemEvents::open(&config.paths().ours());
        let heartbeat: Arc<Heartbeat> = Arc::default();
        Arc::new(Core {
            supervisor: Supervisor::default(),
            clients: Clients::default(),
            presence: Presence::new(host::presence(&config.current().env)),
            devices,
            approvals: Approvals::default(),
            wizard: Wizard::default(),
            dedupe: Dedupe::default(),
            agents: Agents::open(&config, &system_events, &heartbeat),
            system_events,
            heartbeat,
            failures: Failures::default(),
            logins: Known::default(),
            cron: Cron::default(),
            subagents: Subagents::default(),
            talks: Talks::default(),
            channels: Channels::default(),
            pool: Pool::default(),
            flusher: Arc::default(),
            health: health::Cached::default(),
            probe: Probe::new(&config, &listen),
            plane: Plane::default(),
            reload: Reload::default(),
            started: Instant::now(),
            restarts: Restarts::default(),
            exec_pid: AtomicU32::new(0),
            departed: AtomicBool::new(false),
            main: OnceLock::new(),
            listen,
            config,
        })
    }

    pub fn uptime_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// A word for the agent of a session: it is in its next turn. A main session's comes soon,
    /// by a heartbeat for `reason`.
    pub fn note(&self, key: &str, text: &str, reason: &str) {
        self.system_events.ask(key, text);
        let sessions = &self.agents.sessions;
        if sessions.defaults().main_of(&sessions.agent_of(key)) == key {
            self.heartbeat.request(reason);
        }
    }

    /// The event loop calls this every `TICK_MS`.
    pub fn tick(&self) {
        self.clients
            .broadcast("tick", &json!({"ts": now_ms()}), Rules::DROP);
    }

    /// The event loop calls this once a minute.
    pub fn sweep(self: &Arc<Self>) {
        health::refresh_soon(self);
        self.dedupe.sweep();
        self.devices.sweep();
        self.wizard.sweep();
        self.agents.sweep(&self.clients);
        self.cron.sweep(self);
        subagents::sweep(self);
        memory::sweep(self);
        process::trim_heap();
    }

    /// Events for the main thread go here from now on.
    pub fn attach_main(&self, events: Sender<Event>) {
        // A second one would be a bug that harms nobody: the first stays.
        let _ = self.main.set(events);
    }

    /// Where the main thread takes events; `None` before `attach_main`.
    pub fn main_events(&self) -> Option<Sender<Event>> {
        self.main.get().cloned()
    }

    /// A client has left. What it leaves in the heap is given back when the main thread thinks the
    /// crowd it may be one of has passed.
    pub(super) fn departed(&self) {
        if !self.departed.swap(true, Ordering::AcqRel) {
            if let Some(main) = self.main.get() {
                // When its queue is full the next sweep trims as well.
                let _ = main.try_send(Event::Departed);
            }
        }
    }

    /// Gives back what clients left behind; who leaves from here on asks again.
    pub fn settle(&self) {
        self.departed.store(false, Ordering::Release);
        process::trim_heap();
    }

    /// What follows an accepted connection, once the client has its hello.
    pub(super) fn connected(self: &Arc<Self>, _client: &Arc<Client>) {
        // Token use and what the device said of itself; the client does not wait for the disk.
        self.devices.save_later();
        health::refresh_soon(self);
    }

    /// Tells every client that the gateway goes and closes them. `restarting` says whether it
    /// comes back.
    pub fn say_goodbye(&self, restarting: bool) {
        self.probe.not_ready();
        let payload = if restarting {
            json!({"reason": "gateway restarting", "restartExpectedMs": 1500})
        } else {
            json!({"reason": "gateway stopping", "restartExpectedMs": null})
        };
        self.clients.broadcast("shutdown", &payload, Rules::ALL);
        self.clients.close_all(1012, "service restart");
    }

    pub fn set_exec_pid(&self, pid: Option<u32>) {
        self.exec_pid.store(pid.unwrap_or(0), Ordering::Relaxed);
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::config::listen::Flags;
    use crate::config::{Env, Paths, listen};
    use std::path::PathBuf;

    /// A core on a fresh state folder, with token `tok` and `config` as its file.
    pub fn core(config: &str) -> (Arc<Core>, PathBuf) {
        let dir = crate::base::id::temp_dir("core");
        std::fs::write(dir.join("openclaw.json"), config).unwrap();
        let home = dir.to_str().unwrap();
        let env = Env::from_pairs(&[
            ("HOME", home),
            ("OPENCLAW_STATE_DIR", home),
            ("OPENCLAW_GATEWAY_TOKEN", "tok"),
        ]);
        let live = Live::open(Paths::resolve(&env, None), env);
        let flags = Flags {
            allow_unconfigured: true,
            ..Flags::default()
        };
        let listen = listen::resolve(&live.current(), &flags).unwrap();
        (Core::new(live, listen), dir)
    }
}
