//! One heartbeat: whether to ask the model at all, the turn, and what its answer means.

use super::super::core::Core;
use super::super::runs::{self, Kind};
use super::super::sessions::{self, Touch};
use super::super::turns::{self, Ending, Start};
use crate::agent::inbound;
use crate::agent::lane::MAIN;
use crate::agent::workspace;
use crate::base::{id, time};
use crate::config::Config;
use crate::config::agents::Heartbeat;
use crate::schedule::heartbeat::{is_active, is_empty};
use crate::session::Entry;
use crate::wire::gateway::agent::{Payload, RunResult};
use crate::wire::gateway::heartbeat::Heartbeat as Told;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

/// The main lane has other work: try again in a moment.
pub const IN_FLIGHT: &str = "requests-in-flight";
const DISABLED: &str = "disabled";
const EMPTY_FILE: &str = "empty-heartbeat-file";
const ALERTS_DISABLED: &str = "alerts-disabled";

/// Bytes of HEARTBEAT.md that are looked at for a task.
const MAX_LIST: u64 = 64 * 1024;
/// Characters of an answer in the event.
const PREVIEW: usize = 200;
/// The same alert within this time is not repeated.
const REPEAT_MS: u64 = 24 * 3600 * 1000;

/// What the model is asked when a command it left running has ended.
const ENDED_COMMAND: &str = "A command you had left running has ended; the system lines above say how. \
     Tell the user what came of it: the useful part of its output, or what went wrong.";

/// What became of a beat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ran {
    Ran,
    Skipped(&'static str),
    Failed(String),
}

type Done = Box<dyn FnOnce(Ran) + Send>;

struct Plan {
    agent: String,
    key: String,
    reason: String,
    beat: Heartbeat,
    route: Route,
    visible: Visible,
    began: Instant,
}

/// Where an alert would go.
struct Route {
    channel: Option<String>,
    to: Option<String>,
}

/// What of heartbeats people see.
#[derive(Clone, Copy)]
struct Visible {
    ok: bool,
    alerts: bool,
    indicator: bool,
}

/// Lets `agent` beat; `done` hears of the end, whatever it is.
pub fn run(core: &Arc<Core>, agent: &str, reason: &str, done: Done) {
    match plan(core, agent, reason) {
        Ok(plan) => plan.start(core, done),
        Err(why) => {
            log::debug!(target: "heartbeat", "{agent}: {reason} skipped: {why}");
            done(Ran::Skipped(why));
        }
    }
}

fn plan(core: &Arc<Core>, agent: &str, reason: &str) -> Result<Plan, &'static str> {
    let began = Instant::now();
    let snapshot = core.config.current();
    let config = &snapshot.config;
    let beat = config.heartbeat(agent);
    if !core.heartbeat.is_on() || beat.every_ms.is_none() {
        return Err(DISABLED);
    }
    let zone = config.agents.defaults.user_timezone.as_deref();
    if !is_active(beat.active_hours.as_ref(), zone, time::now_ms()) {
        return Err("quiet-hours");
    }
    if core.agents.lanes.load(MAIN) > 0 {
        return Err(IN_FLIGHT);
    }
    let key = session(core, agent, &beat);
    let folder = config.workspace(agent, core.config.paths());
    let called = is_command(reason) || core.system_events.is_asked(&key);
    if !called && has_empty_list(&folder) {
        skip(core, EMPTY_FILE, began);
        return Err(EMPTY_FILE);
    }
    // A store that cannot be read is reported by the turn.
    let entry = core.agents.sessions.entry(&key).ok().flatten();
    let route = Route::of(&beat, entry.as_deref());
    let visible = Visible::of(config, route.channel.as_deref());
    if !visible.ok && !visible.alerts && !visible.indicator {
        skip(core, ALERTS_DISABLED, began);
        return Err(ALERTS_DISABLED);
    }
    Ok(Plan {
        agent: agent.into(),
        key,
        reason: reason.into(),
        beat,
        route,
        visible,
        began,
    })
}

