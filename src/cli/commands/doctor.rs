//! `openclaw doctor`: finds what is wrong and puts it right, where somebody says so.
//!
//! The status is 0 whatever is found, as in the original: the findings are the result.

use super::super::Context;
use super::super::ask::{self, Ask};
use super::super::failure::Failure;
use super::super::output::{Colour, Out, Written};
use super::gateway::service::openclaw;
use crate::agent::workspace::repository;
use crate::base::cmdline::{Command, Flag};
use crate::ops::doctor::{Answer, CHECKS, Cure, Error, Finding, Ground, Kind, Remedy, Said};
use crate::supervisor::lock;
use serde_json::{Value, json};

pub const SPEC: Command = Command {
    name: "doctor",
    summary: "Find what is wrong with the configuration and the state, and put it right",
    about: "Moves settings and files of earlier versions to where they belong, tightens \
            permissions, makes a token where none is set, mends torn files, brings the service \
            up to date. Asks before it changes anything; without a terminal it only reports.",
    flags: &[
        Flag::switch("deep", "Look at the whole system for other gateways"),
        Flag::switch("fix", "Put right without asking what can be"),
        Flag::switch(
            "force",
            "With --fix: also write over a service that somebody changed",
        ),
        Flag::switch("generate-gateway-token", "Make a token if there is none"),
        Flag::switch(
            "non-interactive",
            "Ask nothing; only files of an old layout are moved",
        ),
        Flag::switch("repair", "Same as --fix"),
        Flag::switch(
            "workspace-suggestions",
            "Say what would do the workspace good",
        )
        .negatable(),
        Flag::switch("yes", "Same as --fix"),
    ],
    ..Command::NEW
};

/// What was seen and done.
#[derive(Default)]
struct Report {
    findings: Vec<Value>,
    changes: Vec<String>,
    open: usize,
    topic: &'static str,
}

pub fn run(context: &mut Context) -> Result<(), Failure> {
    let matches = &context.matches;
    let json = context.json();
    let said = Said {
        repair: ["fix", "repair", "yes"]
            .iter()
            .any(|flag| matches.has(flag)),
        force: matches.has("force"),
        non_interactive: matches.has("non-interactive"),
        generate_token: matches.has("generate-gateway-token"),
        terminal: !json && ask::is_possible(),
    };
    let out = &mut context.out;
    let mut ground = Ground {
        program: Some(openclaw()),
        deep: matches.has("deep"),
        ..Ground::of(context.local.snapshot.clone())
    };
    let tips = matches.switch("workspace-suggestions") != Some(false);
    let profile = ground.snapshot.paths.profile.clone();
    let mut report = Report::default();
    if !json {
        out.title("OpenClaw doctor")?;
    }
    for check in CHECKS {
        for mut finding in (check.look)(&ground) {
            if let Cure::Yours(how) = &mut finding.cure {
                *how = of_profile(how, profile.as_deref());
            }
            if !json {
                show(out, &finding, report.topic)?;
                report.topic = finding.topic;
            }
            let fix = match &finding.cure {
                Cure::Ours { kind, .. } => of_profile(command(*kind), profile.as_deref()),
                Cure::Yours(how) => how.clone(),
            };
            report.findings.push(wire(check.name, &finding, &fix));
            let (kind, question, remedy) = match finding.cure {
                Cure::Ours {
                    kind,
                    question,
                    run,
                } => (kind, question, run),
                Cure::Yours(_) => continue,
            };
            if !is_wanted(out, &said, kind, &question)? {
                report.open += 1;
                if !json {
                    out.line(format!("    fix: {fix}"))?;
                }
                continue;
            }
            let done = remedied(remedy, &mut report);
            if !json {
                tell(out, &done, profile.as_deref())?;
            }
            if done.is_ok() {
                ground.reload();
            }
        }
    }
    if json {
        let all = json!({"findings": report.findings, "changes": report.changes});
        return Ok(out.json(&all)?);
    }
    out.line("")?;
    if report.findings.is_empty() {
        out.line("Nothing is wrong with the configuration and the state.")?;
    }
    if report.open > 0 {
        let fix = of_profile("openclaw doctor --fix", profile.as_deref());
        out.line(format!("Run \"{fix}\" to apply changes."))?;
    }
    standing(out, &ground)?;
    if tips {
        suggest(out, &ground)?;
    }
    Ok(out.line("Doctor complete.")?)
}

/// Whether there is a gateway: no finding, as one may be meant not to run.
fn standing(out: &mut Out, ground: &Ground) -> Written {
    let snapshot = &ground.snapshot;
    if snapshot.config.gateway.mode.as_deref() == Some("remote") {
        return Ok(());
    }
    match lock::holder(&snapshot.paths, &snapshot.env) {
        Some(pid) => out.line(format!("Gateway running (pid {pid}).")),
        None => {
            let start = of_profile("openclaw gateway start ", snapshot.paths.profile.as_deref());
            out.line(format!(
                "Gateway not running. Start it: {}",
                start.trim_end()
            ))
        }
    }
}

