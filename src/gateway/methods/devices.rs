//! `device.pair.*` and `device.token.*`.

use super::{Answer, Call};
use crate::base::time::now_ms;
use crate::gateway::broadcast::Rules;
use crate::gateway::core::Core;
use crate::wire::gateway::frame::RpcError;
use crate::wire::shape::{NON_EMPTY, STRING_LIST, Shape, optional, required};
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;

pub const REQUEST: Shape = Shape::Closed(&[required("requestId", NON_EMPTY)]);
pub const TOKEN: Shape =
    Shape::Closed(&[required("deviceId", NON_EMPTY), required("role", NON_EMPTY)]);
pub const ROTATE: Shape = Shape::Closed(&[
    required("deviceId", NON_EMPTY),
    required("role", NON_EMPTY),
    optional("scopes", STRING_LIST),
]);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request {
    request_id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Token {
    device_id: String,
    role: String,
    scopes: Option<Vec<String>>,
}

pub fn list(core: &Arc<Core>, _call: &Call) -> Answer {
    let (pending, paired) = core.devices.list();
    let paired: Vec<_> = paired.iter().map(|d| d.shown()).collect();
    Answer::ok(&json!({"pending": pending, "paired": paired}))
}

pub fn approve(core: &Arc<Core>, call: &Call) -> Answer {
    decide(call, |request| {
        let (pending, device) = core.devices.approve(&request.request_id)?;
        resolved(core, &pending.request_id, &pending.device_id, "approved");
        Some(Answer::ok(
            &json!({"requestId": pending.request_id, "device": device.shown()}),
        ))
    })
}

pub fn reject(core: &Arc<Core>, call: &Call) -> Answer {
    decide(call, |request| {
        let pending = core.devices.reject(&request.request_id)?;
        resolved(core, &pending.request_id, &pending.device_id, "rejected");
        Some(Answer::ok(
            &json!({"requestId": pending.request_id, "deviceId": pending.device_id}),
        ))
    })
}

fn decide(call: &Call, act: impl FnOnce(Request) -> Option<Answer>) -> Answer {
    call.parse()
        .map(|request| act(request).unwrap_or_else(|| Answer::invalid("unknown requestId")))
        .into()
}

/// Tells operators that a request was decided; silent approvals are told too.
pub fn resolved(core: &Core, request_id: &str, device_id: &str, decision: &str) {
    core.clients.broadcast(
        "device.pair.resolved",
        &json!({
            "requestId": request_id,
            "deviceId": device_id,
            "decision": decision,
            "ts": now_ms(),
        }),
        Rules::PAIRING,
    );
}

pub fn rotate(core: &Arc<Core>, call: &Call) -> Answer {
    let rotated = call.parse().and_then(|params: Token| {
        let role = params.role.trim();
        let token = core
            .devices
            .rotate(&params.device_id, role, params.scopes)
            .ok_or_else(unknown)?;
        Ok(Answer::ok(&json!({
            "deviceId": params.device_id,
            "role": token.role,
            "token": token.token,
            "scopes": token.scopes,
            "rotatedAtMs": token.issued_at_ms(),
        })))
    });
    rotated.into()
}

pub fn revoke(core: &Arc<Core>, call: &Call) -> Answer {
    let revoked = call.parse().and_then(|params: Token| {
        let role = params.role.trim();
        let at = core
            .devices
            .revoke(&params.device_id, role)
            .ok_or_else(unknown)?;
        Ok(Answer::ok(
            &json!({"deviceId": params.device_id, "role": role, "revokedAtMs": at}),
        ))
    });
    revoked.into()
}

fn unknown() -> RpcError {
    RpcError::invalid("unknown deviceId/role")
}
