//! `ls`: the entries of a folder, folders with a slash behind the name.

use super::super::files::{Files, Kind};
use super::super::{Call, Context, Error, Output, Tool};
use super::{Answer, folder, limit};

const USUAL: usize = 500;
const MOST: usize = 10_000;

pub const TOOL: Tool = Tool {
    name: "ls",
    summary: "List directory contents",
    description: "Lists a folder in alphabetical order, hidden entries included; folders end with \
        '/'. Stops after 500 entries (see limit) or 50KB.",
    parameters: r#"{"type":"object","required":[],"properties":{
        "path":{"description":"Folder to list (default: the workspace)","type":"string"},
        "limit":{"description":"Most entries to list (default 500)","type":"number"}}}"#,
    run,
};

fn run(call: &Call, ctx: &Context) -> Result<Output, Error> {
    let files = Files::of(ctx)?;
    let (given, target) = folder(call, &files)?;
    let limit = limit(call, USUAL, MOST);
    let (entries, more) = files.list(&target)?;
    let mut answer = Answer::default();
    for entry in entries.iter().take(limit) {
        let mut line = entry.name.to_string_lossy().into_owned();
        let folder = match entry.kind {
            Kind::Folder => true,
            // In a sandbox a link leads nowhere.
            Kind::Symlink => {
                let inside = format!("{given}/{line}");
                let target = files.resolve(&inside)?;
                files.kind(&target) == Ok(Kind::Folder)
            }
            Kind::File | Kind::Other => false,
        };
        if folder {
            line.push('/');
        }
        answer.line(&line);
    }
    if entries.len() > limit {
        answer.notices.push(format!(
            "{limit} entries limit reached. Use limit={} for more",
            limit * 2
        ));
    } else if more {
        answer.notices.push(format!(
            "only the first {} entries were read",
            entries.len()
        ));
    }
    Ok(answer.finish("(empty directory)"))
}
