//! `memory_search`: finds notes by what they say.

use super::settings;
use crate::tool::{Call, Context, Error, Output, Tool};
use crate::wire::memory::Found;
use serde_json::{Value, json};

pub const TOOL: Tool = Tool {
    name: "memory_search",
    summary: "Search memory files.",
    description: "Searches MEMORY.md and memory/*.md (and, where that is set up, earlier sessions) \
        for what a question is about, and returns the best passages with path and lines. Use it \
        before you answer about earlier work, decisions, dates, people, preferences or tasks.",
    parameters: r#"{"type":"object","required":["query"],"properties":{
        "query":{"type":"string"},
        "maxResults":{"type":"number"},
        "minScore":{"type":"number"}}}"#,
    run,
};

/// Results of one call, whatever the model asks for.
const MOST: f64 = 50.0;

fn run(call: &Call, ctx: &Context) -> Result<Output, Error> {
    let query = call.first_of(&["query"]).ok_or("query required")?;
    let settings = settings::resolve(&ctx.config, ctx.processes.paths(), ctx.agent_id);
    let most = call.number("maxResults").map(|n| n.clamp(1.0, MOST) as u64);
    let mode = settings::citations(&ctx.config);
    let cite = match mode {
        "on" => true,
        "off" => false,
        _ => is_direct(ctx.session_key),
    };
    let answered = ctx
        .memory
        .search(settings, query, most, call.number("minScore"), ctx.cancel);
    let answered = match answered {
        Ok(answered) => answered,
        Err(why) => {
            return Ok(Output::json(
                json!({"results": [], "disabled": true, "error": why}),
            ));
        }
    };
    let results: Vec<Value> = answered
        .results
        .iter()
        .map(|found| result(found, cite))
        .collect();
    let mut payload = json!({
        "results": results,
        "provider": answered.settings.index.provider,
        "model": answered.settings.index.model,
        "citations": mode,
    });
    let settings = &answered.settings;
    if let (Some(_), Some(reason)) = (&settings.embedder, &settings.without) {
        payload["fallback"] = json!({"from": settings.requested, "reason": reason});
    }
    if let Some(why) = answered.words_only {
        payload["warning"] = format!("Only words were compared: {why}").into();
    }
    Ok(Output::json(payload))
}

fn result(found: &Found, cite: bool) -> Value {
    let mut value = json!({
        "path": found.path,
        "startLine": found.start_line,
        "endLine": found.end_line,
        "score": found.score,
        "snippet": found.snippet,
        "source": found.source,
    });
    if cite {
        let lines = match found.start_line == found.end_line {
            true => format!("#L{}", found.start_line),
            false => format!("#L{}-L{}", found.start_line, found.end_line),
        };
        let citation = format!("{}{lines}", found.path);
        value["snippet"] = format!("{}\n\nSource: {citation}", found.snippet.trim()).into();
        value["citation"] = citation.into();
    }
    value
}

/// Not in front of a group: paths are nobody else's business there.
fn is_direct(key: &str) -> bool {
    !key.contains(":group:") && !key.contains(":channel:")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_citation_names_path_and_lines() {
        let mut found = Found {
            path: "memory/a.md".into(),
            start_line: 3,
            end_line: 9,
            score: 0.5,
            snippet: "text\n".into(),
            source: "memory".into(),
        };
        assert_eq!(
            result(&found, true)["snippet"],
            "text\n\nSource: memory/a.md#L3-L9"
        );
        found.end_line = 3;
        assert_eq!(result(&found, true)["citation"], "memory/a.md#L3");
        assert_eq!(result(&found, false).get("citation"), None);
        assert!(is_direct("agent:main:main") && !is_direct("agent:main:telegram:group:-1"));
    }
}
