//! One run of a job: a note for the main session, or a turn of its own, and what came of it.

use super::Flight;
use crate::agent::inbound;
use crate::agent::lane::CRON;
use crate::base::{id, time};
use crate::config::Snapshot;
use crate::gateway::channels::{self, Order};
use crate::gateway::core::Core;
use crate::gateway::heartbeat::{self, IN_FLIGHT, Ran};
use crate::gateway::runs::{Kind, Run};
use crate::gateway::sessions;
use crate::gateway::turns::{self, Ending, Start};
use crate::model::name::{self, Ref};
use crate::wire::gateway::agent::{Payload as Reply, RunResult};
use crate::wire::gateway::cron::{
    Delivery, DeliveryMode, Finished, Job, Payload, Status, WakeMode,
};
use std::io::Read;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Characters of what a run said that are kept and told.
const SUMMARY: usize = 2_000;
/// A heartbeat that shall come at once waits this long for people's turns to end.
const BUSY: Duration = Duration::from_secs(120);
const BUSY_RETRY: Duration = Duration::from_millis(250);
/// Bytes of a transcript in which a run's own message shows; the header comes before it.
const BEGINNING: u64 = 64 * 1024;

const STOPPED: &str = "the gateway stopped during the run";
const KILLED: &str = "the gateway ended during the run";
const NO_TARGET: &str = "cron delivery target is missing";

pub enum Outcome {
    Ended(Ended),
    /// Nothing of it happened: it may begin again.
    NotBegun,
}

pub struct Ended {
    pub status: Status,
    pub error: Option<String>,
    /// What was said, or the note.
    pub summary: Option<String>,
    /// The failure may pass.
    pub again: bool,
    /// Its duration is known.
    pub timed: bool,
}

/// What a run that an earlier core had marked came to.
pub enum Left {
    /// It had not begun.
    Nothing,
    /// Its line is in the run log.
    Told(Finished),
    Untold(Ended),
}

impl Ended {
    fn ok(summary: Option<String>) -> Ended {
        Ended {
            status: Status::Ok,
            error: None,
            summary,
            again: false,
            timed: true,
        }
    }

    fn skipped(why: &str) -> Ended {
        Ended {
            status: Status::Skipped,
            error: Some(why.into()),
            ..Ended::ok(None)
        }
    }

    /// For a reason that may pass.
    pub fn failed(why: &str) -> Ended {
        Ended {
            again: true,
            ..Ended::refused(why)
        }
    }

    /// For a reason that stays.
    fn refused(why: &str) -> Ended {
        Ended {
            status: Status::Error,
            error: Some(why.into()),
            ..Ended::ok(None)
        }
    }
}

pub(super) fn execute(job: Job, flight: Flight) {
    match &job.payload {
        Payload::SystemEvent { text } => note(&job, text.trim(), flight),
        Payload::AgentTurn { .. } => turn(job, flight),
    }
}

/// What is known of a run that was marked at `at`; `last` is the last line of the job's log.
pub fn left(core: &Core, job: &Job, at: u64, last: Option<&Finished>) -> Left {
    if let Some(line) = last.filter(|line| line.run_at_ms == Some(at)) {
        return Left::Told(line.clone());
    }
    match &job.payload {
        Payload::SystemEvent { text } if core.system_events.has_mark(&mark(job, at)) => {
            Left::Untold(Ended {
                timed: false,
                ..Ended::ok(Some(text.clone()))
            })
        }
        Payload::AgentTurn { .. } if has_begun(core, job, at) => Left::Untold(Ended {
            timed: false,
            ..Ended::refused(KILLED)
        }),
        _ => Left::Nothing,
    }
}

/// Whether the turn had begun and its message was stored: from then on the model may have acted.
/// A message that only waited was put into the transcript by the start, without its turn's model.
fn has_begun(core: &Core, job: &Job, at: u64) -> bool {
    let key = own_key(&agent(core, job), job);
    let sessions = &core.agents.sessions;
    let Ok(Some(entry)) = sessions.entry(&key) else {
        return false;
    };
    // Each run makes the session anew: an older one is another run's.
    if entry.updated_at < Some(at) {
        return false;
    }
    let file = sessions.transcript_file(&key, &entry);
    let mut text = Vec::new();
    let read = file.map(|file| {
        std::fs::File::open(file).and_then(|file| file.take(BEGINNING).read_to_end(&mut text))
    });
    let text = String::from_utf8_lossy(&text);
    let begun = ["\"type\":\"model_change\"", "\"role\":\"user\""];
    matches!(read, Some(Ok(_))) && begun.iter().all(|mark| text.contains(mark))
}

/// The job's agent, or the default one where that is gone.
fn agent(core: &Core, job: &Job) -> String {
    let config = core.config.current();
    let known = config.config.agent_ids();
    let own = job.agent_id.clone().filter(|id| known.contains(id));
    own.unwrap_or_else(|| config.config.default_agent_id())
}

fn own_key(agent: &str, job: &Job) -> String {
    format!("agent:{agent}:cron:{}", job.id.to_lowercase())
}

