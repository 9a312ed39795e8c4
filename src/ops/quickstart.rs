//! From nothing to a gateway with a model, in a profile of its own.
//!
//! `prepare` decides which model answers and writes the profile's configuration; `launch` starts
//! the gateway, or finds it running. Both may be repeated: what is there is kept, and only a stand-in
//! (`builtin/echo`) is given up when something better has appeared.

use super::{local_model, loopback};
use crate::base::exit::Report;
use crate::base::{atomic, id, lock};
use crate::config::edit;
use crate::config::load::load;
use crate::config::{Env, Paths, Snapshot};
use crate::model::choose;
use crate::model::credential;
use crate::model::local::{self, LocalModel};
use crate::model::name::{self, Ref};
use serde_json::{Value, json};
use std::fmt;
use std::fs;
use std::io;
use std::net::TcpListener;
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The stand-in that answers when there is no model.
pub const ECHO: &str = "builtin/echo";

/// Providers whose key is looked for, in this order, and the model a newcomer gets from each.
const PROVIDERS: &[(&str, &str)] = &[
    ("anthropic", "claude-sonnet-4-5"),
    ("openai", "gpt-5-mini"),
    ("openrouter", "openrouter/auto"),
    ("google", "gemini-2.5-flash"),
    ("groq", "llama-3.3-70b-versatile"),
    ("xai", "grok-4-fast"),
    ("mistral", "mistral-medium-latest"),
    ("cerebras", "gpt-oss-120b"),
    ("zai", "glm-4.6"),
    ("minimax", "MiniMax-M2.1"),
    ("kimi-coding", "k2p5"),
    ("opencode", "claude-sonnet-4-5"),
    ("vercel-ai-gateway", "anthropic/claude-sonnet-4.5"),
];

/// Servers people run on their own machine: provider id, name, port.
const SERVERS: &[(&str, &str, u16)] = &[
    ("ollama", "Ollama", 11434),
    ("llamacpp", "llama.cpp", 8080),
    ("lmstudio", "LM Studio", 1234),
];
/// Such servers do not say how much they take; this is what their users mostly set.
const SERVER_CONTEXT: u64 = 32_768;
const SERVER_ANSWER: u64 = 4_096;
/// Bytes of a model list that are read.
const SERVER_LIST_MAX: u64 = 1024 * 1024;
/// Until the gateway says that it is ready.
const START_PATIENCE: Duration = Duration::from_secs(30);
/// The gateway's usual port; another is taken when it is in use.
const PORT: u16 = 18789;

/// Why this model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// The profile's configuration names it.
    Configured,
    /// A key in this variable.
    Key(String),
    /// It answers on this machine.
    Server { name: &'static str, port: u16 },
    /// The embedded one.
    Local,
    /// Nothing else worked; what the embedded one failed of.
    Nothing(String),
}

#[derive(Clone, Debug)]
pub struct Prepared {
    pub snapshot: Snapshot,
    /// `provider/model`.
    pub model: String,
    pub why: Why,
}

/// A running gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Running {
    /// The supervisor.
    pub pid: u32,
    /// It was there before.
    pub found: bool,
}

#[derive(Debug)]
pub enum Error {
    Config(edit::Error),
    Invalid(String),
    Io { what: String, err: io::Error },
    NoProgram(PathBuf),
    NoGateway { said: String },
    Slow { log: PathBuf },
}

/// Chooses a model and writes the profile's configuration. `say` gets a line for each thing done.
pub fn prepare(paths: &Paths, env: &Env, say: &mut dyn FnMut(&str)) -> Result<Prepared, Error> {
    let snapshot = load(paths, env);
    if snapshot.exists && !snapshot.valid {
        return Err(Error::Invalid(snapshot.complaint()));
    }
    let (model, why, provider) = choose(&snapshot, say);
    let snapshot = edit::change(paths, env, |tree| {
        fill(tree, paths, &model, provider.as_ref());
        Ok(())
    })
    .map_err(Error::Config)?;
    let workspace = snapshot
        .config
        .workspace(&snapshot.config.default_agent_id(), paths);
    for dir in [&paths.state, &workspace] {
        atomic::create_private_dir(dir).map_err(|err| Error::Io {
            what: dir.display().to_string(),
            err,
        })?;
    }
    Ok(Prepared {
        snapshot,
        model,
        why,
    })
}

