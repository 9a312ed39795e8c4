//! What a session may do: whether it is sandboxed, by what, with which tools, who may leave the
//! sandbox, and what of it this kernel can enforce. Reads the configuration and the session's entry,
//! asks the kernel, changes nothing.

use crate::config::Snapshot;
use crate::config::agents::agent_id;
use crate::config::sandbox::{Settings, of_session};
use crate::exec;
use crate::session::{Store, key};
use crate::tool::container;
use crate::tool::policy::{self, Origin};
use serde::Serialize;
use serde_json::{Value, json};

const DOCS: &str = "https://docs.openclaw.ai/sandbox";
/// Channels a session key can name in its third part.
const CHANNELS: [&str; 8] = [
    "telegram",
    "whatsapp",
    "discord",
    "googlechat",
    "slack",
    "signal",
    "imessage",
    "webchat",
];

/// As `sandbox explain --json` prints it: the original's words, and `enforcement`, which is ours.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explained {
    pub docs_url: &'static str,
    pub agent_id: String,
    pub session_key: String,
    pub main_session_key: String,
    pub sandbox: Sandbox,
    pub elevated: Elevated,
    pub fix_it: Vec<String>,
    pub enforcement: Enforcement,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Sandbox {
    pub mode: &'static str,
    pub scope: &'static str,
    pub per_session: bool,
    pub workspace_access: &'static str,
    pub workspace_root: String,
    pub session_is_sandboxed: bool,
    pub tools: Tools,
}

#[derive(Debug, Serialize)]
pub struct Tools {
    pub allow: Vec<String>,
    pub deny: Vec<String>,
    pub sources: Sources,
}

#[derive(Debug, Serialize)]
pub struct Sources {
    pub allow: Source,
    pub deny: Source,
}

#[derive(Debug, Serialize)]
pub struct Source {
    pub source: &'static str,
    pub key: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Elevated {
    pub enabled: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel: Option<String>,
    pub allowed_by_config: bool,
    pub always_allowed_by_config: bool,
    pub allow_from: Value,
    pub failures: Vec<Gate>,
}

#[derive(Debug, Serialize)]
pub struct Gate {
    pub gate: &'static str,
    pub key: String,
}

/// What holds a sandboxed command here.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Enforcement {
    /// `docker`, or `kernel`, which is what the rest is about.
    pub backend: &'static str,
    /// The setting that needs a container.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub needs_container: Option<String>,
    /// Files and system calls: both are needed, or no sandboxed command runs.
    pub landlock: bool,
    pub seccomp: bool,
    /// Signals among its own processes work and go no further; else they are refused.
    pub signals: bool,
    /// Temp folders and a loopback of its own; else only `TMPDIR`, and no socket at all.
    pub namespaces: bool,
    pub network: bool,
    /// Where it works, and what it may read besides the system's programs.
    pub folder: String,
}

impl Enforcement {
    pub fn is_possible(&self) -> bool {
        self.landlock && self.seccomp
    }
}

/// `session` and `agent` as typed.
pub fn explain(snapshot: &Snapshot, session: Option<&str>, agent: Option<&str>) -> Explained {
    let config = &snapshot.config;
    let typed = |text: Option<&str>| Some(text?.trim().to_string()).filter(|t| !t.is_empty());
    let (session, agent) = (typed(session), typed(agent));
    let named = agent.map(|agent| agent_id(&agent));
    let of_key = session.as_deref().and_then(key::agent_of);
    let agent = named
        .or_else(|| of_key.map(agent_id))
        .unwrap_or_else(|| config.default_agent_id());
    let defaults = key::Defaults {
        agent: agent.clone(),
        ..key::Defaults::of(config)
    };
    let main = defaults.main_of(&agent);
    let session = session.map_or_else(|| main.clone(), |typed| key::canonical(&typed, &defaults));
    let settings = Settings::of(config, &snapshot.paths, &agent);
    let access = of_session(config, &agent, &session);
    let rules = policy::sandbox_rules(snapshot, &agent);
    let elevated = elevated(snapshot, &agent, channel(snapshot, &session));
    let mut fix_it: Vec<String> = Vec::new();
    if settings.mode.name() != "off" {
        fix_it.push("agents.defaults.sandbox.mode=off".into());
        fix_it.push("agents.list[].sandbox.mode=off".into());
    }
    for place in ["tools", "agents.list[].tools"] {
        fix_it.push(format!("{place}.sandbox.tools.allow"));
        fix_it.push(format!("{place}.sandbox.tools.deny"));
    }
    fix_it.push("tools.elevated.enabled".into());
    if let Some(channel) = &elevated.channel {
        fix_it.push(format!("tools.elevated.allowFrom.{channel}"));
    }
    let folder = match settings.access.name() {
        "rw" => config.workspace(&agent, &snapshot.paths),
        _ => settings.folder(&agent, &session),
    };
    Explained {
        docs_url: DOCS,
        sandbox: Sandbox {
            mode: settings.mode.name(),
            scope: settings.scope.name(),
            per_session: settings.scope.name() == "session",
            workspace_access: settings.access.name(),
            workspace_root: settings.root.display().to_string(),
            session_is_sandboxed: access.is_some(),
            tools: Tools {
                sources: Sources {
                    allow: source(rules.allow_from, "allow"),
                    deny: source(rules.deny_from, "deny"),
                },
                allow: rules.allow,
                deny: rules.deny,
            },
        },
        elevated,
        fix_it,
        enforcement: enforcement(snapshot, &settings, folder.display().to_string()),
        agent_id: agent,
        session_key: session,
        main_session_key: main,
    }
}

