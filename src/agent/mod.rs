//! The agent: one turn from the user's words to the assistant's, and what it needs around it.
//!
//! Runs in the core, on the threads of its lanes. It does no network and no session I/O of its own:
//! the model is a `model::Client`, tools a `turn::Toolbox`, the transcript a `turn::Memory`, and
//! what happens is told to an `event::Sink`. Only `workspace`, `files` and `skills` touch
//! files: the ones that are injected, edited, listed.

pub mod clean;
pub mod command;
pub mod compact;
pub mod directive;
pub mod event;
pub mod failover;
pub mod files;
pub mod group;
pub mod history;
pub mod hooks;
pub mod inbound;
pub mod lane;
pub mod levels;
pub mod mentioned;
pub mod payload;
pub mod prompt;
pub mod prune;
pub mod queue;
pub mod route;
pub mod sending;
pub mod skills;
pub mod trim;
pub mod turn;
pub mod workspace;
