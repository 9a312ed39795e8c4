//! The memory index: the real `openclaw-memory`, asked by itself, by an agent's turn and by the
//! official program's files.

use crate::harness::local_model::embedder;
use crate::harness::model::Reply;
use crate::harness::{Dir, Gateway, Setup, eventually, proc, skip};
use crate::parity::official;
use openclaw::memory::link::{self, Helper};
use openclaw::wire::memory::{
    Answer, Ask, Found, Index, NO_PROVIDER, Status, Synced, WORDS_ONLY, Weights,
};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const PROGRAM: &str = env!("CARGO_BIN_EXE_openclaw-memory");
const PATIENCE: Duration = Duration::from_secs(20);

/// A workspace with notes and an index of it.
struct Notes {
    dir: Dir,
    index: Index,
}

/// Vectors a test can foresee: how often a text has each of these words.
struct Words(&'static [&'static str]);

impl Helper for Words {
    fn embed(&mut self, texts: &[String], _: bool) -> Result<Vec<Vec<f32>>, String> {
        let vector = |text: &String| {
            let count = |word: &&str| text.matches(*word).count() as f32;
            self.0.iter().map(count).chain([0.01]).collect()
        };
        Ok(texts.iter().map(vector).collect())
    }

    fn progress(&mut self, _: u64, _: u64) {}

    fn note(&mut self, text: &str) {
        assert!(text.contains("damaged"), "{text}");
    }
}

/// A service that is not there.
struct Nobody;

impl Helper for Nobody {
    fn embed(&mut self, _: &[String], _: bool) -> Result<Vec<Vec<f32>>, String> {
        Err("the service is away".into())
    }

    fn progress(&mut self, _: u64, _: u64) {}

    fn note(&mut self, _: &str) {}
}

impl Notes {
    fn new(name: &str) -> Notes {
        let dir = Dir::new(name);
        let ws = dir.path().join("ws");
        fs::create_dir_all(ws.join("memory")).unwrap();
        let index = Index {
            store: dir.path().join("memory/main.sqlite"),
            aside: dir.path().join("rs/memory/main"),
            workspace: ws,
            files: true,
            provider: NO_PROVIDER.into(),
            model: WORDS_ONLY.into(),
            chunk_tokens: 400,
            chunk_overlap: 80,
            cache: true,
            ..Index::default()
        };
        Notes { dir, index }
    }

    fn with_vectors(name: &str) -> Notes {
        let mut notes = Notes::new(name);
        notes.index.provider = "openai".into();
        notes.index.model = "words".into();
        notes.index.provider_key = "key".into();
        notes
    }

    fn write(&self, path: &str, text: &str) {
        fs::write(self.index.workspace.join(path), text).unwrap();
    }

    fn ask(&self, ask: &Ask, helper: &mut dyn Helper) -> Answer {
        let stream = link::start(Path::new(PROGRAM)).unwrap();
        link::ask(&stream, ask, helper).unwrap()
    }

    fn question(&self, query: &str) -> Ask {
        Ask::Search {
            index: self.index.clone(),
            query: query.into(),
            sync: true,
            patience_ms: 5_000,
            weights: Weights {
                vector: 0.7,
                text: 0.3,
                candidates: 4,
            },
            max_results: 6,
            min_score: 0.2,
        }
    }

    /// What is found, best first; why only by words, and what has no vector yet.
    fn search(&self, query: &str, helper: &mut dyn Helper) -> (Vec<Found>, Option<String>, u64) {
        match self.ask(&self.question(query), helper) {
            Answer::Found {
                results,
                words_only,
                pending,
            } => (results, words_only, pending),
            other => panic!("{other:?}"),
        }
    }

    fn paths(&self, query: &str) -> Vec<String> {
        let (results, ..) = self.search(query, &mut Nobody);
        results.into_iter().map(|found| found.path).collect()
    }

    fn sync(&self, force: bool, helper: &mut dyn Helper) -> Synced {
        let index = self.index.clone();
        match self.ask(&Ask::Sync { index, force }, helper) {
            Answer::Synced(synced) => synced,
            other => panic!("{other:?}"),
        }
    }

