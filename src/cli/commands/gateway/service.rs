//! `openclaw gateway install|uninstall|start|stop|restart`: the gateway as a service of this host.
//! Output as the original's, which scripts read; a service that is not there is no failure.

use super::super::super::failure::Failure;
use super::super::super::{Context, program};
use crate::base::cmdline::{Command, Flag};
use crate::config::edit;
use crate::ops::service::{self, Definition, Error, Kind, Manager};
use serde_json::{Value, json};
use std::path::PathBuf;

const RUNTIMES: [&str; 2] = ["node", "bun"];

pub const INSTALL: Command = Command {
    name: "install",
    summary: "Install the gateway as a service of this host and start it",
    about: "The service manager is the one that runs here: systemd, launchd, OpenRC, runit, s6 or \
            the init of System V. No secret is written into the service; a token that is given is \
            kept in the configuration.",
    flags: &[
        Flag::switch("force", "Write it anew although it is installed"),
        Flag::choice(
            "manager",
            "name",
            &[
                "systemd",
                "systemd-system",
                "launchd",
                "openrc",
                "runit",
                "s6",
                "sysvinit",
            ],
            "The service manager to install it for",
        ),
        Flag::number("port", "n", "TCP port of the service"),
        Flag::value("runtime", "name", "Accepted (node or bun), without effect"),
        Flag::switch("start", "Accepted; it is started anyway"),
    ],
    ..Command::NEW
};
pub const UNINSTALL: Command = Command {
    name: "uninstall",
    summary: "Stop the service and take it away",
    ..Command::NEW
};
pub const START: Command = Command {
    name: "start",
    summary: "Start the service, or start it again",
    ..Command::NEW
};
pub const STOP: Command = Command {
    name: "stop",
    summary: "Stop the service",
    ..Command::NEW
};
pub const RESTART: Command = Command {
    name: "restart",
    summary: "Start the service again",
    ..Command::NEW
};

/// One action and what is told of it.
struct Action<'c> {
    context: &'c mut Context,
    name: &'static str,
    manager: Box<dyn Manager>,
    warnings: Vec<String>,
}

/// How an action ended.
struct Done {
    result: &'static str,
    lines: Vec<String>,
    hints: Vec<String>,
}

pub fn install(context: &mut Context) -> Result<(), Failure> {
    let snapshot = &context.local.snapshot;
    let named = context.matches.text("manager").and_then(Kind::named);
    let manager = match named {
        Some(kind) => kind.open(snapshot),
        None => service::here(snapshot),
    };
    Action::new(context, "install", manager).end(|action| action.install())
}

pub fn uninstall(context: &mut Context) -> Result<(), Failure> {
    here(context, "uninstall", |action| {
        let manager = &action.manager;
        let (noun, file) = (manager.words().noun, manager.file().display().to_string());
        let mut lines = Vec::new();
        if action.loaded()? && manager.stop().is_ok() {
            lines.push(format!("Stopped {noun}: {}", manager.words().name));
        }
        lines.push(
            match manager.uninstall().map_err(|err| action.failed(&err))? {
                true => format!("Removed {noun}: {file}"),
                false => format!("{} not found at {file}", capital(noun)),
            },
        );
        Ok(Done::with("uninstalled", lines))
    })
}

pub fn start(context: &mut Context) -> Result<(), Failure> {
    here(context, "start", |action| action.restart("started"))
}

pub fn restart(context: &mut Context) -> Result<(), Failure> {
    here(context, "restart", |action| action.restart("restarted"))
}

pub fn stop(context: &mut Context) -> Result<(), Failure> {
    here(context, "stop", |action| {
        if !action.loaded()? {
            return Ok(action.absent(Vec::new()));
        }
        let manager = &action.manager;
        manager.stop().map_err(|err| action.failed(&err))?;
        let words = manager.words();
        let line = format!("Stopped {}: {}", words.noun, words.name);
        Ok(Done::with("stopped", vec![line]))
    })
}

fn here(
    context: &mut Context,
    name: &'static str,
    act: impl FnOnce(&mut Action) -> Result<Done, String>,
) -> Result<(), Failure> {
    let manager = service::here(&context.local.snapshot);
    Action::new(context, name, manager).end(act)
}

