//! Sessions on disk in the original's format: keys, the index (`sessions.json`), transcripts.
//!
//! Runs in the core, and in local command line runs. Both formats may be read and written by the
//! original's programs at any time: its lock files are respected, its writes noticed, and nothing
//! it wrote is lost because we do not know it. What cannot be read is never replaced: the error
//! says so and a copy is kept.

mod adopt;
mod archive;
mod cache;
mod conversation;
mod entry;
pub mod envelope;
mod error;
mod guard;
pub mod history;
mod indent;
mod index;
pub mod key;
mod link;
mod load;
pub mod parting;
mod record;
pub mod repair;
pub mod reset;
mod seen;
pub mod stamp;
mod store;
pub mod tail;
#[cfg(test)]
mod tests;
mod transcript;
pub mod usage;

pub use adopt::Adopted;
pub use archive::{ACTIVE_PATIENCE, Shortened};
pub use entry::{Blob, Entry};
pub use error::Error;
pub use index::{Index, Named};
pub use record::{Compaction, MODEL_SNAPSHOT};
pub use store::{Filter, Store};
pub use transcript::{Opening, Transcript};
