//! What can be done beside saying something: one question of the REST interface each.

use super::Discord;
use super::rest::text;
use crate::channel::kind::Failed;
use crate::net::url;
use crate::wire::channel::Action;
use serde_json::{Value, json};

/// Messages read at once; the service's own bound.
const MAX_READ: u64 = 100;
/// A poll's, of the service.
const MAX_HOURS: u64 = 768;
const HOURS: u64 = 24;
const MAX_ANSWERS: usize = 10;
/// A thread's name.
const MAX_NAME: usize = 100;
/// Minutes until a thread that nobody writes in is put away, where nothing else is said.
const ARCHIVE: u64 = 60;
/// Members looked at for one name.
const MEMBERS: usize = 25;

type Run = fn(&Discord, &Action, &str) -> Result<Value, Failed>;

/// What is done in a channel, whose id it is given.
const IN_CHANNEL: &[(&str, Run)] = &[
    ("channel-info", |of, _, at| {
        get(of, &format!("/channels/{at}"))
    }),
    ("delete", |of, action, at| {
        ask(of, "DELETE", &message(action, at)?, None)
    }),
    ("edit", |of, action, at| {
        let body = json!({"content": word(action, "message")?});
        ask(of, "PATCH", &message(action, at)?, Some(&body))
    }),
    ("list-pins", |of, _, at| {
        get(of, &format!("/channels/{at}/pins"))
    }),
    ("pin", |of, action, at| pinned(of, action, at, "PUT")),
    ("poll", poll),
    ("react", react),
    ("reactions", |of, action, at| {
        let found = get(of, &message(action, at)?)?;
        Ok(json!({"ok": true, "reactions": found["reactions"]}))
    }),
    ("read", read),
    ("thread-create", thread),
    ("typing", |of, action, at| {
        // It ends by itself, after ten seconds or with a message.
        if action.params["stop"] == true {
            return Ok(Value::Null);
        }
        ask(of, "POST", &format!("/channels/{at}/typing"), None)
    }),
    ("unpin", |of, action, at| pinned(of, action, at, "DELETE")),
];

/// What is done in a guild: below its path, by the parameters.
const IN_GUILD: &[(&str, Run)] = &[
    ("channel-list", |of, _, guild| {
        get(of, &format!("/guilds/{guild}/channels"))
    }),
    ("emoji-list", |of, _, guild| {
        get(of, &format!("/guilds/{guild}/emojis"))
    }),
    ("event-list", |of, _, guild| {
        get(of, &format!("/guilds/{guild}/scheduled-events"))
    }),
    ("member-info", |of, action, guild| {
        let user = url::escape(word(action, "userId")?);
        get(of, &format!("/guilds/{guild}/members/{user}"))
    }),
    ("role-info", |of, _, guild| {
        get(of, &format!("/guilds/{guild}/roles"))
    }),
    ("search", |of, action, guild| {
        let query = url::escape(word(action, "query")?);
        get(
            of,
            &format!("/guilds/{guild}/messages/search?content={query}"),
        )
    }),
    ("thread-list", |of, _, guild| {
        get(of, &format!("/guilds/{guild}/threads/active"))
    }),
];

pub fn names() -> Vec<String> {
    let all = IN_CHANNEL.iter().chain(IN_GUILD);
    all.map(|(name, _)| name.to_string()).collect()
}

pub fn run(of: &Discord, action: &Action) -> Result<Value, Failed> {
    let named = |table: &[(&str, Run)]| {
        let row = table.iter().find(|(name, _)| *name == action.action);
        row.map(|(_, run)| *run)
    };
    if let Some(run) = named(IN_CHANNEL) {
        let given = action.params["channelId"]
            .as_str()
            .or(action.thread.as_deref());
        // The answer to a command has no other place than the channel it was given in.
        let to = match action
            .to
            .strip_prefix("slash:")
            .and_then(|to| to.split_once(':'))
        {
            Some((channel, _)) => channel,
            None => &action.to,
        };
        let channel = of.channel(given.unwrap_or(to))?;
        return run(of, action, &channel);
    }
    let run = named(IN_GUILD)
        .ok_or_else(|| Failed::for_good(format!("discord has no {}", action.action)))?;
    let guild = match action.params["guildId"].as_str() {
        Some(id) => id.to_string(),
        None => {
            let channel = of.channel(&action.to)?;
            let known = of.rest.channel(&channel)?.unwrap_or_default();
            text(&known["guild_id"])
        }
    };
    if guild.is_empty() {
        return Err(Failed::for_good("guildId is needed"));
    }
    run(of, action, &url::escape(&guild))
}