/// The model, the reason, and its entry below `models.providers` where it needs one.
fn choose(
    snapshot: &Snapshot,
    say: &mut dyn FnMut(&str),
) -> (String, Why, Option<(String, Value)>) {
    if let Some(model) = configured(snapshot) {
        return (model, Why::Configured, None);
    }
    for (provider, model) in PROVIDERS {
        if let Some(found) = credential::in_env(snapshot, provider) {
            let credential::Source::Env(variable) = found.source else {
                continue;
            };
            return (format!("{provider}/{model}"), Why::Key(variable), None);
        }
    }
    for (provider, name, port) in SERVERS {
        if let Some(model) = served(*port) {
            let entry = json!({
                "baseUrl": format!("http://127.0.0.1:{port}/v1"),
                "apiKey": provider,
                "api": "openai-completions",
                "models": [{
                    "id": model, "name": format!("{model} ({name})"),
                    "reasoning": false, "input": ["text"],
                    "cost": {"input": 0, "output": 0, "cacheRead": 0, "cacheWrite": 0},
                    "contextWindow": SERVER_CONTEXT, "maxTokens": SERVER_ANSWER,
                }],
            });
            let why = Why::Server { name, port: *port };
            return (
                format!("{provider}/{model}"),
                why,
                Some((provider.to_string(), entry)),
            );
        }
    }
    match embedded(&snapshot.paths, say) {
        Ok(entry) => (
            format!("{}/{}", local::PROVIDER, local::MODEL),
            Why::Local,
            Some((local::PROVIDER.into(), entry)),
        ),
        Err(err) => {
            let hint = err
                .hint()
                .map_or(String::new(), |hint| format!(" ({hint})"));
            (ECHO.into(), Why::Nothing(format!("{err}{hint}")), None)
        }
    }
}

/// The profile's own choice, when it can be called.
fn configured(snapshot: &Snapshot) -> Option<String> {
    let model = snapshot.config.agents.defaults.model.primary.clone()?;
    let agent_dir = name::agent_dir(&snapshot.paths, &snapshot.config.default_agent_id());
    let reference = Ref::parse(&snapshot.config, &model);
    let callable = choose::targets(snapshot, &agent_dir, &reference).is_ok();
    // The stand-in is a choice only of this program, never of a person.
    (model != ECHO && callable).then_some(model)
}

/// The first model an OpenAI-compatible server on this port lists.
fn served(port: u16) -> Option<String> {
    let answer = loopback::get(port, "/v1/models", SERVER_LIST_MAX)?;
    if answer.status != 200 {
        return None;
    }
    let list: Value = serde_json::from_str(&answer.text().ok()?).ok()?;
    list["data"][0]["id"].as_str().map(str::to_string)
}

fn embedded(paths: &Paths, say: &mut dyn FnMut(&str)) -> Result<Value, local_model::Error> {
    let local = LocalModel::of(paths);
    local_model::install(&local, say)?;
    let settings = local_model::enable(paths, true)?;
    Ok(local.provider(&settings))
}

/// Puts in what is missing; what a person wrote stays.
fn fill(tree: &mut Value, paths: &Paths, model: &str, provider: Option<&(String, Value)>) {
    if !tree.is_object() {
        *tree = json!({});
    }
    let gateway = &mut tree["gateway"];
    default(gateway, "mode", || "local".into());
    default(gateway, "port", || free_port().into());
    default(
        gateway,
        "auth",
        || json!({"mode": "token", "token": format!("{}{}", id::token(), id::token())}),
    );
    let defaults = &mut tree["agents"]["defaults"];
    default(defaults, "workspace", || {
        paths.default_workspace().to_string_lossy().into()
    });
    let primary = match &defaults["model"] {
        Value::String(_) => &mut defaults["model"],
        _ => &mut defaults["model"]["primary"],
    };
    *primary = model.into();
    if let Some((name, entry)) = provider {
        tree["models"]["providers"][name] = entry.clone();
    }
}

fn default(parent: &mut Value, key: &str, value: impl FnOnce() -> Value) {
    if parent.get(key).is_none() {
        parent[key] = value();
    }
}

fn free_port() -> u16 {
    let bind = |port| TcpListener::bind(("127.0.0.1", port)).and_then(|l| l.local_addr());
    bind(PORT)
        .or_else(|_| bind(0))
        .map_or(PORT, |addr| addr.port())
}

/// The gateway of this state folder, started when there is none. It goes on when this process ends.
pub fn launch(paths: &Paths, program: &Path) -> Result<Running, Error> {
    if let Some(pid) = running(paths) {
        return Ok(Running { pid, found: true });
    }
    let io = |what: &str| {
        let what = what.to_string();
        move |err| Error::Io { what, err }
    };
    let log = paths.state.join("logs/gateway.err.log");
    atomic::create_private_dir(&paths.state.join("logs")).map_err(io("the log folder"))?;
    let errors = fs::File::create(&log).map_err(io("the log file"))?;
    let ready = paths
        .state
        .join(format!("ready-{}.sock", std::process::id()));
    let notify = UnixDatagram::bind(&ready).map_err(io("the ready socket"))?;
    let started = spawn(paths, program, &ready, errors);
    let result = started
        .map_err(|err| match err.kind() {
            io::ErrorKind::NotFound => Error::NoProgram(program.to_path_buf()),
            _ => io(&program.display().to_string())(err),
        })
        .and_then(|mut child| wait_ready(&notify, &mut child, &log));
    // Only a name in our own folder; the gateway has told what it had to tell.
    let _ = fs::remove_file(&ready);
    result
}

