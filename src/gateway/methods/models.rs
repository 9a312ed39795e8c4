//! `models.list`: what can be asked for, from the catalogue and the configuration.

use super::{Answer, Call};
use crate::gateway::core::Core;
use crate::model::catalogue;
use serde_json::json;
use std::sync::Arc;

pub fn list(core: &Arc<Core>, _call: &Call) -> Answer {
    let snapshot = core.config.current();
    Answer::ok(&json!({"models": catalogue::list(&snapshot)}))
}
