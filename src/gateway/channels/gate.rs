//! What becomes of a message that was heard: nothing, a line of context, or a turn. Pure.
//!
//! Direct chats are decided by `channel::access`; here are the rules of groups and channels: which
//! of them are let in, whose words count there, whether the account has to be mentioned, and who
//! may give commands. Everything in a message was chosen by strangers; names only ever narrow what
//! an id is let in by where the configuration itself names them.

use super::accounts::Account;
use crate::agent::command;
use crate::agent::group::Activation;
use crate::channel::access::{self, Verdict};
use crate::config::Snapshot;
use crate::wire::channel::{Chat, ChatKind, Inbound};
use regex_lite::RegexBuilder;
use serde_json::Value;

/// Services where a group is let in by its own entry, not by who writes in it.
const BY_PLACE: [&str; 6] = ["discord", "slack", "matrix", "msteams", "googlechat", "irc"];
/// Where somebody who was paired may also speak in groups.
const STORE_IN_GROUPS: [&str; 5] = ["telegram", "signal", "imessage", "mattermost", "irc"];
/// Patterns for a mention that are tried, and how long one may be.
const MAX_PATTERNS: usize = 50;
const MAX_PATTERN: usize = 500;
/// Of a compiled pattern: a hostile one is none of ours, a careless one must not fill the memory.
const MAX_COMPILED: usize = 256 * 1024;
/// Characters of a message in which a mention is looked for.
const MAX_LOOKED_AT: usize = 8000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// A stranger who may ask for access.
    Ask,
    Refused(&'static str),
    /// Not for us, but what comes later may be about it.
    Remembered,
    Turn {
        /// May give commands.
        authorised: bool,
        /// A mention was wanted, and is there.
        mentioned: bool,
    },
}

pub struct Question<'a> {
    pub config: &'a Snapshot,
    pub account: &'a Account,
    pub message: &'a Inbound,
    /// What the pairing store holds.
    pub paired: &'a [String],
    /// What the session itself says of mentions.
    pub activation: Option<Activation>,
    pub agent: &'a str,
}

/// What the configuration says of one group, from the closest to the widest.
struct Place<'a> {
    rules: Vec<&'a Value>,
    /// The configuration has a list of groups.
    has_list: bool,
    is_listed: bool,
}

