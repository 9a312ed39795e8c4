//! Configuration: where it lies, how it is read, what it means, how it is edited.
//!
//! `load` never stops at the first fault: it returns a `Snapshot` with every issue, and a typed
//! `Config` that is only used when the snapshot is valid.

pub mod agents;
pub mod client;
pub mod dotenv;
pub mod env;
pub mod listen;
pub mod live;
pub mod load;
pub mod paths;
pub mod profile;
pub mod schema;
pub mod tailnet;

pub use env::Env;
pub use live::Live;
pub use load::{Issue, Snapshot};
pub use paths::Paths;
pub use schema::Config;
