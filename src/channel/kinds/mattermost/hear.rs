//! From a post to a message for the core.

use super::api::{FileInfo, Post, User};
use super::{Mattermost, Me, Mode};
use crate::channel::http::Fault;
use crate::channel::media;
use crate::wire::channel::{Chat, ChatKind, Inbound, Media, Named, Sender, Thread};
use serde::Deserialize;
use serde_json::Value;

/// Files of one post that are fetched; the server's own bound is ten.
const MAX_FILES: usize = 10;

/// What a frame says about its post.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct About {
    channel_type: String,
    channel_display_name: String,
    sender_name: String,
    team_id: String,
    /// A list of users, as a text of JSON.
    mentions: String,
}

/// The post in a frame that tells of one.
pub fn posted(frame: &str) -> Option<(Post, About)> {
    #[derive(Deserialize)]
    struct Frame {
        event: String,
        data: Value,
    }
    let frame: Frame = serde_json::from_str(frame).ok()?;
    if frame.event != "posted" {
        return None;
    }
    let post = serde_json::from_str(frame.data["post"].as_str()?).ok()?;
    Some((post, serde_json::from_value(frame.data).unwrap_or_default()))
}

/// Not one of the server's own, such as that somebody joined.
pub fn is_message(post: &Post) -> bool {
    let said = matches!(post.kind.as_str(), "" | "me");
    said && post.delete_at == 0 && !post.id.is_empty() && !post.channel_id.is_empty()
}

/// `text` without the names of the bot; whether there was one.
fn without_name(text: &str, name: &str) -> (String, bool) {
    let wanted = format!("@{name}");
    // A byte of another length of the lower-case text would shift what is cut.
    let lower = text.to_ascii_lowercase();
    let wanted = wanted.to_ascii_lowercase();
    let (mut out, mut from, mut found) = (String::new(), 0, false);
    while let Some(at) = lower[from..].find(&wanted) {
        let (start, end) = (from + at, from + at + wanted.len());
        let word = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
        let inside = lower[end..].starts_with(word)
            // A full stop ends a sentence or goes on with a longer name.
            || lower[end..].strip_prefix('.').is_some_and(|rest| rest.starts_with(word));
        if inside {
            out.push_str(&text[from..end]);
        } else {
            out.push_str(&text[from..start]);
            found = true;
        }
        from = end;
    }
    out.push_str(&text[from..]);
    (out.trim().to_string(), found)
}

impl Mattermost {
    pub(super) fn message(&self, me: &Me, post: Post, about: About) -> Result<Inbound, Fault> {
        let channel = self.server.channel(&post.channel_id);
        let (kind, title, team, header) = match channel {
            Ok(channel) => (
                channel.kind,
                channel.display_name,
                channel.team_id,
                channel.header,
            ),
            // The frame says enough.
            Err(_) if !about.channel_type.is_empty() => {
                let title = about.channel_display_name.clone();
                (
                    about.channel_type.clone(),
                    title,
                    about.team_id,
                    String::new(),
                )
            }
            Err(fault) => return Err(fault),
        };
        let kind = match kind.as_str() {
            "D" => ChatKind::Dm,
            "G" => ChatKind::Group,
            _ => ChatKind::Channel,
        };
        let user = match self.server.user(&post.user_id) {
            Ok(user) => user,
            Err(fault) if fault.status().is_none() => return Err(fault),
            // One we may not look at.
            Err(_) => User {
                id: post.user_id.clone(),
                username: about.sender_name.trim_start_matches('@').into(),
                ..User::default()
            },
        };
        let mentions: Vec<String> = serde_json::from_str(&about.mentions).unwrap_or_default();
        let (mut text, named) = without_name(&post.message, &me.username);
        let mut mentioned = named || mentions.contains(&me.id);
        match self.mode {
            Mode::Mention => {}
            Mode::Every => mentioned = true,
            Mode::Prefix => {
                let prefix = self.prefixes.iter().find(|p| text.starts_with(p.as_str()));
                if let Some(prefix) = prefix {
                    text = text[prefix.len()..].trim_start().to_string();
                    mentioned = true;
                }
            }
        }
        let target = |id: &str| Some(format!("channel:{id}"));
        let (id, to) = match kind {
            ChatKind::Dm => {
                self.server.knows_direct(&user.id, &post.channel_id);
                (user.id.clone(), Some(format!("user:{}", user.id)))
            }
            _ => (post.channel_id.clone(), target(&post.channel_id)),
        };
        let thread = (!post.root_id.is_empty()).then(|| Thread {
            id: post.root_id.clone(),
            ..Thread::default()
        });
        let some = |text: String| (!text.is_empty()).then_some(text);
        let is_direct = kind == ChatKind::Dm;
        Ok(Inbound {
            id: post.id.clone(),
            timestamp: post.create_at,
            chat: Chat {
                kind,
                id,
                to,
                title: some(title).filter(|_| !is_direct),
                space: some(team).map(|id| Named { id, name: None }),
                thread,
                ..Chat::default()
            },
            media: self.files(&post)?,
            message_id: Some(post.id),
            text,
            mentioned: Some(mentioned),
            mentions_others: mentions.iter().any(|id| *id != me.id),
            untrusted: some(header)
                .filter(|_| !is_direct)
                .map(|header| format!("Channel header: {header}"))
                .into_iter()
                .collect(),
            sender: sender(user, &post.props),
            ..Inbound::default()
        })
    }

    fn files(&self, post: &Post) -> Result<Vec<Media>, Fault> {
        let ids = post.file_ids.iter().flatten().take(MAX_FILES);
        let mut found = Vec::new();
        for id in ids {
            let told = post.metadata.files.iter().flatten();
            let info = match told.clone().find(|info| info.id == *id) {
                Some(info) => Ok(info.clone()),
                None => self.server.file_info(id),
            };
            found.push(match info.and_then(|info| self.fetch(id, info)) {
                Ok(media) => media,
                Err(fault) if fault.is_stop() => return Err(fault),
                Err(fault) => Media {
                    error: Some(fault.to_string()),
                    ..Media::default()
                },
            });
        }
        Ok(found)
    }

    fn fetch(&self, id: &str, info: FileInfo) -> Result<Media, Fault> {
        if info.size > self.media_limit {
            return Err(Fault::TooLarge(self.media_limit));
        }
        let fetched = self.server.file(id, &self.folder, self.media_limit)?;
        let mime = match info.mime_type.is_empty() {
            true => fetched.mime,
            false => Some(info.mime_type),
        };
        Ok(Media {
            kind: media::kind(mime.as_deref().unwrap_or("")),
            path: Some(fetched.path),
            mime,
            name: Some(info.name).filter(|name| !name.is_empty()),
            ..Media::default()
        })
    }
}

fn sender(user: User, props: &Value) -> Sender {
    let full = [user.first_name.as_str(), user.last_name.as_str()].join(" ");
    let names = [user.nickname.as_str(), full.trim(), user.username.as_str()];
    let name = names.into_iter().find(|name| !name.is_empty());
    let made = |key: &str| props[key] == "true" || props[key] == true;
    Sender {
        name: name.map(String::from),
        bot: user.is_bot || made("from_bot") || made("from_webhook"),
        tag: Some(format!("@{}", user.username)).filter(|tag| tag.len() > 1),
        username: Some(user.username).filter(|name| !name.is_empty()),
        id: user.id,
        ..Sender::default()
    }
}
