//! The folders the agents work in: folders, and writable.

use super::{Cure, Finding, Ground};
use crate::base::id;
use std::fs;

pub fn look(ground: &Ground) -> Vec<Finding> {
    let (config, paths) = (&ground.snapshot.config, ground.paths());
    let mut folders: Vec<_> = config
        .agent_ids()
        .iter()
        .map(|id| config.workspace(id, paths))
        .collect();
    folders.sort();
    folders.dedup();
    let mut details = Vec::new();
    for folder in folders {
        let shown = ground.shown(&folder);
        match fs::metadata(&folder) {
            // Made by the next run.
            Err(_) if !folder.is_symlink() => {}
            Err(_) => details.push(format!("{shown}: a link that leads nowhere")),
            Ok(meta) if !meta.is_dir() => details.push(format!("{shown}: no folder")),
            Ok(_) => {
                let probe = folder.join(format!(".doctor-{}", id::short()));
                match fs::write(&probe, "") {
                    // It was only to see whether it can be.
                    Ok(()) => drop(fs::remove_file(&probe)),
                    Err(err) => details.push(format!("{shown}: {err}")),
                }
            }
        }
    }
    if details.is_empty() {
        return Vec::new();
    }
    vec![Finding {
        topic: "Workspace",
        grave: true,
        what: "An agent cannot work where it should.".into(),
        details,
        why: "Its notes and files are kept there.",
        cure: Cure::Yours(
            "put it right there, or choose another: openclaw setup --workspace <dir>".into(),
        ),
    }]
}
