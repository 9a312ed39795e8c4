//! Paired devices, requests to be paired, and device tokens.
//!
//! Two files under `<state>/devices`, read at first use, kept in memory, written together. Only the
//! core writes them. A file that cannot be read as what it should be is kept aside under another
//! name and the store starts empty: a damaged file must not lock everybody out, nor be lost.

pub mod key;
pub mod record;

use crate::base::atomic::{self, Durability, PRIVATE_FILE};
use crate::base::id;
use crate::base::secret::Secret;
use crate::base::time::now_ms;
use record::{Device, Pending, Token, merged, normalized};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How long a request waits for a decision, milliseconds.
const PENDING_TTL_MS: u64 = 300_000;
/// Requests kept at once; the oldest leave. Each needed the shared secret, so this only bounds a
/// client gone wild.
const MAX_PENDING: usize = 100;

pub struct Devices {
    dir: PathBuf,
    store: Mutex<Option<Store>>,
}

#[derive(Default)]
struct Store {
    pending: BTreeMap<String, Pending>,
    paired: BTreeMap<String, Device>,
    /// Something changed that may be written later.
    dirty: bool,
}

/// What a connecting device says about itself.
#[derive(Clone, Debug, Default)]
pub struct Asking {
    pub device_id: String,
    /// Base64url of the raw key.
    pub public_key: String,
    pub display_name: Option<String>,
    pub platform: Option<String>,
    pub client_id: Option<String>,
    pub client_mode: Option<String>,
    pub role: String,
    pub scopes: Vec<String>,
    pub remote_ip: Option<String>,
    /// The client is local, so no person has to approve.
    pub silent: bool,
}

/// How a device stands that wants a role and scopes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    Paired,
    NotPaired,
    RoleUpgrade,
    ScopeUpgrade,
}

impl Devices {
    pub fn open(state: &Path) -> Devices {
        Devices {
            dir: state.join("devices"),
            store: Mutex::default(),
        }
    }

    pub fn standing(&self, asking: &Asking) -> Standing {
        self.with(|store| {
            let Some(device) = store.paired.get(&asking.device_id) else {
                return Standing::NotPaired;
            };
            if device.public_key != asking.public_key {
                return Standing::NotPaired;
            }
            if !device.has_role(&asking.role) {
                return Standing::RoleUpgrade;
            }
            let known = device.scopes.as_deref().unwrap_or_default();
            if asking.scopes.iter().any(|s| !known.contains(s)) {
                return Standing::ScopeUpgrade;
            }
            Standing::Paired
        })
    }

    /// The waiting request of this device, or a new one; says whether it is new.
    pub fn request(&self, asking: Asking) -> (Pending, bool) {
        self.with(|store| {
            store.expire();
            let waiting = store
                .pending
                .values()
                .find(|p| p.device_id == asking.device_id);
            if let Some(waiting) = waiting {
                return (waiting.clone(), false);
            }
            while store.pending.len() >= MAX_PENDING {
                let oldest = store.pending.values().min_by_key(|p| p.ts);
                let Some(oldest) = oldest.map(|p| p.request_id.clone()) else {
                    break;
                };
                store.pending.remove(&oldest);
            }
            let pending = Pending {
                request_id: id::uuid(),
                is_repair: Some(store.paired.contains_key(&asking.device_id)),
                device_id: asking.device_id,
                public_key: asking.public_key,
                display_name: asking.display_name,
                platform: asking.platform,
                client_id: asking.client_id,
                client_mode: asking.client_mode,
                roles: Some(vec![asking.role.clone()]),
                role: Some(asking.role),
                scopes: Some(asking.scopes),
                remote_ip: asking.remote_ip,
                silent: Some(asking.silent),
                ts: now_ms(),
                ..Pending::default()
            };
            store
                .pending
                .insert(pending.request_id.clone(), pending.clone());
            // A silent request is approved, and thereby written, within the same connect.
            if !asking.silent {
                self.save(store, Durability::Disk);
            }
            (pending, true)
        })
    }

