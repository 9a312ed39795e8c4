//! Hooks: what is to happen when a person gives a command, a turn begins or the gateway starts.
//! Where they lie, what their HOOK.md says, which of them this host can run. Nothing is run here.
//!
//! Four are built in. The others are folders with a HOOK.md and a handler: an executable file named
//! `handler`, in any language, or a module for Node. Hooks of a workspace may have been written by
//! the agent who works there: they run only when the configuration names them as enabled, and never
//! take the place of another hook.

mod built;
pub mod find;

use super::skills::gate::{Gate, Standing};
use super::skills::{Requires, Source, text, texts, yaml};
use crate::config::Snapshot;
use serde_json::Value;
use std::path::{Path, PathBuf};

pub use built::Built;

/// What runs a module.
pub const NODE: &str = "node";

#[derive(Clone, Debug, PartialEq)]
pub struct Hook {
    pub name: String,
    pub description: String,
    pub source: Source,
    pub emoji: Option<String>,
    pub homepage: Option<String>,
    /// `command`, `command:new`, …
    pub events: Vec<String>,
    /// Usable whatever is missing.
    pub always: bool,
    pub requires: Requires,
    /// What of a module is called.
    pub export: String,
    /// Its HOOK.md; `None` for one that is built in.
    pub file: Option<PathBuf>,
    /// Its key in the configuration, where that is not its name.
    pub key: Option<String>,
    pub handler: Handler,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Handler {
    Built(Built),
    /// Gets the event on its standard input.
    Program(PathBuf),
    /// A module with a function.
    Module(PathBuf),
}

/// Names of a handler in its folder, the first that is there counts.
const PROGRAM: &str = "handler";
const MODULES: [&str; 6] = [
    "handler.ts",
    "handler.js",
    "handler.mjs",
    "index.ts",
    "index.js",
    "index.mjs",
];

impl Hook {
    /// Its name in `hooks.internal.entries`.
    pub fn key(&self) -> &str {
        self.key.as_deref().unwrap_or(&self.name)
    }

    pub fn handler_path(&self) -> Option<&Path> {
        match &self.handler {
            Handler::Built(_) => None,
            Handler::Program(path) | Handler::Module(path) => Some(path),
        }
    }

    /// Whether it wants to hear of `action` among the events of `kind`.
    pub fn hears(&self, kind: &str, action: &str) -> bool {
        let one = |event: &String| match event.split_once(':') {
            Some((of, name)) => of == kind && name == action,
            None => event == kind,
        };
        self.events.iter().any(one)
    }

    /// From the folder `dir`; the error says why it is no hook.
    fn read(front: &str, dir: &Path, source: Source) -> Result<Hook, String> {
        let front = yaml::parse(front)?;
        let folder = dir.file_name().unwrap_or_default().to_string_lossy();
        let meta = match front.get("metadata") {
            // Also as JSON in a text.
            Some(Value::String(json)) => json5::from_str(json).map_err(|err| err.to_string())?,
            Some(value) => value.clone(),
            None => Value::Null,
        };
        let own = &meta["openclaw"];
        let events = texts(&own["events"]);
        if events.is_empty() {
            return Err("it names no events".into());
        }
        let requires = &own["requires"];
        let system = if own["os"].is_null() {
            &requires["os"]
        } else {
            &own["os"]
        };
        let mut requires = Requires {
            bins: texts(&requires["bins"]),
            any_bins: texts(&requires["anyBins"]),
            env: texts(&requires["env"]),
            config: texts(&requires["config"]),
            os: texts(system),
        };
        let program = dir.join(PROGRAM);
        let module = MODULES.iter().map(|name| dir.join(name));
        let handler = match program.is_file() {
            true => Handler::Program(program),
            false => Handler::Module(
                module
                    .into_iter()
                    .find(|path| path.is_file())
                    .ok_or("it has no handler, handler.js or handler.ts")?,
            ),
        };
        if matches!(handler, Handler::Module(_)) && !requires.bins.iter().any(|bin| bin == NODE) {
            requires.bins.push(NODE.into());
        }
        Ok(Hook {
            name: text(front.get("name")).unwrap_or_else(|| folder.into_owned()),
            description: text(front.get("description")).unwrap_or_default(),
            source,
            emoji: text(own.get("emoji")),
            homepage: text(own.get("homepage")).or_else(|| text(front.get("homepage"))),
            events,
            always: own["always"] == true,
            requires,
            export: text(own.get("export")).unwrap_or_else(|| "default".into()),
            file: Some(dir.join(find::FILE)),
            key: text(own.get("hookKey")),
            handler,
        })
    }
}

/// Whether hooks run at all.
pub fn is_on(config: &Snapshot) -> bool {
    config.value.pointer("/hooks/internal/enabled") == Some(&Value::Bool(true))
}

/// What the configuration says of a hook.
pub fn entry<'c>(config: &'c Snapshot, hook: &Hook) -> Option<&'c Value> {
    let entries = config.value.pointer("/hooks/internal/entries")?;
    entries.get(hook.key())
}

/// A variable that the configuration gives a hook.
pub fn variable<'c>(config: &'c Snapshot, hook: &Hook, name: &str) -> Option<&'c str> {
    let value = entry(config, hook)?.get("env")?.get(name)?.as_str()?.trim();
    (!value.is_empty()).then_some(value)
}

/// Whether a hook can run here, and why not.
pub fn judge(gate: &Gate, hook: &Hook) -> Standing {
    let config = gate.config();
    let enabled = entry(config, hook).and_then(|entry| entry.get("enabled")?.as_bool());
    let disabled = !enabled.unwrap_or(hook.source != Source::Workspace);
    let has = |name: &str| config.env.get(name).is_some() || variable(config, hook, name).is_some();
    let (missing, checks) = gate.missing(&hook.requires, hook.always, &has);
    Standing {
        eligible: !disabled && missing == Requires::default(),
        disabled,
        blocked: false,
        missing,
        checks,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn hook(events: &[&str]) -> Hook {
        Hook {
            events: events.iter().map(|event| event.to_string()).collect(),
            ..Built::CommandLogger.hook()
        }
    }

    #[test]
    fn a_hook_hears_the_events_it_names_and_all_of_a_kind() {
        assert!(hook(&["command"]).hears("command", "stop"));
        assert!(hook(&["agent:bootstrap", "command:new"]).hears("command", "new"));
        assert!(!hook(&["command:new"]).hears("command", "reset"));
        assert!(!hook(&["command"]).hears("gateway", "startup"));
    }

    #[test]
    fn a_workspaces_hook_runs_only_when_it_is_named() {
        let of = |source, entry: Value| {
            let config = Snapshot {
                value: json!({"hooks": {"internal": {"entries": {"command-logger": entry}}}}),
                ..Snapshot::default()
            };
            let hook = Hook {
                source,
                ..Built::CommandLogger.hook()
            };
            judge(&Gate::new(&config), &hook).eligible
        };
        assert!(of(Source::Managed, json!({})));
        assert!(!of(Source::Managed, json!({"enabled": false})));
        assert!(!of(Source::Workspace, json!({})));
        assert!(of(Source::Workspace, json!({"enabled": true})));
    }
}
