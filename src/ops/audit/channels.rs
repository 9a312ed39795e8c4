//! Who may write to the agent: direct chats, groups, and commands of a service's own.

use super::{Finding, Severity, entries};
use crate::channel::access;
use crate::channel::pairing::Store;
use crate::config::Snapshot;
use crate::gateway::channels::accounts::{self, Account};
use serde_json::Value;

/// Where a service brings commands of its own, whether they are on unless something is said.
const NATIVE: [(&str, bool); 2] = [("discord", true), ("slack", false)];

pub fn look(snapshot: &Snapshot) -> Vec<Finding> {
    accounts::configured(snapshot)
        .iter()
        .flat_map(|account| {
            let mut found = direct(snapshot, account);
            found.extend(groups(account));
            found.extend(telegram(snapshot, account));
            found.extend(native(snapshot, account));
            found
        })
        .collect()
}

fn paired(snapshot: &Snapshot, kind: &str) -> Vec<String> {
    // A list that cannot be read is told by the doctor.
    let store = Store::of(&snapshot.paths.credentials, kind);
    store.allowed().unwrap_or_default()
}

fn direct(snapshot: &Snapshot, account: &Account) -> Vec<Finding> {
    let kind = &account.kind;
    let (rules, key) = access::direct_rules(kind, &account.section);
    let list = entries(&rules["allowFrom"]);
    let place = format!("{}: {key}", account.id());
    let anybody = list.iter().any(|entry| entry == "*");
    let mut found = Vec::new();
    match rules[key].as_str().unwrap_or("pairing") {
        "open" => {
            found.push(
                Finding::new(
                    format!("channels.{kind}.dm.open"),
                    Severity::Critical,
                    "Anybody may write to the agent",
                    format!("{place}=\"open\"."),
                )
                .fix("Use \"pairing\" (the default), or \"allowlist\" with allowFrom."),
            );
            if !anybody {
                found.push(Finding::new(
                    format!("channels.{kind}.dm.open_invalid"),
                    Severity::Warn,
                    "Direct chats are open and their list is not",
                    format!("{place}=\"open\" wants \"*\" in allowFrom; it has {list:?}."),
                ));
            }
        }
        "disabled" => found.push(Finding::new(
            format!("channels.{kind}.dm.disabled"),
            Severity::Info,
            "Nobody may write to the agent directly",
            format!("{place}=\"disabled\"."),
        )),
        _ => {}
    }
    let mut people = list;
    people.extend(paired(snapshot, kind));
    people.sort();
    people.dedup();
    let shared = snapshot.value["session"]["dmScope"]
        .as_str()
        .unwrap_or("main")
        == "main";
    if shared && (people.len() > 1 || anybody) {
        found.push(
            Finding::new(
                format!("channels.{kind}.dm.scope_main_multiuser"),
                Severity::Warn,
                "Several people share one conversation",
                format!(
                    "{}: {} may write, and session.dmScope=\"main\" puts all into one session: \
                     each can learn what another said.",
                    account.id(),
                    if anybody {
                        "anybody".into()
                    } else {
                        format!("{} people", people.len())
                    }
                ),
            )
            .fix("Set session.dmScope=\"per-channel-peer\"."),
        );
    }
    found
}

fn groups(account: &Account) -> Option<Finding> {
    let section = &account.section;
    let listed = ["groups", "guilds", "channels", "rooms", "teams"]
        .iter()
        .any(|key| section[key].as_object().is_some_and(|map| !map.is_empty()));
    (section["groupPolicy"] == "open" && !listed).then(|| {
        Finding::new(
            format!("channels.{}.warning.1", account.kind),
            Severity::Critical,
            "Any group may use the agent",
            format!(
                "{}: groupPolicy=\"open\" and no group is named: whoever adds the account to a \
                 group may write to the agent there.",
                account.id()
            ),
        )
        .fix("Set groupPolicy=\"allowlist\" and name the groups.")
    })
}

/// Commands in groups of Telegram come from whoever is on the list of senders.
fn telegram(snapshot: &Snapshot, account: &Account) -> Option<Finding> {
    let section = &account.section;
    let groups = section["groups"].as_object();
    let reachable = match section["groupPolicy"].as_str().unwrap_or("allowlist") {
        "open" => true,
        "allowlist" => groups.is_some_and(|groups| !groups.is_empty()),
        _ => false,
    };
    if account.kind != "telegram" || !reachable || snapshot.value["commands"]["text"] == false {
        return None;
    }
    let mut senders = entries(&section["groupAllowFrom"]);
    for group in groups.into_iter().flatten().map(|(_, group)| group) {
        senders.extend(entries(&group["allowFrom"]));
        for topic in group["topics"].as_object().into_iter().flatten() {
            senders.extend(entries(&topic.1["allowFrom"]));
        }
    }
    if senders.iter().any(|entry| entry == "*") {
        return Some(
            Finding::new(
                "channels.telegram.groups.allowFrom.wildcard",
                Severity::Critical,
                "Anybody in a Telegram group may give commands",
                format!("{}: a list of senders for groups has \"*\".", account.id()),
            )
            .fix("Name the people by their numeric ids in groupAllowFrom."),
        );
    }
    senders.extend(entries(&section["allowFrom"]));
    senders.extend(paired(snapshot, "telegram"));
    senders.is_empty().then(|| {
        Finding::new(
            "channels.telegram.groups.allowFrom.missing",
            Severity::Critical,
            "Nothing says who may give commands in Telegram groups",
            format!(
                "{}: groups are reachable and no sender is named.",
                account.id()
            ),
        )
        .fix("Name the people in channels.telegram.groupAllowFrom.")
    })
}

