//! `openclawctl`: the command line for scripts.

use std::process::ExitCode;

fn main() -> ExitCode {
    openclaw::ctl::main()
}
