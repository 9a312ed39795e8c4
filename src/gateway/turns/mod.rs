//! Starting a turn and seeing it to its end: the caller is acknowledged when its message is on
//! disk, clients are told what happens, the session entry and the caller's final answer close it.

mod bench;
mod brief;
pub mod compaction;
mod dress;
mod flush;
mod hearing;
mod patience;
mod shown;
mod sight;
mod tape;
mod traces;

use super::commands::Hints;
use super::core::Core;
use super::hooks;
use super::models::{self, Chain};
use super::pending;
use super::queue;
use super::runs::{Run, Verbose};
use super::skills::{self, Usable};
use super::spool::Spooled;
use super::system_events::Drawn;
use crate::agent::event::{Event, Sink};
use crate::agent::lane::{After, MAIN, Placed};
use crate::agent::prune::Pruning;
use crate::agent::turn::{self, End, Memory, Outcome, Parts, Turn};
use crate::agent::{history, inbound, workspace};
use crate::base::atomic::create_private_dir;
use crate::base::cancel::Cancel;
use crate::base::time::now_ms;
use crate::config::Snapshot;
use crate::config::sandbox;
use crate::model::{Target, ToolSpec};
use crate::session::{self, Entry, Opening};
use crate::wire::gateway::agent::{Payload, PendingCall, Report, RunResult};
use crate::wire::message::{Block, Content, Message, User};
use bench::Bench;
use brief::{Brief, FILE_CHARS};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tape::Tape;

/// A run without any limit of its own (`timeout: 0`): thirty days.
pub const NO_LIMIT: Duration = Duration::from_secs(30 * 24 * 3600);
/// Seconds of a run when the configuration does not say.
const RUN_SECONDS: u64 = 600;

/// The error of a run that was stopped on purpose.
pub const ABORTED: &str = "aborted";

const STOPPING: &str = "the gateway is stopping";

/// How a run ended, for its caller.
pub type Ending = Result<RunResult, String>;

type Accept = Box<dyn FnOnce() + Send>;
/// Gets whether the caller has been acknowledged before.
type Finish = Box<dyn FnOnce(Ending, bool) + Send>;

pub struct Start {
    pub run: Arc<Run>,
    pub agent_id: String,
    pub session_id: String,
    /// The session has an entry of its own in the store.
    pub listed: bool,
    /// As the model reads it.
    pub text: String,
    pub images: Vec<Block>,
    /// For this run only.
    pub thinking: Option<&'static str>,
    /// Settings of the message, for this run only.
    pub hints: Hints,
    /// For this run only, before the session's own.
    pub model: Option<String>,
    pub extra: Option<String>,
    pub channel: Option<String>,
    pub timeout: Duration,
    pub lane: String,
    pub api: Api,
    /// Called once, when the message cannot be lost any more.
    pub accept: Accept,
    /// Called once, at the end.
    pub finish: Finish,
}

impl Start {
    /// A turn in the run's own session with nothing out of the ordinary, and nobody who is told of
    /// its beginning and end.
    pub fn new(core: &Core, run: Arc<Run>, session_id: String, text: String) -> Start {
        Start {
            agent_id: core.agents.sessions.agent_of(&run.key),
            run,
            session_id,
            listed: true,
            text,
            images: Vec::new(),
            thinking: None,
            hints: Hints::default(),
            model: None,
            extra: None,
            channel: None,
            timeout: default_timeout(&core.config.current()),
            lane: MAIN.into(),
            api: Api::default(),
            accept: Box::new(|| {}),
            finish: Box::new(|_, _| {}),
        }
    }
}

/// What only callers of the model-like HTTP APIs ask for.
#[derive(Clone, Debug, Default)]
pub struct Api {
    /// Tokens of one answer.
    pub max_tokens: Option<u64>,
    /// Tools the caller runs itself. The turn ends when the model calls one; they hide ours of the
    /// same name.
    pub tools: Vec<ToolSpec>,
    /// The first answer shall call one of them.
    pub must_call: bool,
}

/// The limit of a run: `agents.defaults.timeoutSeconds`.
pub fn default_timeout(config: &Snapshot) -> Duration {
    let seconds = config.config.agents.defaults.timeout_seconds;
    Duration::from_secs(seconds.unwrap_or(RUN_SECONDS).max(1))
}

