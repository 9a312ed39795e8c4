//! `models scan`: the models OpenRouter serves without charge, and which of them can use tools and
//! see pictures. The list comes from the network: bounded, and every field optional.

use super::model_probe::within;
use crate::base::cancel::Cancel;
use crate::base::exit::{Exit, Report};
use crate::base::time::now_ms;
use crate::config::Snapshot;
use crate::model::choose;
use crate::model::name::{self, Ref};
use crate::model::{Client, Live, Request, Target, ToolSpec};
use crate::net::fetch::{self, Limits, Policy};
use crate::wire::message::{Assistant, Block, Content, Message, User};
use crossbeam_channel::unbounded;
use serde::Serialize;
use serde_json::{Value, json};
use std::fmt;
use std::time::{Duration, Instant};

const PROVIDER: &str = "openrouter";
/// The list is some 500 KB.
const MAX_LIST: u64 = 16 * 1024 * 1024;
/// Models that are looked at; the list has some hundred, few of them free.
const MAX_MODELS: usize = 2_000;
/// One pixel.
const PICTURE: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mP8/x8AAwMCAO+X3mIAAAAASUVORK5CYII=";
const DAY_MS: u64 = 86_400_000;

#[derive(Clone, Debug)]
pub struct Options {
    /// Billions.
    pub min_params: f64,
    pub max_age_days: f64,
    /// The first part of the model's name.
    pub provider: Option<String>,
    pub timeout: Duration,
    pub concurrency: usize,
    /// Whether each is called.
    pub probe: bool,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Scanned {
    pub id: String,
    pub name: String,
    pub provider: &'static str,
    pub model_ref: String,
    pub context_length: Option<u64>,
    pub max_completion_tokens: Option<u64>,
    pub supported_parameters_count: usize,
    pub supports_tools_meta: bool,
    pub modality: Option<String>,
    #[serde(rename = "inferredParamB")]
    pub params: Option<f64>,
    pub created_at_ms: Option<u64>,
    pub pricing: Option<Value>,
    pub is_free: bool,
    pub tool: Tried,
    pub image: Tried,
}

#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Tried {
    pub ok: bool,
    pub latency_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub skipped: bool,
}

#[derive(Debug)]
pub enum Error {
    /// Nothing to probe with.
    NoKey,
    Unreachable(fetch::Error),
    Refused(u16),
    NotAList,
}

/// The free models of the list, probed when that is asked for. `told` hears how many are done.
pub fn run(
    snapshot: &Snapshot,
    options: &Options,
    told: &mut dyn FnMut(usize, usize),
) -> Result<Vec<Scanned>, Error> {
    let agent_dir = name::agent_dir(&snapshot.paths, &snapshot.config.default_agent_id());
    let auto = Ref::new(PROVIDER, "auto");
    let base = match choose::targets(snapshot, &agent_dir, &auto) {
        Ok(mut choices) => Some(choices.remove(0).target),
        Err(_) if options.probe => return Err(Error::NoKey),
        Err(_) => choose::target(snapshot, &auto).ok(),
    };
    let mut found = list(base.as_ref())?;
    found.retain(|model| fits(model, options));
    let Some(base) = base.filter(|_| options.probe) else {
        return Ok(found);
    };
    let total = found.len();
    told(0, total);
    let (hand, take) = unbounded();
    for model in found.drain(..).enumerate() {
        // The receiver lives to the end of this function.
        let _ = hand.send(model);
    }
    drop(hand);
    let (tell, done) = unbounded();
    let mut probed = std::thread::scope(|scope| {
        for _ in 0..options.concurrency.clamp(1, total.max(1)) {
            let (take, tell, base) = (take.clone(), tell.clone(), &base);
            scope.spawn(move || {
                while let Ok((at, mut model)) = take.recv() {
                    probe(&mut model, base, options.timeout);
                    let _ = tell.send((at, model));
                }
            });
        }
        drop(tell);
        let mut probed = Vec::with_capacity(total);
        for model in done {
            probed.push(model);
            told(probed.len(), total);
        }
        probed
    });
    probed.sort_by_key(|(at, _)| *at);
    Ok(probed.into_iter().map(|(_, model)| model).collect())
}

