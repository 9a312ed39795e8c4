//! `openclaw gateway call`: one method, by name.

use super::super::super::Context;
use super::super::super::failure::Failure;
use crate::base::cmdline::{Arg, Command, Flag};
use crate::client::{DEFAULT_TIMEOUT, local};
use serde_json::Value;

const PREFIX: &str = "Gateway call failed";

pub const SPEC: Command = Command {
    name: "call",
    summary: "Call a method of the running gateway and print its result",
    flags: &[
        Flag::switch(
            "expect-final",
            "Wait past an answer that only says accepted",
        ),
        Flag::value("params", "json", "Parameters of the method").default("{}"),
    ],
    args: &[Arg::required(
        "method",
        "Name of the method, such as health",
    )],
    ..Command::NEW
};

pub fn run(context: &mut Context) -> Result<(), Failure> {
    let matches = &context.matches;
    let method = matches.arg(0).unwrap_or_default().to_string();
    let params: Value = serde_json::from_str(matches.text("params").unwrap_or("{}"))
        .map_err(|err| Failure::said(format!("{PREFIX}: SyntaxError: --params: {err}")))?;
    let timeout = local::timeout(matches, DEFAULT_TIMEOUT)?;
    let caller = context
        .local
        .caller()
        .map_err(|err| Failure::prefixed(PREFIX, &err))?;
    let result = match matches.has("expect-final") {
        true => caller.call_expect_final(&method, Some(&params), timeout),
        false => caller.call(&method, Some(&params), timeout),
    }
    .map_err(|err| Failure::prefixed(PREFIX, &err))?;
    if !context.json() {
        let title = context.out.paint(
            super::super::super::output::Colour::Bold,
            &format!("Gateway call: {method}"),
        );
        context.out.line(title)?;
    }
    Ok(context.out.json(&result)?)
}
