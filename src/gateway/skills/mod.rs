//! Skills as turns and methods use them: what an agent has, and what of it goes into a prompt.

pub mod install;
pub mod report;

use super::core::Core;
use crate::agent::skills::find::{Places, Shelf};
use crate::agent::skills::gate::Gate;
use crate::agent::skills::{self, Skill};
use crate::config::Snapshot;
use crate::session::Blob;
use crate::wire::gateway::agent::ReportSkills;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Looking for the programs skills need costs more than a turn's share; somebody who installs one
/// by hand waits so long until it counts.
const JUDGED_FOR: Duration = Duration::from_secs(30);
/// Agents whose usable skills are remembered.
const MAX_JUDGED: usize = 16;

/// Longest name of a skill's command; the shortest limit among channels.
const COMMAND_CHARS: usize = 32;
/// Commands of skills; more cannot be shown anywhere.
const MAX_COMMANDS: usize = 200;

/// The skills found and judged lately.
#[derive(Default)]
pub struct Skills {
    shelf: Shelf,
    judged: Mutex<HashMap<String, Judged>>,
}

struct Judged {
    at: Instant,
    config: String,
    skills: Arc<Vec<Skill>>,
    usable: Arc<Usable>,
}

/// What a run needs of its agent's skills.
#[derive(Clone, Debug, Default)]
pub struct Usable {
    /// For the system prompt; empty without skills.
    pub prompt: String,
    /// For a command of the run, where the environment has none of that name.
    pub variables: BTreeMap<String, String>,
    /// Where they are, for sandboxed sessions.
    pub folders: Vec<PathBuf>,
    /// For the session's entry, as the original keeps it; `None` without skills.
    pub snapshot: Option<Blob>,
    blocks: Vec<(String, usize)>,
}

/// Every skill of an agent, usable or not.
pub fn all(core: &Core, config: &Snapshot, agent_id: &str) -> Arc<Vec<Skill>> {
    let places = Places::of(config, core.config.paths(), agent_id);
    core.agents.skills.shelf.skills(&places)
}

/// What of them can be used now.
pub fn usable(core: &Core, config: &Snapshot, agent_id: &str) -> Arc<Usable> {
    let skills = all(core, config, agent_id);
    let judged = || {
        let judged = core.agents.skills.judged.lock();
        judged.unwrap_or_else(PoisonError::into_inner)
    };
    let holds = |known: &Judged| {
        known.at.elapsed() < JUDGED_FOR
            && known.config == config.hash
            && Arc::ptr_eq(&known.skills, &skills)
    };
    if let Some(known) = judged().get(agent_id).filter(|known| holds(known)) {
        return known.usable.clone();
    }
    let gate = Gate::new(config);
    let mut eligible = gate.eligible(&skills);
    if let Some(only) = allowed(config, agent_id) {
        eligible.retain(|skill| only.iter().any(|name| *name == skill.name));
    }
    let usable = Arc::new(Usable::of(&gate, &eligible));
    let mut judged = judged();
    if judged.len() >= MAX_JUDGED {
        judged.clear();
    }
    let entry = Judged {
        at: Instant::now(),
        config: config.hash.clone(),
        skills,
        usable: usable.clone(),
    };
    judged.insert(agent_id.to_string(), entry);
    usable
}

/// The skills people have commands for, by the name of the command.
pub fn commands(core: &Core, config: &Snapshot, agent_id: &str) -> Vec<(String, Skill)> {
    let skills = all(core, config, agent_id);
    let only = allowed(config, agent_id);
    let mut named: Vec<(String, Skill)> = Vec::new();
    for skill in Gate::new(config).eligible(&skills) {
        let mine = only
            .as_ref()
            .is_none_or(|only| only.contains(&skill.name.as_str()));
        if !mine || !skill.for_people || named.len() >= MAX_COMMANDS {
            continue;
        }
        let base = command_name(&skill.name);
        let taken = |name: &String| named.iter().any(|(other, _)| other == name);
        let mut name = base.clone();
        for n in 2.. {
            if !taken(&name) {
                break;
            }
            let suffix = format!("_{n}");
            let most = COMMAND_CHARS - suffix.len();
            name = format!("{}{suffix}", &base[..base.len().min(most)]);
        }
        named.push((name, skill.clone()));
    }
    named
}

/// A skill's name as a command: lower case, digits and `_`.
pub fn command_name(name: &str) -> String {
    let mut out = String::new();
    for c in name.trim().to_lowercase().chars() {
        match c {
            'a'..='z' | '0'..='9' => out.push(c),
            _ if out.ends_with('_') || out.is_empty() => {}
            _ => out.push('_'),
        }
    }
    out.truncate(COMMAND_CHARS);
    out.trim_end_matches('_').to_string()
}

/// `agents.list[].skills`: the only ones an agent may use; an empty list means none.
fn allowed<'c>(config: &'c Snapshot, agent_id: &str) -> Option<Vec<&'c str>> {
    let list = config.value.pointer("/agents/list")?.as_array()?;
    let own = list.iter().find(|agent| {
        let id = agent["id"].as_str().unwrap_or_default();
        crate::config::agents::agent_id(id) == agent_id
    })?;
    let names = own.get("skills")?.as_array()?.iter();
    Some(
        names
            .filter_map(|name| name.as_str().map(str::trim))
            .collect(),
    )
}

/// The skill's own folder. One that is a single file has none, and is not for sandboxed sessions.
fn folder(skill: &Skill) -> Option<PathBuf> {
    let own = skill.file.file_name() == Some("SKILL.md".as_ref());
    own.then(|| skill.dir.clone())
}

impl Skills {
    /// Something was installed: look again.
    fn forget(&self) {
        self.judged
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }
}

impl Usable {
    fn of(gate: &Gate, skills: &[&Skill]) -> Usable {
        let prompt = skills::prompt(skills);
        let names: Vec<Value> = skills
            .iter()
            .map(|skill| match &skill.meta.primary_env {
                Some(env) => json!({"name": skill.name, "primaryEnv": env}),
                None => json!({"name": skill.name}),
            })
            .collect();
        let resolved: Vec<Value> = skills
            .iter()
            .map(|skill| {
                json!({
                    "name": skill.name,
                    "description": skill.description,
                    "filePath": skill.file.display().to_string(),
                    "baseDir": skill.dir.display().to_string(),
                    "source": skill.source.as_str(),
                    "disableModelInvocation": !skill.for_model,
                })
            })
            .collect();
        let snapshot = json!({
            "prompt": prompt, "skills": names, "resolvedSkills": resolved, "version": 0
        });
        let shown = skills.iter().filter(|skill| skill.for_model);
        Usable {
            variables: gate.variables(skills),
            folders: skills.iter().filter_map(|skill| folder(skill)).collect(),
            snapshot: Blob::of(&snapshot).ok().filter(|_| !skills.is_empty()),
            blocks: shown
                .map(|skill| (skill.name.clone(), skills::block(skill).chars().count()))
                .collect(),
            prompt,
        }
    }

    pub fn report(&self) -> ReportSkills {
        let entry = |(name, chars): &(String, usize)| json!({"name": name, "blockChars": chars});
        ReportSkills {
            prompt_chars: self.prompt.chars().count(),
            entries: self.blocks.iter().map(entry).collect(),
        }
    }
}