    /// Pairs the device of a request and issues a token for the role it asked for.
    pub fn approve(&self, request_id: &str) -> Option<(Pending, Device)> {
        self.with(|store| {
            store.expire();
            let pending = store.pending.remove(request_id)?;
            let now = now_ms();
            let old = store.paired.get(&pending.device_id).cloned();
            let was = old.clone().unwrap_or_default();
            let none: &[String] = &[];
            let list = |l: &Option<Vec<String>>| l.clone().unwrap_or_default();
            let one = |r: &Option<String>| r.clone().into_iter().collect::<Vec<_>>();
            let mut device = Device {
                device_id: pending.device_id.clone(),
                public_key: pending.public_key.clone(),
                display_name: pending.display_name.clone(),
                platform: pending.platform.clone(),
                client_id: pending.client_id.clone(),
                client_mode: pending.client_mode.clone(),
                role: pending.role.clone(),
                roles: merged(&[
                    &list(&was.roles),
                    &one(&was.role),
                    &list(&pending.roles),
                    &one(&pending.role),
                ]),
                scopes: merged(&[
                    &list(&was.scopes),
                    pending.scopes.as_deref().unwrap_or(none),
                ]),
                remote_ip: pending.remote_ip.clone(),
                tokens: was.tokens,
                created_at_ms: old.map_or(now, |d| d.created_at_ms),
                approved_at_ms: now,
                extra: was.extra,
            };
            if let Some(role) = pending.role.as_deref().map(str::trim) {
                if !role.is_empty() {
                    let scopes = pending.scopes.as_deref().unwrap_or(none);
                    issue(&mut device, role, scopes, now);
                }
            }
            store
                .paired
                .insert(device.device_id.clone(), device.clone());
            self.save(store, Durability::Disk);
            Some((pending, device))
        })
    }

    pub fn reject(&self, request_id: &str) -> Option<Pending> {
        self.with(|store| {
            store.expire();
            let pending = store.pending.remove(request_id)?;
            self.save(store, Durability::Disk);
            Some(pending)
        })
    }

    /// Whether `token` opens `role` with `scopes` for this device.
    pub fn check_token(&self, device_id: &str, role: &str, scopes: &[String], token: &str) -> bool {
        self.with(|store| {
            let entry = store
                .paired
                .get_mut(device_id)
                .and_then(|d| d.tokens.get_mut(role));
            let Some(entry) = entry else { return false };
            if entry.revoked_at_ms.is_some() || !entry.token.matches(token) || !entry.covers(scopes)
            {
                return false;
            }
            entry.last_used_at_ms = Some(now_ms());
            store.dirty = true;
            true
        })
    }

    /// Takes over what a paired device says about itself. Written by the next `save_later`.
    pub fn refresh(&self, asking: &Asking) {
        self.with(|store| {
            let Some(device) = store.paired.get_mut(&asking.device_id) else {
                return;
            };
            let fill = |slot: &mut Option<String>, news: &Option<String>| {
                if news.is_some() {
                    slot.clone_from(news);
                }
            };
            let before = device.clone();
            fill(&mut device.display_name, &asking.display_name);
            fill(&mut device.platform, &asking.platform);
            fill(&mut device.client_id, &asking.client_id);
            fill(&mut device.client_mode, &asking.client_mode);
            fill(&mut device.remote_ip, &asking.remote_ip);
            device.role = Some(asking.role.clone());
            let roles = device.roles.take().unwrap_or_default();
            device.roles = merged(&[&roles, std::slice::from_ref(&asking.role)]);
            let scopes = device.scopes.take().unwrap_or_default();
            device.scopes = merged(&[&scopes, &asking.scopes]);
            if *device != before {
                store.dirty = true;
            }
        });
    }

    /// The device's token for `role`: the present one when it covers `scopes`, else a new one.
    pub fn ensure_token(&self, device_id: &str, role: &str, scopes: &[String]) -> Option<Token> {
        self.with(|store| {
            let device = store.paired.get_mut(device_id)?;
            if let Some(token) = device.tokens.get(role) {
                if token.revoked_at_ms.is_none() && token.covers(scopes) {
                    return Some(token.clone());
                }
            }
            let token = issue(device, role, scopes, now_ms());
            // On disk before the client hears it: it will come back with this one only.
            self.save(store, Durability::Disk);
            Some(token)
        })
    }

