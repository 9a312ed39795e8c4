//! JSON-path edits as people type them. The input is lines: the tree, then `path=value` to set and
//! `path` to remove. What was set can be read back, what was removed is gone.

#![no_main]

use libfuzzer_sys::fuzz_target;
use openclaw::config::{edit, path};
use serde_json::Value;

/// Edits of one run; each may grow a list by ten thousand.
const MAX_EDITS: usize = 16;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let mut lines = text.lines();
    let typed = lines.next().unwrap_or_default();
    let Ok(mut tree) = edit::value(typed, true) else {
        return;
    };
    for line in lines.take(MAX_EDITS) {
        let (typed, value) = match line.split_once('=') {
            Some((typed, value)) => (typed, Some(value)),
            None => (line, None),
        };
        let Ok(segments) = path::parse(typed) else {
            continue;
        };
        match value {
            Some(value) => {
                let new = edit::value(value, false).expect("any text is a value");
                if path::set(&mut tree, &segments, new.clone()).is_ok() {
                    assert_eq!(path::get(&tree, &segments), Some(&new), "{typed}");
                }
            }
            None => remove(&mut tree, &segments, typed),
        }
    }
});

fn remove(tree: &mut Value, segments: &[String], typed: &str) {
    let there = path::get(tree, segments).is_some();
    let count = size(tree, &segments[..segments.len() - 1]);
    assert_eq!(path::unset(tree, segments), there, "{typed}");
    if there {
        let left = size(tree, &segments[..segments.len() - 1]);
        assert_eq!(left + 1, count, "{typed}");
    }
}

/// Members of the list or object at `segments`.
fn size(tree: &Value, segments: &[String]) -> usize {
    match path::get(tree, segments) {
        Some(Value::Array(list)) => list.len(),
        Some(Value::Object(map)) => map.len(),
        _ => 0,
    }
}
