//! The core: control plane, sessions, agent runs. Runs as `openclaw-gateway: core` under the
//! supervisor; `main` here picks the role.

pub mod broadcast;
pub mod core;
pub mod identity;
pub mod methods;
pub mod ui;

use std::process::ExitCode;

pub fn main() -> ExitCode {
    ExitCode::SUCCESS
}
