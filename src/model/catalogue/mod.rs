//! The models known without being told: a table of facts (sizes, prices, abilities) in the binary,
//! read where it lies.
//!
//! `table.tsv`: a provider's line starts with `@`, or with `+` when the provider only exists for
//! those who have a key for it: name, wire format, base URL, environment variables, headers. Its
//! models follow: id, name when it differs, context window, largest answer, `r`easoning and
//! `i`mages, prices per million tokens, deviations.

use crate::config::Snapshot;
use serde::Serialize;
use serde_json::Value;
use std::cmp::Ordering;
use std::sync::OnceLock;

/// Assumed of a model that says nothing of its size.
pub const CONTEXT_WINDOW: u64 = 200_000;

const TABLE: &str = include_str!("table.tsv");

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Provider {
    pub id: &'static str,
    pub api: &'static str,
    pub base_url: &'static str,
    /// Names of the environment variables that may hold its key, first wins.
    env: &'static str,
    headers: &'static str,
    /// In `models.list` even without a key.
    pub listed: bool,
    rows: &'static str,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    pub id: &'static str,
    pub name: &'static str,
    pub context_window: u64,
    pub max_tokens: u64,
    pub reasoning: bool,
    pub images: bool,
    /// Input, output, cache read, cache write.
    pub cost: [f64; 4],
    /// `{api?, baseUrl?, headers?, compat?}`
    pub overrides: Value,
}

/// A row of `models.list`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    pub id: String,
    pub name: String,
    pub provider: String,
    pub context_window: u64,
    pub reasoning: bool,
    pub input: Vec<&'static str>,
}

impl Provider {
    pub fn env(&self) -> impl Iterator<Item = &'static str> {
        self.env.split(',').filter(|name| !name.is_empty())
    }

    pub fn headers(&self) -> Value {
        serde_json::from_str(self.headers).unwrap_or_default()
    }

    pub fn models(&self) -> impl Iterator<Item = Model> {
        self.rows.lines().filter_map(model)
    }

    /// The model of that id, without reading the others.
    pub fn model(&self, id: &str) -> Option<Model> {
        let mut rows = self.rows.lines();
        let row = rows.find(|row| row.split('\t').next() == Some(id))?;
        model(row)
    }
}

/// All providers, those that are listed for everybody first.
pub fn providers() -> impl Iterator<Item = Provider> {
    // Found once: the table is long, and nearly every request asks for a model's size.
    static HEADS: OnceLock<Vec<Provider>> = OnceLock::new();
    HEADS.get_or_init(heads).iter().copied()
}

fn heads() -> Vec<Provider> {
    let mut found: Vec<Provider> = Vec::new();
    let mut at = 0;
    for line in TABLE.split_inclusive('\n') {
        let start = at;
        at += line.len();
        if !line.starts_with(['@', '+']) {
            if let Some(last) = found.last_mut() {
                last.rows = &TABLE[start - last.rows.len()..at];
            }
            continue;
        }
        let mut fields = TABLE[start + 1..at].trim_end_matches('\n').split('\t');
        let mut next = || fields.next().unwrap_or_default();
        found.push(Provider {
            id: next(),
            api: next(),
            base_url: next(),
            env: next(),
            headers: next(),
            listed: line.starts_with('@'),
            rows: "",
        });
    }
    found
}

/// The entry that holds for calls of `id`. Where there are two, the listed one knows more.
pub fn provider(id: &str) -> Option<Provider> {
    providers().find(|provider| provider.id == id)
}

fn model(row: &'static str) -> Option<Model> {
    let mut fields = row.split('\t');
    let mut next = || fields.next().unwrap_or_default();
    let id = next();
    let name = next();
    let context_window = next().parse().ok()?;
    let max_tokens = next().parse().ok()?;
    let flags = next();
    let mut cost = [0.0; 4];
    for (slot, price) in cost.iter_mut().zip(next().split(' ')) {
        *slot = price.parse().unwrap_or(0.0);
    }
    Some(Model {
        id,
        name: if name.is_empty() { id } else { name },
        context_window,
        max_tokens,
        reasoning: flags.contains('r'),
        images: flags.contains('i'),
        cost,
        overrides: serde_json::from_str(next()).unwrap_or_default(),
    })
}

