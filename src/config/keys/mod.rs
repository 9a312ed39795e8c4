//! Every configuration key: its kind, default and purpose, one row each, a file per section.
//!
//! The tables are the one source: `check` validates with them and puts a file in order; the JSON
//! schema, the manual page and the hints for forms are made from them. The typed structs in
//! `schema` read what passed.

pub mod agents;
pub mod browser;
pub mod channels;
pub mod check;
pub mod gateway;
pub mod hooks;
pub mod kind;
pub mod logging;
pub mod media;
pub mod memory;
pub mod messages;
pub mod meta;
pub mod models;
pub mod notation;
pub mod plugins;
pub mod prune;
pub mod session;
pub mod surfaces;
pub mod tools;

use kind::Kind::{Late, List, Object, ObjectOr};
use kind::{Kind, TEXT, keys};

/// The whole file.
pub const ROOT: Kind = Object(SECTIONS);

keys! {
    SECTIONS {
        "$schema" ours: TEXT, "", "URL of a schema, for editors";
        "meta": Object(meta::META), "", "";
        "env": ObjectOr(meta::ENV, &TEXT), "", "variables to set where they are not set already";
        "wizard": Object(meta::WIZARD), "", "";
        "diagnostics": Object(logging::DIAGNOSTICS), "", "";
        "logging": Object(logging::LOGGING), "", "";
        "update": Object(meta::UPDATE), "", "";
        "browser": Object(browser::BROWSER), "", "";
        "ui": Object(surfaces::UI), "", "";
        "auth": Object(models::AUTH), "", "";
        "models": Object(models::MODELS), "", "";
        "nodeHost": Object(gateway::NODE_HOST), "", "";
        "agents": Object(agents::AGENTS), "", "";
        "tools": Object(tools::TOOLS), "", "";
        "bindings": List(&Object(agents::BINDINGS)), "[]", "which chats which agent answers";
        "broadcast": ObjectOr(agents::BROADCAST, &List(&TEXT)), "", "peers that several agents answer";
        "audio": Object(media::AUDIO), "", "";
        "media": Object(media::MEDIA), "", "";
        "messages": Object(messages::MESSAGES), "", "";
        "commands": Object(messages::COMMANDS), "", "";
        "approvals": Object(messages::APPROVALS), "", "";
        "session": Object(session::SESSION), "", "";
        "cron": Object(hooks::CRON), "", "";
        "hooks": Object(hooks::HOOKS), "", "";
        "web": Object(surfaces::WEB), "", "";
        "channels": Late(channels::kind), "", "one block per chat service";
        "discovery": Object(surfaces::DISCOVERY), "", "";
        "canvasHost": Object(surfaces::CANVAS_HOST), "", "";
        "talk": Object(surfaces::TALK), "", "";
        "gateway": Object(gateway::GATEWAY), "", "";
        "memory": Object(memory::MEMORY), "", "";
        "skills": Object(plugins::SKILLS), "", "";
        "plugins": Object(plugins::PLUGINS), "", "";
    }
    CHANNEL_HEARTBEAT {
        "showOk": Kind::Bool, "false", "send heartbeats that found nothing";
        "showAlerts": Kind::Bool, "true", "send heartbeats that found something";
        "useIndicator": Kind::Bool, "true", "mark heartbeats in the status display";
    }
    CHANNEL_DEFAULTS {
        "groupPolicy": Kind::Choice(&["open", "disabled", "allowlist"]), "", "group gate of channels without their own";
        "heartbeat": Object(CHANNEL_HEARTBEAT), "", "";
    }
}

/// The keys in `value` that the Node program refuses, as dotted paths.
pub fn ours(value: &serde_json::Value) -> Vec<String> {
    let mut found = Vec::new();
    collect_ours(SECTIONS, value, "", &mut found);
    found
}

fn collect_ours(keys: &[kind::Key], value: &serde_json::Value, path: &str, out: &mut Vec<String>) {
    for key in keys {
        let Some(value) = value.get(key.name()) else {
            continue;
        };
        let below = super::path::join(path, key.name());
        if key.mark == kind::Mark::Ours {
            out.push(below);
        } else if let Kind::Object(keys) | Kind::ObjectOr(keys, _) = &key.kind {
            collect_ours(keys, value, &below, out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn each(kind: &Kind, path: &str, visit: &mut dyn FnMut(&str, &kind::Key)) {
        match kind {
            Kind::Object(keys) | Kind::Stripped(keys) | Kind::ObjectOr(keys, _) => {
                for key in *keys {
                    let below = crate::config::path::join(path, key.name());
                    visit(&below, key);
                    each(&key.kind, &below, visit);
                }
            }
            Kind::List(item) | Kind::Map(item) | Kind::Named(item) => {
                each(item, &crate::config::path::join(path, "*"), visit);
            }
            Kind::Union(kinds) => kinds.iter().for_each(|kind| each(kind, path, visit)),
            _ => {}
        }
    }

    #[test]
    fn every_row_has_its_own_name_and_every_leaf_says_what_it_is_for() {
        let mut seen = std::collections::HashSet::new();
        each(&ROOT, "", &mut |path, key| {
            // A union may offer the same key in two forms.
            assert!(
                seen.insert(path.to_string()) || path.contains('*'),
                "{path} twice"
            );
            let section = matches!(
                key.kind,
                Kind::Late(_)
                    | Kind::Object(_)
                    | Kind::Stripped(_)
                    | Kind::ObjectOr(..)
                    | Kind::List(_)
                    | Kind::Map(_)
                    | Kind::Named(_)
            );
            assert!(section || !key.doc().is_empty(), "{path} has no doc");
        });
        assert!(size_of::<kind::Key>() <= 56, "rows grew");
        assert!(seen.len() > 700, "{}", seen.len());
    }
}