/// Runs the turn when its session and lane are free. Whatever happens, `finish` is called.
pub fn start(core: &Arc<Core>, start: Start) {
    core.agents.ledger.began(&start.run.id, start.run.kind);
    let config = core.config.current();
    let workspace = config
        .config
        .workspace(&start.agent_id, core.config.paths());
    let notes = core.system_events.draw(&start.run.key);
    let text = dress::resumed(core, &start.run, start.text);
    let text = with_events(&config, notes.as_ref(), &text);
    let message = Message::User(User {
        content: content(&text, &start.images),
        timestamp: now_ms(),
    });
    let lane = start.lane.clone();
    let slot = if start.listed {
        start.run.key.clone()
    } else {
        format!("session-id:{}", start.session_id)
    };
    let flight = Arc::new(Flight {
        core: core.clone(),
        message,
        workspace,
        desk: Mutex::new(Desk {
            accept: Some(start.accept),
            finish: Some(start.finish),
            notes,
            pending: None,
            started: false,
            launching: true,
            dropped: false,
        }),
        run: start.run,
        agent_id: start.agent_id,
        session_id: start.session_id,
        listed: start.listed,
        thinking: start.thinking,
        hints: start.hints,
        model: start.model,
        extra: start.extra,
        channel: start.channel,
        timeout: start.timeout,
        api: start.api,
        handed_over: Mutex::default(),
    });
    let ticket = Ticket(flight.clone());
    let placed = core
        .agents
        .lanes
        .submit(&slot, &lane, Box::new(move || Some(ticket.fly())));
    let dropped = {
        let mut desk = flight.desk();
        desk.launching = false;
        desk.dropped
    };
    match placed {
        Err(refused) => flight.fail(&refused.to_string()),
        Ok(_) if dropped => flight.fail(STOPPING),
        Ok(Placed::Running) => {}
        Ok(Placed::Waiting) => flight.accept_waiting(),
    }
}

/// Puts the notes that wait for the session before the message.
fn with_events(config: &Snapshot, notes: Option<&Drawn>, text: &str) -> String {
    let zone = config.config.agents.defaults.user_timezone.as_deref();
    let events = notes.map(Drawn::events).unwrap_or_default();
    let lines = events.iter().map(|event| (event.ts, event.text.as_str()));
    inbound::with_events(lines, text, zone)
}

struct Flight {
    core: Arc<Core>,
    run: Arc<Run>,
    agent_id: String,
    session_id: String,
    listed: bool,
    message: Message,
    workspace: PathBuf,
    thinking: Option<&'static str>,
    hints: Hints,
    model: Option<String>,
    extra: Option<String>,
    channel: Option<String>,
    timeout: Duration,
    api: Api,
    /// Calls of the caller's own tools.
    handed_over: Mutex<Vec<PendingCall>>,
    desk: Mutex<Desk>,
}

/// What is still owed to the caller.
struct Desk {
    accept: Option<Accept>,
    finish: Option<Finish>,
    /// Waiting notes that the message carries.
    notes: Option<Drawn>,
    pending: Option<Spooled>,
    started: bool,
    /// `start` has not heard yet where the job went.
    launching: bool,
    /// The job was dropped meanwhile.
    dropped: bool,
}

/// A flight that is over, but not told.
struct Landing {
    flown: Result<(Outcome, Target, Report), String>,
    took: Duration,
}

/// The job's hold on its flight: a job that is dropped unrun still answers its caller.
struct Ticket(Arc<Flight>);

impl Ticket {
    fn fly(self) -> After {
        let landing = self.0.fly();
        Box::new(move || self.0.land(landing))
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut desk = self.0.desk();
        if desk.launching {
            // The lanes hold their lock here: `start` tells it.
            desk.dropped = true;
            return;
        }
        let owed = desk.finish.is_some();
        drop(desk);
        if owed {
            self.0.fail(STOPPING);
        }
    }
}

impl Flight {
    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn handed_over(&self) -> MutexGuard<'_, Vec<PendingCall>> {
        self.handed_over
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Another turn of the session runs: the message is kept until its own turn comes.
    fn accept_waiting(&self) {
        let mut desk = self.desk();
        if !desk.started {
            self.keep(&mut desk);
        }
    }

    /// The turn began, and something slow comes before its message is in the transcript.
    fn keep_safe(&self) {
        let mut desk = self.desk();
        if desk.accept.is_some() && desk.pending.is_none() {
            self.keep(&mut desk);
        }
    }

    fn keep(&self, desk: &mut Desk) {
        let kept = pending::keep(
            self.core.config.paths(),
            &self.run.key,
            &self.session_id,
            &self.workspace,
            &self.message,
        );
        match kept {
            Ok(pending) => {
                desk.pending = Some(pending);
                if let Some(notes) = desk.notes.take() {
                    notes.used();
                }
            }
            // Not fatal: the caller is acknowledged later, when the message is in the transcript.
            Err(err) => {
                log::error!("cannot keep a waiting message: {err}");
                return;
            }
        }
        // Under the lock, so that the run's own answers come after this one.
        if let Some(accept) = desk.accept.take() {
            accept();
        }
    }

    /// The message is in the transcript.
    fn stored(&self) {
        let (pending, notes) = {
            let mut desk = self.desk();
            if let Some(accept) = desk.accept.take() {
                accept();
            }
            (desk.pending.take(), desk.notes.take())
        };
        if let Some(notes) = notes {
            notes.used();
        }
        if let Some(pending) = pending {
            pending.done();
        }
    }

