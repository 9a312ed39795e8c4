//! `.gitignore`, in a simple form: one pattern a line, `#` comments, `!` takes back, a trailing `/`
//! means folders only, a pattern with a slash is anchored to its file's folder, any other fits a
//! name at any depth. The last pattern that fits decides; files deeper down come later. Only the
//! `.gitignore` files of the folders on the way count, no global or private ones.

use super::glob;
use regex_lite::Regex;

/// Largest file that is read, bytes, and most patterns of it.
pub const MAX_FILE: usize = 64 * 1024;
const MAX_PATTERNS: usize = 1000;

/// The patterns of one file.
pub struct Rules {
    patterns: Vec<Pattern>,
}

struct Pattern {
    regex: Regex,
    /// Tried on the path below the file's folder rather than on the name alone.
    anchored: bool,
    folders: bool,
    keep: bool,
}

impl Rules {
    pub fn parse(text: &str) -> Rules {
        let patterns = text.lines().take(MAX_PATTERNS).filter_map(pattern);
        Rules {
            patterns: patterns.collect(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }

    /// `None`: nothing here speaks of it. `path` is below the file's folder.
    pub fn ignores(&self, path: &str, folder: bool) -> Option<bool> {
        let name = path.rsplit('/').next().unwrap_or(path);
        self.patterns
            .iter()
            .rev()
            .filter(|pattern| folder || !pattern.folders)
            .find(|pattern| {
                let text = if pattern.anchored { path } else { name };
                pattern.regex.is_match(text)
            })
            .map(|pattern| !pattern.keep)
    }
}

fn pattern(line: &str) -> Option<Pattern> {
    let line = line.trim_end();
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    let (keep, line) = match line.strip_prefix('!') {
        Some(rest) => (true, rest),
        None => (false, line),
    };
    let (folders, line) = match line.strip_suffix('/') {
        Some(rest) => (true, rest),
        None => (false, line),
    };
    Some(Pattern {
        regex: glob::compile(line.trim_start_matches('/'))?,
        anchored: line.contains('/'),
        folders,
        keep,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_pattern_that_fits_decides() {
        let rules = Rules::parse("# built\n/target\n*.log\n!keep.log\nnode_modules/\ndocs/*.txt\n");
        assert_eq!(rules.ignores("target", true), Some(true));
        assert_eq!(rules.ignores("src/target", true), None);
        assert_eq!(rules.ignores("a/b/x.log", false), Some(true));
        assert_eq!(rules.ignores("a/keep.log", false), Some(false));
        assert_eq!(rules.ignores("a/node_modules", true), Some(true));
        assert_eq!(rules.ignores("a/node_modules", false), None);
        assert_eq!(rules.ignores("docs/a.txt", false), Some(true));
        assert_eq!(rules.ignores("docs/b/a.txt", false), None);
        assert!(Rules::parse("\n# nothing\n").is_empty());
    }
}
