//! Where a command may run, and whether it may at all.
//!
//! `tools.exec.host` is `sandbox` by default: in the sandbox when the session has one, otherwise on
//! the host without questions. `gateway` is the host with approvals. Asking somebody is not built
//! yet: a command that would have to be approved is refused, and the text names the setting.

use crate::tool::{Call, Context, Error};
use serde_json::Value;

/// `tools.exec` of the agent over that of all.
pub struct Settings {
    own: Value,
    shared: Value,
}

impl Settings {
    pub fn of(ctx: &Context) -> Settings {
        let value = &ctx.config.value;
        let agents = value.pointer("/agents/list").and_then(Value::as_array);
        let own = agents.into_iter().flatten().find(|agent| {
            let id = agent.get("id").and_then(Value::as_str);
            id.is_some_and(|id| id.trim().eq_ignore_ascii_case(ctx.agent_id))
        });
        let block = |of: Option<&Value>| of.cloned().unwrap_or(Value::Null);
        Settings {
            own: block(own.and_then(|agent| agent.pointer("/tools/exec"))),
            shared: block(value.pointer("/tools/exec")),
        }
    }

    fn get(&self, key: &str) -> Option<&Value> {
        self.own.get(key).or_else(|| self.shared.get(key))
    }

    pub fn text(&self, key: &str) -> Option<&str> {
        self.get(key).and_then(Value::as_str)
    }

    pub fn number(&self, key: &str) -> Option<f64> {
        self.get(key).and_then(Value::as_f64)
    }

    pub fn flag(&self, key: &str) -> Option<bool> {
        self.get(key).and_then(Value::as_bool)
    }

    pub fn list(&self, key: &str) -> Vec<String> {
        let list = self.get(key).and_then(Value::as_array);
        list.into_iter()
            .flatten()
            .filter_map(|item| item.as_str().map(str::to_string))
            .collect()
    }
}

const HOSTS: &[&str] = &["sandbox", "gateway", "node"];
/// From strict to lax; the stricter of two wins.
const SECURITY: &[&str] = &["deny", "allowlist", "full"];
/// From lax to strict; the stricter of two wins.
const ASK: &[&str] = &["off", "on-miss", "always"];

/// Refuses what may not run.
pub fn permit(call: &Call, ctx: &Context, settings: &Settings, caged: bool) -> Result<(), Error> {
    let configured = choice(settings.text("host"), HOSTS).unwrap_or("sandbox");
    let requested = choice(call.str("host"), HOSTS).unwrap_or(configured);
    if call.flag("elevated") == Some(true) {
        return Err(
            "elevated is not available: this build cannot ask for approval yet. Leave \
                    elevated out; tools.elevated has no effect for now."
                .into(),
        );
    }
    if requested != configured {
        return Err(Error(format!(
            "exec host not allowed (requested {requested}; configure tools.exec.host={requested} \
             to allow)."
        )));
    }
    let written = choice(settings.text("security"), SECURITY);
    match configured {
        "node" => Err(
            "exec host=node is not built yet: set tools.exec.host to sandbox or gateway, \
                       or use the nodes tool."
                .into(),
        ),
        // Only what the operator wrote counts: the default of this host is deny, and is not meant.
        "sandbox" if written == Some("deny") => {
            Err("exec denied: host=sandbox security=deny".into())
        }
        "sandbox" => Ok(()),
        // A sandboxed session leaves its sandbox only by elevation.
        _ if caged => Err("exec host=gateway is outside this session's sandbox: set \
                           tools.exec.host=sandbox."
            .into()),
        _ => on_gateway(call, ctx, settings, written),
    }
}

fn on_gateway(
    call: &Call,
    ctx: &Context,
    settings: &Settings,
    written: Option<&'static str>,
) -> Result<(), Error> {
    let approvals = ctx
        .processes
        .paths()
        .home
        .join(".openclaw/exec-approvals.json");
    let file = Approvals::read(&approvals, ctx.agent_id)?;
    let security = [
        Some(written.unwrap_or("allowlist")),
        choice(call.str("security"), SECURITY),
        file.security,
    ];
    let security = pick(SECURITY, security, false);
    let ask = [
        Some(choice(settings.text("ask"), ASK).unwrap_or("on-miss")),
        choice(call.str("ask"), ASK),
        file.ask,
    ];
    let ask = pick(ASK, ask, true);
    match (security, ask) {
        ("deny", _) => Err("exec denied: host=gateway security=deny".into()),
        ("full", "off" | "on-miss") => Ok(()),
        _ => Err(Error(format!(
            "exec host=gateway with security={security} ask={ask} needs an approval, and this \
             build cannot ask for one yet. To run commands without asking set \
             tools.exec.security=full and tools.exec.ask=off (and nothing stricter in {}), or \
             tools.exec.host=sandbox.",
            approvals.display()
        ))),
    }
}

/// What `exec-approvals.json` says for an agent: its own block over `*` over the defaults.
#[derive(Default)]
struct Approvals {
    security: Option<&'static str>,
    ask: Option<&'static str>,
}

impl Approvals {
    fn read(path: &std::path::Path, agent_id: &str) -> Result<Approvals, Error> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(err) if err.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Approvals::default());
            }
            // Unreadable rules are no permission.
            Err(err) => return Err(Error(format!("exec denied: {}: {err}", path.display()))),
        };
        let value: Value = serde_json::from_str(&text)
            .map_err(|err| Error(format!("exec denied: {}: {err}", path.display())))?;
        let get = |key: &str, options| {
            let places = [
                value.get("agents").and_then(|agents| agents.get(agent_id)),
                value.get("agents").and_then(|agents| agents.get("*")),
                value.get("defaults"),
            ];
            let said = places
                .into_iter()
                .flatten()
                .find_map(|place| place.get(key));
            choice(said.and_then(Value::as_str), options)
        };
        Ok(Approvals {
            security: get("security", SECURITY),
            ask: get("ask", ASK),
        })
    }
}

fn choice(text: Option<&str>, options: &'static [&'static str]) -> Option<&'static str> {
    let text = text?.trim().to_lowercase();
    options.iter().find(|option| **option == text).copied()
}

/// The last of the options said (`highest`), or the first.
fn pick(
    options: &'static [&'static str],
    said: [Option<&'static str>; 3],
    highest: bool,
) -> &'static str {
    let rank = |word: &'static str| options.iter().position(|option| *option == word);
    let ranks = said.into_iter().flatten().filter_map(rank);
    let rank = if highest { ranks.max() } else { ranks.min() };
    options[rank.unwrap_or(0)]
}
