//! The commands people write into a chat: one table, and what a message asks of it.
//!
//! Pure. Whether somebody may is decided from the row's `needs` and `switch` before anything is
//! done; a word that is in no row is no command, and goes to the model.

pub mod directive;

/// What the sender must be, besides somebody who may talk to the agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    Nothing,
    Approvals,
    Admin,
}

#[derive(Debug)]
pub struct Command {
    /// Without the slash.
    pub name: &'static str,
    pub aliases: &'static [&'static str],
    pub args: &'static str,
    pub about: &'static str,
    pub needs: Needs,
    /// The switch in the section `commands` that must be on.
    pub switch: Option<&'static str>,
}

const fn row(name: &'static str, args: &'static str, about: &'static str) -> Command {
    Command {
        name,
        aliases: &[],
        args,
        about,
        needs: Needs::Nothing,
        switch: None,
    }
}

impl Command {
    const fn or(mut self, aliases: &'static [&'static str]) -> Command {
        self.aliases = aliases;
        self
    }

    const fn needs(mut self, needs: Needs) -> Command {
        self.needs = needs;
        self
    }

    const fn switched_by(mut self, switch: &'static str) -> Command {
        self.switch = Some(switch);
        self
    }
}

/// In the order people are shown them.
pub static TABLE: &[Command] = &[
    row("help", "", "the most used commands"),
    row("commands", "[page]", "all commands, page by page"),
    row(
        "status",
        "",
        "model, tokens, context and settings of this session",
    ),
    row("new", "[model] [text]", "begin a new session"),
    row("reset", "[model] [text]", "the same"),
    row("stop", "", "stop what runs and forget what waits"),
    row(
        "compact",
        "[what to keep]",
        "summarise the conversation to make room",
    ),
    row(
        "context",
        "[list|json]",
        "what the prompt of this session is made of",
    ),
    row("whoami", "", "who you are to this gateway").or(&["id"]),
    row("think", "[level]", "how hard the model thinks").or(&["t", "thinking"]),
    row("verbose", "[off|on|full]", "whether tool calls are shown").or(&["v"]),
    row("reasoning", "[off|on|stream]", "whether thoughts are shown").or(&["reason"]),
    row(
        "elevated",
        "[off|on|ask|full]",
        "whether commands may leave the sandbox",
    )
    .or(&["elev"])
    .needs(Needs::Admin),
    row(
        "exec",
        "[host= security= ask= node=]",
        "where and how commands run",
    )
    .needs(Needs::Admin),
    row(
        "model",
        "[name|number|default|status]",
        "the model of this session",
    ),
    row("models", "[provider] [page]", "models that can be chosen"),
    row(
        "queue",
        "[mode] [debounce:2s cap:20 drop:old]",
        "what happens to words while the agent works",
    ),
    row("usage", "[off|tokens|full|cost]", "what answers use"),
    row(
        "send",
        "[on|off|inherit]",
        "whether answers of this session are sent",
    ),
    row("activation", "[mention|always]", "when a group is answered"),
    row("skill", "<name> [text]", "use a skill"),
    row(
        "subagents",
        "[list|info|log|send|stop]",
        "what sub-agents of this session do",
    ),
    row(
        "tts",
        "[status|on|off|provider <name>]",
        "whether answers are spoken",
    ),
    row(
        "allowlist",
        "[list|add|remove] [dm|group] [channel=<name>] [account=<id>] [entry]",
        "who may write on a channel; changes want operator.admin and commands.config",
    ),
    row(
        "approve",
        "<id> allow-once|allow-always|deny",
        "decide about a command that waits",
    )
    .needs(Needs::Approvals),
    row(
        "config",
        "[show|get|set|unset] [path[=value]]",
        "read and change the configuration",
    )
    .needs(Needs::Admin)
    .switched_by("config"),
    row(
        "debug",
        "[show|set|unset|reset] [path[=value]]",
        "settings that hold until the gateway restarts",
    )
    .needs(Needs::Admin)
    .switched_by("debug"),
    row(
        "bash",
        "<command>",
        "run a command on the host; also ! <command>, !poll, !stop",
    )
    .needs(Needs::Admin)
    .switched_by("bash"),
    row("restart", "", "restart the gateway")
        .needs(Needs::Admin)
        .switched_by("restart"),
];

