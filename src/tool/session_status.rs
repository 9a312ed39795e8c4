//! `session_status`: the status card of a session, and another model for it.
//!
//! The card has the date and the time: models that have no clock ask here.

use super::sessions::{Requester, refusal};
use super::{Call, Context, Error, Output, Tool};
use serde_json::{Value, json};

pub const TOOL: Tool = Tool {
    name: "session_status",
    summary: "Show a session's status card: model, tokens, date and time; choose its model",
    description: "Shows the status card of this session or of another: the date and time, model, \
        tokens used, how full the context is, settings. With model, the session uses that one \
        from its next turn on; \"default\" takes that back.",
    parameters: r#"{"type":"object","properties":{
        "sessionKey":{"description":"This session when left out","type":"string"},
        "model":{"description":"An alias or provider/model","type":"string"}}}"#,
    run,
};

fn run(call: &Call, ctx: &Context) -> Result<Output, Error> {
    let named = call.first_of(&["sessionKey"]).map(str::trim);
    let key = match named.filter(|named| *named != ctx.session_key) {
        None => ctx.session_key.to_string(),
        Some(named) => match Requester::of(ctx).reach(named, "status") {
            Ok(session) => session.key,
            Err(refused) => return Ok(refusal(refused)),
        },
    };
    let is_own = key == ctx.session_key;
    if !is_own && ctx.call("sessions.resolve", json!({"key": key})).is_err() {
        return Err(Error(format!("Unknown sessionKey: {key}")));
    }
    let mut changed = false;
    if let Some(model) = call.first_of(&["model"]).map(str::trim) {
        let model = match model.eq_ignore_ascii_case("default") {
            true => Value::Null,
            false => model.into(),
        };
        ctx.call("sessions.patch", json!({"key": key, "model": model}))?;
        changed = true;
    }
    let card = ctx.call("sessions.card", json!({"sessionKey": key}))?;
    let card = card["card"].as_str().unwrap_or_default();
    Ok(Output::text(card).with_details(json!({
        "ok": true,
        "sessionKey": key,
        "changedModel": changed,
        "statusText": card,
    })))
}
