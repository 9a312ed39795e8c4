//! One agent turn asked for over HTTP: started, listened to on the request's own thread, and
//! stopped when the client has gone.
//!
//! The turn's thread never waits for the client: what it says is collected here until the
//! request's thread fetches it.

use super::{Place, Shared};
use crate::agent::event::Event;
use crate::base::cancel::{Cancel, Registration};
use crate::gateway::runs::{self, Kind};
use crate::gateway::sessions::{self, Touch};
use crate::gateway::turns::{self, Api, Ending, Start};
use crate::wire::gateway::agent::RunResult;
use crate::wire::message::Block;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What clients read when the agent had nothing to say.
const NOTHING: &str = "No response from OpenClaw.";

pub struct Ask {
    pub run_id: String,
    pub text: String,
    /// For the system prompt.
    pub extra: Option<String>,
    pub images: Vec<Block>,
    pub api: Api,
}

pub struct Talk {
    line: Arc<Line>,
    _gone: Registration,
}

/// What happened next.
#[derive(Debug)]
pub enum News {
    Text(String),
    /// Nothing, for as long as was waited.
    Silence,
    End(Box<Ending>),
}

#[derive(Default)]
struct Line {
    said: Mutex<Said>,
    news: Condvar,
}

#[derive(Default)]
struct Said {
    /// Not fetched yet.
    text: String,
    /// Everything so far.
    all: String,
    ending: Option<Ending>,
}

impl Talk {
    /// Starts the turn. The error is the session store's.
    pub fn begin(core: &Shared, place: &Place, ask: Ask, gone: &Cancel) -> Result<Talk, String> {
        let line: Arc<Line> = Arc::default();
        let ear = line.clone();
        let mut run = runs::Run::new(&ask.run_id, &place.shown, &place.key, Kind::Agent);
        run.ear = Some(Box::new(move |event| {
            if let Event::Text { text, delta, .. } = event {
                ear.hear(text, delta);
            }
        }));
        let run = Arc::new(run);
        // Of an id made for this request there is no other run.
        core.agents.runs.begin(&run);
        let session_id = match sessions::touch(core, &place.key, Touch::Agent, |_| {}) {
            Ok(session_id) => session_id,
            Err(err) => {
                core.agents.runs.withdraw(&run);
                return Err(err.to_string());
            }
        };
        let stop = {
            let (core, run) = (core.clone(), run.clone());
            gone.on_cancel(move || {
                core.agents.runs.abort(&core.clients, &run, "disconnect");
            })
        };
        let teller = line.clone();
        turns::start(
            core,
            Start {
                agent_id: place.agent_id.clone(),
                images: ask.images,
                extra: ask.extra,
                channel: Some("webchat".into()),
                api: ask.api,
                finish: Box::new(move |ending, _| teller.end(ending)),
                ..Start::new(core, run, session_id, ask.text)
            },
        );
        Ok(Talk { line, _gone: stop })
    }

    /// Waits for more text, the end, or `patience`.
    pub fn next(&self, patience: Duration) -> News {
        let until = Instant::now() + patience;
        let mut said = self.line.said();
        loop {
            if !said.text.is_empty() {
                return News::Text(std::mem::take(&mut said.text));
            }
            if let Some(ending) = said.ending.take() {
                return News::End(Box::new(ending));
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return News::Silence;
            }
            said = self
                .line
                .news
                .wait_timeout(said, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    /// Waits for the end.
    pub fn end(&self) -> Ending {
        loop {
            if let News::End(ending) = self.next(turns::NO_LIMIT) {
                return *ending;
            }
        }
    }

    /// Of the final text, what no `News::Text` has brought: all of it when nothing was said while
    /// the turn ran, the rest when something was added at the end.
    pub fn unsaid<'a>(&self, text: &'a str) -> &'a str {
        let said = self.line.said();
        text.strip_prefix(said.all.as_str()).unwrap_or_default()
    }
}

impl Line {
    fn said(&self) -> MutexGuard<'_, Said> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `text` is all of the current message; a further message (after a tool) is a paragraph of its
    /// own, as it is in the final text.
    fn hear(&self, text: &str, delta: &str) {
        let mut said = self.said();
        let begins = text.len() == delta.len() && !said.all.is_empty();
        for part in [if begins { "\n\n" } else { "" }, delta] {
            said.text.push_str(part);
            said.all.push_str(part);
        }
        drop(said);
        self.news.notify_one();
    }

    fn end(&self, ending: Ending) {
        self.said().ending = Some(ending);
        self.news.notify_one();
    }
}

/// The reply: every text of the run, a blank line between two.
pub fn reply(result: &RunResult) -> String {
    let texts: Vec<&str> = result
        .payloads
        .iter()
        .map(|payload| payload.text.as_str())
        .filter(|text| !text.is_empty())
        .collect();
    if texts.is_empty() {
        return NOTHING.into();
    }
    texts.join("\n\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::cancel::Cancel;
    use crate::wire::gateway::agent::Payload;

    fn talk() -> Talk {
        Talk {
            line: Arc::default(),
            _gone: Cancel::new().on_cancel(|| {}),
        }
    }

    #[test]
    fn text_is_collected_until_it_is_fetched_and_the_end_comes_last() {
        let talk = talk();
        assert!(matches!(talk.next(Duration::ZERO), News::Silence));
        talk.line.hear("He", "He");
        talk.line.hear("Hello", "llo");
        talk.line.hear("Again", "Again");
        talk.line.end(Ok(RunResult::default()));
        let News::Text(text) = talk.next(Duration::ZERO) else {
            panic!("text first");
        };
        assert_eq!(text, "Hello\n\nAgain");
        assert!(matches!(talk.next(Duration::ZERO), News::End(ending) if ending.is_ok()));
        assert_eq!(talk.unsaid("Hello\n\nAgain\n\nand more"), "\n\nand more");
        assert_eq!(talk.unsaid("something else"), "");
    }

    #[test]
    fn a_reply_without_words_says_so() {
        let of = |texts: &[&str]| {
            reply(&RunResult {
                payloads: texts
                    .iter()
                    .map(|text| Payload {
                        text: text.to_string(),
                        ..Payload::default()
                    })
                    .collect(),
                ..RunResult::default()
            })
        };
        assert_eq!(of(&["a", "", "b"]), "a\n\nb");
        assert_eq!(of(&[]), NOTHING);
    }
}
