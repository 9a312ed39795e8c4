//! What the screen knows and what a key or a frame changes of it. It calls nobody: what is to be
//! asked of the gateway or done on this machine is left in `wants` for whoever drives it.

use super::commands::{self, Action};
use super::editor::Editor;
use super::keys::Key;
use super::log::{Log, View};
use super::picker::{Answer, Item, Picker};
use super::text::clean;
use crate::base::id;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashSet, VecDeque};
use std::time::{Duration, Instant};

/// A second Ctrl-C within this time leaves.
const TWICE: Duration = Duration::from_secs(1);
/// Sessions and models offered in a list.
const LISTED: usize = 200;

/// What the terminal chat was started with.
#[derive(Clone, Debug, Default)]
pub struct Options {
    pub session: Option<String>,
    pub deliver: bool,
    pub thinking: Option<String>,
    pub message: Option<String>,
    pub timeout_ms: Option<u64>,
    pub history_limit: u64,
}

/// Something to be done outside.
#[derive(Debug)]
pub enum Want {
    Ask {
        method: &'static str,
        params: Value,
        why: Why,
    },
    Shell(String),
    StopShell,
    Leave,
}

/// What an answer is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    Agents { choose: bool },
    Sessions { choose: bool },
    Models,
    History,
    Status,
    Send { run: String },
    Abort,
    Patch(String),
    Reset,
}

/// What a list is open for.
pub enum Choosing {
    Agent,
    Session,
    Model,
    Setting,
}

pub struct App {
    pub options: Options,
    pub log: Log,
    pub editor: Editor,
    pub picker: Option<Picker>,
    choosing: Choosing,
    pub wants: Vec<Want>,
    pub agent: String,
    /// As the gateway names it.
    pub session: String,
    main_name: String,
    global: bool,
    /// The row of our session, as the gateway last listed it.
    pub row: Value,
    pub defaults: Value,
    pub agents: Vec<Item>,
    pub connected: bool,
    /// How the connection was made that stands, and why the last one was lost.
    pub standing: &'static str,
    pub lost_because: String,
    ever_connected: bool,
    /// Messages that no answer came to yet, by their run.
    pub sending: BTreeMap<String, Value>,
    /// The run that is shown as going on, and since when.
    pub running: Option<(String, Instant)>,
    pub ended: HashSet<String>,
    pub ended_order: VecDeque<String>,
    pub next_seq: Option<u64>,
    pub unfolded: bool,
    pub thoughts: bool,
    /// Rows above the bottom that the window stands.
    pub scroll: usize,
    interrupted: Option<Instant>,
    /// A command waits for the word that it may run; then that word is not asked for again.
    asked: Option<String>,
    shell_allowed: bool,
    pub shell_runs: bool,
}

impl App {
    pub fn new(options: Options) -> App {
        App {
            options,
            log: Log::default(),
            editor: Editor::default(),
            picker: None,
            choosing: Choosing::Model,
            wants: Vec::new(),
            agent: "main".into(),
            session: String::new(),
            main_name: "main".into(),
            global: false,
            row: Value::Null,
            defaults: Value::Null,
            agents: Vec::new(),
            connected: false,
            standing: "",
            lost_because: String::new(),
            ever_connected: false,
            sending: BTreeMap::new(),
            running: None,
            ended: HashSet::new(),
            ended_order: VecDeque::new(),
            next_seq: None,
            unfolded: false,
            thoughts: false,
            scroll: 0,
            interrupted: None,
            asked: None,
            shell_allowed: false,
            shell_runs: false,
        }
    }

    pub fn view(&self, columns: usize) -> View {
        View {
            columns,
            unfolded: self.unfolded,
            thoughts: self.thoughts,
        }
    }

    fn ask(&mut self, method: &'static str, params: Value, why: Why) {
        if !self.connected {
            return self.log.note("not connected; try again in a moment");
        }
        self.wants.push(Want::Ask {
            method,
            params,
            why,
        });
    }

    // Connection.

    pub fn connected(&mut self, hello: &Value) {
        self.connected = true;
        self.next_seq = None;
        let defaults = &hello["snapshot"]["sessionDefaults"];
        let word = |key: &str| defaults[key].as_str().filter(|text| !text.is_empty());
        if !self.ever_connected {
            self.agent = word("defaultAgentId").unwrap_or("main").into();
            self.main_name = word("mainKey").unwrap_or("main").into();
            self.global = word("scope") == Some("global");
            let named = self.options.session.clone().unwrap_or_default();
            self.session = self.key_of(&named);
        }
        self.standing = match self.ever_connected {
            true => "gateway reconnected",
            false => "gateway connected",
        };
        self.ever_connected = true;
        // The same key: what the gateway has heard already it does not hear twice.
        for (run, params) in self.sending.clone() {
            self.ask("chat.send", params, Why::Send { run });
        }
        self.ask("agents.list", json!({}), Why::Agents { choose: false });
        self.look_again();
    }

