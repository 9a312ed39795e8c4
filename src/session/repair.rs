//! Putting a transcript right before it is appended to: the file as it was is kept beside it, the
//! good lines are written anew.

use super::load::MAX_LINE;
use super::record::{self, VERSION};
use crate::base::surrogate;
use crate::base::{atomic, id, jsonl, time};
use serde_json::{Map, Value};
use std::fs::{self, File};
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};

/// Rewrites `path` with its good lines in the current version, under a header. Returns where the
/// copy is.
pub fn repair(path: &Path, session_id: &str, cwd: &Path) -> io::Result<PathBuf> {
    let copy = backup(path)?;
    let mut good: Vec<Vec<u8>> = Vec::new();
    let mut text = Vec::new();
    let mut reader = BufReader::new(File::open(&copy)?);
    while jsonl::read_line(&mut reader, &mut text, MAX_LINE)? {
        if is_object(&text) {
            good.push(text.clone());
        } else if !text.iter().all(u8::is_ascii_whitespace) {
            log::warn!("{}: dropped a malformed line", path.display());
        }
    }
    let mut out = Vec::new();
    match good.first().and_then(|line| parse(line)).filter(is_header) {
        None => out = record::header(session_id, cwd, None),
        Some(header) => {
            let version = header.get("version").and_then(Value::as_u64).unwrap_or(1);
            if version < VERSION {
                let mut lines: Vec<_> = good.iter().filter_map(|line| parse(line)).collect();
                migrate(&mut lines, version);
                good = lines
                    .iter()
                    .map(serde_json::to_vec)
                    .collect::<Result<_, _>>()?;
            }
        }
    }
    for line in &good {
        out.extend_from_slice(line);
        out.push(b'\n');
    }
    atomic::write(path, &out)?;
    Ok(copy)
}

/// How many lines of it are no JSON objects.
pub fn torn(path: &Path) -> io::Result<usize> {
    let mut text = Vec::new();
    let mut reader = BufReader::new(File::open(path)?);
    let mut torn = 0;
    while jsonl::read_line(&mut reader, &mut text, MAX_LINE)? {
        let blank = text.iter().all(u8::is_ascii_whitespace);
        torn += usize::from(!blank && !is_object(&text));
    }
    Ok(torn)
}

/// `repair` of a transcript whose session is only known by its file.
pub fn transcript(path: &Path, cwd: &Path) -> io::Result<PathBuf> {
    let id = path.file_stem().unwrap_or_default().to_string_lossy();
    repair(path, &id, cwd)
}

/// The same for a log of any lines: the good ones stay.
pub fn plain(path: &Path) -> io::Result<PathBuf> {
    let copy = backup(path)?;
    let mut out = Vec::new();
    let mut text = Vec::new();
    let mut reader = BufReader::new(File::open(&copy)?);
    while jsonl::read_line(&mut reader, &mut text, MAX_LINE)? {
        if is_object(&text) {
            out.extend_from_slice(text.trim_ascii_end());
            out.push(b'\n');
        }
    }
    atomic::write(path, &out)?;
    Ok(copy)
}

/// Copies `path` to the name the original uses for repairs.
pub fn backup(path: &Path) -> io::Result<PathBuf> {
    let mut name = path.as_os_str().to_os_string();
    name.push(format!(".bak-{}-{}", std::process::id(), time::now_ms()));
    let copy = PathBuf::from(name);
    fs::copy(path, &copy)?;
    Ok(copy)
}

/// Checked without building strings, so that halves of surrogate pairs pass.
fn is_object(line: &[u8]) -> bool {
    line.trim_ascii_start().starts_with(b"{")
        && serde_json::from_slice::<serde::de::IgnoredAny>(line).is_ok()
}

fn parse(line: &[u8]) -> Option<Map<String, Value>> {
    serde_json::from_str(&surrogate::mend(std::str::from_utf8(line).ok()?)).ok()
}

fn is_header(line: &Map<String, Value>) -> bool {
    line.get("type").and_then(Value::as_str) == Some("session")
        && line.get("id").is_some_and(Value::is_string)
}

/// Version 1 had no ids and counted lines; version 2 had another name for a role.
fn migrate(lines: &mut [Map<String, Value>], version: u64) {
    if version < 2 {
        link(lines);
    }
    for line in lines.iter_mut() {
        if let Some(Value::Object(message)) = line.get_mut("message") {
            if message.get("role").and_then(Value::as_str) == Some("hookMessage") {
                message.insert("role".into(), "custom".into());
            }
        }
    }
    let header = &mut lines[0];
    if header.contains_key("version") {
        header.insert("version".into(), VERSION.into());
    } else {
        header.shift_insert(1, "version".into(), VERSION.into());
    }
}

fn link(lines: &mut [Map<String, Value>]) {
    let ids: Vec<String> = lines.iter().map(|_| id::short()).collect();
    let mut parent = Value::Null;
    for (at, line) in lines.iter_mut().enumerate().skip(1) {
        line.insert("id".into(), ids[at].clone().into());
        line.insert("parentId".into(), parent);
        parent = ids[at].clone().into();
        // Counted over all lines, the header being 0.
        if let Some(kept) = line.shift_remove("firstKeptEntryIndex") {
            let kept = kept.as_u64().and_then(|at| usize::try_from(at).ok());
            if let Some(id) = kept.filter(|at| *at > 0).and_then(|at| ids.get(at)) {
                line.insert("firstKeptEntryId".into(), id.clone().into());
            }
        }
    }
}