    fn status(&self) -> Status {
        let index = self.index.clone();
        match self.ask(&Ask::Status { index }, &mut Nobody) {
            Answer::Status(status) => *status,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_note_is_found_as_it_is_now() {
    let notes = Notes::new("memory-now");
    notes.write("MEMORY.md", "# Facts\n\nThe cat is called Miezi.\n");
    notes.write("memory/2026-01-02.md", "We chose Postgres for invoices.\n");
    assert!(notes.status().dirty);
    assert_eq!(notes.status().files, 0);
    let (found, words_only, _) = notes.search("What is the cat's name?", &mut Nobody);
    assert_eq!(words_only, None);
    assert_eq!(found[0].path, "MEMORY.md");
    assert_eq!((found[0].start_line, found[0].end_line), (1, 4));
    assert!(found[0].snippet.contains("Miezi"));
    assert!(!notes.status().dirty);
    assert_eq!(
        notes.paths("which database for invoices"),
        ["memory/2026-01-02.md"]
    );
    // Changed, added, removed: each is seen by the next question.
    notes.write("MEMORY.md", "# Facts\n\nThe dog is called Rex.\n");
    notes.write("memory/new.md", "Invoices are sent on Fridays.\n");
    fs::remove_file(notes.index.workspace.join("memory/2026-01-02.md")).unwrap();
    assert!(notes.status().dirty);
    assert_eq!(notes.paths("cat miezi"), [""; 0]);
    assert_eq!(notes.paths("dog"), ["MEMORY.md"]);
    assert_eq!(notes.paths("invoices"), ["memory/new.md"]);
    let status = notes.status();
    assert_eq!((status.files, status.chunks, status.dirty), (2, 2, false));
}

#[test]
fn what_is_said_in_sessions_is_found_where_that_is_wanted() {
    let mut notes = Notes::new("memory-sessions");
    let sessions = notes.dir.path().join("sessions");
    fs::create_dir_all(&sessions).unwrap();
    let line =
        json!({"type": "message", "message": {"role": "user", "content": "my sister is Ada"}});
    fs::write(sessions.join("s.jsonl"), format!("{line}\n")).unwrap();
    assert_eq!(notes.paths("sister"), [""; 0]);
    notes.index.sessions = Some(sessions);
    assert_eq!(notes.paths("sister"), ["sessions/s.jsonl"]);
}

#[test]
fn a_service_that_fails_leaves_the_words_and_is_asked_again_later() {
    let notes = Notes::with_vectors("memory-away");
    notes.write("MEMORY.md", "The cat is called Miezi.\n");
    notes.write("memory/a.md", "Rex is a dog.\n");
    let (found, words_only, pending) = notes.search("cat", &mut Nobody);
    assert_eq!(found[0].path, "MEMORY.md");
    assert_eq!(words_only.as_deref(), Some("the service is away"));
    assert_eq!(pending, 2);
    assert!(notes.status().dirty, "it is not done");
    let mut words = Words(&["Miezi", "Rex"]);
    let (found, words_only, pending) = notes.search("Rex", &mut words);
    assert_eq!((words_only, pending), (None, 0));
    assert_eq!(found[0].path, "memory/a.md");
    assert!(found[0].score > 0.9, "words and vector agree: {found:?}");
    let status = notes.status();
    assert_eq!(
        (status.dims, status.cached, status.dirty),
        (Some(3), 2, false)
    );
    // What was paid for once is not asked for again, even when all is made anew.
    assert_eq!(notes.sync(true, &mut Nobody).failed, None);
    assert_eq!(notes.status().pending, 0);
}

#[test]
fn a_damaged_index_is_put_aside_and_made_anew() {
    let notes = Notes::new("memory-damaged");
    notes.write("MEMORY.md", "The cat is called Miezi.\n");
    assert_eq!(notes.paths("cat").len(), 1);
    let store = &notes.index.store;
    fs::write(
        store,
        "no database at all, yet long enough for one\n".repeat(200),
    )
    .unwrap();
    assert_eq!(notes.paths("cat"), ["MEMORY.md"]);
    assert!(store.with_file_name("main.sqlite.corrupt").exists());
    // Torn in the middle, as by a failing card.
    let bytes = fs::read(store).unwrap();
    fs::write(store, &bytes[..bytes.len() / 2]).unwrap();
    assert_eq!(notes.paths("cat"), ["MEMORY.md"]);
}

/// Listens, as for a gateway.
struct Server(Child);

impl Server {
    fn start(run: &Path) -> Server {
        fs::create_dir_all(run).unwrap();
        let child = Command::new(PROGRAM)
            .env("OPENCLAW_RUNTIME_DIR", run)
            .stdin(Stdio::null())
            .spawn();
        Server(child.unwrap())
    }

    fn connect(run: &Path) -> UnixStream {
        eventually("an index that listens", PATIENCE, || {
            UnixStream::connect(run.join("memory.sock")).ok()
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Kills the index when it has told of that much progress.
struct Killer {
    pid: u32,
    left: u32,
}

impl Helper for Killer {
    fn embed(&mut self, texts: &[String], query: bool) -> Result<Vec<Vec<f32>>, String> {
        self.progress(0, 0);
        Words(&["number"]).embed(texts, query)
    }

    fn progress(&mut self, _: u64, _: u64) {
        self.left = self.left.saturating_sub(1);
        if self.left == 0 {
            proc::signal(self.pid, "KILL");
        }
    }

    fn note(&mut self, text: &str) {
        panic!("{text}");
    }
}

#[test]
fn an_index_that_is_killed_at_any_moment_serves_afterwards() {
    let notes = Notes::with_vectors("memory-killed");
    for n in 0..150 {
        notes.write(&format!("memory/{n}.md"), &format!("the number {n}\n"));
    }
    let run = notes.dir.path().join("run");
    for moment in 1..8 {
        for n in 0..5 {
            let text = format!("the number {n} in round {moment}\n");
            notes.write(&format!("memory/{}.md", n * 20 + moment), &text);
        }
        let server = Server::start(&run);
        let stream = Server::connect(&run);
        let mut killer = Killer {
            pid: server.0.id(),
            left: moment,
        };
        let index = notes.index.clone();
        // In odd rounds into the old file, in even ones into a new one.
        let force = moment % 2 == 0;
        let _ = link::ask(&stream, &Ask::Sync { index, force }, &mut killer);
        drop(server);
        let query = format!("round {moment}");
        let (found, ..) = notes.search(&query, &mut Words(&["number"]));
        assert!(found[0].snippet.contains(&query), "{moment}: {found:?}");
    }
    let status = notes.status();
    assert_eq!(
        (status.files, status.pending, status.dirty),
        (150, 0, false)
    );
}

#[test]
fn two_that_ask_at_once_make_one_index() {
    let notes = Notes::new("memory-two");
    for n in 0..50 {
        notes.write(&format!("memory/{n}.md"), &format!("note number{n}x\n"));
    }
    std::thread::scope(|scope| {
        for n in 0..4 {
            let notes = &notes;
            scope.spawn(move || {
                // Who comes second takes what there is, which may be nothing yet.
                let found = notes.paths(&format!("number{n}x"));
                assert!(found.is_empty() || found == [format!("memory/{n}.md")]);
            });
        }
    });
    assert_eq!(notes.paths("number7x"), ["memory/7.md"]);
    assert_eq!(notes.status().files, 50);
}

/// What a tool answered, from the model's next request.
fn answers(request: &Value) -> Vec<Value> {
    let messages = request["messages"].as_array().unwrap();
    let tools = messages.iter().filter(|message| message["role"] == "tool");
    tools
        .map(|message| {
            let text = message["content"].as_str().unwrap();
            serde_json::from_str(text).unwrap_or_else(|_| panic!("{text}"))
        })
        .collect()
}

fn turn(gateway: &Gateway) -> Vec<Value> {
    let model = gateway.model();
    let mut ws = gateway.connect();
    let params =
        json!({"message": "what do you know?", "sessionKey": "main", "idempotencyKey": "1"});
    ws.call("chat.send", params).unwrap();
    ws.event_where("chat", |event| event["state"] == "final");
    answers(model.requests().last().unwrap())
}

#[test]
fn an_agent_finds_a_note_by_its_words_and_reads_it() {
    let gateway = Gateway::with_fake_model();
    let workspace = gateway.workspace();
    fs::create_dir_all(workspace.join("memory")).unwrap();
    let note = "one\nThe invoices live in Postgres.\nthree\n";
    fs::write(workspace.join("memory/2026-01-02.md"), note).unwrap();
    assert_eq!(proc::named(gateway.pid(), "openclaw-memory"), None);
    let call = |name: &str, args: Value| Reply::Tools(vec![(name.into(), args)]);
    let model = gateway.model();
    model.reply(call(
        "memory_search",
        json!({"query": "where are the invoices?"}),
    ));
    let path = "memory/2026-01-02.md";
    model.reply(call(
        "memory_get",
        json!({"path": path, "from": 2, "lines": 1}),
    ));
    model.reply(call("memory_get", json!({"path": "../openclaw.json"})));
    let said = turn(&gateway);
    let first = &said[0];
    assert_eq!(first["provider"], NO_PROVIDER, "{first}");
    assert_eq!(first["citations"], "auto");
    let result = &first["results"][0];
    assert_eq!(result["path"], path);
    assert_eq!(result["citation"], format!("{path}#L1-L4"));
    assert_eq!(
        said[1],
        json!({"path": path, "text": "The invoices live in Postgres."})
    );
    assert_eq!(said[2]["disabled"], true, "{}", said[2]);
    assert!(proc::named(gateway.pid(), "openclaw-memory").is_some());
    let system = model.requests()[0]["messages"][0]["content"].to_string();
    assert!(system.contains("## Memory Recall"), "{system}");
    // Where there is none to be searched, nobody is told to.
    gateway.edit_config(|config| {
        config["agents"]["defaults"]["memorySearch"] = json!({"enabled": false});
    });
    eventually("the new setting", PATIENCE, || {
        model.forget();
        turn_again(&gateway);
        let request = model.requests().pop().unwrap();
        let told = request["tools"].to_string().contains("memory_search")
            || request["messages"][0]
                .to_string()
                .contains("## Memory Recall");
        (!told).then_some(())
    });
}

fn turn_again(gateway: &Gateway) {
    let mut ws = gateway.connect();
    let id = openclaw::base::id::uuid();
    let params = json!({"message": "hello", "sessionKey": "main", "idempotencyKey": id});
    ws.call("chat.send", params).unwrap();
    ws.event_where("chat", |event| event["state"] == "final");
}

#[test]
fn vectors_of_a_real_model_find_what_no_word_says() {
    let port = match embedder() {
        Ok(port) => port,
        Err(why) => return skip("vectors_of_a_real_model_find_what_no_word_says", &why),
    };
    let mut setup = Setup::with_fake_model();
    setup.config["agents"]["defaults"]["memorySearch"] = remote(port);
    let gateway = setup.start();
    let workspace = gateway.workspace();
    fs::create_dir_all(workspace.join("memory")).unwrap();
    for (name, text) in [
        ("pets", "Our kitten sleeps all day and purrs at night."),
        (
            "work",
            "The quarterly tax report goes to the finance office.",
        ),
    ] {
        fs::write(workspace.join(format!("memory/{name}.md")), text).unwrap();
    }
    let query =
        json!({"query": "His puppy dozes every morning, then barks after dusk", "minScore": 0});
    gateway
        .model()
        .reply(Reply::Tools(vec![("memory_search".into(), query)]));
    let said = turn(&gateway);
    assert_eq!(said[0]["provider"], "openai", "{}", said[0]);
    assert_eq!(said[0]["warning"], Value::Null);
    assert_eq!(
        said[0]["results"][0]["path"], "memory/pets.md",
        "{}",
        said[0]
    );
    assert_eq!(said[0]["results"].as_array().unwrap().len(), 2);
}

fn remote(port: u16) -> Value {
    json!({
        "provider": "openai",
        "model": "smollm2",
        "remote": {"baseUrl": format!("http://127.0.0.1:{port}/v1"), "apiKey": "k"},
    })
}

/// The rows of a table, without what differs from run to run.
fn rows(store: &Path, sql: &str) -> Vec<String> {
    const SCRIPT: &str = "import sqlite3, sys
for row in sqlite3.connect(sys.argv[1]).execute(sys.argv[2]): print(repr(row))";
    let output = Command::new("python3")
        .args(["-c", SCRIPT])
        .arg(store)
        .arg(sql)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(String::from).collect()
}

#[test]
fn the_official_program_and_ours_use_each_others_index() {
    const NAME: &str = "the_official_program_and_ours_use_each_others_index";
    let port = match (embedder(), official::program()) {
        (Ok(port), Ok(_)) => port,
        (Err(why), _) | (_, Err(why)) => return skip(NAME, &why),
    };
    let dir = Dir::new("memory-official");
    let (state, ws) = (dir.path().join("state"), dir.path().join("ws"));
    fs::create_dir_all(ws.join("memory")).unwrap();
    fs::create_dir_all(&state).unwrap();
    let config = json!({"agents": {"defaults": {"workspace": ws, "memorySearch": remote(port)}}});
    fs::write(state.join("openclaw.json"), config.to_string()).unwrap();
    let long = "A line that is repeated until there are several pieces of it.\n".repeat(60);
    fs::write(
        ws.join("MEMORY.md"),
        "# Facts\n\nThe cat is called Miezi. 😀\n",
    )
    .unwrap();
    fs::write(ws.join("memory/long.md"), long).unwrap();
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let home = text(dir.path());
    let env = BTreeMap::from([
        ("HOME", home.clone()),
        ("OPENCLAW_STATE_DIR", text(&state)),
        ("OPENCLAW_CONFIG_PATH", text(&state.join("openclaw.json"))),
        ("OPENCLAW_RUNTIME_DIR", text(&dir.path().join("run"))),
    ]);
    let pairs: Vec<(&str, &str)> = env.iter().map(|(k, v)| (*k, v.as_str())).collect();
    let theirs = |args: &[&str]| official::run(args, &pairs);
    let ours = |args: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_openclaw"))
            .args(args)
            .env_clear()
            .envs(pairs.iter().copied())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let store = state.join("memory/main.sqlite");
    let (files, chunks) = (
        "SELECT path, source, hash, size FROM files ORDER BY path",
        "SELECT id, path, start_line, end_line, hash, model FROM chunks ORDER BY id",
    );
    let schema = "SELECT sql FROM sqlite_master
        WHERE name NOT LIKE '%vec%' AND name NOT LIKE 'sqlite%' ORDER BY name";
    let made = theirs(&["memory", "index"]);
    assert!(made.status.success(), "{made:?}");
    let before = [files, chunks, schema].map(|sql| rows(&store, sql));
    assert!(before[1].len() > 2, "{before:?}");
    let status: Value = serde_json::from_str(&ours(&["memory", "status", "--json"])).unwrap();
    assert_eq!(status[0]["status"]["dirty"], false, "{status}");
    assert_eq!(status[0]["status"]["chunks"], before[1].len());
    let found = ours(&["memory", "search", "cat", "--json", "--min-score", "0"]);
    let found: Value = serde_json::from_str(&found).unwrap();
    assert!(
        found["results"][0]["snippet"]
            .as_str()
            .unwrap()
            .contains("Miezi"),
        "{found}"
    );
    // Ours from nothing has the same names, lines and hashes, and theirs has nothing to do there.
    fs::remove_file(&store).unwrap();
    ours(&["memory", "index"]);
    assert_eq!(before, [files, chunks, schema].map(|sql| rows(&store, sql)));
    let finds = |query: &str, wanted: &str| {
        let made = theirs(&["memory", "index"]);
        assert!(made.status.success(), "{made:?}");
        let found = theirs(&["memory", "search", query, "--json"]);
        let text = String::from_utf8_lossy(&found.stdout);
        assert!(text.contains(wanted), "{query}: {found:?}");
    };
    finds("cat", "Miezi");
    // What ours adds to theirs is in the table of theirs that ours cannot write.
    fs::write(ws.join("memory/dog.md"), "The dog is called Rex.\n").unwrap();
    ours(&["memory", "index"]);
    assert_eq!(rows(&store, chunks).len(), before[1].len() + 1);
    finds("what is the hound's name", "Rex");
}
