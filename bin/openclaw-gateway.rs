//! `openclaw-gateway`: the daemon. The role (supervisor or core) is read from argv\[0\].

use std::process::ExitCode;

fn main() -> ExitCode {
    openclaw::gateway::main()
}
