//! The store and the transcripts together, on real files.

use super::*;
use crate::base::id;
use crate::config::{Config, Env, Paths};
use crate::wire::message::{Assistant, Block, Content, Message, StopReason, ToolResult, User};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

const KEY: &str = "agent:main:main";

struct Place {
    dir: PathBuf,
}

impl Place {
    fn new() -> Place {
        Place {
            dir: id::temp_dir("session"),
        }
    }

    fn store(&self) -> Arc<Store> {
        let state = self.dir.to_str().unwrap();
        let env = Env::from_pairs(&[("OPENCLAW_STATE_DIR", state), ("HOME", state)]);
        Arc::new(Store::open(&Paths::resolve(&env, None), &Config::default()))
    }

    fn folder(&self) -> PathBuf {
        self.dir.join("agents/main/sessions")
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        fs::create_dir_all(self.folder()).unwrap();
        let path = self.folder().join(name);
        fs::write(&path, text).unwrap();
        path
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.folder())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.dir).unwrap();
    }
}

fn opening(id: &str) -> Opening<'_> {
    Opening {
        patience: Duration::ZERO,
        ..Opening::new(KEY, id, Path::new("/work"))
    }
}

fn user(text: &str) -> Message {
    Message::User(User {
        content: Content::Blocks(vec![Block::text(text)]),
        timestamp: 1,
    })
}

fn assistant(blocks: Vec<Block>) -> Message {
    Message::Assistant(Assistant {
        content: blocks,
        api: "openai-completions".into(),
        provider: "fake".into(),
        model: "m1".into(),
        usage: Default::default(),
        stop_reason: StopReason::Stop,
        error_message: None,
        timestamp: 2,
    })
}

fn said(text: &str) -> Message {
    assistant(vec![Block::text(text)])
}

fn texts(messages: &[Message]) -> Vec<String> {
    let text = |message: &Message| match message {
        Message::User(user) => user.content.text(),
        Message::Assistant(assistant) => assistant.text(),
        Message::ToolResult(result) => format!("={}", result.tool_call_id),
        Message::Other => "other".into(),
    };
    messages.iter().map(text).collect()
}

#[test]
fn a_turn_survives_and_the_next_one_continues_it() {
    let place = Place::new();
    let store = place.store();
    let mut run = store.transcript(&opening("s1")).unwrap();
    assert!(run.is_new());
    run.append_model_change("fake", "m1").unwrap();
    run.append_thinking_level("low").unwrap();
    run.append_custom(MODEL_SNAPSHOT, &json!({"modelId":"m1"}))
        .unwrap();
    run.append(user("hi")).unwrap();
    let file = place.folder().join("s1.jsonl");
    assert!(
        fs::read_to_string(&file).unwrap().contains("hi"),
        "before the model is asked"
    );
    run.append(said("hello")).unwrap();
    run.finish_turn().unwrap();
    assert!(matches!(
        store.transcript(&opening("s1")),
        Err(Error::TranscriptLocked { .. })
    ));
    drop(run);
    assert_eq!(place.names(), ["main.jsonl", "s1.jsonl"]);
    // Remembered, and read again by a new process.
    for store in [store, place.store()] {
        let mut run = store.transcript(&opening("s1")).unwrap();
        assert!(!run.is_new());
        assert_eq!(texts(run.context()), ["hi", "hello"]);
        assert_eq!(run.thinking_level(), Some("low"));
        assert_eq!(run.model_snapshot(), Some(&json!({"modelId":"m1"})));
    }
    let mut parent = Value::Null;
    for line in fs::read_to_string(file).unwrap().lines().skip(1) {
        let line: Value = serde_json::from_str(line).unwrap();
        assert_eq!(line["parentId"], parent);
        parent = line["id"].clone();
    }
}

