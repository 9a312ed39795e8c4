//! The engines: what each is asked, and what of its answer is kept.

use super::super::super::Error;
use super::super::super::external::{neutral, wrap};
use super::super::address::Address;
use super::super::{Settings, encoded};
use super::{Query, refusal};
use crate::base::cancel::Cancel;
use crate::base::secret::Secret;
use crate::config::Env;
use crate::net::fetch::{self, Limits, Policy, Request};
use serde_json::{Value, json};
use std::time::Duration;

const BRAVE: &str = "https://api.search.brave.com";
const PERPLEXITY: &str = "https://api.perplexity.ai";
const OPENROUTER: &str = "https://openrouter.ai/api/v1";
const MODEL: &str = "perplexity/sonar-pro";
const SOURCE: &str = "Web Search";
const MAX_ANSWER: u64 = 4 * 1024 * 1024;
/// Characters of an engine's own complaint, of a title and of a description.
const MAX_SAID: usize = 1000;
const MAX_TEXT: usize = 4000;
const MAX_URL: usize = 2000;
const MAX_CITATIONS: usize = 50;

pub enum Engine<'a> {
    Brave {
        base: &'a str,
        key: Secret,
    },
    Perplexity {
        base: &'a str,
        key: Secret,
        model: &'a str,
    },
    Searxng {
        base: &'a str,
        settings: Settings<'a>,
    },
}

/// The configured engine, or what is to be done before there is one.
pub fn of<'a>(
    provider: &str,
    settings: &Settings<'a>,
    env: &'a Env,
    query: &Query,
) -> Result<Engine<'a>, Value> {
    match provider {
        "brave" => {
            let key = settings.text("apiKey").or_else(|| env.get("BRAVE_API_KEY"));
            let key = key.ok_or_else(|| {
                refusal(
                    "missing_brave_api_key",
                    "web_search has no Brave Search key: set tools.web.search.apiKey or \
                     BRAVE_API_KEY for the gateway. SearXNG needs none \
                     (tools.web.search.provider searxng).",
                )
            })?;
            Ok(Engine::Brave {
                base: settings.part("brave").text("baseUrl").unwrap_or(BRAVE),
                key: Secret::new(key),
            })
        }
        "perplexity" => {
            let own = settings.part("perplexity");
            let direct = || env.get("PERPLEXITY_API_KEY").map(|key| (key, PERPLEXITY));
            let routed = || env.get("OPENROUTER_API_KEY").map(|key| (key, OPENROUTER));
            let configured = own.text("apiKey").map(|key| {
                let direct = key.starts_with("pplx-");
                (key, if direct { PERPLEXITY } else { OPENROUTER })
            });
            let (key, base) = configured.or_else(direct).or_else(routed).ok_or_else(|| {
                refusal(
                    "missing_perplexity_api_key",
                    "web_search has no Perplexity key: set tools.web.search.perplexity.apiKey, \
                     PERPLEXITY_API_KEY or OPENROUTER_API_KEY for the gateway.",
                )
            })?;
            Ok(Engine::Perplexity {
                base: own.text("baseUrl").unwrap_or(base),
                key: Secret::new(key),
                model: own.text("model").unwrap_or(MODEL),
            })
        }
        "searxng" => {
            let own = settings.part("searxng");
            if query.freshness.as_ref().is_some_and(|f| f.contains("to")) {
                return Err(refusal(
                    "unsupported_freshness",
                    "SearXNG knows no date range: use pd, pw, pm or py.",
                ));
            }
            let base = own.text("baseUrl").or_else(|| env.get("SEARXNG_BASE_URL"));
            Ok(Engine::Searxng {
                base: base.ok_or_else(|| {
                    refusal(
                        "missing_searxng_base_url",
                        "web_search has no SearXNG to ask: set tools.web.search.searxng.baseUrl, \
                         e.g. http://127.0.0.1:8080, and allow its json format.",
                    )
                })?,
                settings: own,
            })
        }
        other => Err(refusal(
            "unknown_search_provider",
            &format!(
                "tools.web.search.provider {other:?} is not known: brave, perplexity, searxng."
            ),
        )),
    }
}

