//! The runs of this core: which are in flight, which ended lately, who waits for one, and what
//! clients are told of each.
//!
//! A run has one terminal state. Whoever tells it first (the turn, an abort, a lost run) wins, and
//! nothing of that run is told afterwards.

use super::broadcast::{Clients, Rules};
use super::clock::{Alarm, Clock};
use super::queue::Steering;
use crate::agent::event::Event;
use crate::base::cancel::Cancel;
use crate::base::time::now_ms;
use crate::tool::approve::Sender;
use crate::wire::gateway::agent as wire;
use crate::wire::gateway::chat::{self, Said};
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// At most one delta of a run in this time; the text in between comes with the next.
const DELTA_EVERY: Duration = Duration::from_millis(150);
/// How long an ended run can still be asked about.
const REMEMBER: Duration = Duration::from_secs(600);
/// Ended runs kept at most: what a busy ten minutes may hold.
const MAX_ENDED: usize = 500;
/// Requests waiting for runs at most.
const MAX_WAITERS: usize = 1000;

#[derive(Default)]
pub struct Runs {
    state: Mutex<State>,
    clock: Clock,
}

#[derive(Default)]
struct State {
    active: HashMap<String, Arc<Run>>,
    ended: HashMap<String, Ended>,
    /// Ids of `ended`, oldest first.
    order: VecDeque<(Instant, String)>,
    waiters: HashMap<String, Vec<Waiter>>,
    waiting: usize,
    next_waiter: u64,
}

struct Waiter {
    id: u64,
    answer: Box<dyn FnOnce(Option<Ended>) + Send>,
    _patience: Alarm,
}

/// How a run ended, as `agent.wait` tells it.
#[derive(Clone, Debug, PartialEq)]
pub struct Ended {
    pub started_at: Option<u64>,
    pub ended_at: u64,
    /// Why it failed; `None` when it did not.
    pub error: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `chat.send`: can be stopped by session.
    Chat,
    Agent,
    /// A command of a person's: no turn, and nothing waits for it.
    Command,
    /// A heartbeat: clients see it as a run, not as a chat.
    Heartbeat,
}

/// What of the tools a client that asked for tool events sees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Verbose {
    #[default]
    Off,
    On,
    Full,
}

pub type Ear = Box<dyn Fn(&Event) + Send + Sync>;

/// One run in flight.
pub struct Run {
    pub id: String,
    /// The session key as the caller wrote it: clients only heed events under their own spelling.
    pub shown_key: String,
    /// The session's own key.
    pub key: String,
    pub kind: Kind,
    pub cancel: Cancel,
    /// The connection that gets tool events.
    pub watcher: Option<String>,
    pub verbose: Verbose,
    /// Whose message began it, where people are told apart.
    pub sender: Option<Sender>,
    /// When the sweep may stop it.
    pub expires: Option<Instant>,
    /// Hears every event that is told, on the thread that tells it; must not block.
    pub ear: Option<Ear>,
    /// What people say to it while it runs.
    pub steering: Steering,
    progress: Mutex<Progress>,
}

#[derive(Default)]
struct Progress {
    /// Number of the last event.
    seq: u64,
    /// All text so far of the current message.
    text: String,
    said_at: Option<Instant>,
    started_at: Option<u64>,
    /// Below the last message.
    footer: String,
    /// The terminal state has been told.
    told: bool,
}

impl Run {
    pub fn new(id: &str, shown_key: &str, key: &str, kind: Kind) -> Run {
        Run {
            id: id.into(),
            shown_key: shown_key.into(),
            key: key.into(),
            kind,
            cancel: Cancel::new(),
            watcher: None,
            verbose: Verbose::Off,
            sender: None,
            expires: None,
            ear: None,
            steering: Steering::default(),
            progress: Mutex::default(),
        }
    }

    /// Its end has been told: whoever heard of it may go on in the session.
    pub fn is_told(&self) -> bool {
        self.progress().told
    }

