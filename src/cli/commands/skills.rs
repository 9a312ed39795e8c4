//! `openclaw skills`: what the agent has learned, what is ready, and what the rest lacks. Read from
//! the disk; no gateway is asked.

use super::super::Context;
use super::super::failure::Failure;
use super::super::output::{Colour, Column, Out};
use crate::agent::skills::Requires;
use crate::agent::skills::find::{Places, Shelf};
use crate::agent::skills::gate::Check;
use crate::base::cmdline::{Arg, Command, Flag};
use crate::gateway::skills::report::report;
use crate::wire::gateway::skills::{Row, Status};
use serde_json::{Map, Value, json};

pub type Skill = Row<Requires, Check>;

const ELIGIBLE: Flag = Flag::switch("eligible", "Only those that can be used");
const VERBOSE: Flag = Flag::switch("verbose", "Say what is missing, too").short('v');

pub const SPEC: Command = Command {
    name: "skills",
    summary: "See the agent's skills and what they need",
    standalone: true,
    subcommands: &[
        Command {
            name: "check",
            summary: "Count the ready ones and say what the others lack",
            ..Command::NEW
        },
        Command {
            name: "info",
            summary: "Show one skill",
            args: &[Arg::required("name", "Name of the skill")],
            ..Command::NEW
        },
        Command {
            name: "list",
            summary: "List the skills",
            flags: &[ELIGIBLE, VERBOSE],
            ..Command::NEW
        },
    ],
    ..Command::NEW
};

pub fn status(context: &Context) -> Status<Requires, Check> {
    let snapshot = &context.local.snapshot;
    let agent = snapshot.config.default_agent_id();
    let places = Places::of(snapshot, &snapshot.paths, &agent);
    let found = Shelf::default().skills(&places);
    let mut status = report(snapshot, &snapshot.paths, &agent, &found);
    status.skills.sort_by(|a, b| a.name.cmp(&b.name));
    status
}

/// A key opens it, and there is none yet.
pub fn lacks_only_its_key(skill: &Skill) -> bool {
    let missing = &skill.missing;
    let only = missing.bins.is_empty() && missing.any_bins.is_empty() && missing.os.is_empty();
    let key = |name: &String| missing.env.len() == 1 && missing.env.contains(name);
    only && missing.config.is_empty() && skill.primary_env.as_ref().is_some_and(key)
}

pub fn bare(context: &mut Context) -> Result<(), Failure> {
    show(context, false, false)
}

pub fn list(context: &mut Context) -> Result<(), Failure> {
    let has = |flag| context.matches.has(flag);
    let (only, verbose) = (has("eligible"), has("verbose"));
    show(context, only, verbose)
}

fn show(context: &mut Context, only: bool, verbose: bool) -> Result<(), Failure> {
    let all = status(context);
    let shown: Vec<&Skill> = all
        .skills
        .iter()
        .filter(|skill| !only || skill.eligible)
        .collect();
    if context.json() {
        let list = json!({
            "workspaceDir": all.workspace_dir,
            "managedSkillsDir": all.managed_skills_dir,
            "skills": shown.iter().map(|skill| brief(skill)).collect::<Vec<_>>(),
        });
        return Ok(context.out.json(&list)?);
    }
    let ready = all.skills.iter().filter(|skill| skill.eligible).count();
    let out = &mut context.out;
    if shown.is_empty() {
        return Ok(out.line(match only {
            true => "No eligible skills found. Run `openclaw skills list` to see all skills.",
            false => "No skills found.",
        })?);
    }
    let title = out.paint(Colour::Bold, "Skills");
    out.line(format!("{title} ({ready}/{} ready)", all.skills.len()))?;
    let mut head = vec![
        Column::new("Status", 10),
        Column::new("Skill", 18),
        Column::flexible("Description", 24),
        Column::new("Source", 10),
    ];
    if verbose {
        head.push(Column::flexible("Missing", 18));
    }
    let row = |skill: &&Skill| {
        let mut row = vec![
            standing(skill).to_string(),
            format!("{} {}", emoji(skill), skill.name),
            skill.description.clone(),
            skill.source.to_string(),
        ];
        if verbose {
            row.push(lacks(skill));
        }
        row
    };
    let rows: Vec<Vec<String>> = shown.iter().map(row).collect();
    Ok(out.table(&head, &rows)?)
}

pub fn info(context: &mut Context) -> Result<(), Failure> {
    let name = context.matches.arg(0).unwrap_or_default().to_string();
    let all = status(context);
    let mut skills = all.skills.iter();
    let Some(skill) = skills.find(|skill| skill.name == name || skill.skill_key == name) else {
        // Success, as in the original: scripts look at the text.
        let out = &mut context.out;
        match context.matches.has("json") {
            true => out.json(&json!({"error": "not found", "skill": name}))?,
            false => out.line(format!(
                "Skill \"{name}\" not found. Run `openclaw skills list` to see available skills."
            ))?,
        }
        return Ok(());
    };
    if context.json() {
        return Ok(context.out.json(skill)?);
    }
    let out = &mut context.out;
    let word = match (skill.eligible, skill.disabled, skill.blocked_by_allowlist) {
        (true, ..) => out.paint(Colour::Green, "✓ Ready"),
        (_, true, _) => out.paint(Colour::Yellow, "⏸ Disabled"),
        (_, _, true) => out.paint(Colour::Yellow, "🚫 Blocked by allowlist"),
        _ => out.paint(Colour::Red, "✗ Missing requirements"),
    };
    out.line(format!("{} {} {word}", emoji(skill), skill.name))?;
    out.line("")?;
    out.line(&skill.description)?;
    out.line("")?;
    out.title("Details:")?;
    out.line(format!("  Source: {}", skill.source))?;
    out.line(format!("  Path: {}", skill.file_path))?;
    for (label, value) in [
        ("Homepage", &skill.homepage),
        ("Primary env", &skill.primary_env),
    ] {
        if let Some(value) = value {
            out.line(format!("  {label}: {value}"))?;
        }
    }
    requirements(out, skill)?;
    if !skill.install.is_empty() && !skill.eligible {
        out.line("")?;
        out.title("Install options:")?;
        for way in &skill.install {
            out.line(format!("  → {}", way.label))?;
        }
    }
    Ok(())
}

