//! Where the program of a kind is: `openclaw-channel-<kind>`, in any language, on
//! `$OPENCLAW_CHANNEL_PATH`, in the package's folder for channels, on `PATH`.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Where packages put channels, from the folder of our own program.
const PACKAGED: [&str; 3] = [
    "../libexec/openclaw/channels",
    "../lib/openclaw/channels",
    "channels",
];
const LONGEST: usize = 64;

/// A word that may name a kind: it becomes part of a file's name.
pub fn is_kind(name: &str) -> bool {
    let rest = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.len() <= LONGEST
        && name.chars().all(rest)
}

/// `channel_path` and `path` are lists of folders with `:` between.
pub fn find(kind: &str, channel_path: Option<&str>, path: Option<&str>) -> Option<PathBuf> {
    if !is_kind(kind) {
        return None;
    }
    let own = std::env::current_exe().unwrap_or_default();
    let beside = own.parent().unwrap_or(Path::new("/"));
    let split = |list: Option<&str>| -> Vec<PathBuf> {
        std::env::split_paths(list.unwrap_or_default()).collect()
    };
    let name = format!("openclaw-channel-{kind}");
    split(channel_path)
        .into_iter()
        .chain(PACKAGED.map(|folder| beside.join(folder)))
        .chain(split(path))
        // A relative one would mean another program in every folder.
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join(&name))
        .find(|file| is_program(file))
}

fn is_program(file: &Path) -> bool {
    let meta = std::fs::metadata(file);
    meta.is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::id::temp_dir;

    #[test]
    fn a_program_is_found_by_its_kind_and_by_nothing_else() {
        let dir = temp_dir("foreign");
        let file = dir.join("openclaw-channel-pigeon");
        std::fs::write(&file, "#!/bin/sh\n").unwrap();
        let list = format!("relative::{}", dir.display());
        assert_eq!(find("pigeon", Some(&list), None), None);
        std::fs::set_permissions(&file, PermissionsExt::from_mode(0o755)).unwrap();
        assert_eq!(find("pigeon", Some(&list), None), Some(file.clone()));
        assert_eq!(find("pigeon", None, Some(&list)), Some(file));
        for bad in ["", "Pigeon", "../pigeon", "pi geon", "7"] {
            assert_eq!(find(bad, Some(&list), None), None, "{bad}");
        }
        std::fs::remove_dir_all(dir).unwrap();
    }
}
