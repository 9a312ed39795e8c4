//! Which agent a chat's messages are for, and in which session they are said.
//!
//! Pure. `bindings` of the configuration give a chat to an agent: the closest one wins, in the order
//! chat, the chat it hangs from, guild, team, account, channel, else the default agent. Ids come
//! from strangers: they are compared and become parts of keys, nothing else.

use crate::config::Snapshot;
use crate::session::key::{self, Defaults, sanitize_id};
use serde_json::Value;

/// The account of a channel that names none.
pub const DEFAULT_ACCOUNT: &str = "default";
/// A longer id is no id of any service; what follows is cut off, so that no key grows without end.
const MAX_ID: usize = 256;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Direct,
    Group,
    Channel,
}

impl Kind {
    /// As bindings and keys spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Direct => "dm",
            Kind::Group => "group",
            Kind::Channel => "channel",
        }
    }
}

/// Whom one talks to: a person, a group, a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer<'a> {
    pub kind: Kind,
    pub id: &'a str,
}

/// Where a message was said.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The kind of channel: `telegram`.
    pub channel: &'a str,
    pub account: Option<&'a str>,
    pub peer: Peer<'a>,
    /// What a thread hangs from, where the thread has an id of its own.
    pub parent: Option<Peer<'a>>,
    pub guild: Option<&'a str>,
    pub team: Option<&'a str>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    pub agent: String,
    pub account: String,
    /// Canonical.
    pub session_key: String,
    /// The agent's main session, which keeps the last route of direct chats.
    pub main_key: String,
    /// `binding.peer`, `binding.guild`, …, `default`.
    pub matched_by: &'static str,
}

pub fn find(config: &Snapshot, place: &Place) -> Route {
    let account = account_id(place.account);
    let (agent, matched_by) = agent(config, place, &account);
    let defaults = Defaults::of(&config.config);
    let main_key = defaults.main_of(&agent);
    let session_key = session_key(config, place, &agent, &account, &main_key);
    Route {
        agent,
        account,
        session_key,
        main_key,
        matched_by,
    }
}

/// The session of a thread in a chat.
pub fn thread_key(chat: &str, thread: &str) -> String {
    format!("{chat}:thread:{}", part(thread))
}

fn account_id(account: Option<&str>) -> String {
    let named = account.map(str::trim).filter(|id| !id.is_empty());
    named.map_or_else(|| DEFAULT_ACCOUNT.into(), sanitize_id)
}

/// What a binding's `match` must be like.
type Rule<'a> = (&'static str, &'a dyn Fn(&Value) -> bool);

/// The agent, and the rule that chose it.
fn agent(config: &Snapshot, place: &Place, account: &str) -> (String, &'static str) {
    let list = config.value["bindings"].as_array();
    let mine: Vec<(&Value, &Value)> = list
        .into_iter()
        .flatten()
        .map(|binding| (binding, &binding["match"]))
        .filter(|(_, wants)| is(&wants["channel"], place.channel) && of_account(wants, account))
        .collect();
    let rules: [Rule; 6] = [
        ("binding.peer", &|wants| is_peer(wants, Some(place.peer))),
        ("binding.peer.parent", &|wants| is_peer(wants, place.parent)),
        ("binding.guild", &|wants| {
            place.guild.is_some_and(|id| is_id(&wants["guildId"], id))
        }),
        ("binding.team", &|wants| {
            place.team.is_some_and(|id| is_id(&wants["teamId"], id))
        }),
        ("binding.account", &|wants| {
            is_wide(wants) && text(&wants["accountId"]) != "*"
        }),
        ("binding.channel", &|wants| {
            is_wide(wants) && text(&wants["accountId"]) == "*"
        }),
    ];
    for (name, fits) in rules {
        if let Some((binding, _)) = mine.iter().find(|(_, wants)| fits(wants)) {
            return (existing(config, text(&binding["agentId"])), name);
        }
    }
    (config.config.default_agent_id(), "default")
}

