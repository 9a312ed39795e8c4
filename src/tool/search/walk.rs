//! Going through a folder tree: sorted, without symlinks, without `.git` and what `.gitignore`
//! names, and not for ever.

use super::super::files::{Files, Kind, Target};
use super::super::{Context, Error};
use super::ignore::{MAX_FILE, Rules};
use std::io::Read;
use std::path::Path;
use std::time::{Duration, Instant};

/// Entries looked at in one search, and the time it may take: a home directory, not a file server.
const MAX_VISITED: usize = 200_000;
const MAX_TIME: Duration = Duration::from_secs(30);
/// Deepest folder below the start.
const MAX_DEPTH: usize = 64;

pub struct Walk<'a> {
    files: &'a Files,
    ctx: &'a Context<'a>,
    until: Instant,
    visited: usize,
    /// `.gitignore` files on the way to the folder in hand, the outermost first, each with the
    /// length of its folder's path.
    rules: Vec<(usize, Rules)>,
    /// Why the walk ended before its end.
    pub stopped: Option<&'static str>,
}

/// What was found: its path below the start of the walk and where it is.
pub struct Found<'a> {
    pub inside: &'a str,
    pub target: &'a Target,
    pub folder: bool,
}

impl<'a> Walk<'a> {
    pub fn new(files: &'a Files, ctx: &'a Context<'a>) -> Walk<'a> {
        Walk {
            files,
            ctx,
            until: Instant::now() + MAX_TIME,
            visited: 0,
            rules: Vec::new(),
            stopped: None,
        }
    }

    /// Whether to go on; also while a large file is read.
    pub fn goes_on(&mut self) -> Result<bool, Error> {
        if self.ctx.cancel.is_cancelled() {
            return Err("Operation aborted".into());
        }
        if self.stopped.is_none() && Instant::now() >= self.until {
            self.stopped = Some("Stopped after 30 seconds: search a smaller folder");
        }
        Ok(self.stopped.is_none())
    }

    /// Shows everything below `start` to `visit` until that says false.
    pub fn run(
        &mut self,
        start: &Target,
        visit: &mut dyn FnMut(&mut Walk, Found) -> Result<bool, Error>,
    ) -> Result<(), Error> {
        self.outer_rules(start);
        // A start that cannot be read is an error; a folder further down is passed over.
        let (entries, _) = self.files.list(start)?;
        self.folder(start, "", 0, entries, visit).map(drop)
    }

    fn folder(
        &mut self,
        here: &Target,
        inside: &str,
        depth: usize,
        entries: Vec<super::super::files::Entry>,
        visit: &mut dyn FnMut(&mut Walk, Found) -> Result<bool, Error>,
    ) -> Result<bool, Error> {
        let known = self.rules.len();
        self.rules_of(&here.absolute);
        for entry in entries {
            self.visited += 1;
            if self.visited > MAX_VISITED {
                self.stopped = Some("Stopped after 200000 entries: search a smaller folder");
            }
            if !self.goes_on()? {
                return Ok(false);
            }
            let folder = entry.kind == Kind::Folder;
            if entry.name == ".git" || !(folder || entry.kind == Kind::File) {
                continue;
            }
            let absolute = here.absolute.join(&entry.name);
            if self.ignored(&absolute, folder) {
                continue;
            }
            let name = entry.name.to_string_lossy();
            let path = match inside {
                "" => name.into_owned(),
                inside => format!("{inside}/{name}"),
            };
            let target = Target {
                given: path.clone(),
                absolute,
            };
            let found = Found {
                inside: &path,
                target: &target,
                folder,
            };
            if !visit(self, found)? {
                return Ok(false);
            }
            if folder && depth < MAX_DEPTH {
                let Ok((entries, _)) = self.files.list(&target) else {
                    continue;
                };
                if !self.folder(&target, &path, depth + 1, entries, visit)? {
                    return Ok(false);
                }
            }
        }
        self.rules.truncate(known);
        Ok(true)
    }

    fn ignored(&self, path: &Path, folder: bool) -> bool {
        let text = path.to_string_lossy();
        self.rules
            .iter()
            .rev()
            .find_map(|(length, rules)| rules.ignores(text.get(*length..)?, folder))
            .unwrap_or(false)
    }

    /// Of the folders between the base and `start`, when it lies below.
    fn outer_rules(&mut self, start: &Target) {
        let base = self.files.base();
        let Ok(below) = start.absolute.strip_prefix(base) else {
            return;
        };
        let mut dir = base.to_path_buf();
        for part in below.components() {
            self.rules_of(&dir);
            dir.push(part);
        }
    }

    fn rules_of(&mut self, folder: &Path) {
        let target = Target {
            given: ".gitignore".into(),
            absolute: folder.join(".gitignore"),
        };
        let Ok(file) = self.files.open(&target) else {
            return;
        };
        let mut bytes = Vec::new();
        if file.take(MAX_FILE as u64).read_to_end(&mut bytes).is_err() {
            return;
        }
        let rules = Rules::parse(&String::from_utf8_lossy(&bytes));
        if !rules.is_empty() {
            let length = folder.to_string_lossy().trim_end_matches('/').len() + 1;
            self.rules.push((length, rules));
        }
    }
}