fn requirements(out: &mut Out, skill: &Skill) -> Result<(), Failure> {
    let mut lines = Vec::new();
    let both = kinds(&skill.requirements)
        .into_iter()
        .zip(kinds(&skill.missing));
    for ((_, label, wanted), (_, _, missing)) in both {
        let marked = wanted.iter().map(|one| match missing.contains(one) {
            true => out.paint(Colour::Red, &format!("✗ {one}")),
            false => out.paint(Colour::Green, &format!("✓ {one}")),
        });
        let marked: Vec<String> = marked.collect();
        if !marked.is_empty() {
            lines.push(format!("  {label}: {}", marked.join(", ")));
        }
    }
    if lines.is_empty() {
        return Ok(());
    }
    out.line("")?;
    out.title("Requirements:")?;
    for line in lines {
        out.line(line)?;
    }
    Ok(())
}

pub fn check(context: &mut Context) -> Result<(), Failure> {
    let all = status(context);
    let those = |fits: fn(&Skill) -> bool| -> Vec<&Skill> {
        all.skills.iter().filter(|skill| fits(skill)).collect()
    };
    let eligible = those(|s| s.eligible);
    let disabled = those(|s| s.disabled);
    let blocked = those(|s| s.blocked_by_allowlist && !s.disabled);
    let missing = those(|s| !s.eligible && !s.disabled && !s.blocked_by_allowlist);
    if context.json() {
        let names = |list: &[&Skill]| list.iter().map(|s| s.name.clone()).collect::<Vec<_>>();
        let lacking: Vec<Value> = missing
            .iter()
            .map(|s| json!({"name": s.name, "missing": s.missing, "install": s.install}))
            .collect();
        return Ok(context.out.json(&json!({
            "summary": {
                "total": all.skills.len(),
                "eligible": eligible.len(),
                "disabled": disabled.len(),
                "blocked": blocked.len(),
                "missingRequirements": missing.len(),
            },
            "eligible": names(&eligible),
            "disabled": names(&disabled),
            "blocked": names(&blocked),
            "missingRequirements": lacking,
        }))?);
    }
    let out = &mut context.out;
    out.title("Skills Status Check")?;
    out.line("")?;
    out.line(format!("Total: {}", all.skills.len()))?;
    out.line(format!("✓ Eligible: {}", eligible.len()))?;
    out.line(format!("⏸ Disabled: {}", disabled.len()))?;
    out.line(format!("🚫 Blocked by allowlist: {}", blocked.len()))?;
    out.line(format!("✗ Missing requirements: {}", missing.len()))?;
    if !eligible.is_empty() {
        out.line("")?;
        out.title("Ready to use:")?;
        for skill in eligible {
            out.line(format!("  {} {}", emoji(skill), skill.name))?;
        }
    }
    if !missing.is_empty() {
        out.line("")?;
        out.title("Missing requirements:")?;
        for skill in missing {
            let lacks = lacks(skill);
            out.line(format!("  {} {} ({lacks})", emoji(skill), skill.name))?;
        }
    }
    Ok(())
}

/// What the list has of each.
fn brief(skill: &Skill) -> Value {
    const KEYS: &[&str] = &[
        "name",
        "description",
        "emoji",
        "eligible",
        "disabled",
        "blockedByAllowlist",
        "source",
        "bundled",
        "primaryEnv",
        "homepage",
        "missing",
    ];
    let whole = serde_json::to_value(skill).unwrap_or_default();
    let some = KEYS
        .iter()
        .filter_map(|key| Some((key.to_string(), whole.get(key)?.clone())));
    Value::Object(some.collect::<Map<_, _>>())
}

fn standing(skill: &Skill) -> &'static str {
    match (skill.eligible, skill.disabled, skill.blocked_by_allowlist) {
        (true, ..) => "✓ ready",
        (_, true, _) => "⏸ disabled",
        (_, _, true) => "🚫 blocked",
        _ => "✗ missing",
    }
}

fn emoji(skill: &Skill) -> &str {
    skill.emoji.as_deref().unwrap_or("📦")
}

/// Short name, label and values of each kind of requirement.
fn kinds(of: &Requires) -> [(&'static str, &'static str, &Vec<String>); 5] {
    [
        ("bins", "Binaries", &of.bins),
        ("anyBins", "Any binaries", &of.any_bins),
        ("env", "Environment", &of.env),
        ("config", "Config", &of.config),
        ("os", "OS", &of.os),
    ]
}

fn lacks(skill: &Skill) -> String {
    let kinds = kinds(&skill.missing).into_iter();
    let some = kinds.filter(|(_, _, missing)| !missing.is_empty());
    some.map(|(short, _, missing)| format!("{short}: {}", missing.join(", ")))
        .collect::<Vec<_>>()
        .join("; ")
}