fn list(base: Option<&Target>) -> Result<Vec<Scanned>, Error> {
    let url = base.map_or("https://openrouter.ai/api/v1", |b| b.base_url.as_str());
    let request = fetch::Request {
        method: "GET",
        url: &format!("{}/models", url.trim_end_matches('/')),
        headers: &[("accept", "application/json")],
        body: None,
        policy: Policy::Any,
        limits: Limits::within(Duration::from_secs(30), MAX_LIST),
    };
    let response = fetch::send(&request, &Cancel::new()).map_err(Error::Unreachable)?;
    if response.status >= 300 {
        return Err(Error::Refused(response.status));
    }
    let text = response.text().map_err(Error::Unreachable)?;
    let list: Value = serde_json::from_str(&text).map_err(|_| Error::NotAList)?;
    let models = list["data"].as_array().ok_or(Error::NotAList)?;
    Ok(models.iter().take(MAX_MODELS).filter_map(scanned).collect())
}

fn scanned(entry: &Value) -> Option<Scanned> {
    let text = |key: &str| {
        let text = entry[key].as_str()?.trim();
        (!text.is_empty()).then(|| text.to_string())
    };
    let number = |key: &str| entry[key].as_f64().map(|n| n.max(0.0) as u64);
    let id = text("id")?;
    let name = text("name").unwrap_or_else(|| id.clone());
    let parameters: Vec<&str> = entry["supported_parameters"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|p| p.as_str().map(str::trim))
        .filter(|p| !p.is_empty())
        .collect();
    let pricing = pricing(&entry["pricing"]);
    let costs_nothing = pricing
        .as_ref()
        .is_some_and(|p| p["prompt"] == 0.0 && p["completion"] == 0.0);
    let created = ["created_at", "created"].iter().find_map(|key| number(key));
    let skipped = Tried {
        skipped: true,
        ..Tried::default()
    };
    Some(Scanned {
        model_ref: format!("{PROVIDER}/{id}"),
        provider: PROVIDER,
        context_length: number("context_length"),
        max_completion_tokens: number("max_completion_tokens")
            .or_else(|| number("max_output_tokens")),
        supported_parameters_count: parameters.len(),
        supports_tools_meta: parameters.contains(&"tools"),
        modality: text("modality").or_else(|| {
            let modality = entry["architecture"]["modality"].as_str()?;
            Some(modality.to_string())
        }),
        params: params(&format!("{id} {name}")),
        // Seconds, unless they are too many.
        created_at_ms: created.map(|at| {
            if at > 1_000_000_000_000 {
                at
            } else {
                at * 1000
            }
        }),
        is_free: id.ends_with(":free") || costs_nothing,
        pricing,
        tool: skipped.clone(),
        image: skipped,
        id,
        name,
    })
}