/// What would do the workspace good.
fn suggest(out: &mut Out, ground: &Ground) -> Written {
    let snapshot = &ground.snapshot;
    let agent = snapshot.config.default_agent_id();
    let folder = snapshot.config.workspace(&agent, &snapshot.paths);
    if !folder.is_dir() {
        return Ok(());
    }
    let shown = snapshot.paths.tilde(&folder);
    if repository(&folder).is_none() {
        out.line(format!(
            "Tip: keep the workspace in git, in a private repository: git -C {shown} init"
        ))?;
    }
    let memory = ["MEMORY.md", "memory.md", "memory"];
    if !memory.iter().any(|name| folder.join(name).exists()) {
        out.line(format!(
            "Tip: the agent has no memory files yet ({shown}/MEMORY.md, {shown}/memory/). Tell it \
             to keep notes there."
        ))?;
    }
    Ok(())
}

fn is_wanted(out: &mut Out, said: &Said, kind: Kind, question: &str) -> Result<bool, Failure> {
    match said.answer(kind) {
        Answer::Yes => Ok(true),
        Answer::No => Ok(false),
        Answer::Ask => {
            out.flush()?;
            Ask::new()?.confirm(question, true)
        }
    }
}

/// What does it without a question.
fn command(kind: Kind) -> &'static str {
    match kind {
        Kind::Token => "openclaw doctor --generate-gateway-token",
        Kind::Overwrite => "openclaw doctor --fix --force",
        _ => "openclaw doctor --fix",
    }
}

/// Our commands in `text` as they are for this profile, so that they can be pasted.
fn of_profile(text: &str, profile: Option<&str>) -> String {
    match profile {
        Some(profile) => {
            ["config", "doctor", "gateway"]
                .iter()
                .fold(text.into(), |text: String, name| {
                    let named = format!("openclaw --profile {profile} {name} ");
                    text.replace(&format!("openclaw {name} "), &named)
                })
        }
        None => text.into(),
    }
}

fn remedied(remedy: Remedy, report: &mut Report) -> Result<Vec<String>, Error> {
    let done = remedy();
    let last = report.findings.last_mut().expect("pushed just before");
    match &done {
        Ok(changes) => {
            last["done"] = json!(true);
            report.changes.extend(changes.iter().cloned());
        }
        Err(err) => last["error"] = json!(err.to_string()),
    }
    done
}

fn tell(out: &mut Out, done: &Result<Vec<String>, Error>, profile: Option<&str>) -> Written {
    match done {
        Ok(changes) => {
            for change in changes {
                let mark = out.paint(Colour::Green, "+");
                out.line(format!("  {mark} {change}"))?;
            }
        }
        Err(err) => {
            let mark = out.paint(Colour::Red, "x");
            for line in err.to_string().lines() {
                out.line(format!("  {mark} {line}"))?;
            }
            if let Some(hint) = err.hint() {
                out.line(format!("    fix: {}", of_profile(&hint, profile)))?;
            }
        }
    }
    Ok(())
}

fn show(out: &mut Out, finding: &Finding, last_topic: &str) -> Written {
    if finding.topic != last_topic {
        out.line("")?;
        out.title(finding.topic)?;
    }
    let colour = if finding.grave {
        Colour::Red
    } else {
        Colour::Yellow
    };
    let mut what = finding.what.lines();
    let first = what.next().unwrap_or_default();
    let mark = out.paint(colour, "!");
    out.line(format!("  {mark} {first}"))?;
    for line in what {
        out.line(format!("    {line}"))?;
    }
    for line in &finding.details {
        out.line(format!("    - {line}"))?;
    }
    if !finding.why.is_empty() {
        out.line(format!("    {}", finding.why))?;
    }
    match &finding.cure {
        Cure::Yours(how) => out.line(format!("    fix: {how}")),
        Cure::Ours { .. } => Ok(()),
    }
}

fn wire(check: &str, finding: &Finding, fix: &str) -> Value {
    json!({
        "check": check,
        "topic": finding.topic,
        "grave": finding.grave,
        "what": finding.what,
        "details": finding.details,
        "why": finding.why,
        "fix": fix,
        "done": false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_can_be_pasted_where_a_profile_is_in_use() {
        let fix = "stop the gateway, then: openclaw doctor --fix";
        assert_eq!(of_profile(fix, None), fix);
        assert_eq!(
            of_profile(fix, Some("work")),
            "stop the gateway, then: openclaw --profile work doctor --fix"
        );
        assert_eq!(
            of_profile("openclaw config set gateway.mode local", Some("work")),
            "openclaw --profile work config set gateway.mode local"
        );
    }
}
