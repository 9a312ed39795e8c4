//! An agent's workspace: the folder with the files that say who the agent is. Creates what is
//! missing, and reads what goes into the system prompt.

use crate::base::sys::beneath::{self, How, NONBLOCK};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

pub const BOOTSTRAP: &str = "BOOTSTRAP.md";
pub const SOUL: &str = "SOUL.md";

/// Injected files in order, with the text a new workspace starts with.
const TEMPLATES: [(&str, &str); 6] = [
    ("AGENTS.md", include_str!("templates/AGENTS.md")),
    (SOUL, include_str!("templates/SOUL.md")),
    ("TOOLS.md", include_str!("templates/TOOLS.md")),
    ("IDENTITY.md", include_str!("templates/IDENTITY.md")),
    ("USER.md", include_str!("templates/USER.md")),
    ("HEARTBEAT.md", include_str!("templates/HEARTBEAT.md")),
];
const BOOTSTRAP_TEXT: &str = include_str!("templates/BOOTSTRAP.md");

/// What a sub-agent is shown.
const SUBAGENT_FILES: [&str; 2] = ["AGENTS.md", "TOOLS.md"];

/// Bytes read of one file: far above any limit that makes sense in a prompt, so a log that was
/// saved under a known name costs no memory.
const MAX_READ: u64 = 1024 * 1024;
/// `git init` that takes longer is on a sick disk and not worth the wait.
const GIT_PATIENCE: Duration = Duration::from_secs(5);

/// A file as it goes into the prompt.
#[derive(Clone, Debug, PartialEq)]
pub struct Injected {
    pub name: String,
    pub path: PathBuf,
    pub missing: bool,
    /// Cut to the limit; the marker for a missing file.
    pub content: String,
    /// Characters before cutting.
    pub raw_chars: usize,
    pub truncated: bool,
}

/// Creates `dir` and the files a new agent starts with. Files that exist are never touched. The
/// first-conversation file and the repository come only with a brand-new workspace.
pub fn create(dir: &Path, skip_files: bool) -> io::Result<()> {
    let existed = dir.is_dir();
    fs::create_dir_all(dir)?;
    if skip_files {
        return Ok(());
    }
    let brand_new = !existed || TEMPLATES.iter().all(|(name, _)| !dir.join(name).exists());
    for (name, text) in TEMPLATES {
        write_missing(&dir.join(name), text)?;
    }
    if brand_new {
        write_missing(&dir.join(BOOTSTRAP), BOOTSTRAP_TEXT)?;
        if !dir.join(".git").exists() {
            git_init(dir);
        }
    }
    Ok(())
}

/// Gives the folder of a sandboxed session what it lacks of the files of the prompt: copies, which
/// are its own from then on.
pub fn seed(from: &Path, folder: &Path) -> io::Result<()> {
    for name in names().chain([BOOTSTRAP]) {
        let mut bytes = Vec::new();
        let Ok(file) = open(from, name, true) else {
            continue;
        };
        // `create_new` follows no link, whatever a command has left there.
        let mut options = OpenOptions::new();
        match options.write(true).create_new(true).open(folder.join(name)) {
            Ok(mut copy) => {
                let read = file.take(MAX_READ).read_to_end(&mut bytes);
                if let Err(err) = read.and_then(|_| copy.write_all(&bytes)) {
                    // Half a file would stay.
                    let _ = fs::remove_file(folder.join(name));
                    return Err(err);
                }
            }
            Err(err) if err.kind() == io::ErrorKind::AlreadyExists => {}
            Err(err) => return Err(err),
        }
    }
    Ok(())
}

/// Reads the files of the prompt, each cut to `max_chars`. Files with nothing in them are left out.
/// `fenced` as for `open`.
pub fn load(dir: &Path, subagent: bool, max_chars: usize, fenced: bool) -> Vec<Injected> {
    let always = TEMPLATES
        .iter()
        .map(|(name, _)| *name)
        .chain([BOOTSTRAP])
        .filter(|name| !subagent || SUBAGENT_FILES.contains(name));
    let mut out: Vec<Injected> = always
        .filter_map(|name| read(dir, name, max_chars, fenced))
        .collect();
    if !subagent {
        let mut seen: Option<PathBuf> = None;
        for name in ["MEMORY.md", "memory.md"] {
            // On a case-insensitive disk both names are one file.
            let Ok(real) = fs::canonicalize(dir.join(name)) else {
                continue;
            };
            if seen.as_ref() != Some(&real) {
                out.extend(read(dir, name, max_chars, fenced));
                seen = Some(real);
            }
        }
    }
    out
}

