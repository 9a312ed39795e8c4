//! The settings of the chat services. They are many, of few kinds, and most gateways use one
//! service: they stand in a text that is read when somebody asks, not in tables that every process
//! would carry as relocated memory.

use super::kind::{ANY, Kind};
use super::notation::{Reader, key};
use std::sync::OnceLock;

static TABLE: &str = include_str!("channels.txt");

/// `channels`: the defaults, each known service, and any other without rules.
pub fn kind() -> &'static Kind {
    static KIND: OnceLock<Kind> = OnceLock::new();
    KIND.get_or_init(|| {
        let defaults = key("defaults", Kind::Object(super::CHANNEL_DEFAULTS), false);
        let services = [defaults].into_iter().chain(Reader::blocks(TABLE));
        Kind::ObjectOr(
            services.collect::<Vec<_>>().leak(),
            &Kind::ObjectOr(&[], &ANY),
        )
    })
}

/// What a name is for and its default, both empty when the table does not say.
pub fn doc(name: &str) -> (String, &'static str) {
    TABLE
        .lines()
        .filter_map(|line| line.strip_prefix(": "))
        .filter_map(|line| {
            let mut parts = line.splitn(3, ' ');
            Some((parts.next()?, parts.next()?, parts.next()?))
        })
        .find(|(known, ..)| *known == name)
        .map_or((String::new(), ""), |(_, default, doc)| {
            let default = if default == "-" { "" } else { default };
            (default.replace('~', " "), doc)
        })
}

#[cfg(test)]
mod tests {
    use super::super::check::{check, kind_at};
    use super::super::kind::Key;
    use super::*;
    use serde_json::json;

    #[test]
    fn the_table_is_read_and_each_name_has_its_kind() {
        let Kind::ObjectOr(services, _) = kind() else {
            panic!("no services");
        };
        let ids: Vec<&str> = services.iter().map(Key::name).collect();
        assert_eq!(ids.len(), 16);
        assert!(ids.starts_with(&["defaults", "whatsapp", "telegram", "discord"]));
        let at = |path: &str| {
            let path: Vec<String> = path.split('.').map(str::to_string).collect();
            format!("{:?}", kind_at(kind(), &path))
        };
        assert_eq!(
            at("telegram.retry.jitter"),
            "Some(Number(Between(0.0, 1.0)))"
        );
        assert_eq!(at("telegram.mediaMaxMb"), "Some(Number(Above(0.0)))");
        assert_eq!(at("telegram.dms.7.historyLimit"), "Some(Int(From(0.0)))");
        assert_eq!(at("telegram.groups.x.topics.1.enabled"), "Some(Bool)");
        assert_eq!(at("slack.accounts.a.botToken"), at("slack.botToken"));
        assert!(at("whatsapp.accounts.a.authDir").starts_with("Some(Text"));
        let told = |value| -> Vec<String> {
            let issues = check(kind(), &value, "channels");
            issues
                .iter()
                .map(|i| format!("{}: {}", i.path, i.message))
                .collect()
        };
        assert_eq!(
            told(
                json!({"telegram": {"botToken": 1, "nope": 2, "accounts": {"a": {"nope": 3}}}, "own": {"any": 1}})
            ),
            [
                "channels.telegram.botToken: Invalid input: expected string, received number",
                "channels.telegram.accounts.a: Unrecognized key: \"nope\"",
                "channels.telegram: Unrecognized key: \"nope\"",
            ]
        );
        assert_eq!(
            told(json!({"whatsapp": {"accounts": {"a": {"actions": {}}}}})).len(),
            1
        );
        assert_eq!(doc("botToken"), (String::new(), "secret of the bot"));
        assert_eq!(doc("mediaMaxMb").0, "per service");
        assert_eq!(doc("nope"), (String::new(), ""));
    }
}