fn pricing(said: &Value) -> Option<Value> {
    let number = |key: &str| match &said[key] {
        Value::Number(n) => n.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    Some(json!({
        "prompt": number("prompt")?,
        "completion": number("completion")?,
        "request": number("request").unwrap_or(0.0),
        "image": number("image").unwrap_or(0.0),
        "webSearch": number("web_search").unwrap_or(0.0),
        "internalReasoning": number("internal_reasoning").unwrap_or(0.0),
    }))
}

/// The largest `70b` of a name, in billions.
fn params(name: &str) -> Option<f64> {
    let name = name.to_lowercase();
    let words = name.split(|c: char| !c.is_ascii_alphanumeric() && c != '.');
    words
        .filter_map(|word| {
            let number = word.strip_suffix('b')?;
            // `a22b` counts, `22bb` does not.
            let number = number
                .strip_prefix(|c: char| c.is_ascii_lowercase())
                .unwrap_or(number);
            number.parse::<f64>().ok().filter(|n| *n > 0.0)
        })
        .reduce(f64::max)
}

fn fits(model: &Scanned, options: &Options) -> bool {
    let age = model.created_at_ms.map(|at| now_ms().saturating_sub(at));
    let longest = options.max_age_days * DAY_MS as f64;
    model.is_free
        && options.provider.as_ref().is_none_or(|wanted| {
            let first = model.id.split('/').next().unwrap_or_default();
            first.eq_ignore_ascii_case(wanted.trim())
        })
        && (options.min_params <= 0.0 || model.params.unwrap_or(0.0) >= options.min_params)
        && (longest <= 0.0 || age.is_none_or(|age| age as f64 <= longest))
}

fn probe(model: &mut Scanned, base: &Target, patience: Duration) {
    let modality = model.modality.as_deref().unwrap_or_default().to_lowercase();
    let mut target = base.clone();
    target.model.clone_from(&model.id);
    target.images = modality
        .split(|c: char| !c.is_ascii_alphabetic())
        .any(|w| w == "image");
    target.context_window = model.context_length.unwrap_or(target.context_window);
    target.params = json!({"temperature": 0});
    let ping = ToolSpec {
        name: "ping".into(),
        description: "Answers OK.".into(),
        parameters: json!({"type": "object", "properties": {}}),
    };
    let question = vec![Block::text("Call the tool ping now, with {}. Say nothing.")];
    model.tool = ask(
        &target,
        question,
        &[ping],
        64,
        patience,
        |answer| match answer.tool_calls().next() {
            Some(_) => Ok(()),
            None => Err("No tool call returned".into()),
        },
    );
    if target.images {
        let picture = Block::Image {
            data: PICTURE.into(),
            mime_type: "image/png".into(),
        };
        let question = vec![Block::text("Answer OK."), picture];
        model.image = ask(&target, question, &[], 16, patience, |_| Ok(()));
    }
}

fn ask(
    target: &Target,
    question: Vec<Block>,
    tools: &[ToolSpec],
    max_tokens: u64,
    patience: Duration,
    judge: impl FnOnce(&Assistant) -> Result<(), String>,
) -> Tried {
    let message = Message::User(User {
        content: Content::Blocks(question),
        timestamp: now_ms(),
    });
    let request = Request {
        system: "",
        messages: &[message],
        tools,
        thinking: "off",
        session_id: "scan",
        max_tokens: Some(max_tokens),
        must_call: !tools.is_empty(),
    };
    let began = Instant::now();
    let answer = within(patience, |cancel| {
        Live::default().stream(target, &request, cancel, &mut |_| {})
    });
    let error = match answer {
        Ok(answer) => judge(&answer).err(),
        Err(error) => Some(error.message),
    };
    Tried {
        ok: error.is_none(),
        latency_ms: u64::try_from(began.elapsed().as_millis()).ok(),
        error,
        skipped: false,
    }
}

/// Best first: those that see, then the quick, the wide, the large.
pub fn sort(found: &mut [Scanned]) {
    let key = |m: &Scanned| {
        (
            !m.image.ok,
            latency(&m.tool),
            std::cmp::Reverse(m.context_length.unwrap_or(0)),
            std::cmp::Reverse(m.params.unwrap_or(0.0) as u64),
            m.model_ref.clone(),
        )
    };
    found.sort_by_cached_key(key);
}

pub fn sort_by_sight(found: &mut [Scanned]) {
    let key = |m: &Scanned| {
        (
            latency(&m.image),
            std::cmp::Reverse(m.context_length.unwrap_or(0)),
            std::cmp::Reverse(m.params.unwrap_or(0.0) as u64),
            m.model_ref.clone(),
        )
    };
    found.sort_by_cached_key(key);
}

fn latency(tried: &Tried) -> u64 {
    tried.latency_ms.unwrap_or(u64::MAX)
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::NoKey => f.write_str(
                "Missing OpenRouter API key. Set OPENROUTER_API_KEY to run models scan.",
            ),
            Error::Unreachable(err) => write!(f, "OpenRouter /models failed: {err}"),
            Error::Refused(status) => write!(f, "OpenRouter /models failed: HTTP {status}"),
            Error::NotAList => f.write_str("OpenRouter /models failed: the answer is no list"),
        }
    }
}

impl std::error::Error for Error {}

impl Report for Error {
    fn exit(&self) -> Exit {
        Exit::Failed
    }

    fn hint(&self) -> Option<String> {
        match self {
            Error::NoKey => Some("or list them without calling them: --no-probe".into()),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_of_the_list_is_read_with_what_it_says() {
        let row = json!({"id": "qwen/qwen3-235b-a22b:free", "name": "Qwen3", "context_length": 40960,
            "created": 1_745_875_757, "supported_parameters": ["tools", " "],
            "architecture": {"modality": "text+image->text"},
            "pricing": {"prompt": "0", "completion": "0"}});
        let model = scanned(&row).unwrap();
        assert!(model.is_free && model.supports_tools_meta);
        assert_eq!(model.params, Some(235.0));
        assert_eq!(model.created_at_ms, Some(1_745_875_757_000));
        assert_eq!(model.modality.as_deref(), Some("text+image->text"));
        let paid = json!({"id": "a/b-7.5b", "pricing": {"prompt": "0.1", "completion": "0"}});
        let model = scanned(&paid).unwrap();
        assert!(!model.is_free);
        assert_eq!(model.params, Some(7.5));
        assert!(scanned(&json!({"id": " "})).is_none());
    }

    #[test]
    fn the_best_come_first() {
        let named = |id: &str, tool: u64, sees: bool| {
            let mut model = scanned(&json!({"id": id})).unwrap();
            model.tool.latency_ms = Some(tool);
            model.image.ok = sees;
            model
        };
        let mut all = [
            named("slow", 9, false),
            named("sees", 9, true),
            named("quick", 1, false),
        ];
        sort(&mut all);
        assert_eq!(all.map(|m| m.id), ["sees", "quick", "slow"]);
    }
}
