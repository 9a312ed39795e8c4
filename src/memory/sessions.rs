//! Transcripts as a source: what user and assistant said, a line each, without tools and thoughts.

use super::error::Error;
use super::files;
use crate::base::jsonl;
use serde::Deserialize;
use std::fs::{self, File};
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// The newest so many transcripts are indexed.
const MAX_FILES: usize = 2_000;
/// Bytes of text taken from one transcript.
const MAX_TEXT: usize = 4 * 1024 * 1024;
/// A longer line is a picture or a tool's output.
const MAX_LINE: usize = 1024 * 1024;

#[derive(Clone, Debug)]
pub struct Found {
    /// `sessions/<file>.jsonl`
    pub path: String,
    whole: PathBuf,
    pub mtime: f64,
    pub size: u64,
}

/// The transcripts in the folder, newest first.
pub fn list(dir: &Path) -> Vec<Found> {
    let entries = fs::read_dir(dir)
        .into_iter()
        .flatten()
        .filter_map(Result::ok);
    let mut found: Vec<Found> = entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()))
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let meta = entry.metadata().ok().filter(|_| name.ends_with(".jsonl"))?;
            Some(Found {
                path: format!("sessions/{name}"),
                whole: entry.path(),
                mtime: files::mtime(&meta),
                size: meta.len(),
            })
        })
        .collect();
    found.sort_by(|a, b| b.mtime.total_cmp(&a.mtime));
    found.truncate(MAX_FILES);
    found
}

#[derive(Deserialize)]
struct Record {
    #[serde(default)]
    message: Option<Message>,
}

#[derive(Deserialize)]
struct Message {
    #[serde(default)]
    role: String,
    #[serde(default)]
    content: Content,
}

#[derive(Deserialize, Default)]
#[serde(untagged)]
enum Content {
    Text(String),
    Blocks(Vec<Block>),
    #[default]
    Other,
}

#[derive(Deserialize)]
struct Block {
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default)]
    text: String,
}

impl Found {
    pub fn read(&self) -> Result<String, Error> {
        let file = File::open(&self.whole).map_err(Error::io(&self.whole))?;
        let mut reader = BufReader::new(file);
        let mut text = String::new();
        let mut line = Vec::new();
        loop {
            match jsonl::read_line(&mut reader, &mut line, MAX_LINE) {
                Ok(true) => {}
                Ok(false) => return Ok(text),
                Err(err) if err.kind() == std::io::ErrorKind::InvalidData => {
                    skip_line(&mut reader).map_err(Error::io(&self.whole))?;
                    continue;
                }
                Err(err) => return Err(Error::io(&self.whole)(err)),
            }
            let Some(said) = said(&line) else { continue };
            if text.len() + said.len() > MAX_TEXT {
                return Ok(text);
            }
            if !text.is_empty() {
                text.push('\n');
            }
            text.push_str(&said);
        }
    }

    /// Whether it grew enough since it was `indexed` bytes long.
    pub fn has_grown(&self, indexed: u64, bytes: u64, messages: u64) -> bool {
        let Some(grown) = self.size.checked_sub(indexed) else {
            return true;
        };
        grown >= bytes
            || self
                .lines_after(indexed)
                .is_none_or(|lines| lines >= messages)
    }

    fn lines_after(&self, at: u64) -> Option<u64> {
        let mut file = File::open(&self.whole).ok()?;
        file.seek(SeekFrom::Start(at)).ok()?;
        let mut part = [0; 8192];
        let mut lines = 0;
        loop {
            match file.read(&mut part).ok()? {
                0 => return Some(lines),
                n => lines += part[..n].iter().filter(|byte| **byte == b'\n').count() as u64,
            }
        }
    }
}

fn said(line: &[u8]) -> Option<String> {
    let message = serde_json::from_slice::<Record>(line).ok()?.message?;
    let who = match message.role.as_str() {
        "user" => "User",
        "assistant" => "Assistant",
        _ => return None,
    };
    let text = match message.content {
        Content::Text(text) => text,
        Content::Blocks(blocks) => {
            let texts = blocks.iter().filter(|block| block.kind == "text");
            texts
                .map(|block| block.text.as_str())
                .collect::<Vec<_>>()
                .join(" ")
        }
        Content::Other => return None,
    };
    let words: Vec<&str> = text.split_whitespace().collect();
    (!words.is_empty()).then(|| format!("{who}: {}", words.join(" ")))
}

/// To the end of a line whose beginning has been read.
fn skip_line(reader: &mut impl std::io::BufRead) -> std::io::Result<()> {
    loop {
        let buffer = reader.fill_buf()?;
        if buffer.is_empty() {
            return Ok(());
        }
        match buffer.iter().position(|byte| *byte == b'\n') {
            Some(at) => {
                reader.consume(at + 1);
                return Ok(());
            }
            None => {
                let all = buffer.len();
                reader.consume(all);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transcript_is_who_said_what() {
        let dir = crate::base::id::temp_dir("memory-sessions");
        let long = format!(
            "{{\"message\":{{\"role\":\"user\",\"content\":\"{}\"}}}}",
            "x".repeat(MAX_LINE)
        );
        let lines = [
            r#"{"type":"session","id":"x"}"#,
            r#"{"type":"message","message":{"role":"user","content":"hello\n  there"}}"#,
            &long,
            r#"{"type":"message","message":{"role":"assistant","content":[{"type":"thinking","thinking":"h"},{"type":"text","text":"hi"},{"type":"text","text":"you"}]}}"#,
            r#"{"type":"message","message":{"role":"toolResult","content":[{"type":"text","text":"out"}]}}"#,
            "torn {",
        ];
        fs::write(dir.join("a.jsonl"), lines.join("\n")).unwrap();
        fs::write(dir.join("a.jsonl.deleted.1"), lines[1]).unwrap();
        let found = list(&dir);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].path, "sessions/a.jsonl");
        assert_eq!(
            found[0].read().unwrap(),
            "User: hello there\nAssistant: hi you"
        );
        let size = found[0].size;
        assert!(!found[0].has_grown(size - 100, 200, 50));
        assert!(found[0].has_grown(size - 100, 100, 50));
        assert!(found[0].has_grown(0, u64::MAX, 5));
        assert!(found[0].has_grown(size + 1, u64::MAX, 50));
        fs::remove_dir_all(dir).unwrap();
    }
}
