//! Questions whether a command may run, from the moment they are put until they are answered, too
//! old, or withdrawn because nobody waits for the answer any more.
//!
//! One table in memory; no thread waits. A question that lives when the core ends is gone with it:
//! the command does not run, and the next core tells the session of it. Who may answer is the method
//! table's business; a command of the agent can reach our socket, but never with
//! `operator.approvals`.

use super::broadcast::Rules;
use super::clock::Alarm;
use super::core::Core;
use super::methods::skills;
use crate::base::cancel::{Cancel, Registration};
use crate::base::time::now_ms;
use crate::config::Paths;
use crate::session::parting::{Left, MAX_SHOWN, Word};
use crate::tool::approve::{self, Decision, MAX_COMMAND, Question, Then};
use crate::wire::gateway::approvals::{Requested, RequestedEvent, ResolvedEvent};
use crate::wire::gateway::frame::RpcError;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Questions open at once: more than a person can look through in the two minutes they live.
const MAX_OPEN: usize = 200;
/// Bytes of all their texts.
const MAX_BYTES: usize = 4 * 1024 * 1024;
/// Nobody waits longer for an answer; also what a clock can count to.
const MAX_WAIT: Duration = Duration::from_secs(24 * 3600);

/// Gets `None` when the time was over.
type Answer = Box<dyn FnOnce(Option<Decision>) + Send>;

#[derive(Default)]
pub struct Approvals(Mutex<Vec<Open>>);

struct Open {
    id: String,
    bytes: usize,
    /// The connection that waits for the answer; `None`: a run does.
    conn: Option<String>,
    answer: Answer,
    /// Ends it when its time is over.
    alarm: Option<Alarm>,
    /// Ends it with its run.
    run: Option<Registration>,
    /// Tells the next core of it.
    kept: Option<Left>,
}

/// A question on its way into the table.
pub struct Asking {
    pub id: String,
    pub request: Requested,
    pub created_at_ms: u64,
    pub wait: Duration,
    pub conn: Option<String>,
    /// The session that is told when the core ends before the answer.
    pub session: Option<String>,
}

/// Of the words for sessions whose questions were open when a core ended.
pub fn folder(paths: &Paths) -> PathBuf {
    paths.ours().join("approvals")
}

impl Asking {
    pub fn expires_at_ms(&self) -> u64 {
        let wait = self.wait.min(MAX_WAIT).as_millis();
        self.created_at_ms + u64::try_from(wait).unwrap_or(u64::MAX)
    }
}

impl Approvals {
    /// Puts the question and tells those who may answer it. `answer` is called once, from the
    /// thread that answers or from the clock's: it must not block.
    pub fn ask(
        core: &Arc<Core>,
        asking: &Asking,
        cancel: Option<&Cancel>,
        answer: Answer,
    ) -> Result<(), RpcError> {
        let bytes = asking.request.bytes();
        if asking.request.command.len() > MAX_COMMAND {
            return Err(RpcError::invalid(format!(
                "a command of more than {MAX_COMMAND} bytes cannot be shown for approval"
            )));
        }
        let mut kept = asking.session.as_deref().and_then(|key| {
            let command = approve::cut(&asking.request.command, MAX_SHOWN);
            let word = Word {
                session_key: key.into(),
                notice: format!(
                    "Exec denied (gateway id={}, gateway-restarted): {command}",
                    asking.id
                ),
            };
            word.leave(&folder(core.config.paths()))
        });
        if let Err(error) = core.approvals.put(asking, bytes, answer, &mut kept) {
            if let Some(kept) = kept {
                kept.forget();
            }
            return Err(error);
        }
        let event = RequestedEvent {
            id: &asking.id,
            request: &asking.request,
            created_at_ms: asking.created_at_ms,
            expires_at_ms: asking.expires_at_ms(),
        };
        core.clients
            .broadcast("exec.approval.requested", &event, Rules::APPROVALS);
        let due = Instant::now() + asking.wait.min(MAX_WAIT);
        let alarm = core.agents.clock().at(due, {
            let (core, id) = (Arc::downgrade(core), asking.id.clone());
            move || {
                if let Some(core) = core.upgrade() {
                    core.approvals.expire(&id);
                }
            }
        });
        let run = cancel.map(|cancel| {
            let (core, id) = (Arc::downgrade(core), asking.id.clone());
            cancel.on_cancel(move || {
                let Some(live) = core.upgrade() else { return };
                let (core, id) = (core.clone(), id.clone());
                // Elsewhere: what is withdrawn holds this very registration.
                let soon = live.agents.clock().at(Instant::now(), move || {
                    if let Some(core) = core.upgrade() {
                        core.approvals.withdraw(&core, |open| open.id == id);
                    }
                });
                soon.keep();
            })
        });
        let mut open = core.approvals.open();
        // It may be answered by now; then both are let go, after the lock.
        let late = match open.iter_mut().find(|open| open.id == asking.id) {
            Some(open) => {
                open.alarm = Some(alarm);
                open.run = run;
                None
            }
            None => Some((alarm, run)),
        };
        drop(open);
        drop(late);
        Ok(())
    }

