//! From what the gateway dispatches to what the core is told.

use super::rest::text;
use super::{Discord, Me};
use crate::channel::http::Fault;
use crate::channel::media;
use crate::net::url;
use crate::wire::channel::{
    Chat, ChatKind, Event, Inbound, Media, MediaKind, Named, Quoted, Sender, Thread, What,
};
use serde_json::Value;

/// Files of one message that are fetched; the service's own bound is ten.
const MAX_FILES: usize = 10;
/// Of a thread's first message, characters.
const MAX_STARTER: usize = 4000;

/// Kinds of channels.
const GROUP: u64 = 3;
const THREADS: [u64; 3] = [10, 11, 12];
/// Whose threads are posts with a title.
const FORUMS: [u64; 2] = [15, 16];

/// A message of a kind that somebody wrote: an ordinary one or a reply.
fn is_written(message: &Value) -> bool {
    matches!(message["type"].as_u64(), None | Some(0 | 19))
}

/// What the service itself says in a channel, in words.
fn system(message: &Value) -> Option<String> {
    let who = name_of(&message["author"], &Value::Null);
    let said = match message["type"].as_u64()? {
        1 => format!("{who} added somebody to the group"),
        2 => format!("{who} removed somebody from the group"),
        4 => format!("{who} named the group {:?}", text(&message["content"])),
        6 => format!("{who} pinned a message"),
        7 => format!("{who} joined the server"),
        8..=11 => format!("{who} boosted the server"),
        18 => format!("{who} started a thread: {}", text(&message["content"])),
        _ => return None,
    };
    Some(format!("Discord: {said}"))
}

fn name_of(user: &Value, member: &Value) -> String {
    let names = [&member["nick"], &user["global_name"], &user["username"]];
    let names = names.into_iter().filter_map(Value::as_str);
    names
        .into_iter()
        .find(|name| !name.is_empty())
        .unwrap_or("somebody")
        .into()
}

fn sender(user: &Value, member: &Value) -> Sender {
    let username = text(&user["username"]);
    let number = user["discriminator"]
        .as_str()
        .filter(|n| !matches!(*n, "" | "0"));
    Sender {
        id: text(&user["id"]),
        name: Some(name_of(user, member)),
        tag: Some(match number {
            Some(number) => format!("{username}#{number}"),
            None => username.clone(),
        }),
        username: Some(username),
        bot: user["bot"] == true,
        ..Sender::default()
    }
}

/// What was written, with what was forwarded below it.
fn content(message: &Value, me: &Me) -> String {
    let mut out = text(&message["content"]);
    for own in [format!("<@{}>", me.id), format!("<@!{}>", me.id)] {
        out = out.replace(&own, "");
    }
    let mut out = out.trim().to_string();
    for snapshot in message["message_snapshots"]
        .as_array()
        .into_iter()
        .flatten()
    {
        let forwarded = text(&snapshot["message"]["content"]);
        if !out.is_empty() {
            out.push('\n');
        }
        out.push_str(&format!("[Forwarded message]\n{forwarded}"));
    }
    let files = message["attachments"]
        .as_array()
        .is_some_and(|files| !files.is_empty());
    if out.is_empty() && !files {
        let embeds = message["embeds"].as_array().into_iter().flatten();
        let mut described = embeds.filter_map(|embed| embed["description"].as_str());
        out = described.next().unwrap_or("").to_string();
    }
    out
}