fn is_command(reason: &str) -> bool {
    reason == "exec-event" || reason.starts_with("exec:")
}

/// The session an agent's heartbeats speak in.
fn session(core: &Core, agent: &str, beat: &Heartbeat) -> String {
    let defaults = core.agents.sessions.defaults();
    let main = defaults.main_of(agent);
    let Some(named) = beat.session.as_deref().filter(|name| *name != "main") else {
        return main;
    };
    let named = named.to_lowercase();
    let key = match crate::session::key::agent_of(&named) {
        Some(_) => named,
        None => format!("agent:{agent}:{named}"),
    };
    // Another agent's session is none of this one's business.
    match crate::session::key::agent_of(&key) == Some(agent) {
        true => core.agents.sessions.canonical(&key),
        false => main,
    }
}

/// There is a list and it has no task; without a list the model decides.
fn has_empty_list(folder: &Path) -> bool {
    let mut text = String::new();
    // What it says is shown to nobody, so a link may lead anywhere.
    let read = workspace::open(folder, "HEARTBEAT.md", false)
        .and_then(|file| file.take(MAX_LIST).read_to_string(&mut text));
    read.is_ok() && is_empty(&text)
}

fn skip(core: &Core, reason: &str, began: Instant) {
    let told = Told {
        ts: time::now_ms(),
        status: "skipped",
        reason: Some(reason.into()),
        duration_ms: Some(elapsed(began)),
        ..Told::default()
    };
    core.heartbeat.tell(core, told);
}

fn elapsed(began: Instant) -> u64 {
    u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX)
}

impl Route {
    fn of(beat: &Heartbeat, entry: Option<&Entry>) -> Route {
        let last = entry.and_then(|e| e.last_channel.clone());
        // The web page is no place outside: it sees the session itself.
        let last = last.filter(|channel| channel != "webchat");
        let channel = match beat.target.as_str() {
            "none" => None,
            "last" => last.clone(),
            named => Some(named.to_string()),
        };
        let known = entry
            .filter(|_| channel == last)
            .and_then(|e| e.last_to.clone());
        let to = channel.as_ref().and(beat.to.clone().or(known));
        Route {
            channel: channel.filter(|_| to.is_some()),
            to,
        }
    }
}

impl Visible {
    /// The channel's own settings before those for all; whoever sees only the web page sees all.
    fn of(config: &Config, channel: Option<&str>) -> Visible {
        let flag = |name: &str, default: bool| {
            let of = |channel: &str| config.channels.get(channel)?["heartbeat"][name].as_bool();
            match channel {
                Some(channel) => of(channel).or_else(|| of("defaults")).unwrap_or(default),
                None => default,
            }
        };
        Visible {
            ok: flag("showOk", false),
            alerts: flag("showAlerts", true),
            indicator: flag("useIndicator", true),
        }
    }
}

impl Plan {
    fn start(self, core: &Arc<Core>, done: Done) {
        // Where acknowledgements are shown, too, it is a chat like any other.
        let kind = match self.visible.ok {
            true => Kind::Agent,
            false => Kind::Heartbeat,
        };
        let run = Arc::new(runs::Run::new(&id::uuid(), &self.key, &self.key, kind));
        core.agents.runs.begin(&run);
        let touched = sessions::touch(core, &self.key, Touch::Heartbeat, |_| {});
        let session_id = match touched {
            Ok(session_id) => session_id,
            Err(err) => {
                core.agents.runs.withdraw(&run);
                return done(self.failed(core, &err.to_string()));
            }
        };
        let shared = core.clone();
        let start = Start::new(core, run.clone(), session_id, self.prompt());
        turns::start(
            core,
            Start {
                agent_id: self.agent.clone(),
                model: self.beat.model.clone(),
                finish: Box::new(move |ending, _| done(self.finish(&shared, &run, ending))),
                ..start
            },
        );
    }

