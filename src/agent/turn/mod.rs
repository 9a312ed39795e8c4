//! One turn: the user's message, model calls and tool calls until the model has said its last word.
//!
//! Every message is in the transcript before anything that depends on it happens: the user's before
//! the model is asked, an answer before its tools run, the last answer before the end is told. What
//! a failed or stopped call had begun to say is not kept as an answer.

mod ask;
mod call;
mod room;

use super::clean;
use super::compact::Record;
use super::event::{Event, Sink};
use super::failover::{self, Attempt, Patience, Step};
use super::levels;
use super::payload::{self, Said};
use super::prompt::Prompt;
use super::prune::Pruning;
use crate::base::cancel::Cancel;
use crate::base::time::now_ms;
use crate::model::{Class, Client, Error, Target, ToolSpec};
use crate::tool::Output;
use crate::wire::gateway::agent::{MetaError, Payload};
use crate::wire::message::{Message, StopReason, Usage};
use ask::thinking_of;
use room::Relief;
use serde_json::{Map, Value};
use std::time::{Duration, Instant};

/// Most characters of a tool's error in a reply.
const MAX_TOOL_ERROR: usize = 400;

/// The session's transcript, as a turn uses it. Errors are texts for people.
pub trait Memory: Record {
    /// Notes the model and level of this turn, where they are new to the session.
    fn begin(&mut self, target: &Target, thinking: &str) -> Result<(), String>;
    /// When this returns the message survives the death of the process.
    fn append(&mut self, message: &Message) -> Result<(), String>;
    /// When this returns everything appended survives a power cut.
    fn settle(&mut self) -> Result<(), String>;
}

/// The tools of this run.
pub trait Toolbox: Sync {
    fn specs(&self) -> &[ToolSpec];
    /// Of `specs`, those that the caller runs itself; mostly none.
    fn callers(&self) -> &[ToolSpec];
    /// Runs a call, or says why not; cancelling ends it early.
    fn call(&self, call: &Call, cancel: &Cancel, update: &(dyn Fn(Output) + Sync)) -> Ran;
}

/// Words people have for a turn that already runs.
pub trait Steer: Sync {
    /// The next of them; `ending` when the turn ends unless there is one: then none comes any more.
    fn next(&self, ending: bool) -> Option<Message>;
    /// What `next` gave is in the transcript.
    fn stored(&self);
}

pub struct Call<'a> {
    pub id: &'a str,
    pub name: &'a str,
    pub arguments: &'a Map<String, Value>,
}

/// A call's outcome.
#[derive(Clone, Debug, Default)]
pub struct Ran {
    pub output: Output,
    /// It never ran: no such tool, bad arguments.
    pub refused: bool,
    /// People should see it as failed.
    pub failed: bool,
    /// The turn ends with this answer's calls: somebody else does the work.
    pub last: bool,
}

pub struct Turn<'a> {
    /// The user's.
    pub message: Message,
    /// The chosen model, then its fallbacks; never empty.
    pub candidates: &'a [Target],
    pub thinking: &'a str,
    pub session_id: &'a str,
    /// Whoever cancels at `deadline` makes it a timeout; earlier, an abort.
    pub cancel: &'a Cancel,
    pub deadline: Instant,
    pub max_turns: Option<usize>,
    /// Tokens of one answer, when the caller limits them.
    pub max_tokens: Option<u64>,
    /// The first answer shall call one of the caller's tools.
    pub must_call: bool,
    /// People see what the answer was thought out with.
    pub reasoning: bool,
    /// A conversation that has become too long is summarised.
    pub compact: bool,
    /// Tokens kept free for the answer, when configured.
    pub reserve: Option<u64>,
    /// Old results of tools give way after a pause.
    pub pruning: Option<Pruning>,
    /// With a model that fails for a moment.
    pub patience: Patience,
}

pub struct Parts<'a> {
    pub model: &'a dyn Client,
    pub tools: &'a dyn Toolbox,
    pub steer: &'a dyn Steer,
    pub memory: &'a mut dyn Memory,
    pub sink: &'a dyn Sink,
    pub prompt: &'a dyn Fn(&Target) -> Prompt,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// Also when the model's error is the answer.
    Done,
    Aborted,
    TimedOut,
    /// The run itself failed, for this reason.
    Failed(String),
}

#[derive(Debug)]
pub struct Outcome {
    pub end: End,
    pub payloads: Vec<Payload>,
    /// The model's words were that nothing needs attention.
    pub acknowledged: bool,
    /// Index of the candidate that spoke last.
    pub candidate: usize,
    /// Candidates that gave up, and why.
    pub failed: Vec<(usize, Class)>,
    /// Of the last model call.
    pub usage: Usage,
    pub error: Option<MetaError>,
    /// How often the conversation was summarised.
    pub compactions: u64,
    /// The model was asked with a prompt without tools.
    pub prompt: Prompt,
    pub started: u64,
}

