//! What a line that begins with `/` means here. The others go to the gateway as messages.

/// What the terminal does itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Help,
    Status,
    Agent,
    Agents,
    Session,
    Sessions,
    Model,
    Models,
    /// Sets this field of the session.
    Patch(&'static str),
    Reset,
    Abort,
    Settings,
    Exit,
}

pub struct Command {
    pub name: &'static str,
    pub aliases: &'static [&'static str],
    pub words: &'static str,
    pub summary: &'static str,
    pub action: Action,
}

const fn command(
    name: &'static str,
    words: &'static str,
    summary: &'static str,
    action: Action,
) -> Command {
    Command {
        name,
        aliases: &[],
        words,
        summary,
        action,
    }
}

impl Command {
    const fn or(mut self, aliases: &'static [&'static str]) -> Command {
        self.aliases = aliases;
        self
    }
}

pub const COMMANDS: &[Command] = &[
    command("abort", "", "Stop the running reply", Action::Abort),
    command(
        "activation",
        "mention|always",
        "When a group's agent answers",
        Action::Patch("groupActivation"),
    ),
    command("agent", "[id]", "Talk to another agent", Action::Agent),
    command("agents", "", "Choose an agent", Action::Agents),
    command(
        "elevated",
        "on|off|ask|full",
        "Commands on the host",
        Action::Patch("elevatedLevel"),
    )
    .or(&["elev"]),
    command("exit", "", "Leave", Action::Exit).or(&["quit"]),
    command("help", "", "This list", Action::Help),
    command(
        "model",
        "[provider/model]",
        "Use another model in this session",
        Action::Model,
    ),
    command("models", "", "Choose a model", Action::Models),
    command("new", "", "Begin the session anew", Action::Reset).or(&["reset"]),
    command(
        "reasoning",
        "on|off|stream",
        "Show the model's thoughts in replies",
        Action::Patch("reasoningLevel"),
    ),
    command("session", "[key]", "Go to another session", Action::Session),
    command("sessions", "", "Choose a session", Action::Sessions),
    command("settings", "", "What this screen shows", Action::Settings),
    command("status", "", "How the gateway is", Action::Status),
    command(
        "think",
        "off|minimal|low|medium|high|xhigh",
        "How much the model thinks",
        Action::Patch("thinkingLevel"),
    ),
    command(
        "usage",
        "off|tokens|full",
        "Usage below replies",
        Action::Patch("responseUsage"),
    ),
    command(
        "verbose",
        "on|off|full",
        "Show what tools do",
        Action::Patch("verboseLevel"),
    ),
];

/// The command of a line and the rest of the line.
pub fn parse(line: &str) -> Option<(&'static Command, &str)> {
    let line = line.trim().strip_prefix('/')?;
    let (name, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let name = name.to_lowercase();
    let found =
        |command: &&Command| command.name == name || command.aliases.contains(&name.as_str());
    COMMANDS
        .iter()
        .find(found)
        .map(|command| (command, rest.trim()))
}

/// The names that begin as the line does, while its first word is written.
pub fn completions(line: &str) -> Vec<&'static str> {
    let Some(start) = line
        .strip_prefix('/')
        .filter(|s| !s.contains(char::is_whitespace))
    else {
        return Vec::new();
    };
    let names = COMMANDS
        .iter()
        .flat_map(|c| std::iter::once(&c.name).chain(c.aliases));
    let start = start.to_lowercase();
    names
        .copied()
        .filter(|name| name.starts_with(&start))
        .collect()
}

pub fn help() -> String {
    let mut text = String::from("Commands of this screen; others go to the agent.\n");
    for command in COMMANDS {
        let usage = format!("/{} {}", command.name, command.words);
        text.push_str(&format!("{usage:<44} {}\n", command.summary));
    }
    text.push_str(
        "!command                                     Run it on this machine\n\n\
         Enter sends · Alt-Enter a new line · Esc stops the reply · Ctrl-C twice or Ctrl-D leaves\n\
         Ctrl-L model · Ctrl-G agent · Ctrl-P session · Ctrl-O tool results · Ctrl-T thoughts\n\
         Page up and down scroll · Tab completes a command",
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_commands_of_this_screen_or_go_to_the_gateway() {
        let (command, rest) = parse("/ELEV  ask ").unwrap();
        assert_eq!(
            (command.action, rest),
            (Action::Patch("elevatedLevel"), "ask")
        );
        assert_eq!(parse("/quit").unwrap().0.action, Action::Exit);
        assert!(parse("/compact").is_none() && parse("no /exit").is_none());
        assert!(COMMANDS.is_sorted_by_key(|command| command.name));
    }

    #[test]
    fn the_first_word_completes() {
        assert_eq!(completions("/mo"), ["model", "models"]);
        assert_eq!(completions("/re"), ["reset", "reasoning"]);
        assert!(completions("/model x").is_empty() && completions("hello").is_empty());
        assert!(help().lines().all(|line| line.len() < 120));
    }
}