/// The files every workspace has, in the order of the prompt.
pub fn names() -> impl Iterator<Item = &'static str> {
    TEMPLATES.iter().map(|(name, _)| *name)
}

/// What a file says before anyone has changed it.
pub fn template(name: &str) -> Option<&'static str> {
    TEMPLATES
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, text)| *text)
}

/// The repository `dir` is in, looked for at most twelve levels up.
pub fn repository(dir: &Path) -> Option<PathBuf> {
    dir.ancestors()
        .take(12)
        .find(|d| d.join(".git").exists())
        .map(Path::to_path_buf)
}

fn write_missing(path: &Path, text: &str) -> io::Result<()> {
    match OpenOptions::new().write(true).create_new(true).open(path) {
        Ok(mut file) => file.write_all(text.as_bytes()),
        Err(err) if err.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(err) => Err(err),
    }
}

/// Opens a plain file of the workspace; nothing else, and never waits for whoever writes a FIFO.
/// `fenced`: sandboxed commands may have written the workspace, so a link that leads out of it is
/// not followed: the file behind it is one that they could not read.
pub fn open(dir: &Path, name: &str, fenced: bool) -> io::Result<File> {
    let path = dir.join(name);
    let file = if fenced {
        let (root, target) = (dir.canonicalize()?, path.canonicalize()?);
        let below = target.strip_prefix(&root);
        let below = below.map_err(|_| io::Error::from(io::ErrorKind::PermissionDenied))?;
        // Without following links: what stands at the name now may be another than a moment ago.
        beneath::open(&File::open(&root)?, below, How::Read)?
    } else {
        let mut options = OpenOptions::new();
        options.read(true).custom_flags(NONBLOCK).open(path)?
    };
    if !file.metadata()?.is_file() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    Ok(file)
}

fn read(dir: &Path, name: &str, max_chars: usize, fenced: bool) -> Option<Injected> {
    let path = dir.join(name);
    let mut bytes = Vec::new();
    let file = open(dir, name, fenced);
    let text = match file.and_then(|f| f.take(MAX_READ).read_to_end(&mut bytes)) {
        Ok(_) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(_) => {
            return Some(Injected {
                name: name.to_string(),
                content: format!("[MISSING] Expected at: {}", path.display()),
                path,
                missing: true,
                raw_chars: 0,
                truncated: false,
            });
        }
    };
    let text = text.trim_end();
    if text.is_empty() {
        return None;
    }
    let (content, raw_chars) = cut(name, text, max_chars);
    Some(Injected {
        name: name.to_string(),
        path,
        missing: false,
        truncated: raw_chars > max_chars,
        content,
        raw_chars,
    })
}

/// The first 70 % and the last 20 % of the limit, with a marker between; and the length before.
fn cut(name: &str, text: &str, max: usize) -> (String, usize) {
    if text.len() <= max {
        return (text.to_string(), text.chars().count());
    }
    let total = text.chars().count();
    if total <= max {
        return (text.to_string(), total);
    }
    let head = max * 7 / 10;
    let tail = max * 2 / 10;
    let at = |n: usize| text.char_indices().nth(n).map_or(text.len(), |(i, _)| i);
    let content = format!(
        "{}\n[...truncated, read {name} for full content...]\n…(truncated {name}: kept {head}+{tail} chars of {total})…\n{}",
        &text[..at(head)],
        &text[at(total - tail)..]
    );
    (content, total)
}

