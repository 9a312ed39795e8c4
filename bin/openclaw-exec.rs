//! `openclaw-exec`: the tool runner, the only process that starts commands for the agent.

use std::process::ExitCode;

fn main() -> ExitCode {
    openclaw::exec::main()
}
