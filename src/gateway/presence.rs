//! Who is or lately was here: one entry per device, instance or connection, and the gateway's own.

use super::broadcast::Client;
use crate::base::time::now_ms;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How long an entry is shown after its last sign of life, milliseconds.
const TTL_MS: u64 = 300_000;
/// Entries kept; the oldest leave first.
const MAX_ENTRIES: usize = 200;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Entry {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_family: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model_identifier: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_input_seconds: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub roles: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    pub ts: u64,
}

pub struct Presence {
    entries: Mutex<HashMap<String, Entry>>,
    own: Entry,
}

impl Presence {
    /// `own` is the gateway's entry; its `ts` is the time of each listing.
    pub fn new(own: Entry) -> Presence {
        Presence {
            entries: Mutex::default(),
            own,
        }
    }

    /// Newest first, the gateway's own entry at the top.
    pub fn list(&self) -> Vec<Entry> {
        let now = now_ms();
        let mut entries = self.entries();
        entries.retain(|_, e| now.saturating_sub(e.ts) < TTL_MS);
        let mut list: Vec<Entry> = entries.values().cloned().collect();
        drop(entries);
        list.sort_by_key(|e| std::cmp::Reverse(e.ts));
        let own = Entry {
            ts: now,
            ..self.own.clone()
        };
        list.insert(0, own);
        list.truncate(MAX_ENTRIES);
        list
    }

    /// Puts what `news` says over the entry of `key`; what it does not say stays. Returns the
    /// entry as it was and as it is. The caller bumps the presence version.
    pub fn upsert(&self, key: &str, news: Entry) -> (Option<Entry>, Entry) {
        let mut entries = self.entries();
        let key = key.to_lowercase();
        let old = entries.get(&key).cloned();
        let was = old.clone().unwrap_or_default();
        let mut entry = Entry {
            host: news.host.or(was.host),
            ip: news.ip.or(was.ip),
            version: news.version.or(was.version),
            platform: news.platform.or(was.platform),
            device_family: news.device_family.or(was.device_family),
            model_identifier: news.model_identifier.or(was.model_identifier),
            mode: news.mode.or(was.mode),
            last_input_seconds: news.last_input_seconds.or(was.last_input_seconds),
            device_id: news.device_id.or(was.device_id),
            roles: news.roles.or(was.roles),
            scopes: news.scopes.or(was.scopes),
            instance_id: news.instance_id.or(was.instance_id),
            reason: news.reason.or(was.reason),
            text: news.text.or(was.text),
            ts: now_ms(),
        };
        if entry.text.is_none() {
            entry.text = Some(default_text(&entry));
        }
        entries.insert(key, entry.clone());
        if entries.len() > MAX_ENTRIES {
            let oldest = entries
                .iter()
                .min_by_key(|(_, e)| e.ts)
                .map(|(k, _)| k.clone());
            if let Some(oldest) = oldest {
                entries.remove(&oldest);
            }
        }
        (old, entry)
    }

    /// The key of a client's entry; `None` for clients that are not tracked.
    pub fn key(client: &Client) -> Option<&str> {
        if client.mode == "cli" {
            return None;
        }
        let key = client.device_id.as_ref().or(client.instance_id.as_ref());
        Some(key.unwrap_or(&client.conn_id))
    }

    /// Records that a client came (`connect`) or went (`disconnect`). Says whether it is tracked.
    pub fn record(&self, client: &Client, reason: &str) -> bool {
        let Some(key) = Presence::key(client) else {
            return false;
        };
        let entry = Entry {
            host: Some(
                client
                    .display_name
                    .clone()
                    .unwrap_or(client.client_id.clone()),
            ),
            ip: client.remote_ip.clone(),
            version: Some(client.version.clone()),
            platform: Some(client.platform.clone()),
            device_family: client.device_family.clone(),
            model_identifier: client.model_identifier.clone(),
            mode: Some(client.mode.clone()),
            device_id: client.device_id.clone(),
            roles: Some(vec![client.role.clone()]),
            scopes: Some(client.scopes.clone()),
            instance_id: client.device_id.clone().or(client.instance_id.clone()),
            reason: Some(reason.to_string()),
            ..Entry::default()
        };
        self.upsert(key, entry);
        true
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<String, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is shown for an entry that brought no text.
fn default_text(entry: &Entry) -> String {
    let mut text = "Node".to_string();
    if let Some(host) = &entry.host {
        text.push_str(": ");
        text.push_str(host);
    }
    if let Some(ip) = &entry.ip {
        text.push_str(&format!(" ({ip})"));
    }
    if let Some(mode) = &entry.mode {
        text.push_str(&format!(" · mode {mode}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::broadcast::tests::client;
    use super::*;

    #[test]
    fn a_client_is_listed_until_it_expires_and_says_how_it_left() {
        let presence = Presence::new(Entry::default());
        let (client, _far) = client("operator", &["operator.read"]);
        assert!(presence.record(&client, "connect"));
        assert!(presence.record(&client, "disconnect"));
        let list = presence.list();
        assert_eq!(list.len(), 2);
        assert_eq!(list[1].reason.as_deref(), Some("disconnect"));
        assert_eq!(list[1].text.as_deref(), Some("Node: test · mode test"));
    }

    #[test]
    fn the_number_of_entries_is_bounded() {
        let presence = Presence::new(Entry::default());
        for i in 0..MAX_ENTRIES + 5 {
            presence.upsert(&format!("k{i}"), Entry::default());
        }
        assert_eq!(presence.list().len(), MAX_ENTRIES);
    }
}
