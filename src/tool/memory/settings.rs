//! `memorySearch` of an agent: its own setting, else the defaults', else the original's; and which
//! service embeds, if any.

use crate::config::paths::expand;
use crate::config::{Paths, Snapshot, agents::agent_id};
use crate::model::credential::{self, Profiles};
use crate::model::embedding::{Embedder, Form};
use crate::model::name;
use crate::wire::memory::{Index, NO_PROVIDER, WORDS_ONLY, Weights};
use serde_json::Value;
use std::path::PathBuf;

const CHUNK_TOKENS: u64 = 400;
const CHUNK_OVERLAP: u64 = 80;
const MAX_RESULTS: u64 = 6;
const MIN_SCORE: f64 = 0.35;
const VECTOR_WEIGHT: f64 = 0.7;
const TEXT_WEIGHT: f64 = 0.3;
const CANDIDATES: u64 = 4;
const MOST_CANDIDATES: u64 = 20;
const SESSION_BYTES: u64 = 100_000;
const SESSION_MESSAGES: u64 = 50;

/// Everything a search of one agent needs to know.
pub struct Settings {
    pub index: Index,
    /// `None`: only words are compared.
    pub embedder: Option<Embedder>,
    /// Why there is none, or why it is not the wanted one.
    pub without: Option<String>,
    /// As configured: `auto`, `openai`, …
    pub requested: String,
    pub weights: Weights,
    pub max_results: u64,
    pub min_score: f64,
    /// Before a search, what changed is indexed.
    pub sync_on_search: bool,
    pub sources: Vec<&'static str>,
    pub extra: Vec<String>,
}

/// The two levels of `memorySearch`.
struct Levels<'a> {
    own: Option<&'a Value>,
    shared: Option<&'a Value>,
}

impl<'a> Levels<'a> {
    fn of(config: &'a Snapshot, agent: &str) -> Levels<'a> {
        let list = config
            .value
            .pointer("/agents/list")
            .and_then(Value::as_array);
        let own = list.into_iter().flatten().find(|entry| {
            let id = entry.get("id").and_then(Value::as_str);
            id.is_some_and(|id| agent_id(id) == agent)
        });
        Levels {
            own: own.and_then(|entry| entry.get("memorySearch")),
            shared: config.value.pointer("/agents/defaults/memorySearch"),
        }
    }

    fn get(&self, pointer: &str) -> Option<&'a Value> {
        let at = |level: Option<&'a Value>| level.and_then(|level| level.pointer(pointer));
        at(self.own).or_else(|| at(self.shared))
    }

    fn flag(&self, pointer: &str, default: bool) -> bool {
        self.get(pointer)
            .and_then(Value::as_bool)
            .unwrap_or(default)
    }

    fn number(&self, pointer: &str, default: u64) -> u64 {
        self.get(pointer).and_then(Value::as_u64).unwrap_or(default)
    }

    fn fraction(&self, pointer: &str, default: f64) -> f64 {
        self.get(pointer).and_then(Value::as_f64).unwrap_or(default)
    }

    fn text(&self, pointer: &str) -> Option<&'a str> {
        let text = self.get(pointer).and_then(Value::as_str).map(str::trim);
        text.filter(|text| !text.is_empty())
    }
}

/// Whether the agent has a memory to search.
pub fn is_on(config: &Snapshot, agent: &str) -> bool {
    let slot = config
        .value
        .pointer("/plugins/slots/memory")
        .and_then(Value::as_str);
    cfg!(feature = "memory")
        && slot != Some("none")
        && Levels::of(config, agent).flag("/enabled", true)
}

/// `auto`, `on` or `off`.
pub fn citations(config: &Snapshot) -> &str {
    let mode = config
        .value
        .pointer("/memory/citations")
        .and_then(Value::as_str);
    mode.unwrap_or("auto")
}

/// The configured folders and files besides the workspace's own.
pub fn extra_paths(config: &Snapshot, paths: &Paths, agent: &str) -> Vec<PathBuf> {
    let levels = Levels::of(config, agent);
    let workspace = config.config.workspace(agent, paths);
    let mut found: Vec<PathBuf> = Vec::new();
    for text in extra(&levels) {
        let path = match text.starts_with('~') {
            true => expand(&text, &paths.home),
            false => crate::config::paths::normal(&workspace.join(&text)),
        };
        if !found.contains(&path) {
            found.push(path);
        }
    }
    found
}

/// Both levels' together.
fn extra(levels: &Levels) -> Vec<String> {
    let lists = [levels.shared, levels.own].into_iter().flatten();
    let items = lists
        .filter_map(|level| level.get("extraPaths")?.as_array())
        .flatten();
    let texts = items.filter_map(Value::as_str).map(str::trim);
    texts
        .filter(|text| !text.is_empty())
        .map(String::from)
        .collect()
}

