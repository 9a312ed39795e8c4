//! `openclaw gateway health`: the short form of `openclaw health`.

use super::super::super::Context;
use super::super::super::failure::Failure;
use super::super::health;
use crate::base::cmdline::Command;
use crate::client::{DEFAULT_TIMEOUT, local};

pub const SPEC: Command = Command {
    name: "health",
    summary: "Ask the running gateway how it is, in short",
    ..Command::NEW
};

pub fn run(context: &mut Context) -> Result<(), Failure> {
    let timeout = local::timeout(&context.matches, DEFAULT_TIMEOUT)?;
    let caller = context.local.caller()?;
    let result = caller.call("health", None, timeout)?;
    if context.json() {
        return Ok(context.out.json(&result)?);
    }
    context.out.title("Gateway Health")?;
    let ms = result["durationMs"].as_u64().unwrap_or(0);
    context.out.line(format!("OK ({ms}ms)"))?;
    for line in health::channels(&result) {
        context.out.line(line)?;
    }
    Ok(())
}