    /// `kept` is taken when there is room.
    fn put(
        &self,
        asking: &Asking,
        bytes: usize,
        answer: Answer,
        kept: &mut Option<Left>,
    ) -> Result<(), RpcError> {
        let mut open = self.open();
        if open.iter().any(|open| open.id == asking.id) {
            return Err(RpcError::invalid("approval id already pending"));
        }
        let held: usize = open.iter().map(|open| open.bytes).sum();
        if open.len() >= MAX_OPEN || held + bytes > MAX_BYTES {
            return Err(RpcError::unavailable(
                "too many approvals are pending; answer some, or wait until they expire",
            ));
        }
        open.push(Open {
            id: asking.id.clone(),
            bytes,
            conn: asking.conn.clone(),
            answer,
            alarm: None,
            run: None,
            kept: kept.take(),
        });
        Ok(())
    }

    /// False when there is no such question.
    pub fn resolve(&self, core: &Core, id: &str, decision: Decision, by: &str) -> bool {
        let Some(open) = self.take(id) else {
            return false;
        };
        tell(core, id, decision, by);
        (open.answer)(Some(decision));
        true
    }

    /// A connection has gone: nobody waits for the answers to its questions.
    pub fn left(&self, core: &Core, conn: &str) {
        self.withdraw(core, |open| open.conn.as_deref() == Some(conn));
    }

    pub fn count(&self) -> usize {
        self.open().len()
    }

    fn expire(&self, id: &str) {
        if let Some(open) = self.take(id) {
            (open.answer)(None);
        }
    }

    fn withdraw(&self, core: &Core, which: impl Fn(&Open) -> bool) {
        let gone: Vec<Open> = {
            let mut open = self.open();
            let (gone, stay) = open.drain(..).partition(|open| which(open));
            *open = stay;
            gone
        };
        for mut open in gone {
            if let Some(kept) = open.kept.take() {
                kept.forget();
            }
            // Dialogs close when they hear so.
            tell(core, &open.id, Decision::Deny, "withdrawn");
        }
    }

    fn take(&self, id: &str) -> Option<Open> {
        let mut taken = {
            let mut open = self.open();
            let at = open.iter().position(|open| open.id == id)?;
            open.remove(at)
        };
        // Before the command starts: never is one that ran told as denied.
        if let Some(kept) = taken.kept.take() {
            kept.forget();
        }
        Some(taken)
    }

    fn open(&self) -> MutexGuard<'_, Vec<Open>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn tell(core: &Core, id: &str, decision: Decision, by: &str) {
    let event = ResolvedEvent {
        id,
        decision: decision.word(),
        resolved_by: by,
        ts: now_ms(),
    };
    core.clients
        .broadcast("exec.approval.resolved", &event, Rules::APPROVALS);
}

/// The exec tool's way to the table.
pub struct Desk(pub Arc<Core>);

impl approve::Desk for Desk {
    fn ask(&self, question: Question, cancel: &Cancel, then: Then) -> Result<(), String> {
        let core = self.0.clone();
        let some = |text: &str| Some(text.to_string());
        let asking = Asking {
            request: Requested {
                command: question.command,
                cwd: Some(question.cwd),
                host: some("gateway"),
                security: some(question.security.word()),
                ask: some(question.ask.word()),
                agent_id: Some(question.agent_id),
                resolved_path: question.resolved_path,
                session_key: Some(question.session_key.clone()),
            },
            id: question.id,
            created_at_ms: question.created_at_ms,
            wait: Duration::from_millis(
                question
                    .expires_at_ms
                    .saturating_sub(question.created_at_ms),
            ),
            conn: None,
            session: Some(question.session_key.clone()),
        };
        let (id, key) = (asking.id.clone(), question.session_key);
        let answer = Box::new(move |decision| {
            let pool = core.pool.clone();
            let job = {
                let (core, id, key) = (core.clone(), id.clone(), key.clone());
                move || decided(&core, &key, &id, then(decision, &core.agents.processes))
            };
            // Starting a command may wait for the tool runner.
            if pool.run(job).is_err() {
                let text = format!(
                    "Exec denied (gateway id={id}, spawn-failed): too many requests are waiting"
                );
                note(&core, &key, &id, &text);
            }
        });
        Approvals::ask(&self.0, &asking, Some(cancel), answer).map_err(|err| err.message)
    }

    fn skill_bins(&self) -> Vec<String> {
        skills::programs(&self.0)
    }
}