fn ask(of: &Discord, method: &str, path: &str, body: Option<&Value>) -> Result<Value, Failed> {
    let answer = of.rest.ask(method, path, body)?;
    Ok(match answer {
        Value::Null => json!({"ok": true}),
        answer => json!({"ok": true, "result": answer}),
    })
}

fn get(of: &Discord, path: &str) -> Result<Value, Failed> {
    Ok(of.rest.get(path)?)
}

fn word<'a>(action: &'a Action, name: &str) -> Result<&'a str, Failed> {
    let found = action.params[name].as_str().filter(|text| !text.is_empty());
    found.ok_or_else(|| Failed::for_good(format!("{name} is needed")))
}

fn message(action: &Action, channel: &str) -> Result<String, Failed> {
    let id = url::escape(word(action, "messageId")?);
    Ok(format!("/channels/{channel}/messages/{id}"))
}

fn pinned(of: &Discord, action: &Action, at: &str, method: &str) -> Result<Value, Failed> {
    let id = url::escape(word(action, "messageId")?);
    ask(of, method, &format!("/channels/{at}/pins/{id}"), None)
}

/// `👍`, `name:id` or `<:name:id>`, as the path has it.
fn emoji(given: &str) -> String {
    let bare = given
        .trim()
        .trim_start_matches("<a:")
        .trim_start_matches("<:");
    let bare = bare.trim_end_matches('>').trim_matches(':');
    // The service knows emoji without the selector of their coloured form.
    url::escape(&bare.replace(['\u{fe0e}', '\u{fe0f}'], ""))
}

fn react(of: &Discord, action: &Action, at: &str) -> Result<Value, Failed> {
    let path = message(action, at)?;
    let given = action.params["emoji"].as_str().unwrap_or("");
    let remove = action.params["remove"] == true;
    if !given.is_empty() {
        let method = if remove { "DELETE" } else { "PUT" };
        return ask(
            of,
            method,
            &format!("{path}/reactions/{}/@me", emoji(given)),
            None,
        );
    }
    // No emoji: all of ours are taken back.
    let found = get(of, &path)?;
    let ours = found["reactions"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|r| r["me"] == true);
    for reaction in ours {
        let name = text(&reaction["emoji"]["name"]);
        let whole = match reaction["emoji"]["id"].as_str() {
            Some(id) => format!("{name}:{id}"),
            None => name,
        };
        ask(
            of,
            "DELETE",
            &format!("{path}/reactions/{}/@me", emoji(&whole)),
            None,
        )?;
    }
    Ok(json!({"ok": true}))
}

fn read(of: &Discord, action: &Action, at: &str) -> Result<Value, Failed> {
    let limit = action.params["limit"]
        .as_u64()
        .unwrap_or(20)
        .clamp(1, MAX_READ)
        .to_string();
    let mut query = vec![("limit", limit.as_str())];
    for name in ["before", "after", "around"] {
        if let Some(id) = action.params[name].as_str() {
            query.push((name, id));
        }
    }
    let found = get(
        of,
        &format!("/channels/{at}/messages?{}", url::query(&query)),
    )?;
    Ok(json!({"ok": true, "messages": found}))
}

fn poll(of: &Discord, action: &Action, at: &str) -> Result<Value, Failed> {
    let options = action.params["options"].as_array().into_iter().flatten();
    let answers = options.filter_map(Value::as_str).take(MAX_ANSWERS);
    let answers: Vec<Value> = answers
        .map(|text| json!({"poll_media": {"text": text}}))
        .collect();
    let hours = action.params["durationHours"]
        .as_u64()
        .unwrap_or(HOURS)
        .clamp(1, MAX_HOURS);
    let several = action.params["maxSelections"].as_u64().unwrap_or(1) > 1;
    let body = json!({"poll": {
        "question": {"text": word(action, "question")?},
        "answers": answers, "duration": hours, "allow_multiselect": several, "layout_type": 1,
    }});
    let posted = of.rest.post(&format!("/channels/{at}/messages"), &body)?;
    Ok(json!({"ok": true, "messageId": posted["id"], "channelId": at}))
}

