//! `config.*`: the configuration as it is on disk now, and changes of it.
//!
//! What is written is taken up by `reload`, as any saved file is; `config.apply` and
//! `config.patch` have the core replaced besides, after their answer.

use super::{Answer, Call};
use crate::base::time::{now_iso, now_ms};
use crate::config::edit::{self, Base, Done, Error};
use crate::config::{Snapshot, json_schema, load};
use crate::gateway::core::Core;
use crate::gateway::restart;
use crate::wire::gateway::config::{Schema, SentinelPayload, Write, Written};
use crate::wire::gateway::frame::RpcError;
use crate::wire::version;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::sync::Arc;

/// Of an operator's remark that the next start repeats.
const MAX_NOTE_CHARS: usize = 2_000;

/// Reads the file anew: a client that is about to edit needs the hash of what is there, not of what
/// runs.
pub fn get(core: &Arc<Core>, _call: &Call) -> Answer {
    let Snapshot {
        path,
        exists,
        raw,
        parsed,
        valid,
        value,
        hash,
        issues,
        warnings,
        legacy_issues,
        ..
    } = load::load(core.config.paths(), core.config.env());
    Answer::ok(&json!({
        "path": path,
        "exists": exists,
        "raw": raw,
        "parsed": parsed,
        "valid": valid,
        "config": value,
        "hash": hash,
        "issues": issues,
        "warnings": warnings,
        "legacyIssues": legacy_issues,
    }))
}

/// The tables as a JSON schema, and what a form shows beside each key.
pub fn schema(_core: &Arc<Core>, _call: &Call) -> Answer {
    let raw = |text| RawValue::from_string(text).expect("the tables are written as JSON");
    Answer::ok(&Schema {
        schema: raw(json_schema::schema()),
        ui_hints: raw(json_schema::hints()),
        version: version::BEHAVIOUR,
        generated_at: now_iso(),
    })
}

/// A whole new text.
pub fn set(core: &Arc<Core>, call: &Call) -> Answer {
    write(core, call, "config.set").into()
}

/// A whole new text, and a fresh core.
pub fn apply(core: &Arc<Core>, call: &Call) -> Answer {
    write(core, call, "config.apply").into()
}

/// A part of the configuration, and a fresh core.
pub fn patch(core: &Arc<Core>, call: &Call) -> Answer {
    write(core, call, "config.patch").into()
}

fn write(core: &Arc<Core>, call: &Call, method: &str) -> Result<Answer, RpcError> {
    let params: Write = call.parse()?;
    let (paths, env) = (core.config.paths(), core.config.env());
    let base = Base::Seen(params.base_hash.as_deref().map(str::trim));
    let done = match method {
        "config.patch" => edit::patch(paths, env, base, &params.raw),
        _ => edit::replace(paths, env, base, &params.raw),
    }
    .map_err(refusal)?;
    let config = shown(&done);
    let mut written = Written {
        ok: true,
        path: paths.config.display().to_string(),
        config: &config,
        restart: None,
        sentinel: None,
    };
    if method == "config.set" {
        return Ok(Answer::ok(&written));
    }
    let text = |text: &Option<String>| {
        let text = text.as_deref().map(str::trim).unwrap_or_default();
        let text: String = text.chars().take(MAX_NOTE_CHARS).collect();
        (!text.is_empty()).then_some(text)
    };
    let payload = SentinelPayload {
        kind: "config-apply".into(),
        status: "ok".into(),
        ts: now_ms(),
        session_key: text(&params.session_key),
        message: text(&params.note),
        doctor_hint: "Run: openclaw doctor --non-interactive".into(),
        stats: json!({"mode": method, "root": paths.config}),
    };
    written.sentinel = Some(restart::leave_note(paths, payload));
    written.restart = Some(restart::plan(core, params.restart_delay_ms, method));
    Ok(Answer::ok(&written))
}

/// What is in force, with the stamp that was there before, as the original shows it.
fn shown(done: &Done) -> Value {
    let mut config = done.after.value.clone();
    if let Some(map) = config.as_object_mut() {
        match done.before.parsed.get("meta") {
            Some(meta) => drop(map.insert("meta".into(), meta.clone())),
            None => drop(map.shift_remove("meta")),
        }
    }
    config
}

fn refusal(err: Error) -> RpcError {
    match &err {
        Error::Invalid(snapshot) => {
            let mut refused = RpcError::invalid("invalid config");
            refused.details = Some(json!({"issues": snapshot.issues}));
            refused
        }
        Error::Lock(_) | Error::Write { .. } => RpcError::unavailable(err.to_string()),
        _ => RpcError::invalid(err.to_string()),
    }
}
