//! House rules that no compiler checks: who may import whom, where unsafe and printing live, how
//! long a file may be, and that every table and paper names what there is.

use std::fs;
use std::path::{Path, PathBuf};

/// Rooms by floor, lowest first. A room imports from itself and from the floors below.
const FLOORS: &[&[&str]] = &[
    &["base"],
    &["config", "wire"],
    &["supervisor"],
    &["net"],
    &["client", "exec", "memory", "tailscale"],
    &["session", "model"],
    &["tool", "channel"],
    &["agent", "schedule"],
    &["gateway"],
    &["ops", "tui"],
    &["cli", "ctl"],
];

/// Lines of code, without comments and tests; a longer file holds a second noun.
const MAX_LINES: usize = 600;

struct Source {
    path: PathBuf,
    /// First folder or file name below `src`.
    room: String,
    text: String,
}

impl Source {
    /// Tests that outgrew the foot of their file.
    fn is_tests(&self) -> bool {
        self.path
            .file_stem()
            .is_some_and(|name| name.to_string_lossy().ends_with("tests"))
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn sources() -> Vec<Source> {
    let src = root().join("src");
    let mut found = Vec::new();
    walk(&src, &mut |path| {
        let inside = path.strip_prefix(&src).expect("below src");
        let room = inside.iter().next().expect("a name").to_string_lossy();
        if path.extension().is_some_and(|ext| ext == "rs") {
            found.push(Source {
                room: room.trim_end_matches(".rs").to_string(),
                text: fs::read_to_string(path).expect("sources are text"),
                path: path.to_path_buf(),
            });
        }
    });
    assert!(found.len() > 20, "the sources are there");
    found
}

fn walk(dir: &Path, visit: &mut impl FnMut(&Path)) {
    for entry in fs::read_dir(dir).expect("a readable folder") {
        let path = entry.expect("a readable entry").path();
        match path.is_dir() {
            true => walk(&path, visit),
            false => visit(&path),
        }
    }
}

fn floor(room: &str) -> Option<usize> {
    FLOORS.iter().position(|rooms| rooms.contains(&room))
}

/// Lines of code: without comments and without the tests at the foot.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines()
        .enumerate()
        .take_while(|(_, line)| !line.starts_with("#[cfg(test)]"))
        .map(|(at, line)| (at + 1, line.trim()))
        .filter(|(_, line)| !line.starts_with("//"))
}

/// The rooms named by `crate::` in a line; of `use crate::{a, b::c}` all of them.
fn rooms_named(line: &str) -> Vec<String> {
    let word = |text: &str| -> String {
        text.trim()
            .chars()
            .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
            .collect()
    };
    let mut rooms = Vec::new();
    for (at, _) in line.match_indices("crate::") {
        // `$crate` is a macro's, and may stand in any room that uses it.
        if line[..at].ends_with('$') {
            continue;
        }
        let rest = &line[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            None => rooms.push(word(rest)),
            Some(list) => {
                let mut depth = 0;
                let top = list.split(|c| {
                    depth += i32::from(c == '{') - i32::from(c == '}');
                    c == ',' && depth == 0
                });
                rooms.extend(top.map(word));
            }
        }
    }
    rooms.retain(|room| !room.is_empty());
    rooms
}

fn fail(rule: &str, found: Vec<String>) {
    assert!(found.is_empty(), "{rule}:\n  {}", found.join("\n  "));
}

fn place(source: &Source, line: usize) -> String {
    let path = source.path.strip_prefix(root()).expect("ours");
    format!("{}:{line}", path.display())
}

#[test]
fn imports_go_down_only() {
    let mut found = Vec::new();
    for source in sources().iter().filter(|s| s.room != "lib") {
        let Some(own) = floor(&source.room) else {
            found.push(format!("room {:?} stands on no floor", source.room));
            continue;
        };
        for (at, line) in code(&source.text) {
            for room in rooms_named(line) {
                let there = floor(&room);
                if room != source.room && there.is_some_and(|there| there >= own) {
                    found.push(format!("{} imports {room}: {line}", place(source, at)));
                }
            }
        }
    }
    fail(
        "a file imports from its own room and the floors below",
        found,
    );
}

#[test]
fn unsafe_code_and_libc_live_in_one_folder() {
    let mut found = Vec::new();
    for source in sources() {
        if source.path.starts_with(root().join("src/base/sys")) {
            continue;
        }
        for (at, line) in code(&source.text) {
            let words = ["unsafe {", "unsafe fn", "unsafe impl", "allow(unsafe_code"];
            if words.iter().any(|word| line.contains(word)) || uses_libc(line) {
                found.push(format!("{}: {line}", place(&source, at)));
            }
        }
    }
    fail("only base/sys has unsafe and libc", found);
}

/// Its functions and types; its numbers, which a system call filter lists, do nothing.
fn uses_libc(line: &str) -> bool {
    line.match_indices("libc::").any(|(at, word)| {
        line[at + word.len()..].starts_with(|c: char| c.is_ascii_lowercase() || c == '{')
    })
}

#[test]
fn every_unsafe_block_says_why_it_is_sound() {
    let mut found = Vec::new();
    for source in sources() {
        let lines: Vec<&str> = source.text.lines().map(str::trim).collect();
        for (at, line) in lines.iter().enumerate() {
            if line.starts_with("//") || !line.contains("unsafe {") {
                continue;
            }
            // The statement's first line may stand a little above the block.
            let above = &lines[at.saturating_sub(8)..=at];
            if !above.iter().any(|line| line.contains("SAFETY:")) {
                found.push(place(&source, at + 1));
            }
        }
    }
    fail("unsafe needs a SAFETY comment", found);
}

#[test]
fn standard_output_belongs_to_the_commands() {
    let mut found = Vec::new();
    for source in sources() {
        if ["cli", "ctl"].contains(&source.room.as_str()) {
            continue;
        }
        for (at, line) in code(&source.text) {
            if line.contains("println!(") && !line.contains("eprintln!(") {
                found.push(format!("{}: {line}", place(&source, at)));
            }
        }
    }
    fail("println only in cli and ctl", found);
}

/// `==` on the text of a secret tells by its time where the first difference is.
fn compares_a_secret(line: &str) -> bool {
    line.contains(".expose()") && (line.contains(" == ") || line.contains(" != "))
}

#[test]
fn secrets_are_compared_in_one_place() {
    let mut found = Vec::new();
    for source in sources().iter().filter(|s| !s.is_tests()) {
        let is_place = source.path.ends_with("base/secret.rs");
        for (at, line) in code(&source.text) {
            let another = line.contains("fn constant_time_eq") && !is_place;
            if another || compares_a_secret(line) {
                found.push(format!("{}: {line}", place(source, at)));
            }
        }
    }
    fail("Secret::matches or constant_time_eq", found);
}

#[test]
fn no_file_is_too_long_to_hold_in_the_head() {
    let long = sources()
        .iter()
        .filter(|s| !s.is_tests() && code(&s.text).count() > MAX_LINES)
        .map(|s| format!("{}: {} lines", place(s, 1), code(&s.text).count()))
        .collect();
    fail("find the second noun", long);
}

#[test]
fn every_file_opens_with_what_it_is() {
    let found = sources()
        .iter()
        .filter(|s| !s.is_tests() && !s.text.starts_with("//!"))
        .map(|s| place(s, 1))
        .collect();
    fail("a module begins with //! and says what it owns", found);
}

#[test]
fn nothing_is_left_to_do_and_nothing_is_dead() {
    // Split, so that this file does not find itself.
    let words = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        "allow(dead_code)",
    ];
    let mut found = Vec::new();
    for source in sources() {
        for (at, line) in source.text.lines().enumerate() {
            if words.iter().any(|word| line.contains(word)) {
                found.push(format!("{}: {}", place(&source, at + 1), line.trim()));
            }
        }
    }
    fail("finish it or leave it out", found);
}

#[test]
fn the_rules_above_can_be_broken() {
    assert_eq!(
        rooms_named("use crate::{base::x, config};"),
        ["base", "config"]
    );
    assert_eq!(
        rooms_named("use crate::{wire::{a, b}, net};"),
        ["wire", "net"]
    );
    assert_eq!(rooms_named("let x = crate::gateway::main();"), ["gateway"]);
    assert!(compares_a_secret("if token.expose() == offered {"));
    assert!(!compares_a_secret("if token.matches(offered.expose()) {"));
    assert!(uses_libc("libc::kill(1, 2)") && !uses_libc("libc::SYS_kill,"));
    assert!(floor("cli") > floor("gateway") && floor("gateway") > floor("base"));
    assert_eq!(code("a\n// b\n#[cfg(test)]\nmod x;").count(), 1);
}
