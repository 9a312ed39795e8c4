//! `config.get`: the configuration as it is on disk now.

use super::{Answer, Call};
use crate::config::{Snapshot, load};
use crate::gateway::core::Core;
use serde_json::json;
use std::sync::Arc;

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
