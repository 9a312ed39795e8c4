//! The onboarding wizard as a conversation: one at a time, in memory, one question after another.
//!
//! `flow` knows the order of the questions, `steps` their words, `save` writes what was answered; the
//! command line asks the same. Nothing is written
//! before the last answer, so a conversation that is cancelled or forgotten leaves no trace. One
//! that nobody has touched for a while gives way to the next.

pub mod auth;
pub mod error;
pub mod flow;
pub mod listen;
#[cfg(test)]
pub mod place;
pub mod save;
mod steps;

use super::core::Core;
use crate::base::id;
use crate::wire::gateway::wizard::{Answer, Standing, Step};
use flow::{Flow, Next, Question};
use save::By;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A person who looks up a key is back by then.
const IDLE: Duration = Duration::from_secs(30 * 60);

const HERE: By = By {
    command: "onboard",
    running: true,
};

#[derive(Default)]
pub struct Wizard(Mutex<Option<Session>>);

struct Session {
    id: String,
    flow: Flow,
    step: Option<Step>,
    status: Status,
    error: Option<String>,
    touched: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Status {
    Running,
    Done,
    Cancelled,
    Error,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Refused {
    AlreadyRunning,
    NotFound,
    NotRunning,
    /// The answer is to another step than the one that waits.
    NoSuchStep,
}

impl Wizard {
    /// Begins a conversation; `told` gets its first question.
    pub fn start<T>(
        &self,
        core: &Core,
        mode: Option<String>,
        workspace: Option<String>,
        told: impl FnOnce(&Standing) -> T,
    ) -> Result<T, Refused> {
        let mut slot = self.slot();
        let busy = |s: &Session| s.status == Status::Running && s.touched.elapsed() < IDLE;
        if slot.as_ref().is_some_and(busy) {
            return Err(Refused::AlreadyRunning);
        }
        let mut session = Session {
            id: id::uuid(),
            flow: Flow::new(core.config.current())
                .given(Question::Place, mode.as_deref())
                .given(Question::Workspace, workspace.as_deref()),
            step: None,
            status: Status::Running,
            error: None,
            touched: Instant::now(),
        };
        session.advance(core);
        let answer = told(&session.standing(true));
        *slot = Some(session);
        Ok(answer)
    }

    /// Takes an answer, or repeats the question.
    pub fn next<T>(
        &self,
        core: &Core,
        id: &str,
        answer: Option<Answer>,
        told: impl FnOnce(&Standing) -> T,
    ) -> Result<T, Refused> {
        let mut slot = self.slot();
        let session = find(&mut slot, id)?;
        if session.status != Status::Running {
            return Err(Refused::NotRunning);
        }
        if let Some(answer) = answer {
            session.take(core, &answer)?;
        }
        let answer = told(&session.standing(false));
        if session.status != Status::Running {
            *slot = None;
        }
        Ok(answer)
    }

    pub fn cancel<T>(&self, id: &str, told: impl FnOnce(&Standing) -> T) -> Result<T, Refused> {
        let mut slot = self.slot();
        let session = find(&mut slot, id)?;
        session.end(Status::Cancelled, None);
        let answer = told(&session.brief());
        *slot = None;
        Ok(answer)
    }

    pub fn status<T>(&self, id: &str, told: impl FnOnce(&Standing) -> T) -> Result<T, Refused> {
        let mut slot = self.slot();
        let session = find(&mut slot, id)?;
        let answer = told(&session.brief());
        if session.status != Status::Running {
            *slot = None;
        }
        Ok(answer)
    }

    /// Forgets a conversation that nobody goes on with.
    pub fn sweep(&self) {
        let mut slot = self.slot();
        if slot.as_ref().is_some_and(|s| s.touched.elapsed() >= IDLE) {
            log::info!("a setup conversation was left unfinished; nothing was written");
            *slot = None;
        }
    }

    fn slot(&self) -> MutexGuard<'_, Option<Session>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn find<'s>(slot: &'s mut Option<Session>, id: &str) -> Result<&'s mut Session, Refused> {
    let session = slot.as_mut().filter(|session| session.id == id);
    session.ok_or(Refused::NotFound)
}

impl Session {
    fn take(&mut self, core: &Core, answer: &Answer) -> Result<(), Refused> {
        self.touched = Instant::now();
        let step = self.step.as_ref().ok_or(Refused::NoSuchStep)?;
        if step.id != answer.step_id {
            return Err(Refused::NoSuchStep);
        }
        match self.flow.answer(&answer.value) {
            Ok(()) => self.advance(core),
            // The same question again, with what was wrong.
            Err(why) => self.error = Some(why),
        }
        Ok(())
    }

    fn advance(&mut self, core: &Core) {
        self.error = None;
        match self.flow.go_on() {
            Next::Ask(mut step) => {
                step.id = id::uuid();
                self.step = Some(step);
            }
            Next::Cancelled => self.end(Status::Cancelled, None),
            Next::Failed(why) => self.end(Status::Error, Some(why)),
            Next::Save => match save::write(&core.config.current(), self.flow.answers(), HERE) {
                Ok(_) => self.end(Status::Done, None),
                Err(why) => self.end(Status::Error, Some(why.to_string())),
            },
        }
    }

    fn end(&mut self, status: Status, error: Option<String>) {
        self.status = status;
        self.error = error;
        self.step = None;
    }

    fn standing(&self, first: bool) -> Standing<'_> {
        Standing {
            session_id: first.then_some(self.id.as_str()),
            done: Some(self.status != Status::Running),
            step: self.step.as_ref(),
            ..self.brief()
        }
    }

    fn brief(&self) -> Standing<'_> {
        Standing {
            session_id: None,
            done: None,
            step: None,
            status: match self.status {
                Status::Running => "running",
                Status::Done => "done",
                Status::Cancelled => "cancelled",
                Status::Error => "error",
            },
            error: self.error.as_deref(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::core::tests::core;
    use super::*;
    use serde_json::{Value, json};

    /// Goes through a conversation: (words of the question, answer) in order. The last standing.
    fn talk(core: &Core, mode: Option<&str>, script: &[(&str, Value)]) -> Value {
        let seen = |standing: &Standing| serde_json::to_value(standing).unwrap();
        let started = core
            .wizard
            .start(core, mode.map(str::to_string), None, seen);
        let mut now = started.unwrap();
        let id = now["sessionId"].as_str().unwrap().to_string();
        for (words, value) in script {
            let step = now["step"].clone();
            let text = format!("{} {}", step["title"], step["message"]);
            assert!(text.contains(words), "{words} is not in {now}");
            let answer = Answer {
                step_id: step["id"].as_str().unwrap().into(),
                value: value.clone(),
            };
            now = core.wizard.next(core, &id, Some(answer), seen).unwrap();
        }
        now
    }

    fn config(dir: &std::path::Path) -> Value {
        let text = std::fs::read_to_string(dir.join("openclaw.json")).unwrap();
        crate::config::text::parse(&text).unwrap()
    }

    fn opening() -> Vec<(&'static str, Value)> {
        vec![
            ("OpenClaw onboarding", Value::Null),
            ("Security", Value::Null),
            ("Continue?", json!(true)),
        ]
    }

    #[test]
    fn a_manual_setup_is_written_at_the_end_and_a_wrong_answer_is_asked_again() {
        let (core, dir) = core("{}");
        let mut script = opening();
        let workspace = dir.join("ws").display().to_string();
        script.extend([
            ("Onboarding mode", json!("advanced")),
            ("Existing config", Value::Null),
            ("Config handling", json!("modify")),
            ("set up", json!("local")),
            ("Workspace", json!(workspace)),
            ("provider", json!("anthropic")),
            ("API key", json!(" ")),
            ("API key", json!("sk-ant-secret-of-the-test")),
            ("Default model", json!("anthropic/claude-opus-4-5")),
            ("Gateway port", json!("70000")),
            ("Gateway port", json!("18999")),
            ("Gateway bind", json!("custom")),
            ("Custom IP", json!("not one")),
            ("Custom IP", json!("127.0.0.1")),
            ("Gateway auth", json!("token")),
            ("Tailscale", json!("off")),
            ("Gateway token", json!("")),
        ]);
        let last = talk(&core, None, &script);
        assert_eq!(last, json!({"done": true, "status": "done"}));
        let text = std::fs::read_to_string(dir.join("openclaw.json")).unwrap();
        let file = config(&dir);
        assert_eq!(file["gateway"]["port"], 18999);
        assert_eq!(file["gateway"]["customBindHost"], "127.0.0.1");
        assert_eq!(file["gateway"]["auth"]["token"].as_str().unwrap().len(), 48);
        assert_eq!(file["agents"]["defaults"]["workspace"], workspace);
        assert_eq!(
            file["agents"]["defaults"]["model"]["primary"],
            "anthropic/claude-opus-4-5"
        );
        assert_eq!(file["wizard"]["lastRunMode"], "local");
        assert!(!text.contains("sk-ant-secret"));
        let keys = std::fs::read_to_string(dir.join("agents/main/agent/auth-profiles.json"));
        let keys: Value = serde_json::from_str(&keys.unwrap()).unwrap();
        let profile = &keys["profiles"]["anthropic:default"];
        assert_eq!(profile["key"], "sk-ant-secret-of-the-test");
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_remote_setup_asks_for_the_address_and_the_token_only() {
        let (core, dir) = core("{}");
        let mut script = opening();
        script.extend([
            ("Existing config", Value::Null),
            ("Config handling", json!("modify")),
            ("Gateway WebSocket URL", json!("http://x")),
            ("Gateway WebSocket URL", json!("wss://gw.example")),
            ("Gateway auth", json!("token")),
            ("Gateway token", json!("t")),
        ]);
        let last = talk(&core, Some("remote"), &script);
        assert_eq!(last["status"], "done");
        let file = config(&dir);
        assert_eq!(file["gateway"]["mode"], "remote");
        assert_eq!(
            file["gateway"]["remote"],
            json!({"url": "wss://gw.example", "token": "t"})
        );
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn there_is_one_conversation_at_a_time_and_it_can_be_left() {
        let (core, dir) = core("{}");
        let seen = |standing: &Standing| serde_json::to_value(standing).unwrap();
        let start = || core.wizard.start(&core, None, None, seen);
        let first = start().unwrap();
        assert_eq!(
            (&first["done"], &first["status"]),
            (&json!(false), &json!("running"))
        );
        assert_eq!(first["step"]["type"], "note");
        assert_eq!(start(), Err(Refused::AlreadyRunning));
        let id = first["sessionId"].as_str().unwrap();
        let wrong = Answer {
            step_id: "other".into(),
            value: Value::Null,
        };
        let refused = core.wizard.next(&core, id, Some(wrong), seen);
        assert_eq!(refused, Err(Refused::NoSuchStep));
        // Without an answer the question is repeated.
        let again = core.wizard.next(&core, id, None, seen).unwrap();
        assert_eq!(again["step"], first["step"]);
        let status = core.wizard.status(id, seen).unwrap();
        assert_eq!(status, json!({"status": "running"}));
        let ended = core.wizard.cancel(id, seen).unwrap();
        assert_eq!(ended, json!({"status": "cancelled"}));
        assert_eq!(core.wizard.status(id, seen), Err(Refused::NotFound));
        // Whoever does not accept the risk leaves.
        let mut script = opening();
        script[2].1 = json!(false);
        assert_eq!(talk(&core, None, &script)["status"], "cancelled");
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn using_what_is_there_changes_nothing_but_the_note_of_the_run() {
        let (core, dir) = core("{gateway:{mode:'local',port:18777}}");
        let mut script = opening();
        script.extend([
            ("Onboarding mode", json!("quickstart")),
            ("18777", Value::Null),
            ("Config handling", json!("keep")),
        ]);
        assert_eq!(talk(&core, None, &script)["status"], "done");
        let file = config(&dir);
        assert_eq!(file["gateway"], json!({"mode": "local", "port": 18777}));
        assert_eq!(file["wizard"]["lastRunCommand"], "onboard");
        std::fs::remove_dir_all(dir).unwrap();
    }
}