impl Discord {
    /// A message, or what the service says; `None`: nothing for us.
    pub(super) fn message(&self, me: &Me, message: &Value) -> Result<Option<Heard>, Fault> {
        let id = text(&message["id"]);
        let author = &message["author"];
        if author["id"] == me.id.as_str() || id.is_empty() {
            return Ok(None);
        }
        let (channel, guild) = (text(&message["channel_id"]), text(&message["guild_id"]));
        let from = text(&author["id"]);
        if !is_written(message) {
            let Some(said) = system(message) else {
                return Ok(None);
            };
            return Ok(Some(Heard::Event(Box::new(Event {
                id,
                chat: self.chat(&channel, &guild, &from, me)?.0,
                sender: Some(sender(author, &message["member"])),
                what: What::Note { text: said },
                ..Event::default()
            }))));
        }
        let (chat, topic) = self.chat(&channel, &guild, &from, me)?;
        let mentions = message["mentions"].as_array().into_iter().flatten();
        let (own, others): (Vec<_>, Vec<_>) =
            mentions.partition(|user| user["id"] == me.id.as_str());
        let roles = message["mention_roles"]
            .as_array()
            .is_some_and(|roles| !roles.is_empty());
        let quoted = &message["referenced_message"];
        let reply_to = quoted["id"].as_str().map(|id| Quoted {
            id: id.into(),
            text: Some(content(quoted, me)),
            sender: Some(name_of(&quoted["author"], &Value::Null)),
            own: quoted["author"]["id"] == me.id.as_str(),
            part: false,
        });
        let at = text(&message["timestamp"]).parse::<jiff::Timestamp>();
        let mut sender = sender(author, &message["member"]);
        sender.bot |= !message["webhook_id"].is_null();
        Ok(Some(Heard::Message(Box::new(Inbound {
            timestamp: at.map_or(0, |at| u64::try_from(at.as_millisecond()).unwrap_or(0)),
            text: content(message, me),
            mentioned: Some(!own.is_empty()),
            mentions_others: !others.is_empty() || roles || message["mention_everyone"] == true,
            reply_to,
            media: self.files(message)?,
            message_id: Some(id.clone()),
            untrusted: topic.into_iter().collect(),
            id,
            chat,
            sender,
            ..Inbound::default()
        }))))
    }

    /// A command or a button; what it is answered with at once.
    pub(super) fn interaction(&self, me: &Me, told: &Value) -> Result<Option<Inbound>, Fault> {
        let (id, token) = (text(&told["id"]), text(&told["token"]));
        let (channel, guild) = (text(&told["channel_id"]), text(&told["guild_id"]));
        let member = &told["member"];
        let user = if member["user"].is_object() {
            &member["user"]
        } else {
            &told["user"]
        };
        let data = &told["data"];
        // The service waits three seconds: it is answered before anything else is asked.
        let (kind, said) = match told["type"].as_u64() {
            Some(2) => {
                let mut words = vec![format!("/{}", text(&data["name"]))];
                for option in data["options"].as_array().into_iter().flatten() {
                    words.push(match &option["value"] {
                        Value::String(word) => word.clone(),
                        other => other.to_string(),
                    });
                }
                // Thinking, seen by the asker only.
                (
                    serde_json::json!({"type": 5, "data": {"flags": 64}}),
                    words.join(" "),
                )
            }
            Some(3) => (serde_json::json!({"type": 6}), text(&data["custom_id"])),
            _ => return Ok(None),
        };
        let is_command = told["type"] == 2;
        let path = format!(
            "/interactions/{}/{}/callback",
            url::escape(&id),
            url::escape(&token)
        );
        match self.rest.post(&path, &kind) {
            // Answered already, by the worker before us, or too late.
            Err(fault) if fault.is_permanent() && fault.status() != Some(401) => {}
            answered => drop(answered?),
        }
        let from = text(&user["id"]);
        let (mut chat, topic) = self.chat(&channel, &guild, &from, me)?;
        if is_command {
            self.commands.set(&token, ());
            chat.to = Some(format!("slash:{channel}:{token}"));
        }
        Ok(Some(Inbound {
            id: id.clone(),
            message_id: Some(id),
            text: said,
            mentioned: Some(true),
            command: is_command,
            untrusted: topic.into_iter().collect(),
            sender: sender(user, member),
            chat,
            ..Inbound::default()
        }))
    }

    pub(super) fn reaction(
        &self,
        me: &Me,
        told: &Value,
        removed: bool,
        id: String,
    ) -> Result<Option<Event>, Fault> {
        let user = text(&told["user_id"]);
        if user == me.id {
            return Ok(None);
        }
        let (channel, guild) = (text(&told["channel_id"]), text(&told["guild_id"]));
        let emoji = match (&told["emoji"]["id"], text(&told["emoji"]["name"])) {
            (Value::String(id), name) => format!("{name}:{id}"),
            (_, name) => name,
        };
        let member = &told["member"];
        let from = match member["user"].is_object() {
            true => sender(&member["user"], member),
            false => Sender {
                id: user.clone(),
                ..Sender::default()
            },
        };
        Ok(Some(Event {
            id,
            chat: self.chat(&channel, &guild, &user, me)?.0,
            sender: Some(from),
            what: What::Reaction {
                emoji,
                removed,
                message_id: text(&told["message_id"]),
                own: told["message_author_id"] == me.id.as_str(),
            },
            ..Event::default()
        }))
    }