/// Commands on one page of `/commands`.
const PAGE: usize = 12;
/// What `/help` shows.
const MOST_USED: [&str; 9] = [
    "new", "stop", "compact", "think", "model", "verbose", "status", "whoami", "commands",
];

pub fn find(name: &str) -> Option<&'static Command> {
    let is = |known: &&str| known.eq_ignore_ascii_case(name);
    TABLE
        .iter()
        .find(|row| is(&row.name) || row.aliases.iter().any(is))
}

/// The command a message is, and its arguments.
pub fn parse(text: &str) -> Option<(&'static Command, &str)> {
    let text = text.trim();
    if let Some(rest) = text.strip_prefix('!') {
        let rest = rest.trim();
        return (!rest.is_empty()).then(|| find("bash").map(|bash| (bash, rest)))?;
    }
    let (name, rest) = name(text)?;
    Some((find(name)?, rest))
}

/// The word after a leading slash, and what follows it.
pub fn name(text: &str) -> Option<(&str, &str)> {
    let body = text.trim().strip_prefix('/')?;
    let end = body.find(|c: char| c.is_whitespace() || c == ':');
    let (name, rest) = body.split_at(end.unwrap_or(body.len()));
    let rest = rest.trim_start();
    let rest = rest.strip_prefix(':').unwrap_or(rest).trim();
    (!name.is_empty()).then_some((name, rest))
}

fn line(row: &Command) -> String {
    let args = if row.args.is_empty() { "" } else { " " };
    format!("/{}{args}{} - {}", row.name, row.args, row.about)
}

pub fn help() -> String {
    let rows = MOST_USED.iter().filter_map(|name| find(name));
    let lines: Vec<String> = rows.map(line).collect();
    format!("ℹ️ Commands\n{}", lines.join("\n"))
}

/// One page of all commands; `skills` are further names with what they are for.
pub fn list(page: usize, skills: &[(String, String)]) -> String {
    let skills = skills
        .iter()
        .map(|(name, about)| format!("/{name} - {about}"));
    let all: Vec<String> = TABLE.iter().map(line).chain(skills).collect();
    let pages = all.len().div_ceil(PAGE);
    let page = page.clamp(1, pages);
    let lines = all[(page - 1) * PAGE..all.len().min(page * PAGE)].join("\n");
    let more = match page < pages {
        true => format!("\nMore: /commands {}", page + 1),
        false => String::new(),
    };
    format!("ℹ️ Commands ({page}/{pages})\n{lines}{more}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_the_first_word_with_or_without_a_colon() {
        let parsed = |text| parse(text).map(|(command, args)| (command.name, args));
        assert_eq!(parsed(" /STATUS "), Some(("status", "")));
        assert_eq!(parsed("/think: high"), Some(("think", "high")));
        assert_eq!(parsed("/t high"), Some(("think", "high")));
        assert_eq!(parsed("! ls -l"), Some(("bash", "ls -l")));
        assert_eq!(parsed("/bash ls"), Some(("bash", "ls")));
        for text in ["!", "/", "/nothing", "say /status", "/etc/hosts is gone"] {
            assert_eq!(parsed(text), None, "{text}");
        }
    }

    #[test]
    fn names_are_unique_and_every_page_is_reached() {
        let names: Vec<&str> = TABLE
            .iter()
            .flat_map(|row| std::iter::once(row.name).chain(row.aliases.iter().copied()))
            .collect();
        let mut unique = names.clone();
        unique.sort_unstable();
        unique.dedup();
        assert_eq!(unique.len(), names.len());
        let skills = [("draw".to_string(), "Draws.".to_string())];
        let all: String = (1..9).map(|page| list(page, &skills)).collect();
        for name in names.iter().filter(|n| find(n).unwrap().name == **n) {
            assert!(all.contains(&format!("/{name}")), "{name}");
        }
        assert!(all.contains("/draw - Draws."));
        assert!(MOST_USED.iter().all(|name| find(name).is_some()));
        assert!(list(0, &[]).contains("(1/"));
    }
}