fn main_key(core: &Core, agent: &str) -> String {
    core.agents.sessions.defaults().main_of(agent)
}

/// Names a run's note: it is queued once, whatever happens.
fn mark(job: &Job, at: u64) -> String {
    format!("cron:{}@{at}", job.id)
}

fn reason(job: &Job) -> String {
    format!("cron:{}", job.id)
}

fn note(job: &Job, text: &str, flight: Flight) {
    if text.is_empty() {
        let why = "main job requires non-empty systemEvent text";
        return flight.end(Outcome::Ended(Ended::skipped(why)));
    }
    let core = flight.core.clone();
    let agent = agent(&core, job);
    let key = main_key(&core, &agent);
    core.system_events
        .ask_once(&key, text, &mark(job, flight.at));
    match job.wake_mode {
        WakeMode::NextHeartbeat => {
            core.heartbeat.request(&reason(job));
            flight.end(Outcome::Ended(Ended::ok(Some(text.into()))));
        }
        WakeMode::Now => Waking {
            agent,
            reason: reason(job),
            text: text.into(),
            until: Instant::now() + BUSY,
            flight,
        }
        .beat(),
    }
}

/// A heartbeat that shall come at once.
struct Waking {
    agent: String,
    reason: String,
    text: String,
    until: Instant,
    flight: Flight,
}

impl Waking {
    fn beat(self) {
        let core = self.flight.core.clone();
        let (agent, reason) = (self.agent.clone(), self.reason.clone());
        heartbeat::run(
            &core,
            &agent,
            &reason,
            Box::new(move |ran| self.beaten(ran)),
        );
    }

    fn beaten(self, ran: Ran) {
        let text = Some(self.text.clone());
        let ended = match ran {
            Ran::Skipped(IN_FLIGHT) if Instant::now() < self.until => return self.wait(),
            Ran::Ran => Ended::ok(text),
            Ran::Skipped(why) => Ended {
                summary: text,
                ..Ended::skipped(why)
            },
            Ran::Failed(why) => Ended {
                summary: text,
                ..Ended::failed(&why)
            },
        };
        self.flight.end(Outcome::Ended(ended));
    }

    fn wait(self) {
        let (core, id) = (self.flight.core.clone(), self.flight.id.clone());
        let pool = core.pool.clone();
        let again = move || {
            // Refused by a full pool the flight is dropped, which ends it.
            let _ = pool.run(move || self.beat());
        };
        let alarm = core.agents.clock().at(Instant::now() + BUSY_RETRY, again);
        core.cron.wait(&id, alarm);
    }
}

/// An isolated run, from here to its end.
struct Isolated {
    job: Job,
    agent: String,
    /// Seconds it may take, for the error.
    limit: u64,
    ack_max_chars: u64,
    flight: Flight,
}

fn turn(job: Job, flight: Flight) {
    let core = flight.core.clone();
    let config = core.config.current();
    let agent = agent(&core, &job);
    let Payload::AgentTurn {
        message,
        model,
        thinking,
        timeout_seconds,
        ..
    } = job.payload.clone()
    else {
        return;
    };
    let model = model.filter(|model| !model.trim().is_empty());
    if let Some(model) = &model {
        let meant = Ref::parse(&config.config, model);
        if !name::is_allowed(&config.config, &meant) {
            let why = format!("model not allowed: {meant}");
            return flight.end(Outcome::Ended(Ended::refused(&why)));
        }
    }
    let key = own_key(&agent, &job);
    let session_id = match sessions::fresh(&core, &key) {
        Ok(session_id) => session_id,
        Err(err) => return flight.end(Outcome::Ended(Ended::failed(&err.to_string()))),
    };
    let timeout = match timeout_seconds {
        Some(seconds) => Duration::from_secs(seconds).min(turns::NO_LIMIT),
        None => turns::default_timeout(&config),
    };
    let mut run = Run::new(&id::uuid(), &key, &key, Kind::Agent);
    run.verbose = sessions::verbose(&core, &key);
    let run = Arc::new(run);
    core.agents.runs.begin(&run);
    let isolated = Isolated {
        limit: timeout.as_secs(),
        ack_max_chars: config.config.heartbeat(&agent).ack_max_chars,
        agent: agent.clone(),
        job,
        flight,
    };
    let text = prompt(&config, &isolated.job, &message);
    turns::start(
        &core,
        Start {
            thinking: thinking.as_deref().and_then(inbound::thinking_level),
            model,
            timeout,
            lane: CRON.into(),
            finish: Box::new(move |ending, begun| isolated.finish(ending, begun)),
            ..Start::new(&core, run, session_id, text)
        },
    );
}