    fn prompt(&self) -> String {
        match is_command(&self.reason) {
            true => ENDED_COMMAND.into(),
            false => self.beat.prompt.clone(),
        }
    }

    fn finish(&self, core: &Core, run: &runs::Run, ending: Ending) -> Ran {
        let result = match ending {
            Ok(result) => result,
            Err(why) => return self.failed(core, &why),
        };
        let said = result.payloads.iter().rev();
        let reply = said
            .clone()
            .find(|p| !p.text.is_empty() || !p.media_urls.is_empty());
        match reply {
            Some(error) if error.is_error => self.failed(core, &error.text),
            Some(alert) if !self.is_quiet(&result, alert) => self.alert(core, run, alert),
            _ => {
                let status = match result.meta.acknowledged {
                    true => "ok-token",
                    false => "ok-empty",
                };
                self.tell(core, status, |told| {
                    told.reason = Some(self.reason.clone());
                    told.silent = Some(true);
                    told.indicator_type = self.visible.indicator.then_some("ok");
                });
                Ran::Ran
            }
        }
    }

    /// A few words beside `HEARTBEAT_OK` are not worth anybody's attention; the result of a
    /// command is.
    fn is_quiet(&self, result: &RunResult, reply: &Payload) -> bool {
        let chars = reply.text.chars().count() as u64;
        result.meta.acknowledged
            && reply.media_urls.is_empty()
            && chars <= self.beat.ack_max_chars
            && !is_command(&self.reason)
    }

    fn alert(&self, core: &Core, run: &runs::Run, reply: &Payload) -> Ran {
        let has_media = !reply.media_urls.is_empty();
        let why = if !has_media && self.is_repeat(core, &reply.text) {
            "duplicate"
        } else if self.route.channel.is_none() {
            // Nobody outside to tell: those who have the session open see it.
            core.agents.runs.tell_alert(&core.clients, run, &reply.text);
            self.remember(core, &reply.text);
            "no-target"
        } else if !self.visible.alerts {
            ALERTS_DISABLED
        } else {
            "channel-not-ready"
        };
        self.tell(core, "skipped", |told| {
            told.reason = Some(why.into());
            told.preview = Some(inbound::cut(&reply.text, PREVIEW));
            told.has_media = Some(has_media);
            told.to = self.route.to.clone();
        });
        Ran::Ran
    }

    fn is_repeat(&self, core: &Core, text: &str) -> bool {
        let entry = core.agents.sessions.entry(&self.key).ok().flatten();
        entry.is_some_and(|entry| {
            let since = entry.last_heartbeat_sent_at;
            let recent = since.is_some_and(|at| time::now_ms().saturating_sub(at) < REPEAT_MS);
            let last = entry.last_heartbeat_text.as_deref().map(str::trim);
            recent && last.is_some_and(|last| !last.is_empty() && last == text.trim())
        })
    }

    fn remember(&self, core: &Core, text: &str) {
        let now = time::now_ms();
        let updated = core.agents.sessions.update(&self.key, |entry| {
            entry.updated_at = Some(now);
            entry.last_heartbeat_text = Some(text.into());
            entry.last_heartbeat_sent_at = Some(now);
        });
        if let Err(err) = updated {
            log::error!("session {} was not updated: {err}", self.key);
        }
    }

    fn failed(&self, core: &Core, why: &str) -> Ran {
        log::warn!(target: "heartbeat", "{} failed: {why}", self.agent);
        self.tell(core, "failed", |told| {
            told.reason = Some(why.into());
            told.indicator_type = self.visible.indicator.then_some("error");
        });
        Ran::Failed(why.into())
    }

    fn tell(&self, core: &Core, status: &'static str, more: impl FnOnce(&mut Told)) {
        let mut told = Told {
            ts: time::now_ms(),
            status,
            duration_ms: Some(elapsed(self.began)),
            channel: self.route.channel.clone(),
            ..Told::default()
        };
        more(&mut told);
        core.heartbeat.tell(core, told);
    }
}