fn spawn(
    paths: &Paths,
    program: &Path,
    ready: &Path,
    errors: fs::File,
) -> io::Result<std::process::Child> {
    let mut command = Command::new(program);
    if let Some(profile) = &paths.profile {
        command.arg("--profile").arg(profile);
    }
    command
        .env("NOTIFY_SOCKET", ready)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(errors)
        // A Ctrl-C typed at the chat is not for the gateway.
        .process_group(0)
        .spawn()
}

fn wait_ready(
    notify: &UnixDatagram,
    child: &mut std::process::Child,
    log: &Path,
) -> Result<Running, Error> {
    let io = |err| Error::Io {
        what: "the ready socket".into(),
        err,
    };
    notify
        .set_read_timeout(Some(Duration::from_millis(50)))
        .map_err(io)?;
    let started = Instant::now();
    let mut text = [0; 1024];
    loop {
        if let Ok(n) = notify.recv(&mut text) {
            if text[..n].starts_with(b"READY=1") {
                return Ok(Running {
                    pid: child.id(),
                    found: false,
                });
            }
        }
        if let Ok(Some(_)) = child.try_wait() {
            let said = fs::read_to_string(log).unwrap_or_default();
            return Err(Error::NoGateway {
                said: said.trim().to_string(),
            });
        }
        if started.elapsed() > START_PATIENCE {
            return Err(Error::Slow { log: log.into() });
        }
    }
}

/// The supervisor of this state folder.
pub fn running(paths: &Paths) -> Option<u32> {
    lock::holder(&paths.ours().join("gateway.lock")).map(|holder| holder.pid)
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Why::Configured => f.write_str("the profile's configuration names it"),
            Why::Key(variable) => write!(f, "{variable} is set in the environment"),
            Why::Server { name, port } => {
                write!(
                    f,
                    "a server ({name}) answers on port {port} of this machine"
                )
            }
            Why::Local => f.write_str("no key and no server was found, so a small model runs here"),
            Why::Nothing(reason) => write!(
                f,
                "no model answers: no key and no server was found, and the local model could not \
                 be installed: {reason}"
            ),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Config(err) => err.fmt(f),
            Error::Invalid(complaint) => f.write_str(complaint),
            Error::Io { what, err } => write!(f, "{what}: {err}"),
            Error::NoProgram(program) => write!(f, "{} is not there", program.display()),
            Error::NoGateway { said } => write!(f, "the gateway did not start: {said}"),
            Error::Slow { log } => write!(
                f,
                "the gateway was not ready within {} seconds; see {}",
                START_PATIENCE.as_secs(),
                log.display()
            ),
        }
    }
}

impl std::error::Error for Error {}

impl Report for Error {
    fn hint(&self) -> Option<String> {
        match self {
            Error::Config(err) => err.hint(),
            Error::Invalid(_) => Some("mend the file, or remove it and start again".into()),
            Error::NoProgram(_) => {
                Some("reinstall: it belongs beside openclaw, or in the PATH".into())
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::catalogue;

    #[test]
    fn what_a_person_wrote_stays_and_the_rest_is_filled_in() {
        let env = Env::from_pairs(&[("HOME", "/home/u"), ("OPENCLAW_PROFILE", "quickstart")]);
        let paths = Paths::resolve(&env, None);
        let mut tree = json!({"gateway": {"port": 4711}, "agents": {"defaults": {"model": "a/b"}}});
        fill(&mut tree, &paths, "openai/gpt-5-mini", None);
        assert_eq!(tree["gateway"]["port"], 4711);
        assert_eq!(tree["gateway"]["mode"], "local");
        assert_eq!(tree["agents"]["defaults"]["model"], "openai/gpt-5-mini");
        let token = tree["gateway"]["auth"]["token"].as_str().unwrap().len();
        assert_eq!(token, 64);
        let before = tree.clone();
        fill(&mut tree, &paths, "openai/gpt-5-mini", None);
        assert_eq!(tree, before);
    }

    #[test]
    fn every_offered_model_is_in_the_catalogue() {
        for (provider, model) in PROVIDERS {
            let known = catalogue::provider(provider).unwrap_or_else(|| panic!("{provider}"));
            assert!(known.model(model).is_some(), "{provider}/{model}");
        }
    }
}