/// Best effort: a workspace under version control is nice to have, and nothing needs it.
fn git_init(dir: &Path) {
    let started = Instant::now();
    let child = Command::new("git")
        .args(["init", "--quiet"])
        .current_dir(dir)
        .env_clear()
        .envs(
            ["PATH", "HOME"]
                .iter()
                .filter_map(|k| Some((k, std::env::var_os(k)?))),
        )
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let Ok(mut child) = child else {
        return;
    };
    loop {
        match child.try_wait() {
            Ok(Some(_)) | Err(_) => return,
            Ok(None) if started.elapsed() > GIT_PATIENCE => {
                log::warn!("git init in {} took too long", dir.display());
                // It may have ended meanwhile; either way it is reaped here.
                let _ = child.kill();
                let _ = child.wait();
                return;
            }
            Ok(None) => std::thread::sleep(Duration::from_millis(5)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_workspace_gets_its_files_once() {
        let base = crate::base::id::temp_dir("workspace");
        let dir = base.join("w");
        create(&dir, false).unwrap();
        assert!(dir.join(BOOTSTRAP).exists() && dir.join(SOUL).exists());
        fs::remove_file(dir.join(BOOTSTRAP)).unwrap();
        fs::write(dir.join(SOUL), "mine").unwrap();
        fs::remove_file(dir.join("USER.md")).unwrap();
        create(&dir, false).unwrap();
        assert!(!dir.join(BOOTSTRAP).exists());
        assert!(dir.join("USER.md").exists());
        assert_eq!(fs::read_to_string(dir.join(SOUL)).unwrap(), "mine");
        let empty = base.join("e");
        create(&empty, true).unwrap();
        assert_eq!(fs::read_dir(&empty).unwrap().count(), 0);
        fs::remove_dir_all(base).unwrap();
    }

    #[test]
    fn what_is_no_file_of_a_fenced_workspace_is_missing_and_nothing_waits_for_a_fifo() {
        let base = crate::base::id::temp_dir("workspace");
        let dir = base.join("w");
        fs::create_dir(&dir).unwrap();
        fs::write(base.join("secret"), "s").unwrap();
        fs::write(dir.join("here"), "h").unwrap();
        std::os::unix::fs::symlink(base.join("secret"), dir.join("SOUL.md")).unwrap();
        std::os::unix::fs::symlink("here", dir.join("USER.md")).unwrap();
        let made = Command::new("mkfifo").arg(dir.join("TOOLS.md")).status();
        assert!(made.unwrap().success());
        let text = |name: &str, fenced| read(&dir, name, 20, fenced).unwrap();
        assert!(text("SOUL.md", true).missing);
        assert_eq!(text("SOUL.md", false).content, "s");
        assert_eq!(text("USER.md", true).content, "h");
        assert!(text("TOOLS.md", true).missing && text("TOOLS.md", false).missing);
        fs::remove_dir_all(base).unwrap();
    }

    #[test]
    fn files_are_injected_in_order_with_markers() {
        let dir = crate::base::id::temp_dir("workspace");
        fs::write(dir.join("AGENTS.md"), "a\n\n").unwrap();
        fs::write(dir.join("SOUL.md"), " \n").unwrap();
        fs::write(dir.join("TOOLS.md"), "0123456789".repeat(3)).unwrap();
        fs::write(dir.join("MEMORY.md"), "m").unwrap();
        let files = load(&dir, false, 20, false);
        let names: Vec<&str> = files.iter().map(|f| f.name.as_str()).collect();
        assert_eq!(
            names,
            [
                "AGENTS.md",
                "TOOLS.md",
                "IDENTITY.md",
                "USER.md",
                "HEARTBEAT.md",
                "BOOTSTRAP.md",
                "MEMORY.md"
            ]
        );
        assert_eq!(files[0].content, "a");
        assert!(files[1].truncated && files[1].raw_chars == 30);
        assert!(
            files[1]
                .content
                .starts_with("01234567890123\n[...truncated, read TOOLS.md for full content...]\n…(truncated TOOLS.md: kept 14+4 chars of 30)…\n6789")
        );
        assert!(files[2].missing && files[2].content.starts_with("[MISSING] Expected at: "));
        assert_eq!(load(&dir, true, 20, false).len(), 2);
        fs::remove_dir_all(dir).unwrap();
    }
}
