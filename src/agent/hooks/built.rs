//! The hooks that come with the program. What they do is the gateway's business.

use super::super::skills::{Requires, Source};
use super::{Handler, Hook};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Built {
    BootMd,
    CommandLogger,
    SessionMemory,
    SoulEvil,
}

struct Row {
    built: Built,
    name: &'static str,
    emoji: &'static str,
    description: &'static str,
    event: &'static str,
    setting: Option<&'static str>,
}

const ROWS: [Row; 4] = [
    Row {
        built: Built::BootMd,
        name: "boot-md",
        emoji: "🚀",
        description: "Run BOOT.md on gateway startup",
        event: "gateway:startup",
        setting: Some("workspace.dir"),
    },
    Row {
        built: Built::CommandLogger,
        name: "command-logger",
        emoji: "📝",
        description: "Log all command events to a centralized audit file",
        event: "command",
        setting: None,
    },
    Row {
        built: Built::SessionMemory,
        name: "session-memory",
        emoji: "💾",
        description: "Save session context to memory when /new command is issued",
        event: "command:new",
        setting: Some("workspace.dir"),
    },
    Row {
        built: Built::SoulEvil,
        name: "soul-evil",
        emoji: "😈",
        description: "Swap SOUL.md with SOUL_EVIL.md during a purge window or by random chance",
        event: "agent:bootstrap",
        setting: Some("hooks.internal.entries.soul-evil.enabled"),
    },
];

impl Built {
    pub fn hook(self) -> Hook {
        let row = ROWS.iter().find(|row| row.built == self);
        let row = row.expect("every one has a row");
        let texts = |text: Option<&str>| text.into_iter().map(String::from).collect();
        Hook {
            name: row.name.into(),
            description: row.description.into(),
            source: Source::Bundled,
            emoji: Some(row.emoji.into()),
            homepage: None,
            events: texts(Some(row.event)),
            always: false,
            requires: Requires {
                config: texts(row.setting),
                ..Requires::default()
            },
            export: String::new(),
            file: None,
            key: None,
            handler: Handler::Built(self),
        }
    }

    /// All of them, by name.
    pub fn hooks() -> impl Iterator<Item = Hook> {
        ROWS.iter().map(|row| row.built.hook())
    }
}
