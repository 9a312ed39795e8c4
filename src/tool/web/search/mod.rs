//! `web_search`: results of a search engine, or an answer with its sources.
//!
//! What an operator has to do first (a key, an address) is an answer the model can pass on, not a
//! failure. Titles and descriptions are strangers' words and stand in their frame.

mod engines;

use super::super::{Call, Context, Error, Output, Tool};
use super::Settings;
use super::memo::Memo;
use serde_json::{Value, json};
use std::time::Instant;

const USUAL: usize = 5;
const MOST: usize = 10;
const MAX_QUERY: usize = 1000;
const DOCS: &str = "https://docs.openclaw.ai/tools/web";

pub const TOOL: Tool = Tool {
    name: "web_search",
    summary: "Search the web",
    description: "Searches the web with the configured engine (Brave Search, Perplexity or SearXNG) \
        and gives titles, addresses and descriptions, or an answer with citations. Country, language \
        and age of the results can be narrowed.",
    parameters: r#"{"type":"object","required":["query"],"properties":{
        "query":{"description":"Search query string.","type":"string"},
        "count":{"description":"Number of results to return (1-10).","minimum":1,"maximum":10,"type":"number"},
        "country":{"description":"2-letter country code for region-specific results (e.g., 'DE', 'US', 'ALL'). Default: 'US'.","type":"string"},
        "search_lang":{"description":"ISO language code for search results (e.g., 'de', 'en', 'fr').","type":"string"},
        "ui_lang":{"description":"ISO language code for UI elements.","type":"string"},
        "freshness":{"description":"Filter results by discovery time. Values: 'pd' (past 24h), 'pw' (past week), 'pm' (past month), 'py' (past year), or with Brave a date range 'YYYY-MM-DDtoYYYY-MM-DD'.","type":"string"}}}"#,
    run,
};

static MEMO: Memo = Memo::new();

struct Query<'a> {
    text: &'a str,
    count: usize,
    country: Option<&'a str>,
    search_lang: Option<&'a str>,
    ui_lang: Option<&'a str>,
    freshness: Option<String>,
}

/// What there is instead of results: a payload of its own.
fn refusal(code: &str, message: &str) -> Value {
    json!({"error": code, "message": message, "docs": DOCS})
}

fn run(call: &Call, ctx: &Context) -> Result<Output, Error> {
    let text = call.first_of(&["query"]).ok_or("query required")?.trim();
    if text.len() > MAX_QUERY {
        return Err("The query is too long".into());
    }
    let settings = Settings::of(&ctx.config.value, "search");
    let count = call.number("count").or(settings.number("maxResults"));
    let count = count.map_or(USUAL, |n| n.max(1.0) as usize).min(MOST);
    let provider = settings.text("provider").unwrap_or("brave").to_lowercase();
    let given = call.first_of(&["freshness"]).map(str::trim);
    let freshness = match given {
        None => None,
        Some(_) if provider == "perplexity" => {
            return Ok(Output::json(refusal(
                "unsupported_freshness",
                "freshness works with the Brave and SearXNG providers only.",
            )));
        }
        Some(given) => match freshness(given) {
            Some(freshness) => Some(freshness),
            None => {
                return Ok(Output::json(refusal(
                    "invalid_freshness",
                    "freshness is one of pd, pw, pm, py, or a range YYYY-MM-DDtoYYYY-MM-DD.",
                )));
            }
        },
    };
    let query = Query {
        text,
        count,
        country: call.first_of(&["country"]),
        search_lang: call.first_of(&["search_lang"]),
        ui_lang: call.first_of(&["ui_lang"]),
        freshness,
    };
    let engine = match engines::of(&provider, &settings, &ctx.config.env, &query) {
        Ok(engine) => engine,
        Err(refusal) => return Ok(Output::json(refusal)),
    };
    let key = engine.key(&query);
    if let Some(answer) = MEMO.get(&key) {
        return Ok(Output::json(answer));
    }
    let started = Instant::now();
    let mut answer = engine.ask(&query, settings.patience(), ctx.cancel)?;
    answer["tookMs"] = (started.elapsed().as_millis() as u64).into();
    MEMO.put(key, &answer, settings.keep());
    Ok(Output::json(answer))
}

/// `pd`, `pw`, `pm`, `py` in any case, or a range of two days in order.
fn freshness(given: &str) -> Option<String> {
    let lower = given.to_lowercase();
    if matches!(lower.as_str(), "pd" | "pw" | "pm" | "py") {
        return Some(lower);
    }
    let (from, to) = given.split_once("to")?;
    let day = |text: &str| text.parse::<jiff::civil::Date>().ok();
    let right = from.len() == 10 && to.len() == 10 && day(from)? <= day(to)?;
    right.then(|| given.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_checked_before_anybody_is_asked() {
        for good in ["pd", "PW", "2024-01-01to2024-02-29"] {
            assert!(freshness(good).is_some(), "{good}");
        }
        for bad in [
            "",
            "px",
            "2024-02-30to2024-03-01",
            "2024-03-01to2024-01-01",
            "2024-1-1to2024-2-2",
            "to",
        ] {
            assert_eq!(freshness(bad), None, "{bad}");
        }
    }
}
