//! The questions, in the original's order as far as this program has what they set up.
//!
//! What comes next follows from what has been answered; there is no other state. Every answer is
//! checked against its question, whatever the client showed.

use crate::config::Snapshot;
use crate::model::catalogue;
use crate::wire::gateway::wizard::{Choice, Step};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Characters of an answer: no address, path or key is longer.
const MAX_TEXT: usize = 4096;
/// Models of a provider that are offered; any other can be typed.
const MAX_MODELS: usize = 100;
/// The choice that lets one type.
const TYPED: &str = "__manual__";
const KEEP: &str = "__keep__";
const SKIP: &str = "skip";

/// Providers that are opened by a key and spoken to by this build, as people know them.
const PROVIDERS: &[(&str, &str)] = &[
    ("openai", "OpenAI"),
    ("anthropic", "Anthropic"),
    ("minimax", "MiniMax"),
    ("moonshot", "Moonshot AI"),
    ("google", "Google"),
    ("openrouter", "OpenRouter"),
    ("zai", "Z.AI"),
    ("vercel-ai-gateway", "Vercel AI Gateway"),
    ("opencode", "OpenCode Zen"),
    ("xiaomi", "Xiaomi"),
    ("synthetic", "Synthetic"),
    ("venice", "Venice"),
    ("groq", "Groq"),
    ("mistral", "Mistral"),
    ("xai", "xAI"),
];

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Question {
    Intro,
    Security,
    Risk,
    Flow,
    Existing,
    Handling,
    Place,
    RemoteUrl,
    RemoteAuth,
    RemoteToken,
    Workspace,
    Provider,
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

/// No Debug: a key may be among them.
pub type Answers = BTreeMap<Question, Value>;

pub struct Flow {
    config: Arc<Snapshot>,
    answers: Answers,
    asked: Option<(Question, Step)>,
}

pub enum Next {
    Ask(Step),
    Save,
    Cancelled,
    Failed(String),
}

impl Flow {
    pub fn new(config: Arc<Snapshot>, mode: Option<String>, workspace: Option<String>) -> Flow {
        let mut answers = Answers::new();
        if let Some(mode) = mode {
            answers.insert(Question::Place, mode.into());
        }
        let workspace = workspace.map(|path| path.trim().to_string());
        if let Some(path) = workspace.filter(|path| !path.is_empty()) {
            answers.insert(Question::Workspace, path.into());
        }
        Flow {
            config,
            answers,
            asked: None,
        }
    }

    pub fn answers(&self) -> &Answers {
        &self.answers
    }

    /// Takes the answer to the question that was asked last, or says what is wrong with it.
    pub fn answer(&mut self, value: &Value) -> Result<(), String> {
        let Some((key, step)) = &self.asked else {
            return Ok(());
        };
        let value = check(*key, step, value)?;
        self.answers.insert(*key, value);
        self.asked = None;
        Ok(())
    }

    pub fn next(&mut self) -> Next {
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

    fn has(&self, key: Question) -> bool {
        self.answers.contains_key(&key)
    }

    fn says(&self, key: Question, value: &Value) -> bool {
        self.answers.get(&key) == Some(value)
    }

    /// The first question that is open.
    fn open(&self) -> Option<Question> {
        let said = |key: Question, text: &str| self.answers.get(&key).is_some_and(|v| v == text);
        let remote = said(Question::Place, "remote");
        let mut wanted = vec![Question::Intro, Question::Security, Question::Risk];
        if !remote {
            wanted.push(Question::Flow);
        }
        if self.config.exists {
            wanted.extend([Question::Existing, Question::Handling]);
        }
        if !said(Question::Handling, "keep") {
            if said(Question::Flow, "advanced") {
                wanted.push(Question::Place);
            }
            match remote {
                true => wanted.extend([Question::RemoteUrl, Question::RemoteAuth]),
                false => self.local(&mut wanted),
            }
            if remote && said(Question::RemoteAuth, "token") {
                wanted.push(Question::RemoteToken);
            }
        }
        wanted.into_iter().find(|key| !self.has(*key))
    }

    fn local(&self, wanted: &mut Vec<Question>) {
        let said = |key: Question, text: &str| self.answers.get(&key).is_some_and(|v| v == text);
        let manual = said(Question::Flow, "advanced");
        if manual {
            wanted.push(Question::Workspace);
        }
        wanted.push(Question::Provider);
        if !said(Question::Provider, SKIP) {
            wanted.extend([Question::ApiKey, Question::Model]);
            if said(Question::Model, TYPED) {
                wanted.push(Question::ModelName);
            }
        }
        if !manual {
            return;
        }
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

    fn setting(&self, pointer: &str) -> Option<&Value> {
        self.config.value.pointer(pointer)
    }

    fn step(&self, key: Question) -> Step {
        match key {
            Question::Intro => note("OpenClaw onboarding", ""),
            Question::Security => note(
                "Security",
                "An agent with tools can read files, run commands and act in your name, and \
                 whoever can write to it can try to talk it into that. Keep the gateway on \
                 loopback or behind a secret, give people access one by one, and sandbox what \
                 strangers can reach. See openclaw.json(5) and exec-approvals.json(5).",
            ),
            Question::Risk => Step {
                initial_value: Some(json!(false)),
                ..ask(
                    "confirm",
                    "I understand this is powerful and inherently risky. Continue?",
                )
            },
            Question::Flow => select(
                "Onboarding mode",
                &[
                    ("quickstart", "QuickStart", "ask as little as possible"),
                    ("advanced", "Manual", "port, network, secret"),
                ],
                "quickstart",
            ),
            Question::Existing => note("Existing config detected", &self.existing()),
            Question::Handling => select(
                "Config handling",
                &[
                    ("keep", "Use existing values", ""),
                    ("modify", "Update values", ""),
                ],
                "keep",
            ),
            Question::Place => select(
                "What do you want to set up?",
                &[
                    ("local", "Local gateway (this machine)", ""),
                    ("remote", "Remote gateway (info-only)", ""),
                ],
                "local",
            ),
            Question::RemoteUrl => self.text("Gateway WebSocket URL", "/gateway/remote/url"),
            Question::RemoteAuth => select(
                "Gateway auth",
                &[("token", "Token (recommended)", ""), ("off", "No auth", "")],
                "token",
            ),
            Question::RemoteToken | Question::ApiKey | Question::Token | Question::Password => {
                self.secret(key)
            }
            Question::Workspace => self.text("Workspace directory", "/agents/defaults/workspace"),
            Question::Provider => {
                let offered = PROVIDERS.iter().map(|(id, name)| choice(id, name, None));
                Step {
                    options: offered
                        .chain([choice(SKIP, "Skip for now", None)])
                        .collect(),
                    initial_value: Some(SKIP.into()),
                    ..ask("select", "Model/auth provider")
                }
            }
            Question::Model => self.models(),
            Question::ModelName => Step {
                placeholder: Some("provider/model"),
                ..ask("text", "Default model")
            },
            Question::Port => self.text("Gateway port", "/gateway/port"),
            Question::Bind => select(
                "Gateway bind",
                &[
                    ("loopback", "Loopback (127.0.0.1)", "only this machine"),
                    ("lan", "LAN (0.0.0.0)", "every network"),
                    ("tailnet", "Tailnet", "the address Tailscale gives"),
                    ("auto", "Auto", ""),
                    ("custom", "Custom IP", ""),
                ],
                "loopback",
            ),
            Question::BindHost => self.text("Custom IP address", "/gateway/customBindHost"),
            Question::Auth => select(
                "Gateway auth",
                &[("token", "Token", ""), ("password", "Password", "")],
                "token",
            ),
            Question::Tailscale => select(
                "Tailscale exposure",
                &[
                    ("off", "Off", ""),
                    ("serve", "Serve", "private, for your tailnet"),
                    ("funnel", "Funnel", "public; needs a password"),
                ],
                "off",
            ),
            Question::ResetOnExit => Step {
                initial_value: Some(json!(false)),
                ..ask("confirm", "Reset Tailscale serve/funnel on exit?")
            },
        }
    }

    fn existing(&self) -> String {
        let rows = [
            ("workspace", "/agents/defaults/workspace"),
            ("model", "/agents/defaults/model/primary"),
            ("gateway.mode", "/gateway/mode"),
            ("gateway.port", "/gateway/port"),
            ("gateway.bind", "/gateway/bind"),
            ("gateway.remote.url", "/gateway/remote/url"),
        ];
        let rows = rows.iter().filter_map(|(name, pointer)| {
            let value = self.setting(pointer)?;
            Some(format!("{name}: {}", plain(value)))
        });
        rows.collect::<Vec<_>>().join("\n")
    }

    fn text(&self, message: &str, pointer: &str) -> Step {
        let initial = self.setting(pointer).map(plain);
        Step {
            initial_value: initial.filter(|text| !text.is_empty()).map(Value::from),
            ..ask("text", message)
        }
    }

    fn secret(&self, key: Question) -> Step {
        let provider = self
            .answers
            .get(&Question::Provider)
            .and_then(Value::as_str);
        let name = PROVIDERS.iter().find(|(id, _)| Some(*id) == provider);
        let message = match key {
            Question::ApiKey => format!("{} API key", name.map_or("", |(_, name)| name)),
            Question::Password => "Gateway password".into(),
            Question::Token => "Gateway token (blank to generate)".into(),
            _ => "Gateway token".into(),
        };
        Step {
            sensitive: Some(true),
            ..ask("text", &message)
        }
    }

    fn models(&self) -> Step {
        let mut options = Vec::new();
        let current = self.setting("/agents/defaults/model/primary");
        if let Some(current) = current.and_then(Value::as_str) {
            options.push(choice(KEEP, &format!("Keep current ({current})"), None));
        }
        options.push(choice(TYPED, "Enter model manually", None));
        let provider = self
            .answers
            .get(&Question::Provider)
            .and_then(Value::as_str);
        let id = provider.unwrap_or_default();
        let known = catalogue::provider(id).into_iter();
        let models = known.flat_map(|provider| provider.models().collect::<Vec<_>>());
        options.extend(models.take(MAX_MODELS).map(|model| {
            let name = format!("{id}/{}", model.id);
            choice(&name, &name, Some(model.name.to_string()))
        }));
        Step {
            initial_value: options.first().map(|first| first.value.clone()),
            options,
            ..ask("select", "Default model")
        }
    }
}

fn ask(kind: &'static str, message: &str) -> Step {
    Step {
        kind,
        message: Some(message.into()),
        executor: "client",
        ..Step::default()
    }
}

fn note(title: &str, message: &str) -> Step {
    Step {
        title: Some(title.into()),
        ..ask("note", message)
    }
}

fn select(message: &str, options: &[(&str, &str, &str)], initial: &str) -> Step {
    let hint = |hint: &str| (!hint.is_empty()).then(|| hint.to_string());
    Step {
        options: options
            .iter()
            .map(|(value, label, about)| choice(value, label, hint(about)))
            .collect(),
        initial_value: Some(initial.into()),
        ..ask("select", message)
    }
}

fn choice(value: &str, label: &str, hint: Option<String>) -> Choice {
    Choice {
        value: value.into(),
        label: label.into(),
        hint,
    }
}

fn plain(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_string)
}

fn check(key: Question, step: &Step, value: &Value) -> Result<Value, String> {
    match step.kind {
        "note" => Ok(Value::Null),
        "confirm" => value
            .as_bool()
            .map(Value::from)
            .ok_or_else(|| "answer true or false".into()),
        "select" => step
            .options
            .iter()
            .find(|option| option.value == *value)
            .map(|option| option.value.clone())
            .ok_or_else(|| "choose one of the options".into()),
        _ => typed(key, plain(value).trim()),
    }
}

fn typed(key: Question, text: &str) -> Result<Value, String> {
    if text.len() > MAX_TEXT || text.contains(char::is_control) {
        return Err("that is too long, or holds characters that cannot be typed".into());
    }
    let fine = match key {
        // Blank: one is made.
        Question::Token => return Ok(if text == "null" { "" } else { text }.into()),
        Question::Port => {
            let port = text.parse::<u16>().ok().filter(|port| *port > 0);
            return port
                .map(Value::from)
                .ok_or_else(|| "a port is a number from 1 to 65535".into());
        }
        Question::RemoteUrl => (text.starts_with("ws://") || text.starts_with("wss://"))
            .then_some(())
            .ok_or("an address begins with ws:// or wss://"),
        Question::BindHost => text
            .parse::<std::net::Ipv4Addr>()
            .map(drop)
            .map_err(|_| "that is no IPv4 address"),
        Question::ModelName => text
            .split_once('/')
            .filter(|(provider, model)| !provider.is_empty() && !model.is_empty())
            .map(drop)
            .ok_or("a model is named provider/model"),
        _ => (!text.is_empty() && text != "null")
            .then_some(())
            .ok_or("an answer is needed"),
    };
    fine.map(|()| text.into()).map_err(str::to_string)
}

/// Whether an answer to `Question::Model` names a model.
pub fn is_model(answer: &str) -> bool {
    answer != KEEP && answer != TYPED
}

/// Whether an answer to `Question::Provider` names a provider.
pub fn is_provider(answer: &str) -> bool {
    answer != SKIP
}
