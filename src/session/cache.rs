//! Conversations kept in memory between turns, so that a long one is not parsed again each time.
//! An entry counts only while its file is exactly the one it was read from.

use super::conversation::Conversation;
use super::stamp::Stamp;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Bound of the conversation used last: one of 10,000 ordinary messages fits.
const MAX_BYTES: usize = 24 * 1024 * 1024;
/// Bound of all others together. Reading a usual one again takes a few milliseconds, so holding
/// many of them would be a large price for little.
const MAX_OTHERS: usize = 1024 * 1024;
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
        if known
            .last()
            .is_some_and(|newest| newest.bytes() > MAX_BYTES)
        {
            known.pop();
        }
        let others = known.len().saturating_sub(1);
        let mut bytes: usize = known[..others].iter().map(Known::bytes).sum();
        while bytes > MAX_OTHERS {
            bytes -= known.remove(0).bytes();
        }
    }

    pub fn trim(&self) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|known| known.used.elapsed() < MAX_AGE);
        known.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_may_be_long_and_the_others_together_may_not() {
        let dir = crate::base::id::temp_dir("cache");
        let stamp = |name: &str| {
            let path = dir.join(name);
            std::fs::write(&path, name).unwrap();
            (path.clone(), Stamp::of(&path).unwrap().unwrap())
        };
        let talk = |bytes| Conversation {
            bytes,
            ..Conversation::default()
        };
        let cache = Cache::default();
        let (long, small, vast) = (stamp("long"), stamp("small"), stamp("vast"));
        cache.put(&long.0, long.1, talk(MAX_OTHERS * 2));
        assert!(cache.take(&long.0, long.1).is_some());
        cache.put(&long.0, long.1, talk(MAX_OTHERS * 2));
        cache.put(&small.0, small.1, talk(10));
        cache.put(&vast.0, vast.1, talk(MAX_BYTES + 1));
        assert!(cache.take(&long.0, long.1).is_none());
        assert!(cache.take(&vast.0, vast.1).is_none());
        assert!(cache.take(&small.0, small.1).is_some());
        std::fs::remove_dir_all(dir).unwrap();
    }
}
