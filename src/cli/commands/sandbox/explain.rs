//! `openclaw sandbox explain`: what a session may do, and what this kernel enforces of it.

use super::super::super::Context;
use super::super::super::failure::Failure;
use super::super::super::output::{Colour, Out, Written};
use crate::base::cmdline::{Command, Flag};
use crate::ops::sandbox::{self, Explained};

pub const SPEC: Command = Command {
    name: "explain",
    summary: "Show what a session may do, and what the kernel here can enforce",
    flags: &[
        Flag::value(
            "agent",
            "id",
            "The agent (default: the session's, else the default one)",
        ),
        Flag::value(
            "session",
            "key",
            "The session (default: the agent's main one)",
        ),
    ],
    ..Command::NEW
};

pub fn run(context: &mut Context) -> Result<(), Failure> {
    let (matches, snapshot) = (&context.matches, &context.local.snapshot);
    let explained = sandbox::explain(snapshot, matches.text("session"), matches.text("agent"));
    if context.json() {
        context.out.json(&explained)?;
        // The original ends with an empty line, and scripts compare.
        return Ok(context.out.line("")?);
    }
    Ok(print(&mut context.out, &explained)?)
}

fn print(out: &mut Out, explained: &Explained) -> Written {
    let Explained {
        sandbox, elevated, ..
    } = explained;
    out.title("Effective sandbox:")?;
    out.line(format!("  agentId: {}", explained.agent_id))?;
    out.line(format!("  sessionKey: {}", explained.session_key))?;
    out.line(format!("  mainSessionKey: {}", explained.main_session_key))?;
    let runtime = match sandbox.session_is_sandboxed {
        true => out.paint(Colour::Yellow, "sandboxed"),
        false => out.paint(Colour::Green, "direct"),
    };
    out.line(format!("  runtime: {runtime}"))?;
    out.line(format!(
        "  mode: {} scope: {} perSession: {}",
        sandbox.mode, sandbox.scope, sandbox.per_session
    ))?;
    out.line(format!(
        "  workspaceAccess: {} workspaceRoot: {}",
        sandbox.workspace_access, sandbox.workspace_root
    ))?;
    out.line("")?;
    out.title("Sandbox tool policy:")?;
    let names = |list: &[String]| match list.is_empty() {
        true => "(empty)".to_string(),
        false => list.join(", "),
    };
    let tools = &sandbox.tools;
    let (allow, deny) = (tools.sources.allow.source, tools.sources.deny.source);
    out.line(format!("  allow ({allow}): {}", names(&tools.allow)))?;
    out.line(format!("  deny  ({deny}): {}", names(&tools.deny)))?;
    out.line("")?;
    out.title("Elevated:")?;
    out.line(format!("  enabled: {}", elevated.enabled))?;
    let channel = elevated.channel.as_deref().unwrap_or("(unknown)");
    out.line(format!("  channel: {channel}"))?;
    out.line(format!("  allowedByConfig: {}", elevated.allowed_by_config))?;
    if !elevated.failures.is_empty() {
        let failing = elevated.failures.iter();
        let failing: Vec<String> = failing
            .map(|gate| format!("{} ({})", gate.gate, gate.key))
            .collect();
        out.line(format!("  failing gates: {}", failing.join(", ")))?;
    }
    if sandbox.mode == "non-main" && sandbox.session_is_sandboxed {
        out.line("")?;
        let main = &explained.main_session_key;
        out.line(format!(
            "Hint: with mode non-main the main session runs direct: {main}"
        ))?;
    }
    out.line("")?;
    enforcement(out, explained)?;
    out.line("")?;
    out.title("Fix-it:")?;
    for key in &explained.fix_it {
        out.line(format!("  - {key}"))?;
    }
    out.line("")?;
    out.line(format!("Docs: {}", explained.docs_url))?;
    out.line("")
}

fn enforcement(out: &mut Out, explained: &Explained) -> Written {
    let held = &explained.enforcement;
    out.title("Enforcement here:")?;
    match (held.backend, &held.needs_container) {
        ("docker", Some(key)) => out.line(format!("  backend: docker (for {key})"))?,
        (_, Some(key)) => {
            let said = format!("  backend: kernel ({key} needs Docker, which is not installed)");
            let said = out.paint(Colour::Yellow, &said);
            out.line(said)?;
        }
        _ => out.line("  backend: kernel")?,
    }
    if held.backend == "docker" {
        return out.line(format!("  works in: {}", held.folder));
    }
    let word = |has: bool| if has { "yes" } else { "no" };
    out.line(format!("  files (Landlock): {}", word(held.landlock)))?;
    out.line(format!("  system calls (seccomp): {}", word(held.seccomp)))?;
    let signals = match held.signals {
        true => "stay inside",
        false => "refused (they stay inside from Linux 6.12 on)",
    };
    out.line(format!("  signals: {signals}"))?;
    let temp = match held.namespaces {
        true => "/tmp of its own",
        false => "TMPDIR only (no user namespaces here)",
    };
    out.line(format!("  temp folder: {temp}"))?;
    let network = match (held.network, held.namespaces) {
        (true, _) => "the host's (sandbox.docker.network)",
        (false, true) => "none but a loopback of its own",
        (false, false) => "none, and no sockets",
    };
    out.line(format!("  network: {network}"))?;
    out.line(format!("  works in: {}", held.folder))?;
    if !held.is_possible() && explained.sandbox.mode != "off" {
        let said = "  This kernel cannot fence commands, so sandboxed sessions run none.";
        let said = out.paint(Colour::Red, said);
        out.line(said)?;
    }
    Ok(())
}
