//! `grep`, `find` and `ls`: looking around in files without starting a program.
//!
//! They read what `read` may read. A search is bounded in time, in entries visited and in bytes
//! read, and says so when it stopped early. No name and no content can make it follow a symlink.

mod find;
mod glob;
mod grep;
mod ignore;
mod ls;
mod walk;

pub use find::TOOL as FIND;
pub use grep::TOOL as GREP;
pub use ls::TOOL as LS;

use super::files::{Files, Kind, Target};
use super::{Call, Error, Output};

/// Most bytes of one answer.
const MAX_BYTES: usize = 50 * 1024;

/// Lines of an answer, up to [`MAX_BYTES`], and what is to be said about its limits below it.
#[derive(Default)]
struct Answer {
    text: String,
    full: bool,
    notices: Vec<String>,
}

impl Answer {
    fn line(&mut self, line: &str) {
        if self.full || self.text.len() + line.len() + 1 > MAX_BYTES {
            self.full = true;
            return;
        }
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        self.text.push_str(line);
    }

    fn finish(mut self, nothing: &str) -> Output {
        if self.full {
            self.notices.push("50.0KB limit reached".into());
        }
        if self.text.is_empty() && !self.full {
            self.text.push_str(nothing);
        }
        if !self.notices.is_empty() {
            self.text.push_str("\n\n[");
            self.text.push_str(&self.notices.join(". "));
            self.text.push(']');
        }
        Output::text(self.text)
    }
}

/// The folder the call names, as it is named there and where it is; the workspace if it names none.
fn folder<'c>(call: &'c Call, files: &Files) -> Result<(&'c str, Target), Error> {
    let given = call.first_of(&["path"]).unwrap_or(".");
    let target = files.resolve(given)?;
    match files.kind(&target)? {
        Kind::Folder => Ok((given, target)),
        _ => Err(Error(format!("Not a directory: {given}"))),
    }
}

/// The call's `limit`: at least 1, and not more than `most`.
fn limit(call: &Call, usual: usize, most: usize) -> usize {
    call.number("limit")
        .map_or(usual, |limit| limit.max(1.0) as usize)
        .min(most)
}