impl Action<'_> {
    fn new<'c>(
        context: &'c mut Context,
        name: &'static str,
        manager: Box<dyn Manager>,
    ) -> Action<'c> {
        Action {
            context,
            name,
            manager,
            warnings: Vec::new(),
        }
    }

    fn install(&mut self) -> Result<Done, String> {
        let matches = &self.context.matches;
        let port = match matches.text("port") {
            Some(text) => Some(
                text.parse()
                    .ok()
                    .filter(|p| *p != 0)
                    .ok_or("Invalid port")?,
            ),
            None => None,
        };
        let runtime = matches.text("runtime");
        if runtime.is_some_and(|name| !RUNTIMES.contains(&name)) {
            return Err("Invalid --runtime (use \"node\" or \"bun\")".into());
        }
        if self.context.local.snapshot.env.flag("OPENCLAW_NIX_MODE") {
            return Err("Nix mode detected; service install is disabled.".into());
        }
        let force = self.context.matches.has("force");
        if self.loaded()? && !force {
            let words = self.manager.words();
            let lines = vec![
                format!("Gateway service already {}.", words.loaded),
                "Reinstall with: openclaw gateway install --force".into(),
            ];
            return Ok(Done::with("already-installed", lines));
        }
        self.keep_token()?;
        let definition = Definition::of(&self.context.local.snapshot, &openclaw(), port);
        let installed = self.manager.install(&definition);
        installed.map_err(|err| self.failed(&err))?;
        self.warn();
        let (noun, file) = (self.manager.words().noun, self.manager.file());
        let line = format!("Installed {noun}: {}", file.display());
        Ok(Done::with("installed", vec![line]))
    }

    /// Everybody can read a service's file: the token goes where the daemon reads it anyway.
    fn keep_token(&mut self) -> Result<(), String> {
        let snapshot = &self.context.local.snapshot;
        let configured = snapshot.config.gateway.auth.token.as_ref();
        let typed = self.context.matches.text("token");
        let of_shell = snapshot.env.get("OPENCLAW_GATEWAY_TOKEN");
        let given = typed.or(of_shell.filter(|_| configured.is_none()));
        let given = given.map(str::trim).filter(|token| !token.is_empty());
        let Some(token) = given.filter(|token| configured.is_none_or(|c| !c.matches(token))) else {
            return Ok(());
        };
        let value = Value::String(token.to_string());
        let kept = edit::set(&snapshot.paths, &snapshot.env, "gateway.auth.token", value);
        self.context.local.snapshot =
            kept.map_err(|err| format!("Gateway install failed: Error: {err}"))?;
        let path = &self.context.local.snapshot.paths;
        self.warnings.push(format!(
            "The token was written to {}, not into the service.",
            path.tilde(&path.config)
        ));
        Ok(())
    }

    /// What keeps the service from doing what is expected of it.
    fn warn(&mut self) {
        let snapshot = &self.context.local.snapshot;
        if snapshot.config.gateway.mode.as_deref() != Some("local") {
            self.warnings.push(
                "gateway.mode is not local: the service refuses to start. Run: openclaw config set \
                 gateway.mode local"
                    .into(),
            );
        }
        self.warnings.extend(self.manager.ends_with_login());
    }

    fn restart(&mut self, result: &'static str) -> Result<Done, String> {
        if !self.loaded()? {
            let hints = [
                "openclaw gateway install".to_string(),
                "openclaw gateway".to_string(),
                self.manager.start_hint(),
            ];
            return Ok(self.absent(hints.to_vec()));
        }
        self.manager.restart().map_err(|err| self.failed(&err))?;
        let words = self.manager.words();
        let line = format!("Restarted {}: {}", words.noun, words.name);
        Ok(Done::with(result, vec![line]))
    }

    fn loaded(&self) -> Result<bool, String> {
        let loaded = self.manager.loaded();
        loaded.map_err(|err| told("Gateway service check failed", &err))
    }

    /// Not there: no failure, as in the original.
    fn absent(&self, hints: Vec<String>) -> Done {
        let not = self.manager.words().not_loaded;
        let mut lines = vec![format!("Gateway service {not}.")];
        lines.extend(hints.iter().map(|hint| format!("Start with: {hint}")));
        Done {
            hints,
            ..Done::with("not-loaded", lines)
        }
    }

    fn failed(&self, err: &Error) -> String {
        told(&format!("Gateway {} failed", self.name), err)
    }

    fn end(mut self, act: impl FnOnce(&mut Self) -> Result<Done, String>) -> Result<(), Failure> {
        let done = act(&mut self);
        if self.context.json() {
            let failed = done.is_err();
            let value = self.document(done);
            self.context.out.json(&value)?;
            return if failed { Err(Failure::Silent) } else { Ok(()) };
        }
        let done = done.map_err(Failure::Said)?;
        for line in &done.lines {
            self.context.out.line(line)?;
        }
        self.context.out.flush()?;
        for warning in &self.warnings {
            eprintln!("{warning}");
        }
        Ok(())
    }

    fn document(&self, done: Result<Done, String>) -> Value {
        let mut value = json!({"action": self.name, "ok": done.is_ok()});
        let done = match done {
            Ok(done) => done,
            Err(text) => {
                value["error"] = text.into();
                return value;
            }
        };
        value["result"] = done.result.into();
        if !done.hints.is_empty() || done.result == "already-installed" {
            value["message"] = done.lines[0].clone().into();
        }
        if !done.hints.is_empty() {
            value["hints"] = done.hints.into();
        }
        value["service"] = summary(&*self.manager);
        if !self.warnings.is_empty() {
            value["warnings"] = self.warnings.clone().into();
        }
        value
    }
}

impl Done {
    fn with(result: &'static str, lines: Vec<String>) -> Done {
        Done {
            result,
            lines,
            hints: Vec::new(),
        }
    }
}

/// The service as every answer names it.
fn summary(manager: &dyn Manager) -> Value {
    let words = manager.words();
    json!({
        "label": words.label,
        "loaded": manager.loaded().unwrap_or(false),
        "loadedText": words.loaded,
        "notLoadedText": words.not_loaded,
    })
}

/// Our own program, by its whole path: a service has no PATH to rely on.
pub fn openclaw() -> PathBuf {
    let own = std::env::current_exe();
    own.unwrap_or_else(|_| program::beside("openclaw"))
}

fn told(prefix: &str, err: &Error) -> String {
    use crate::base::exit::Report;
    let hint = err
        .hint()
        .map_or(String::new(), |hint| format!("\n  fix: {hint}"));
    format!("{prefix}: Error: {err}{hint}")
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|c| c.to_uppercase().to_string());
    first.unwrap_or_default() + letters.as_str()
}