    /// Replaces the token of a role. `scopes` also becomes the device's list.
    pub fn rotate(
        &self,
        device_id: &str,
        role: &str,
        scopes: Option<Vec<String>>,
    ) -> Option<Token> {
        self.with(|store| {
            let device = store.paired.get_mut(device_id)?;
            let present = device.tokens.get(role).map(|t| t.scopes.clone());
            let wanted = scopes
                .clone()
                .or(present)
                .or_else(|| device.scopes.clone())
                .unwrap_or_default();
            let now = now_ms();
            let mut token = issue(device, role, &wanted, now);
            token.rotated_at_ms = Some(now);
            device.tokens.insert(role.to_string(), token.clone());
            if let Some(scopes) = scopes {
                device.scopes = Some(scopes);
            }
            self.save(store, Durability::Disk);
            Some(token)
        })
    }

    /// Ends the token of a role; returns when.
    pub fn revoke(&self, device_id: &str, role: &str) -> Option<u64> {
        self.with(|store| {
            let token = store.paired.get_mut(device_id)?.tokens.get_mut(role)?;
            let now = now_ms();
            token.revoked_at_ms = Some(now);
            self.save(store, Durability::Disk);
            Some(now)
        })
    }

    /// Waiting requests, newest first, and paired devices, last approved first.
    pub fn list(&self) -> (Vec<Pending>, Vec<Device>) {
        self.with(|store| {
            store.expire();
            let mut pending: Vec<Pending> = store.pending.values().cloned().collect();
            pending.sort_by_key(|e| std::cmp::Reverse(e.ts));
            let mut paired: Vec<Device> = store.paired.values().cloned().collect();
            paired.sort_by_key(|d| std::cmp::Reverse(d.approved_at_ms));
            (pending, paired)
        })
    }

    /// Writes what `check_token` and `refresh` changed. Called after the client has its answer.
    pub fn save_later(&self) {
        self.with(|store| {
            if store.dirty {
                self.save(store, Durability::PageCache);
            }
        });
    }

    /// Drops expired requests. Does nothing before the store was first used.
    pub fn sweep(&self) {
        let mut guard = self.lock();
        if let Some(store) = guard.as_mut() {
            let before = store.pending.len();
            store.expire();
            if store.pending.len() != before {
                self.save(store, Durability::PageCache);
            }
        }
    }

    fn with<T>(&self, act: impl FnOnce(&mut Store) -> T) -> T {
        let mut guard = self.lock();
        act(guard.get_or_insert_with(|| Store {
            pending: read(&self.dir.join("pending.json")),
            paired: read(&self.dir.join("paired.json")),
            dirty: false,
        }))
    }

    fn lock(&self) -> MutexGuard<'_, Option<Store>> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A store that cannot be written stays right in memory; the operator hears of it.
    fn save(&self, store: &mut Store, durability: Durability) {
        store.dirty = false;
        for (name, bytes) in [
            ("pending.json", serde_json::to_vec_pretty(&store.pending)),
            ("paired.json", serde_json::to_vec_pretty(&store.paired)),
        ] {
            let bytes = bytes.expect("records serialise to JSON");
            let path = self.dir.join(name);
            if let Err(err) = atomic::write_with(&path, &bytes, PRIVATE_FILE, durability) {
                log::error!("cannot write {}: {err}", path.display());
                store.dirty = true;
            }
        }
    }
}

impl Store {
    fn expire(&mut self) {
        let now = now_ms();
        self.pending
            .retain(|_, p| now.saturating_sub(p.ts) <= PENDING_TTL_MS);
    }
}

/// A new token for `role`; the one before stops working.
fn issue(device: &mut Device, role: &str, scopes: &[String], now: u64) -> Token {
    let old = device.tokens.get(role);
    let token = Token {
        token: Secret::new(id::token()),
        role: role.to_string(),
        scopes: normalized(scopes),
        created_at_ms: old.map_or(now, |t| t.created_at_ms),
        rotated_at_ms: old.map(|_| now),
        revoked_at_ms: None,
        last_used_at_ms: old.and_then(|t| t.last_used_at_ms),
    };
    device.tokens.insert(role.to_string(), token.clone());
    token
}

