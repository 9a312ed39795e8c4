//! `write`: makes or replaces a file.

use super::files::Files;
use super::{Call, Context, Error, Output, Tool};

pub const TOOL: Tool = Tool {
    name: "write",
    summary: "Create or overwrite files",
    description: "Writes a file with the given content. What the file held before is replaced; \
        missing folders on the way are made.",
    parameters: r#"{"type":"object","required":["content"],"properties":{
        "path":{"description":"File to write (relative or absolute)","type":"string"},
        "content":{"description":"The file's new content","type":"string"},
        "file_path":{"description":"Same as path","type":"string"}}}"#,
    run,
};

fn run(call: &Call, ctx: &Context) -> Result<Output, Error> {
    let files = Files::of(ctx)?;
    let target = files.target(call)?;
    let content = call.str("content").unwrap_or_default();
    files.save(&target, content.as_bytes())?;
    // The original counts UTF-16 units and calls them bytes.
    let count = content.encode_utf16().count();
    Ok(Output::text(format!(
        "Successfully wrote {count} bytes to {}",
        target.given
    )))
}
