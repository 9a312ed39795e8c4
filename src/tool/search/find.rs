//! `find`: files and folders by name.

use super::super::files::Files;
use super::super::{Call, Context, Error, Output, Tool};
use super::walk::Walk;
use super::{Answer, folder, glob, limit};

const USUAL: usize = 1000;
const MOST: usize = 10_000;

pub const TOOL: Tool = Tool {
    name: "find",
    summary: "Find files by glob pattern",
    description: "Finds files and folders whose name fits a glob pattern; a pattern with a '/' is \
        compared with the path below the searched folder. Folders end with '/'. What .gitignore \
        names is passed over. Stops after 1000 results (see limit) or 50KB.",
    parameters: r#"{"type":"object","required":["pattern"],"properties":{
        "pattern":{"description":"Glob, e.g. '*.ts', '**/*.json' or 'src/**/*.spec.ts'","type":"string"},
        "path":{"description":"Folder to search (default: the workspace)","type":"string"},
        "limit":{"description":"Most results (default 1000)","type":"number"}}}"#,
    run,
};

fn run(call: &Call, ctx: &Context) -> Result<Output, Error> {
    let files = Files::of(ctx)?;
    let (_, target) = folder(call, &files)?;
    let pattern = call.str("pattern").unwrap_or_default();
    let whole = pattern.contains('/');
    let pattern = glob::compile(pattern.trim_start_matches('/'))
        .ok_or_else(|| Error(format!("Not a usable glob pattern: {pattern}")))?;
    let limit = limit(call, USUAL, MOST);
    let mut answer = Answer::default();
    let mut count = 0;
    let mut more = false;
    let mut walk = Walk::new(&files, ctx);
    walk.run(&target, &mut |_, found| {
        let name = found.inside.rsplit('/').next().unwrap_or_default();
        if !pattern.is_match(if whole { found.inside } else { name }) {
            return Ok(true);
        }
        more = count == limit;
        if more {
            return Ok(false);
        }
        count += 1;
        match found.folder {
            true => answer.line(&format!("{}/", found.inside)),
            false => answer.line(found.inside),
        }
        Ok(!answer.full)
    })?;
    if more {
        answer.notices.push(format!(
            "{limit} results limit reached. Use limit={} for more, or refine pattern",
            limit * 2
        ));
    }
    answer.notices.extend(walk.stopped.map(str::to_string));
    Ok(answer.finish("No files found matching pattern"))
}