/// `models.list`: what is built in and what is configured, by provider and name.
pub fn list(snapshot: &Snapshot) -> Vec<Row> {
    let snapshot = &*super::kept::with(snapshot, &snapshot.paths.agent_dir);
    let configured = &snapshot.config.models.providers;
    let mut rows: Vec<Row> = Vec::new();
    for (id, provider) in configured {
        for model in &provider.models {
            let images = model.input.iter().any(|kind| kind == "image");
            rows.push(Row {
                id: model.id.clone(),
                name: model.name.clone().unwrap_or_else(|| model.id.clone()),
                provider: id.clone(),
                context_window: model.context_window.unwrap_or(CONTEXT_WINDOW),
                reasoning: model.reasoning,
                input: input(images),
            });
        }
    }
    for provider in providers() {
        let keyed = || provider.env().any(|name| snapshot.env.get(name).is_some());
        if !provider.listed && !keyed() {
            continue;
        }
        let own = configured.get(provider.id);
        for model in provider.models() {
            if own.is_some_and(|own| own.models.iter().any(|m| m.id == model.id)) {
                continue;
            }
            if rows
                .iter()
                .any(|r| r.provider == provider.id && r.id == model.id)
                && !provider.listed
            {
                continue;
            }
            rows.push(Row {
                id: model.id.to_string(),
                name: model.name.trim().to_string(),
                provider: provider.id.to_string(),
                context_window: model.context_window,
                reasoning: model.reasoning,
                input: input(model.images),
            });
        }
    }
    let key = |row: &Row| (weights(&row.provider), weights(&row.name));
    let mut keyed: Vec<_> = rows.into_iter().map(|row| (key(&row), row)).collect();
    keyed.sort_by(|(a, _), (b, _)| a.cmp(b));
    keyed.into_iter().map(|(_, row)| row).collect()
}

fn input(images: bool) -> Vec<&'static str> {
    if images {
        vec!["text", "image"]
    } else {
        vec!["text"]
    }
}

/// A sort key that orders text as people (and JavaScript's localeCompare) do: punctuation, digits,
/// letters; upper case only decides between texts that are otherwise alike.
fn weights(text: &str) -> Weights {
    const PUNCTUATION: &str = " _-,;:!?.'\"()[]{}@*/\\&#%`^+<=>|~$";
    let primary = text.chars().map(|c| match PUNCTUATION.find(c) {
        Some(at) => at as u32,
        None => 64 + u32::from(c.to_lowercase().next().unwrap_or(c)),
    });
    Weights(
        primary.collect(),
        text.chars().map(char::is_uppercase).collect(),
    )
}

#[derive(PartialEq, Eq)]
struct Weights(Vec<u32>, Vec<bool>);

impl Ord for Weights {
    fn cmp(&self, other: &Weights) -> Ordering {
        (&self.0, &self.1).cmp(&(&other.0, &other.1))
    }
}

impl PartialOrd for Weights {
    fn partial_cmp(&self, other: &Weights) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The original's own list, with one configured model; skipped where the recording is not.
    #[test]
    fn the_list_is_in_the_originals_order() {
        let recording = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../shared/data/recordings/call-models-list.json"
        );
        let Ok(text) = std::fs::read_to_string(recording) else {
            eprintln!("skipped: the_list_is_in_the_originals_order: no recording");
            return;
        };
        let recorded: Value = serde_json::from_str(&text).unwrap();
        let recorded: Value = serde_json::from_str(recorded["stdout"].as_str().unwrap()).unwrap();
        let mut snapshot = Snapshot::default();
        let model = crate::config::schema::Model {
            id: "fake-1".into(),
            name: Some("Fake One".into()),
            ..Default::default()
        };
        let provider = crate::config::schema::Provider {
            models: vec![model],
            ..Default::default()
        };
        snapshot
            .config
            .models
            .providers
            .insert("fake".into(), provider);
        let ours = serde_json::to_value(list(&snapshot)).unwrap();
        let (ours, theirs) = (
            ours.as_array().unwrap(),
            recorded["models"].as_array().unwrap(),
        );
        assert_eq!(ours.len(), theirs.len());
        for (ours, theirs) in ours.iter().zip(theirs) {
            assert_eq!(ours["provider"], theirs["provider"]);
            if theirs["provider"] != "fake" {
                assert_eq!(ours, theirs);
            }
        }
    }

    #[test]
    fn the_table_reads_whole() {
        let lines = TABLE.lines().count();
        let heads = providers().count();
        let models: usize = providers().map(|p| p.models().count()).sum();
        assert_eq!(heads + models, lines);
        let opus = provider("anthropic").and_then(|p| p.model("claude-opus-4-5"));
        let opus = opus.unwrap();
        assert_eq!(opus.cost, [5.0, 25.0, 0.5, 6.25]);
        assert!(opus.reasoning && opus.images);
        assert_eq!(provider("ollama").unwrap().models().count(), 0);
        let big = provider("minimax").unwrap();
        assert_eq!(big.api, "anthropic-messages");
    }
}
