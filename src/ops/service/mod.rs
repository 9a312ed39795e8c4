//! The gateway as a service of this host: registered, started, stopped and looked at through
//! whatever starts services here. One file for each such program behind one interface.
//!
//! Nothing is guessed about what a service manager did: its own tool is asked. What is written for
//! it holds no secret; the token stays in the configuration.

mod audit;
mod definition;
mod launchd;
mod look;
mod openrc;
mod others;
mod program;
mod runit;
mod s6;
mod systemd;
mod sysvinit;

pub use audit::{Issue, Level};
pub use definition::Definition;
pub use look::{Brief, Look};
pub use others::Other;

use crate::base::exit::{Exit, Report, writing_hint};
use crate::base::sys::peer::own_uid;
use crate::base::sys::process;
use crate::config::{Env, Snapshot};
use serde::Serialize;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// What registers and runs services on a host.
pub trait Manager {
    fn words(&self) -> &Words;
    /// The file, or folder, that describes the service to it.
    fn file(&self) -> &Path;
    /// Can it be asked at all?
    fn available(&self) -> Result<(), Error>;
    /// Will it start the service by itself?
    fn loaded(&self) -> Result<bool, Error>;
    /// Registers the service and starts it.
    fn install(&self, definition: &Definition) -> Result<(), Error>;
    fn restart(&self) -> Result<(), Error>;
    fn stop(&self) -> Result<(), Error>;
    /// Takes the service back; false: there was none.
    fn uninstall(&self) -> Result<bool, Error>;
    /// What is written in the file.
    fn written(&self) -> Option<Written>;
    fn runtime(&self) -> Runtime;
    /// How a person starts it without us.
    fn start_hint(&self) -> String;
    /// Where its output is.
    fn log_hint(&self) -> String;
    /// A warning where the service stops with its user's last login, and what keeps it.
    fn ends_with_login(&self) -> Option<String> {
        None
    }
    /// Keeps it running after its user's last login, where that is not so yet: what was done, or
    /// what is left to do.
    fn outlive_login(&self) -> Option<Result<String, String>> {
        None
    }
}

/// How the manager's users speak.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Words {
    pub label: &'static str,
    /// `systemd service`.
    pub noun: &'static str,
    pub loaded: &'static str,
    pub not_loaded: &'static str,
    /// `openclaw-gateway.service`.
    pub name: String,
}

/// A service as its file describes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    pub argv: Vec<String>,
    pub env: Vec<(String, String)>,
    pub folder: Option<String>,
    /// Of a systemd unit, for the audit.
    pub text: String,
}

impl Written {
    pub fn env(&self, name: &str) -> Option<&str> {
        let found = self.env.iter().find(|(n, _)| n == name);
        found.map(|(_, value)| value.as_str())
    }