struct Run<'t, 'p> {
    turn: &'t Turn<'t>,
    parts: Parts<'p>,
    /// Where this run's own messages start in the context.
    own: usize,
    /// Where the part that is sent starts.
    shown: usize,
    /// Characters of what stands before it.
    hidden: usize,
    /// What is sent in the place of which message of the context.
    pruned: Vec<(usize, Message)>,
    relief: Relief,
    said: Said,
    usage: Usage,
    attempts: Vec<Attempt>,
    /// Lower than the turn's when the model does not know that one.
    thinking: &'t str,
    /// The model has been asked and has not answered.
    asking: bool,
    /// An answer that calls one of the caller's tools is due and has not come yet.
    owes: bool,
}

/// How one model's part of a run ended.
enum Stop {
    Spoken,
    Cancelled,
    Model(Error),
    /// The transcript cannot be written.
    Broken(String),
}

pub fn run(turn: &Turn, parts: Parts) -> Outcome {
    let started = now_ms();
    let mut run = Run {
        turn,
        owes: turn.must_call && !parts.tools.callers().is_empty(),
        parts,
        own: 0,
        shown: 0,
        hidden: 0,
        pruned: Vec::new(),
        relief: Relief::default(),
        said: Said::default(),
        usage: Usage::default(),
        attempts: Vec::new(),
        thinking: turn.thinking,
        asking: false,
    };
    let first = &turn.candidates[0];
    let prompt = (run.parts.prompt)(first);
    if let Err(why) = run.begin(first) {
        return run.outcome(End::Failed(why), 0, None, prompt, started);
    }
    run.parts.sink.tell(Event::Stored);
    run.parts.sink.tell(Event::Started { at: now_ms() });
    run.through_candidates(prompt, started)
}

impl Run<'_, '_> {
    fn begin(&mut self, target: &Target) -> Result<(), String> {
        self.own = self.parts.memory.messages().len();
        self.parts.memory.begin(target, self.turn.thinking)?;
        self.parts.memory.append(&self.turn.message)
    }

    fn through_candidates(mut self, mut prompt: Prompt, started: u64) -> Outcome {
        let candidates = self.turn.candidates;
        let mut i = 0;
        loop {
            let target = &candidates[i];
            let more = i + 1 < candidates.len();
            let stop = match self.make_room(target, &prompt) {
                Ok(()) => self.with_relief(target, &prompt, more),
                Err(stop) => stop,
            };
            let error = match stop {
                Stop::Spoken => return self.end(End::Done, i, prompt, started),
                Stop::Cancelled => {
                    let late = Instant::now() >= self.turn.deadline;
                    if late && self.asking {
                        self.attempts.push(Attempt {
                            candidate: i,
                            model: format!("{}/{}", target.provider, target.model),
                            error: "no answer within the time limit of the run".into(),
                            class: Class::Timeout,
                        });
                    }
                    let end = if late { End::TimedOut } else { End::Aborted };
                    return self.end(end, i, prompt, started);
                }
                Stop::Broken(why) => return self.end(End::Failed(why), i, prompt, started),
                Stop::Model(error) => error,
            };
            self.attempts.push(Attempt {
                candidate: i,
                model: format!("{}/{}", target.provider, target.model),
                error: error.message.clone(),
                class: error.class,
            });
            let next = failover::decide(&error, usize::MAX, more, self.turn.patience) == Step::Next;
            if next {
                log::warn!(
                    "{}/{} failed, trying the next model: {error}",
                    target.provider,
                    target.model
                );
                i += 1;
                self.thinking = self.turn.thinking;
                prompt = (self.parts.prompt)(&candidates[i]);
                continue;
            }
            if let Some(why) = failover::all_failed(&self.attempts) {
                return self.end(End::Failed(why), i, prompt, started);
            }
            self.said.error = Some(error.message);
            return self.end(End::Done, i, prompt, started);
        }
    }

    /// Asks again with less when the service says that the request is too large.
    fn with_relief(&mut self, target: &Target, prompt: &Prompt, more: bool) -> Stop {
        loop {
            match self.with_retries(target, prompt, more) {
                Stop::Model(error) if error.class == Class::ContextOverflow => {
                    if let Some(stop) = self.relieve(target, prompt, error) {
                        return stop;
                    }
                }
                stop => return stop,
            }
        }
    }

    fn with_retries(&mut self, target: &Target, prompt: &Prompt, more: bool) -> Stop {
        let mut tries = 0;
        let mut levels = vec![self.thinking];
        loop {
            let stop = self.talk(target, prompt);
            let Stop::Model(error) = stop else {
                return stop;
            };
            if let Some(level) = levels::supported_instead(&error.message, self.thinking, &levels) {
                log::info!(
                    "{}/{} does not think at level {}: asking with {level}",
                    target.provider,
                    target.model,
                    self.thinking
                );
                self.thinking = level;
                levels.push(level);
                continue;
            }
            // A service that cannot be made to: it has been asked to in words, too.
            if self.owes && error.message.contains("tool_choice") {
                self.owes = false;
                continue;
            }
            tries += 1;
            match failover::decide(&error, tries, more, self.turn.patience) {
                Step::Retry(wait) => {
                    log::warn!(
                        "{}/{} failed, asking again in {} s: {error}",
                        target.provider,
                        target.model,
                        wait.as_secs()
                    );
                    if !pause(self.turn.cancel, wait) {
                        return Stop::Cancelled;
                    }
                }
                Step::Next | Step::GiveUp => return Stop::Model(error),
            }
        }
    }

