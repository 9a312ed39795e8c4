//! Every skill of an agent with what it needs, what it lacks and how that is had: what `skills.status`
//! answers and `openclaw skills` shows.

use super::install;
use crate::agent::skills::gate::{Check, Gate};
use crate::agent::skills::{Requires, Skill, Source, find};
use crate::config::{Paths, Snapshot};
use crate::wire::gateway::skills::{Installer, Row, Status};

pub fn report(
    config: &Snapshot,
    paths: &Paths,
    agent_id: &str,
    skills: &[Skill],
) -> Status<Requires, Check> {
    let gate = Gate::new(config);
    let workspace = config.config.workspace(agent_id, paths);
    Status {
        workspace_dir: workspace.display().to_string(),
        managed_skills_dir: find::managed(paths).display().to_string(),
        skills: skills.iter().map(|skill| row(&gate, skill)).collect(),
    }
}

fn row(gate: &Gate, skill: &Skill) -> Row<Requires, Check> {
    let standing = gate.judge(skill);
    let installers = gate.installs(skill).into_iter();
    Row {
        name: skill.name.clone(),
        description: skill.description.clone(),
        source: skill.source.as_str(),
        bundled: skill.source == Source::Bundled,
        file_path: skill.file.display().to_string(),
        base_dir: skill.dir.display().to_string(),
        skill_key: skill.key().into(),
        primary_env: skill.meta.primary_env.clone(),
        emoji: skill.meta.emoji.clone(),
        homepage: skill.meta.homepage.clone().or(skill.homepage.clone()),
        always: skill.meta.always,
        disabled: standing.disabled,
        blocked_by_allowlist: standing.blocked,
        eligible: standing.eligible,
        requirements: skill.meta.requires.clone(),
        missing: standing.missing,
        config_checks: standing.checks,
        install: installers
            .map(|installer| Installer {
                id: installer.id.clone(),
                kind: installer.kind.clone(),
                label: install::label(gate, installer),
                bins: installer.bins.clone(),
            })
            .collect(),
    }
}