    /// Where it was said, and a sentence on its topic.
    fn chat(
        &self,
        channel: &str,
        guild: &str,
        from: &str,
        me: &Me,
    ) -> Result<(Chat, Option<String>), Fault> {
        let known = self.rest.channel(channel)?.unwrap_or_default();
        let kind = known["type"].as_u64();
        if guild.is_empty() && kind != Some(GROUP) {
            // Without knowing better a channel of no guild is a direct one.
            self.rest.knows_direct(from, channel);
            let chat = Chat {
                id: from.into(),
                to: Some(format!("user:{from}")),
                ..Chat::default()
            };
            return Ok((chat, None));
        }
        let name = known["name"].as_str().map(String::from);
        let mut chat = Chat {
            kind: if guild.is_empty() {
                ChatKind::Group
            } else {
                ChatKind::Channel
            },
            id: channel.into(),
            to: Some(format!("channel:{channel}")),
            title: name.clone(),
            ..Chat::default()
        };
        if guild.is_empty() {
            return Ok((chat, None));
        }
        chat.space = Some(Named {
            id: guild.into(),
            name: self.rest.guild_name(guild),
        });
        let topic = known["topic"].as_str().filter(|topic| !topic.is_empty());
        let mut topic = topic.map(|topic| format!("Discord channel topic: {topic}"));
        if kind.is_some_and(|kind| THREADS.contains(&kind)) {
            let above = text(&known["parent_id"]);
            let parent = self.rest.channel(&above)?.unwrap_or_default();
            let title = name.unwrap_or_default();
            let parent_name = text(&parent["name"]);
            let forum = parent["type"]
                .as_u64()
                .is_some_and(|kind| FORUMS.contains(&kind));
            chat.thread = Some(Thread {
                id: channel.into(),
                label: Some(format!("Discord thread #{parent_name} › {title}")),
                starter: self.starter(channel, if forum { channel } else { &above }, me),
                own: known["owner_id"] == me.id.as_str(),
            });
            chat.parent = Some(Named {
                id: above,
                name: Some(parent_name).filter(|name| !name.is_empty()),
            });
            topic = None;
        }
        Ok((chat, topic))
    }

    /// The message a thread hangs on has the thread's own id.
    fn starter(&self, thread: &str, holder: &str, me: &Me) -> Option<String> {
        if let Some(known) = self.starters.get(thread) {
            return Some(known).filter(|text| !text.is_empty());
        }
        let (holder, id) = (url::escape(holder), url::escape(thread));
        let found = self.rest.get(&format!("/channels/{holder}/messages/{id}"));
        // One that was deleted is not asked for again and again.
        let said = found
            .map(|message| content(&message, me))
            .unwrap_or_default();
        let said: String = said.chars().take(MAX_STARTER).collect();
        self.starters.set(thread, said.clone());
        Some(said).filter(|text| !text.is_empty())
    }

    fn files(&self, message: &Value) -> Result<Vec<Media>, Fault> {
        let own = message["attachments"].as_array().into_iter().flatten();
        let forwarded = message["message_snapshots"]
            .as_array()
            .into_iter()
            .flatten();
        let forwarded =
            forwarded.filter_map(|snapshot| snapshot["message"]["attachments"].as_array());
        let mut found = Vec::new();
        for file in own.chain(forwarded.flatten()).take(MAX_FILES) {
            let size = file["size"].as_u64().unwrap_or(0);
            let fetched = match size > self.media_limit {
                true => Err(Fault::TooLarge(self.media_limit)),
                false => self
                    .rest
                    .file(&text(&file["url"]), &self.folder, self.media_limit),
            };
            let mime = file["content_type"].as_str();
            let mime = mime.map(|mime| mime.split(';').next().unwrap_or(mime).to_string());
            found.push(match fetched {
                Ok(fetched) => {
                    let mime = mime.or(fetched.mime);
                    Media {
                        kind: media::kind(mime.as_deref().unwrap_or("")),
                        path: Some(fetched.path),
                        mime,
                        name: file["filename"].as_str().map(String::from),
                        voice: file["waveform"].is_string(),
                        ..Media::default()
                    }
                }
                Err(fault) if fault.is_stop() => return Err(fault),
                Err(fault) => Media {
                    error: Some(fault.to_string()),
                    ..Media::default()
                },
            });
        }
        for sticker in message["sticker_items"]
            .as_array()
            .into_iter()
            .flatten()
            .take(1)
        {
            found.push(Media {
                kind: MediaKind::Sticker,
                name: sticker["name"].as_str().map(String::from),
                error: Some("stickers are not fetched".into()),
                ..Media::default()
            });
        }
        Ok(found)
    }
}

pub enum Heard {
    Message(Box<Inbound>),
    Event(Box<Event>),
}
