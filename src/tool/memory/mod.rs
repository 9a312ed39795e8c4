//! The agent's memory: its Markdown notes, searched through `openclaw-memory`, which has the index
//! but no key and no network. This side knows the configuration, keeps the key and embeds.
//!
//! Without a service that embeds, or when it fails, words alone are compared; a failure is not
//! tried again for a while.

pub mod get;
pub mod search;
pub mod settings;

use crate::base::cancel::Cancel;
use crate::memory::link::{self, Helper};
use crate::model::embedding::Embedder;
use crate::wire::memory::{Answer, Ask, Found, NO_PROVIDER};
use settings::Settings;
use std::io;
use std::os::unix::net::UnixStream;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// How long a search embeds what changed before it takes what there is.
const SYNC_PATIENCE: Duration = Duration::from_secs(5);
/// A service that failed rests.
const REST: Duration = Duration::from_secs(60);

type Connect = Box<dyn Fn() -> io::Result<UnixStream> + Send + Sync>;

/// The way to the index.
#[derive(Default)]
pub struct Memory {
    connect: OnceLock<Connect>,
    used: Mutex<Option<Instant>>,
    /// The service that failed, until when it rests, and what it said.
    resting: Mutex<Option<(String, Instant, String)>>,
}

/// What a search found.
pub struct Answered {
    pub results: Vec<Found>,
    pub settings: Settings,
    /// Why only words were compared, though vectors were wanted.
    pub words_only: Option<String>,
    /// Pieces that have no vector yet.
    pub pending: u64,
}

struct Embedding<'a> {
    embedder: Option<&'a Embedder>,
    cancel: &'a Cancel,
    progress: &'a mut dyn FnMut(u64, u64),
    failed: Option<String>,
}

impl Memory {
    /// How to reach the index; set once. It may start it.
    pub fn connect_by(&self, connect: impl Fn() -> io::Result<UnixStream> + Send + Sync + 'static) {
        if self.connect.set(Box::new(connect)).is_err() {
            log::error!("the way to the memory index was set twice");
        }
    }

    /// When it was last used; `None` when never, or since `forget`.
    pub fn last_used(&self) -> Option<Instant> {
        *lock(&self.used)
    }

    /// The index has been stopped.
    pub fn forget(&self) {
        *lock(&self.used) = None;
    }

    pub fn search(
        &self,
        mut settings: Settings,
        question: &str,
        max_results: Option<u64>,
        min_score: Option<f64>,
        cancel: &Cancel,
    ) -> Result<Answered, String> {
        let rested = self.rest(&settings);
        let ask = Ask::Search {
            index: settings.index.clone(),
            query: question.into(),
            // Without its service nothing could be embedded: not the moment to look for changes.
            sync: settings.sync_on_search && rested.is_none(),
            patience_ms: SYNC_PATIENCE.as_millis() as u64,
            weights: settings.weights,
            max_results: usize::try_from(max_results.unwrap_or(settings.max_results))
                .unwrap_or(usize::MAX),
            min_score: min_score.unwrap_or(settings.min_score),
        };
        let embedder = settings.embedder.take();
        let answer = match &rested {
            Some(why) => self.talk(&ask, Err(why), cancel, &mut |_, _| {}),
            None => self.talk(&ask, Ok(embedder.as_ref()), cancel, &mut |_, _| {}),
        };
        settings.embedder = embedder;
        match answer? {
            Answer::Found {
                results,
                words_only,
                pending,
            } => Ok(Answered {
                results,
                words_only,
                pending,
                settings,
            }),
            Answer::Failed { why } => Err(why),
            other => Err(format!("the memory index answered {other:?}")),
        }
    }

    /// A question of another kind.
    pub fn ask(
        &self,
        ask: &Ask,
        embedder: Option<&Embedder>,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Answer, String> {
        match self.talk(ask, Ok(embedder), &Cancel::new(), progress)? {
            Answer::Failed { why } => Err(why),
            answer => Ok(answer),
        }
    }

    fn talk(
        &self,
        ask: &Ask,
        embedder: Result<Option<&Embedder>, &String>,
        cancel: &Cancel,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Answer, String> {
        let connect = self
            .connect
            .get()
            .ok_or("the memory index cannot be reached")?;
        let fail = |err: io::Error| format!("the memory index (openclaw-memory): {err}");
        let stream = connect().map_err(fail)?;
        *lock(&self.used) = Some(Instant::now());
        let stop = stream.try_clone().map_err(fail)?;
        let registered = cancel.on_cancel(move || {
            // It may have ended, which is what is wanted.
            let _ = stop.shutdown(std::net::Shutdown::Both);
        });
        let mut helper = Embedding {
            embedder: embedder.ok().flatten(),
            failed: embedder.err().cloned(),
            cancel,
            progress,
        };
        let answer = link::ask(&stream, ask, &mut helper);
        drop(registered);
        *lock(&self.used) = Some(Instant::now());
        if let (Some(embedder), Some(why), false) =
            (helper.embedder, &helper.failed, cancel.is_cancelled())
        {
            log::warn!(target: "memory", "{why}; for a while words alone are compared");
            let until = Instant::now() + REST;
            *lock(&self.resting) = Some((embedder.identity(), until, why.clone()));
        }
        answer.map_err(fail)
    }

    /// What the service said when it failed, while it rests.
    fn rest(&self, settings: &Settings) -> Option<String> {
        if settings.index.provider == NO_PROVIDER {
            return None;
        }
        let resting = lock(&self.resting);
        let (identity, until, why) = resting.as_ref()?;
        let rests = *identity == settings.index.provider_key && Instant::now() < *until;
        rests.then(|| why.clone())
    }
}

impl Helper for Embedding<'_> {
    fn embed(&mut self, texts: &[String], query: bool) -> Result<Vec<Vec<f32>>, String> {
        if let Some(why) = &self.failed {
            return Err(why.clone());
        }
        let embedder = self.embedder.ok_or("no service embeds")?;
        let vectors = embedder.embed(texts, query, self.cancel);
        if let Err(why) = &vectors {
            self.failed = Some(why.clone());
        }
        vectors
    }

    fn progress(&mut self, done: u64, total: u64) {
        (self.progress)(done, total);
    }

    fn note(&mut self, text: &str) {
        log::warn!(target: "memory", "{text}");
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
