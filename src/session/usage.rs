//! What model calls have used, day by day, summed over an agent's transcripts.
//!
//! Transcripts only grow, and most of them are finished: a file is read again only when it changed.

use super::stamp::Stamp;
use super::{Error, Store, load};
use crate::base::{jsonl, time};
use crate::wire::gateway::usage::Totals;
use serde::Deserialize;
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Files whose sums are remembered; a few hundred bytes each.
const MAX_KNOWN: usize = 4_096;

/// Price of a model's million tokens: input, output, cache read, cache write.
pub type Prices<'a> = dyn Fn(&str, &str) -> Option<[f64; 4]> + 'a;

/// Sums by local date, `2026-11-21`.
pub type Days = BTreeMap<String, Totals>;

/// Sums of transcripts read before. They hold no price of today: a changed price counts for what
/// is read from then on.
#[derive(Default)]
pub struct Ledger(Mutex<HashMap<PathBuf, (Stamp, Days)>>);

/// The parts of a line that count.
#[derive(Deserialize)]
struct Line {
    #[serde(default)]
    timestamp: Option<Value>,
    #[serde(default)]
    message: Option<Message>,
}

#[derive(Deserialize)]
struct Message {
    #[serde(default)]
    provider: Option<String>,
    #[serde(default)]
    model: Option<String>,
    #[serde(default)]
    usage: Option<Usage>,
    #[serde(default)]
    timestamp: Option<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Usage {
    #[serde(default)]
    input: f64,
    #[serde(default)]
    output: f64,
    #[serde(default)]
    cache_read: f64,
    #[serde(default)]
    cache_write: f64,
    #[serde(default)]
    total_tokens: Option<f64>,
    #[serde(default)]
    cost: Option<Value>,
}

impl Ledger {
    /// The sums of `agent`'s transcripts that were written to at or after `since_ms`.
    pub fn days(
        &self,
        store: &Store,
        agent: &str,
        since_ms: u64,
        prices: &Prices,
    ) -> Result<Days, Error> {
        let folder = store.folder(agent);
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(err) if err.kind() == io::ErrorKind::NotFound => return Ok(Days::new()),
            Err(err) => return Err(Error::io("read", &folder)(err)),
        };
        // Held all the time: who asks meanwhile gets the same sums without reading again.
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut days = Days::new();
        let mut read = HashMap::new();
        for entry in entries.flatten() {
            let path = entry.path();
            // `main.jsonl` is a link to one of the others.
            let plain = entry.file_type().is_ok_and(|kind| kind.is_file());
            if !plain || path.extension().is_none_or(|ext| ext != "jsonl") {
                continue;
            }
            let Ok(Some(stamp)) = Stamp::of(&path) else {
                continue;
            };
            if stamp.modified_ms() < since_ms {
                continue;
            }
            let sums = match known.remove(&path) {
                Some((old, sums)) if old == stamp => sums,
                _ => match sum(&path, prices) {
                    Ok(sums) => sums,
                    Err(err) => {
                        log::warn!("{}: usage not counted: {err}", path.display());
                        continue;
                    }
                },
            };
            for (day, totals) in &sums {
                days.entry(day.clone()).or_default().add(totals);
            }
            if read.len() < MAX_KNOWN {
                read.insert(path, (stamp, sums));
            }
        }
        // What was not asked for this time may be next time, unless its file is gone.
        known.retain(|path, _| path.exists());
        if known.len() + read.len() > MAX_KNOWN {
            known.clear();
        }
        known.extend(read);
        Ok(days)
    }
}

fn sum(path: &Path, prices: &Prices) -> io::Result<Days> {
    let mut reader = BufReader::new(File::open(path)?);
    let mut days = Days::new();
    let mut text = Vec::new();
    while jsonl::read_line(&mut reader, &mut text, load::MAX_LINE)? {
        // Most bytes of a transcript are pictures and tool output: not worth parsing.
        if !has(&text, b"\"usage\"") {
            continue;
        }
        let Ok(line) = serde_json::from_slice::<Line>(&text) else {
            continue;
        };
        let Some(message) = line.message else {
            continue;
        };
        let (Some(usage), Some(at)) = (
            message.usage,
            moment(line.timestamp.as_ref()).or_else(|| moment(message.timestamp.as_ref())),
        ) else {
            continue;
        };
        let date = time::local(at).date().to_string();
        let price = || prices(message.provider.as_deref()?, message.model.as_deref()?);
        days.entry(date).or_default().add(&usage.totals(price));
    }
    Ok(days)
}