fn decided(core: &Arc<Core>, key: &str, id: &str, after: approve::After) {
    if let Some(text) = after.note {
        note(core, key, id, &text);
    }
    let Some(running) = after.running else {
        return;
    };
    let (weak, key, id) = (Arc::downgrade(core), key.to_string(), id.to_string());
    let due = Instant::now() + running.after.min(MAX_WAIT);
    let alarm = core.agents.clock().at(due, move || {
        let Some(core) = weak.upgrade() else {
            return;
        };
        let pool = core.pool.clone();
        let job = move || {
            let processes = &core.agents.processes;
            let runs = processes.with(&running.process, |session| session.end.is_none());
            if runs == Some(true) {
                note(&core, &key, &id, &running.note);
            }
        };
        // A note is written to disk, and nobody needs this one when the gateway is so busy.
        if pool.run(job).is_err() {
            log::debug!("a notice of a running command was left out");
        }
    });
    alarm.keep();
}

fn note(core: &Core, key: &str, id: &str, text: &str) {
    log::info!("{key}: {text}");
    core.note(key, text, &format!("exec:{id}:exit"));
}

#[cfg(test)]
mod tests {
    use super::super::broadcast::tests::{client, next};
    use super::super::core::tests::core;
    use super::*;
    use crate::net::frame;
    use serde_json::json;
    use std::sync::mpsc;

    fn asking(id: &str, wait: Duration) -> Asking {
        Asking {
            id: id.into(),
            request: Requested {
                command: "ls".into(),
                ..Requested::default()
            },
            created_at_ms: now_ms(),
            wait,
            conn: Some("c1".into()),
            session: None,
        }
    }

    const LONG: Duration = Duration::from_secs(100);

    #[test]
    fn a_question_is_answered_once_and_only_operators_with_the_scope_hear_of_it() {
        let (core, dir) = core("{}");
        let (reader, mut reader_far) = client("operator", &["operator.read"]);
        let (approver, mut far) = client("operator", &["operator.approvals"]);
        core.clients.admit(reader, frame::json(&json!("hello")));
        core.clients.admit(approver, frame::json(&json!("hello")));
        next(&mut far);
        let (say, heard) = mpsc::channel();
        let answer = || {
            let say = say.clone();
            Box::new(move |decision| say.send(decision).unwrap())
        };
        Approvals::ask(&core, &asking("a", LONG), None, answer()).unwrap();
        let twice = Approvals::ask(&core, &asking("a", LONG), None, answer()).unwrap_err();
        assert_eq!(twice.message, "approval id already pending");
        let event = next(&mut far);
        assert_eq!(event["event"], "exec.approval.requested");
        assert!(event["payload"]["request"]["sessionKey"].is_null());
        let resolve = |decision| core.approvals.resolve(&core, "a", decision, "me");
        assert!(resolve(Decision::AllowOnce));
        assert!(!resolve(Decision::Deny));
        assert_eq!(heard.recv().unwrap(), Some(Decision::AllowOnce));
        let event = next(&mut far);
        assert_eq!(event["payload"]["decision"], "allow-once");
        assert_eq!(event["payload"]["resolvedBy"], "me");
        core.tick();
        assert_eq!(next(&mut reader_far), "hello");
        assert_eq!(next(&mut reader_far)["event"], "tick");
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn time_a_stopped_run_and_a_lost_connection_end_a_question() {
        let (core, dir) = core("{}");
        let (say, heard) = mpsc::channel();
        let ask = |id: &str, wait, cancel: Option<&Cancel>| {
            let say = say.clone();
            let answer = Box::new(move |decision| say.send(decision).unwrap());
            Approvals::ask(&core, &asking(id, wait), cancel, answer).unwrap();
        };
        ask("late", Duration::from_millis(5), None);
        assert_eq!(heard.recv_timeout(LONG).unwrap(), None);
        let cancel = Cancel::new();
        ask("run", LONG, Some(&cancel));
        ask("conn", LONG, None);
        cancel.cancel();
        // The clock runs what is due in order: when this is answered the other is gone.
        ask("probe", Duration::from_millis(1), None);
        assert_eq!(heard.recv_timeout(LONG).unwrap(), None);
        assert_eq!(core.approvals.count(), 1);
        core.approvals.left(&core, "c1");
        assert_eq!(core.approvals.count(), 0);
        drop(say);
        assert!(heard.recv_timeout(LONG).is_err());
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn the_table_is_bounded() {
        let (core, dir) = core("{}");
        let ask = |id: &str, bytes: usize| {
            let mut asking = asking(id, LONG);
            asking.request.command = "x".repeat(bytes);
            Approvals::ask(&core, &asking, None, Box::new(|_| {}))
        };
        assert!(ask("big", MAX_COMMAND + 1).is_err());
        let full = (0..MAX_OPEN + 1).find(|i| ask(&i.to_string(), 1).is_err());
        assert_eq!(full, Some(MAX_OPEN));
        core.approvals.left(&core, "c1");
        let full = (0..MAX_OPEN).find(|i| ask(&i.to_string(), MAX_COMMAND).is_err());
        assert_eq!(full, Some(MAX_BYTES / MAX_COMMAND));
        std::fs::remove_dir_all(dir).unwrap();
    }
}
