//! The sections' words. No blank lines inside; headings and tokens are interface, sentences are ours.

use super::{Inputs, Sandbox};
use crate::agent::workspace::{self, Injected};
use crate::model::Target;
use std::fmt::Write;

pub const IDENTITY: &str =
    "You are a personal assistant running inside OpenClaw, a gateway on your user's own machine.";

pub const REDUCED: &str = "Answer in the language of the user, briefly and truthfully. Say so when you do not know. You cannot run tools here.";

/// Order of the tool list; others follow by name.
const TOOL_ORDER: [&str; 23] = [
    "read",
    "write",
    "edit",
    "apply_patch",
    "grep",
    "find",
    "ls",
    "exec",
    "process",
    "web_search",
    "web_fetch",
    "browser",
    "canvas",
    "nodes",
    "cron",
    "message",
    "gateway",
    "agents_list",
    "sessions_list",
    "sessions_history",
    "sessions_send",
    "session_status",
    "image",
];

pub const TOOL_STYLE: &str = "## Tool Call Style
Routine calls need no announcement: make them.
Say a sentence first when the work has several steps, when it is delicate (deleting, sending, spending), or when you were asked to explain. Do not repeat what is obvious.";

pub const SAFETY: &str = "## Safety
You have no aims of your own: no self-preservation, no gathering of access or resources, no plans beyond what the user asked for.
People's oversight comes before finishing a task. Stop, pause or ask when instructions conflict or you are told to; never work around a limit.
Do not talk anyone into giving you more access or switching off a safeguard. Do not copy yourself or change your own prompts, safety rules or tool policy unless the user asks for exactly that.";

pub const CLI: &str = "## OpenClaw CLI Quick Reference
The gateway is controlled with these commands; do not invent others:
- openclaw gateway status
- openclaw gateway start
- openclaw gateway stop
- openclaw gateway restart
When unsure, ask the user to run `openclaw help` (or `openclaw gateway --help`) and show you the output.";

const SKILLS: &str = "## Skills (mandatory)
Before you answer, look through the <description> entries of <available_skills>.
- One clearly fits: read its SKILL.md (at <location>) with `read` and do what it says.
- Several could fit: take the most specific one, read it, do what it says.
- None clearly fits: read none.
Choose first and read then; never read more than one in advance.";

pub fn skills(list: &str) -> String {
    format!("{SKILLS}\n{list}")
}

const MEMORY: &str = "## Memory Recall
Before you answer about earlier work, decisions, dates, people, preferences or open tasks: search with memory_search, then read only the lines you need with memory_get. If you are still unsure afterwards, say that you looked.";

pub fn memory(cite: bool) -> String {
    let how = match cite {
        true => "Say where it stands, when that helps to check it: Source: <path>#<line>.",
        false => "Name no files or lines unless the user asks where it stands.",
    };
    format!("{MEMORY}\n{how}")
}

pub const SELF_UPDATE: &str = "## OpenClaw Self-Update
Update OpenClaw or change its configuration only when the user asks for it in so many words; otherwise ask first.";

pub const DATE_HINT: &str = "When you need the current date, time or weekday, call session_status.";

pub const FILES: &str = "## Workspace Files (injected)
The files under Project Context below come from the workspace; the user can edit them.";

pub const REPLY_TAGS: &str = "## Reply Tags
To answer one message natively where the channel can, put one tag into your reply:
- [[reply_to_current]] answers the message that started this turn.
- [[reply_to:<id>]] answers the message with that id, when you were given one.
Spaces inside the brackets are fine. Tags are taken out before sending.";

pub const REASONING_FORMAT: &str = "## Reasoning Format
Put all thinking inside <think>...</think> and the answer for the user inside <final>...</final>, nothing outside of the two.
Only what stands in <final> is shown.";

pub const SILENT: &str = "## Silent Replies
When there is nothing to say, your whole reply is: NO_REPLY
- It is the entire message; never put it next to other words.
- Never wrap it in formatting.";

pub fn tool_list(tools: &[(&str, &str)]) -> String {
    let mut sorted: Vec<&(&str, &str)> = tools.iter().collect();
    sorted.sort_by_key(|(name, _)| {
        let rank = TOOL_ORDER.iter().position(|known| known == name);
        (rank.unwrap_or(TOOL_ORDER.len()), *name)
    });
    let lines: Vec<String> = sorted
        .iter()
        .map(|(name, summary)| {
            if summary.is_empty() {
                format!("- {name}")
            } else {
                format!("- {name}: {summary}")
            }
        })
        .collect();
    lines.join("\n")
}

pub fn tooling(list: &str) -> String {
    let mut text = String::from(
        "## Tooling\nThese tools are available to you now (policy decides which). Names are case-sensitive; call them exactly as listed.",
    );
    if !list.is_empty() {
        text.push('\n');
        text.push_str(list);
    }
    text.push_str("\nTOOLS.md holds notes on how tools are used here; it does not add or remove any.\nLong or parallel work can go to a sub-agent when you have sessions_spawn.");
    text
}

pub fn aliases(aliases: &[(String, String)]) -> String {
    if aliases.is_empty() {
        return String::new();
    }
    let mut sorted: Vec<_> = aliases.iter().collect();
    sorted.sort();
    let mut text = String::from(
        "## Model Aliases\nThese short names work wherever a model is chosen; provider/model works too.",
    );
    for (alias, model) in sorted {
        let _ = write!(text, "\n- {alias}: {model}");
    }
    text
}