impl Usage {
    fn totals(&self, price: impl Fn() -> Option<[f64; 4]>) -> Totals {
        let tokens = [self.input, self.output, self.cache_read, self.cache_write];
        let [input, output, cache_read, cache_write] = tokens.map(|n| n.max(0.0) as u64);
        let sum = input + output + cache_read + cache_write;
        let stored = self
            .cost
            .as_ref()
            .and_then(|cost| cost.get("total")?.as_f64());
        let cost = stored.or_else(|| {
            let price = price()?;
            let parts = tokens.iter().zip(price);
            Some(parts.map(|(n, price)| n * price / 1e6).sum())
        });
        Totals {
            input,
            output,
            cache_read,
            cache_write,
            total_tokens: self.total_tokens.map_or(sum, |n| n.max(0.0) as u64),
            total_cost: cost.unwrap_or(0.0),
            missing_cost_entries: u64::from(cost.is_none() && sum > 0),
        }
    }
}

/// Milliseconds from a number or an ISO text.
fn moment(value: Option<&Value>) -> Option<u64> {
    match value? {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => {
            let at: jiff::Timestamp = text.parse().ok()?;
            u64::try_from(at.as_millisecond()).ok()
        }
        _ => None,
    }
}

fn has(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::id;
    use crate::config::{Config, Env, Paths};

    #[test]
    fn calls_are_summed_by_day_and_a_file_is_read_once() {
        let dir = id::temp_dir("usage");
        let state = dir.to_str().unwrap();
        let paths = Paths::resolve(&Env::from_pairs(&[("OPENCLAW_STATE_DIR", state)]), None);
        let store = Store::open(&paths, &Config::default());
        let folder = store.folder("main");
        fs::create_dir_all(&folder).unwrap();
        let line = |usage: &str| {
            format!(
                "{{\"type\":\"message\",\"timestamp\":\"2026-11-21T12:00:00.000Z\",\"message\":{{\"role\":\"assistant\",\"provider\":\"p\",\"model\":\"m\",\"usage\":{usage}}}}}\n"
            )
        };
        let mut text = line(r#"{"input":10,"output":5,"totalTokens":15,"cost":{"total":0.5}}"#);
        text += &line(r#"{"input":1000000,"output":0}"#);
        text +=
            "{\"type\":\"message\",\"message\":{\"role\":\"user\",\"content\":\"usage\"}}\ntorn";
        fs::write(folder.join("a.jsonl"), &text).unwrap();
        fs::write(folder.join("b.jsonl.deleted.x"), &text).unwrap();
        let ledger = Ledger::default();
        let days = ledger
            .days(&store, "main", 0, &|_, _| Some([2.0, 0.0, 0.0, 0.0]))
            .unwrap();
        assert_eq!(days.len(), 1);
        let totals = days.values().next().unwrap();
        assert_eq!((totals.input, totals.total_tokens), (1_000_010, 1_000_015));
        assert_eq!((totals.total_cost, totals.missing_cost_entries), (2.5, 0));
        // Remembered: the other price is not asked.
        let again = ledger.days(&store, "main", 0, &|_, _| None).unwrap();
        assert_eq!(again.values().next(), Some(totals));
        fs::write(folder.join("a.jsonl"), line(r#"{"input":1}"#)).unwrap();
        let fresh = ledger.days(&store, "main", 0, &|_, _| None).unwrap();
        assert_eq!(fresh.values().next().unwrap().missing_cost_entries, 1);
        let none = ledger.days(&store, "main", u64::MAX, &|_, _| None).unwrap();
        assert!(none.is_empty());
        fs::remove_dir_all(dir).unwrap();
    }
}