    /// What people are shown below its answer, and the conversation does not keep.
    pub fn set_footer(&self, line: &str) {
        self.progress().footer = line.into();
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Verbose {
    pub fn parse(level: Option<&str>) -> Verbose {
        match level {
            Some("on") => Verbose::On,
            Some("full") => Verbose::Full,
            _ => Verbose::Off,
        }
    }
}

impl Runs {
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Puts a run in flight; false when one of that id already is.
    pub fn begin(&self, run: &Arc<Run>) -> bool {
        let mut state = self.state();
        if state.active.contains_key(&run.id) {
            return false;
        }
        state.active.insert(run.id.clone(), run.clone());
        true
    }

    /// Takes back a `begin` that never became a run.
    pub fn withdraw(&self, run: &Run) {
        self.state().active.remove(&run.id);
    }

    pub fn get(&self, id: &str) -> Option<Arc<Run>> {
        self.state().active.get(id).cloned()
    }

    /// Stops the chats of a session; which ones.
    pub fn abort_chats(&self, clients: &Clients, key: &str, reason: &str) -> Vec<String> {
        let runs = self.of_session(key).into_iter();
        runs.filter(|run| run.kind == Kind::Chat && self.abort(clients, run, reason))
            .map(|run| run.id.clone())
            .collect()
    }

    /// Runs in flight of a session.
    pub fn of_session(&self, key: &str) -> Vec<Arc<Run>> {
        let state = self.state();
        state
            .active
            .values()
            .filter(|run| run.key == key)
            .cloned()
            .collect()
    }

    /// Those of them that talk to a model.
    pub fn turns_of(&self, key: &str) -> Vec<Arc<Run>> {
        let mut runs = self.of_session(key);
        runs.retain(|run| run.kind != Kind::Command);
        runs
    }

    pub fn count(&self) -> usize {
        self.state().active.len()
    }

    /// Sends an event of a run to whom it concerns. The run's lock is held meanwhile, so that
    /// numbers leave in order; sending never waits for a client.
    pub fn tell(&self, clients: &Clients, run: &Run, event: &Event) {
        if matches!(event, Event::Stored) {
            return;
        }
        let mut progress = run.progress();
        if progress.told {
            return;
        }
        if let Some(ear) = &run.ear {
            ear(event);
        }
        progress.seq += 1;
        let (seq, ts) = (progress.seq, now_ms());
        let is_tool = event.stream() == "tool";
        if !is_tool || (run.watcher.is_some() && run.verbose != Verbose::Off) {
            let payload = wire::Event {
                run_id: &run.id,
                stream: event.stream(),
                data: event.data(run.verbose == Verbose::Full),
                session_key: Some(&run.shown_key),
                seq,
                ts,
            };
            match run.watcher.as_ref().filter(|_| is_tool) {
                Some(watcher) => clients.send_to(watcher, "agent", &payload),
                None => clients.broadcast("agent", &payload, Rules::ALL),
            }
        }
        match event {
            Event::Started { at } => progress.started_at = Some(*at),
            Event::Text { text, .. } => {
                progress.text.clear();
                progress.text.push_str(text);
                let quiet = progress.said_at.map(|at| at.elapsed());
                let due = quiet.is_none_or(|quiet| quiet >= DELTA_EVERY);
                if due && run.kind != Kind::Heartbeat {
                    progress.said_at = Some(Instant::now());
                    let message = Some(Said::new(text, ts));
                    chat(clients, run, seq, "delta", message, None, None);
                }
            }
            // What it means for people is told by who started it.
            Event::Ended { .. } if run.kind == Kind::Heartbeat => {}
            Event::Ended { .. } => {
                progress.told = true;
                let mut text = std::mem::take(&mut progress.text);
                if !text.is_empty() && !progress.footer.is_empty() {
                    text.push('\n');
                    text.push_str(&progress.footer);
                }
                let message = (!text.is_empty()).then(|| Said::new(&text, ts));
                chat(clients, run, seq, "final", message, None, None);
            }
            Event::Failed { error, .. } => {
                progress.told = true;
                if run.kind != Kind::Heartbeat {
                    chat(clients, run, seq, "error", None, Some(error), None);
                }
            }
            _ => {}
        }
    }

    /// One final answer that no model gave: a command's, or none at all.
    pub fn tell_final(&self, clients: &Clients, run: &Run, text: Option<&str>) {
        let mut progress = run.progress();
        if std::mem::replace(&mut progress.told, true) {
            return;
        }
        progress.seq += 1;
        let message = text.map(|text| Said::injected(text, now_ms()));
        chat(clients, run, progress.seq, "final", message, None, None);
    }

    /// What a heartbeat found, for those who have its session open.
    pub fn tell_alert(&self, clients: &Clients, run: &Run, text: &str) {
        let mut progress = run.progress();
        if std::mem::replace(&mut progress.told, true) {
            return;
        }
        progress.seq += 1;
        let message = Some(Said::new(text, now_ms()));
        chat(clients, run, progress.seq, "final", message, None, None);
    }

    /// Stops a run and tells so; false when its end was told already.
    pub fn abort(&self, clients: &Clients, run: &Run, reason: &str) -> bool {
        {
            let mut progress = run.progress();
            if std::mem::replace(&mut progress.told, true) {
                return false;
            }
            progress.seq += 1;
            chat(
                clients,
                run,
                progress.seq,
                "aborted",
                None,
                None,
                Some(reason),
            );
        }
        run.cancel.cancel();
        true
    }

    /// Takes a run out of flight and answers those who wait for it.
    pub fn end(&self, run: &Run, error: Option<String>) {
        let ended = Ended {
            started_at: run.progress().started_at,
            ended_at: now_ms(),
            error,
        };
        let waiters = {
            let mut state = self.state();
            state.active.remove(&run.id);
            state.remember(&run.id, ended.clone());
            let waiters = state.waiters.remove(&run.id).unwrap_or_default();
            state.waiting -= waiters.len();
            waiters
        };
        for waiter in waiters {
            (waiter.answer)(Some(ended.clone()));
        }
    }

    /// Remembers a run of the last core.
    pub fn recall(&self, id: &str, ended: Ended) {
        self.state().remember(id, ended);
    }

    /// Answers when run `id` has ended, or with `None` after `patience`. Refused when too many
    /// wait already.
    pub fn wait(
        self: &Arc<Self>,
        id: &str,
        patience: Duration,
        answer: impl FnOnce(Option<Ended>) + Send + 'static,
    ) -> Result<(), &'static str> {
        let mut state = self.state();
        state.forget_old();
        if let Some(ended) = state.ended.get(id).cloned() {
            drop(state);
            answer(Some(ended));
            return Ok(());
        }
        if patience.is_zero() {
            drop(state);
            answer(None);
            return Ok(());
        }
        if state.waiting >= MAX_WAITERS {
            return Err("too many requests wait for runs; try again later");
        }
        state.next_waiter += 1;
        state.waiting += 1;
        let number = state.next_waiter;
        let (runs, run_id) = (Arc::downgrade(self), id.to_string());
        let patience = self.clock.at(Instant::now() + patience, move || {
            if let Some(runs) = runs.upgrade() {
                runs.give_up(&run_id, number);
            }
        });
        state.waiters.entry(id.into()).or_default().push(Waiter {
            id: number,
            answer: Box::new(answer),
            _patience: patience,
        });
        Ok(())
    }

    fn give_up(&self, run_id: &str, number: u64) {
        let waiter = {
            let mut state = self.state();
            let Some(list) = state.waiters.get_mut(run_id) else {
                return;
            };
            let Some(at) = list.iter().position(|w| w.id == number) else {
                return;
            };
            let waiter = list.swap_remove(at);
            if list.is_empty() {
                state.waiters.remove(run_id);
            }
            state.waiting -= 1;
            waiter
        };
        (waiter.answer)(None);
    }

    /// Once a minute: stops chat runs past their time and forgets old ones.
    pub fn sweep(&self, clients: &Clients) {
        let now = Instant::now();
        let late: Vec<Arc<Run>> = {
            let mut state = self.state();
            state.forget_old();
            state
                .active
                .values()
                .filter(|run| run.expires.is_some_and(|at| now >= at))
                .cloned()
                .collect()
        };
        for run in late {
            self.abort(clients, &run, "timeout");
        }
    }

    /// For shutdown: every run is cancelled; their threads tell the rest.
    pub fn cancel_all(&self) {
        let all: Vec<Arc<Run>> = self.state().active.values().cloned().collect();
        for run in all {
            run.cancel.cancel();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn remember(&mut self, id: &str, ended: Ended) {
        self.forget_old();
        if self.ended.insert(id.into(), ended).is_none() {
            self.order.push_back((Instant::now(), id.into()));
        }
        while self.order.len() > MAX_ENDED {
            self.forget_first();
        }
    }

    fn forget_old(&mut self) {
        while self
            .order
            .front()
            .is_some_and(|(at, _)| at.elapsed() > REMEMBER)
        {
            self.forget_first();
        }
    }

    fn forget_first(&mut self) {
        if let Some((_, id)) = self.order.pop_front() {
            self.ended.remove(&id);
        }
    }
}

fn chat(
    clients: &Clients,
    run: &Run,
    seq: u64,
    state: &'static str,
    message: Option<Said>,
    error_message: Option<&str>,
    stop_reason: Option<&str>,
) {
    let rules = if state == "delta" {
        Rules::DROP
    } else {
        Rules::ALL
    };
    let event = chat::Event {
        run_id: &run.id,
        session_key: &run.shown_key,
        seq,
        state,
        message,
        error_message,
        stop_reason,
    };
    clients.broadcast("chat", &event, rules);
}

#[cfg(test)]
mod tests {
    use super::super::broadcast::tests::{client, next};
    use super::*;
    use crate::net::frame;
    use serde_json::{Map, Value, json};
    use std::os::unix::net::UnixStream;
    use std::sync::mpsc;

    fn watched() -> (Clients, UnixStream, String) {
        let clients = Clients::default();
        let (one, mut far) = client("operator", &["operator.read"]);
        let id = one.conn_id.clone();
        clients.admit(one, frame::json(&json!("hello")));
        next(&mut far);
        (clients, far, id)
    }

    fn run(id: &str) -> Arc<Run> {
        Arc::new(Run::new(id, "main", "agent:main:main", Kind::Chat))
    }

    /// Keys of an object, deep, with the values of those that say what an event is.
    fn shape(value: &Value) -> Value {
        match value {
            Value::Object(map) => map
                .iter()
                .filter(|(k, _)| *k != "mediaUrls")
                .map(|(k, v)| {
                    let kept = ["phase", "stream", "state", "event", "role", "stopReason"];
                    let v = if kept.contains(&k.as_str()) {
                        v.clone()
                    } else {
                        shape(v)
                    };
                    (k.clone(), v)
                })
                .collect::<Map<_, _>>()
                .into(),
            Value::Array(list) => list.iter().map(shape).collect(),
            Value::String(_) => "s".into(),
            Value::Number(_) => 0.into(),
            other => other.clone(),
        }
    }

    #[test]
    fn a_run_is_told_in_the_shapes_and_order_of_the_original() {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../shared/data/agent-events.json"
        );
        let Ok(text) = std::fs::read_to_string(path) else {
            eprintln!(
                "skipped: a_run_is_told_in_the_shapes_and_order_of_the_original: no recordings"
            );
            return;
        };
        let recorded: Value = serde_json::from_str(&text).unwrap();
        let (clients, mut far, conn) = watched();
        let runs = Runs::default();
        let mut watched = Run::new("r", "main", "agent:main:main", Kind::Chat);
        watched.watcher = Some(conn);
        watched.verbose = Verbose::Full;
        let args = Map::from_iter([("command".to_string(), json!("echo"))]);
        let output = |details: Value| crate::tool::Output {
            content: vec![crate::wire::message::Block::text("x")],
            details: Some(details),
        };
        let partial = output(
            json!({"status":"running","sessionId":"s","pid":1,"startedAt":1,"cwd":"/","tail":"x"}),
        );
        let result = output(
            json!({"status":"completed","exitCode":0,"durationMs":1,"aggregated":"x","cwd":"/"}),
        );
        let text = |text| Event::Text {
            text,
            delta: text,
            media: &[],
        };
        let (id, name) = ("c", "exec");
        for event in [
            Event::Stored,
            Event::Started { at: 1 },
            text("Let me check that."),
            Event::ToolStart {
                id,
                name,
                args: &args,
            },
            Event::ToolUpdate {
                id,
                name,
                partial: &partial,
            },
            Event::ToolResult {
                id,
                name,
                meta: Some("echo"),
                is_error: false,
                result: &result,
            },
            text("All done."),
            Event::Ended {
                at: 2,
                aborted: false,
            },
        ] {
            runs.tell(&clients, &watched, &event);
        }
        for expected in recorded["text-then-tool (verbose full)"]
            .as_array()
            .unwrap()
        {
            let got = next(&mut far);
            assert_eq!(got["event"], expected["event"]);
            assert_eq!(shape(&got["payload"]), shape(&expected["payload"]));
            assert_eq!(got["payload"]["seq"], expected["payload"]["seq"]);
        }
    }

    #[test]
    fn tool_events_reach_only_who_asked_but_count_for_all() {
        let (clients, mut far, _) = watched();
        let runs = Runs::default();
        let run = run("r");
        runs.tell(&clients, &run, &Event::Started { at: 1 });
        let args = Map::new();
        runs.tell(
            &clients,
            &run,
            &Event::ToolStart {
                id: "c",
                name: "exec",
                args: &args,
            },
        );
        runs.tell(
            &clients,
            &run,
            &Event::Ended {
                at: 1,
                aborted: false,
            },
        );
        assert_eq!(next(&mut far)["payload"]["seq"], 1);
        let end = next(&mut far);
        assert_eq!(end["payload"]["data"]["phase"], "end");
        assert_eq!(end["payload"]["seq"], 3);
        let last = next(&mut far);
        assert_eq!(last["payload"]["state"], "final");
        assert!(last["payload"].get("message").is_none());
    }

    #[test]
    fn deltas_are_spaced_and_the_end_is_told_once() {
        let (clients, mut far, _) = watched();
        let runs = Runs::default();
        let run = run("r");
        for text in ["a", "ab", "abc"] {
            runs.tell(
                &clients,
                &run,
                &Event::Text {
                    text,
                    delta: "",
                    media: &[],
                },
            );
        }
        assert!(runs.abort(&clients, &run, "rpc"));
        assert!(!runs.abort(&clients, &run, "rpc"));
        assert!(run.cancel.is_cancelled());
        runs.tell(
            &clients,
            &run,
            &Event::Ended {
                at: 1,
                aborted: false,
            },
        );
        let names: Vec<(Value, Value)> = (0..5)
            .map(|_| next(&mut far))
            .map(|f| (f["event"].clone(), f["payload"]["state"].clone()))
            .collect();
        let chats: Vec<&(Value, Value)> = names.iter().filter(|(e, _)| e == "chat").collect();
        assert_eq!(chats[0].1, "delta");
        assert_eq!(chats[1].1, "aborted");
        assert_eq!(names[4].1, "aborted");
    }

    #[test]
    fn a_waiter_hears_of_the_end_or_of_its_own_impatience() {
        let runs = Arc::new(Runs::default());
        let run = run("r");
        assert!(runs.begin(&run));
        assert!(!runs.begin(&run));
        let (say, heard) = mpsc::channel();
        let wait = |patience: u64| {
            let say = say.clone();
            runs.wait("r", Duration::from_millis(patience), move |ended| {
                say.send(ended).unwrap();
            })
            .unwrap();
        };
        wait(0);
        assert_eq!(heard.recv().unwrap(), None);
        wait(5);
        assert_eq!(heard.recv().unwrap(), None);
        wait(60_000);
        runs.end(&run, Some("broke".into()));
        assert_eq!(
            heard.recv().unwrap().unwrap().error.as_deref(),
            Some("broke")
        );
        wait(0);
        assert!(heard.recv().unwrap().is_some());
        let state = runs.state();
        assert!(state.waiters.is_empty() && state.waiting == 0);
    }
}