    fn finish(&self, ending: Ending, error: Option<String>) {
        let (finish, accepted) = {
            let mut desk = self.desk();
            (desk.finish.take(), desk.accept.take().is_none())
        };
        // The answer to repeats is kept before the run leaves the registry: at no moment would a
        // repeat start it anew.
        let (id, kind) = (&self.run.id, self.run.kind);
        self.core.agents.ledger.ended(id, kind, error.as_deref());
        if let Some(finish) = finish {
            finish(ending, accepted);
        }
        queue::put_back(&self.core, &self.run);
        self.core.agents.runs.end(&self.run, error);
        queue::kick(&self.core, &self.run.key);
    }

    /// Ends a run that never got to its turn.
    fn fail(&self, why: &str) {
        let event = Event::Failed {
            started: now_ms(),
            at: now_ms(),
            error: why,
        };
        self.tell(event);
        self.finish(Err(why.into()), Some(why.into()));
    }

    /// Does the turn; what it returns tells the end.
    fn fly(&self) -> Landing {
        self.desk().started = true;
        let config = self.core.config.current();
        let began = Instant::now();
        let flown = self.turn(&config);
        Landing {
            flown,
            took: began.elapsed(),
        }
    }

    fn land(&self, landing: Landing) {
        match landing.flown {
            Err(why) => {
                log::error!("run {} failed: {why}", self.run.id);
                self.fail(&why);
            }
            Ok((outcome, target, report)) => {
                outcome.tell_end(self);
                if self.listed {
                    let used = outcome.usage.total_tokens;
                    let window = target.context_window;
                    if !flush::comes_next(self, window, &report) {
                        compaction::when_full(&self.core, &self.run.key, window, used);
                    }
                }
                let error = match &outcome.end {
                    End::Failed(why) => Some(why.clone()),
                    End::Aborted => Some(ABORTED.into()),
                    End::Done | End::TimedOut => None,
                };
                let ending = match &error {
                    Some(why) => Err(why.clone()),
                    None => Ok(self.result(outcome, &target, report, landing.took)),
                };
                self.finish(ending, error);
            }
        }
    }

    fn turn(&self, config: &Arc<Snapshot>) -> Result<(Outcome, Target, Report), String> {
        let agents = &self.core.agents;
        let defaults = &config.config.agents.defaults;
        workspace::create(&self.workspace, defaults.skip_bootstrap)
            .map_err(|err| format!("cannot create {}: {err}", self.workspace.display()))?;
        let opening = Opening::new(&self.run.key, &self.session_id, &self.workspace);
        let transcript = agents.sessions.transcript(&opening).map_err(text)?;
        let mut memory = Tape { transcript };
        let entry = agents.sessions.entry(&self.run.key).map_err(text)?;
        let mut entry = entry.filter(|_| self.listed).unwrap_or_default();
        self.hints
            .apply(config, &self.agent_id, &self.run.key, &mut entry);
        let chain = Chain::of(
            config,
            agents.sessions.paths(),
            &self.agent_id,
            &entry,
            self.model.as_deref(),
        );
        let chain = match chain {
            Ok(chain) => chain,
            Err(why) => {
                // The words were said, whoever can or cannot answer them.
                memory.append(&self.message)?;
                self.stored();
                return Err(why);
            }
        };
        let thinking = self.thinking(config, &entry, &chain.targets[0]);
        let skills = skills::usable(&self.core, config, &self.agent_id);
        let bench = Bench::new(self, config, &entry, &chain.targets[0], &skills);
        let folder = self.folder(config)?;
        let max_chars = defaults.bootstrap_max_chars.unwrap_or(FILE_CHARS);
        let fenced = sandbox::is_used(&config.config, &self.agent_id);
        let subagent = session::key::is_subagent(&self.run.key);
        let mut files = workspace::load(&folder, subagent, max_chars, fenced);
        let beginning = hooks::Beginning {
            agent: &self.agent_id,
            key: &self.run.key,
            session_id: &self.session_id,
            workspace: &folder,
            fenced,
            max_chars,
        };
        hooks::bootstrap(&self.core, config, &beginning, &mut files);
        let brief = Brief {
            flight: self,
            config,
            entry: &entry,
            folder: &folder,
            files: &files,
            skills: &skills,
            tools: bench.tools.iter().map(|t| (t.name, t.summary)).collect(),
            thinking,
            default_model: models::reference(config, &self.agent_id).to_string(),
        };
        flush::first(self, &mut memory, &bench, &brief, &chain);
        let first = &chain.targets[0];
        let heard = hearing::heard(self, config, &self.message);
        let said = heard.as_ref().unwrap_or(&self.message);
        let message = shown::with_named(self, config, &folder, first, said)
            .or_else(|| sight::described(self, config, first, said))
            .or(heard);
        let deadline = Instant::now() + self.timeout;
        let cancel = self.run.cancel.clone();
        let limit = agents.clock().at(deadline, move || cancel.cancel());
        let mut outcome = turn::run(
            &Turn {
                message: message.unwrap_or_else(|| self.message.clone()),
                candidates: &chain.targets,
                thinking,
                session_id: &self.session_id,
                cancel: &self.run.cancel,
                deadline,
                max_turns: history::turn_limit(&self.run.key, &config.config.channels),
                max_tokens: self.api.max_tokens,
                must_call: self.api.must_call,
                reasoning: entry.reasoning_level.as_deref() == Some("on"),
                compact: true,
                reserve: compaction::reserve(config),
                pruning: Pruning::of(&config.config.agents.defaults.context_pruning),
                patience: patience::of(&chain.agent_dir, &self.workspace),
            },
            Parts {
                model: &*agents.model,
                tools: &bench,
                steer: &self.run.steering,
                memory: &mut memory,
                sink: self,
                prompt: &|target| brief.prompt(target),
            },
        );
        drop(limit);
        let spoke = outcome
            .failed
            .iter()
            .all(|(at, _)| *at != outcome.candidate);
        let worked = (spoke && outcome.end == End::Done).then_some(outcome.candidate);
        chain.learn(config, &outcome.failed, worked);
        dress::reply(self, config, &entry, &chain, thinking, &mut outcome);
        let target = chain.targets[outcome.candidate].clone();
        let report = brief.report(&outcome.prompt, &bench.specs, &target);
        if outcome.compactions > 0 && self.run.verbose != Verbose::Off {
            let before = entry.compaction_count.unwrap_or(0);
            outcome.payloads.insert(
                0,
                Payload {
                    text: compaction::complete(before + outcome.compactions),
                    ..Payload::default()
                },
            );
        }
        if self.listed {
            // Another provider's profile is nothing the session could keep to.
            let home = &chain.targets[0].provider;
            let profile = worked.filter(|_| target.provider == *home);
            let profile = profile.and_then(|at| chain.profile(at));
            self.note(&outcome, &target, profile, &skills);
        }
        Ok((outcome, target, report))
    }

