//! One frame of an accepted client: checked against the method table, then run.

use super::broadcast::{Client, Responder};
use super::core::Core;
use super::methods::{self, Call, Handler, Run, Scope, scope};
use crate::wire::gateway::frame::RpcError;
use crate::wire::shape::{NON_EMPTY, Shape, optional, required};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::Ordering;

const REQUEST: Shape = Shape::Closed(&[
    required("type", Shape::Literal("req")),
    required("id", NON_EMPTY),
    required("method", NON_EMPTY),
    optional("params", Shape::Any),
]);

/// Requests of one connection that may wait for or run on a pool thread: a page at start sends a
/// dozen; the rest of the pool is for others.
const MAX_IN_FLIGHT: usize = 64;

/// Longest method name repeated in an answer, bytes.
const MAX_NAME: usize = 200;

/// A request frame as it lies in the message.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Frame<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    id: &'a RawValue,
    #[serde(borrow)]
    method: Cow<'a, str>,
    #[serde(borrow, default)]
    params: Option<&'a RawValue>,
}

/// A request frame taken apart.
pub struct Request {
    /// A JSON string, as it came.
    pub id: Box<RawValue>,
    pub method: String,
    /// `{}` when missing or null.
    pub params: Value,
}

/// Why a message is no request.
pub enum Malformed {
    /// Not JSON.
    Unreadable,
    /// JSON, but not a request. Holds the id to answer under and what is wrong.
    Invalid(Box<RawValue>, String),
}

impl Request {
    pub fn read(text: &str) -> Result<Request, Malformed> {
        // The common case borrows; everything odd goes the slow way that can say what is wrong.
        if let Ok(frame) = serde_json::from_str::<Frame>(text) {
            let id = frame.id.get();
            if frame.kind == "req"
                && !frame.method.is_empty()
                && id.starts_with('"')
                && id.len() > 2
            {
                let params = match frame.params {
                    Some(raw) => {
                        serde_json::from_str(raw.get()).map_err(|_| Malformed::Unreadable)?
                    }
                    None => Value::Null,
                };
                return Ok(Request {
                    id: frame.id.to_owned(),
                    method: frame.method.into_owned(),
                    params: or_empty(params),
                });
            }
        }
        Request::read_slowly(text)
    }

    fn read_slowly(text: &str) -> Result<Request, Malformed> {
        let mut value: Value = serde_json::from_str(text).map_err(|_| Malformed::Unreadable)?;
        let id = value
            .get("id")
            .map_or_else(|| "invalid".into(), Value::clone);
        let id = serde_json::value::to_raw_value(&id).expect("a value is JSON");
        let errors = REQUEST.errors(&value);
        if !errors.is_empty() {
            return Err(Malformed::Invalid(id, errors.join("; ")));
        }
        Ok(Request {
            id,
            method: value["method"].as_str().unwrap_or_default().to_string(),
            params: or_empty(value["params"].take()),
        })
    }
}

fn or_empty(params: Value) -> Value {
    if params.is_null() {
        Value::Object(serde_json::Map::new())
    } else {
        params
    }
}

/// Serves one message of an accepted client. Inline methods are answered before this returns.
pub fn message(core: &Arc<Core>, client: &Arc<Client>, text: &str) {
    match Request::read(text) {
        Ok(request) => run(core, client, request),
        Err(Malformed::Unreadable) => {}
        Err(Malformed::Invalid(id, errors)) => {
            let error = RpcError::invalid(format!("invalid request frame: {errors}"));
            client.answer::<()>(&id, None, Some(&error));
        }
    }
}

/// Serves one request. Inline methods are answered before this returns.
pub fn run(core: &Arc<Core>, client: &Arc<Client>, mut request: Request) {
    let (handler, pooled) = match admit(client, &mut request) {
        Ok(admitted) => admitted,
        Err(error) => return client.answer::<()>(&request.id, None, Some(&error)),
    };
    if !pooled {
        return call(core, client, &request, handler);
    }
    let responder = Responder {
        client: client.clone(),
        id: request.id.clone().into(),
    };
    if client.in_flight.fetch_add(1, Ordering::Relaxed) >= MAX_IN_FLIGHT {
        client.in_flight.fetch_sub(1, Ordering::Relaxed);
        return responder.error(&RpcError::unavailable(format!(
            "more than {MAX_IN_FLIGHT} requests of this connection are in work; wait for an answer"
        )));
    }
    let (core, client) = (core.clone(), client.clone());
    let pool = core.pool.clone();
    let job = move || {
        call(&core, &client, &request, handler);
        client.in_flight.fetch_sub(1, Ordering::Relaxed);
    };
    if pool.run(job).is_err() {
        responder.client.in_flight.fetch_sub(1, Ordering::Relaxed);
        responder.error(&RpcError::unavailable(
            "the gateway has too many requests waiting; try again",
        ));
    }
}

