//! Where people write to the agent: what each channel needs to begin with. Pairing and groups come
//! later, with the channel's own commands.

use super::super::super::Context;
use super::super::super::ask::Ask;
use super::super::super::failure::Failure;
use super::extras;
use super::talk::note;
use crate::config::settings::Settings;

struct Channel {
    id: &'static str,
    name: &'static str,
    /// Where what is asked comes from.
    about: &'static str,
    fields: &'static [Field],
}

struct Field {
    key: &'static str,
    question: &'static str,
    secret: bool,
}

const fn secret(key: &'static str, question: &'static str) -> Field {
    Field {
        key,
        question,
        secret: true,
    }
}

const fn open(key: &'static str, question: &'static str) -> Field {
    Field {
        key,
        question,
        secret: false,
    }
}

const CHANNELS: &[Channel] = &[
    Channel {
        id: "telegram",
        name: "Telegram",
        about: "Talk to @BotFather, /newbot; it says the token.",
        fields: &[secret("botToken", "Bot token")],
    },
    Channel {
        id: "discord",
        name: "Discord",
        about: "Developer portal, Bot: reset the token, and switch Message Content Intent on.",
        fields: &[secret("token", "Bot token")],
    },
    Channel {
        id: "slack",
        name: "Slack",
        about: "An app with Socket Mode: its bot token (xoxb-) and app token (xapp-).",
        fields: &[
            secret("botToken", "Bot token (xoxb-)"),
            secret("appToken", "App token (xapp-)"),
        ],
    },
    Channel {
        id: "mattermost",
        name: "Mattermost",
        about: "Integrations, Bot Accounts: the token, and the address of the server.",
        fields: &[
            open("baseUrl", "Server address (https://)"),
            secret("botToken", "Bot token"),
        ],
    },
    Channel {
        id: "matrix",
        name: "Matrix",
        about: "An account of its own; its access token is in the client's settings.",
        fields: &[
            open("homeserver", "Homeserver (https://)"),
            secret("accessToken", "Access token"),
        ],
    },
    Channel {
        id: "signal",
        name: "Signal",
        about: "A number that signal-cli is registered with.",
        fields: &[open("account", "Number (+…)")],
    },
];

/// Asks until nothing more is chosen; written after each, so that an interruption loses one at most.
pub fn ask(context: &mut Context, ask: &mut Ask) -> Result<(), Failure> {
    note("Channel status", &standing(context));
    if !ask.confirm("Configure chat channels now?", true)? {
        return Ok(());
    }
    let mut names: Vec<&str> = vec!["Finished"];
    names.extend(CHANNELS.iter().map(|channel| channel.name));
    let mut values: Vec<&str> = vec!["finished"];
    values.extend(CHANNELS.iter().map(|channel| channel.id));
    loop {
        let at = ask.pick("Select a channel", &names, &values, 0, names.len())?;
        let Some(channel) = at.checked_sub(1).and_then(|at| CHANNELS.get(at)) else {
            return Ok(());
        };
        note(channel.name, channel.about);
        let mut settings = Settings::default();
        for field in channel.fields {
            let typed = match field.secret {
                true => ask.hidden(field.question)?,
                false => ask.text(field.question, None)?,
            };
            let typed = typed.trim();
            if typed.is_empty() {
                break;
            }
            settings.put(&["channels", channel.id, field.key], typed);
        }
        if settings.len() < channel.fields.len() {
            eprintln!("  Nothing typed: {} stays as it was", channel.name);
            continue;
        }
        settings.put(&["channels", channel.id, "enabled"], true);
        settings.put(&["plugins", "entries", channel.id, "enabled"], true);
        extras::write(context, &settings)?;
    }
}

/// One channel's settings taken out.
pub fn remove(context: &mut Context, ask: &mut Ask) -> Result<(), Failure> {
    let there = configured(context);
    if there.is_empty() {
        note("Channels", "No channel is configured.");
        return Ok(());
    }
    let mut names = vec!["Finished"];
    names.extend(there.iter().map(String::as_str));
    let at = ask.pick(
        "Remove which channel config?",
        &names,
        &names,
        0,
        names.len(),
    )?;
    let Some(id) = at.checked_sub(1).and_then(|at| there.get(at)) else {
        return Ok(());
    };
    if !ask.confirm(&format!("Remove the settings of {id}?"), false)? {
        return Ok(());
    }
    let snapshot = &context.local.snapshot;
    let path = format!("channels.{id}");
    let after = crate::config::edit::unset(&snapshot.paths, &snapshot.env, &path);
    extras::updated(context, after)
}

fn configured(context: &Context) -> Vec<String> {
    let channels = &context.local.snapshot.config.channels;
    let named = channels.keys().filter(|id| *id != "defaults");
    named.cloned().collect()
}

fn standing(context: &Context) -> String {
    let there = configured(context);
    let lines = CHANNELS.iter().map(|channel| {
        let is = there.iter().any(|id| id == channel.id);
        let word = if is { "configured" } else { "not configured" };
        format!("{}: {word}", channel.name)
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::wizard::place::Place;

    #[test]
    fn what_is_asked_makes_a_configuration_that_is_valid() {
        for channel in CHANNELS {
            let place = Place::new("{}");
            let mut settings = Settings::default();
            for field in channel.fields {
                settings.put(&["channels", channel.id, field.key], "https://x.example");
            }
            settings.put(&["channels", channel.id, "enabled"], true);
            settings.put(&["plugins", "entries", channel.id, "enabled"], true);
            let after = settings.write(&place.snapshot.paths, &place.snapshot.env);
            assert!(after.is_ok(), "{}: {}", channel.id, after.unwrap_err());
        }
    }
}
