//! The memory index: `openclaw-memory`, the only process with SQLite in it, and the way to ask it.
//!
//! `link` runs in who asks: the core, or a command line. Everything else runs in `openclaw-memory`,
//! which is started at the first question, by the supervisor for the core (then it listens on
//! `memory.sock`) or by a command for itself (then it has one end of a socket pair):
//!
//! ```text
//! main, serve     listener, a thread per question
//! files, sessions what belongs into an index; chunk cuts it
//! store           the SQLite file, in the original's form
//! sync            what changed on disk comes into the file
//! vectors         the vectors once more, in a form that is quickly searched
//! search          words and vectors into one list
//! ```
//!
//! It has no configuration, no key and no network: what has to be embedded it hands to the asker.
//! It trusts the asker, who is of its own user, and nothing it reads from the workspace: no symlink
//! is followed, every file, count and text is bounded. The Markdown files are the truth; the index
//! is a cache that may be deleted, and one that is damaged is put aside and made anew. `kill -9` at
//! any moment leaves the file as of the last transaction.

#[cfg(feature = "memory")]
mod chunk;
#[cfg(feature = "memory")]
mod error;
#[cfg(feature = "memory")]
mod files;
pub mod link;
#[cfg(feature = "memory")]
mod main;
#[cfg(feature = "memory")]
mod search;
#[cfg(feature = "memory")]
mod serve;
#[cfg(feature = "memory")]
mod sessions;
#[cfg(feature = "memory")]
mod store;
#[cfg(feature = "memory")]
mod sync;
#[cfg(feature = "memory")]
mod vectors;
#[cfg(feature = "memory")]
mod words;

#[cfg(feature = "memory")]
pub use main::main;

/// The program's name.
pub const PROGRAM: &str = "openclaw-memory";
/// Its row in the supervisor's table.
pub const WORKER_ID: &str = "memory";
