//! The containers of sandboxed sessions, for people: which there are, and taking some away, so that
//! the next use makes them anew. Runs the `docker` program itself, as the person who asks.

use crate::config::Snapshot;
use crate::config::agents::agent_id;
use crate::config::sandbox::Settings;
use crate::session::key;
use crate::tool::container::registry::{Entry, Registry};
use crate::tool::container::{self, Docker, Done};
use serde::Serialize;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

const BROWSER_IMAGE: &str = "openclaw-sandbox-browser:bookworm-slim";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Commands,
    Browser,
}

/// A row of the registry, and what Docker says of it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Container {
    #[serde(flatten)]
    pub entry: Entry,
    pub running: bool,
    /// It has the image that the configuration asks for.
    pub image_match: bool,
}

/// Whose containers are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whose {
    All,
    Session(String),
    Agent(String),
}

pub fn list(snapshot: &Snapshot, kind: Kind) -> Vec<Container> {
    let docker = Program::find(snapshot);
    let entries = registry(snapshot, kind).read();
    let look = |mut entry: Entry| {
        let name = entry.container_name.clone();
        let state = docker.as_ref().and_then(|docker| {
            let running = container::is_running(docker, &name).ok().flatten()?;
            Some((running, container::image_of(docker, &name)))
        });
        if let Some((_, Some(image))) = &state {
            entry.image.clone_from(image);
        }
        Container {
            running: state.is_some_and(|(running, _)| running),
            image_match: entry.image == wanted(snapshot, kind, &entry.session_key),
            entry,
        }
    };
    entries.into_iter().map(look).collect()
}

/// The image the configuration asks for.
fn wanted(snapshot: &Snapshot, kind: Kind, scope: &str) -> String {
    let config = &snapshot.config;
    let agent = match scope {
        "shared" => config.default_agent_id(),
        scope => key::agent_of(scope).map_or_else(|| config.default_agent_id(), agent_id),
    };
    match kind {
        Kind::Commands => container::image(&Settings::of(config, &snapshot.paths, &agent)),
        Kind::Browser => {
            let image = |place: &serde_json::Value| {
                let image = place.pointer("/sandbox/browser/image")?;
                image.as_str().map(str::to_string)
            };
            let agents = snapshot.value.pointer("/agents/list");
            let agents = agents
                .and_then(|list| list.as_array())
                .into_iter()
                .flatten();
            let own = agents
                .into_iter()
                .find(|entry| entry["id"].as_str().is_some_and(|id| agent_id(id) == agent));
            let shared = snapshot.value.pointer("/agents/defaults");
            own.and_then(image)
                .or_else(|| shared.and_then(image))
                .unwrap_or_else(|| BROWSER_IMAGE.into())
        }
    }
}

impl Whose {
    pub fn has(&self, container: &Container) -> bool {
        let scope = &container.entry.session_key;
        match self {
            Whose::All => true,
            Whose::Session(session) => scope == session,
            Whose::Agent(agent) => {
                let rest = scope.strip_prefix(&format!("agent:{agent}"));
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
            }
        }
    }
}

/// Takes one away.
pub fn remove(snapshot: &Snapshot, kind: Kind, name: &str) -> Result<(), String> {
    let registry = registry(snapshot, kind);
    match Program::find(snapshot) {
        Some(docker) => container::remove(&docker, &registry, name),
        // Then there is no container either.
        None => registry.remove(name).map_err(|err| err.to_string()),
    }
}

fn registry(snapshot: &Snapshot, kind: Kind) -> Registry {
    match kind {
        Kind::Commands => container::registry(&snapshot.paths),
        Kind::Browser => container::browsers(&snapshot.paths),
    }
}

/// The program, run with the environment of the person.
struct Program(PathBuf);

impl Program {
    fn find(snapshot: &Snapshot) -> Option<Program> {
        container::docker(&snapshot.env).map(Program)
    }
}

impl Docker for Program {
    /// The person at the terminal can end it sooner than any limit.
    fn run(&self, words: &[&str], _limit: Duration) -> Result<Done, String> {
        let output = Command::new(&self.0)
            .args(words)
            .stdin(Stdio::null())
            .output()
            .map_err(|err| format!("{}: {err}", self.0.display()))?;
        let said = match output.status.success() {
            true => output.stdout,
            false => output.stderr,
        };
        Ok(Done {
            ok: output.status.success(),
            output: String::from_utf8_lossy(&said).into_owned(),
        })
    }
}
