//! Who may write to the agent in a direct chat: the policy of the account and its list, and what the
//! pairing store adds. Pure.

use serde_json::Value;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Welcome,
    /// A stranger who may ask for access.
    MayAsk,
    Refused,
}

/// Services whose rules for direct chats are in a block of their own.
const BY_DM_BLOCK: [&str; 4] = ["discord", "googlechat", "slack", "matrix"];

/// Names of channels, where one may stand before an id.
const CHANNELS: [&str; 9] = [
    "telegram",
    "whatsapp",
    "discord",
    "googlechat",
    "slack",
    "signal",
    "imessage",
    "irc",
    "webchat",
];

/// What may stand before an id in a list, besides the name of the kind.
const PREFIXES: &[(&str, &[&str])] = &[
    ("telegram", &["tg"]),
    ("discord", &["user"]),
    ("slack", &["user"]),
    ("matrix", &["user"]),
    ("line", &["user"]),
    ("irc", &["user"]),
    ("feishu", &["lark"]),
];

/// Of a message in a direct chat. `paired` is what the store holds, `account` the account's section.
pub fn direct(kind: &str, account: &Value, sender: &str, paired: &[String]) -> Verdict {
    let (rules, policy) = direct_rules(kind, account);
    let policy = rules[policy].as_str().unwrap_or("pairing");
    let listed = || is_listed(kind, &rules["allowFrom"], sender, paired);
    match policy {
        "open" => Verdict::Welcome,
        "disabled" => Verdict::Refused,
        _ if listed() => Verdict::Welcome,
        "pairing" => Verdict::MayAsk,
        // A word nobody knows lets nobody in.
        _ => Verdict::Refused,
    }
}

/// Who commands the agent here: the owners that are named for all channels or this one, else those
/// the account lets in by name.
pub fn owners(kind: &str, owners: &Value, account: Option<&Value>) -> Vec<String> {
    let list = |list: &Value| -> Vec<String> {
        let entries = list.as_array().into_iter().flatten().filter_map(entry);
        entries.filter(|entry| entry != "*").collect()
    };
    let named: Vec<String> = list(owners)
        .into_iter()
        .filter_map(|owner| match owner.split_once(':') {
            // An id may have a colon of its own.
            Some((channel, id)) if CHANNELS.contains(&channel) => {
                (channel == kind).then(|| id.trim().to_string())
            }
            _ => Some(owner),
        })
        .collect();
    if !named.is_empty() {
        return named;
    }
    let Some(account) = account else {
        return named;
    };
    let (rules, _) = direct_rules(kind, account);
    let entries = list(&rules["allowFrom"]).into_iter();
    entries.map(|entry| stored(kind, &entry)).collect()
}

/// Where the rules for direct chats are, and what their policy is called there.
pub fn direct_rules<'a>(kind: &str, account: &'a Value) -> (&'a Value, &'static str) {
    match BY_DM_BLOCK.contains(&kind) {
        true => (&account["dm"], "policy"),
        false => (account, "dmPolicy"),
    }
}

/// Whether a list of the configuration, or the store, has `sender`.
pub fn is_listed(kind: &str, list: &Value, sender: &str, paired: &[String]) -> bool {
    let configured = list.as_array().into_iter().flatten();
    let mut entries = configured.filter_map(entry).chain(paired.iter().cloned());
    entries.any(|entry| {
        let entry = normal(kind, &entry);
        entry == "*" || entry == normal(kind, sender)
    })
}

