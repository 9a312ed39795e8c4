//! Where a chat is: the agent and the session that answer in it, what the configuration tells the
//! agent of it, and what the session keeps of it. Names come from strangers and stay one short line.

use super::accounts::Account;
use super::context::one_line;
use super::reply::Target;
use crate::agent::route::{self, Peer, Place, Route};
use crate::config::Snapshot;
use crate::session::Entry;
use crate::wire::channel::{self, Chat, ChatKind, Inbound};
use serde_json::{Map, Value};

/// The agent and the session of a chat.
pub fn route(config: &Snapshot, account: &Account, chat: &Chat, who: &channel::Sender) -> Route {
    let kind = match chat.kind {
        ChatKind::Dm => route::Kind::Direct,
        ChatKind::Group => route::Kind::Group,
        ChatKind::Channel => route::Kind::Channel,
    };
    let topic = chat.thread.as_ref().filter(|_| chat.forum);
    let topic = topic.map(|topic| format!("{}:topic:{}", chat.id, topic.id));
    let id = match chat.kind {
        ChatKind::Dm => &who.id,
        _ => topic.as_ref().unwrap_or(&chat.id),
    };
    let parent = match (&chat.parent, &topic) {
        (Some(parent), _) => Some(&parent.id),
        (None, Some(_)) => Some(&chat.id),
        (None, None) => None,
    };
    let space = chat.space.as_ref().map(|space| &*space.id);
    let is_guild = account.kind == "discord";
    let place = Place {
        channel: &account.kind,
        account: Some(&account.name),
        peer: Peer { kind, id },
        parent: parent.map(|id| Peer { kind, id }),
        guild: space.filter(|_| is_guild),
        team: space.filter(|_| !is_guild),
    };
    let mut route = route::find(config, &place);
    // One that has an id of its own, or is in the chat's, has its own session by that.
    let thread = chat.thread.as_ref();
    if let Some(thread) = thread.filter(|_| !chat.forum && chat.parent.is_none()) {
        route.session_key = route::thread_key(&route.session_key, &thread.id);
    }
    route
}

/// What the configuration tells the agent of this group.
pub fn group_prompt(account: &Account, message: &Inbound) -> Option<String> {
    let groups = &account.section["groups"];
    let group = groups.get(&message.chat.id).or_else(|| groups.get("*"))?;
    let topic = message.chat.thread.as_ref();
    let topic = topic.and_then(|thread| group["topics"].get(&thread.id));
    let said = [Some(group), topic].into_iter().flatten();
    let said: Vec<&str> = said
        .filter_map(|rules| rules["systemPrompt"].as_str())
        .collect();
    let said = said.join("\n\n");
    (message.chat.kind != ChatKind::Dm && !said.trim().is_empty()).then_some(said)
}

/// Where the session is, and where its answers go.
pub fn seat(entry: &mut Entry, account: &Account, message: &Inbound) {
    let chat = &message.chat;
    let target = Target::of(message);
    let kind = match chat.kind {
        ChatKind::Dm => "direct",
        ChatKind::Group => "group",
        ChatKind::Channel => "channel",
    };
    entry.chat_type = Some(kind.into());
    if chat.kind != ChatKind::Dm {
        entry.channel = Some(account.kind.clone());
        entry.group_id = Some(chat.id.clone());
        let title = chat.title.as_deref().map(one_line);
        match chat.kind {
            ChatKind::Channel => entry.group_channel = title,
            _ => entry.subject = title,
        }
        let space = chat.space.as_ref().and_then(|space| space.name.as_deref());
        entry.space = space.map(one_line).or(entry.space.take());
    }
    let who = &message.sender;
    let label = match chat.kind {
        ChatKind::Dm => who.name.as_deref().or(who.username.as_deref()),
        _ => chat.title.as_deref(),
    };
    let origin = [
        ("label", label.map(one_line)),
        ("provider", Some(account.kind.clone())),
        ("surface", Some(account.kind.clone())),
        ("chatType", Some(kind.into())),
        (
            "from",
            Some(format!("{}:{}", account.kind, one_line(&who.id))),
        ),
        ("to", Some(target.to.clone())),
        ("accountId", Some(account.name.clone())),
        ("threadId", target.thread.clone()),
    ];
    let origin = origin
        .into_iter()
        .filter_map(|(key, value)| Some((key.into(), value?.into())));
    entry.origin = Some(origin.collect::<Map<String, Value>>());
    let thread = target.thread.map(Value::from);
    entry.set_route(
        Some(&account.kind),
        Some(&target.to),
        Some(&account.name),
        thread.as_ref(),
    );
}
