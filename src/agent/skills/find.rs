//! Finding skills on disk. A walk only looks at names and times; files are read again when one of
//! them changed.

use super::{Skill, Source};
use crate::base::sys::beneath::NONBLOCK;
use crate::config::{Paths, Snapshot};
use serde_json::Value;
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

/// Folders below a root that are looked into.
const MAX_DEPTH: usize = 4;
/// Names looked at below one root: a root that is a home folder by mistake must not cost seconds.
const MAX_NAMES: usize = 5_000;
/// Skills of one root.
const MAX_SKILLS: usize = 500;
/// Front matter is a few lines; the instructions after it are the model's to read.
const MAX_FRONT: u64 = 64 * 1024;
/// Workspaces whose skills are remembered.
const MAX_KNOWN: usize = 16;

/// Where an agent's skills lie.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Places(Vec<(Source, PathBuf)>);

/// The skills of places walked before.
#[derive(Default)]
pub struct Shelf(Mutex<HashMap<Places, Known>>);

struct Known {
    marks: Vec<Mark>,
    skills: Arc<Vec<Skill>>,
}

/// A file as the walk saw it.
#[derive(Clone, Debug, PartialEq)]
struct Mark {
    file: PathBuf,
    source: Source,
    /// The folder that is the skill's.
    dir: PathBuf,
    size: u64,
    modified: Option<SystemTime>,
}

impl Places {
    /// Later places win: extra folders, those that come with the program, the state's own, the
    /// workspace's.
    pub fn of(config: &Snapshot, paths: &Paths, agent_id: &str) -> Places {
        let home = |text: &str| match text.strip_prefix("~/") {
            Some(rest) => paths.home.join(rest),
            None => PathBuf::from(text),
        };
        let extra = config.value.pointer("/skills/load/extraDirs");
        let extra = extra.and_then(Value::as_array).into_iter().flatten();
        let mut places: Vec<(Source, PathBuf)> = extra
            .filter_map(|dir| dir.as_str().map(str::trim).filter(|dir| !dir.is_empty()))
            .map(|dir| (Source::Extra, home(dir)))
            .collect();
        if let Some(dir) = config.env.get(BUNDLED) {
            places.push((Source::Bundled, home(dir)));
        }
        places.push((Source::Managed, managed(paths)));
        let workspace = config.config.workspace(agent_id, paths);
        places.push((Source::Workspace, workspace.join("skills")));
        Places(places)
    }
}

/// Names a folder of skills that counts as the program's own; none come with it.
const BUNDLED: &str = "OPENCLAW_BUNDLED_SKILLS_DIR";

/// Skills for all agents.
pub fn managed(paths: &Paths) -> PathBuf {
    paths.state.join("skills")
}

impl Shelf {
    /// Every skill in `places`, whether usable or not.
    pub fn skills(&self, places: &Places) -> Arc<Vec<Skill>> {
        let mut marks = Vec::new();
        for (source, root) in &places.0 {
            walk(root, *source, &mut marks);
        }
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known.get(places).filter(|known| known.marks == marks) {
            return known.skills.clone();
        }
        if known.len() >= MAX_KNOWN {
            known.clear();
        }
        let skills = Arc::new(read_all(&marks));
        let entry = Known {
            marks,
            skills: skills.clone(),
        };
        known.insert(places.clone(), entry);
        skills
    }
}

fn read_all(marks: &[Mark]) -> Vec<Skill> {
    let mut skills: Vec<Skill> = Vec::new();
    for mark in marks {
        let read = front(&mark.file)
            .map_err(|err| err.to_string())
            .and_then(|front| front.ok_or_else(|| "it has no front matter".to_string()))
            .and_then(|front| {
                Skill::read(&front, mark.file.clone(), mark.dir.clone(), mark.source)
            });
        match read {
            Ok(skill) => match skills.iter_mut().find(|known| known.name == skill.name) {
                Some(known) => *known = skill,
                None => skills.push(skill),
            },
            Err(why) => log::warn!("{} is no skill: {why}", mark.file.display()),
        }
    }
    skills
}