fn enforcement(snapshot: &Snapshot, settings: &Settings, folder: String) -> Enforcement {
    let enforces = exec::enforces();
    let has = |name: &str| enforces.iter().any(|known| known == name);
    let docker = container::program(settings, &snapshot.env);
    Enforcement {
        backend: if docker.is_some() { "docker" } else { "kernel" },
        needs_container: settings
            .needs_container()
            .map(|key| format!("sandbox.docker.{key}")),
        landlock: has("landlock"),
        seccomp: has("seccomp"),
        signals: has("signals"),
        namespaces: has("namespaces"),
        network: settings.network(),
        folder,
    }
}

fn source(origin: Origin, key: &str) -> Source {
    let (source, place) = match origin {
        Origin::Agent => ("agent", "agents.list[].tools"),
        Origin::Global => ("global", "tools"),
        Origin::Default => ("default", "tools"),
    };
    Source {
        source,
        key: format!("{place}.sandbox.tools.{key}"),
    }
}

/// Where the session last spoke, else what its key names.
fn channel(snapshot: &Snapshot, session: &str) -> Option<String> {
    let known = |name: &str| {
        let name = name.trim().to_lowercase();
        CHANNELS.contains(&name.as_str()).then_some(name)
    };
    let store = Store::open(&snapshot.paths, &snapshot.config);
    // A store that cannot be read says nothing about the session.
    let entry = store.entry(session).ok().flatten();
    let last = entry.and_then(|entry| known(entry.last_channel.as_deref()?));
    last.or_else(|| known(session.split(':').nth(2)?))
}

fn elevated(snapshot: &Snapshot, agent: &str, channel: Option<String>) -> Elevated {
    let value = &snapshot.value;
    let global = value.pointer("/tools/elevated").unwrap_or(&Value::Null);
    let own = value.pointer("/agents/list").and_then(Value::as_array);
    let own = own.into_iter().flatten().find(|entry| {
        let id = entry.get("id").and_then(Value::as_str);
        id.is_some_and(|id| agent_id(id) == agent)
    });
    let own = own
        .and_then(|entry| entry.pointer("/tools/elevated"))
        .unwrap_or(&Value::Null);
    let is_on = |place: &Value| place.get("enabled") != Some(&Value::Bool(false));
    let names = |place: &Value| -> Vec<String> {
        let list = channel
            .as_ref()
            .and_then(|name| place.get("allowFrom")?.get(name));
        let list = list.and_then(Value::as_array).into_iter().flatten();
        list.filter_map(|name| match name {
            Value::String(text) => Some(text.trim().to_string()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        })
        .filter(|name| !name.is_empty())
        .collect()
    };
    let (by_all, by_own) = (names(global), names(own));
    let narrows = own.get("allowFrom").is_some();
    let enabled = is_on(global) && is_on(own);
    let allowed = enabled && !by_all.is_empty() && (!narrows || !by_own.is_empty());
    let any = |list: &[String]| list.iter().any(|name| name == "*");
    let mut failures = Vec::new();
    let mut fails = |gate, key: &str| {
        failures.push(Gate {
            gate,
            key: key.into(),
        });
    };
    if !is_on(global) {
        fails("enabled", "tools.elevated.enabled");
    }
    if !is_on(own) {
        fails("enabled", "agents.list[].tools.elevated.enabled");
    }
    let mut allow_from = json!({});
    if let Some(name) = &channel {
        let key = format!("tools.elevated.allowFrom.{name}");
        if by_all.is_empty() {
            fails("allowFrom", &key);
        }
        if narrows && by_own.is_empty() {
            fails("allowFrom", &format!("agents.list[].{key}"));
        }
        allow_from["global"] = json!(by_all);
        if narrows {
            allow_from["agent"] = json!(by_own);
        }
    }
    Elevated {
        enabled,
        allowed_by_config: allowed,
        always_allowed_by_config: allowed && any(&by_all) && (!narrows || any(&by_own)),
        allow_from,
        failures,
        channel,
    }
}