    /// Where the agent works: a sandboxed session in a folder of its own, unless it may write the
    /// workspace.
    fn folder(&self, config: &Snapshot) -> Result<PathBuf, String> {
        let (agent, key) = (&self.agent_id, &self.run.key);
        let access = sandbox::of_session(&config.config, agent, key);
        if access.is_none_or(|access| access == sandbox::Access::Write) {
            return Ok(self.workspace.clone());
        }
        let settings = sandbox::Settings::of(&config.config, self.core.config.paths(), agent);
        let folder = settings.folder(agent, key);
        create_private_dir(&folder)
            .map_err(|err| format!("the sandbox's folder {}: {err}", folder.display()))?;
        if let Err(err) = workspace::seed(&self.workspace, &folder) {
            // The turn can do without, and a disk that is full must not end it.
            log::warn!("cannot copy to {}: {err}", folder.display());
        }
        Ok(folder)
    }

    fn thinking(&self, config: &Snapshot, entry: &Entry, target: &Target) -> &'static str {
        let level = |text: Option<&String>| text.and_then(|t| inbound::thinking_level(t));
        let default = if target.reasoning { "low" } else { "off" };
        self.thinking
            .or_else(|| self.hints.thinking())
            .or_else(|| level(entry.thinking_level.as_ref()))
            .or_else(|| level(config.config.agents.defaults.thinking_default.as_ref()))
            .unwrap_or(default)
    }

    /// Does `work`, which is cancelled with the run, and after `patience`.
    fn within<T>(&self, patience: Duration, work: impl FnOnce(&Cancel) -> T) -> T {
        let cancel = Cancel::new();
        let (with_run, in_time) = (cancel.clone(), cancel.clone());
        let _with_run = self.run.cancel.on_cancel(move || with_run.cancel());
        let clock = self.core.agents.clock();
        let _limit = clock.at(Instant::now() + patience, move || in_time.cancel());
        work(&cancel)
    }
}

impl Sink for Flight {
    fn tell(&self, event: Event) {
        if matches!(event, Event::Stored) {
            self.stored();
        } else {
            if matches!(event, Event::Started { .. }) {
                self.run.steering.open();
            }
            self.core
                .agents
                .runs
                .tell(&self.core.clients, &self.run, &event);
        }
    }
}

fn content(text: &str, images: &[Block]) -> Content {
    let blocks = std::iter::once(Block::text(text)).chain(images.iter().cloned());
    Content::Blocks(blocks.collect())
}

fn text(err: session::Error) -> String {
    err.to_string()
}
