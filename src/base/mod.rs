//! The ground floor: small nouns every process needs. Nothing here knows what a gateway is.

pub mod atomic;
pub mod cancel;
pub mod cmdline;
pub mod dayfile;
pub mod exit;
pub mod hex;
pub mod id;
pub mod jsonl;
pub mod lock;
pub mod logging;
pub mod logtail;
pub mod secret;
pub mod surrogate;
pub mod sys;
pub mod time;
