//! `config.get`: the configuration as it is on disk now.

use super::{Answer, Call, Method, Run, Scope};
use crate::config::{Snapshot, load};
use crate::gateway::core::Core;
use crate::wire::shape::NONE;
use serde_json::json;
use std::sync::Arc;

pub const METHODS: &[Method] = &[Method {
    name: "config.get",
    scope: Scope::Admin,
    params: NONE,
    advertised: true,
    run: Run::Pooled(get),
}];

/// Reads the file anew: a client that is about to edit needs the hash of what is there, not of what
/// runs.
fn get(core: &Arc<Core>, _call: &Call) -> Answer {
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