    /// Model calls and tool calls until the model needs no more tools.
    fn talk(&mut self, target: &Target, prompt: &Prompt) -> Stop {
        self.said.final_only = clean::wants_final_tag(&target.provider);
        loop {
            let answer = match self.ask(target, prompt) {
                Ok(answer) => answer,
                Err(stop) => return stop,
            };
            self.owes = false;
            self.usage = answer.usage.clone();
            let thought = self.turn.reasoning.then(|| thinking_of(&answer.content));
            self.said.reasoning = thought;
            let text = answer.text();
            if !text.trim().is_empty() {
                self.said.texts.push(text);
            }
            let calls: Vec<(String, String, Map<String, Value>)> = answer
                .tool_calls()
                .map(|(id, name, args)| (id.into(), name.into(), args.clone()))
                .collect();
            self.said.ended_on_tool = !calls.is_empty();
            // The answer ran out of tokens inside its last call: what is there of the arguments is
            // a guess, and half a command can do what nobody asked for.
            let cut = answer.stop_reason == StopReason::Length;
            if let Err(stop) = self.keep(Message::Assistant(answer)) {
                return stop;
            }
            let mut last = false;
            let mut steered = None;
            for (at, (id, name, arguments)) in calls.iter().enumerate() {
                let call = Call {
                    id,
                    name,
                    arguments,
                };
                if steered.is_some() {
                    if let Err(stop) = self.skip_tool(&call) {
                        return stop;
                    }
                    continue;
                }
                let whole = !(cut && at + 1 == calls.len());
                match self.use_tool(&call, whole) {
                    Ok(ends) => last |= ends,
                    Err(stop) => return stop,
                }
                if !last {
                    steered = self.parts.steer.next(false);
                }
            }
            if last {
                return Stop::Spoken;
            }
            if calls.is_empty() {
                steered = self.parts.steer.next(true);
                if steered.is_none() {
                    return Stop::Spoken;
                }
            }
            if let Some(message) = steered {
                if let Err(stop) = self.keep(message) {
                    return stop;
                }
                self.parts.steer.stored();
            }
        }
    }

    fn keep(&mut self, message: Message) -> Result<(), Stop> {
        self.parts.memory.append(&message).map_err(Stop::Broken)
    }

    fn end(mut self, end: End, candidate: usize, prompt: Prompt, started: u64) -> Outcome {
        // An abort keeps nothing that must survive a power cut, and its caller waits.
        let end = match end {
            End::Aborted => end,
            _ => match (self.parts.memory.settle(), end) {
                (Err(why), End::Done) => End::Failed(why),
                (_, end) => end,
            },
        };
        let error = self.said.error.as_ref().and_then(|message| {
            let failed = std::mem::take(&mut self.relief.failed);
            payload::error_kind(message).map(|kind| MetaError {
                kind: if failed { "compaction_failure" } else { kind },
                message: message.clone(),
            })
        });
        self.outcome(end, candidate, error, prompt, started)
    }

    fn outcome(
        self,
        end: End,
        candidate: usize,
        error: Option<MetaError>,
        prompt: Prompt,
        started: u64,
    ) -> Outcome {
        let mut payloads = payload::assemble(&self.said);
        if end == End::TimedOut && payloads.is_empty() {
            payloads.push(Payload {
                text: "The run took longer than its time limit and was stopped. Try again, or raise agents.defaults.timeoutSeconds.".into(),
                is_error: true,
                ..Payload::default()
            });
        }
        Outcome {
            end,
            payloads,
            acknowledged: payload::is_acknowledgement(&self.said),
            candidate,
            failed: self
                .attempts
                .iter()
                .map(|a| (a.candidate, a.class))
                .collect(),
            usage: self.usage,
            compactions: self.relief.compactions,
            error,
            prompt,
            started,
        }
    }
}

impl Outcome {
    /// Tells the end, once everything that clients will ask about next is in place. An abort is
    /// told by whoever aborted.
    pub fn tell_end(&self, sink: &dyn Sink) {
        let at = now_ms();
        let started = self.started;
        match &self.end {
            End::Done => sink.tell(Event::Ended { at, aborted: false }),
            End::TimedOut => sink.tell(Event::Ended { at, aborted: true }),
            End::Failed(error) => sink.tell(Event::Failed { started, at, error }),
            End::Aborted => {}
        }
    }
}

/// Waits; false when cancelled meanwhile.
fn pause(cancel: &Cancel, wait: Duration) -> bool {
    let thread = std::thread::current();
    let _wake = cancel.on_cancel(move || thread.unpark());
    let until = Instant::now() + wait;
    while !cancel.is_cancelled() {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return true;
        }
        std::thread::park_timeout(left);
    }
    false
}

#[cfg(test)]
mod tests;
