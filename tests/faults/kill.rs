//! The core is killed at random moments of chats: nothing that was acknowledged or shown is lost,
//! nothing on disk is torn, and the next turn works.

use crate::harness::model::Reply;
use crate::harness::{Gateway, Setup, Ws, eventually, proc, skip};
use openclaw::base::id;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs;
use std::time::{Duration, Instant};

/// Kills before the gateway is stopped and started anew: each makes the supervisor wait longer
/// before the next core.
const KILLS_A_START: usize = 3;

/// For one answer of a real model on a machine that is busy with other tests.
const MODEL_PATIENCE: Duration = Duration::from_secs(90);

/// What clients were told so far.
#[derive(Default)]
struct Told {
    acknowledged: BTreeSet<String>,
    /// The text of each run that ended well.
    answered: BTreeMap<String, String>,
}

impl Told {
    fn hear(&mut self, frames: Vec<Value>) {
        for frame in frames {
            let payload = &frame["payload"];
            let run = || payload["runId"].as_str().unwrap_or_default().to_string();
            if payload["status"] == "started" {
                self.acknowledged.insert(run());
            }
            if frame["event"] == "chat" {
                assert_ne!(payload["state"], "error", "{payload}");
                if payload["state"] == "final" {
                    let text = payload["message"]["content"][0]["text"].as_str();
                    self.answered
                        .insert(run(), text.unwrap_or_default().to_string());
                }
            }
        }
    }
}

impl Told {
    /// Listens until `run` has its answer.
    fn hear_answer(&mut self, ws: &mut Ws, run: &str) {
        let started = Instant::now();
        while !self.answered.contains_key(run) {
            assert!(
                started.elapsed() < MODEL_PATIENCE,
                "the next turn does not work: no answer to {run}"
            );
            self.hear(ws.rest_within(Duration::from_millis(20)));
        }
    }
}

/// All texts by role; every file whole, every line a record whose parent stands above it.
fn stored(gateway: &Gateway) -> BTreeMap<String, String> {
    let agents = gateway.state().join("agents/main/sessions");
    let mut texts: BTreeMap<String, String> = BTreeMap::new();
    for entry in fs::read_dir(&agents).unwrap().flatten() {
        let path = entry.path();
        let name = path.display();
        let bytes = fs::read_to_string(&path).unwrap();
        match path.extension().and_then(|e| e.to_str()) {
            Some("json") => {
                serde_json::from_str::<Value>(&bytes).unwrap_or_else(|e| panic!("{name}: {e}"));
            }
            Some("jsonl") => {
                assert!(bytes.ends_with('\n'), "{name} ends in the middle of a line");
                let mut ids = HashSet::new();
                for (at, line) in bytes.lines().enumerate() {
                    let line: Value = serde_json::from_str(line)
                        .unwrap_or_else(|e| panic!("{name}: line {at}: {e}"));
                    if at == 0 {
                        assert_eq!(line["type"], "session", "{name}");
                        continue;
                    }
                    if let Some(parent) = line["parentId"].as_str() {
                        assert!(ids.contains(parent), "{name}: line {at} has no parent");
                    }
                    ids.insert(line["id"].as_str().expect("an id").to_string());
                    let message = &line["message"];
                    let role = message["role"].as_str().unwrap_or_default();
                    let blocks = message["content"].as_array().into_iter().flatten();
                    for text in blocks.filter_map(|block| block["text"].as_str()) {
                        let all = texts.entry(role.to_string()).or_default();
                        all.push_str(text);
                        all.push('\n');
                    }
                }
            }
            _ => {}
        }
    }
    texts
}

/// The messages that wait for their turn.
pub fn waiting(gateway: &Gateway) -> String {
    let Ok(folder) = fs::read_dir(gateway.state().join("rs/queue")) else {
        return String::new();
    };
    // One that leaves meanwhile is in its transcript.
    let files = folder.flatten();
    files
        .filter_map(|file| fs::read_to_string(file.path()).ok())
        .collect()
}

fn check(gateway: &Gateway, told: &Told) {
    let waiting = waiting(gateway);
    let texts = stored(gateway);
    let of = |role: &str| texts.get(role).map_or("", String::as_str);
    for run in &told.acknowledged {
        let line = format!("[message_id: {run}]");
        assert!(
            of("user").contains(&line) || waiting.contains(&line),
            "the message of {run} was acknowledged and is lost"
        );
    }
    for (run, text) in &told.answered {
        assert!(
            of("assistant").contains(text.trim()),
            "the answer of {run} was shown and is lost: {text:?}"
        );
    }
}

