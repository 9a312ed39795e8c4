//! `openclaw security audit`: what is open to others, and what closes it.
//!
//! The status is 0 whatever is found, as in the original.

use super::super::Context;
use super::super::failure::Failure;
use super::super::output::{Colour, Out, Written};
use super::super::probe::{Probe, probe};
use crate::base::cmdline::{Command, Flag};
use crate::base::time;
use crate::config::load;
use crate::ops::audit::{self, Finding, Severity, fix};
use serde_json::{Value, json};
use std::time::Duration;

/// For the gateway to answer the one question of `--deep`.
const PATIENCE: Duration = Duration::from_secs(5);

pub const SPEC: Command = Command {
    name: "security",
    summary: "Find what is open to others",
    subcommands: &[Command {
        name: "audit",
        summary: "Look through configuration, files and channels for what is too open",
        about: "Each finding has an id, a severity and, where there is one, what closes it. \
                --fix tightens the modes of files, masks secrets in logs and closes open groups, \
                then looks; it sets no token and moves no port.",
        flags: &[
            Flag::switch("deep", "Also ask the gateway"),
            Flag::switch("fix", "First put right what is safe to change"),
        ],
        ..Command::NEW
    }],
    ..Command::NEW
};

pub fn audit(context: &mut Context) -> Result<(), Failure> {
    let deep = context.matches.has("deep");
    let done = context
        .matches
        .has("fix")
        .then(|| fix::run(&context.local.snapshot));
    let before = &context.local.snapshot;
    let snapshot = match &done {
        Some(_) => load::load(&before.paths, &before.env),
        None => before.clone(),
    };
    let mut findings = audit::look(&snapshot);
    let asked = deep.then(|| ask(context));
    if let Some(error) = asked.as_ref().and_then(|(_, probe)| probe.error.as_ref()) {
        findings.push(audit::probe_failed(error));
    }
    if context.json() {
        let value = document(&findings, asked.as_ref(), done.as_ref());
        return Ok(context.out.json(&value)?);
    }
    let out = &mut context.out;
    let counts = Severity::ALL.map(|severity| {
        let name = severity.name();
        format!("{} {name}", audit::count(&findings, severity))
    });
    out.title("OpenClaw security audit")?;
    out.line(format!("Summary: {}", counts.join(" · ")))?;
    if !deep {
        out.line("Run deeper: openclaw security audit --deep")?;
    }
    if let Some(done) = &done {
        print_done(out, done)?;
    }
    for severity in Severity::ALL {
        print(out, &findings, severity)?;
    }
    Ok(())
}

/// The address that was asked, and what came of it.
fn ask(context: &Context) -> (String, Probe) {
    match context.local.prober() {
        Ok(caller) => (caller.target.url.clone(), probe(&caller, PATIENCE)),
        Err(err) => {
            let failed = Probe {
                error: Some(err.to_string()),
                ..Probe::default()
            };
            (String::new(), failed)
        }
    }
}

fn document(
    findings: &[Finding],
    asked: Option<&(String, Probe)>,
    done: Option<&fix::Done>,
) -> Value {
    let mut report = json!({
        "ts": time::now_ms(),
        "summary": audit::summary(findings),
        "findings": findings,
    });
    if let Some((url, probe)) = asked {
        let close = probe.close.as_ref();
        report["deep"] = json!({"gateway": {
            "attempted": true,
            "url": url,
            "ok": probe.reached,
            "error": probe.error,
            "close": close.map(|(code, reason)| json!({"code": code, "reason": reason})),
        }});
    }
    match done {
        Some(done) => json!({"fix": done, "report": report}),
        None => report,
    }
}

fn print_done(out: &mut Out, done: &fix::Done) -> Written {
    out.line("")?;
    out.title("FIX")?;
    for change in &done.changes {
        out.line(format!("  {change}"))?;
    }
    for action in done.actions.iter().filter(|action| action.ok) {
        out.line(format!(
            "  chmod {:o} {}",
            action.mode,
            action.path.display()
        ))?;
    }
    let failed = done.actions.iter().filter_map(|action| {
        let error = action.error.as_ref()?;
        Some(format!("{}: {error}", action.path.display()))
    });
    for error in done.errors.iter().cloned().chain(failed) {
        let mark = out.paint(Colour::Red, "failed:");
        out.line(format!("  {mark} {error}"))?;
    }
    let changed = !done.changes.is_empty() || done.actions.iter().any(|action| action.ok);
    match done.ok && !changed {
        true => out.line("  nothing to change"),
        false => Ok(()),
    }
}

fn print(out: &mut Out, findings: &[Finding], severity: Severity) -> Written {
    let mut these = findings
        .iter()
        .filter(|one| one.severity == severity)
        .peekable();
    if these.peek().is_none() {
        return Ok(());
    }
    let colour = match severity {
        Severity::Critical => Colour::Red,
        Severity::Warn => Colour::Yellow,
        Severity::Info => Colour::Dim,
    };
    out.line("")?;
    let heading = out.paint(colour, &severity.name().to_uppercase());
    out.line(heading)?;
    for finding in these {
        let id = out.paint(Colour::Bold, &finding.check_id);
        out.line(format!("{id} {}", finding.title))?;
        for line in finding.detail.lines() {
            out.line(format!("  {line}"))?;
        }
        if let Some(fix) = &finding.remediation {
            out.line(format!("  Fix: {fix}"))?;
        }
    }
    Ok(())
}
