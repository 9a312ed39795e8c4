//! One connection: a question, what it takes to answer it, the last answer.

use super::error::Error;
use super::search::{self, Search};
use super::store::{self, Store};
use super::sync::{self, Asker, Plan};
use crate::base::jsonl;
use crate::wire::memory::{Answer, Ask, Counts, Embedded, Index, MAX_LINE, Status, Synced};
use std::io::{self, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// For a question to arrive, and for an answer to be taken.
const PATIENCE: Duration = Duration::from_secs(10);
/// For vectors: a large model on a small machine takes its time, and the asker has limits of its
/// own.
const EMBEDDING: Duration = Duration::from_secs(15 * 60);
/// A sync waits so long for another process that does the same.
const WAITING: Duration = Duration::from_secs(60);
/// A search does not: it takes what there is.
const NO_WAITING: Duration = Duration::ZERO;

struct Line {
    reader: BufReader<UnixStream>,
    stream: UnixStream,
}

/// Answers what is asked on `stream`. An error is one of the connection itself.
pub fn serve(stream: UnixStream) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut line = Line {
        reader: BufReader::new(stream.try_clone()?),
        stream,
    };
    let ask: Ask = match line.next() {
        // It only looked whether we are there.
        Err(err) if err.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
        asked => asked?,
    };
    line.stream.set_read_timeout(Some(EMBEDDING))?;
    let answer = match answer(&ask, &mut line) {
        Ok(answer) => answer,
        Err(Error::Asker(err)) => return Err(err),
        Err(err) => Answer::Failed {
            why: err.to_string(),
        },
    };
    line.say(&answer)
}

/// Answers; a damaged index is put aside and the question asked once more.
fn answer(ask: &Ask, line: &mut Line) -> Result<Answer, Error> {
    match once(ask, line) {
        Err(err) if err.is_damage() => {
            let (Ask::Search { index, .. } | Ask::Sync { index, .. } | Ask::Status { index }) = ask;
            let aside = store::put_aside(&index.store)?;
            let text = format!(
                "the memory index was damaged ({err}); it is now {} and is made anew",
                aside.display()
            );
            line.say(&Answer::Note { text }).map_err(Error::Asker)?;
            once(ask, line)
        }
        other => other,
    }
}

fn once(ask: &Ask, line: &mut Line) -> Result<Answer, Error> {
    match ask {
        Ask::Status { index } => status(index).map(|status| Answer::Status(Box::new(status))),
        Ask::Sync { index, force } => {
            let plan = Plan {
                force: *force,
                until: None,
                patience: WAITING,
                whole: true,
            };
            let store = Store::open(&index.store)?;
            sync::sync(index, store, &plan, line).map(|(synced, _)| Answer::Synced(synced))
        }
        Ask::Search { .. } => find(ask, line),
    }
}

fn find(ask: &Ask, line: &mut Line) -> Result<Answer, Error> {
    let Ask::Search {
        index,
        query,
        sync,
        patience_ms,
        weights,
        max_results,
        min_score,
    } = ask
    else {
        unreachable!("the caller looked");
    };
    let mut words_only = None;
    let mut store = Store::open(&index.store)?;
    if *sync && sync::look(index, Some(&store))?.dirty {
        let plan = Plan {
            force: false,
            until: Some(Instant::now() + Duration::from_millis(*patience_ms)),
            patience: NO_WAITING,
            whole: false,
        };
        match sync::sync(index, store, &plan, line) {
            Ok((Synced { failed, .. }, fresh)) => {
                words_only = failed;
                store = fresh;
            }
            // Somebody else is at it.
            Err(Error::Busy(_)) => store = Store::open(&index.store)?,
            Err(err) => return Err(err),
        }
    }
    let vector = match index.has_vectors() && words_only.is_none() {
        true => match line.embed(vec![query.clone()], true) {
            Ok(mut vectors) => vectors.pop(),
            Err(Error::Embedding(why)) => {
                words_only = Some(why);
                None
            }
            Err(err) => return Err(err),
        },
        false => None,
    };
    let results = search::search(
        index,
        &store,
        &Search {
            question: query,
            vector: vector.as_deref(),
            weights: *weights,
            max_results: *max_results,
            min_score: *min_score,
        },
    )?;
    let pending = match index.has_vectors() {
        true => sync::pending(&store)?,
        false => 0,
    };
    Ok(Answer::Found {
        results,
        words_only,
        pending,
    })
}

fn status(index: &Index) -> Result<Status, Error> {
    // Asking must not make an index.
    let store = match index.store.exists() {
        true => Some(Store::open(&index.store)?),
        false => None,
    };
    let look = sync::look(index, store.as_ref())?;
    let mut status = Status {
        dirty: look.dirty,
        issues: look.issues.clone(),
        ..Status::default()
    };
    let sources = [
        ("memory", index.files, look.files),
        ("sessions", index.sessions.is_some(), look.transcripts),
    ];
    for (source, wanted, total_files) in sources {
        if !wanted {
            continue;
        }
        let count = |table: &str| match &store {
            Some(store) => store.number(
                &format!("SELECT count(*) FROM {table} WHERE source = ?1"),
                &[&source],
            ),
            None => Ok(0),
        };
        let counts = Counts {
            source: source.into(),
            files: count("files")?,
            chunks: count("chunks")?,
            total_files,
            issues: match source {
                "memory" => look.issues.clone(),
                _ => Vec::new(),
            },
        };
        status.files += counts.files;
        status.chunks += counts.chunks;
        status.sources.push(counts);
    }
    if let Some(store) = &store {
        status.cached = store.number("SELECT count(*) FROM embedding_cache", &[])?;
        if index.has_vectors() {
            status.dims = sync::dims(store)?;
            status.pending = sync::pending(store)?;
        }
    }
    Ok(status)
}

impl Line {
    fn next<T: serde::de::DeserializeOwned>(&mut self) -> io::Result<T> {
        let mut line = Vec::new();
        if !jsonl::read_line(&mut self.reader, &mut line, MAX_LINE)? {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        serde_json::from_slice(&line).map_err(io::Error::from)
    }

    fn say(&mut self, answer: &Answer) -> io::Result<()> {
        self.stream.write_all(&jsonl::line(answer))
    }
}

impl Asker for Line {
    fn embed(&mut self, texts: Vec<String>, query: bool) -> Result<Vec<Vec<f32>>, Error> {
        self.say(&Answer::Embed { texts, query })
            .and_then(|()| self.next())
            .map_err(Error::Asker)
            .and_then(|answer| match answer {
                Embedded::Vectors { vectors } => Ok(vectors),
                Embedded::Failed { why } => Err(Error::Embedding(why)),
            })
    }

    fn progress(&mut self, done: u64, total: u64) -> Result<(), Error> {
        self.say(&Answer::Progress { done, total })
            .map_err(Error::Asker)
    }
}
