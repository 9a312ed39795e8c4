//! Sessions whose conversation is not on disk.

use super::{Cure, Finding, Ground, documents};
use crate::session::key::Defaults;
use crate::session::{Filter, Store};

const TOPIC: &str = "State integrity";
/// The latest sessions are looked at, as in the original.
const LATEST: usize = 5;

pub fn look(ground: &Ground) -> Vec<Finding> {
    // A store puts a copy of a damaged list aside whenever it reads it: looking must not.
    if let Some(why) = damaged(ground) {
        return vec![unreadable(&why)];
    }
    let config = &ground.snapshot.config;
    let store = Store::open(ground.paths(), config);
    let latest = Filter {
        limit: Some(LATEST),
        ..Filter::default()
    };
    let sessions = match store.list(&latest) {
        Ok(sessions) => sessions,
        Err(err) => {
            return vec![unreadable(&err.to_string())];
        }
    };
    let gone: Vec<String> = sessions
        .iter()
        .filter(|(key, entry)| {
            entry.session_id.is_some() && store.transcript_file(key, entry).is_none()
        })
        .map(|(key, _)| key.to_string())
        .collect();
    if gone.is_empty() {
        return Vec::new();
    }
    let mut details = gone.clone();
    if gone.contains(&Defaults::of(config).main_key()) {
        details.push("Main session transcript missing. History will appear to reset.".into());
    }
    vec![Finding {
        topic: TOPIC,
        grave: false,
        what: format!(
            "{}/{} recent sessions are missing transcripts.",
            gone.len(),
            sessions.len()
        ),
        details,
        why: "They go on without what was said before.",
        cure: Cure::Yours(
            "put the .jsonl files back from a backup; nothing to do if they were removed on \
             purpose"
                .into(),
        ),
    }]
}

/// What is wrong with an agent's list of sessions.
fn damaged(ground: &Ground) -> Option<String> {
    let agents = std::fs::read_dir(ground.paths().state.join("agents"));
    agents.into_iter().flatten().flatten().find_map(|agent| {
        let list = agent.path().join("sessions/sessions.json");
        let why = documents::fault(&list)?;
        Some(format!("{}: {why}", ground.shown(&list)))
    })
}

fn unreadable(why: &str) -> Finding {
    Finding {
        topic: TOPIC,
        grave: true,
        what: format!("The list of sessions cannot be read: {why}."),
        details: Vec::new(),
        why: "A gateway answers no message until it can.",
        cure: Cure::Yours("mend the file, or move it away to start with none".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::id;
    use crate::config::{Env, Paths, load};
    use std::fs;

    #[test]
    fn a_session_without_its_transcript_is_named() {
        let dir = id::temp_dir("doctor-transcripts");
        let env = Env::from_pairs(&[("OPENCLAW_STATE_DIR", dir.to_str().unwrap())]);
        let paths = Paths::resolve(&env, None);
        let ground = Ground::of(load::load(&paths, &env));
        assert!(look(&ground).is_empty());
        let sessions = paths.sessions("main");
        fs::create_dir_all(&sessions).unwrap();
        let put = |name: &str, text: &str| fs::write(sessions.join(name), text).unwrap();
        put(
            "sessions.json",
            "{\"agent:main:main\":{\"sessionId\":\"a\",\"updatedAt\":1},\
             \"agent:main:x\":{\"sessionId\":\"b\",\"updatedAt\":2}}",
        );
        put("b.jsonl", "");
        let found = look(&ground);
        assert_eq!(
            found[0].what,
            "1/2 recent sessions are missing transcripts."
        );
        assert_eq!(found[0].details[0], "agent:main:main");
        assert!(found[0].details[1].starts_with("Main session transcript missing"));
        put("sessions.json", "{oops");
        assert!(
            look(&ground)[0]
                .what
                .starts_with("The list of sessions cannot be read")
        );
        fs::remove_dir_all(dir).unwrap();
    }
}
