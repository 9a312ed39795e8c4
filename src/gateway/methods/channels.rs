//! `channels.status`, `channels.logout`, `send`: what clients may ask of channels.

use super::{Answer, Call};
use crate::gateway::channels::{self, Order};
use crate::gateway::core::Core;
use crate::gateway::dedupe::Stored;
use crate::wire::gateway::channels::{LogoutParams, SendParams, Sent, StatusParams};
use crate::wire::gateway::frame::RpcError;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

/// For probes, when the caller does not say; and the least.
const PROBE: Duration = Duration::from_secs(10);
const LEAST_PROBE: Duration = Duration::from_secs(1);
/// A service is slower than that only when it is not there.
const MOST_PROBE: Duration = Duration::from_secs(60);
/// For a service to take a message: shorter than clients wait.
const SENDING: Duration = Duration::from_secs(25);
/// Namespace of stored answers.
const KEPT: &str = "send";
/// What the original sends through when nobody says.
const USUAL: &str = "whatsapp";

pub fn status(core: &Arc<Core>, call: &Call) -> Answer {
    let params: StatusParams = match call.parse() {
        Ok(params) => params,
        Err(error) => return error.into(),
    };
    if !params.probe {
        return Answer::ok(&channels::status(core));
    }
    let patience = params.timeout_ms.map_or(PROBE, Duration::from_millis);
    let (shared, responder) = (core.clone(), call.responder());
    let told = move || responder.ok(&channels::status(&shared));
    channels::probe(
        core,
        patience.clamp(LEAST_PROBE, MOST_PROBE),
        Box::new(told),
    );
    Answer::Later
}

pub fn logout(core: &Arc<Core>, call: &Call) -> Answer {
    let params: LogoutParams = match call.parse() {
        Ok(params) => params,
        Err(error) => return error.into(),
    };
    let account = match channels::find(core, &params.channel, params.account_id.as_deref()) {
        Ok(account) => account,
        Err(why) => return Answer::invalid(why),
    };
    if !channels::can_login(core, &account) {
        return Answer::invalid(format!(
            "channel {} does not support logout",
            params.channel
        ));
    }
    let responder = call.responder();
    let name = account.name.clone();
    let told = move |answer: Result<Value, String>| match answer {
        Ok(mut result) => {
            if !result.is_object() {
                result = serde_json::json!({});
            }
            result["channel"] = params.channel.into();
            result["accountId"] = name.into();
            if result.get("cleared").is_none() {
                result["cleared"] = true.into();
            }
            responder.ok(&result);
        }
        Err(why) => responder.error(&RpcError::unavailable(why)),
    };
    channels::logout(core, &account, Box::new(told));
    Answer::Later
}

pub fn send(core: &Arc<Core>, call: &Call) -> Answer {
    let params: SendParams = match call.parse() {
        Ok(params) => params,
        Err(error) => return error.into(),
    };
    if let Some(kept) = core.dedupe.get(KEPT, &params.idempotency_key) {
        return kept.into();
    }
    let kind = params
        .channel
        .as_deref()
        .map(str::trim)
        .filter(|kind| !kind.is_empty());
    let kind = kind.unwrap_or(USUAL).to_lowercase();
    let media: Vec<String> = params
        .media_url
        .into_iter()
        .chain(params.media_urls)
        .collect();
    let order = Order {
        kind: kind.clone(),
        account: params.account_id,
        to: params.to.trim().to_string(),
        thread: None,
        text: params.message,
        media,
        agent: None,
    };
    let (shared, responder, run_id) = (core.clone(), call.responder(), params.idempotency_key);
    let told = move |answer: Result<Value, String>| {
        let stored = match &answer {
            Ok(sent) => Stored::ok(&Sent {
                run_id: &run_id,
                message_id: sent["messageIds"][0].as_str().unwrap_or("unknown"),
                channel: &kind,
                chat_id: sent["chat"].as_str(),
            }),
            Err(why) => Stored {
                payload: None,
                error: Some(RpcError::unavailable(why.clone())),
            },
        };
        shared.dedupe.put(KEPT, &run_id, stored.clone());
        Answer::from(stored).give(&responder.client, &responder.id);
    };
    match channels::send(core, &order, SENDING, Box::new(told)) {
        Ok(()) => Answer::Later,
        Err(why) => Answer::invalid(why),
    }
}