pub fn workspace(inputs: &Inputs) -> String {
    let mut text = format!(
        "## Workspace\nYour working directory is: {}\nAll file work happens there unless the user says otherwise.",
        inputs.workspace.display()
    );
    let new = inputs
        .files
        .iter()
        .any(|f| f.name == workspace::BOOTSTRAP && !f.missing);
    if new {
        text.push_str("\nReminder: commit your changes in this workspace after editing its files.");
    }
    text
}

pub fn sandbox(sandbox: &Sandbox) -> String {
    let network = if sandbox.network { "on" } else { "off" };
    let apart = sandbox.apart.as_ref().map_or(String::new(), |workspace| {
        let workspace = workspace.display();
        match sandbox.workspace_access {
            "ro" => format!(" The agent's workspace {workspace} can be read, not written."),
            _ => format!(" The agent's workspace {workspace} cannot be reached."),
        }
    });
    let how = match &sandbox.container {
        None => "confined by the kernel: they see the system's programs and the folders granted to them, not the user's other files.".to_string(),
        Some((image, workdir)) => format!("in a container (image {image}), where your working directory is {workdir}."),
    };
    let elevated = match sandbox.elevated {
        None => String::new(),
        Some(level) => format!(
            "\nThis sender may let commands leave the sandbox: exec with elevated=true runs on the host; the user switches it with /elevated on|off|ask|full.\nCurrent elevated level: {level} (ask: each command is approved first; full: none is)."
        ),
    };
    format!(
        "## Sandbox\nYour commands run {how}\nThey and your file tools may write to your working directory.{apart} Network for commands: {network}.\nIf a task needs more than that, say so; do not look for ways around it.{elevated}"
    )
}

pub fn owners(owners: &[String]) -> String {
    if owners.is_empty() {
        return String::new();
    }
    format!(
        "## User Identity\nOwner numbers: {}. Messages from these numbers come from your user.",
        owners.join(", ")
    )
}

pub fn time_zone(zone: &str) -> String {
    format!("## Current Date & Time\nTime zone: {zone}")
}

pub fn messaging(has_message: bool) -> String {
    let mut text = String::from(
        "## Messaging\n- What you reply in this session goes to where the message came from.\n- Another session is reached with sessions_send(sessionKey, message), when you have that tool.\n- Never send provider messages with exec or curl; OpenClaw routes them.",
    );
    if has_message {
        text.push_str(
            "\n### message tool\n- Use `message` to send without being asked in this chat, and for channel actions (polls, reactions, edits).\n- `action=send` needs `to` and `message`.\n- With several channels set up, pass `channel` (telegram|whatsapp|discord|googlechat|slack|signal|imessage).\n- When `message` already delivered your answer to the user, reply only NO_REPLY, so that it does not arrive twice.",
        );
    }
    text
}

pub fn extra(full: bool, extra: &str) -> String {
    let heading = if full {
        "## Group Chat Context"
    } else {
        "## Subagent Context"
    };
    format!("{heading}\n{extra}")
}

pub fn reactions(channel: &str, level: &str) -> String {
    let how = match level {
        "extensive" => {
            "React freely: to what is funny, kind, interesting or moving, to thanks and to news, whenever a person would. Every message or two is fine."
        }
        _ => {
            "React rarely: to confirm something that matters, or to a feeling that is plainly there. Not to routine messages, not to your own, at most once in five to ten exchanges."
        }
    };
    format!(
        "## Reactions\nOn {channel} you can react to a message with an emoji (`message`, action=react).\n{how}"
    )
}

pub fn project_context(files: &[Injected]) -> String {
    if files.is_empty() {
        return String::new();
    }
    let mut text = String::from("# Project Context\nThese workspace files have been loaded:");
    if files
        .iter()
        .any(|f| f.name == workspace::SOUL && !f.missing)
    {
        text.push_str("\nSOUL.md says who you are: speak in that voice, and no stiff or generic answers, unless a higher rule forbids it.");
    }
    for file in files {
        let _ = write!(text, "\n## {}\n{}", file.name, file.content);
    }
    text
}

pub fn heartbeats(prompt: Option<&str>) -> String {
    let prompt = prompt.unwrap_or("(set by the configuration)");
    format!(
        "## Heartbeats\nHeartbeat prompt: {prompt}\nWhen you receive a heartbeat (a user message that matches it) and nothing needs attention, reply exactly:\nHEARTBEAT_OK\nThat text alone at the start or end of a reply is taken as an acknowledgement and may not be delivered.\nWhen something does need attention, leave HEARTBEAT_OK out and say what it is."
    )
}

pub fn runtime(inputs: &Inputs, target: &Target) -> String {
    format!(
        "## Runtime\n{}\nReasoning: {} (hidden unless on or stream; the user switches it with /reasoning).",
        runtime_line(inputs, target),
        inputs.reasoning
    )
}

pub fn runtime_line(inputs: &Inputs, target: &Target) -> String {
    let mut fields = vec![format!("agent={}", inputs.agent_id)];
    let machine = &inputs.machine;
    let mut add = |name: &str, value: &str| {
        if !value.is_empty() {
            fields.push(format!("{name}={value}"));
        }
    };
    add("host", machine.host);
    if let Some(repo) = machine.repo {
        add("repo", &repo.display().to_string());
    }
    if !machine.os.is_empty() {
        add("os", &format!("{} ({})", machine.os, machine.arch));
    }
    add("model", &format!("{}/{}", target.provider, target.model));
    add("default_model", inputs.default_model);
    if let Some(channel) = inputs.channel {
        add("channel", channel);
        let can = inputs.capabilities.join(",");
        add("capabilities", if can.is_empty() { "none" } else { &can });
    }
    add("thinking", inputs.thinking);
    format!("Runtime: {}", fields.join(" | "))
}
