//! `memory_get`: reads lines of a note. Only notes: `MEMORY.md`, `memory.md`, what is below
//! `memory/`, and the configured folders and files. No symlink is followed.

use super::settings;
use crate::base::sys::beneath::{self, How};
use crate::config::paths::normal;
use crate::tool::{Call, Context, Error, Output, Tool};
use serde_json::json;
use std::fs::File;
use std::io::Read;
use std::path::{Component, Path, PathBuf};

pub const TOOL: Tool = Tool {
    name: "memory_get",
    summary: "Read part of a memory file.",
    description: "Reads a note (MEMORY.md, memory/*.md) that memory_search named: all of it, or \
        `lines` lines starting at line `from`. Ask for the lines you need only.",
    parameters: r#"{"type":"object","required":["path"],"properties":{
        "path":{"type":"string"},
        "from":{"type":"number"},
        "lines":{"type":"number"}}}"#,
    run,
};

/// Bytes of a note that are read.
const MAX_FILE: u64 = 8 * 1024 * 1024;
/// Characters of one answer; the model asks for the rest by lines.
const MAX_TEXT: usize = 60_000;

fn run(call: &Call, ctx: &Context) -> Result<Output, Error> {
    let path = call.first_of(&["path"]).ok_or("path required")?;
    let extra = settings::extra_paths(&ctx.config, ctx.processes.paths(), ctx.agent_id);
    Ok(Output::json(match read(&ctx.workspace, &extra, path) {
        Ok(text) => {
            json!({"path": path, "text": part(&text, call.number("from"), call.number("lines"))})
        }
        Err(why) => json!({"path": path, "text": "", "disabled": true, "error": why}),
    }))
}

fn read(workspace: &Path, extra: &[PathBuf], path: &str) -> Result<String, String> {
    let (root, inside) = place(workspace, extra, path)
        .ok_or("path required: it is not one of the memory's files")?;
    let open = || {
        let root = File::open(&root)?;
        let file = beneath::open(&root, &inside, How::Read)?;
        if !file.metadata()?.is_file() {
            return Err(std::io::ErrorKind::InvalidInput.into());
        }
        let mut bytes = Vec::new();
        file.take(MAX_FILE).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes = open().map_err(|err: std::io::Error| format!("{path}: {err}"))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The folder that must not be left, and the way from it.
fn place(workspace: &Path, extra: &[PathBuf], path: &str) -> Option<(PathBuf, PathBuf)> {
    let whole = normal(&workspace.join(path));
    if whole.extension().is_none_or(|ext| ext != "md") {
        return None;
    }
    if let Ok(inside) = whole.strip_prefix(workspace) {
        let first = inside.components().next();
        let own = inside == Path::new("MEMORY.md")
            || inside == Path::new("memory.md")
            || (first == Some(Component::Normal("memory".as_ref()))
                && inside.components().count() > 1);
        if own {
            return Some((workspace.into(), inside.into()));
        }
    }
    extra.iter().find_map(|allowed| {
        let inside = whole.strip_prefix(allowed).ok()?;
        match inside.as_os_str().is_empty() {
            true => Some((allowed.parent()?.into(), allowed.file_name()?.into())),
            false => Some((allowed.clone(), inside.into())),
        }
    })
}

fn part(text: &str, from: Option<f64>, lines: Option<f64>) -> String {
    let whole = |n: f64| n.clamp(1.0, 1e9) as usize;
    let picked = match (from, lines) {
        (None, None) => text.to_string(),
        (from, lines) => {
            let skip = from.map_or(1, whole) - 1;
            let take = lines.map_or(usize::MAX, whole);
            text.split('\n')
                .skip(skip)
                .take(take)
                .collect::<Vec<_>>()
                .join("\n")
        }
    };
    match picked.char_indices().nth(MAX_TEXT) {
        None => picked,
        Some((end, _)) => format!(
            "{}\n[cut after {MAX_TEXT} characters; ask for the rest with from and lines]",
            &picked[..end]
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_notes_are_read() {
        let dir = crate::base::id::temp_dir("memory-get");
        let ws = dir.join("ws");
        std::fs::create_dir_all(ws.join("memory")).unwrap();
        std::fs::create_dir_all(dir.join("notes")).unwrap();
        for (path, text) in [
            ("ws/MEMORY.md", "m"),
            ("ws/memory/a.md", "1\n2\n3\n"),
            ("ws/SOUL.md", "soul"),
            ("secret.md", "s"),
            ("notes/n.md", "n"),
        ] {
            std::fs::write(dir.join(path), text).unwrap();
        }
        std::os::unix::fs::symlink(dir.join("secret.md"), ws.join("memory/link.md")).unwrap();
        let extra = [dir.join("notes"), dir.join("secret.txt")];
        let get = |path: &str| read(&ws, &extra, path);
        assert_eq!(get("MEMORY.md").unwrap(), "m");
        assert_eq!(get("./memory/a.md").unwrap(), "1\n2\n3\n");
        assert_eq!(get("../notes/n.md").unwrap(), "n");
        for bad in [
            "SOUL.md",
            "memory/../SOUL.md",
            "../secret.md",
            "memory/link.md",
            "memory",
            "memory/none.md",
            "/etc/x.md",
        ] {
            assert!(get(bad).is_err(), "{bad}");
        }
        assert_eq!(part("1\n2\n3\n", Some(2.0), Some(1.0)), "2");
        assert_eq!(part("1\n2\n3", Some(3.0), None), "3");
        assert_eq!(part("1\n2", None, Some(1.0)), "1");
        assert!(part(&"x".repeat(MAX_TEXT + 1), None, None).contains("[cut after"));
        std::fs::remove_dir_all(dir).unwrap();
    }
}