fn entry(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// An id as lists are compared: without what may stand before it, in one case.
fn normal(kind: &str, id: &str) -> String {
    stored(kind, id).to_lowercase()
}

/// An id as the store holds it: services' ids keep their case, but for nicks, which have none.
pub fn stored(kind: &str, id: &str) -> String {
    let id = id.trim();
    let others = PREFIXES.iter().find(|(name, _)| *name == kind);
    let others = others.map_or(&[][..], |(_, prefixes)| prefixes);
    let known = |prefix: &str| {
        let prefix = prefix.to_lowercase();
        prefix == kind || others.contains(&prefix.as_str())
    };
    let id = match id.split_once(':') {
        Some((prefix, rest)) if known(prefix) => rest.trim(),
        _ => id,
    };
    match kind {
        "irc" => id.to_lowercase(),
        _ => id.to_string(),
    }
}

/// The line of the pairing message that tells the stranger how it is called here.
pub fn id_line(kind: &str, id: &str) -> String {
    let what = match kind {
        "telegram" => "Your Telegram user id",
        "discord" => "Your Discord user id",
        "slack" => "Your Slack user id",
        "signal" if id.starts_with('+') => "Your Signal number",
        "signal" => "Your Signal sender id",
        "whatsapp" => "Your WhatsApp phone number",
        "imessage" => "Your iMessage sender id",
        "mattermost" => "Your Mattermost user id",
        "bluebubbles" => "Your BlueBubbles sender id",
        "googlechat" => "Your Google Chat user id",
        "irc" => "Your IRC id",
        _ => "Your id",
    };
    format!("{what}: {id}")
}

/// What a stranger who may ask for access is told once.
pub fn asked(kind: &str, id: &str, code: &str, profile: Option<&str>) -> String {
    let profile = profile.map(|name| format!(" --profile {name}"));
    format!(
        "OpenClaw: access not configured.\n\n{}\n\nPairing code: {code}\n\n\
         Ask the bot owner to approve with:\nopenclaw{} pairing approve {kind} <code>",
        id_line(kind, id),
        profile.unwrap_or_default()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_policy_decides_and_pairing_is_the_default() {
        let of = |rules: Value, id: &str| direct("telegram", &rules, id, &["7".into()]);
        assert_eq!(of(json!({}), "1"), Verdict::MayAsk);
        assert_eq!(of(json!({}), "7"), Verdict::Welcome);
        let listed = json!({"dmPolicy": "allowlist", "allowFrom": ["tg:1", 2]});
        assert_eq!(of(listed.clone(), "1"), Verdict::Welcome);
        assert_eq!(of(listed.clone(), "2"), Verdict::Welcome);
        assert_eq!(of(listed.clone(), "7"), Verdict::Welcome);
        assert_eq!(of(listed, "3"), Verdict::Refused);
        let open = json!({"dmPolicy": "open", "allowFrom": ["*"]});
        assert_eq!(of(open, "3"), Verdict::Welcome);
        assert_eq!(of(json!({"dmPolicy": "disabled"}), "7"), Verdict::Refused);
        assert_eq!(of(json!({"dmPolicy": "opne"}), "3"), Verdict::Refused);
    }

    #[test]
    fn owners_are_named_for_all_channels_or_one_else_the_account_names_them() {
        let account = json!({"allowFrom": ["*", "tg:1", 2], "dm": {"allowFrom": ["user:U1"]}});
        let of = |kind, named: Value| owners(kind, &named, Some(&account));
        assert_eq!(of("telegram", Value::Null), ["1", "2"]);
        assert_eq!(of("slack", json!(["*"])), ["U1"]);
        let named = json!(["whatsapp:+1555", "@ann:host"]);
        assert_eq!(of("whatsapp", named.clone()), ["+1555", "@ann:host"]);
        assert_eq!(of("matrix", named.clone()), ["@ann:host"]);
        assert_eq!(owners("webchat", &Value::Null, None), [""; 0]);
    }

    #[test]
    fn the_store_keeps_the_case_of_ids_that_have_one() {
        assert_eq!(stored("slack", " User:U1"), "U1");
        assert_eq!(stored("irc", "irc:Ann!A@Host"), "ann!a@host");
        assert_eq!(stored("matrix", "@Ann:host"), "@Ann:host");
    }

    #[test]
    fn some_services_have_their_rules_in_a_block() {
        let rules =
            json!({"dmPolicy": "open", "dm": {"policy": "allowlist", "allowFrom": ["user:U1"]}});
        assert_eq!(direct("slack", &rules, "U1", &[]), Verdict::Welcome);
        assert_eq!(direct("slack", &rules, "U2", &[]), Verdict::Refused);
    }

    #[test]
    fn a_stranger_is_told_the_code_in_the_originals_words() {
        assert_eq!(
            asked("telegram", "42", "ABCD2345", Some("work")),
            "OpenClaw: access not configured.\n\nYour Telegram user id: 42\n\n\
             Pairing code: ABCD2345\n\nAsk the bot owner to approve with:\n\
             openclaw --profile work pairing approve telegram <code>"
        );
    }
}
