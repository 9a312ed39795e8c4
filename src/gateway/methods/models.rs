//! `models.list`: what can be asked for, from the catalogue and the configuration.

use super::{Answer, Call, Method, Run, Scope};
use crate::gateway::core::Core;
use crate::model::catalogue;
use crate::wire::shape::NONE;
use serde_json::json;
use std::sync::Arc;

pub const METHODS: &[Method] = &[Method {
    name: "models.list",
    scope: Scope::Read,
    params: NONE,
    advertised: true,
    run: Run::Pooled(list),
}];

fn list(core: &Arc<Core>, _call: &Call) -> Answer {
    let snapshot = core.config.current();
    Answer::ok(&json!({"models": catalogue::list(&snapshot)}))
}
