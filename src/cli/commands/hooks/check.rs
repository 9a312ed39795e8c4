//! `openclaw hooks check`: how many hooks can run, and what the others lack.

use super::super::super::Context;
use super::super::super::failure::Failure;
use super::{all, lacks, shown};
use crate::base::cmdline::Command;
use serde_json::{Value, json};

pub const SPEC: Command = Command {
    name: "check",
    summary: "Say which hooks can run, and what the others lack",
    ..Command::NEW
};

pub fn run(context: &mut Context) -> Result<(), Failure> {
    let found = all(context);
    let (ready, rest): (Vec<_>, Vec<_>) = found.iter().partition(|(_, s)| s.eligible);
    if context.json() {
        let names: Vec<&str> = ready.iter().map(|(hook, _)| hook.name.as_str()).collect();
        let others: Vec<Value> = rest
            .iter()
            .map(|(hook, standing)| json!({"name": hook.name, "missing": standing.missing}))
            .collect();
        let record = json!({
            "total": found.len(),
            "eligible": ready.len(),
            "notEligible": rest.len(),
            "hooks": {"eligible": names, "notEligible": others},
        });
        return Ok(context.out.json(&record)?);
    }
    let out = &mut context.out;
    out.title("Hooks Status")?;
    out.line("")?;
    out.line(format!("Total hooks: {}", found.len()))?;
    out.line(format!("Ready: {}", ready.len()))?;
    out.line(format!("Not ready: {}", rest.len()))?;
    if !rest.is_empty() {
        out.line("")?;
        out.title("Hooks not ready:")?;
        for (hook, standing) in rest {
            out.line(format!("  {} - {}", shown(hook), lacks(standing)))?;
        }
    }
    Ok(())
}