fn thread(of: &Discord, action: &Action, at: &str) -> Result<Value, Failed> {
    let name = action.params["threadName"]
        .as_str()
        .or(action.params["name"].as_str());
    let name = name.ok_or_else(|| Failed::for_good("threadName is needed"))?;
    let name: String = name.chars().take(MAX_NAME).collect();
    let minutes = action.params["autoArchiveMin"].as_u64().unwrap_or(ARCHIVE);
    let mut body = json!({"name": name, "auto_archive_duration": minutes});
    let path = match action.params["messageId"].as_str() {
        Some(_) => format!("{}/threads", message(action, at)?),
        None => {
            // Seen by everybody.
            body["type"] = 11.into();
            format!("/channels/{at}/threads")
        }
    };
    let made = of.rest.post(&path, &body)?;
    Ok(json!({"ok": true, "thread": made}))
}

/// Users by id or name, channels by id, name or `guild/name`.
pub fn resolve(of: &Discord, kind: &str, names: &[String]) -> Result<Value, Failed> {
    let mut found = Vec::new();
    for input in names {
        let bare = input
            .trim()
            .trim_start_matches("<@")
            .trim_start_matches("<#");
        let bare = bare
            .trim_start_matches(['@', '#', '!'])
            .trim_end_matches('>');
        let answer = match bare.bytes().all(|b| b.is_ascii_digit()) && !bare.is_empty() {
            true => Some((bare.to_string(), None)),
            false if kind == "user" => user(of, bare)?,
            false => channel(of, bare)?,
        };
        found.push(match answer {
            Some((id, name)) => json!({"input": input, "resolved": true, "id": id, "name": name}),
            None => json!({"input": input, "resolved": false}),
        });
    }
    Ok(found.into())
}

type Named = Option<(String, Option<String>)>;

fn user(of: &Discord, name: &str) -> Result<Named, Failed> {
    let query = url::query(&[("query", name), ("limit", &MEMBERS.to_string())]);
    for (guild, _) in of.rest.guilds()? {
        let members = of
            .rest
            .get(&format!("/guilds/{guild}/members/search?{query}"))?;
        for member in members.as_array().into_iter().flatten() {
            let user = &member["user"];
            let known = [&user["username"], &user["global_name"], &member["nick"]];
            let mut known = known.into_iter().filter_map(Value::as_str);
            if known.any(|known| known.eq_ignore_ascii_case(name)) {
                return Ok(Some((
                    text(&user["id"]),
                    user["username"].as_str().map(String::from),
                )));
            }
        }
    }
    Ok(None)
}

fn channel(of: &Discord, name: &str) -> Result<Named, Failed> {
    let (within, name) = match name.rsplit_once('/') {
        Some((guild, name)) => (Some(guild), name.trim_start_matches('#')),
        None => (None, name),
    };
    for (guild, title) in of.rest.guilds()? {
        let wanted = |within: &str| within == guild || within.eq_ignore_ascii_case(&title);
        if !within.is_none_or(wanted) {
            continue;
        }
        let channels = of.rest.get(&format!("/guilds/{guild}/channels"))?;
        let mut channels = channels.as_array().into_iter().flatten();
        let same = |channel: &&Value| {
            channel["name"]
                .as_str()
                .is_some_and(|known| known.eq_ignore_ascii_case(name))
        };
        if let Some(channel) = channels.find(same) {
            return Ok(Some((
                text(&channel["id"]),
                channel["name"].as_str().map(String::from),
            )));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_emoji_is_written_as_the_path_has_it() {
        assert_eq!(emoji("❤️"), "%E2%9D%A4");
        assert_eq!(emoji("<:party:123>"), "party%3A123");
        assert_eq!(emoji("<a:party:123>"), "party%3A123");
        assert_eq!(emoji(":party:123"), "party%3A123");
        let mut sorted = names();
        sorted.sort();
        sorted.dedup();
        assert_eq!(sorted.len(), names().len());
    }
}
