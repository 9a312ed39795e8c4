//! `openclaw doctor`: what is wrong with an installation, why it matters, and what puts it right.
//!
//! One file per check and a row here. A check looks and changes nothing; what it proposes is run
//! only when the person, or a flag, says so. No check asks a gateway or a network, and only the last
//! the service manager: the doctor also works where nothing else does any more.

mod config;
mod credentials;
mod documents;
mod exposure;
mod gateway;
mod homes;
mod layout;
mod leftovers;
mod lines;
mod permissions;
mod profiles;
mod room;
mod sandbox;
mod service;
#[cfg(test)]
mod tests;
mod transcripts;
mod variables;
mod workspace;

use crate::base::exit::Report;
use crate::config::edit;
use crate::config::keys::{self, prune};
use crate::config::{Env, Paths, Snapshot, load, migrate};
use crate::session::key::Defaults;
use crate::supervisor::lock;
use serde_json::Value;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// In the order they are made: what later ones read, earlier ones may have put right.
pub const CHECKS: &[Check] = &[
    Check::row("variables", variables::look),
    Check::row("homes", homes::look),
    Check::row("config", config::look),
    Check::row("gateway", gateway::look),
    Check::row("layout", layout::look),
    Check::row("credentials", credentials::look),
    Check::row("permissions", permissions::look),
    Check::row("leftovers", leftovers::look),
    Check::row("documents", documents::look),
    Check::row("lines", lines::look),
    Check::row("transcripts", transcripts::look),
    Check::row("profiles", profiles::look),
    Check::row("workspace", workspace::look),
    Check::row("sandbox", sandbox::look),
    Check::row("exposure", exposure::look),
    Check::row("room", room::look),
    Check::row("service", service::look),
];

pub struct Check {
    pub name: &'static str,
    pub look: fn(&Ground) -> Vec<Finding>,
}

/// What is looked at.
pub struct Ground {
    pub snapshot: Snapshot,
    /// Our own `openclaw`, which a service starts; without it no service is looked at.
    pub program: Option<PathBuf>,
    /// The whole system is looked at for other gateways.
    pub deep: bool,
}

pub struct Finding {
    /// The heading, as the original has it where it has one.
    pub topic: &'static str,
    /// Something does not work, or is open to others.
    pub grave: bool,
    pub what: String,
    pub details: Vec<String>,
    /// Empty where `what` says it all.
    pub why: &'static str,
    pub cure: Cure,
}

pub enum Cure {
    /// The doctor does it.
    Ours {
        kind: Kind,
        question: String,
        run: Remedy,
    },
    /// A person does it: a command that can be pasted, or in words.
    Yours(String),
}

/// What was changed, in words.
pub type Remedy = Box<dyn FnOnce() -> Result<Vec<String>, Error>>;

/// What a remedy changes: which flags stand for a yes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Config,
    /// Files of an old layout, to where they belong.
    Migration,
    Token,
    Permissions,
    /// Files of the state.
    State,
    /// The service, as this version writes it.
    Service,
    /// The service, where somebody wrote his own.
    Overwrite,
}

/// What was said on the command line.
#[derive(Clone, Copy, Debug, Default)]
pub struct Said {
    /// `--fix`, `--repair` or `--yes`.
    pub repair: bool,
    /// `--force`.
    pub force: bool,
    pub non_interactive: bool,
    pub generate_token: bool,
    /// Somebody can be asked.
    pub terminal: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    Yes,
    No,
    Ask,
}

impl Said {
    /// Without questions old state is moved, as nothing else works before that; the rest needs a
    /// word for it.
    pub fn answer(&self, kind: Kind) -> Answer {
        let meant = match kind {
            Kind::Token if self.generate_token => true,
            Kind::Migration if self.non_interactive => true,
            Kind::Config | Kind::Migration => self.repair,
            _ if self.non_interactive => false,
            // What somebody wrote on purpose needs a word of its own.
            Kind::Overwrite if self.repair && !self.force => return Answer::No,
            _ => self.repair,
        };
        match meant {
            true => Answer::Yes,
            false if self.terminal && !self.non_interactive => Answer::Ask,
            false => Answer::No,
        }
    }
}

#[derive(Debug)]
pub enum Error {
    Config(edit::Error),
    Session(crate::session::Error),
    Credential(crate::model::credential::Error),
    Io {
        path: PathBuf,
        err: io::Error,
    },
    /// Not while a gateway writes there.
    Running(u32),
    Service(crate::ops::service::Error),
    /// In words: what a person has to do instead.
    Left(String),
}

impl Check {
    const fn row(name: &'static str, look: fn(&Ground) -> Vec<Finding>) -> Check {
        Check { name, look }
    }
}

impl Ground {
    /// Only files are looked at.
    pub fn of(snapshot: Snapshot) -> Ground {
        Ground {
            snapshot,
            program: None,
            deep: false,
        }
    }

    fn paths(&self) -> &Paths {
        &self.snapshot.paths
    }

    fn env(&self) -> &Env {
        &self.snapshot.env
    }

    /// After a remedy.
    pub fn reload(&mut self) {
        // The environment of a snapshot has the file's own variables in it: they stay what they
        // were, also when the file no longer sets them.
        self.snapshot = load::load(&self.snapshot.paths, &self.snapshot.env);
    }

    /// What the file would be with this tree in it.
    fn repaired(&self, tree: &Value) -> Snapshot {
        let raw = serde_json::to_string(tree).expect("a tree is plain data");
        load::from_text(self.paths(), self.env(), raw)
    }

    /// The agent that has what belongs to none, also where only moving its settings will say so.
    fn default_agent(&self) -> String {
        if self.snapshot.valid {
            return Defaults::of(&self.snapshot.config).agent;
        }
        let mut tree = self.snapshot.parsed.clone();
        migrate::run(&mut tree);
        prune::prune(&keys::ROOT, &mut tree);
        Defaults::of(&self.repaired(&tree).config).agent
    }

    /// A file or folder as people write it.
    fn shown(&self, path: &Path) -> String {
        self.paths().tilde(path)
    }
}

/// Nobody else may have the state while it is moved.
fn alone(paths: &Paths, env: &Env) -> Result<(), Error> {
    match lock::holder(paths, env) {
        Some(pid) => Err(Error::Running(pid)),
        None => Ok(()),
    }
}

fn io(path: &Path) -> impl Fn(io::Error) -> Error + use<> {
    let path = path.to_path_buf();
    move |err| Error::Io {
        path: path.clone(),
        err,
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Config(err) => err.fmt(f),
            Error::Session(err) => err.fmt(f),
            Error::Credential(err) => err.fmt(f),
            Error::Io { path, err } => write!(f, "{}: {err}", path.display()),
            Error::Service(err) => err.fmt(f),
            Error::Left(text) => f.write_str(text),
            Error::Running(pid) => write!(f, "a gateway runs on this state (pid {pid})"),
        }
    }
}

impl std::error::Error for Error {}

impl Error {
    pub fn hint(&self) -> Option<String> {
        match self {
            Error::Config(err) => err.hint(),
            Error::Service(err) => err.hint(),
            Error::Running(_) => Some("stop the gateway, then: openclaw doctor --fix".into()),
            _ => None,
        }
    }
}
