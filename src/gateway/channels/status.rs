//! How each account does, as `channels.status` and the health of the gateway tell it.
//!
//! Learned from the workers as they say it; in memory only. Asking for it costs a service nothing,
//! unless a probe is wanted.

use super::super::core::Core;
use super::accounts::{self, Account};
use super::{labels, lock};
use crate::base::time::now_ms;
use crate::wire::channel::Status;
use crate::wire::gateway::health::ChannelsStatus;
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::sync::Mutex;

/// Where a kind that is not built in comes last, by its name.
const LAST: usize = usize::MAX;

#[derive(Clone, Debug, Default)]
pub struct Seen {
    running: bool,
    connected: Option<bool>,
    started: Option<u64>,
    stopped: Option<u64>,
    connected_at: Option<u64>,
    pub heard_at: Option<u64>,
    pub sent_at: Option<u64>,
    error: Option<String>,
    mode: Option<String>,
    reconnects: Option<u32>,
    who: Option<Value>,
    probe: Option<(u64, Value)>,
}

#[derive(Default)]
pub struct Board(Mutex<HashMap<String, Seen>>);

impl Board {
    pub fn change(&self, id: &str, change: impl FnOnce(&mut Seen)) {
        change(lock(&self.0).entry(id.into()).or_default());
    }

    pub fn started(&self, id: &str) {
        self.change(id, |seen| {
            *seen = Seen {
                running: true,
                started: Some(now_ms()),
                heard_at: seen.heard_at,
                sent_at: seen.sent_at,
                ..Seen::default()
            };
        });
    }

    pub fn stopped(&self, id: &str, why: Option<&str>) {
        self.change(id, |seen| {
            seen.running = false;
            seen.connected = seen.connected.map(|_| false);
            seen.stopped = Some(now_ms());
            if let Some(why) = why {
                seen.error = Some(why.into());
            }
        });
    }

    pub fn told(&self, id: &str, status: &Status) {
        self.change(id, |seen| {
            if let Some(connected) = status.connected {
                if connected && seen.connected != Some(true) {
                    seen.connected_at = Some(now_ms());
                    seen.error = None;
                }
                seen.connected = Some(connected);
            }
            if let Some(error) = &status.error {
                seen.error = Some(error.clone()).filter(|error| !error.is_empty());
            }
            seen.who = status.account.clone().or(seen.who.take());
            seen.mode = status.mode.clone().or(seen.mode.take());
            seen.reconnects = status.reconnect_attempts.or(seen.reconnects);
        });
    }

    pub fn probed(&self, id: &str, result: Value) {
        self.change(id, |seen| seen.probe = Some((now_ms(), result)));
    }

    fn of(&self, id: &str) -> Seen {
        lock(&self.0).get(id).cloned().unwrap_or_default()
    }
}

/// What the configuration names, in the order in which it is shown.
pub fn status(core: &Core) -> ChannelsStatus {
    let mut found = accounts::configured(&core.config.current());
    let place = |account: &Account| {
        let at = labels::LABELS
            .iter()
            .position(|row| row.kind == account.kind);
        (at.unwrap_or(LAST), account.id())
    };
    found.sort_by_key(place);
    let mut out = ChannelsStatus {
        ts: now_ms(),
        ..ChannelsStatus::default()
    };
    for account in &found {
        let kind = &account.kind;
        let told = tell(core, account);
        if !out.channel_order.contains(kind) {
            introduce(&mut out, account, &told);
        }
        let list = out.channel_accounts.entry(kind).or_insert(json!([]));
        if let Value::Array(list) = list {
            list.push(told.into());
        }
    }
    out
}

/// The kind, with its first account: that is the default one, or the first by name.
fn introduce(out: &mut ChannelsStatus, account: &Account, told: &Map<String, Value>) {
    let kind = &account.kind;
    let label = labels::of(kind);
    let known = labels::find(kind);
    let detail = known.map_or(&*label, |row| row.detail);
    let image = known.map_or("message", |row| row.image);
    out.channel_order.push(kind.clone());
    out.channel_labels
        .insert(kind.clone(), label.clone().into());
    out.channel_detail_labels
        .insert(kind.clone(), detail.into());
    out.channel_system_images.insert(kind.clone(), image.into());
    out.channel_meta.push(json!({
        "id": kind, "label": label, "detailLabel": detail, "systemImage": image
    }));
    let mut summary = told.clone();
    for own in [
        "accountId",
        "enabled",
        "name",
        "lastInboundAt",
        "lastOutboundAt",
        "dmPolicy",
    ] {
        summary.remove(own);
    }
    out.channels.insert(kind.clone(), summary.into());
    let default = account.name.clone();
    out.channel_default_account_id
        .insert(kind.clone(), default.into());
}

fn tell(core: &Core, account: &Account) -> Map<String, Value> {
    let id = account.id();
    let seen = core.channels.board.of(&id);
    let is_known = core.channels.account(&id).is_some();
    let missing = (!is_known && seen.error.is_none()).then_some("not installed");
    let error = seen.error.as_deref().or(missing);
    let mut told = json!({
        "accountId": account.name, "enabled": true, "configured": true,
        "running": seen.running, "lastStartAt": seen.started, "lastStopAt": seen.stopped,
        "lastError": error, "lastInboundAt": seen.heard_at, "lastOutboundAt": seen.sent_at,
    });
    let policy = account.section["dmPolicy"].as_str();
    let optional = [
        ("name", account.section["name"].as_str().map(Value::from)),
        ("dmPolicy", policy.map(Value::from)),
        ("connected", seen.connected.map(Value::from)),
        ("lastConnectedAt", seen.connected_at.map(Value::from)),
        ("reconnectAttempts", seen.reconnects.map(Value::from)),
        ("mode", seen.mode.map(Value::from)),
        ("bot", seen.who),
    ];
    for (name, value) in optional {
        if let Some(value) = value {
            told[name] = value;
        }
    }
    if let Some((at, probe)) = seen.probe {
        told["probe"] = probe;
        told["lastProbeAt"] = at.into();
    }
    match told {
        Value::Object(told) => told,
        _ => Map::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_that_ends_leaves_its_reason_until_the_next_is_connected() {
        let board = Board::default();
        board.started("irc/a");
        let connected = |connected| Status {
            connected: Some(connected),
            ..Status::default()
        };
        board.told("irc/a", &connected(true));
        board.stopped("irc/a", Some("gone"));
        let seen = board.of("irc/a");
        assert!(!seen.running && seen.connected == Some(false));
        assert_eq!(seen.error.as_deref(), Some("gone"));
        board.told("irc/a", &connected(true));
        assert_eq!(board.of("irc/a").error, None);
    }
}
