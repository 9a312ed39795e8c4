//! `cron.*`: jobs that run by themselves.

use super::{Answer, Call};
use crate::gateway::core::Core;
use crate::gateway::cron::NotRun;
use crate::schedule::Error;
use crate::wire::gateway::cron::{JobParams, NewJob, RUNS_DEFAULT, RUNS_MAX};
use crate::wire::gateway::frame::RpcError;
use serde_json::{Value, json};
use std::sync::Arc;

pub fn list(core: &Arc<Core>, call: &Call) -> Answer {
    let disabled = call.params.get("includeDisabled") == Some(&Value::Bool(true));
    answer(
        core.cron
            .list(core, disabled)
            .map(|jobs| Answer::ok(&json!({"jobs": jobs}))),
    )
}

pub fn status(core: &Arc<Core>, _call: &Call) -> Answer {
    answer(core.cron.status(core).map(|status| Answer::ok(&status)))
}

pub fn add(core: &Arc<Core>, call: &Call) -> Answer {
    let new: NewJob = match call.parse() {
        Ok(new) => new,
        Err(error) => return error.into(),
    };
    answer(core.cron.add(core, new).map(|job| Answer::ok(&job)))
}

pub fn update(core: &Arc<Core>, call: &Call) -> Answer {
    with_job(call, |params| {
        let patch = params.patch.unwrap_or_default();
        let job = core.cron.update(core, &params.id, patch)?;
        Ok(Answer::ok(&job))
    })
}

pub fn remove(core: &Arc<Core>, call: &Call) -> Answer {
    with_job(call, |params| {
        let removed = core.cron.remove(core, &params.id)?;
        Ok(Answer::ok(&json!({"ok": true, "removed": removed})))
    })
}

/// Answers when the run is over; other requests go on meanwhile.
pub fn run(core: &Arc<Core>, call: &Call) -> Answer {
    with_job(call, |params| {
        let force = params.mode.as_deref() == Some("force");
        let responder = call.responder();
        let then = Box::new(move || responder.ok(&json!({"ok": true, "ran": true})));
        let not_run = match core.cron.run(core, &params.id, force, then)? {
            Ok(()) => return Ok(Answer::Later),
            Err(NotRun::NotDue) => "not-due",
            Err(NotRun::Running) => "already-running",
        };
        Ok(Answer::ok(
            &json!({"ok": true, "ran": false, "reason": not_run}),
        ))
    })
}

pub fn runs(core: &Arc<Core>, call: &Call) -> Answer {
    with_job(call, |params| {
        let limit = params
            .limit
            .map_or(RUNS_DEFAULT, |n| n.clamp(1.0, RUNS_MAX as f64) as usize);
        let entries = core.cron.runs(core, &params.id, limit)?;
        Ok(Answer::ok(&json!({"entries": entries})))
    })
}

fn with_job(call: &Call, serve: impl FnOnce(JobParams) -> Result<Answer, Error>) -> Answer {
    match call.parse::<JobParams>() {
        Ok(params) => answer(serve(params)),
        Err(error) => error.into(),
    }
}

fn answer(result: Result<Answer, Error>) -> Answer {
    result.map_err(|err| -> RpcError { err.rpc() }).into()
}
