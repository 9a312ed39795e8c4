//! Where a command may run, and whether it may at all.
//!
//! `tools.exec.host` is `sandbox` by default: in the sandbox when the session has one, otherwise on
//! the host without questions. `gateway` is the host with approvals: `tools.exec` and the file of
//! approvals together decide, the stricter of the two, whether the command runs, a person is asked,
//! or it is refused. An elevated call runs on the host although its session is sandboxed, with the
//! same questions, or with none where the session's level is `full`.

use super::elevated::{self, Level};
use crate::tool::approve::allow::{self, Ground, Judged};
use crate::tool::approve::file::Store;
use crate::tool::approve::{Ask, Security};
use crate::tool::{Call, Context, Error};
use serde_json::Value;
use std::path::Path;

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

    pub fn has(&self, key: &str) -> bool {
        self.get(key).is_some()
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
/// Shells whose language the analysis knows.
const SHELLS: &[&str] = &["sh", "bash", "dash", "zsh", "ksh", "ash", "busybox"];

/// Where a command runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the session's sandbox, or on the host of a session without one. Nobody is asked.
    Inside,
    /// On the host, with approvals.
    Gateway { security: Security, ask: Ask },
    /// On the host, without any.
    Elevated,
}

/// A command as the judge needs to see it.
pub struct Candidate<'a> {
    pub command: &'a str,
    pub cwd: &'a Path,
    pub shell: &'a str,
    pub path: &'a str,
    /// The call gives variables of its own, by which it can change what a program does.
    pub has_env: bool,
}

/// What the rules say of a command on the host.
#[derive(Debug)]
pub struct Ruling {
    pub security: Security,
    pub ask: Ask,
    /// What becomes of it when nobody answers.
    pub fallback: Security,
    pub judged: Judged,
}

impl Ruling {
    /// The allowlist lets it pass.
    pub fn is_listed(&self) -> bool {
        self.security != Security::Allowlist || self.judged.satisfied
    }

    pub fn must_ask(&self) -> bool {
        self.ask == Ask::Always || (self.ask == Ask::OnMiss && !self.is_listed())
    }
}

/// Decides where the call runs, or refuses.
pub fn place(call: &Call, ctx: &Context, settings: &Settings, caged: bool) -> Result<Place, Error> {
    let of_session = ctx.approve.host.and_then(host);
    let written = settings.text("host").and_then(host);
    let configured = of_session.or(written).unwrap_or("sandbox");
    let level = elevated::level(call, ctx, caged)?;
    if level == Level::Full {
        return Ok(Place::Elevated);
    }
    let requested = call.str("host").and_then(host).unwrap_or(configured);
    if level == Level::Off && requested != configured {
        return Err(Error(format!(
            "exec host not allowed (requested {requested}; configure tools.exec.host={requested} \
             to allow)."
        )));
    }
    let scale = |own: Option<&str>, key: &str| {
        let said = own.or_else(|| settings.text(key));
        said.map(str::to_string)
    };
    let written = scale(ctx.approve.security, "security").and_then(|t| Security::parse(&t));
    let ask = scale(ctx.approve.ask, "ask").and_then(|text| Ask::parse(&text));
    let host = if level == Level::Off {
        configured
    } else {
        "gateway"
    };
    match host {
        "node" => Err(
            "exec host=node is not built yet: set tools.exec.host to sandbox or gateway, \
                       or use the nodes tool."
                .into(),
        ),
        // Only what the operator wrote counts: the default of this host is deny, and is not meant.
        "sandbox" if written == Some(Security::Deny) => {
            Err("exec denied: host=sandbox security=deny".into())
        }
        "sandbox" => Ok(Place::Inside),
        // A sandboxed session leaves its sandbox only by elevation.
        _ if caged && level == Level::Off => {
            Err("exec host=gateway is outside this session's sandbox: set \
                           tools.exec.host=sandbox."
                .into())
        }
        _ => {
            let security = written.unwrap_or(Security::Allowlist);
            let ask = ask.unwrap_or(Ask::OnMiss);
            let asked = call.str("security").and_then(Security::parse);
            let asked_ask = call.str("ask").and_then(Ask::parse);
            Ok(Place::Gateway {
                security: asked.map_or(security, |asked| asked.min(security)),
                ask: asked_ask.map_or(ask, |asked| asked.max(ask)),
            })
        }
    }
}

/// What the rules say of the command.
pub fn rule(
    ctx: &Context,
    settings: &Settings,
    place: (Security, Ask),
    store: &Store,
    candidate: &Candidate,
) -> Result<Ruling, Error> {
    let rules = store
        .rules(ctx.agent_id)
        .map_err(|err| Error(format!("exec denied: {err}")))?;
    let security = rules.security.map_or(place.0, |own| own.min(place.0));
    let ask = rules.ask.map_or(place.1, |own| own.max(place.1));
    if security == Security::Deny {
        return Err("exec denied: host=gateway security=deny".into());
    }
    let shell = Path::new(candidate.shell).file_name();
    let known = shell.is_some_and(|name| SHELLS.iter().any(|known| name == *known));
    let safe_bins = settings.has("safeBins").then(|| settings.list("safeBins"));
    let skill_bins = match (rules.auto_allow_skills, ctx.approve.desk) {
        (true, Some(desk)) => desk.skill_bins(),
        _ => Vec::new(),
    };
    let judged = allow::judge(
        candidate.command,
        &Ground {
            rules: &rules,
            safe_bins: safe_bins.as_deref(),
            skill_bins: &skill_bins,
            cwd: candidate.cwd,
            home: &ctx.processes.paths().home,
            path: candidate.path,
            plain_shell: known && !candidate.has_env,
        },
    );
    Ok(Ruling {
        security,
        ask,
        fallback: rules.fallback.unwrap_or(Security::Deny),
        judged,
    })
}

fn host(text: &str) -> Option<&'static str> {
    let text = text.trim().to_lowercase();
    HOSTS.iter().find(|host| **host == text).copied()
}