    pub fn lost(&mut self, why: &str) {
        self.connected = false;
        self.lost_because = clean(why).replace('\n', " ");
        self.running = None;
    }

    /// The session's messages and its row, as the gateway has them.
    pub fn look_again(&mut self) {
        let limit = self.options.history_limit;
        let params = json!({"sessionKey": self.session, "limit": limit});
        self.ask("chat.history", params, Why::History);
        self.list_sessions(false);
    }

    pub fn list_sessions(&mut self, choose: bool) {
        let mut params = json!({
            "includeGlobal": true,
            "includeUnknown": false,
            "agentId": self.agent,
            "limit": LISTED,
        });
        if choose {
            params["includeDerivedTitles"] = json!(true);
            params["includeLastMessage"] = json!(true);
        }
        self.ask("sessions.list", params, Why::Sessions { choose });
    }

    /// The gateway's key of a session as people name it.
    fn key_of(&self, named: &str) -> String {
        match named.trim() {
            "" if self.global => "global".into(),
            "" => format!("agent:{}:{}", self.agent, self.main_name),
            key @ ("global" | "unknown") => key.into(),
            key if key.starts_with("agent:") => key.to_lowercase(),
            name => format!("agent:{}:{}", self.agent, name.to_lowercase()),
        }
    }

    fn enter(&mut self, session: String) {
        if let Some(agent) = session
            .strip_prefix("agent:")
            .and_then(|rest| rest.split(':').next())
        {
            self.agent = agent.into();
        }
        self.session = session;
        self.row = Value::Null;
        self.running = None;
        self.scroll = 0;
        self.log.clear();
        self.look_again();
    }

    // Keys.

    pub fn press(&mut self, key: &Key, now: Instant) {
        if let Some(picker) = &mut self.picker {
            match picker.press(key) {
                Answer::Open => {}
                Answer::Left => self.picker = None,
                Answer::Chosen(value) => {
                    self.picker = None;
                    self.chosen(&value);
                }
            }
            return;
        }
        let interrupted = self.interrupted.take();
        match key {
            Key::Enter => self.submit(),
            Key::Tab => self.complete(),
            Key::Escape if self.shell_runs => self.wants.push(Want::StopShell),
            Key::Escape if self.asked.is_some() => self.answer_shell("no"),
            Key::Escape => self.abort(),
            Key::Ctrl('c') => match interrupted {
                Some(at) if now.duration_since(at) < TWICE => self.wants.push(Want::Leave),
                _ => {
                    self.editor.clear();
                    self.interrupted = Some(now);
                }
            },
            Key::Ctrl('d') if self.editor.text().is_empty() => self.wants.push(Want::Leave),
            Key::Ctrl('l') => self.act(Action::Models, ""),
            Key::Ctrl('g') => self.act(Action::Agents, ""),
            Key::Ctrl('p') => self.act(Action::Sessions, ""),
            Key::Ctrl('o') => self.unfolded = !self.unfolded,
            Key::Ctrl('t') => self.thoughts = !self.thoughts,
            Key::PageUp => self.scroll = self.scroll.saturating_add(10),
            Key::PageDown => self.scroll = self.scroll.saturating_sub(10),
            key => {
                self.editor.press(key);
            }
        }
    }

    /// Whether a Ctrl-C waits for its second.
    pub fn leaving(&self) -> bool {
        self.interrupted.is_some()
    }

    fn complete(&mut self) {
        if let Some(name) = commands::completions(self.editor.text()).first() {
            self.editor.set(&format!("/{name} "));
        }
    }

    fn submit(&mut self) {
        let text = self.editor.take();
        let line = text.trim();
        self.scroll = 0;
        if self.asked.is_some() {
            return self.answer_shell(line);
        }
        if line.is_empty() {
            return;
        }
        if let Some(command) = line
            .strip_prefix('!')
            .filter(|rest| !rest.trim().is_empty())
        {
            return self.shell(command.trim());
        }
        match commands::parse(line) {
            Some((command, rest)) => {
                let action = command.action;
                self.act(action, rest);
            }
            None if !self.connected => {
                self.log
                    .note("not connected: your message waits where you wrote it");
                self.editor.set(&text);
            }
            None => self.send(line),
        }
    }

