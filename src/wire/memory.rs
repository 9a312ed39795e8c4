//! The lines between who asks and the memory index (`openclaw-memory`): one question, then answers
//! until the last one. In between the index may want texts embedded, which it cannot do itself: it
//! has no key and no network.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Longest line either side accepts, bytes: a batch of vectors of 3,072 numbers.
pub const MAX_LINE: usize = 8 * 1024 * 1024;
/// Name, in the environment of an index that serves one asker, of its end of a socket pair.
pub const FD_VARIABLE: &str = "OPENCLAW_MEMORY_FD";

/// The provider of an index without vectors, in the file and in answers.
pub const NO_PROVIDER: &str = "none";
/// Its model.
pub const WORDS_ONLY: &str = "fts-only";

/// Which index, and what belongs into it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Index {
    /// The SQLite file.
    pub store: PathBuf,
    /// What is ours alone: the vectors in a form that is quickly searched, the lock.
    pub aside: PathBuf,
    pub workspace: PathBuf,
    /// More folders and `.md` files.
    pub extra: Vec<PathBuf>,
    /// Index `MEMORY.md` and `memory/`.
    pub files: bool,
    /// The folder of transcripts, when they are a source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sessions: Option<PathBuf>,
    pub provider: String,
    pub model: String,
    /// Changes with everything that makes vectors incomparable.
    pub provider_key: String,
    /// Tokens of a chunk, and how many of them the next one repeats.
    pub chunk_tokens: usize,
    pub chunk_overlap: usize,
    pub cache: bool,
    /// Vectors kept for texts that may come back; 0: all.
    pub cache_entries: u64,
    /// A transcript that grew by less than both is left as it is indexed.
    pub session_bytes: u64,
    pub session_messages: u64,
}

impl Index {
    pub fn has_vectors(&self) -> bool {
        self.provider != NO_PROVIDER
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Ask {
    Search {
        index: Index,
        query: String,
        /// Bring the index up to date first.
        sync: bool,
        /// Embedding may go on that long, milliseconds; then what there is is searched.
        patience_ms: u64,
        weights: Weights,
        max_results: usize,
        min_score: f64,
    },
    Sync {
        index: Index,
        /// Everything anew.
        force: bool,
    },
    Status {
        index: Index,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Weights {
    /// The two add up to 1.
    pub vector: f64,
    pub text: f64,
    /// Both sides look for so many times the wanted results.
    pub candidates: usize,
}

/// What the asker answers to `embed`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "camelCase")]
pub enum Embedded {
    Vectors { vectors: Vec<Vec<f32>> },
    Failed { why: String },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Answer {
    /// Not the last: the asker says `vectors` or `failed`.
    Embed {
        texts: Vec<String>,
        /// The question itself, not something to be indexed.
        query: bool,
    },
    /// Not the last.
    Progress {
        done: u64,
        total: u64,
    },
    /// Not the last: for the log.
    Note {
        text: String,
    },
    Found {
        results: Vec<Found>,
        /// Why only words were compared, if so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        words_only: Option<String>,
        /// Chunks that have no vector yet.
        pending: u64,
    },
    Synced(Synced),
    Status(Box<Status>),
    Failed {
        why: String,
    },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Found {
    pub path: String,
    pub start_line: u64,
    pub end_line: u64,
    pub score: f64,
    pub snippet: String,
    pub source: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Synced {
    pub files: u64,
    pub removed: u64,
    pub embedded: u64,
    pub pending: u64,
    /// Why not everything has a vector, if so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    pub files: u64,
    pub chunks: u64,
    /// Something on disk is not what the index has.
    pub dirty: bool,
    pub sources: Vec<Counts>,
    pub cached: u64,
    /// Of the vectors, when there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dims: Option<u64>,
    pub pending: u64,
    pub issues: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    pub source: String,
    /// Indexed.
    pub files: u64,
    pub chunks: u64,
    /// On disk.
    pub total_files: u64,
    pub issues: Vec<String>,
}
