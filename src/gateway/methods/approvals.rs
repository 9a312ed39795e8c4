//! `exec.approvals.*` and `exec.approval.*`.

use super::{Answer, Call};
use crate::base::id;
use crate::base::time::now_ms;
use crate::gateway::approvals::{Approvals, Asking};
use crate::gateway::core::Core;
use crate::tool::approve::file::Error;
use crate::tool::approve::{Decision, Store};
use crate::wire::gateway::approvals::{
    Answered, RequestParams, ResolveParams, SetParams, TIMEOUT_MS,
};
use crate::wire::gateway::frame::RpcError;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

pub fn get(core: &Arc<Core>, _call: &Call) -> Answer {
    match Store::of(core.config.paths()).ensure() {
        Ok(snapshot) => Answer::ok(&snapshot.shown()),
        Err(err) => refusal(&err).into(),
    }
}

pub fn set(core: &Arc<Core>, call: &Call) -> Answer {
    let params: SetParams = match call.parse() {
        Ok(params) => params,
        Err(error) => return error.into(),
    };
    match Store::of(core.config.paths()).set(&params.file, params.base_hash.as_deref()) {
        Ok(snapshot) => Answer::ok(&snapshot.shown()),
        Err(err) => refusal(&err).into(),
    }
}

fn refusal(err: &Error) -> RpcError {
    match err {
        Error::NoBaseHash | Error::Changed | Error::Unsound(_) => {
            RpcError::invalid(err.to_string())
        }
        Error::Read { .. } | Error::Write { .. } | Error::Lock(_) => {
            RpcError::unavailable(err.to_string())
        }
    }
}

/// A node's own rules. None can be asked for them: nodes are not driven by this version.
pub fn of_node(_core: &Arc<Core>, _call: &Call) -> Answer {
    let error = RpcError::unavailable("node not connected");
    error.with_details(json!({"code": "NOT_CONNECTED"})).into()
}

/// Answered when somebody has decided, or when the time is over.
pub fn request(core: &Arc<Core>, call: &Call) -> Answer {
    let params: RequestParams = match call.parse() {
        Ok(params) => params,
        Err(error) => return error.into(),
    };
    // Milliseconds of at least 1, as its shape says.
    let wait = params.timeout_ms.map_or(TIMEOUT_MS, |ms| ms as u64);
    let asking = Asking {
        id: params.id.unwrap_or_else(id::uuid),
        request: params.request,
        created_at_ms: now_ms(),
        wait: Duration::from_millis(wait),
        conn: Some(call.client.conn_id.clone()),
        session: None,
    };
    let (id, created_at_ms) = (asking.id.clone(), asking.created_at_ms);
    let (responder, expires_at_ms) = (call.responder(), asking.expires_at_ms());
    let answer = Box::new(move |decision: Option<Decision>| {
        responder.ok(&Answered {
            id: &id,
            decision: decision.map(Decision::word),
            created_at_ms,
            expires_at_ms,
        });
    });
    match Approvals::ask(core, &asking, None, answer) {
        Ok(()) => Answer::Later,
        Err(error) => error.into(),
    }
}

pub fn resolve(core: &Arc<Core>, call: &Call) -> Answer {
    let params: ResolveParams = match call.parse() {
        Ok(params) => params,
        Err(error) => return error.into(),
    };
    let Some(decision) = Decision::parse(&params.decision) else {
        return Answer::invalid("invalid decision");
    };
    let client = call.client;
    let by = client.display_name.as_deref().unwrap_or(&client.client_id);
    match core.approvals.resolve(core, &params.id, decision, by) {
        true => Answer::ok(&json!({"ok": true})),
        false => Answer::invalid("unknown approval id"),
    }
}
