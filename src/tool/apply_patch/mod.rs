//! `apply_patch`: changes several files by one patch in the `*** Begin Patch` form.
//!
//! The whole patch is read, and every change worked out in memory, before the first file is
//! written: a patch that does not fit changes nothing. Files are reached as `edit` reaches them.

mod parse;
mod place;

use super::files::{Files, Kind, Target};
use super::{Call, Context, Error, Output, Tool};
use parse::Hunk;
use serde_json::json;

/// A model's output is far smaller; what `/tools/invoke` takes is not.
const MAX_PATCH: usize = 1024 * 1024;
/// Bytes of all new contents together.
const MAX_PENDING: usize = 64 * 1024 * 1024;

pub const TOOL: Tool = Tool {
    name: "apply_patch",
    summary: "Apply multi-file patches",
    description: "Adds, changes, moves and deletes files by one patch that starts with the line \
        '*** Begin Patch' and ends with '*** End Patch'.",
    parameters: r#"{"type":"object","required":["input"],"properties":{
        "input":{"description":"Patch content using the *** Begin Patch/End Patch format.","type":"string"}}}"#,
    run,
};

/// What a file will be; `None`: gone.
struct Change {
    target: Target,
    content: Option<String>,
}

#[derive(Default)]
struct Plan {
    changes: Vec<Change>,
    added: Vec<String>,
    modified: Vec<String>,
    deleted: Vec<String>,
}

fn run(call: &Call, ctx: &Context) -> Result<Output, Error> {
    let input = call.str("input").unwrap_or_default();
    if input.trim().is_empty() {
        return Err("Provide a patch input.".into());
    }
    if input.len() > MAX_PATCH {
        return Err("The patch is larger than 1 MiB. Write the files instead.".into());
    }
    let files = Files::of(ctx)?;
    let hunks = parse::hunks(input)?;
    if hunks.is_empty() {
        return Err("No files were modified.".into());
    }
    let mut plan = Plan::default();
    for hunk in &hunks {
        if ctx.cancel.is_cancelled() {
            return Err("Operation aborted".into());
        }
        plan.add(hunk, &files)?;
        let pending = plan.changes.iter().filter_map(|c| c.content.as_ref());
        if pending.map(String::len).sum::<usize>() > MAX_PENDING {
            return Err("The patch makes more than 64 MiB of files. Use smaller ones.".into());
        }
    }
    plan.carry_out(&files)?;
    let mut text = String::from("Success. Updated the following files:");
    let groups = [
        ('A', &plan.added),
        ('M', &plan.modified),
        ('D', &plan.deleted),
    ];
    for (letter, paths) in groups {
        for path in paths {
            text.push_str(&format!("\n{letter} {path}"));
        }
    }
    let (added, modified, deleted) = (plan.added, plan.modified, plan.deleted);
    Ok(Output::text(text).with_details(json!({
        "summary": {"added": added, "modified": modified, "deleted": deleted},
    })))
}

impl Plan {
    fn add(&mut self, hunk: &Hunk, files: &Files) -> Result<(), Error> {
        match hunk {
            Hunk::Add { path, content } => {
                let target = files.resolve(path)?;
                name(&mut self.added, files.shown(&target));
                self.set(target, Some(content.clone()));
            }
            Hunk::Delete { path } => {
                let target = files.resolve(path)?;
                if self.is_there(files, &target)? != Kind::File {
                    return Err(Error(format!("Not a regular file: {path}")));
                }
                name(&mut self.deleted, files.shown(&target));
                self.set(target, None);
            }
            Hunk::Update { path, to, chunks } => {
                let target = files.resolve(path)?;
                let old = self.content(files, &target)?;
                let new = place::apply(&old, chunks, path)?;
                let Some(to) = to else {
                    name(&mut self.modified, files.shown(&target));
                    self.set(target, Some(new));
                    return Ok(());
                };
                let to = files.resolve(to)?;
                name(&mut self.modified, files.shown(&to));
                // Moved to itself it stays.
                if to.absolute != target.absolute {
                    self.set(target, None);
                }
                self.set(to, Some(new));
            }
        }
        Ok(())
    }

    fn set(&mut self, target: Target, content: Option<String>) {
        self.changes
            .retain(|c| c.target.absolute != target.absolute);
        self.changes.push(Change { target, content });
    }

    fn known(&self, target: &Target) -> Option<&Change> {
        self.changes
            .iter()
            .find(|change| change.target.absolute == target.absolute)
    }

    fn is_there(&self, files: &Files, target: &Target) -> Result<Kind, Error> {
        match self.known(target) {
            Some(change) if change.content.is_some() => Ok(Kind::File),
            Some(_) => Err(deleted(target)),
            None => files.kind(target),
        }
    }

    fn content(&self, files: &Files, target: &Target) -> Result<String, Error> {
        match self.known(target) {
            Some(change) => change.content.clone().ok_or_else(|| deleted(target)),
            None => {
                let path = &target.given;
                String::from_utf8(files.load(target)?)
                    .map_err(|_| Error(format!("{path} is not UTF-8 text and is left as it is.")))
            }
        }
    }

    /// New contents first, so that a full disk in the middle of a move costs no file.
    fn carry_out(&self, files: &Files) -> Result<(), Error> {
        let mut done: Vec<&str> = Vec::new();
        let (kept, gone): (Vec<_>, Vec<_>) = self.changes.iter().partition(|c| c.content.is_some());
        for change in kept.into_iter().chain(gone) {
            let result = match &change.content {
                Some(content) => files.save(&change.target, content.as_bytes()),
                None => files.remove(&change.target),
            };
            if let Err(Error(message)) = result {
                let already = match done.as_slice() {
                    [] => "Nothing was changed.".to_string(),
                    done => format!("Changed already: {}.", done.join(", ")),
                };
                return Err(Error(format!("{message}. {already}")));
            }
            done.push(&change.target.given);
        }
        Ok(())
    }
}

fn name(list: &mut Vec<String>, path: String) {
    if !list.contains(&path) {
        list.push(path);
    }
}

fn deleted(target: &Target) -> Error {
    Error(format!(
        "The patch changes {} after it has deleted or moved it.",
        target.given
    ))
}
