//! One session's entry in `sessions.json`.
//!
//! Known fields are typed; everything else, and a known field of an unexpected type, is carried in
//! `rest`. An entry is written back with its keys in the order they were read; new ones follow in
//! the order of the struct.

use super::indent;
use super::key::{self, Kind};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::sync::Arc;

/// JSON that is carried, not read: shared between entries and compact.
#[derive(Clone, Debug)]
pub struct Blob(Arc<RawValue>);

impl Blob {
    pub fn of(value: &impl Serialize) -> serde_json::Result<Blob> {
        Ok(Blob(serde_json::value::to_raw_value(value)?.into()))
    }

    /// The compact text.
    pub fn get(&self) -> &str {
        self.0.get()
    }

    pub fn parse<T: serde::de::DeserializeOwned>(&self) -> serde_json::Result<T> {
        serde_json::from_str(self.get())
    }
}

impl PartialEq for Blob {
    fn eq(&self, other: &Blob) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.get() == other.get()
    }
}

impl Serialize for Blob {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(to)
    }
}

impl<'de> Deserialize<'de> for Blob {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Blob, D::Error> {
        let raw = Box::<RawValue>::deserialize(from)?;
        let raw =
            RawValue::from_string(indent::compact(raw.get())).map_err(serde::de::Error::custom)?;
        Ok(Blob(raw.into()))
    }
}

/// The order in which an entry's keys were read: positions in the field list, `OTHER` for the next
/// key of `rest`. Two entries that differ only in it are equal.
#[derive(Clone, Debug, Default)]
pub struct Order(Box<[u8]>);

const OTHER: u8 = u8::MAX;

impl PartialEq for Order {
    fn eq(&self, _: &Order) -> bool {
        true
    }
}

