//! `openclaw-memory`: the memory index, the only process with SQLite in it.

use std::process::ExitCode;

fn main() -> ExitCode {
    openclaw::memory::main()
}