#[test]
fn a_message_that_never_got_an_answer_is_stepped_over() {
    let place = Place::new();
    let store = place.store();
    let mut run = store.transcript(&opening("s1")).unwrap();
    run.append(user("a")).unwrap();
    run.append(said("b")).unwrap();
    run.append(user("lost")).unwrap();
    drop(run);
    let mut run = store.transcript(&opening("s1")).unwrap();
    run.append(user("again")).unwrap();
    assert_eq!(texts(run.context()), ["a", "b", "again"]);
    drop(run);
    let again = place.store();
    let mut run = again.open_transcript(&opening("s1")).unwrap();
    assert_eq!(texts(run.context()), ["a", "b", "again"]);
}

#[test]
fn torn_and_malformed_lines_are_put_right_and_kept_aside() {
    let place = Place::new();
    let head = r#"{"type":"session","version":3,"id":"s1","timestamp":"2026-11-21T05:42:27.705Z","cwd":"/w"}"#;
    let one = r#"{"type":"message","id":"00000001","parentId":null,"timestamp":"2026-11-21T05:42:27.705Z","message":{"role":"user","content":"a","timestamp":1}}"#;
    let two = r#"{"type":"message","id":"00000002","parentId":"00000001","message":{"role":"assistant","content":[{"type":"text","text":"b"}],"stopReason":"stop"}}"#;
    // What kill -9 in the middle of a write leaves.
    place.write(
        "s1.jsonl",
        &format!("{head}\n{one}\n{two}\n{{\"type\":\"mess"),
    );
    let store = place.store();
    let mut run = store.transcript(&opening("s1")).unwrap();
    assert_eq!(texts(run.context()), ["a", "b"]);
    drop(run);
    assert_eq!(place.names(), ["main.jsonl", "s1.jsonl"]);
    // Garbage in the middle.
    let path = place.write("s1.jsonl", &format!("{head}\n{one}\ngarbage\n{two}\n"));
    let mut run = store.transcript(&opening("s1")).unwrap();
    assert_eq!(texts(run.context()), ["a", "b"]);
    drop(run);
    assert_eq!(
        fs::read_to_string(&path).unwrap(),
        format!("{head}\n{one}\n{two}\n")
    );
    let names = place.names();
    let copy = names.iter().find(|name| name.contains(".bak-")).unwrap();
    assert!(
        fs::read_to_string(place.folder().join(copy))
            .unwrap()
            .contains("garbage")
    );
    // No header, as sessions.compact of the original leaves it.
    let path = place.write("s2.jsonl", &format!("{two}\n"));
    let mut run = store.transcript(&opening("s2")).unwrap();
    assert_eq!(texts(run.context()), ["b"]);
    let text = fs::read_to_string(path).unwrap();
    assert!(
        text.starts_with(r#"{"type":"session","version":3,"id":"s2""#),
        "{text}"
    );
}

#[test]
fn old_versions_are_migrated_with_their_compaction() {
    let place = Place::new();
    place.write(
        "s1.jsonl",
        concat!(
            r#"{"type":"session","id":"s1","timestamp":"t","cwd":"/w"}"#, "\n",
            r#"{"type":"message","message":{"role":"user","content":"old","timestamp":1}}"#, "\n",
            r#"{"type":"message","message":{"role":"user","content":"kept","timestamp":1}}"#, "\n",
            r#"{"type":"compaction","summary":"sum","firstKeptEntryIndex":2,"tokensBefore":5}"#, "\n",
            r#"{"type":"message","message":{"role":"hookMessage","content":"x"}}"#, "\n",
            r#"{"type":"message","message":{"role":"assistant","content":[{"type":"text","text":"end"}],"stopReason":"stop"}}"#, "\n",
        ),
    );
    let store = place.store();
    let mut run = store.transcript(&opening("s1")).unwrap();
    let context = texts(run.context());
    assert!(context[0].contains("sum"));
    assert_eq!(context[1..], ["kept", "end"]);
    let text = fs::read_to_string(run.path()).unwrap();
    assert!(text.starts_with(r#"{"type":"session","version":3,"#));
    assert!(text.contains(r#""role":"custom""#) && !text.contains("firstKeptEntryIndex"));
}

/// The context by the rules, computed the slow way.
fn model_context(lines: &[Value]) -> Vec<String> {
    let parent = |at: usize| match lines[at].get("parentId") {
        None => at.checked_sub(1),
        Some(parent) => lines[..at].iter().rposition(|l| &l["id"] == parent),
    };
    let mut path = Vec::new();
    let mut next = lines.len().checked_sub(1);
    while let Some(at) = next {
        path.insert(0, at);
        next = parent(at);
    }
    let compaction = path
        .iter()
        .rposition(|at| lines[*at]["type"] == "compaction");
    let mut out = Vec::new();
    let mut from = 0;
    if let Some(c) = compaction {
        out.push(format!(
            "sum {}",
            lines[path[c]]["summary"].as_str().unwrap()
        ));
        let first = &lines[path[c]]["firstKeptEntryId"];
        from = path[..c]
            .iter()
            .position(|at| &lines[*at]["id"] == first)
            .unwrap_or(c);
    }
    for at in &path[from..] {
        if lines[*at]["type"] == "message" && lines[*at]["message"]["role"] != "bashExecution" {
            out.push(lines[*at]["message"]["content"].as_str().unwrap().into());
        }
    }
    out
}

#[test]
fn the_context_of_any_branched_file_follows_the_rules() {
    let place = Place::new();
    let mut seed = 42u64;
    let mut random = move |below: u64| {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    };
    for round in 0..300 {
        let mut lines: Vec<Value> = Vec::new();
        for n in 0..random(25) {
            let id = format!("{n:08x}");
            let mut line = match random(10) {
                0 => {
                    json!({"type":"compaction","id":id,"summary":n.to_string(),"firstKeptEntryId":format!("{:08x}", random(n + 2))})
                }
                1 => json!({"type":"model_change","id":id}),
                2 => {
                    json!({"type":"message","id":id,"message":{"role":"bashExecution","content":"x"}})
                }
                _ => {
                    json!({"type":"message","id":id,"message":{"role":"user","content":id,"timestamp":1}})
                }
            };
            match random(8) {
                0 => {}
                1 => line["parentId"] = Value::Null,
                2 => line["parentId"] = "missing".into(),
                3 => line["parentId"] = format!("{:08x}", random(n + 1)).into(),
                _ if n > 0 => line["parentId"] = format!("{:08x}", n - 1).into(),
                _ => line["parentId"] = Value::Null,
            }
            // An entry is never its own parent.
            if line["parentId"] == line["id"] {
                line["parentId"] = Value::Null;
            }
            lines.push(line);
        }
        let head = json!({"type":"session","version":3,"id":"s","timestamp":"t","cwd":"/"});
        let text: String = std::iter::once(&head)
            .chain(&lines)
            .map(|l| format!("{l}\n"))
            .collect();
        place.write("s.jsonl", &text);
        let store = place.store();
        let mut run = store.open_transcript(&opening("s")).unwrap();
        let got: Vec<String> = texts(run.context())
            .into_iter()
            .map(|text| match text.split_once("<summary>\n") {
                Some((_, rest)) => format!("sum {}", rest.split('\n').next().unwrap()),
                None => text,
            })
            .collect();
        assert_eq!(got, model_context(&lines), "round {round}\n{text}");
    }
}

#[test]
fn lines_added_beside_a_run_join_the_conversation_but_not_between_call_and_result() {
    let place = Place::new();
    let store = place.store();
    store
        .update(KEY, |entry| entry.session_id = Some("s1".into()))
        .unwrap();
    assert!(matches!(
        store.inject(KEY, "x", None),
        Err(Error::NoTranscript)
    ));
    assert!(matches!(
        store.inject("agent:main:no", "x", None),
        Err(Error::NoSession)
    ));
    let mut run = store.transcript(&opening("s1")).unwrap();
    run.append(user("go")).unwrap();
    let call = Block::ToolCall {
        id: "c1".into(),
        name: "exec".into(),
        arguments: Default::default(),
        thought_signature: None,
    };
    run.append(assistant(vec![call])).unwrap();
    store.inject(KEY, "in between", None).unwrap();
    run.append(Message::ToolResult(ToolResult {
        tool_call_id: "c1".into(),
        tool_name: "exec".into(),
        content: vec![],
        details: None,
        is_error: false,
        timestamp: 3,
    }))
    .unwrap();
    store.inject(KEY, "after", Some("note")).unwrap();
    run.append(said("done")).unwrap();
    assert_eq!(
        texts(run.context()),
        ["go", "", "=c1", "[note]\n\nafter", "done"]
    );
    drop(run);
    store.mirror(&opening("s1"), "mirrored").unwrap();
    let mut run = place.store().transcript(&opening("s1")).unwrap();
    assert_eq!(
        texts(run.context()),
        ["go", "", "=c1", "[note]\n\nafter", "done", "mirrored"]
    );
    drop(run);
    let shown = store.history(KEY, 200, history::MAX_HISTORY_BYTES).unwrap();
    assert_eq!(shown.len(), 7);
}

#[test]
fn a_compaction_in_memory_equals_the_one_read_back() {
    let place = Place::new();
    let store = place.store();
    let mut run = store.transcript(&opening("s1")).unwrap();
    let mut ids = Vec::new();
    for n in 0..6 {
        run.append(user(&format!("q{n}"))).unwrap();
        ids.push(run.append(said(&format!("a{n}"))).unwrap());
    }
    for kept in [2, 4] {
        run.append_compaction(&Compaction {
            summary: &format!("up to {kept}"),
            first_kept: &ids[kept],
            tokens_before: 10,
            ..Compaction::default()
        })
        .unwrap();
        run.append(said("more")).unwrap();
    }
    let live = texts(run.context());
    assert_eq!(live.len(), 1 + 4 + 1 + 1 - 1 + 1 - 1);
    drop(run);
    let again = place.store();
    assert_eq!(
        texts(again.transcript(&opening("s1")).unwrap().context()),
        live
    );
}

#[test]
fn what_another_program_appends_is_seen() {
    let place = Place::new();
    let store = place.store();
    let mut run = store.transcript(&opening("s1")).unwrap();
    run.append(user("a")).unwrap();
    run.append(said("b")).unwrap();
    let path = run.path().to_path_buf();
    drop(run);
    let foreign = r#"{"type":"message","id":"00000009","timestamp":"t","message":{"role":"assistant","content":[{"type":"text","text":"injected"}],"stopReason":"injected","timestamp":3}}"#;
    let mut text = fs::read_to_string(&path).unwrap();
    text.push_str(foreign);
    text.push('\n');
    fs::write(&path, text).unwrap();
    let mut run = store.transcript(&opening("s1")).unwrap();
    assert_eq!(texts(run.context()), ["a", "b", "injected"]);
}

#[test]
fn history_is_the_end_of_the_file_without_envelopes() {
    let place = Place::new();
    let store = place.store();
    assert!(store.history(KEY, 5, 1000).unwrap().is_empty());
    store
        .update(KEY, |entry| entry.session_id = Some("s1".into()))
        .unwrap();
    let mut run = store.transcript(&opening("s1")).unwrap();
    for n in 0..5 {
        run.append(user(&format!(
            "[Sat 2026-11-21 05:42 UTC] q{n}\n[message_id: {n}]"
        )))
        .unwrap();
        run.append(said(&format!("a{n}"))).unwrap();
    }
    drop(run);
    let shown = |limit, bytes| -> Vec<String> {
        let history = store.history(KEY, limit, bytes).unwrap();
        let text = |raw: &serde_json::value::RawValue| {
            serde_json::from_str::<Value>(raw.get()).unwrap()["content"][0]["text"].clone()
        };
        history
            .iter()
            .map(|raw| text(raw).as_str().unwrap().to_string())
            .collect()
    };
    assert_eq!(shown(3, 100_000), ["a3", "q4", "a4"]);
    assert_eq!(shown(200, 100_000).len(), 10);
    assert_eq!(shown(200, 10), ["a4"], "one is always shown");
    let entry = store.entry(KEY).unwrap().unwrap();
    assert_eq!(store.last_message(KEY, &entry).as_deref(), Some("a4"));
    assert_eq!(
        store.derived_title(KEY, &entry).as_deref(),
        Some("[Sat 2026-11-21 05:42 UTC] q0 [message_id: 0]")
    );
    match store.preview(KEY, 2, 20).unwrap() {
        history::Preview::Items(items) => {
            assert_eq!(items[0].role, "user");
            assert_eq!(items[0].text, "q4\n[message_id: 4]");
            assert_eq!(items[1].text, "a4");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn counters_are_seen_at_once_and_written_behind_or_at_the_end() {
    let place = Place::new();
    let store = place.store();
    store
        .update(KEY, |entry| entry.session_id = Some("s1".into()))
        .unwrap();
    let file = place.folder().join("sessions.json");
    assert!(fs::read_to_string(&file).unwrap().contains("s1"));
    store
        .update(KEY, |entry| entry.total_tokens = Some(77))
        .unwrap();
    assert_eq!(store.entry(KEY).unwrap().unwrap().total_tokens, Some(77));
    drop(store);
    let text = fs::read_to_string(&file).unwrap();
    assert_eq!(
        text,
        "{\n  \"agent:main:main\": {\n    \"sessionId\": \"s1\",\n    \"totalTokens\": 77\n  }\n}"
    );
    assert_eq!(place.names(), ["main.jsonl", "sessions.json"]);
}

#[test]
fn a_foreign_write_is_merged_with_what_is_pending() {
    let place = Place::new();
    let store = place.store();
    store
        .update(KEY, |entry| {
            entry.session_id = Some("s1".into());
            entry.updated_at = Some(5);
        })
        .unwrap();
    store
        .update(KEY, |entry| entry.total_tokens = Some(77))
        .unwrap();
    place.write(
        "sessions.json",
        r#"{ // as a person would
            "agent:main:main": {"sessionId":"s1","updatedAt":9,"thinkingLevel":"high","odd":[1]},
            "Notes": {"sessionId":"n"}, "agent:main:bad": 7 }"#,
    );
    let entry = store.entry(KEY).unwrap().unwrap();
    assert_eq!(entry.total_tokens, Some(77));
    assert_eq!(entry.thinking_level.as_deref(), Some("high"));
    assert_eq!(entry.updated_at, Some(9));
    assert!(store.entry("agent:main:notes").unwrap().is_some());
    store.flush().unwrap();
    let text = fs::read_to_string(place.folder().join("sessions.json")).unwrap();
    let value: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(value["agent:main:main"]["odd"], json!([1]));
    assert_eq!(value["agent:main:main"]["totalTokens"], 77);
    assert_eq!(value["agent:main:bad"], 7);
}

#[test]
fn a_store_that_cannot_be_read_is_refused_and_never_emptied() {
    let place = Place::new();
    let path = place.write("sessions.json", "{\"agent:main:main\": {\"sess");
    let store = place.store();
    for _ in 0..3 {
        let err = store
            .update(KEY, |entry| entry.updated_at = Some(1))
            .unwrap_err();
        assert!(matches!(err, Error::Corrupt { .. }), "{err}");
        assert!(err.to_string().contains("sessions.json"), "{err}");
    }
    assert!(store.list(&Filter::default()).is_err());
    drop(store);
    assert_eq!(
        fs::read_to_string(&path).unwrap(),
        "{\"agent:main:main\": {\"sess"
    );
    assert_eq!(place.names().len(), 2, "one copy: {:?}", place.names());
}

#[test]
fn two_writers_lose_nothing() {
    let place = Place::new();
    // Two stores share no memory: they stand for two processes.
    let threads: Vec<_> = (0..2)
        .map(|writer| {
            let store = place.store();
            std::thread::spawn(move || {
                for n in 0..20 {
                    let key = format!("agent:main:w{writer}-{n}");
                    store
                        .update(&key, |entry| {
                            entry.session_id = Some(format!("{writer}-{n}"))
                        })
                        .unwrap();
                    store
                        .update("agent:main:shared", |entry| {
                            entry.session_id = Some("s".into());
                            let name = format!("w{writer}");
                            entry.rest.insert(name, n.into());
                        })
                        .unwrap();
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    let store = place.store();
    let all = store.list(&Filter::default()).unwrap();
    assert_eq!(all.len(), 41);
    let shared = store.entry("agent:main:shared").unwrap().unwrap();
    assert_eq!(
        (&shared.rest["w0"], &shared.rest["w1"]),
        (&json!(19), &json!(19))
    );
}

#[test]
fn lists_are_newest_first_and_filtered() {
    let place = Place::new();
    let store = place.store();
    for (n, key) in ["agent:main:a", "agent:main:b", "agent:ops:c", "global"]
        .iter()
        .enumerate()
    {
        store
            .update(key, |entry| {
                entry.session_id = Some(n.to_string());
                entry.updated_at = Some(n as u64);
                entry.label = Some(format!("Label {n}"));
            })
            .unwrap();
    }
    let keys = |filter: Filter| -> Vec<String> {
        let list = store.list(&filter).unwrap();
        list.iter().map(|(key, _)| key.to_string()).collect()
    };
    assert_eq!(
        keys(Filter::default()),
        ["agent:ops:c", "agent:main:b", "agent:main:a"]
    );
    let limited = Filter {
        limit: Some(1),
        include_global: true,
        ..Filter::default()
    };
    assert_eq!(keys(limited), ["global"]);
    let found = Filter {
        search: Some("LABEL 1".into()),
        ..Filter::default()
    };
    assert_eq!(keys(found), ["agent:main:b"]);
    assert_eq!(&*store.by_label("Label 2").unwrap()[0].0, "agent:ops:c");
    assert_eq!(&*store.by_session_id("0").unwrap()[0].0, "agent:main:a");
}

#[test]
fn reset_delete_and_shorten_keep_the_old_files() {
    let place = Place::new();
    let store = place.store();
    store
        .update(KEY, |entry| {
            entry.session_id = Some("s1".into());
            entry.label = Some("L".into());
            entry.exec_host = Some("gateway".into());
            entry.total_tokens = Some(9);
        })
        .unwrap();
    let mut run = store.transcript(&opening("s1")).unwrap();
    for n in 0..10 {
        run.append(user(&format!("q{n}"))).unwrap();
        run.append(said(&format!("a{n}"))).unwrap();
    }
    drop(run);
    match store.shorten(KEY, 5).unwrap() {
        Shortened::Cut { kept, archived } => {
            assert_eq!(kept, 4);
            assert!(archived.exists());
        }
        other => panic!("{other:?}"),
    }
    let mut run = store.transcript(&opening("s1")).unwrap();
    assert_eq!(texts(run.context()), ["q8", "a8", "q9", "a9"]);
    drop(run);
    assert_eq!(store.shorten(KEY, 5).unwrap(), Shortened::Kept(5));
    let fresh = store.reset(KEY).unwrap();
    assert_ne!(fresh.session_id.as_deref(), Some("s1"));
    assert_eq!(
        (fresh.label.as_deref(), fresh.total_tokens),
        (Some("L"), Some(0))
    );
    assert_eq!(fresh.exec_host, None);
    store
        .update(KEY, |entry| entry.session_id = Some("s1".into()))
        .unwrap();
    let (deleted, archived) = store.delete(KEY, true).unwrap();
    assert!(deleted && archived[0].exists() && !place.folder().join("s1.jsonl").exists());
    assert!(store.entry(KEY).unwrap().is_none());
}
