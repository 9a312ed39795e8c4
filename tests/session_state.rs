//! Sessions on disk against files the original wrote, and our files against the original's own
//! client.

use crate::harness::{Dir, skip};
use openclaw::config::{Config, Env, Paths};
use openclaw::session::{Entry, Filter, Opening, Store, history};
use openclaw::wire::message::{Assistant, Block, Content, Message, StopReason, User};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

const KEY: &str = "agent:main:main";

/// The folder of sessions the original left behind.
fn samples(test: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../shared/data/state-samples/openclaw/agents/main/sessions");
    if !path.is_dir() {
        skip(test, "no ../shared/data/state-samples");
        return None;
    }
    Some(path)
}

fn sessions(dir: &Dir) -> PathBuf {
    dir.path().join("agents/main/sessions")
}

fn open(dir: &Dir) -> Arc<Store> {
    let state = dir.path().to_str().unwrap();
    let env = Env::from_pairs(&[("OPENCLAW_STATE_DIR", state), ("HOME", state)]);
    Arc::new(Store::open(&Paths::resolve(&env, None), &Config::default()))
}

/// A private copy of the samples.
fn copied(from: &Path) -> Dir {
    let dir = Dir::new("session-state");
    fs::create_dir_all(sessions(&dir)).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let text = fs::read(entry.path()).unwrap();
        fs::write(sessions(&dir).join(entry.file_name()), text).unwrap();
    }
    dir
}

fn opening<'a>(key: &'a str, id: &'a str) -> Opening<'a> {
    Opening {
        patience: Duration::ZERO,
        ..Opening::new(key, id, Path::new("/home/user/.openclaw/workspace"))
    }
}

fn user(text: &str) -> Message {
    Message::User(User {
        content: Content::Blocks(vec![Block::text(text)]),
        timestamp: 1_795_239_747_718,
    })
}

fn assistant(text: &str) -> Message {
    Message::Assistant(Assistant {
        content: vec![Block::text(text)],
        api: "openai-completions".into(),
        provider: "fake".into(),
        model: "m1".into(),
        usage: Default::default(),
        stop_reason: StopReason::Stop,
        error_message: None,
        timestamp: 1_795_239_747_721,
    })
}

#[test]
fn a_store_of_the_original_comes_back_byte_for_byte() {
    let Some(samples) = samples("a_store_of_the_original") else {
        return;
    };
    let dir = copied(&samples);
    let store = open(&dir);
    let file = sessions(&dir).join("sessions.json");
    let before = fs::read_to_string(&file).unwrap();
    for (key, entry) in store.list(&Filter::default()).unwrap() {
        let tokens = entry.total_tokens;
        store
            .patch(&key, |entry| entry.total_tokens = Some(1))
            .unwrap();
        assert_ne!(fs::read_to_string(&file).unwrap(), before);
        store
            .patch(&key, |entry| entry.total_tokens = tokens)
            .unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), before, "{key}");
    }
    let kept: serde_json::Map<String, Value> = serde_json::from_str(&before).unwrap();
    assert_eq!(store.count().unwrap(), kept.len());
    for value in kept.values() {
        let entry: Entry = serde_json::from_value(value.clone()).unwrap();
        assert!(entry.rest.is_empty(), "{:?} should be typed", entry.rest);
        assert_eq!(serde_json::to_string(&entry).unwrap(), value.to_string());
    }
}

#[test]
fn transcripts_of_the_original_are_read_whole_and_only_appended_to() {
    let Some(samples) = samples("transcripts_of_the_original") else {
        return;
    };
    let dir = copied(&samples);
    let store = open(&dir);
    let mut count = 0;
    for (key, entry) in store.list(&Filter::default()).unwrap() {
        let id = entry.session_id.as_deref().unwrap();
        let file = sessions(&dir).join(format!("{id}.jsonl"));
        let before = fs::read_to_string(&file).unwrap();
        let messages: Vec<Value> = before
            .lines()
            .filter_map(|line| {
                let line: Value = serde_json::from_str(line).unwrap();
                line.get("message").cloned()
            })
            .collect();
        let mut run = store.transcript(&opening(&key, id)).unwrap();
        let context = run.context();
        assert_eq!(context.len(), messages.len(), "{key}");
        for (ours, theirs) in context.iter().zip(&messages) {
            let ours = serde_json::to_value(ours).unwrap();
            assert!(same(&ours, theirs), "{ours}\n{theirs}");
        }
        run.append(user("more")).unwrap();
        run.append(assistant("answer")).unwrap();
        run.finish_turn().unwrap();
        drop(run);
        let after = fs::read_to_string(&file).unwrap();
        assert!(after.starts_with(&before));
        let shown = store
            .history(&key, 1000, history::MAX_HISTORY_BYTES)
            .unwrap();
        assert_eq!(shown.len(), messages.len() + 2);
        count += 1;
    }
    assert!(count > 0);
}

/// Equal but for the spelling of numbers.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(k, v)| b.get(k).is_some_and(|w| same(v, w)))
        }
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(v, w)| same(v, w))
        }
        (Value::Number(a), Value::Number(b)) => a.as_f64() == b.as_f64(),
        _ => a == b,
    }
}