/// Slash commands of Discord and Slack go around the policy of messages.
fn native(snapshot: &Snapshot, account: &Account) -> Option<Finding> {
    let kind = account.kind.as_str();
    let (_, default) = NATIVE.iter().find(|(name, _)| *name == kind)?;
    let section = &account.section;
    let set = |value: &Value| value.as_bool();
    let on = set(&section["slashCommand"]["enabled"]).unwrap_or(false)
        || set(&section["commands"]["native"])
            .or_else(|| set(&snapshot.value["commands"]["native"]))
            .unwrap_or(*default);
    if !on || section["groupPolicy"] == "disabled" {
        return None;
    }
    let (name, rooms) = match kind {
        "discord" => ("commands.native", &section["guilds"]),
        _ => ("commands.slash", &section["channels"]),
    };
    let mut people = entries(&section["dm"]["allowFrom"]);
    people.extend(paired(snapshot, kind));
    people.extend(users(rooms));
    let guarded = snapshot.value["commands"]["useAccessGroups"] != false;
    let in_rooms = rooms.as_object().is_some_and(|rooms| !rooms.is_empty());
    if !guarded && (kind == "slack" || (in_rooms && users(rooms).is_empty())) {
        let id = match kind {
            "discord" => "unrestricted",
            _ => "useAccessGroups_off",
        };
        return Some(
            Finding::new(
                format!("channels.{kind}.{name}.{id}"),
                Severity::Critical,
                "Anybody may use the slash commands",
                format!("{}: commands.useAccessGroups=false.", account.id()),
            )
            .fix("Take commands.useAccessGroups out (it is on), or name people."),
        );
    }
    (guarded && people.is_empty() && (kind == "slack" || in_rooms)).then(|| {
        Finding::new(
            format!("channels.{kind}.{name}.no_allowlists"),
            Severity::Warn,
            "Slash commands have no list of people",
            format!(
                "{}: nobody is named in dm.allowFrom or as a user of a room, so every slash \
                 command is refused.",
                account.id()
            ),
        )
        .fix("Add your id to dm.allowFrom.")
    })
}

/// Everybody named in rooms, and in rooms of rooms.
fn users(rooms: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for room in rooms
        .as_object()
        .into_iter()
        .flatten()
        .map(|(_, room)| room)
    {
        found.extend(entries(&room["users"]));
        found.extend(users(&room["channels"]));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::tests::found;
    use serde_json::{Value, json};

    #[test]
    fn each_way_in_of_a_channel_is_found() {
        let rows: &[(Value, &[&str])] = &[
            (json!({"telegram": {"botToken": "1:a"}}), &[]),
            (
                json!({"telegram": {"botToken": "1:a", "dmPolicy": "open", "allowFrom": ["*"]}}),
                &[
                    "channels.telegram.dm.open critical",
                    "channels.telegram.dm.scope_main_multiuser warn",
                ],
            ),
            (
                json!({"telegram": {"botToken": "1:a", "dmPolicy": "allowlist", "allowFrom": [1, 2]}}),
                &["channels.telegram.dm.scope_main_multiuser warn"],
            ),
            (
                json!({"telegram": {"botToken": "1:a", "dmPolicy": "disabled"}}),
                &["channels.telegram.dm.disabled info"],
            ),
            (
                json!({"telegram": {"botToken": "1:a", "groups": {"-1": {}}}}),
                &["channels.telegram.groups.allowFrom.missing critical"],
            ),
            (
                json!({"telegram": {"botToken": "1:a", "groups": {"-1": {}}, "groupAllowFrom": ["*"]}}),
                &["channels.telegram.groups.allowFrom.wildcard critical"],
            ),
            (
                json!({"signal": {"account": "+1", "groupPolicy": "open"}}),
                &[
                    "security.exposure.open_groups_with_elevated critical",
                    "channels.signal.warning.1 critical",
                ],
            ),
            (
                json!({"discord": {"token": "t", "guilds": {"1": {}}}}),
                &["channels.discord.commands.native.no_allowlists warn"],
            ),
            (
                json!({"discord": {"token": "t", "guilds": {"1": {"users": ["7"]}}}}),
                &[],
            ),
            (
                json!({"slack": {"botToken": "x", "appToken": "y", "slashCommand": {"enabled": true}}}),
                &["channels.slack.commands.slash.no_allowlists warn"],
            ),
        ];
        let mut config = json!({"gateway": {"auth": {"token": "0123456789abcdef01234567"},
            "trustedProxies": ["10.0.0.1"]}});
        for (channels, wanted) in rows {
            config["channels"] = channels.clone();
            assert_eq!(&found(&config, &[]), wanted, "{channels}");
        }
        config["commands"] = json!({"useAccessGroups": false});
        config["channels"] = rows[7].0.clone();
        let all = found(&config, &[]);
        assert_eq!(
            all,
            ["channels.discord.commands.native.unrestricted critical"]
        );
        config["channels"] = rows[9].0.clone();
        let all = found(&config, &[]);
        assert_eq!(
            all,
            ["channels.slack.commands.slash.useAccessGroups_off critical"]
        );
    }
}