macro_rules! entry {
    ($($(#[$doc:meta])* $field:ident: $type:ty = $name:literal,)*) => {
        #[derive(Clone, Debug, Default, PartialEq)]
        pub struct Entry {
            $($(#[$doc])* pub $field: Option<$type>,)*
            /// Fields of other versions, and known ones whose value has another type.
            pub rest: Map<String, Value>,
            pub order: Order,
        }

        const FIELDS: &[&str] = &[$($name),*];

        impl Entry {
            /// Takes `raw` into the field called `name`; false when it does not fit.
            fn take(&mut self, name: &str, raw: &RawValue) -> bool {
                match name {
                    $($name => {
                        self.$field = serde_json::from_str::<$type>(raw.get()).ok();
                        self.$field.is_some()
                    })*
                    _ => false,
                }
            }

            fn put<M: SerializeMap>(&self, at: usize, map: &mut M) -> Result<bool, M::Error> {
                let name = FIELDS[at];
                match name {
                    $($name => if let Some(value) = &self.$field {
                        map.serialize_entry(name, value)?;
                        return Ok(true);
                    },)*
                    _ => {}
                }
                Ok(false)
            }
        }
    };
}

entry! {
    /// The current transcript; a new one on reset.
    session_id: String = "sessionId",
    /// Milliseconds; never goes back.
    updated_at: u64 = "updatedAt",
    /// Absolute; absent means the default name.
    session_file: String = "sessionFile",
    spawned_by: String = "spawnedBy",
    system_sent: bool = "systemSent",
    aborted_last_run: bool = "abortedLastRun",
    chat_type: String = "chatType",
    thinking_level: String = "thinkingLevel",
    verbose_level: String = "verboseLevel",
    reasoning_level: String = "reasoningLevel",
    elevated_level: String = "elevatedLevel",
    tts_auto: String = "ttsAuto",
    exec_host: String = "execHost",
    exec_security: String = "execSecurity",
    exec_ask: String = "execAsk",
    exec_node: String = "execNode",
    response_usage: String = "responseUsage",
    provider_override: String = "providerOverride",
    model_override: String = "modelOverride",
    auth_profile_override: String = "authProfileOverride",
    auth_profile_override_source: String = "authProfileOverrideSource",
    auth_profile_override_compaction_count: u64 = "authProfileOverrideCompactionCount",
    group_activation: String = "groupActivation",
    group_activation_needs_system_intro: bool = "groupActivationNeedsSystemIntro",
    send_policy: String = "sendPolicy",
    queue_mode: String = "queueMode",
    queue_debounce_ms: u64 = "queueDebounceMs",
    queue_cap: u64 = "queueCap",
    queue_drop: String = "queueDrop",
    /// Of the last model call, like the two below.
    input_tokens: u64 = "inputTokens",
    output_tokens: u64 = "outputTokens",
    /// The context in use, not a sum over calls.
    total_tokens: u64 = "totalTokens",
    model_provider: String = "modelProvider",
    model: String = "model",
    context_tokens: u64 = "contextTokens",
    compaction_count: u64 = "compactionCount",
    memory_flush_at: u64 = "memoryFlushAt",
    memory_flush_compaction_count: u64 = "memoryFlushCompactionCount",
    cli_session_ids: Map<String, Value> = "cliSessionIds",
    claude_cli_session_id: String = "claudeCliSessionId",
    label: String = "label",
    display_name: String = "displayName",
    channel: String = "channel",
    group_id: String = "groupId",
    subject: String = "subject",
    group_channel: String = "groupChannel",
    space: String = "space",
    origin: Map<String, Value> = "origin",
    delivery_context: Map<String, Value> = "deliveryContext",
    last_channel: String = "lastChannel",
    last_to: String = "lastTo",
    last_account_id: String = "lastAccountId",
    /// A string or a number.
    last_thread_id: Value = "lastThreadId",
    last_heartbeat_text: String = "lastHeartbeatText",
    last_heartbeat_sent_at: u64 = "lastHeartbeatSentAt",
    skills_snapshot: Blob = "skillsSnapshot",
    system_prompt_report: Blob = "systemPromptReport",
}

impl Entry {
    /// The kind the key shows, or `group` when the stored chat type says so.
    pub fn kind(&self, key: &str) -> Kind {
        match (key::kind(key), self.chat_type.as_deref()) {
            (Kind::Direct, Some("group" | "channel")) => Kind::Group,
            (kind, _) => kind,
        }
    }

    /// Where replies go from now on: the nested and the flat fields, kept equal.
    pub fn set_route(
        &mut self,
        channel: Option<&str>,
        to: Option<&str>,
        account: Option<&str>,
        thread: Option<&Value>,
    ) {
        let mut context = Map::new();
        for (name, value) in [("channel", channel), ("to", to), ("accountId", account)] {
            if let Some(value) = value {
                context.insert(name.into(), value.into());
            }
        }
        if let Some(thread) = thread {
            context.insert("threadId".into(), thread.clone());
        }
        self.last_channel = channel.map(Into::into);
        self.last_to = to.map(Into::into);
        self.last_account_id = account.map(Into::into);
        self.last_thread_id = thread.cloned();
        self.delivery_context = (!context.is_empty()).then_some(context);
    }

    /// Where replies go: as stored, else put together from the flat fields.
    pub fn route(&self) -> Option<Cow<'_, Map<String, Value>>> {
        if let Some(context) = &self.delivery_context {
            return Some(Cow::Borrowed(context));
        }
        let flat = [
            ("channel", &self.last_channel),
            ("to", &self.last_to),
            ("accountId", &self.last_account_id),
        ];
        let mut context: Map<String, Value> = flat
            .into_iter()
            .filter_map(|(name, value)| Some((name.into(), value.as_deref()?.into())))
            .collect();
        if let Some(thread) = &self.last_thread_id {
            context.insert("threadId".into(), thread.clone());
        }
        (!context.is_empty()).then_some(Cow::Owned(context))
    }

    /// Renames the fields of versions before channels were called so.
    pub(super) fn modernise(&mut self) {
        for (old, new) in [
            ("provider", &mut self.channel),
            ("lastProvider", &mut self.last_channel),
            ("room", &mut self.group_channel),
        ] {
            if new.is_none() {
                if let Some(Value::String(text)) = self.rest.get(old) {
                    *new = Some(text.clone());
                    self.rest.shift_remove(old);
                }
            }
        }
    }

    /// Shares equal blobs with entries seen before; most sessions carry the same skills snapshot.
    pub(super) fn share(&mut self, seen: &mut Vec<Blob>) {
        /// Distinct blobs worth comparing with: they change with the skills, not with the session.
        const SHARED: usize = 16;
        let Some(blob) = &mut self.skills_snapshot else {
            return;
        };
        match seen.iter().rev().find(|known| *known == blob) {
            Some(known) => *blob = known.clone(),
            None if seen.len() < SHARED => seen.push(blob.clone()),
            None => {}
        }
    }
}

impl Serialize for Entry {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(None)?;
        let mut written = [false; FIELDS.len()];
        let unknown = |name: &str| !FIELDS.contains(&name);
        let mut others = self.rest.iter().filter(|(name, _)| unknown(name));
        for &at in &self.order.0 {
            if at == OTHER {
                if let Some((name, value)) = others.next() {
                    map.serialize_entry(name, value)?;
                }
                continue;
            }
            let at = usize::from(at);
            if written[at] {
                continue;
            }
            written[at] = true;
            if !self.put(at, &mut map)? {
                if let Some(value) = self.rest.get(FIELDS[at]) {
                    map.serialize_entry(FIELDS[at], value)?;
                }
            }
        }
        for (at, _) in written.iter().enumerate().filter(|(_, done)| !**done) {
            if !self.put(at, &mut map)? {
                if let Some(value) = self.rest.get(FIELDS[at]) {
                    map.serialize_entry(FIELDS[at], value)?;
                }
            }
        }
        for (name, value) in others {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Entry, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Entry;

            fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
                f.write_str("a session entry")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entry, A::Error> {
                let mut entry = Entry::default();
                let mut order = Vec::new();
                while let Some(name) = map.next_key::<String>()? {
                    let raw = map.next_value::<Box<RawValue>>()?;
                    let at = FIELDS.iter().position(|field| *field == name);
                    let taken = raw.get() != "null" && entry.take(&name, &raw);
                    if !taken {
                        let value =
                            serde_json::from_str(raw.get()).map_err(serde::de::Error::custom)?;
                        entry.rest.insert(name, value);
                    }
                    order.push(at.map_or(OTHER, |at| at as u8));
                }
                entry.order = Order(order.into());
                Ok(entry)
            }
        }
        from.deserialize_map(Read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STORED: &str = r#"{"updatedAt":5,"zebra":{"a":1},"sessionId":"s","totalTokens":"many","apple":2,"label":null,"skillsSnapshot":{"prompt":"p","skills":[]}}"#;

    #[test]
    fn an_entry_keeps_key_order_unknown_fields_and_odd_values() {
        let entry: Entry = serde_json::from_str(STORED).unwrap();
        assert_eq!(entry.session_id.as_deref(), Some("s"));
        assert_eq!(entry.total_tokens, None);
        assert_eq!(serde_json::to_string(&entry).unwrap(), STORED);
        let value: Value = serde_json::from_str(STORED).unwrap();
        assert_eq!(serde_json::from_value::<Entry>(value).unwrap(), entry);
    }

    #[test]
    fn a_new_value_takes_the_place_of_an_odd_one_and_new_fields_follow() {
        let mut entry: Entry = serde_json::from_str(STORED).unwrap();
        entry.total_tokens = Some(7);
        entry.system_sent = Some(true);
        entry.updated_at = None;
        assert_eq!(
            serde_json::to_string(&entry).unwrap(),
            r#"{"zebra":{"a":1},"sessionId":"s","totalTokens":7,"apple":2,"label":null,"skillsSnapshot":{"prompt":"p","skills":[]},"systemSent":true}"#
        );
    }

    #[test]
    fn the_route_is_stored_nested_and_flat() {
        let mut entry = Entry::default();
        entry.set_route(Some("telegram"), Some("telegram:42"), None, None);
        assert_eq!(
            serde_json::to_string(&entry).unwrap(),
            r#"{"deliveryContext":{"channel":"telegram","to":"telegram:42"},"lastChannel":"telegram","lastTo":"telegram:42"}"#
        );
    }

    #[test]
    fn fields_of_older_versions_get_their_new_names() {
        let mut entry: Entry =
            serde_json::from_str(r#"{"provider":"telegram","lastProvider":"x","room":"r"}"#)
                .unwrap();
        entry.modernise();
        assert_eq!(entry.channel.as_deref(), Some("telegram"));
        assert_eq!(entry.group_channel.as_deref(), Some("r"));
        assert!(entry.rest.is_empty());
    }
}