pub fn resolve(config: &Snapshot, paths: &Paths, agent: &str) -> Settings {
    let levels = Levels::of(config, agent);
    let requested = levels.text("/provider").unwrap_or("auto").to_string();
    let (embedder, without) = match embedder(config, paths, agent, &levels, &requested) {
        Ok((embedder, instead)) => (Some(embedder), instead),
        Err(why) => (None, Some(why)),
    };
    let listed = levels.get("/sources").and_then(Value::as_array);
    let has = |name: &str, default| match listed {
        Some(list) => list.iter().any(|source| source == name),
        None => default,
    };
    let sessions = has("sessions", false) && levels.flag("/experimental/sessionMemory", false);
    // Nothing sensible listed means the notes.
    let files = has("memory", true) || !sessions;
    let hybrid = levels.flag("/query/hybrid/enabled", true);
    let (mut vector, mut text) = (
        levels.fraction("/query/hybrid/vectorWeight", VECTOR_WEIGHT),
        levels.fraction("/query/hybrid/textWeight", TEXT_WEIGHT),
    );
    if !hybrid {
        (vector, text) = (1.0, 0.0);
    } else if vector + text > 0.0 {
        (vector, text) = (vector / (vector + text), text / (vector + text));
    } else {
        (vector, text) = (VECTOR_WEIGHT, TEXT_WEIGHT);
    }
    let size = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
    let store = match levels.text("/store/path") {
        Some(path) => expand(&path.replace("{agentId}", agent), &paths.home),
        None => paths.state.join("memory").join(format!("{agent}.sqlite")),
    };
    let index = Index {
        store,
        aside: paths.ours().join("memory").join(agent),
        workspace: config.config.workspace(agent, paths),
        extra: extra_paths(config, paths, agent),
        files,
        sessions: sessions.then(|| paths.sessions(agent)),
        provider: embedder.as_ref().map_or(NO_PROVIDER, |e| e.provider).into(),
        model: embedder.as_ref().map_or(WORDS_ONLY, |e| &e.model).into(),
        provider_key: embedder
            .as_ref()
            .map(Embedder::identity)
            .unwrap_or_default(),
        chunk_tokens: size(levels.number("/chunking/tokens", CHUNK_TOKENS)),
        chunk_overlap: size(levels.number("/chunking/overlap", CHUNK_OVERLAP)),
        cache: levels.flag("/cache/enabled", true),
        cache_entries: levels.number("/cache/maxEntries", 0),
        session_bytes: levels.number("/sync/sessions/deltaBytes", SESSION_BYTES),
        session_messages: levels.number("/sync/sessions/deltaMessages", SESSION_MESSAGES),
    };
    let candidates = levels.number("/query/hybrid/candidateMultiplier", CANDIDATES);
    Settings {
        sources: [("memory", files), ("sessions", sessions)]
            .into_iter()
            .filter_map(|(name, on)| on.then_some(name))
            .collect(),
        extra: extra(&levels),
        index,
        embedder,
        without,
        requested,
        weights: Weights {
            vector,
            text,
            candidates: size(candidates.clamp(1, MOST_CANDIDATES)),
        },
        max_results: levels.number("/query/maxResults", MAX_RESULTS),
        min_score: levels.fraction("/query/minScore", MIN_SCORE),
        sync_on_search: levels.flag("/sync/onSearch", true),
    }
}

/// The wanted service, or the one that is to take its place without a key, and then why; `auto`
/// takes the first that has one.
fn embedder(
    config: &Snapshot,
    paths: &Paths,
    agent: &str,
    levels: &Levels,
    requested: &str,
) -> Result<(Embedder, Option<String>), String> {
    let make = |name: &str| named(config, paths, agent, levels, name);
    if requested == "auto" {
        let second = |first| make("gemini").map_err(|second| format!("{first}\n\n{second}"));
        return Ok((make("openai").or_else(second)?, None));
    }
    match (make(requested), levels.text("/fallback")) {
        (Err(why), Some(other)) if other != "none" && other != requested => match make(other) {
            Ok(embedder) => Ok((embedder, Some(why))),
            Err(_) => Err(why),
        },
        (made, _) => Ok((made?, None)),
    }
}

fn named(
    config: &Snapshot,
    paths: &Paths,
    agent: &str,
    levels: &Levels,
    name: &str,
) -> Result<Embedder, String> {
    let (form, provider, vendor) = match name {
        "openai" => (Form::OpenAi, "openai", "openai"),
        "gemini" => (Form::Gemini, "gemini", "google"),
        _ => {
            return Err(
                "This build loads no embedding model itself: start a server that has \
                 /v1/embeddings, and set memorySearch.provider to \"openai\" and \
                 memorySearch.remote.baseUrl to its address."
                    .into(),
            );
        }
    };
    let own_url = levels.text("/remote/baseUrl");
    let key = levels
        .text("/remote/apiKey")
        .map(crate::base::secret::Secret::new);
    let agent_dir = name::agent_dir(paths, agent);
    let key = key.or_else(|| {
        let profiles = Profiles::read(paths, &agent_dir);
        let found = credential::find(config, &profiles, vendor)
            .into_iter()
            .next();
        found.map(|credential| credential.key)
    });
    // A server of one's own may want no key; a vendor always does.
    if key.is_none() && own_url.is_none() {
        let store = agent_dir.join("auth-profiles.json");
        return Err(format!(
            "No API key found for provider \"{vendor}\". Auth store: {} (agentDir: {}).",
            store.display(),
            agent_dir.display()
        ));
    }
    let headers = levels.get("/remote/headers").and_then(Value::as_object);
    Ok(Embedder {
        form,
        provider,
        model: levels.text("/model").unwrap_or(form.default_model()).into(),
        base_url: own_url
            .unwrap_or(form.default_url())
            .trim_end_matches('/')
            .into(),
        key,
        headers: headers
            .into_iter()
            .flatten()
            .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_string())))
            .collect(),
    })
}
