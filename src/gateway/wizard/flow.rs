//! A setup as a conversation: which question comes next, and what has been answered.
//!
//! What comes next follows from what has been answered; there is no other state. Every answer is
//! checked against its question, whatever the client showed.

use super::steps;
use crate::config::Snapshot;
use crate::model::credential::{self, Profiles};
use crate::wire::gateway::wizard::Step;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Question {
    Intro,
    Security,
    Risk,
    Flow,
    Existing,
    Handling,
    ResetScope,
    Quick,
    Place,
    RemoteUrl,
    RemoteAuth,
    RemoteToken,
    Workspace,
    Provider,
    HaveKey,
    ApiKey,
    Model,
    ModelName,
    Port,
    Bind,
    BindHost,
    Auth,
    Tailscale,
    ResetOnExit,
    Token,
    Password,
}

impl Question {
    /// The answer is never written down but where it belongs.
    pub fn is_secret(self) -> bool {
        use Question::{ApiKey, Password, RemoteToken, Token};
        matches!(self, ApiKey | Password | RemoteToken | Token)
    }

    /// An answer that is worth offering again: not what leads on or must be meant each time.
    fn is_kept(self) -> bool {
        use Question::{Existing, Handling, Intro, Quick, ResetScope, Risk, Security};
        let passing = [Existing, Handling, Intro, Quick, ResetScope, Risk, Security];
        !self.is_secret() && !passing.contains(&self)
    }
}

/// No Debug: a key may be among them.
pub type Answers = BTreeMap<Question, Value>;

/// Parts of a setup that can be gone through alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Workspace,
    Model,
    Gateway,
}

/// How much is asked.
enum Extent {
    /// The whole setup.
    Whole,
    /// Only where the gateway is, and the gateway elsewhere.
    Place,
    Part(Part),
}

pub struct Flow {
    config: Arc<Snapshot>,
    answers: Answers,
    asked: Option<(Question, Step)>,
    extent: Extent,
    resets: bool,
    remembered: BTreeMap<String, Value>,
}

pub enum Next {
    Ask(Step),
    Save,
    Cancelled,
    Failed(String),
}

impl Flow {
    pub fn new(config: Arc<Snapshot>) -> Flow {
        Flow {
            config,
            answers: Answers::new(),
            asked: None,
            extent: Extent::Whole,
            resets: false,
            remembered: BTreeMap::new(),
        }
    }

    /// Where the gateway is, and nothing else here.
    pub fn place(config: Arc<Snapshot>) -> Flow {
        Flow {
            extent: Extent::Place,
            ..Flow::new(config)
        }
    }

    pub fn part(config: Arc<Snapshot>, part: Part) -> Flow {
        Flow {
            extent: Extent::Part(part),
            ..Flow::new(config)
        }
    }

    /// Starting anew may be chosen: for one who then does it.
    pub fn with_reset(mut self) -> Flow {
        self.resets = true;
        self
    }

    /// Answers of an earlier conversation, offered again.
    pub fn remembering(mut self, earlier: BTreeMap<String, Value>) -> Flow {
        self.remembered = earlier;
        self
    }

    /// An answer that was given before the conversation; blanks are none.
    pub fn given(mut self, key: Question, value: Option<&str>) -> Flow {
        if let Some(value) = value.map(str::trim).filter(|text| !text.is_empty()) {
            self.answers.insert(key, value.into());
        }
        self
    }

    pub fn set(&mut self, key: Question, value: impl Into<Value>) {
        self.answers.insert(key, value.into());
    }

    pub fn answers(&self) -> &Answers {
        &self.answers
    }

    /// What may be offered again to one who comes back.
    pub fn worth_keeping(&self) -> BTreeMap<String, Value> {
        let kept = self.answers.iter().filter(|(key, _)| key.is_kept());
        kept.map(|(key, value)| (format!("{key:?}"), value.clone()))
            .collect()
    }

    /// Takes the answer to the question that was asked last, or says what is wrong with it.
    pub fn answer(&mut self, value: &Value) -> Result<(), String> {
        let Some((key, step)) = &self.asked else {
            return Ok(());
        };
        let value = steps::check(*key, step, value, self.may_be_blank(*key))?;
        self.answers.insert(*key, value);
        self.asked = None;
        Ok(())
    }

    pub fn go_on(&mut self) -> Next {
        if self.says(Question::Risk, &json!(false)) {
            return Next::Cancelled;
        }
        if self.has(Question::Risk) && !self.config.valid {
            let issues = self.config.issues.iter().take(5);
            let issues: Vec<String> = issues.map(|issue| issue.to_string()).collect();
            return Next::Failed(format!(
                "the configuration is not valid; correct it first: {}",
                issues.join("; ")
            ));
        }
        match self.open() {
            None => Next::Save,
            Some(key) => {
                let step = self.step(key);
                self.asked = Some((key, step.clone()));
                Next::Ask(step)
            }
        }
    }

