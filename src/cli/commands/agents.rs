//! `openclaw agents`: who there is, who comes and goes, and how each is called.

use super::super::Context;
use super::super::ask::{self, Ask};
use super::super::failure::Failure;
use crate::base::cmdline::{Arg, Command, Flag, Matches};
use crate::base::exit::Report;
use crate::config::agents::{MAIN_AGENT, agent_id};
use crate::config::paths::expand;
use crate::config::{Snapshot, edit};
use crate::gateway::identity;
use crate::model::name;
use crate::ops::agents::{self, New};
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};

pub const SPEC: Command = Command {
    name: "agents",
    summary: "List, add, name and remove agents",
    standalone: true,
    subcommands: &[
        Command {
            name: "add",
            summary: "Add an agent with a workspace of its own",
            flags: &[
                Flag::dir(
                    "agent-dir",
                    "dir",
                    "Its folder of credentials; only the usual one",
                ),
                Flag::value("bind", "channel[:account]", "Messages that are its").repeatable(),
                Flag::value("model", "id", "Its model"),
                Flag::switch("non-interactive", "Ask nothing"),
                Flag::dir("workspace", "dir", "Where it works"),
            ],
            args: &[Arg::optional(
                "name",
                "What it is called; its id is made of it",
            )],
            ..Command::NEW
        },
        Command {
            name: "delete",
            summary: "Remove an agent; its folders go to the trash",
            flags: &[Flag::switch("force", "Do not ask")],
            args: &[Arg::required("id", "The agent")],
            ..Command::NEW
        },
        Command {
            name: "list",
            summary: "List the agents",
            flags: &[Flag::switch("bindings", "Show whose messages are theirs")],
            ..Command::NEW
        },
        Command {
            name: "set-identity",
            summary: "Say what an agent is called and how it looks",
            flags: &[
                Flag::value("agent", "id", "The agent; else the one of --workspace"),
                Flag::value(
                    "avatar",
                    "value",
                    "A file of the workspace, a link or a data: URL",
                ),
                Flag::value("emoji", "emoji", "Its sign"),
                Flag::switch(
                    "from-identity",
                    "Take what IDENTITY.md of the workspace says",
                ),
                Flag::file("identity-file", "file", "Take what this file says"),
                Flag::value("name", "name", "Its name"),
                Flag::value("theme", "theme", "Its manner"),
                Flag::dir("workspace", "dir", "The agent that works there"),
            ],
            ..Command::NEW
        },
    ],
    ..Command::NEW
};

fn told(err: &edit::Error) -> Failure {
    match err.hint() {
        Some(hint) => Failure::said(format!("{err}\n  fix: {hint}")),
        None => Failure::said(err),
    }
}

pub fn bare(context: &mut Context) -> Result<(), Failure> {
    show(context, false)
}

pub fn list(context: &mut Context) -> Result<(), Failure> {
    let details = context.matches.has("bindings");
    show(context, details)
}

fn show(context: &mut Context, details: bool) -> Result<(), Failure> {
    let snapshot = &context.local.snapshot;
    let rows: Vec<Value> = snapshot
        .config
        .agent_ids()
        .iter()
        .map(|id| row(snapshot, id, details))
        .collect();
    if context.json() {
        return Ok(context.out.json(&rows)?);
    }
    let mut lines = vec!["Agents:".to_string()];
    for row in &rows {
        describe(context, row, &mut lines);
    }
    lines.push(
        "Routing rules map channel/account/peer to an agent. Use --bindings for full rules.".into(),
    );
    lines.push(
        "Channel status reflects local config/creds. For live health: openclaw channels status \
         --probe."
            .into(),
    );
    for line in lines {
        context.out.line(line)?;
    }
    Ok(())
}