impl Question<'_> {
    pub fn answer(&self) -> Gate {
        if self.message.sender.bot && self.account.section["allowBots"] != true {
            return Gate::Refused("a bot");
        }
        match self.message.chat.kind {
            ChatKind::Dm => self.direct(),
            ChatKind::Group | ChatKind::Channel => self.group(),
        }
    }

    fn direct(&self) -> Gate {
        let (kind, section) = (&self.account.kind, &self.account.section);
        let verdict = self
            .names()
            .map(|name| access::direct(kind, section, name, self.paired))
            // An alias may be on the list when the id is not; nothing else differs.
            .find(|verdict| *verdict != Verdict::MayAsk && *verdict != Verdict::Refused);
        let verdict = verdict
            .unwrap_or_else(|| access::direct(kind, section, &self.message.sender.id, self.paired));
        match verdict {
            Verdict::MayAsk => Gate::Ask,
            Verdict::Refused => Gate::Refused("not on the list of direct chats"),
            Verdict::Welcome => {
                let (rules, _) = access::direct_rules(kind, section);
                let authorised =
                    self.has(&rules["allowFrom"]) || self.is_paired() || self.is_free();
                let authorised = authorised && self.is_owner();
                if !authorised && command::parse(&self.message.text).is_some() {
                    return Gate::Refused("a command of somebody who may give none");
                }
                Gate::Turn {
                    authorised,
                    mentioned: false,
                }
            }
        }
    }

    fn group(&self) -> Gate {
        let (kind, section) = (&*self.account.kind, &self.account.section);
        let policy = [section, &self.config.value["channels"]["defaults"]]
            .into_iter()
            .find_map(|rules| rules["groupPolicy"].as_str())
            .unwrap_or("allowlist");
        let place = self.place();
        let says = |name: &str, word: bool| place.rules.iter().any(|rules| rules[name] == word);
        if policy == "disabled" || says("enabled", false) || says("allow", false) {
            return Gate::Refused("groups or this group are switched off");
        }
        let by_place = BY_PLACE.contains(&kind);
        let open = policy == "open";
        if place.has_list && !place.is_listed && !(by_place && open) {
            return Gate::Refused("a group that is not listed");
        }
        if by_place && !open && !place.is_listed {
            return Gate::Refused("no groups are listed");
        }
        let in_store = STORE_IN_GROUPS.contains(&kind) && self.is_paired();
        let own = ["users", "allowFrom"].into_iter().find_map(|name| {
            let mut lists = place.rules.iter().map(|rules| &rules[name]);
            lists.find(|list| list.as_array().is_some_and(|list| !list.is_empty()))
        });
        let wide = match &section["groupAllowFrom"] {
            Value::Array(list) if !list.is_empty() => Some(&section["groupAllowFrom"]),
            // Of a whole network nobody is known: a list there has to be written.
            list if kind == "irc" => Some(list),
            _ if by_place => None,
            _ => Some(&section["allowFrom"]),
        };
        let is_listed = |list: Option<&Value>| list.is_some_and(|list| self.has(list));
        let may_speak = match (own, wide) {
            (Some(list), _) => self.has(list) || in_store,
            (None, _) if open => true,
            (None, None) => true,
            (None, Some(list)) => self.has(list) || in_store,
        };
        if !may_speak {
            return Gate::Refused("a sender who may not speak in groups");
        }
        let anyone = is_listed(own)
            || is_listed(wide)
            || in_store
            || self.has(&section["allowFrom"])
            || self.has(&section["dm"]["allowFrom"]);
        let authorised = (anyone || self.is_free()) && self.is_owner();
        let is_command = command::parse(&self.message.text).is_some();
        if is_command && !authorised {
            return Gate::Refused("a command of somebody who may give none");
        }
        let wanted = match self.activation {
            Some(activation) => activation == Activation::Mention,
            None => {
                let rules = place.rules.iter().copied().chain([section]);
                let mut said = rules.filter_map(|rules| rules["requireMention"].as_bool());
                said.next().unwrap_or(true)
            }
        };
        let mentioned = self.is_mentioned();
        let bypass = is_command && authorised && !self.message.mentions_others;
        match !wanted || mentioned || bypass {
            true => Gate::Turn {
                authorised,
                mentioned: wanted && mentioned,
            },
            false => Gate::Remembered,
        }
    }

    fn place(&self) -> Place<'_> {
        let (kind, section) = (&*self.account.kind, &self.account.section);
        let chat = &self.message.chat;
        let mut rules = Vec::new();
        let (mut has_list, mut is_listed) = (false, false);
        let groups = match kind {
            "discord" => {
                let guilds = &section["guilds"];
                has_list = is_full(guilds);
                let space = chat.space.as_ref();
                let names = space.map(|space| [Some(&*space.id), space.name.as_deref()]);
                match one_of(guilds, names.into_iter().flatten().flatten()) {
                    Some(guild) => {
                        is_listed = true;
                        rules.push(guild);
                        &guild["channels"]
                    }
                    None => &Value::Null,
                }
            }
            "slack" => &section["channels"],
            "matrix" if is_full(&section["rooms"]) => &section["rooms"],
            _ => &section["groups"],
        };
        if is_full(groups) {
            has_list = true;
            let entry = one_of(groups, names_of(chat));
            is_listed = entry.is_some();
            if let Some(entry) = entry {
                rules.insert(0, entry);
                let thread = chat.thread.as_ref();
                let topic = thread.and_then(|thread| entry["topics"].get(&thread.id));
                if let Some(topic) = topic {
                    rules.insert(0, topic);
                }
            }
        }
        Place {
            rules,
            has_list,
            is_listed,
        }
    }

    /// What a list may call the sender.
    fn names(&self) -> impl Iterator<Item = &str> {
        let sender = &self.message.sender;
        let aliases = sender.aliases.iter().map(String::as_str);
        std::iter::once(&*sender.id).chain(aliases)
    }

    fn has(&self, list: &Value) -> bool {
        let kind = &self.account.kind;
        self.names()
            .any(|name| access::is_listed(kind, list, name, &[]))
    }

    fn is_paired(&self) -> bool {
        let kind = &self.account.kind;
        self.names()
            .any(|name| access::is_listed(kind, &Value::Null, name, self.paired))
    }

    /// Commands are for whoever may speak.
    fn is_free(&self) -> bool {
        self.config.value["commands"]["useAccessGroups"] == false
    }

    /// `commands.ownerAllowFrom`, where it is set.
    fn is_owner(&self) -> bool {
        let owners = self.config.value["commands"]["ownerAllowFrom"].as_array();
        let Some(owners) = owners.filter(|list| !list.is_empty()) else {
            return true;
        };
        let kind = &self.account.kind;
        // An entry of another channel names nobody here.
        let ours = owners.iter().filter(|entry| {
            let text = entry.as_str().unwrap_or_default();
            let prefix = text.split_once(':').map(|(prefix, _)| prefix);
            let known = self.config.value["channels"].as_object();
            !prefix.is_some_and(|p| p != kind && known.is_some_and(|all| all.contains_key(p)))
        });
        self.has(&Value::Array(ours.cloned().collect()))
    }

    fn is_mentioned(&self) -> bool {
        let message = self.message;
        let by_answer = message.reply_to.as_ref().is_some_and(|quoted| quoted.own)
            || message
                .chat
                .thread
                .as_ref()
                .is_some_and(|thread| thread.own);
        let implied = by_answer && !message.mentions_others;
        message.mentioned == Some(true) || implied || self.is_named()
    }

    /// By a pattern of the configuration, else by the agent's name or emoji.
    fn is_named(&self) -> bool {
        let unseen = |c: char| matches!(c, '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}');
        let text = self.message.text.chars().filter(|c| !unseen(*c));
        let text: String = text.take(MAX_LOOKED_AT).collect::<String>().to_lowercase();
        let list = self.config.value["agents"]["list"].as_array();
        let is_ours = |agent: &&Value| {
            agent["id"]
                .as_str()
                .is_some_and(|id| id.eq_ignore_ascii_case(self.agent))
        };
        let agent = list.into_iter().flatten().find(is_ours);
        let agent = agent.unwrap_or(&Value::Null);
        let patterns = [agent, &self.config.value["messages"]]
            .into_iter()
            .find_map(|rules| rules["groupChat"]["mentionPatterns"].as_array());
        if let Some(patterns) = patterns {
            let patterns = patterns.iter().filter_map(Value::as_str);
            return patterns
                .take(MAX_PATTERNS)
                .any(|pattern| matches(pattern, &text));
        }
        let identity = &agent["identity"];
        let name = identity["name"].as_str().unwrap_or_default();
        let emoji = identity["emoji"].as_str().unwrap_or_default().trim();
        has_word(&text, &name.to_lowercase()) || !emoji.is_empty() && text.contains(emoji)
    }
}