    /// `--port P` or `--port=P` of its command.
    pub fn port(&self) -> Option<u16> {
        let mut words = self.argv.iter();
        while let Some(word) = words.next() {
            if word == "--port" {
                return words.next()?.parse().ok();
            }
            if let Some(number) = word.strip_prefix("--port=") {
                return number.parse().ok();
            }
        }
        None
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Runtime {
    /// `running`, `stopped`, `unknown`.
    pub status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sub_state: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_exit_status: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_exit_reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub missing_unit: bool,
}

impl Runtime {
    fn unknown(why: impl ToString) -> Runtime {
        Runtime {
            status: "unknown",
            detail: Some(why.to_string()),
            ..Runtime::default()
        }
    }

    /// The manager knows no such service.
    fn missing() -> Runtime {
        Runtime {
            missing_unit: true,
            ..Runtime::of(false, None, "")
        }
    }

    fn of(running: bool, pid: Option<u32>, state: &str) -> Runtime {
        Runtime {
            status: if running { "running" } else { "stopped" },
            pid,
            state: Some(state.to_string()).filter(|s| !s.is_empty()),
            ..Runtime::default()
        }
    }
}

/// Which of a host's managers is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    SystemdUser,
    SystemdSystem,
    Launchd,
    OpenRc,
    Runit,
    S6,
    SysVInit,
}

impl Kind {
    /// As `--manager` names them.
    pub const NAMES: [(&'static str, Kind); 7] = [
        ("systemd", Kind::SystemdUser),
        ("systemd-system", Kind::SystemdSystem),
        ("launchd", Kind::Launchd),
        ("openrc", Kind::OpenRc),
        ("runit", Kind::Runit),
        ("s6", Kind::S6),
        ("sysvinit", Kind::SysVInit),
    ];

    pub fn named(name: &str) -> Option<Kind> {
        let found = Kind::NAMES.iter().find(|(n, _)| *n == name);
        found.map(|(_, kind)| *kind)
    }

    pub fn open(self, snapshot: &Snapshot) -> Box<dyn Manager> {
        match self {
            Kind::SystemdUser => Box::new(systemd::Systemd::of_user(snapshot)),
            Kind::SystemdSystem => Box::new(systemd::Systemd::of_system(snapshot)),
            Kind::Launchd => Box::new(launchd::Launchd::new(snapshot)),
            Kind::OpenRc => Box::new(openrc::OpenRc::new(snapshot)),
            Kind::Runit => Box::new(runit::Runit::new(snapshot)),
            Kind::S6 => Box::new(s6::S6::new(snapshot)),
            Kind::SysVInit => Box::new(sysvinit::SysVInit::new(snapshot)),
        }
    }
}

/// The manager of this host: the one our service is registered with already, else the one that
/// runs here.
pub fn here(snapshot: &Snapshot) -> Box<dyn Manager> {
    let kinds = Kind::NAMES.iter().map(|(_, kind)| *kind);
    let mut registered = kinds
        .map(|kind| kind.open(snapshot))
        .filter(|manager| manager.written().is_some());
    if let Some(manager) = registered.next() {
        return manager;
    }
    running(&snapshot.env).open(snapshot)
}

/// What the manager of this host is called, without asking it.
fn label(snapshot: &Snapshot) -> &'static str {
    match Path::new("/run/systemd/system").exists() {
        true => "systemd",
        false => running(&snapshot.env).open(snapshot).words().label,
    }
}

fn running(env: &Env) -> Kind {
    let there = |path: &str| Path::new(path).exists();
    if cfg!(target_os = "macos") {
        return Kind::Launchd;
    }
    if there("/run/systemd/system") {
        // Root has a service manager of its own only while logged in, and is on a small server
        // mostly the only user.
        let user = own_uid() != 0 || program::run("systemctl", &["--user", "status"]).is_ok();
        return if user {
            Kind::SystemdUser
        } else {
            Kind::SystemdSystem
        };
    }
    match () {
        // Who has a service folder of his own says where it is.
        () if env.get("SVDIR").is_some() => Kind::Runit,
        () if env.get("S6_SCANDIR").is_some() => Kind::S6,
        () if there("/run/openrc") => Kind::OpenRc,
        () if there("/run/runit") || process::name(1) == "runit" => Kind::Runit,
        () if there(s6::SCAN_FOLDER) => Kind::S6,
        () if there("/run/initctl") || there("/dev/initctl") => Kind::SysVInit,
        // Its own tool says what is missing.
        () => Kind::SystemdUser,
    }
}

/// Why a service could not be registered, started, stopped or asked.
#[derive(Debug)]
pub enum Error {
    /// The manager cannot be asked.
    Unavailable {
        what: &'static str,
        detail: String,
    },
    /// Its tool did not do it.
    Tool {
        what: String,
        detail: String,
    },
    File {
        path: PathBuf,
        err: io::Error,
    },
    /// A package brought it.
    Packaged {
        path: PathBuf,
    },
    /// No place of it where a service can be put.
    NoPlace {
        what: &'static str,
        looked: String,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Unavailable { what, detail } => write!(f, "{what} unavailable: {detail}"),
            Error::Tool { what, detail } => write!(f, "{what} failed: {detail}"),
            Error::File { path, err } => write!(f, "{}: {err}", path.display()),
            Error::Packaged { path } => write!(f, "{} belongs to a package", path.display()),
            Error::NoPlace { what, looked } => {
                write!(
                    f,
                    "{what} has no folder for services here (looked for {looked})"
                )
            }
        }
    }
}

impl Report for Error {
    fn exit(&self) -> Exit {
        match self {
            Error::File { .. } => Exit::Io,
            Error::Unavailable { .. } | Error::NoPlace { .. } => Exit::Unavailable,
            Error::Tool { .. } | Error::Packaged { .. } => Exit::Failed,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Error::File { err, .. } if err.kind() == io::ErrorKind::PermissionDenied => {
                Some("run it as root".into())
            }
            Error::File { err, .. } => writing_hint(err),
            Error::Packaged { .. } => Some(
                "enable or disable it with systemctl; change it with systemctl edit; the package \
                 manager takes it away"
                    .into(),
            ),
            Error::NoPlace { .. } => Some("name another with --manager".into()),
            Error::Unavailable { .. } | Error::Tool { .. } => None,
        }
    }
}

/// Whole or not at all, readable by whoever starts services.
fn put(path: &Path, text: &str, mode: u32) -> Result<(), Error> {
    let failed = |err| Error::File {
        path: path.to_path_buf(),
        err,
    };
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    let durable = crate::base::atomic::Durability::Disk;
    crate::base::atomic::write_with(path, text.as_bytes(), mode, durable).map_err(failed)
}

/// False: there was none.
fn take_away(path: &Path) -> Result<bool, Error> {
    let gone = match path.is_dir() && !path.is_symlink() {
        true => std::fs::remove_dir_all(path),
        false => std::fs::remove_file(path),
    };
    match gone {
        Ok(()) => Ok(true),
        Err(err) if err.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(err) => Err(Error::File {
            path: path.to_path_buf(),
            err,
        }),
    }
}