fn row(snapshot: &Snapshot, id: &str, details: bool) -> Value {
    let (config, paths) = (&snapshot.config, &snapshot.paths);
    let agent = config.agent(id);
    let is_default = config.default_agent_id() == id;
    let mut row = json!({"id": id});
    if let Some(name) = agent.and_then(|agent| agent.name.as_deref()) {
        row["name"] = name.trim().into();
    }
    let workspace = config.workspace(id, paths);
    let own = agent.map(|agent| &agent.identity);
    let text = |name: &str| {
        own.and_then(|own| own.get(name)?.as_str())
            .map(str::to_string)
    };
    let file = identity::from_file(&workspace);
    let source = match (text("name").is_some() || text("emoji").is_some(), &file) {
        (true, _) => Some("config"),
        (false, file) if file.name.is_some() || file.emoji.is_some() => Some("identity"),
        _ => None,
    };
    for (key, value) in [
        ("identityName", text("name").or(file.name)),
        ("identityEmoji", text("emoji").or(file.emoji)),
        ("identitySource", source.map(str::to_string)),
    ] {
        if let Some(value) = value {
            row[key] = value.into();
        }
    }
    row["workspace"] = json!(workspace);
    row["agentDir"] = json!(agent_dir(snapshot, id));
    if let Some(model) = model(snapshot, id) {
        row["model"] = model.into();
    }
    let bindings = snapshot.value["bindings"].as_array();
    let owner = |b: &Value| b["agentId"].as_str().map(agent_id) == Some(id.to_string());
    let bindings = bindings.into_iter().flatten().filter(|b| owner(b));
    let bindings: Vec<String> = bindings.map(|b| rule(&b["match"])).collect();
    row["bindings"] = bindings.len().into();
    row["isDefault"] = is_default.into();
    if details && !bindings.is_empty() {
        row["bindingDetails"] = bindings.into();
    } else if is_default && bindings.is_empty() {
        row["routes"] = json!(["default (no explicit rules)"]);
    }
    row
}

/// Its own model, else everybody's.
fn model(snapshot: &Snapshot, id: &str) -> Option<String> {
    let own = snapshot
        .config
        .agent(id)
        .and_then(|agent| agent.model.as_ref());
    let own = own.and_then(|model| model.as_str().or_else(|| model["primary"].as_str()));
    let shared = snapshot.config.agents.defaults.model.primary.as_deref();
    own.or(shared).map(str::to_string)
}

fn agent_dir(snapshot: &Snapshot, id: &str) -> PathBuf {
    name::agent_dir(&snapshot.paths, id)
}

/// A binding's match in words.
fn rule(place: &Value) -> String {
    let mut words = vec![place["channel"].as_str().unwrap_or("?").to_string()];
    for (key, name) in [
        ("accountId", "accountId"),
        ("guildId", "guild"),
        ("teamId", "team"),
    ] {
        if let Some(value) = place[key].as_str() {
            words.push(format!("{name}={value}"));
        }
    }
    if let Some(id) = place["peer"]["id"].as_str() {
        let kind = place["peer"]["kind"].as_str().unwrap_or("peer");
        words.push(format!("peer={kind}:{id}"));
    }
    words.join(" ")
}

fn describe(context: &Context, row: &Value, lines: &mut Vec<String>) {
    let paths = context.local.paths();
    let text = |name: &str| row[name].as_str();
    let id = text("id").unwrap_or_default();
    let mut head = format!("- {id}");
    if row["isDefault"] == true {
        head.push_str(" (default)");
    }
    if let Some(name) = text("name").filter(|name| *name != id) {
        head.push_str(&format!(" ({name})"));
    }
    lines.push(head);
    let identity: Vec<&str> = ["identityEmoji", "identityName"]
        .iter()
        .filter_map(|name| text(name))
        .collect();
    if !identity.is_empty() {
        let source = match text("identitySource") {
            Some("config") => "config",
            _ => "IDENTITY.md",
        };
        lines.push(format!("  Identity: {} ({source})", identity.join(" ")));
    }
    let short = |name: &str| paths.tilde(Path::new(text(name).unwrap_or_default()));
    lines.push(format!("  Workspace: {}", short("workspace")));
    lines.push(format!("  Agent dir: {}", short("agentDir")));
    if let Some(model) = text("model") {
        lines.push(format!("  Model: {model}"));
    }
    lines.push(format!("  Routing rules: {}", row["bindings"]));
    if let Some(route) = row["routes"][0].as_str() {
        lines.push(format!("  Routing: {route}"));
    }
    if let Some(rules) = row["bindingDetails"].as_array() {
        lines.push("  Routing rules:".into());
        let rules = rules.iter().filter_map(Value::as_str);
        lines.extend(rules.map(|rule| format!("    - {rule}")));
    }
}

