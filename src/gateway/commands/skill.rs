//! Skills as commands: `/skill <name> [text]` and `/<name> [text]` become words for the model.

use super::Asked;
use crate::gateway::skills;

/// The words for the model; `None` when no skill is meant. `name` is the command as written.
pub(super) fn rewritten(asked: &Asked, name: &str, rest: &str) -> Option<String> {
    let (name, input) = match name {
        "skill" => rest.split_once(char::is_whitespace).unwrap_or((rest, "")),
        name => (name, rest),
    };
    let wanted = skills::command_name(name);
    let all = skills::commands(asked.core, &asked.config, &asked.agent());
    let (_, skill) = all.into_iter().find(|(command, _)| *command == wanted)?;
    let mut text = format!(
        "Use the skill \"{}\" for this. Its instructions are in {}.",
        skill.name,
        skill.file.display()
    );
    if !input.trim().is_empty() {
        text.push_str(&format!("\n\nWhat the person wants:\n{}", input.trim()));
    }
    Some(text)
}

/// Commands of skills, and what they are for.
pub(super) fn names(asked: &Asked) -> Vec<(String, String)> {
    let all = skills::commands(asked.core, &asked.config, &asked.agent());
    all.into_iter()
        .map(|(name, skill)| (name, crate::agent::inbound::cut(&skill.description, 100)))
        .collect()
}

pub(super) fn unknown(asked: &Asked, args: &str) -> String {
    let names: Vec<String> = names(asked).into_iter().map(|(name, _)| name).collect();
    let known = match names.is_empty() {
        true => "This agent has none.".to_string(),
        false => format!("It has {}.", names.join(", ")),
    };
    match args.split_whitespace().next() {
        Some(name) => format!("⚠️ No skill is called \"{name}\". {known}"),
        None => format!("Usage: /skill <name> [text]. {known}"),
    }
}
