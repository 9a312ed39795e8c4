//! The Agent Client Protocol over stdin and stdout: an editor drives a session of the gateway.
//!
//! One thread: it waits for a line of the editor or a frame of the gateway, whichever comes. The
//! editor is trusted as the person who started it; its lines are bounded. A gateway that goes away
//! fails the prompts that wait, and is dialled again at the next request. stdout carries the protocol
//! and nothing else; what there is to tell goes to stderr, with `--verbose`.

mod bridge;
pub mod driver;
mod rpc;
mod words;

pub use bridge::{Bridge, Options};
pub use rpc::Reader;
