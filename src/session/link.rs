//! Names that guides and scripts expect beside the real ones: `agents/<id>/sessions/main.jsonl`
//! for the main session's current transcript, and `agents/default` for the agent `main`.
//!
//! They are symbolic links. The original only looks at regular files and real folders there, so it
//! does not see them. A name that is taken by something else is left alone, and a failure costs
//! nothing but the link.

use super::key;
use crate::base::id;
use crate::config::Paths;
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// Points the links of `agent` at `transcript`, its main session's current file.
pub fn main(paths: &Paths, agent: &str, transcript: &Path) {
    let folder = paths.sessions(agent);
    let target = match transcript.strip_prefix(&folder) {
        Ok(name) => name.to_path_buf(),
        Err(_) => transcript.to_path_buf(),
    };
    let link = folder.join("main.jsonl");
    if let Err(err) = point(&link, &target) {
        log::debug!("no link {}: {err}", link.display());
    }
    if agent == key::DEFAULT_AGENT {
        let alias = paths.agent("default");
        if fs::symlink_metadata(&alias).is_err() {
            if let Err(err) = symlink(agent, &alias) {
                log::debug!("no link {}: {err}", alias.display());
            }
        }
    }
}

/// Replaces a link in one step, so that no reader finds it missing.
fn point(link: &Path, target: &Path) -> io::Result<()> {
    match fs::symlink_metadata(link) {
        Ok(meta) if !meta.file_type().is_symlink() => return Ok(()),
        Ok(_) if fs::read_link(link)? == target => return Ok(()),
        _ => {}
    }
    let temp = PathBuf::from(format!("{}.{}.tmp", link.display(), id::short()));
    symlink(target, &temp)?;
    fs::rename(&temp, link).inspect_err(|_| {
        let _ = fs::remove_file(&temp);
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Env;

    #[test]
    fn the_links_follow_the_session_and_spare_real_files() {
        let dir = id::temp_dir("link");
        let state = dir.to_str().unwrap();
        let paths = Paths::resolve(&Env::from_pairs(&[("OPENCLAW_STATE_DIR", state)]), None);
        let folder = paths.sessions("main");
        fs::create_dir_all(&folder).unwrap();
        for name in ["a.jsonl", "b.jsonl"] {
            fs::write(folder.join(name), name).unwrap();
            main(&paths, "main", &folder.join(name));
            let through = dir.join("agents/default/sessions/main.jsonl");
            assert_eq!(fs::read_to_string(through).unwrap(), name);
        }
        fs::remove_file(folder.join("main.jsonl")).unwrap();
        fs::write(folder.join("main.jsonl"), "real").unwrap();
        main(&paths, "main", &folder.join("a.jsonl"));
        assert_eq!(
            fs::read_to_string(folder.join("main.jsonl")).unwrap(),
            "real"
        );
        fs::remove_dir_all(dir).unwrap();
    }
}