fn say(ws: &mut Ws, key: &str, run: &str) {
    let params = json!({
        "sessionKey": key, "message": format!("Tell me about {run}."), "idempotencyKey": run,
    });
    ws.send("chat.send", params);
}

/// Kills the core `kills` times, each up to `longest` after messages were sent.
fn kill_at_random_moments(gateway: &mut Gateway, kills: usize, longest: Duration) {
    let mut told = Told::default();
    let mut moments = Vec::new();
    // A real model reads the long part of the prompt only once.
    let mut ws = gateway.connect();
    say(&mut ws, "agent:main:warm", "warm");
    told.hear_answer(&mut ws, "warm");
    let began = Instant::now();
    for start in 0..kills.div_ceil(KILLS_A_START) {
        // A short history keeps the model quick.
        let key = format!("agent:main:start-{start}");
        let mut ws = gateway.connect();
        for kill in 0..KILLS_A_START.min(kills - moments.len()) {
            let [moment, several, ..] = id::random::<8>();
            let moment = longest * u32::from(moment) / 255;
            moments.push(moment);
            for i in 0..=several % 2 {
                say(&mut ws, &key, &format!("run-{start}-{kill}-{i}"));
            }
            let seen = ws.events_within(moment);
            let core = gateway.core_pid();
            gateway.kill_core();
            told.hear(seen);
            told.hear(ws.rest());
            eventually("a new core", Duration::from_secs(20), || {
                (proc::core_of(gateway.pid())? != core).then_some(())
            });
            // Answered, so what the dead core left has been put in order.
            ws = gateway.connect();
            check(gateway, &told);
        }
        let last = format!("last-{start}");
        say(&mut ws, &key, &last);
        told.hear_answer(&mut ws, &last);
        told.hear(ws.rest_within(Duration::ZERO));
        assert!(gateway.stop().success());
        check(gateway, &told);
        gateway.start_again();
    }
    eprintln!(
        "{:?}: {} kills, {} messages acknowledged, {} answers shown; moments {moments:?}",
        began.elapsed(),
        moments.len(),
        told.acknowledged.len(),
        told.answered.len()
    );
    assert!(!told.acknowledged.is_empty() && told.answered.len() > kills / KILLS_A_START);
}

#[test]
fn a_killed_core_loses_nothing_it_acknowledged() {
    let mut gateway = Gateway::with_fake_model();
    let words = ["all ", "is ", "well"].map(String::from).to_vec();
    gateway
        .model()
        .otherwise(Reply::Text(words, Duration::from_millis(15)));
    kill_at_random_moments(&mut gateway, 9, Duration::from_millis(120));
}

#[test]
fn a_core_killed_at_fifty_moments_of_real_chats_loses_nothing() {
    let (setup, _tap) = match Setup::with_local_model("openai-completions", 8) {
        Ok(with) => with,
        Err(why) => {
            return skip(
                "a_core_killed_at_fifty_moments_of_real_chats_loses_nothing",
                &why,
            );
        }
    };
    kill_at_random_moments(&mut setup.start(), 50, Duration::from_millis(900));
}

#[test]
fn a_transcript_that_cannot_be_written_fails_the_run_and_says_so() {
    let gateway = Gateway::with_fake_model();
    let mut ws = gateway.connect();
    let send = |ws: &mut Ws, id: &str| {
        let params =
            json!({"message": "hi", "sessionKey": "agent:main:main", "idempotencyKey": id});
        let request = ws.send("agent", params);
        let first = ws.response(&request);
        if first["ok"] == true {
            ws.response(&request)
        } else {
            first
        }
    };
    let first = send(&mut ws, "f1");
    let id = &first["payload"]["result"]["meta"]["agentMeta"]["sessionId"];
    let sessions = gateway.state().join("agents/main/sessions");
    let file = sessions.join(format!("{}.jsonl", id.as_str().unwrap()));
    let kept = fs::read(&file).unwrap();
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    let failed = send(&mut ws, "f2");
    assert_eq!(failed["ok"], false, "{failed}");
    assert_eq!(failed["error"]["code"], "UNAVAILABLE");
    fs::remove_dir(&file).unwrap();
    fs::write(&file, kept).unwrap();
    assert_eq!(send(&mut ws, "f3")["ok"], true);
}