fn is_full(map: &Value) -> bool {
    map.as_object().is_some_and(|map| !map.is_empty())
}

/// How a list may call a chat: by its id, its name, and those of what it hangs from.
fn names_of(chat: &Chat) -> impl Iterator<Item = &str> {
    let parent = chat.parent.as_ref();
    [Some(&*chat.id), chat.title.as_deref()]
        .into_iter()
        .chain(parent.map(|p| Some(&*p.id)))
        .chain(parent.map(|p| p.name.as_deref()))
        .flatten()
}

/// The entry of the first of `names` that has one, else the one for all.
fn one_of<'a, 'n>(map: &'a Value, names: impl Iterator<Item = &'n str>) -> Option<&'a Value> {
    let map = map.as_object()?;
    for name in names.filter(|name| !name.is_empty()) {
        let same = |key: &str| {
            let bare = |text: &str| text.trim_start_matches('#').to_lowercase();
            key == name || bare(key) == bare(name)
        };
        if let Some((_, entry)) = map.iter().find(|(key, _)| same(key)) {
            return Some(entry);
        }
    }
    map.get("*")
}

fn matches(pattern: &str, text: &str) -> bool {
    if pattern.len() > MAX_PATTERN {
        return false;
    }
    let mut builder = RegexBuilder::new(pattern);
    let built = builder.case_insensitive(true).size_limit(MAX_COMPILED);
    built.build().is_ok_and(|found| found.is_match(text))
}

