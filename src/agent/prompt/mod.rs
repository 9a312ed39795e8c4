//! The system prompt: built for each run from sections, and what went into it for the report.
//!
//! Sections are joined without blank lines; only injected files keep theirs. The clock is not in
//! it, so that providers can cache it from turn to turn.

pub mod channel;
mod sections;

use super::workspace::Injected;
use crate::model::{Target, ToolSpec};
use crate::wire::gateway::agent::{Report, ReportFile, ReportPrompt, ReportTool, ReportTools};
use std::path::{Path, PathBuf};

/// A window below this leaves no room for the full prompt and the tools' schemas.
const SMALL_WINDOW: u64 = 16_000;
/// Characters of all injected files together in the reduced prompt.
const SMALL_FILES: usize = 1_200;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    #[default]
    Full,
    /// Sub-agents.
    Minimal,
    /// One sentence.
    None,
}

/// Everything the prompt can speak of.
#[derive(Clone, Debug)]
pub struct Inputs<'a> {
    pub mode: Mode,
    pub agent_id: &'a str,
    pub workspace: &'a Path,
    pub files: &'a [Injected],
    /// The list of skills; empty without any.
    pub skills: &'a str,
    /// What the run may call, in the order sent, with the one-line summaries.
    pub tools: &'a [(&'a str, &'a str)],
    /// `(alias, provider/model)`.
    pub aliases: &'a [(String, String)],
    /// Notes are quoted with their place.
    pub cite: bool,
    pub zone: &'a str,
    pub owners: &'a [String],
    /// From the caller: a group's introduction, a sub-agent's brief.
    pub extra: Option<&'a str>,
    pub heartbeat: Option<&'a str>,
    pub sandbox: Option<Sandbox>,
    pub machine: Machine<'a>,
    pub default_model: &'a str,
    pub channel: Option<&'a str>,
    /// What the channel can do beyond text.
    pub capabilities: &'a [String],
    /// How much to react with emoji there: `minimal` or `extensive`.
    pub reactions: Option<&'a str>,
    pub thinking: &'a str,
    pub reasoning: &'a str,
    pub max_file_chars: usize,
}

/// Where the agent's commands run when they are confined.
#[derive(Clone, Debug)]
pub struct Sandbox {
    pub workspace_access: &'static str,
    /// The agent's workspace when it works in another folder.
    pub apart: Option<PathBuf>,
    pub network: bool,
    /// The level at which this sender's commands may leave it.
    pub elevated: Option<&'static str>,
    /// The image, and what the working directory is called inside, when it is a container.
    pub container: Option<(String, String)>,
}

#[derive(Clone, Copy, Debug, Default)]
pub struct Machine<'a> {
    pub host: &'a str,
    /// `Linux 6.1.0`.
    pub os: &'a str,
    pub arch: &'a str,
    pub repo: Option<&'a Path>,
}

#[derive(Clone, Debug, Default)]
pub struct Prompt {
    pub text: String,
    /// The reduced prompt: the model gets no tools.
    pub reduced: bool,
    project_chars: usize,
    list_chars: usize,
}

/// Whether `target` is given tools at all.
pub fn takes_tools(target: &Target) -> bool {
    target.tools && target.context_window >= SMALL_WINDOW
}

pub fn build(inputs: &Inputs, target: &Target) -> Prompt {
    if inputs.mode == Mode::None {
        return Prompt {
            text: sections::IDENTITY.into(),
            ..Prompt::default()
        };
    }
    if !takes_tools(target) {
        return reduced(inputs, target);
    }
    let full = inputs.mode == Mode::Full;
    let has = |name: &str| inputs.tools.iter().any(|(tool, _)| *tool == name);
    let list = sections::tool_list(inputs.tools);
    let project = sections::project_context(inputs.files);
    let mut parts: Vec<String> = vec![
        sections::IDENTITY.into(),
        sections::tooling(&list),
        sections::TOOL_STYLE.into(),
        sections::SAFETY.into(),
        sections::CLI.into(),
    ];
    if full {
        if has("read") && !inputs.skills.is_empty() {
            parts.push(sections::skills(inputs.skills));
        }
        if has("memory_search") || has("memory_get") {
            parts.push(sections::memory(inputs.cite));
        }
        if has("gateway") {
            parts.push(sections::SELF_UPDATE.into());
        }
        parts.push(sections::aliases(inputs.aliases));
    }
    if has("session_status") {
        parts.push(sections::DATE_HINT.into());
    }
    parts.push(sections::workspace(inputs));
    if let Some(sandbox) = &inputs.sandbox {
        parts.push(sections::sandbox(sandbox));
    }
    if full {
        parts.push(sections::owners(inputs.owners));
    }
    parts.push(sections::time_zone(inputs.zone));
    parts.push(sections::FILES.into());
    if full {
        parts.push(sections::REPLY_TAGS.into());
        parts.push(sections::messaging(has("message")));
    }
    if let Some(extra) = inputs.extra.map(str::trim).filter(|e| !e.is_empty()) {
        parts.push(sections::extra(full, extra));
    }
    if let (Some(level), Some(channel), true) = (inputs.reactions, inputs.channel, has("message")) {
        parts.push(sections::reactions(channel, level));
    }
    if super::clean::wants_final_tag(&target.provider) {
        parts.push(sections::REASONING_FORMAT.into());
    }
    let project_chars = project.chars().count();
    parts.push(project);
    if full {
        parts.push(sections::SILENT.into());
        parts.push(sections::heartbeats(inputs.heartbeat));
    }
    parts.push(sections::runtime(inputs, target));
    parts.retain(|part| !part.is_empty());
    Prompt {
        text: parts.join("\n"),
        reduced: false,
        project_chars,
        list_chars: list.chars().count(),
    }
}