pub fn add(context: &mut Context) -> Result<(), Failure> {
    let matches = &context.matches;
    let asks = !matches.has("non-interactive")
        && matches.text("workspace").is_none()
        && ask::is_possible();
    if !asks && matches.text("workspace").is_none() {
        return Err(Failure::said(
            "Non-interactive mode requires --workspace. Re-run without flags to use the wizard.",
        ));
    }
    let typed = matches.arg(0).map(str::to_string);
    let typed = match (typed, asks) {
        (Some(name), _) => name,
        (None, true) => Ask::new()?.text("What is the agent called?", None)?,
        (None, false) => {
            let text = "Agent name is required in non-interactive mode.";
            return Err(Failure::said(text));
        }
    };
    let id = agent_id(&typed);
    if id == MAIN_AGENT {
        return Err(Failure::said(format!(
            "\"{MAIN_AGENT}\" is reserved. Choose another name."
        )));
    }
    let snapshot = context.local.snapshot.clone();
    if agents::is_known(&snapshot, &id) {
        return Err(Failure::said(format!("Agent \"{id}\" already exists.")));
    }
    let home = &snapshot.paths.home;
    let workspace = match context.matches.text("workspace") {
        Some(dir) => expand(dir, home),
        None => {
            let usual = snapshot.config.workspace(&id, &snapshot.paths);
            let usual = usual.display().to_string();
            expand(
                &Ask::new()?.text("Where does it work?", Some(&usual))?,
                home,
            )
        }
    };
    let matches = &context.matches;
    let own = agent_dir(&snapshot, &id);
    if matches
        .text("agent-dir")
        .is_some_and(|dir| expand(dir, home) != own)
    {
        return Err(Failure::said(format!(
            "--agent-dir: an agent's credentials are kept in {}, and nowhere else.",
            snapshot.paths.tilde(&own)
        )));
    }
    let new = New {
        id: &id,
        name: typed.trim(),
        workspace: &workspace,
        agent_dir: own,
        model: matches
            .text("model")
            .map(str::trim)
            .filter(|m| !m.is_empty()),
        bind: binds(matches)?,
    };
    let (after, bound) =
        agents::add(&snapshot.paths, &snapshot.env, &new).map_err(|err| told(&err))?;
    let mut made = json!({"agentId": id, "name": new.name, "workspace": workspace,
        "agentDir": new.agent_dir});
    if let Some(model) = new.model {
        made["model"] = model.into();
    }
    made["bindings"] = json!({"added": bound.added, "skipped": bound.skipped,
        "conflicts": bound.conflicts});
    if context.json() {
        return Ok(context.out.json(&made)?);
    }
    let paths = &after.paths;
    let mut lines = vec![
        format!("Updated {}", paths.tilde(&paths.config)),
        format!("Workspace OK: {}", paths.tilde(&workspace)),
        format!("Sessions OK: {}", paths.tilde(&paths.sessions(&id))),
        format!("Agent: {id}"),
        format!("Workspace: {}", paths.tilde(&workspace)),
        format!("Agent dir: {}", paths.tilde(&new.agent_dir)),
    ];
    for conflict in &bound.conflicts {
        lines.push(format!("Binding stays where it is: {conflict}"));
    }
    for line in lines {
        context.out.line(line)?;
    }
    Ok(())
}

fn binds(matches: &Matches) -> Result<Vec<(String, Option<String>)>, Failure> {
    let mut binds = Vec::new();
    for typed in matches.all("bind") {
        let (channel, account) = match typed.trim().split_once(':') {
            None => (typed.trim(), None),
            Some((channel, account)) => (channel.trim(), Some(account.trim())),
        };
        if channel.is_empty() || account == Some("") {
            return Err(Failure::said(format!(
                "Invalid binding \"{typed}\" (use channel or channel:account)."
            )));
        }
        binds.push((channel.to_lowercase(), account.map(str::to_string)));
    }
    Ok(binds)
}

