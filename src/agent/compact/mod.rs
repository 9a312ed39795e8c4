//! Compaction: what of a long conversation gives way to a summary, and how the summary is asked
//! for.
//!
//! Runs on the thread of a turn, or of a session's upkeep. `plan` and `text` are pure; `work` asks
//! the model and hands the summary to the transcript. Nothing is deleted: the transcript keeps
//! every line, only the context that models see gets shorter. The conversation is material here:
//! the summariser is told not to act on it, gets no tools, and every text in it is bounded.
//! A failure leaves the conversation as it was.

mod plan;
mod text;
mod work;

pub use plan::{Plan, RESERVE, Room, plan, tokens};
pub use work::{Done, Failure, Record, Work, run};
