//! Conversations kept in memory between turns, so that a long one is not parsed again each time.
//! An entry counts only while its file is exactly the one it was read from.

use super::conversation::Conversation;
use super::stamp::Stamp;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Bound of all remembered conversations together: one of 10,000 ordinary messages fits.
const MAX_BYTES: usize = 24 * 1024 * 1024;
/// Conversations nobody continued for so long are forgotten when another comes, or by `trim`.
const MAX_AGE: Duration = Duration::from_secs(10 * 60);

#[derive(Default)]
pub struct Cache(Mutex<Vec<Known>>);

/// Least recently used first.
struct Known {
    path: PathBuf,
    stamp: Stamp,
    used: Instant,
    talk: Conversation,
}

impl Known {
    fn bytes(&self) -> usize {
        self.talk.bytes + self.talk.seen.bytes()
    }
}

impl Cache {
    /// Hands out the conversation of `path` if the file is still `stamp`.
    pub fn take(&self, path: &Path, stamp: Stamp) -> Option<Conversation> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = known.iter().position(|known| known.path == path)?;
        let found = known.remove(at);
        (found.stamp == stamp).then_some(found.talk)
    }

    pub fn put(&self, path: &Path, stamp: Stamp, talk: Conversation) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|known| known.path != path && known.used.elapsed() < MAX_AGE);
        known.push(Known {
            path: path.to_path_buf(),
            stamp,
            used: Instant::now(),
            talk,
        });
        let mut bytes: usize = known.iter().map(Known::bytes).sum();
        while bytes > MAX_BYTES && !known.is_empty() {
            bytes -= known.remove(0).bytes();
        }
    }

    pub fn trim(&self) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|known| known.used.elapsed() < MAX_AGE);
        known.shrink_to_fit();
    }
}
