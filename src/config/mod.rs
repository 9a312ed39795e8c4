//! Configuration: where it lies, how it is read, what it means, how it is edited.
//!
//! `load` never stops at the first fault: it returns a `Snapshot` with every issue, and a typed
//! `Config` that is only used when the snapshot is valid.

pub mod agents;
pub mod bind;
pub mod canvas;
pub mod client;
pub mod defaults;
pub mod dotenv;
pub mod edit;
pub mod env;
pub mod file;
pub mod include;
pub mod json_schema;
pub mod keys;
pub mod layout;
pub mod legacy;
pub mod listen;
pub mod literal;
pub mod live;
pub mod load;
pub mod migrate;
pub mod old_home;
pub mod path;
pub mod paths;
pub mod profile;
pub mod refusal;
pub mod reload;
pub mod rules;
pub mod sandbox;
pub mod schema;
pub mod secrets;
pub mod settings;
pub mod substitute;
pub mod tailnet;
pub mod text;
pub mod tls;

pub use env::Env;
pub use live::{Live, Refused};
pub use load::{Issue, Snapshot};
pub use paths::Paths;
pub use schema::Config;

/// The first thing a program asks: the environment with the profile flags and the `.env` files in
/// it, and where everything lies.
pub fn here(profile: Option<&str>, dev: bool) -> Result<(Paths, Env), profile::Error> {
    let mut env = Env::process();
    profile::apply(&mut env, profile, dev)?;
    let cwd = std::env::current_dir().unwrap_or_else(|_| "/".into());
    let env = env.with_dotenv(&cwd);
    Ok((Paths::resolve(&env, None), env))
}
