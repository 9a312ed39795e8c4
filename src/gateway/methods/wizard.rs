//! `wizard.*`.

use super::{Answer, Call};
use crate::gateway::core::Core;
use crate::gateway::wizard::Refused;
use crate::wire::gateway::frame::RpcError;
use crate::wire::gateway::wizard::{NextParams, SessionParams, StartParams};
use std::sync::Arc;

pub fn start(core: &Arc<Core>, call: &Call) -> Answer {
    let started = call.parse().and_then(|params: StartParams| {
        let told = core
            .wizard
            .start(core, params.mode, params.workspace, |now| Answer::ok(now));
        told.map_err(refusal)
    });
    started.into()
}

pub fn next(core: &Arc<Core>, call: &Call) -> Answer {
    let went = call.parse().and_then(|params: NextParams| {
        let (id, answer) = (&params.session_id, params.answer);
        let told = core.wizard.next(core, id, answer, |now| Answer::ok(now));
        told.map_err(refusal)
    });
    went.into()
}

pub fn cancel(core: &Arc<Core>, call: &Call) -> Answer {
    let ended = call.parse().and_then(|params: SessionParams| {
        let told = core
            .wizard
            .cancel(&params.session_id, |now| Answer::ok(now));
        told.map_err(refusal)
    });
    ended.into()
}

pub fn status(core: &Arc<Core>, call: &Call) -> Answer {
    let told = call.parse().and_then(|params: SessionParams| {
        let told = core
            .wizard
            .status(&params.session_id, |now| Answer::ok(now));
        told.map_err(refusal)
    });
    told.into()
}

fn refusal(why: Refused) -> RpcError {
    match why {
        Refused::AlreadyRunning => RpcError::unavailable("wizard already running"),
        Refused::NotFound => RpcError::invalid("wizard not found"),
        Refused::NotRunning => RpcError::invalid("wizard not running"),
        Refused::NoSuchStep => RpcError::unavailable("Error: wizard: no pending step"),
    }
}
