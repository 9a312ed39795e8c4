//! `agents.list`, `agent.identity.get`, `agents.files.*`: params and results.

use crate::wire::shape::{NON_EMPTY, STRING, Shape, optional, required};
use serde::{Deserialize, Serialize};

pub const IDENTITY: Shape = Shape::Closed(&[
    optional("agentId", NON_EMPTY),
    optional("sessionKey", STRING),
]);

pub const FILES_LIST: Shape = Shape::Closed(&[required("agentId", NON_EMPTY)]);

pub const FILES_GET: Shape =
    Shape::Closed(&[required("agentId", NON_EMPTY), required("name", NON_EMPTY)]);

pub const FILES_SET: Shape = Shape::Closed(&[
    required("agentId", NON_EMPTY),
    required("name", NON_EMPTY),
    required("content", STRING),
]);

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct FileParams {
    pub agent_id: String,
    pub name: String,
    pub content: String,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Files<'a> {
    pub agent_id: &'a str,
    pub workspace: String,
    pub files: Vec<FileEntry>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OneFile<'a> {
    /// Only in the answer of `agents.files.set`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ok: Option<bool>,
    pub agent_id: &'a str,
    pub workspace: String,
    pub file: FileEntry,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FileEntry {
    pub name: &'static str,
    pub path: String,
    pub missing: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updated_at_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
}