    pub fn send(&mut self, message: &str) {
        self.log.person(message);
        let run = id::uuid();
        let mut params = json!({
            "sessionKey": self.session,
            "message": message,
            "deliver": self.options.deliver,
            "idempotencyKey": run,
        });
        if let Some(thinking) = &self.options.thinking {
            params["thinking"] = json!(thinking);
        }
        if let Some(timeout) = self.options.timeout_ms {
            params["timeoutMs"] = json!(timeout);
        }
        self.sending.insert(run.clone(), params.clone());
        if self.running.is_none() {
            self.running = Some((run.clone(), Instant::now()));
        }
        self.ask("chat.send", params, Why::Send { run });
    }

    fn abort(&mut self) {
        let Some((run, _)) = &self.running else {
            return self.log.note("no active run");
        };
        let params = json!({"sessionKey": self.session, "runId": run});
        self.ask("chat.abort", params, Why::Abort);
    }

    fn act(&mut self, action: Action, rest: &str) {
        let session = self.session.clone();
        match action {
            Action::Help => self.log.note(&commands::help()),
            Action::Status => self.ask("status", json!({}), Why::Status),
            Action::Agent if !rest.is_empty() => self.chosen_agent(rest),
            Action::Agent | Action::Agents => {
                self.ask("agents.list", json!({}), Why::Agents { choose: true });
            }
            Action::Session if !rest.is_empty() => {
                let key = self.key_of(rest);
                self.enter(key);
            }
            Action::Session | Action::Sessions => self.list_sessions(true),
            Action::Model if !rest.is_empty() => self.patch("model", rest),
            Action::Model | Action::Models => self.ask("models.list", json!({}), Why::Models),
            Action::Patch(field) if rest.is_empty() => {
                let now = self.row[field].as_str().unwrap_or("not set");
                self.log.note(&format!("{field}: {now}"));
            }
            Action::Patch(field) => self.patch(field, rest),
            Action::Reset => self.ask("sessions.reset", json!({"key": session}), Why::Reset),
            Action::Abort => self.abort(),
            Action::Settings => {
                let on = |is: bool| if is { "shown" } else { "hidden" };
                let items = vec![
                    Item::new(
                        "results",
                        &format!("whole results of tools: {}", on(self.unfolded)),
                    ),
                    Item::new(
                        "thoughts",
                        &format!("the model's thoughts: {}", on(self.thoughts)),
                    ),
                ];
                self.open(Choosing::Setting, "Settings", items);
            }
            Action::Exit => self.wants.push(Want::Leave),
        }
    }

    fn patch(&mut self, field: &str, value: &str) {
        let mut params = json!({"key": self.session});
        params[field] = json!(value);
        let said = format!("{field}: {value}");
        self.ask("sessions.patch", params, Why::Patch(said));
    }

    pub fn open(&mut self, choosing: Choosing, title: &str, items: Vec<Item>) {
        self.choosing = choosing;
        self.picker = Some(Picker::new(title, items));
    }

    fn chosen(&mut self, value: &str) {
        match self.choosing {
            Choosing::Agent => self.chosen_agent(value),
            Choosing::Session => self.enter(value.to_string()),
            Choosing::Model => self.patch("model", value),
            Choosing::Setting if value == "results" => self.unfolded = !self.unfolded,
            Choosing::Setting => self.thoughts = !self.thoughts,
        }
    }

    fn chosen_agent(&mut self, agent: &str) {
        let agent = agent.to_lowercase();
        if !self.agents.is_empty() && !self.agents.iter().any(|item| item.value == agent) {
            return self
                .log
                .note(&format!("no agent {agent}; /agents lists them"));
        }
        self.agent = agent;
        let key = self.key_of("");
        self.enter(key);
    }

    // The shell of this machine.

    fn shell(&mut self, command: &str) {
        if self.shell_runs {
            return self.log.note("a command runs already; Esc ends it");
        }
        if self.shell_allowed {
            return self.start_shell(command.into());
        }
        self.log.note(&format!(
            "Run \"{command}\" and later ! commands on this machine? Yes or no:"
        ));
        self.asked = Some(command.into());
    }

    fn answer_shell(&mut self, word: &str) {
        let Some(command) = self.asked.take() else {
            return;
        };
        match word.to_lowercase().as_str() {
            "y" | "yes" => {
                self.shell_allowed = true;
                self.start_shell(command);
            }
            _ => self.log.note("nothing was run"),
        }
    }

    fn start_shell(&mut self, command: String) {
        self.log.person(&format!("!{command}"));
        self.shell_runs = true;
        self.wants.push(Want::Shell(command));
    }

    pub fn shell_ended(&mut self, said: &str) {
        self.shell_runs = false;
        self.log.note(said);
    }
}
