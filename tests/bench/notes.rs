//! Ten thousand pieces of notes, searched by words and by vectors.

use crate::harness::{Dir, eventually, proc};
use crate::report::{Report, median, mib};
use openclaw::memory::link::{self, Helper};
use openclaw::wire::memory::{Answer, Ask, Index, NO_PROVIDER, WORDS_ONLY, Weights};
use std::fmt::Write;
use std::fs;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Files, and pieces of each: about a day's notes for seven years.
const FILES: usize = 2_500;
const PIECES: usize = 4;
/// Lines of a piece, which overlap by a quarter.
const LINES: usize = 16;
const DIMS: usize = 768;
const SEARCHES: usize = 15;
const PATIENCE: Duration = Duration::from_secs(20);

/// Vectors that differ, from the text's letters.
struct Letters;

impl Helper for Letters {
    fn embed(&mut self, texts: &[String], _: bool) -> Result<Vec<Vec<f32>>, String> {
        let vector = |text: &String| {
            let mut vector = vec![0f32; DIMS];
            for (at, byte) in text.bytes().enumerate() {
                vector[(at * 31 + usize::from(byte) * 7) % DIMS] += f32::from(byte) / 255.0;
            }
            vector
        };
        Ok(texts.iter().map(vector).collect())
    }

    fn progress(&mut self, _: u64, _: u64) {}

    fn note(&mut self, text: &str) {
        panic!("{text}");
    }
}

struct Server {
    child: Child,
    socket: std::path::PathBuf,
}

impl Server {
    fn start(run: &Path) -> Server {
        fs::create_dir_all(run).expect("a folder");
        let child = Command::new(env!("CARGO_BIN_EXE_openclaw-memory"))
            .env("OPENCLAW_RUNTIME_DIR", run)
            .stdin(Stdio::null())
            .spawn();
        Server {
            child: child.expect("it starts"),
            socket: run.join("memory.sock"),
        }
    }

    fn ask(&self, ask: &Ask) -> Answer {
        let stream = eventually("an index that listens", PATIENCE, || {
            UnixStream::connect(&self.socket).ok()
        });
        link::ask(&stream, ask, &mut Letters).expect("an answer")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn rows(report: &Report) {
    let dir = Dir::new("bench-notes");
    let ws = dir.path().join("ws");
    fs::create_dir_all(ws.join("memory")).expect("a folder");
    for file in 0..FILES {
        fs::write(ws.join(format!("memory/{file}.md")), note(file)).expect("written");
    }
    let words = Index {
        store: dir.path().join("words.sqlite"),
        aside: dir.path().join("rs/words"),
        workspace: ws,
        files: true,
        provider: NO_PROVIDER.into(),
        model: WORDS_ONLY.into(),
        chunk_tokens: 400,
        chunk_overlap: 80,
        ..Index::default()
    };
    let vectors = Index {
        store: dir.path().join("vectors.sqlite"),
        aside: dir.path().join("rs/vectors"),
        provider: "openai".into(),
        model: "letters".into(),
        ..words.clone()
    };
    for (how, index) in [("words", words), ("words and vectors", vectors)] {
        let started = Instant::now();
        let server = Server::start(&dir.path().join("run"));
        let force = false;
        let made = server.ask(&Ask::Sync {
            index: index.clone(),
            force,
        });
        assert!(matches!(made, Answer::Synced(_)), "{made:?}");
        let making = started.elapsed().as_secs_f64();
        drop(server);
        let server = Server::start(&dir.path().join("run"));
        let pieces = match server.ask(&Ask::Status {
            index: index.clone(),
        }) {
            Answer::Status(status) => status.chunks,
            other => panic!("{other:?}"),
        };
        let [still, fresh] = [false, true].map(|sync| time(&server, &index, sync));
        let pss = mib(proc::memory(server.child.id(), "Pss"));
        report.row(
            &format!("search of 10,000 pieces of notes by {how}; the same with a look at {FILES} files; PSS afterwards"),
            "≤ 20 ms; –; ≤ 8 MiB",
            format!("{still:.1} ms; {fresh:.1} ms; {pss:.1} MiB ({pieces} pieces, made in {making:.1} s)"),
        );
    }
}

/// Milliseconds of a search, in the middle of many different ones.
fn time(server: &Server, index: &Index, sync: bool) -> f64 {
    let mut times = Vec::new();
    for n in 0..SEARCHES {
        let ask = Ask::Search {
            index: index.clone(),
            query: format!(
                "what did we decide about topic{} and item{}?",
                n * 7,
                n * 131
            ),
            sync,
            patience_ms: 5_000,
            weights: Weights {
                vector: 0.7,
                text: 0.3,
                candidates: 4,
            },
            max_results: 6,
            min_score: 0.0,
        };
        let started = Instant::now();
        let answer = server.ask(&ask);
        times.push(started.elapsed().as_secs_f64() * 1000.0);
        let found = matches!(&answer, Answer::Found { results, .. } if !results.is_empty());
        assert!(found, "{answer:?}");
    }
    median(times)
}

fn note(file: usize) -> String {
    let mut text = String::new();
    for line in 0..PIECES * LINES * 3 / 4 {
        let n = file * PIECES * LINES + line;
        let _ = writeln!(
            text,
            "- We decided something about topic{} with person{} and wrote item{n} into the list.",
            n % 997,
            n % 41,
        );
    }
    text
}