impl Engine<'_> {
    fn name(&self) -> &'static str {
        match self {
            Engine::Brave { .. } => "brave",
            Engine::Perplexity { .. } => "perplexity",
            Engine::Searxng { .. } => "searxng",
        }
    }

    /// Under which an answer is remembered.
    pub fn key(&self, query: &Query) -> String {
        let base = match self {
            Engine::Brave { base, .. } | Engine::Searxng { base, .. } => base.to_string(),
            Engine::Perplexity { base, model, .. } => format!("{base} {model}"),
        };
        let rest = format!(
            "{} {:?} {:?} {:?} {:?} {}",
            query.count,
            query.country,
            query.search_lang,
            query.ui_lang,
            query.freshness,
            query.text
        );
        format!("{} {base} {}", self.name(), rest.to_lowercase())
    }

    pub fn ask(&self, query: &Query, patience: Duration, cancel: &Cancel) -> Result<Value, Error> {
        match self {
            Engine::Brave { base, key } => {
                let fields = [
                    ("q", Some(query.text)),
                    ("country", query.country),
                    ("search_lang", query.search_lang),
                    ("ui_lang", query.ui_lang),
                    ("freshness", query.freshness.as_deref()),
                ];
                let base = base.trim_end_matches('/');
                let url = format!(
                    "{base}/res/v1/web/search?count={}{}",
                    query.count,
                    rest(&fields)
                );
                let headers = [
                    ("accept", "application/json"),
                    ("x-subscription-token", key.expose()),
                ];
                let answer = get("Brave Search", &url, &headers, None, patience, cancel)?;
                Ok(self.results(query, &answer["web"]["results"], "description", "age"))
            }
            Engine::Searxng { base, settings } => {
                let range = query.freshness.as_deref().map(|range| match range {
                    "pd" => "day",
                    "pw" => "week",
                    "pm" => "month",
                    _ => "year",
                });
                let fields = [
                    ("q", Some(query.text)),
                    ("language", query.search_lang.or(settings.text("language"))),
                    ("categories", settings.text("categories")),
                    ("engines", settings.text("engines")),
                    ("time_range", range),
                ];
                let base = base.trim_end_matches('/');
                let url = format!("{base}/search?format=json{}", rest(&fields));
                let headers = [("accept", "application/json")];
                let answer = get("SearXNG", &url, &headers, None, patience, cancel)?;
                Ok(self.results(query, &answer["results"], "content", "publishedDate"))
            }
            Engine::Perplexity { base, key, model } => {
                // The service itself knows its models without OpenRouter's prefix.
                let model = match base.contains("api.perplexity.ai") {
                    true => model.strip_prefix("perplexity/").unwrap_or(model),
                    false => model,
                };
                let body = json!({
                    "model": model,
                    "messages": [{"role": "user", "content": query.text}],
                });
                let url = format!("{}/chat/completions", base.trim_end_matches('/'));
                let token = Secret::new(format!("Bearer {}", key.expose()));
                let headers = [
                    ("content-type", "application/json"),
                    ("authorization", token.expose()),
                    ("http-referer", "https://openclaw.ai"),
                    ("x-title", "OpenClaw Web Search"),
                ];
                let body = Some(body.to_string());
                let answer = get("Perplexity", &url, &headers, body, patience, cancel)?;
                let content = answer["choices"][0]["message"]["content"].as_str();
                let citations = answer["citations"].as_array();
                Ok(json!({
                    "query": query.text,
                    "provider": self.name(),
                    "model": model,
                    "content": wrap(content.unwrap_or("No response"), SOURCE, false),
                    "citations": citations
                        .into_iter()
                        .flatten()
                        .filter_map(Value::as_str)
                        .take(MAX_CITATIONS)
                        .map(|url| part(url, MAX_URL))
                        .collect::<Vec<_>>(),
                }))
            }
        }
    }

    fn results(&self, query: &Query, found: &Value, description: &str, age: &str) -> Value {
        let found = found.as_array().map(Vec::as_slice).unwrap_or_default();
        let results: Vec<Value> = found
            .iter()
            .take(query.count)
            .map(|one| {
                let text = |key: &str| one[key].as_str().unwrap_or_default();
                let framed = |text: &str| match text {
                    "" => String::new(),
                    text => wrap(&part(text, MAX_TEXT), SOURCE, false),
                };
                let mut result = json!({
                    "title": framed(text("title")),
                    "url": part(text("url"), MAX_URL),
                    "description": framed(text(description)),
                });
                if !text(age).is_empty() {
                    result["published"] = part(text(age), MAX_SAID).into();
                }
                if let Ok(address) = Address::parse(text("url")) {
                    result["siteName"] = address.host.into();
                }
                result
            })
            .collect();
        json!({
            "query": query.text,
            "provider": self.name(),
            "count": results.len(),
            "results": results,
        })
    }
}

/// The beginning of a stranger's text, with nothing in it that looks like a frame.
fn part(text: &str, max: usize) -> String {
    neutral(super::super::super::external::beginning(text, max))
}

fn rest(fields: &[(&str, Option<&str>)]) -> String {
    let given = fields
        .iter()
        .filter_map(|(key, value)| Some((key, (*value)?)));
    given
        .map(|(key, value)| format!("&{key}={}", encoded(value)))
        .collect()
}

fn get(
    name: &str,
    url: &str,
    headers: &[(&str, &str)],
    body: Option<String>,
    patience: Duration,
    cancel: &Cancel,
) -> Result<Value, Error> {
    let failed = |why: String| Error(format!("{name} search failed: {why}"));
    let request = Request {
        method: if body.is_some() { "POST" } else { "GET" },
        url,
        headers,
        body: body.as_deref().map(str::as_bytes),
        policy: Policy::Any,
        limits: Limits::within(patience, MAX_ANSWER),
    };
    let response = fetch::send(&request, cancel).map_err(|err| failed(err.to_string()))?;
    let status = response.status;
    let text = response.text().map_err(|err| failed(err.to_string()))?;
    if !(200..300).contains(&status) {
        let hint = match (name, status) {
            ("SearXNG", 403) => " (is json among search.formats in its settings.yml?)",
            _ => "",
        };
        return Err(Error(format!(
            "{name} API error ({status}){hint}: {}",
            part(&text, MAX_SAID)
        )));
    }
    serde_json::from_str(&text).map_err(|_| failed("the answer is no JSON".into()))
}