/// A binding to an agent that is not there is one to the default agent.
fn existing(config: &Snapshot, id: &str) -> String {
    let id = sanitize_id(id);
    match config.config.agents.list.is_empty() || config.config.agent(&id).is_some() {
        true => id,
        false => config.config.default_agent_id(),
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default().trim()
}

fn is(value: &Value, name: &str) -> bool {
    text(value).eq_ignore_ascii_case(name.trim())
}

/// Ids of services keep their case.
fn is_id(value: &Value, id: &str) -> bool {
    let id = id.trim();
    !id.is_empty()
        && match value {
            Value::Number(number) => number.to_string() == id,
            value => text(value) == id,
        }
}

fn of_account(wants: &Value, account: &str) -> bool {
    match text(&wants["accountId"]) {
        "" => account == DEFAULT_ACCOUNT,
        "*" => true,
        wanted => sanitize_id(wanted) == account,
    }
}

fn is_peer(wants: &Value, peer: Option<Peer>) -> bool {
    let wanted = &wants["peer"];
    peer.is_some_and(|peer| {
        let kind = match text(&wanted["kind"]).to_ascii_lowercase().as_str() {
            "direct" => Kind::Direct.as_str().to_string(),
            kind => kind.to_string(),
        };
        kind == peer.kind.as_str() && is_id(&wanted["id"], peer.id)
    })
}

/// For the whole account or channel.
fn is_wide(wants: &Value) -> bool {
    let no = |name: &str| wants.get(name).is_none_or(Value::is_null);
    no("peer") && no("guildId") && no("teamId")
}

fn session_key(
    config: &Snapshot,
    place: &Place,
    agent: &str,
    account: &str,
    main_key: &str,
) -> String {
    let channel = part(place.channel);
    let peer = part(place.peer.id);
    if place.peer.kind != Kind::Direct {
        let kind = place.peer.kind.as_str();
        let peer = if peer.is_empty() { key::UNKNOWN } else { &peer };
        return format!("agent:{agent}:{channel}:{kind}:{peer}");
    }
    let scope = text(&config.value["session"]["dmScope"]);
    if peer.is_empty() || matches!(scope, "" | "main") {
        return main_key.into();
    }
    let peer = linked(config, &channel, &peer).unwrap_or(peer);
    match scope {
        "per-peer" => format!("agent:{agent}:dm:{peer}"),
        "per-channel-peer" => format!("agent:{agent}:{channel}:dm:{peer}"),
        "per-account-channel-peer" => format!("agent:{agent}:{channel}:{account}:dm:{peer}"),
        _ => main_key.into(),
    }
}

/// The name under `session.identityLinks` that a person goes by on several channels.
fn linked(config: &Snapshot, channel: &str, peer: &str) -> Option<String> {
    let links = config.value["session"]["identityLinks"].as_object()?;
    let scoped = format!("{channel}:{peer}");
    let is_one = |id: &Value| {
        let id = text(id).to_lowercase();
        !id.is_empty() && (id == peer || id == scoped)
    };
    let (name, _) = links
        .iter()
        .find(|(_, ids)| ids.as_array().is_some_and(|ids| ids.iter().any(is_one)))?;
    Some(part(name)).filter(|name| !name.is_empty())
}

/// A part of a key.
fn part(id: &str) -> String {
    id.trim().to_lowercase().chars().take(MAX_ID).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn snapshot(value: Value) -> Snapshot {
        Snapshot {
            config: serde_json::from_value(value.clone()).unwrap(),
            value,
            ..Snapshot::default()
        }
    }

    fn place<'a>(channel: &'a str, kind: Kind, id: &'a str) -> Place<'a> {
        Place {
            channel,
            account: None,
            peer: Peer { kind, id },
            parent: None,
            guild: None,
            team: None,
        }
    }

    #[test]
    fn the_closest_binding_wins_whatever_its_place_in_the_list() {
        let config = snapshot(json!({
            "agents": {"list": [{"id": "home", "default": true}, {"id": "Work"}, {"id": "fun"},
                {"id": "ops"}, {"id": "team"}, {"id": "all"}]},
            "bindings": [
                {"agentId": "all", "match": {"channel": "discord", "accountId": "*"}},
                {"agentId": "work", "match": {"channel": "discord"}},
                {"agentId": "team", "match": {"channel": "discord", "teamId": "T1"}},
                {"agentId": "ops", "match": {"channel": "discord", "guildId": "G1"}},
                {"agentId": "fun", "match": {"channel": "Discord",
                    "peer": {"kind": "channel", "id": "C1"}}},
                {"agentId": "gone", "match": {"channel": "irc"}},
            ],
        }));
        let of = |place: &Place| {
            let route = find(&config, place);
            (route.agent, route.matched_by)
        };
        let chat = place("discord", Kind::Channel, "C1");
        assert_eq!(of(&chat), ("fun".into(), "binding.peer"));
        let parent = Some(chat.peer);
        let mut there = place("discord", Kind::Channel, "C2");
        assert_eq!(
            of(&Place { parent, ..there }),
            ("fun".into(), "binding.peer.parent")
        );
        there.guild = Some("G1");
        there.team = Some("T1");
        assert_eq!(of(&there), ("ops".into(), "binding.guild"));
        there.guild = Some("g1");
        assert_eq!(of(&there), ("team".into(), "binding.team"));
        there.team = None;
        assert_eq!(of(&there), ("work".into(), "binding.account"));
        there.account = Some("second");
        assert_eq!(of(&there), ("all".into(), "binding.channel"));
        // A group of the same id is another chat.
        let group = place("discord", Kind::Group, "C1");
        assert_eq!(of(&group), ("work".into(), "binding.account"));
        assert_eq!(
            of(&place("irc", Kind::Direct, "x")),
            ("home".into(), "binding.account")
        );
        assert_eq!(
            of(&place("signal", Kind::Direct, "x")),
            ("home".into(), "default")
        );
    }

    #[test]
    fn direct_chats_have_the_session_their_scope_gives_them() {
        let key = |scope: &str, place: &Place| {
            let config = snapshot(json!({"session": {"dmScope": scope,
                "identityLinks": {"Alice": ["telegram:123", "irc:al!a@h"], "bob": ["77"]}}}));
            find(&config, place).session_key
        };
        let chat = place("telegram", Kind::Direct, "123");
        assert_eq!(key("main", &chat), "agent:main:main");
        assert_eq!(key("per-peer", &chat), "agent:main:dm:alice");
        assert_eq!(
            key("per-channel-peer", &chat),
            "agent:main:telegram:dm:alice"
        );
        let account = Some("Home Bot");
        assert_eq!(
            key("per-account-channel-peer", &Place { account, ..chat }),
            "agent:main:telegram:home-bot:dm:alice"
        );
        let irc = place("IRC", Kind::Direct, "Al!a@H");
        assert_eq!(key("per-peer", &irc), "agent:main:dm:alice");
        let other = place("signal", Kind::Direct, "77");
        assert_eq!(key("per-channel-peer", &other), "agent:main:signal:dm:bob");
        let stranger = place("signal", Kind::Direct, "123");
        assert_eq!(key("per-peer", &stranger), "agent:main:dm:123");
        assert_eq!(
            key("per-peer", &place("irc", Kind::Direct, " ")),
            "agent:main:main"
        );
    }

    #[test]
    fn groups_and_threads_have_sessions_of_their_own_in_every_scope() {
        let config = snapshot(json!({"session": {"scope": "global", "dmScope": "per-peer"}}));
        let group = find(&config, &place("telegram", Kind::Group, "-100:topic:7"));
        assert_eq!(group.session_key, "agent:main:telegram:group:-100:topic:7");
        assert_eq!(group.main_key, "global");
        let room = find(&config, &place("matrix", Kind::Channel, "!Room:Host"));
        assert_eq!(room.session_key, "agent:main:matrix:channel:!room:host");
        assert_eq!(
            thread_key(&room.session_key, "$Event"),
            "agent:main:matrix:channel:!room:host:thread:$event"
        );
        let long = "x".repeat(5000);
        let key = find(&config, &place("irc", Kind::Group, &long)).session_key;
        assert!(key.len() < 300);
    }
}