pub fn delete(context: &mut Context) -> Result<(), Failure> {
    let id = agent_id(context.matches.arg(0).unwrap_or_default());
    if id == MAIN_AGENT {
        return Err(Failure::said(format!("\"{id}\" cannot be deleted.")));
    }
    let snapshot = context.local.snapshot.clone();
    if !agents::is_known(&snapshot, &id) {
        return Err(Failure::said(format!("Agent \"{id}\" not found.")));
    }
    if !context.matches.has("force") {
        if !ask::is_possible() {
            return Err(Failure::said(
                "Non-interactive session. Re-run with --force.",
            ));
        }
        let question = format!("Delete agent \"{id}\" and put its folders into the trash?");
        if !Ask::new()?.confirm(&question, false)? {
            return Ok(context.out.line("Nothing was changed.")?);
        }
    }
    let paths = &snapshot.paths;
    let workspace = snapshot.config.workspace(&id, paths);
    let (own, sessions) = (agent_dir(&snapshot, &id), paths.sessions(&id));
    let (after, removed) = agents::remove(paths, &snapshot.env, &id).map_err(|err| told(&err))?;
    let kept = agents::put_away(paths, &after, &[&workspace, &own, &sessions]);
    for line in kept {
        eprintln!("openclaw: {line}");
    }
    if context.json() {
        return Ok(context.out.json(&json!({
            "agentId": id,
            "workspace": workspace,
            "agentDir": own,
            "sessionsDir": sessions,
            "removedBindings": removed.bindings,
            "removedAllow": removed.allow,
        }))?);
    }
    let updated = paths.tilde(&paths.config);
    context.out.line(format!("Updated {updated}"))?;
    Ok(context.out.line(format!("Deleted agent: {id}"))?)
}

pub fn set_identity(context: &mut Context) -> Result<(), Failure> {
    let snapshot = context.local.snapshot.clone();
    let matches = &context.matches;
    let paths = &snapshot.paths;
    let id = match matches.text("agent") {
        Some(typed) => {
            let id = agent_id(typed);
            if !agents::is_known(&snapshot, &id) {
                return Err(Failure::said(format!("Agent \"{id}\" not found.")));
            }
            id
        }
        None => at_work(context, &snapshot)?,
    };
    let workspace = snapshot.config.workspace(&id, paths);
    let mut fields = Map::new();
    let file = match matches.text("identity-file") {
        Some(file) => Some(expand(file, &paths.home)),
        None => matches
            .has("from-identity")
            .then(|| workspace.join("IDENTITY.md")),
    };
    if let Some(file) = &file {
        let found = identity::read(file);
        for (name, value) in [
            ("name", found.name),
            ("theme", found.theme),
            ("emoji", found.emoji),
            ("avatar", found.avatar),
        ] {
            if let Some(value) = value {
                fields.insert(name.into(), value.into());
            }
        }
        if fields.is_empty() {
            return Err(Failure::said(format!(
                "No identity data found in {}.",
                paths.tilde(file)
            )));
        }
    }
    for name in ["name", "theme", "emoji", "avatar"] {
        if let Some(text) = matches.text(name).map(str::trim).filter(|t| !t.is_empty()) {
            fields.insert(name.into(), text.into());
        }
    }
    if fields.is_empty() {
        return Err(Failure::said(
            "No identity fields provided. Use --name/--emoji/--theme/--avatar or --from-identity.",
        ));
    }
    let (after, identity) =
        agents::identify(paths, &snapshot.env, &id, &fields).map_err(|err| told(&err))?;
    if context.json() {
        return Ok(context
            .out
            .json(&json!({"agentId": id, "identity": identity,
            "workspace": workspace, "identityFile": file}))?);
    }
    let mut lines = vec![
        format!("Updated {}", after.paths.tilde(&after.paths.config)),
        format!("Agent: {id}"),
    ];
    for (name, label) in [
        ("name", "Name"),
        ("theme", "Theme"),
        ("emoji", "Emoji"),
        ("avatar", "Avatar"),
    ] {
        if let Some(value) = identity.get(name).and_then(Value::as_str) {
            lines.push(format!("{label}: {value}"));
        }
    }
    for line in lines {
        context.out.line(line)?;
    }
    Ok(())
}

/// The one agent that works in `--workspace`, or here.
fn at_work(context: &Context, snapshot: &Snapshot) -> Result<String, Failure> {
    let paths = &snapshot.paths;
    let place = match context.matches.text("workspace") {
        Some(dir) => expand(dir, &paths.home),
        None => std::env::current_dir().unwrap_or_default(),
    };
    let ids = snapshot.config.agent_ids();
    let mut there = ids
        .into_iter()
        .filter(|id| snapshot.config.workspace(id, paths) == place);
    let shown = match place == paths.home {
        true => "~".to_string(),
        false => paths.tilde(&place),
    };
    match (there.next(), there.next()) {
        (Some(id), None) => Ok(id),
        (None, _) => Err(Failure::said(format!(
            "No agent workspace matches {shown}. Pass --agent to target a specific agent."
        ))),
        _ => Err(Failure::said(format!(
            "Several agents work in {shown}. Pass --agent to choose one."
        ))),
    }
}