/// For a model with a small window: who it is, whom it helps, where it runs.
fn reduced(inputs: &Inputs, target: &Target) -> Prompt {
    let mut parts = vec![
        sections::IDENTITY.to_string(),
        sections::REDUCED.to_string(),
    ];
    let mut left = SMALL_FILES;
    let mut project_chars = 0;
    for name in ["IDENTITY.md", "SOUL.md", "USER.md", "MEMORY.md"] {
        let file = inputs
            .files
            .iter()
            .find(|f| f.name == name && !f.missing && !is_template(f));
        let Some(file) = file.filter(|_| left > 0) else {
            continue;
        };
        let kept: String = file.content.chars().take(left).collect();
        let chars = kept.chars().count();
        left -= chars;
        project_chars += chars;
        parts.push(format!("## {name}\n{kept}"));
    }
    if let Some(extra) = inputs.extra.map(str::trim).filter(|e| !e.is_empty()) {
        parts.push(extra.chars().take(SMALL_FILES).collect());
    }
    parts.push(sections::runtime_line(inputs, target));
    Prompt {
        text: parts.join("\n"),
        reduced: true,
        project_chars,
        list_chars: 0,
    }
}

/// A file nobody has changed says nothing about this user; a small window has no room for it.
fn is_template(file: &Injected) -> bool {
    super::workspace::template(&file.name).is_some_and(|text| text.trim_end() == file.content)
}

impl Prompt {
    pub fn chars(&self) -> usize {
        self.text.chars().count()
    }

    /// The report without what only the run knows (session, model).
    pub fn report(&self, inputs: &Inputs, specs: &[ToolSpec]) -> Report {
        let chars = self.chars();
        let entries: Vec<ReportTool> = if self.reduced {
            Vec::new()
        } else {
            specs.iter().map(report_tool).collect()
        };
        Report {
            source: "run",
            workspace_dir: inputs.workspace.display().to_string(),
            bootstrap_max_chars: inputs.max_file_chars,
            system_prompt: ReportPrompt {
                chars,
                project_context_chars: self.project_chars,
                non_project_context_chars: chars.saturating_sub(self.project_chars),
            },
            injected_workspace_files: inputs.files.iter().map(report_file).collect(),
            tools: ReportTools {
                list_chars: self.list_chars,
                schema_chars: entries.iter().map(|e| e.schema_chars).sum(),
                entries,
            },
            ..Report::default()
        }
    }
}

fn report_file(file: &Injected) -> ReportFile {
    ReportFile {
        name: file.name.clone(),
        path: file.path.display().to_string(),
        missing: file.missing,
        raw_chars: file.raw_chars,
        injected_chars: file.content.chars().count(),
        truncated: file.truncated,
    }
}