/// `[cron:<id> <name>] <message>`, the time, and whether the answer goes anywhere.
fn prompt(config: &Snapshot, job: &Job, message: &str) -> String {
    let zone = config.config.agents.defaults.user_timezone.as_deref();
    let now = time::in_zone(time::now_ms(), zone);
    let named = now.time_zone().iana_name().unwrap_or("UTC").to_string();
    let clock = match config
        .value
        .pointer("/agents/defaults/timeFormat")
        .and_then(|v| v.as_str())
    {
        Some("24") => now.strftime("%H:%M").to_string(),
        _ => now.strftime("%-I:%M %p").to_string(),
    };
    let day = now.day();
    let ending = match (day % 10, day) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    };
    let date = format!("{} {day}{ending}, {}", now.strftime("%A, %B"), now.year());
    let mut text = format!(
        "[cron:{} {}] {message}\nCurrent time: {date} — {clock} ({named})",
        job.id, job.name
    );
    if wants_delivery(job) {
        text.push_str(
            "\n\nYour answer is sent on as plain text by whoever runs this job. \
             Do not send it yourself.",
        );
    }
    text
}

fn wants_delivery(job: &Job) -> bool {
    let mode = job.delivery.as_ref().map(|delivery| delivery.mode);
    mode.unwrap_or(DeliveryMode::Announce) == DeliveryMode::Announce
}

impl Isolated {
    fn finish(self, ending: Ending, begun: bool) {
        let core = self.flight.core.clone();
        let ended = match ending {
            Ok(result) => self.judge(&core, &result),
            Err(_) if core.cron.is_stopping() && !begun => {
                return self.flight.end(Outcome::NotBegun);
            }
            Err(_) if core.cron.is_stopping() => Ended::refused(STOPPED),
            Err(why) => Ended::failed(&why),
        };
        self.report(&core, &ended);
        self.flight.end(Outcome::Ended(ended));
    }

    fn judge(&self, core: &Arc<Core>, result: &RunResult) -> Ended {
        if result.meta.aborted {
            return Ended::failed(&format!("timed out after {} s", self.limit));
        }
        let said = |reply: &&Reply| !reply.text.trim().is_empty();
        let last = result.payloads.iter().rev().find(said);
        if let Some(error) = last.filter(|reply| reply.is_error) {
            return Ended::failed(&error.text);
        }
        let summary = last.map(|reply| inbound::cut(reply.text.trim(), SUMMARY));
        let quiet = result.meta.acknowledged
            && last.is_none_or(|reply| reply.text.chars().count() as u64 <= self.ack_max_chars);
        let undelivered = match wants_delivery(&self.job) && !quiet {
            true => self.deliver(core, &result.payloads),
            false => None,
        };
        match undelivered {
            None => Ended::ok(summary),
            Some(why) => {
                let delivery = self.job.delivery.as_ref();
                if delivery.and_then(|d| d.best_effort) == Some(true) {
                    log::warn!(target: "cron", "{}: {why}", self.job.id);
                    return Ended::ok(summary);
                }
                // The work is done: doing it again would deliver no better.
                Ended {
                    summary,
                    ..Ended::refused(&why)
                }
            }
        }
    }

    /// Puts the answer on its way; or says why that cannot be.
    fn deliver(&self, core: &Arc<Core>, replies: &[Reply]) -> Option<String> {
        let delivery = self.job.delivery.as_ref();
        let said =
            |field: fn(&Delivery) -> &Option<String>| delivery.and_then(|d| field(d).clone());
        let main = main_key(core, &self.agent);
        let entry = core
            .agents
            .sessions
            .entry(&main)
            .ok()
            .flatten()
            .unwrap_or_default();
        let last = entry
            .last_channel
            .clone()
            .filter(|channel| channel != "webchat");
        let channel = said(|d| &d.channel)
            .filter(|channel| channel != "last")
            .or(last.clone());
        let is_last = channel == last;
        let known = entry.last_to.clone().filter(|_| is_last);
        let to = said(|d| &d.to).or(known.clone());
        let (Some(kind), Some(to)) = (channel, to) else {
            return Some(NO_TARGET.into());
        };
        // Of the last chat everything is known, of another only what the job says.
        let here = is_last && known.as_deref() == Some(&*to);
        let thread = entry.last_thread_id.as_ref().filter(|_| here);
        let mut order = Order {
            kind,
            to,
            account: entry.last_account_id.clone().filter(|_| here),
            thread: thread.map(|id| id.as_str().map_or_else(|| id.to_string(), String::from)),
            agent: Some(self.agent.clone()),
            ..Order::default()
        };
        for reply in replies {
            order.text.clone_from(&reply.text);
            order.media.clone_from(&reply.media_urls);
            // Kept until it is sent: nobody need wait for that.
            if let Err(why) = channels::post(core, &order) {
                return Some(why);
            }
        }
        None
    }

    /// Lets the main session know what came of it.
    fn report(&self, core: &Core, ended: &Ended) {
        let wanted = self.job.delivery.as_ref().map(|d| d.mode) != Some(DeliveryMode::None);
        let Some(summary) = ended.summary.as_deref().filter(|_| wanted) else {
            return;
        };
        let text = match ended.status {
            Status::Error => format!("Cron (error): {summary}"),
            _ => format!("Cron: {summary}"),
        };
        let main = main_key(core, &self.agent);
        match self.job.wake_mode {
            WakeMode::Now => {
                core.system_events.ask(&main, &text);
                core.heartbeat.request(&reason(&self.job));
            }
            WakeMode::NextHeartbeat => core.system_events.push(&main, &text),
        }
    }
}
