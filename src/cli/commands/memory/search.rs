//! `openclaw memory search`: what the agent would find.

use super::super::super::Context;
use super::super::super::failure::Failure;
use super::super::super::output::Colour;
use crate::base::cancel::Cancel;
use crate::base::cmdline::{Arg, Command, Flag};
use crate::wire::memory::Found;
use serde_json::json;

pub const SPEC: Command = Command {
    name: "search",
    summary: "Find notes by what they say",
    flags: &[
        Flag::value("max-results", "n", "Most results"),
        Flag::value("min-score", "n", "Least score, from 0 to 1"),
    ],
    args: &[Arg::required("query", "What is looked for")],
    ..Command::NEW
};

pub fn run(context: &mut Context) -> Result<(), Failure> {
    let agent =
        super::named(context)?.unwrap_or_else(|| context.local.snapshot.config.default_agent_id());
    let usage = Failure::Usage;
    let most = context
        .matches
        .number::<u64>("max-results")
        .map_err(usage)?;
    let least = context.matches.number::<f64>("min-score").map_err(usage)?;
    let query = context.matches.arg(0).unwrap_or_default().to_string();
    let Some(settings) = super::settings(context, &agent)? else {
        return Ok(());
    };
    let answered = super::memory()
        .search(settings, &query, most, least, &Cancel::new())
        .map_err(|why| Failure::said(format!("Memory search failed: {why}")))?;
    if let Some(why) = &answered.words_only {
        eprintln!("openclaw: only words were compared: {why}");
    }
    if context.json() {
        return Ok(context.out.json(&json!({"results": answered.results}))?);
    }
    if answered.results.is_empty() {
        return Ok(context.out.line("No matches.")?);
    }
    for (at, found) in answered.results.iter().enumerate() {
        if at > 0 {
            context.out.line("")?;
        }
        show(context, found)?;
    }
    Ok(())
}

fn show(context: &mut Context, found: &Found) -> Result<(), Failure> {
    let out = &mut context.out;
    let score = out.paint(Colour::Green, &format!("{:.3}", found.score));
    let lines = format!("{}:{}-{}", found.path, found.start_line, found.end_line);
    let place = out.paint(Colour::Cyan, &lines);
    out.line(format!("{score} {place}"))?;
    Ok(out.line(found.snippet.trim_end())?)
}