/// Adds the skill files below `root`, in the order of their names: SKILL.md in a folder, and at
/// the root also single .md files.
fn walk(root: &Path, source: Source, marks: &mut Vec<Mark>) {
    let (mut names, end) = (0, marks.len() + MAX_SKILLS);
    // The last is looked at first.
    let mut ahead = vec![(root.to_path_buf(), 0)];
    while let Some((path, depth)) = ahead.pop() {
        if marks.len() >= end || names >= MAX_NAMES {
            log::warn!(
                "{}: too much for a folder of skills, the rest is left out",
                root.display()
            );
            return;
        }
        // Links are followed; the depth ends a circle of them.
        if !path.is_dir() {
            if depth == 1 && path.extension().is_some_and(|ext| ext == "md") {
                add(&path, root, source, marks);
            }
            continue;
        }
        if depth > MAX_DEPTH || (depth > 0 && add(&path.join("SKILL.md"), &path, source, marks)) {
            continue;
        }
        let Ok(entries) = fs::read_dir(&path) else {
            continue;
        };
        let mut inside: Vec<_> = entries
            .flatten()
            .map(|entry| entry.file_name())
            .take(MAX_NAMES - names)
            .filter(|name| !name.as_encoded_bytes().starts_with(b".") && name != "node_modules")
            .collect();
        names += inside.len();
        inside.sort_by(|a, b| b.cmp(a));
        ahead.extend(inside.into_iter().map(|name| (path.join(name), depth + 1)));
    }
}

fn add(file: &Path, dir: &Path, source: Source, marks: &mut Vec<Mark>) -> bool {
    let Ok(meta) = fs::metadata(file) else {
        return false;
    };
    if !meta.is_file() {
        return false;
    }
    marks.push(Mark {
        file: file.to_path_buf(),
        source,
        dir: dir.to_path_buf(),
        size: meta.len(),
        modified: meta.modified().ok(),
    });
    true
}

/// The lines between the first two `---`.
pub(in crate::agent) fn front(file: &Path) -> io::Result<Option<String>> {
    let mut bytes = Vec::new();
    // It was a file a moment ago; a FIFO by now must not hold us.
    let mut options = File::options();
    let file = options.read(true).custom_flags(NONBLOCK).open(file)?;
    file.take(MAX_FRONT).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes).replace("\r\n", "\n");
    let text = text.trim_start_matches('\u{feff}');
    let Some(rest) = text.strip_prefix("---\n") else {
        return Ok(None);
    };
    let end = rest
        .split_inclusive('\n')
        .scan(0, |at, line| {
            let start = *at;
            *at += line.len();
            Some((start, line))
        })
        .find(|(_, line)| line.trim_end() == "---");
    Ok(end.map(|(at, _)| rest[..at].to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::id;
    use std::os::unix::fs::symlink;

    fn put(dir: &Path, name: &str, text: &str) {
        let path = dir.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn names(skills: &[Skill]) -> Vec<String> {
        let name = |skill: &Skill| format!("{}: {}", skill.name, skill.description);
        skills.iter().map(name).collect()
    }

    #[test]
    fn later_places_win_and_odd_files_are_left_out() {
        let dir = id::temp_dir("skills");
        let front =
            |name: &str, what: &str| format!("---\nname: {name}\ndescription: {what}\n---\nx");
        let (a, b) = (dir.join("a"), dir.join("b"));
        put(&a, "one/SKILL.md", &front("one", "first"));
        put(&a, "two/SKILL.md", &front("two", "stays"));
        put(
            &b,
            "deep/inner/SKILL.md",
            &front("one", "second").replace('\n', "\r\n"),
        );
        put(&b, "alone.md", &front("alone", "a single file"));
        put(&b, ".hidden/SKILL.md", &front("hidden", "no"));
        put(&b, "node_modules/m/SKILL.md", &front("module", "no"));
        put(&b, "bare/SKILL.md", "# no front matter\n");
        put(
            &b,
            "broken/SKILL.md",
            "---\nname: x\ndescription: a: b\n---\n",
        );
        put(&dir, "elsewhere/SKILL.md", &front("linked", "by a link"));
        symlink(dir.join("elsewhere"), b.join("linked")).unwrap();
        symlink(&b, b.join("loop")).unwrap();
        let places = Places(vec![
            (Source::Managed, a),
            (Source::Workspace, b.clone()),
            (Source::Workspace, dir.join("missing")),
        ]);
        let shelf = Shelf::default();
        let found = shelf.skills(&places);
        let mut seen = names(&found);
        seen.dedup();
        assert_eq!(seen[..2], ["one: second", "two: stays"]);
        assert!(seen.contains(&"alone: a single file".into()));
        assert!(seen.contains(&"linked: by a link".into()));
        assert_eq!(seen.len(), 4, "{seen:?}");
        assert!(Arc::ptr_eq(&found, &shelf.skills(&places)));
        put(&b, "new/SKILL.md", &front("new", "added"));
        assert!(names(&shelf.skills(&places)).contains(&"new: added".into()));
        fs::remove_dir_all(dir).unwrap();
    }
}
