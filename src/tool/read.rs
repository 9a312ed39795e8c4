//! `read`: a window of lines of a text file, or an image.
//!
//! The file is streamed: memory is bounded by the window however large the file is.

use super::files::{Files, Target};
use super::{Call, Context, Error, Output, Tool, picture};
use crate::wire::message::Block;
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::json;
use std::fs::File;
use std::io::Read;

/// Most lines and bytes of one answer.
const MAX_LINES: usize = 2000;
const MAX_BYTES: usize = 50 * 1024;
/// Largest image handed to a model, bytes (what providers take).
const MAX_IMAGE: u64 = 5 * 1024 * 1024;
/// Largest text file that is walked through to find a window, bytes: seconds, not minutes.
const MAX_SCAN: u64 = 1024 * 1024 * 1024;
const CHUNK: usize = 16 * 1024;

pub const TOOL: Tool = Tool {
    name: "read",
    summary: "Read file contents",
    description: "Shows a file: text by lines, or an image (jpg, png, gif, webp) as an attachment. \
        Text answers stop after 2000 lines or 50KB, whichever comes first; for the rest of a large \
        file call again with offset and limit.",
    parameters: r#"{"type":"object","required":[],"properties":{
        "path":{"description":"File to read (relative or absolute)","type":"string"},
        "offset":{"description":"First line to read, counted from 1","type":"number"},
        "limit":{"description":"Most lines to read","type":"number"},
        "file_path":{"description":"Same as path","type":"string"}}}"#,
    run,
};

fn run(call: &Call, ctx: &Context) -> Result<Output, Error> {
    let files = Files::of(ctx)?;
    let target = files.target(call)?;
    let mut file = files.open(&target)?;
    let mut head = [0; 16];
    let mut known = 0;
    while known < head.len() {
        match file.read(&mut head[known..]) {
            Ok(0) => break,
            Ok(count) => known += count,
            Err(err) => return Err(Error(format!("{}: {err}", target.given))),
        }
    }
    let head = &head[..known];
    if let Some(mime) = picture::kind(head) {
        return image(head, file, mime, &target);
    }
    let size = file.metadata().map_or(0, |meta| meta.len());
    if size > MAX_SCAN {
        return Err(Error(format!(
            "{} is {}, too large for read. Use exec with head, tail, sed or grep.",
            target.given,
            size_text(size)
        )));
    }
    // Like the original: fractions are cut, anything below 1 is 1.
    let whole = |number: f64| number.max(1.0) as usize;
    let offset = call.number("offset").map(whole);
    let limit = call.number("limit").map(whole);
    let mut window = Window::new(offset.unwrap_or(1), limit);
    window.take(head);
    let mut chunk = vec![0; CHUNK];
    loop {
        if ctx.cancel.is_cancelled() {
            return Err("Operation aborted".into());
        }
        match file.read(&mut chunk) {
            Ok(0) => break,
            Ok(count) => window.take(&chunk[..count]),
            Err(err) => return Err(Error(format!("{}: {err}", target.given))),
        }
    }
    window.answer(&target.given, offset)
}

fn image(head: &[u8], file: File, mime: &str, target: &Target) -> Result<Output, Error> {
    let mut bytes = head.to_vec();
    file.take(MAX_IMAGE + 1)
        .read_to_end(&mut bytes)
        .map_err(|err| Error(format!("{}: {err}", target.given)))?;
    if bytes.len() as u64 > MAX_IMAGE {
        return Err(Error(format!(
            "{} is an image larger than 5MB. Make a smaller copy first.",
            target.given
        )));
    }
    if let Some(why) = picture::too_wide(&bytes) {
        return Err(Error(format!("{} has {why}.", target.given)));
    }
    Ok(Output {
        content: vec![
            Block::text(format!("Read image file [{mime}]")),
            Block::Image {
                data: STANDARD.encode(bytes),
                mime_type: mime.into(),
            },
        ],
        details: None,
    })
}

/// The lines asked for, kept while the file passes by. Lines are counted from 1, and the text after
/// the last newline is a line even when empty, as the original counts.
struct Window {
    first: usize,
    limit: Option<usize>,
    line: usize,
    /// Bytes of the first line of the window.
    first_length: u64,
    kept: Vec<u8>,
    /// Whole lines in `kept`, and where the last of them ends.
    lines: usize,
    end: usize,
    full: Option<&'static str>,
}

impl Window {
    fn new(first: usize, limit: Option<usize>) -> Window {
        Window {
            first,
            limit,
            line: 1,
            first_length: 0,
            kept: Vec::new(),
            lines: 0,
            end: 0,
            full: None,
        }
    }

    fn take(&mut self, mut bytes: &[u8]) {
        while let Some(at) = bytes.iter().position(|byte| *byte == b'\n') {
            self.keep(&bytes[..at]);
            self.close();
            self.line = self.line.saturating_add(1);
            bytes = &bytes[at + 1..];
        }
        self.keep(bytes);
    }

