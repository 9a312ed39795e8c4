//! Configuration: where it lies, how it is read, what it means, how it is edited.
//!
//! `load` never stops at the first fault: it returns a `Snapshot` with every issue, and a typed
//! `Config` that is only used when the snapshot is valid.

pub mod agents;
pub mod env;
pub mod live;
pub mod load;
pub mod paths;
pub mod schema;

pub use env::Env;
pub use live::Live;
pub use load::{Issue, Snapshot};
pub use paths::Paths;
pub use schema::Config;