/// What serves the request, and whether on a pool thread, once everything about it that the table
/// knows is checked. Whether a method exists is told only to those who may call it.
fn admit(client: &Client, request: &mut Request) -> Result<(Handler, bool), RpcError> {
    let name = request.method.as_str();
    let row = methods::find(name);
    if row.is_some_and(|row| matches!(row.run, Run::First)) {
        return Err(first_only());
    }
    scope::check(client, row.map_or(Scope::Admin, |row| row.scope))?;
    let Some(row) = row else {
        let shown = crate::net::frame::cut(name, MAX_NAME);
        return Err(RpcError::invalid(format!("unknown method: {shown}")));
    };
    let admitted = match row.run {
        Run::Inline(handler) => (handler, false),
        Run::Pooled(handler) => (handler, true),
        Run::Absent(why) => {
            return Err(RpcError::unavailable(format!(
                "{name} is not served by this version: {why}"
            )));
        }
        Run::First => return Err(first_only()),
    };
    if let Some(tidy) = row.tidy {
        request.params = tidy(request.params.take());
    }
    let errors = row.params.errors(&request.params);
    if !errors.is_empty() {
        return Err(RpcError::invalid(format!(
            "invalid {name} params: {}",
            errors.join("; ")
        )));
    }
    Ok(admitted)
}

fn first_only() -> RpcError {
    RpcError::invalid("connect is only valid as the first request")
}

fn call(core: &Arc<Core>, client: &Arc<Client>, request: &Request, handler: Handler) {
    let answer = handler(
        core,
        &Call {
            client,
            id: &request.id,
            params: &request.params,
        },
    );
    answer.give(client, &request.id);
}

#[cfg(test)]
mod tests {
    use super::super::broadcast::tests::{client, next};
    use super::super::core::tests::core;
    use super::*;
    use serde_json::json;

    fn ask(frames: &[&str]) -> Vec<Value> {
        let (core, dir) = core("{}");
        let (client, mut far) = client("operator", &["operator.read", "operator.pairing"]);
        for frame in frames {
            message(&core, &client, frame);
        }
        let answers = frames.iter().map(|_| next(&mut far)).collect();
        std::fs::remove_dir_all(dir).unwrap();
        answers
    }

    #[test]
    fn a_malformed_request_is_answered_under_its_own_id() {
        let answers = ask(&[
            r#"{"type":"req","id":7,"method":"health"}"#,
            r#"{"type":"req","method":"health","x":1}"#,
            r#"{"type":"req","id":"a","method":"","params":1}"#,
            "[]",
        ]);
        assert_eq!(answers[0]["id"], 7);
        assert_eq!(
            answers[0]["error"],
            json!({"code":"INVALID_REQUEST",
                   "message":"invalid request frame: at /id: must be string"})
        );
        assert_eq!(answers[1]["id"], "invalid");
        assert_eq!(
            answers[1]["error"]["message"],
            "invalid request frame: must have required property 'id'; \
             at root: unexpected property 'x'"
        );
        assert_eq!(
            answers[2]["error"]["message"],
            "invalid request frame: at /method: must NOT have fewer than 1 characters"
        );
        assert_eq!(
            answers[3]["error"]["message"],
            "invalid request frame: must be object"
        );
    }

    #[test]
    fn scope_comes_before_existence_and_existence_before_params() {
        let answers = ask(&[
            r#"{"type":"req","id":"1","method":"toString"}"#,
            r#"{"type":"req","id":"2","method":"connect"}"#,
            r#"{"type":"req","id":"3","method":"device.pair.approve","params":{"x":1}}"#,
            r#"{"type":"req","id":"4","method":"device.pair.approve","params":{"requestId":"r"}}"#,
        ]);
        let messages: Vec<&str> = answers
            .iter()
            .map(|a| a["error"]["message"].as_str().unwrap())
            .collect();
        assert_eq!(
            messages,
            [
                "missing scope: operator.admin",
                "connect is only valid as the first request",
                "invalid device.pair.approve params: must have required property 'requestId'; \
                 at root: unexpected property 'x'",
                "unknown requestId",
            ]
        );
    }

    #[test]
    fn text_that_is_not_json_is_ignored() {
        let (core, dir) = core("{}");
        let (client, mut far) = client("operator", &[]);
        let deep = "[".repeat(100_000);
        for text in ["", "{", "\u{0}", &deep] {
            message(&core, &client, text);
        }
        message(
            &core,
            &client,
            r#"{"type":"req","id":"z","method":"connect"}"#,
        );
        assert_eq!(next(&mut far)["id"], "z");
        std::fs::remove_dir_all(dir).unwrap();
    }
}