/// `name` as words of their own, however they are spaced; an `@` may stand before.
fn has_word(text: &str, name: &str) -> bool {
    let words: Vec<&str> = name.split_whitespace().collect();
    if words.is_empty() {
        return false;
    }
    let (text, name) = (
        text.split_whitespace().collect::<Vec<_>>().join(" "),
        words.join(" "),
    );
    text.match_indices(&name).any(|(at, found)| {
        let edge = |c: Option<char>| !c.is_some_and(|c| c.is_alphanumeric() || c == '_');
        let before = text[..at].chars().next_back();
        edge(before) && edge(text[at + found.len()..].chars().next())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::channel::{Named, Quoted, Sender};
    use serde_json::json;

    const TURN: Gate = Gate::Turn {
        authorised: true,
        mentioned: false,
    };

    fn snapshot(value: Value) -> Snapshot {
        Snapshot {
            value,
            ..Snapshot::default()
        }
    }

    fn message(text: &str) -> Inbound {
        Inbound {
            id: "1".into(),
            chat: Chat {
                kind: ChatKind::Group,
                id: "-7".into(),
                title: Some("Fam".into()),
                ..Chat::default()
            },
            sender: Sender {
                id: "42".into(),
                ..Sender::default()
            },
            text: text.into(),
            ..Inbound::default()
        }
    }

    fn gate_of(kind: &str, section: Value, message: &Inbound, config: Value) -> Gate {
        let account = Account {
            kind: kind.into(),
            name: "default".into(),
            section,
        };
        let config = snapshot(config);
        Question {
            config: &config,
            account: &account,
            message,
            paired: &["9".to_string()],
            activation: None,
            agent: "main",
        }
        .answer()
    }

    fn telegram(section: Value, message: &Inbound) -> Gate {
        gate_of("telegram", section, message, json!({}))
    }

    #[test]
    fn a_group_is_let_in_by_its_list_and_by_who_speaks() {
        let hello = message("hello");
        let refused = |section: Value| matches!(telegram(section, &hello), Gate::Refused(_));
        assert!(refused(json!({})));
        assert!(refused(
            json!({"groupPolicy": "disabled", "groupAllowFrom": [42]})
        ));
        assert!(refused(
            json!({"groupAllowFrom": ["*"], "groups": {"-8": {}}})
        ));
        assert!(refused(
            json!({"groupAllowFrom": ["*"], "groups": {"-7": {"enabled": false}}})
        ));
        assert!(refused(
            json!({"groupPolicy": "open", "groups": {"-7": {"allowFrom": [1]}}})
        ));
        let open = json!({"allowFrom": [42], "groups": {"*": {"requireMention": false}}});
        assert_eq!(telegram(open, &hello), TURN);
        let mut paired = message("hello");
        paired.sender.id = "9".into();
        let section = json!({"groupAllowFrom": [1], "requireMention": false});
        assert_eq!(telegram(section.clone(), &paired), TURN);
        // Elsewhere who was paired is known in direct chats only.
        let whatsapp = gate_of("whatsapp", section, &paired, json!({}));
        assert!(matches!(whatsapp, Gate::Refused(_)));
    }

    #[test]
    fn a_guild_lists_its_channels_and_a_thread_is_its_parents() {
        let mut there = message("hello");
        there.chat = Chat {
            kind: ChatKind::Channel,
            id: "T".into(),
            space: Some(Named {
                id: "G".into(),
                name: None,
            }),
            parent: Some(Named {
                id: "C".into(),
                name: Some("general".into()),
            }),
            ..Chat::default()
        };
        let of = |guilds: Value| gate_of("discord", json!({"guilds": guilds}), &there, json!({}));
        assert!(matches!(of(json!({})), Gate::Refused(_)));
        assert!(matches!(of(json!({"H": {}})), Gate::Refused(_)));
        assert_eq!(of(json!({"G": {}})), Gate::Remembered);
        let some = json!({"G": {"channels": {"other": {}}}});
        assert!(matches!(of(some), Gate::Refused(_)));
        let ours = json!({"G": {"requireMention": true,
            "channels": {"#General": {"requireMention": false, "users": ["42"]}}}});
        assert_eq!(of(ours), TURN);
        let off = json!({"G": {"requireMention": false, "channels": {"C": {"allow": false}}}});
        assert!(matches!(of(off), Gate::Refused(_)));
    }

    #[test]
    fn a_mention_is_wanted_unless_something_says_otherwise() {
        let section = json!({"groupAllowFrom": ["*"]});
        let called = Gate::Turn {
            authorised: true,
            mentioned: true,
        };
        let of = |message: &Inbound| telegram(section.clone(), message);
        assert_eq!(of(&message("hello")), Gate::Remembered);
        let mut native = message("hello");
        native.mentioned = Some(true);
        assert_eq!(of(&native), called);
        let mut answer = message("yes");
        answer.reply_to = Some(Quoted {
            own: true,
            ..Quoted::default()
        });
        assert_eq!(of(&answer), called);
        answer.mentions_others = true;
        assert_eq!(of(&answer), Gate::Remembered);
        let named = json!({"agents": {"list": [{"id": "main",
            "identity": {"name": "Old  Ada", "emoji": "🦞"}}]}});
        let by_name = |text: &str, config: &Value| {
            gate_of("telegram", section.clone(), &message(text), config.clone())
        };
        assert_eq!(by_name("hi @old\u{200b} ADA!", &named), called);
        assert_eq!(by_name("cold adamant", &named), Gate::Remembered);
        assert_eq!(by_name("🦞?", &named), called);
        let pattern = json!({"messages": {"groupChat": {"mentionPatterns": ["(", "^bot\\b"]}}});
        assert_eq!(by_name("Bot, hi", &pattern), called);
        assert_eq!(by_name("robot", &pattern), Gate::Remembered);
    }

    #[test]
    fn a_command_needs_no_mention_and_a_right() {
        let section = json!({"groupPolicy": "open", "allowFrom": [42]});
        assert_eq!(telegram(section.clone(), &message("/status")), TURN);
        let mut other = message("/status");
        other.sender.id = "5".into();
        assert!(matches!(
            telegram(section.clone(), &other),
            Gate::Refused(_)
        ));
        let owners = json!({"commands": {"ownerAllowFrom": ["telegram:7"]},
            "channels": {"telegram": {}}});
        let refused = gate_of("telegram", section.clone(), &message("/status"), owners);
        assert!(matches!(refused, Gate::Refused(_)));
        let mut hello = message("hello");
        hello.mentioned = Some(true);
        hello.sender.id = "5".into();
        let heard = Gate::Turn {
            authorised: false,
            mentioned: true,
        };
        assert_eq!(telegram(section, &hello), heard);
    }

    #[test]
    fn a_bot_is_not_answered() {
        let mut bot = message("hello");
        bot.sender.bot = true;
        let section = json!({"groupAllowFrom": ["*"], "requireMention": false});
        assert!(matches!(telegram(section, &bot), Gate::Refused(_)));
        let section = json!({"groupAllowFrom": ["*"], "requireMention": false, "allowBots": true});
        assert_eq!(telegram(section, &bot), TURN);
    }
}