#[test]
fn the_official_client_lists_what_we_wrote() {
    let test = "the_official_client_lists_what_we_wrote";
    let program = std::env::var_os("OPENCLAW_OFFICIAL").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("target/official/openclaw"),
        PathBuf::from,
    );
    if !program.exists() {
        skip(test, "no official client");
        return;
    }
    let dir = Dir::new("session-official");
    let store = open(&dir);
    for (n, key) in [KEY, "agent:main:telegram:group:-100", "agent:main:notes"]
        .iter()
        .enumerate()
    {
        let id = openclaw::base::id::uuid();
        store
            .update(key, |entry| {
                entry.session_id = Some(id.clone());
                entry.updated_at = Some(openclaw::base::time::now_ms());
                entry.model = Some("m1".into());
                entry.total_tokens = Some(100 + n as u64);
                entry.context_tokens = Some(64_000);
            })
            .unwrap();
        let mut run = store.transcript(&opening(key, &id)).unwrap();
        run.append_model_change("fake", "m1").unwrap();
        run.append(user("hi")).unwrap();
        run.append(assistant("hello")).unwrap();
        run.finish_turn().unwrap();
    }
    store.flush().unwrap();
    assert!(
        dir.path()
            .join("agents/default/sessions/main.jsonl")
            .exists()
    );
    let config = dir.path().join("openclaw.json");
    fs::write(&config, "{}").unwrap();
    let output = Command::new(program)
        .args(["sessions", "--json"])
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", dir.path())
        .env("OPENCLAW_STATE_DIR", dir.path())
        .env("OPENCLAW_CONFIG_PATH", &config)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let start = text.find('{').unwrap_or(0);
    let listed: Value = serde_json::from_str(&text[start..]).unwrap();
    assert_eq!(listed["count"], 3, "{text}");
    let row = |key: &str| {
        let rows = listed["sessions"].as_array().unwrap();
        rows.iter().find(|row| row["key"] == key).cloned().unwrap()
    };
    assert_eq!(row("agent:main:notes")["totalTokens"], 102);
    assert_eq!(row("agent:main:telegram:group:-100")["kind"], "group");
}

/// Prints what the budgets of the design ask for; by hand, in a release build.
#[test]
#[ignore = "prints timings, for people"]
fn timings_with_many_sessions_and_messages() {
    let dir = Dir::new("session-timings");
    let store = open(&dir);
    let time = |what: &str, times: u32, step: &mut dyn FnMut()| {
        let start = std::time::Instant::now();
        (0..times).for_each(|_| step());
        eprintln!("{what}: {:?}", start.elapsed() / times);
    };
    let snapshot = serde_json::json!({"prompt": "x".repeat(4000), "skills": [], "version": 0});
    let mut stored = serde_json::Map::new();
    for n in 0..1000 {
        let entry = serde_json::json!({
            "sessionId": format!("s{n}"), "updatedAt": 1_795_239_747_718u64 + n,
            "skillsSnapshot": snapshot, "modelProvider": "fake", "model": "m1",
            "contextTokens": 64_000, "inputTokens": 5, "outputTokens": 5, "totalTokens": 9
        });
        stored.insert(format!("agent:main:k{n}"), entry);
    }
    fs::create_dir_all(sessions(&dir)).unwrap();
    let text = serde_json::to_string_pretty(&stored).unwrap();
    fs::write(sessions(&dir).join("sessions.json"), &text).unwrap();
    eprintln!("store of {} KiB", text.len() / 1024);
    time("first read", 1, &mut || {
        assert_eq!(store.count().unwrap(), 1000);
    });
    let newest = Filter {
        limit: Some(50),
        ..Filter::default()
    };
    time("list 50 of 1,000", 200, &mut || {
        drop(store.list(&newest).unwrap())
    });
    let mut n = 0;
    time("update of a counter", 500, &mut || {
        n += 1;
        store
            .update("agent:main:k7", |entry| entry.total_tokens = Some(n))
            .unwrap();
    });
    time("write of the store", 5, &mut || {
        n += 1;
        store
            .update("agent:main:k7", |entry| entry.total_tokens = Some(n))
            .unwrap();
        store.flush().unwrap();
    });
    time("new session", 5, &mut || {
        n += 1;
        store
            .update(&format!("agent:main:new{n}"), |entry| {
                entry.session_id = Some(format!("new{n}"));
            })
            .unwrap();
    });
    store
        .update(KEY, |entry| entry.session_id = Some("long".into()))
        .unwrap();
    let mut run = store.transcript(&opening(KEY, "long")).unwrap();
    for n in 0..500 {
        run.append(user(&format!("question {n} {}", "x".repeat(80))))
            .unwrap();
        run.append(assistant(&format!("answer {n} {}", "x".repeat(80))))
            .unwrap();
    }
    drop(run);
    time("history 200 of 1,000", 100, &mut || {
        drop(store.history(KEY, 200, history::MAX_HISTORY_BYTES).unwrap());
    });
    let mut run = store.transcript(&opening(KEY, "long")).unwrap();
    for n in 500..5000 {
        run.append(user(&format!("question {n} {}", "x".repeat(80))))
            .unwrap();
        run.append(assistant(&format!("answer {n} {}", "x".repeat(80))))
            .unwrap();
    }
    drop(run);
    let turn = |store: &Arc<Store>, synced: bool| {
        let mut run = store.transcript(&opening(KEY, "long")).unwrap();
        run.append(user("again")).unwrap();
        assert!(run.context().len() > 10_000);
        run.append(assistant("done")).unwrap();
        if synced {
            run.finish_turn().unwrap();
        }
    };
    time("turn at 10,000 messages", 20, &mut || turn(&store, true));
    time("the same without fsync", 20, &mut || turn(&store, false));
    let fresh = open(&dir);
    time("first turn of a process at 10,000 messages", 1, &mut || {
        turn(&fresh, false)
    });
    time("history 200 of 10,000", 100, &mut || {
        drop(store.history(KEY, 200, history::MAX_HISTORY_BYTES).unwrap());
    });
}
