//! `channels.status`, `channels.logout` and `send`: params and results.

use crate::wire::shape::{BOOL, Field, NON_EMPTY, STRING, Shape, UNSIGNED, optional, required};
use serde::{Deserialize, Serialize};

pub const STATUS: Shape =
    Shape::Closed(&[optional("probe", BOOL), optional("timeoutMs", UNSIGNED)]);

pub const LOGOUT: Shape = Shape::Closed(&[
    required("channel", NON_EMPTY),
    optional("accountId", STRING),
]);

const URLS: Shape = Shape::Array {
    items: &STRING,
    min: 0,
    max: usize::MAX,
};

const SEND_FIELDS: &[Field] = &[
    required("to", NON_EMPTY),
    required("message", NON_EMPTY),
    optional("mediaUrl", STRING),
    optional("mediaUrls", URLS),
    optional("gifPlayback", BOOL),
    optional("channel", STRING),
    optional("accountId", STRING),
    optional("sessionKey", STRING),
    required("idempotencyKey", NON_EMPTY),
];

pub const SEND: Shape = Shape::Closed(SEND_FIELDS);

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct StatusParams {
    pub probe: bool,
    pub timeout_ms: Option<u64>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LogoutParams {
    pub channel: String,
    pub account_id: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SendParams {
    pub to: String,
    pub message: String,
    pub media_url: Option<String>,
    pub media_urls: Vec<String>,
    pub channel: Option<String>,
    pub account_id: Option<String>,
    pub idempotency_key: String,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Sent<'a> {
    pub run_id: &'a str,
    pub message_id: &'a str,
    pub channel: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chat_id: Option<&'a str>,
}
