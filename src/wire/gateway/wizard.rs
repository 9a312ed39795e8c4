//! `wizard.*`: a conversation in typed steps.

use crate::wire::shape::{NON_EMPTY, STRING, Shape, optional, required};
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub const START: Shape = Shape::Closed(&[
    optional("mode", Shape::OneOf(&["local", "remote"])),
    optional("workspace", STRING),
]);

pub const NEXT: Shape = Shape::Closed(&[
    required("sessionId", NON_EMPTY),
    optional(
        "answer",
        Shape::Closed(&[required("stepId", NON_EMPTY), optional("value", Shape::Any)]),
    ),
]);

pub const SESSION: Shape = Shape::Closed(&[required("sessionId", NON_EMPTY)]);

#[derive(Deserialize)]
pub struct StartParams {
    pub mode: Option<String>,
    pub workspace: Option<String>,
}

/// No Debug: an answer may be a key.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NextParams {
    pub session_id: String,
    pub answer: Option<Answer>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    pub step_id: String,
    #[serde(default)]
    pub value: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionParams {
    pub session_id: String,
}

#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Step {
    pub id: String,
    #[serde(rename = "type")]
    pub kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<Choice>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub initial_value: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub placeholder: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sensitive: Option<bool>,
    pub executor: &'static str,
}

#[derive(Clone, Debug, Serialize)]
pub struct Choice {
    pub value: Value,
    pub label: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// What every method of the family answers, each with its part of it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Standing<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub done: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<&'a Step>,
    pub status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<&'a str>,
}
