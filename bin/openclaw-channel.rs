//! `openclaw-channel`: one worker, one channel account.

use std::process::ExitCode;

fn main() -> ExitCode {
    openclaw::channel::main()
}
