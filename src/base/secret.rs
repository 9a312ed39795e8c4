//! Strings that must not be seen: no Display, a Debug that says nothing, comparison in constant time.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::hint::black_box;

#[derive(Clone, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    pub fn new(text: impl Into<String>) -> Secret {
        Secret(text.into())
    }

    /// The text itself: for the one call that sends it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Compares without leaking through time where the first difference is. Lengths may leak, as
    /// in the original.
    pub fn matches(&self, offered: &str) -> bool {
        constant_time_eq(self.0.as_bytes(), offered.as_bytes())
    }
}

/// As `matches`, so that no `==` between two of them takes its time either.
impl PartialEq for Secret {
    fn eq(&self, other: &Secret) -> bool {
        self.matches(&other.0)
    }
}

/// The one comparison of secrets. It looks at every byte, whatever the first ones say.
pub fn constant_time_eq(a: &[u8], b: &[u8]) -> bool {
    // What the compiler cannot see through it does not cut short.
    let differs = a
        .iter()
        .zip(b)
        .fold(0, |acc, (x, y)| black_box(acc | (x ^ y)));
    a.len() == b.len() && differs == 0
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() {
            "Secret(empty)"
        } else {
            "Secret(…)"
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_nothing_of_the_text() {
        assert_eq!(format!("{:?}", Secret::new("hunter2")), "Secret(…)");
    }

    #[test]
    fn matches_only_the_same_text() {
        assert!(Secret::new("abc").matches("abc"));
        assert!(!Secret::new("abc").matches("abd"));
        assert!(!Secret::new("abc").matches("ab"));
        assert!(!Secret::new("abc").matches("abcd") && !Secret::new("abc").matches(""));
        assert!(Secret::new("abc") == Secret::new("abc"));
        assert!(Secret::new("abc") != Secret::new("bbc"));
    }
}