fn read<T: serde::de::DeserializeOwned>(path: &Path) -> BTreeMap<String, T> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(err) if err.kind() == std::io::ErrorKind::NotFound => return BTreeMap::new(),
        Err(err) => {
            log::error!("cannot read {}: {err}", path.display());
            return BTreeMap::new();
        }
    };
    match serde_json::from_slice(&bytes) {
        Ok(map) => map,
        Err(err) => {
            let aside = path.with_extension(format!("json.unreadable-{}", now_ms()));
            log::error!(
                "{} is not a device list ({err}); kept as {}",
                path.display(),
                aside.display()
            );
            if let Err(err) = std::fs::rename(path, &aside) {
                log::error!("cannot rename {}: {err}", path.display());
            }
            BTreeMap::new()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asking(scopes: &[&str]) -> Asking {
        Asking {
            device_id: "d1".into(),
            public_key: "k1".into(),
            role: "operator".into(),
            scopes: scopes.iter().map(|s| s.to_string()).collect(),
            silent: true,
            ..Asking::default()
        }
    }

    fn scopes(list: &[&str]) -> Vec<String> {
        list.iter().map(|s| s.to_string()).collect()
    }

    #[test]
    fn a_token_lasts_until_its_scopes_are_outgrown() {
        let dir = id::temp_dir("devices");
        let devices = Devices::open(&dir);
        let first = asking(&["b", "a"]);
        assert_eq!(devices.standing(&first), Standing::NotPaired);
        let (pending, new) = devices.request(first.clone());
        assert!(new && !devices.request(first.clone()).1);
        devices.approve(&pending.request_id).unwrap();
        assert_eq!(devices.standing(&first), Standing::Paired);
        let token = devices
            .ensure_token("d1", "operator", &first.scopes)
            .unwrap();
        assert_eq!(token.scopes, ["a", "b"]);
        let text = token.token.expose().to_string();
        assert!(devices.check_token("d1", "operator", &scopes(&["a"]), &text));
        assert!(!devices.check_token("d1", "operator", &scopes(&["c"]), &text));
        assert!(!devices.check_token("d1", "node", &[], &text));

        assert_eq!(devices.standing(&asking(&["c"])), Standing::ScopeUpgrade);
        let (pending, _) = devices.request(asking(&["c"]));
        assert_eq!(pending.is_repair, Some(true));
        let (_, device) = devices.approve(&pending.request_id).unwrap();
        assert_eq!(device.scopes.unwrap(), ["b", "a", "c"]);
        assert!(!devices.check_token("d1", "operator", &scopes(&["a"]), &text));

        // A second process of the same program sees the same.
        let again = Devices::open(&dir);
        assert_eq!(again.standing(&asking(&["c"])), Standing::Paired);
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_revoked_token_is_replaced_on_the_next_connect() {
        let dir = id::temp_dir("devices");
        let devices = Devices::open(&dir);
        let (pending, _) = devices.request(asking(&["a"]));
        devices.approve(&pending.request_id).unwrap();
        assert!(devices.revoke("d1", "node").is_none());
        let old = devices.rotate("d1", "operator", None).unwrap();
        devices.revoke("d1", "operator").unwrap();
        assert!(!devices.check_token("d1", "operator", &[], old.token.expose()));
        let new = devices
            .ensure_token("d1", "operator", &scopes(&["a"]))
            .unwrap();
        assert_ne!(new.token.expose(), old.token.expose());
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn files_of_the_original_are_kept_field_by_field() {
        let dir = id::temp_dir("devices");
        std::fs::create_dir(dir.join("devices")).unwrap();
        let text = r#"{"d1":{"deviceId":"d1","publicKey":"k1","role":"operator",
            "roles":["operator"],"scopes":["a"],"tokens":{"operator":{"token":"t","role":"operator",
            "scopes":["a"],"createdAtMs":5}},"createdAtMs":5,"approvedAtMs":6,"later":{"x":1}}}"#;
        std::fs::write(dir.join("devices/paired.json"), text).unwrap();
        let devices = Devices::open(&dir);
        assert!(devices.check_token("d1", "operator", &scopes(&["a"]), "t"));
        devices.save_later();
        let path = dir.join("devices/paired.json");
        let now: serde_json::Value =
            serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        assert_eq!(now["d1"]["later"]["x"], 1);
        assert!(now["d1"]["tokens"]["operator"]["lastUsedAtMs"].is_u64());
        std::fs::write(&path, "{").unwrap();
        assert_eq!(
            Devices::open(&dir).standing(&asking(&["a"])),
            Standing::NotPaired
        );
        assert_eq!(std::fs::read_dir(dir.join("devices")).unwrap().count(), 2);
        std::fs::remove_dir_all(dir).unwrap();
    }
}