fn report_tool(spec: &ToolSpec) -> ReportTool {
    ReportTool {
        name: spec.name.clone(),
        summary_chars: spec.description.chars().count(),
        schema_chars: serde_json::to_string(&spec.parameters).map_or(0, |text| text.len()),
        properties_count: spec.parameters["properties"]
            .as_object()
            .map_or(0, |map| map.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(window: u64) -> Target {
        Target {
            provider: "p".into(),
            model: "m".into(),
            tools: true,
            context_window: window,
            ..Target::default()
        }
    }

    fn inputs<'a>(files: &'a [Injected], tools: &'a [(&'a str, &'a str)]) -> Inputs<'a> {
        Inputs {
            agent_id: "main",
            workspace: Path::new("/w"),
            files,
            skills: "",
            tools,
            cite: true,
            zone: "UTC",
            default_model: "p/m",
            thinking: "off",
            reasoning: "off",
            machine: Machine {
                host: "h",
                os: "Linux 1",
                arch: "x64",
                repo: None,
            },
            mode: Mode::Full,
            aliases: &[],
            owners: &[],
            extra: None,
            heartbeat: None,
            sandbox: None,
            channel: None,
            capabilities: &[],
            reactions: None,
            max_file_chars: 20_000,
        }
    }

    fn headings(text: &str) -> Vec<&str> {
        text.lines().filter(|l| l.starts_with('#')).collect()
    }

    #[test]
    fn sections_come_in_the_original_order_without_blank_lines() {
        let files = [Injected {
            name: "SOUL.md".into(),
            path: "/w/SOUL.md".into(),
            missing: false,
            content: "be\n\nkind".into(),
            raw_chars: 8,
            truncated: false,
        }];
        let tools = [("exec", "Run commands"), ("read", "Read files")];
        let inputs = inputs(&files, &tools);
        let prompt = build(&inputs, &target(64_000));
        assert_eq!(
            headings(&prompt.text),
            [
                "## Tooling",
                "## Tool Call Style",
                "## Safety",
                "## OpenClaw CLI Quick Reference",
                "## Workspace",
                "## Current Date & Time",
                "## Workspace Files (injected)",
                "## Reply Tags",
                "## Messaging",
                "# Project Context",
                "## SOUL.md",
                "## Silent Replies",
                "## Heartbeats",
                "## Runtime"
            ]
        );
        assert_eq!(prompt.text.matches("\n\n").count(), 1, "{}", prompt.text);
        let read = prompt.text.find("- read: Read files").unwrap();
        assert!(read < prompt.text.find("- exec: Run commands").unwrap());
        assert!(prompt.text.contains(
            "Runtime: agent=main | host=h | os=Linux 1 (x64) | model=p/m | default_model=p/m | thinking=off"
        ));
        let report = prompt.report(&inputs, &[]);
        assert_eq!(
            report.system_prompt.chars,
            report.system_prompt.project_context_chars
                + report.system_prompt.non_project_context_chars
        );
    }

    #[test]
    fn skills_are_listed_for_who_can_read_them() {
        let tools = [("read", "Read files")];
        let mut inputs = inputs(&[], &tools);
        inputs.skills = "intro\n\n<available_skills>\n</available_skills>";
        let text = build(&inputs, &target(64_000)).text;
        let at = text.find("## Skills (mandatory)\n").unwrap();
        assert!(
            text[at..].contains("intro\n\n<available_skills>\n</available_skills>\n## Workspace")
        );
        inputs.tools = &[];
        assert!(!build(&inputs, &target(64_000)).text.contains("## Skills"));
        inputs.tools = &tools;
        inputs.mode = Mode::Minimal;
        assert!(!build(&inputs, &target(64_000)).text.contains("## Skills"));
    }

    #[test]
    fn a_sub_agent_gets_less_and_a_small_model_little() {
        let tools = [("exec", "Run commands")];
        let mut inputs = inputs(&[], &tools);
        inputs.mode = Mode::Minimal;
        inputs.extra = Some("do this");
        let minimal = build(&inputs, &target(64_000)).text;
        assert!(minimal.contains("## Subagent Context\ndo this"));
        assert!(!minimal.contains("## Silent Replies") && !minimal.contains("# Project Context"));
        let small = build(&inputs, &target(8_000));
        assert!(small.reduced && small.text.len() < 1500 && !small.text.contains("exec"));
        inputs.mode = Mode::None;
        assert_eq!(build(&inputs, &target(64_000)).text.lines().count(), 1);
    }

    #[test]
    fn a_channel_is_named_with_what_it_can_do_and_how_much_to_react_there() {
        let tools = [("message", "Send")];
        let can = ["inlineButtons".to_string(), "x".to_string()];
        let mut inputs = inputs(&[], &tools);
        inputs.channel = Some("telegram");
        inputs.capabilities = &can;
        inputs.reactions = Some("minimal");
        let text = build(&inputs, &target(64_000)).text;
        assert!(text.contains(" | channel=telegram | capabilities=inlineButtons,x | "));
        assert!(text.contains("\n## Reactions\n"));
        inputs.tools = &[];
        inputs.capabilities = &[];
        let text = build(&inputs, &target(64_000)).text;
        assert!(text.contains("capabilities=none") && !text.contains("## Reactions"));
    }
}