    fn step(&self, key: Question) -> Step {
        let mut step = steps::of(self, key);
        if let Some(value) = self.remembered.get(&format!("{key:?}")) {
            if steps::check(key, &step, value, false).is_ok_and(|kept| kept == *value) {
                step.initial_value = Some(value.clone());
            }
        }
        step
    }

    pub(super) fn config(&self) -> &Snapshot {
        &self.config
    }

    pub(super) fn resets(&self) -> bool {
        self.resets
    }

    pub(super) fn is_only_place(&self) -> bool {
        matches!(self.extent, Extent::Place)
    }

    /// The text that was answered.
    pub(super) fn said(&self, key: Question) -> Option<&str> {
        self.answers.get(&key).and_then(Value::as_str)
    }

    /// What opens the provider that was chosen already, in words.
    pub(super) fn known_key(&self) -> Option<String> {
        let provider = self.said(Question::Provider)?;
        let paths = &self.config.paths;
        let profiles = Profiles::read(paths, &paths.agent_dir);
        let found = credential::find(&self.config, &profiles, provider);
        found.first().map(|known| match &known.source {
            credential::Source::Profile(id) => format!("profile {id}"),
            credential::Source::Env(name) => name.clone(),
            credential::Source::Config => "the configuration".into(),
        })
    }

    fn may_be_blank(&self, key: Question) -> bool {
        let auth = &self.config.config.gateway.auth;
        match key {
            // Blank: the one there is, or one is made.
            Question::Token => true,
            Question::Password => auth.password.is_some(),
            _ => false,
        }
    }

    fn has(&self, key: Question) -> bool {
        self.answers.contains_key(&key)
    }

    fn says(&self, key: Question, value: &Value) -> bool {
        self.answers.get(&key) == Some(value)
    }

    /// The first question that is open.
    fn open(&self) -> Option<Question> {
        let mut wanted = Vec::new();
        match &self.extent {
            Extent::Whole => self.whole(&mut wanted),
            Extent::Place => {
                wanted.push(Question::Place);
                if self.said(Question::Place) == Some("remote") {
                    self.remote(&mut wanted);
                }
            }
            Extent::Part(Part::Workspace) => wanted.push(Question::Workspace),
            Extent::Part(Part::Model) => self.model(&mut wanted),
            Extent::Part(Part::Gateway) => self.gateway(&mut wanted),
        }
        wanted.into_iter().find(|key| !self.has(*key))
    }

    fn whole(&self, wanted: &mut Vec<Question>) {
        let said = |key: Question, text: &str| self.said(key) == Some(text);
        let remote = said(Question::Place, "remote");
        wanted.extend([Question::Intro, Question::Security, Question::Risk]);
        if !remote {
            wanted.push(Question::Flow);
        }
        if self.config.exists {
            wanted.extend([Question::Existing, Question::Handling]);
        }
        if said(Question::Handling, "keep") {
            return;
        }
        if said(Question::Handling, "reset") {
            wanted.push(Question::ResetScope);
            return;
        }
        let manual = said(Question::Flow, "advanced");
        if manual {
            wanted.push(Question::Place);
        }
        if remote {
            return self.remote(wanted);
        }
        wanted.push(match manual {
            true => Question::Workspace,
            false => Question::Quick,
        });
        self.model(wanted);
        if manual {
            self.gateway(wanted);
        }
    }

    fn remote(&self, wanted: &mut Vec<Question>) {
        wanted.extend([Question::RemoteUrl, Question::RemoteAuth]);
        if self.said(Question::RemoteAuth) == Some("token") {
            wanted.push(Question::RemoteToken);
        }
    }

    fn model(&self, wanted: &mut Vec<Question>) {
        wanted.push(Question::Provider);
        match self.said(Question::Provider) {
            None | Some(steps::SKIP) => return,
            Some(steps::SETUP_TOKEN) => {
                return wanted.push(Question::ApiKey);
            }
            Some(_) => {}
        }
        // Asked while it is open: a key that was typed meanwhile does not bring the question back.
        if self.has(Question::HaveKey)
            || (!self.has(Question::ApiKey) && self.known_key().is_some())
        {
            wanted.push(Question::HaveKey);
        }
        if !self.says(Question::HaveKey, &json!(true)) {
            wanted.push(Question::ApiKey);
        }
        wanted.push(Question::Model);
        if self.said(Question::Model) == Some(steps::TYPED) {
            wanted.push(Question::ModelName);
        }
    }

    fn gateway(&self, wanted: &mut Vec<Question>) {
        let said = |key: Question, text: &str| self.said(key) == Some(text);
        wanted.extend([Question::Port, Question::Bind]);
        if said(Question::Bind, "custom") {
            wanted.push(Question::BindHost);
        }
        wanted.extend([Question::Auth, Question::Tailscale]);
        if !said(Question::Tailscale, "off") {
            wanted.push(Question::ResetOnExit);
        }
        // A funnel is open to the world: only a password will do.
        match said(Question::Auth, "password") || said(Question::Tailscale, "funnel") {
            true => wanted.push(Question::Password),
            false => wanted.push(Question::Token),
        }
    }
}