    fn wanted(&self) -> bool {
        let last = self.limit.map(|limit| self.first.saturating_add(limit));
        self.line >= self.first && last.is_none_or(|last| self.line < last)
    }

    fn keep(&mut self, part: &[u8]) {
        if self.line == self.first {
            self.first_length += part.len() as u64;
        }
        if !self.wanted() || self.full.is_some() {
            return;
        }
        if self.lines == MAX_LINES {
            self.full = Some("lines");
        } else if self.kept.len() + part.len() > MAX_BYTES {
            self.full = Some("bytes");
        } else {
            self.kept.extend_from_slice(part);
        }
    }

    /// The line ends here: it counts when all of it was kept.
    fn close(&mut self) {
        // A line without bytes must notice a full window too.
        self.keep(&[]);
        if self.wanted() && self.full.is_none() {
            self.lines += 1;
            self.end = self.kept.len();
            self.kept.push(b'\n');
        }
    }

    fn answer(mut self, path: &str, offset: Option<usize>) -> Result<Output, Error> {
        self.close();
        let total = self.line;
        let first = self.first;
        if first > total {
            let offset = offset.unwrap_or(first);
            return Err(Error(format!(
                "Offset {offset} is beyond end of file ({total} lines total)"
            )));
        }
        let details = |by: &str, shown: usize| {
            json!({"truncation": {"truncated": true, "truncatedBy": by, "totalLines": total,
                "outputLines": shown, "maxLines": MAX_LINES, "maxBytes": MAX_BYTES}})
        };
        if self.full.is_some() && self.lines == 0 {
            let size = size_text(self.first_length);
            return Ok(Output::text(format!(
                "[Line {first} is {size}, exceeds 50.0KB limit. Use bash: sed -n '{first}p' {path} \
                 | head -c {MAX_BYTES}]"
            ))
            .with_details(details("bytes", 0)));
        }
        let mut text = String::from_utf8_lossy(&self.kept[..self.end]).into_owned();
        let last = first + self.lines - 1;
        let next = last + 1;
        if let Some(by) = self.full {
            let limit = if by == "bytes" { " (50.0KB limit)" } else { "" };
            text.push_str(&format!(
                "\n\n[Showing lines {first}-{last} of {total}{limit}. Use offset={next} to continue.]"
            ));
            return Ok(Output::text(text).with_details(details(by, self.lines)));
        }
        if self.limit.is_some() && last < total {
            let more = total - last;
            text.push_str(&format!(
                "\n\n[{more} more lines in file. Use offset={next} to continue.]"
            ));
        }
        Ok(Output::text(text))
    }
}

fn size_text(bytes: u64) -> String {
    let number = bytes as f64;
    match bytes {
        0..1024 => format!("{bytes}B"),
        1024..1_048_576 => format!("{:.1}KB", number / 1024.0),
        _ => format!("{:.1}MB", number / 1_048_576.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, offset: Option<usize>, limit: Option<usize>) -> Result<String, Error> {
        let mut window = Window::new(offset.unwrap_or(1), limit);
        // In odd pieces, as a disk may give them.
        for part in text.as_bytes().chunks(7) {
            window.take(part);
        }
        let output = window.answer("big.txt", offset)?;
        Ok(crate::wire::message::text_of(&output.content))
    }

    #[test]
    fn a_short_file_is_shown_as_it_is() {
        assert_eq!(read("alpha\nbeta\n", None, None).unwrap(), "alpha\nbeta\n");
        assert_eq!(read("", None, None).unwrap(), "");
    }

    #[test]
    fn a_long_file_stops_after_2000_lines_and_says_how_to_go_on() {
        let text: String = (1..=5000).map(|n| format!("{n}\n")).collect();
        let shown = read(&text, None, None).unwrap();
        assert!(
            shown.ends_with(
                "\n2000\n\n[Showing lines 1-2000 of 5001. Use offset=2001 to continue.]"
            )
        );
        let rest = read(&text, Some(4999), None).unwrap();
        assert_eq!(rest, "4999\n5000\n");
        let some = read(&text, Some(3), Some(2)).unwrap();
        assert_eq!(
            some,
            "3\n4\n\n[4997 more lines in file. Use offset=5 to continue.]"
        );
        assert_eq!(
            read(&text, Some(9000), None).unwrap_err().0,
            "Offset 9000 is beyond end of file (5001 lines total)"
        );
    }

    #[test]
    fn whole_lines_stay_below_50_kib() {
        let line = "x".repeat(1023);
        let text = format!("{line}\n").repeat(60);
        let shown = read(&text, None, None).unwrap();
        assert!(
            shown
                .ends_with("[Showing lines 1-50 of 61 (50.0KB limit). Use offset=51 to continue.]")
        );
        let shown = read(&"y".repeat(60_000), None, None).unwrap();
        assert_eq!(
            shown,
            "[Line 1 is 58.6KB, exceeds 50.0KB limit. Use bash: sed -n '1p' big.txt | head -c 51200]"
        );
    }
}
