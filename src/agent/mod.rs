//! The agent: one turn from the user's words to the assistant's, and what it needs around it.
//!
//! Runs in the core, on the threads of its lanes. It does no network and no session I/O of its own:
//! the model is a `model::Client`, tools a `turn::Toolbox`, the transcript a `turn::Memory`, and
//! what happens is told to an `event::Sink`. Only `workspace` touches files: the ones it injects.

pub mod clean;
pub mod directive;
pub mod event;
pub mod failover;
pub mod history;
pub mod inbound;
pub mod lane;
pub mod levels;
pub mod payload;
pub mod prompt;
pub mod sending;
pub mod turn;
pub mod workspace;
