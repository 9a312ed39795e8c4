//! What lies around a gateway and is told without asking one: the service, how the program is
//! updated, the agents' notes, the findings of the audit.

use super::super::super::output::{Colour, Out, Written};
use crate::base::time;
use crate::config::Snapshot;
use crate::gateway::methods::update;
use crate::ops::audit::{self, Finding, Severity};
use crate::ops::service::Brief;
use crate::tool::memory::settings;
use crate::wire::version;
use serde_json::{Value, json};

/// Findings shown; the rest is a command away.
const SHOWN: usize = 6;
/// Characters of a finding's detail.
const MAX_DETAIL: usize = 160;

pub struct Around {
    pub service: Brief,
    channel: String,
    channel_source: &'static str,
    root: Option<String>,
    advice: String,
    /// Of the default agent.
    memory: bool,
    tailscale: String,
    findings: Vec<Finding>,
}

impl Around {
    pub fn look(snapshot: &Snapshot) -> Around {
        let set = snapshot.value["update"]["channel"].as_str();
        let (root, advice) = update::here();
        let mode = &snapshot.value["gateway"]["tailscale"]["mode"];
        Around {
            service: Brief::of(snapshot),
            channel: set.unwrap_or("stable").into(),
            channel_source: if set.is_some() { "config" } else { "default" },
            root,
            advice,
            memory: settings::is_on(snapshot, &snapshot.config.default_agent_id()),
            tailscale: mode.as_str().unwrap_or("off").into(),
            findings: audit::look(snapshot),
        }
    }

    pub fn tailscale(&self) -> String {
        self.tailscale.clone()
    }

    pub fn channel(&self) -> String {
        format!("{} ({})", self.channel, self.channel_source)
    }

    pub fn update(&self) -> String {
        self.advice.clone()
    }

    pub fn service(&self) -> String {
        let brief = &self.service;
        match &brief.runtime {
            None => format!("{} not installed", brief.label),
            Some(runtime) => {
                let loaded = if brief.loaded { "enabled" } else { "disabled" };
                format!("{} installed · {loaded} · {runtime}", brief.label)
            }
        }
    }

    pub fn memory(&self) -> &'static str {
        match self.memory {
            true => "enabled (plugin memory-core) · openclaw memory status",
            false => "disabled",
        }
    }

    /// The parts of the JSON that come from here.
    pub fn add(&self, value: &mut Value) {
        value["update"] = json!({
            "root": self.root,
            "installKind": "unknown",
            "packageManager": "unknown",
            "version": version::PROGRAM,
            "advice": self.advice,
            // Of the original: its packages, and what the registry has.
            "deps": null,
            "registry": {"latestVersion": null, "error": "no registry is asked"},
        });
        value["updateChannel"] = json!(self.channel);
        value["updateChannelSource"] = json!(self.channel_source);
        value["memory"] = Value::Null;
        value["memoryPlugin"] = json!({"enabled": self.memory, "slot": "memory-core"});
        let brief = &self.service;
        value["gatewayService"] = json!({
            "label": brief.label,
            "installed": brief.runtime.is_some(),
            "loadedText": if brief.loaded { "enabled" } else { "disabled" },
            "runtimeShort": brief.runtime,
        });
        // Nodes are apps; this program installs none.
        value["nodeService"] = json!({
            "label": brief.label,
            "installed": false,
            "loadedText": "disabled",
            "runtimeShort": null,
        });
        value["securityAudit"] = json!({
            "ts": time::now_ms(),
            "summary": audit::summary(&self.findings),
            "findings": self.findings,
        });
    }

    pub fn print_findings(&self, out: &mut Out) -> Written {
        out.title("Security audit")?;
        let counts = Severity::ALL.map(|severity| {
            let count = audit::count(&self.findings, severity);
            format!("{count} {}", severity.name())
        });
        out.line(format!("Summary: {}", counts.join(" · ")))?;
        let grave = [Severity::Critical, Severity::Warn].map(|severity| {
            let these = self.findings.iter();
            these.filter(move |finding| finding.severity == severity)
        });
        for finding in grave.into_iter().flatten().take(SHOWN) {
            let colour = match finding.severity {
                Severity::Critical => Colour::Red,
                _ => Colour::Yellow,
            };
            let word = out.paint(colour, &finding.severity.name().to_uppercase());
            out.line(format!("  {word} {}", finding.title))?;
            out.line(format!("    {}", short(&finding.detail)))?;
            if let Some(fix) = &finding.remediation {
                out.line(format!("    Fix: {fix}"))?;
            }
        }
        out.line("Full report: openclaw security audit")?;
        out.line("Deep probe: openclaw security audit --deep")?;
        out.line("")
    }
}

/// One line.
fn short(text: &str) -> String {
    let line = text.replace('\n', " ");
    match line.char_indices().nth(MAX_DETAIL) {
        Some((at, _)) => format!("{}…", &line[..at]),
        None => line,
    }
}
