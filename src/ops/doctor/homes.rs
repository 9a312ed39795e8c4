//! More than one state folder: sessions that seem lost are in the other one. A folder of an old
//! name that stands alone was taken over before any check.

use super::{Cure, Finding, Ground};
use crate::config::paths::STATE_NAMES;
use std::path::PathBuf;

pub fn look(ground: &Ground) -> Vec<Finding> {
    let paths = ground.paths();
    let others: Vec<PathBuf> = STATE_NAMES
        .iter()
        .map(|name| paths.home.join(name))
        .filter(|dir| *dir != paths.state && !dir.is_symlink() && dir.join("agents").is_dir())
        .collect();
    if others.is_empty() || paths.profile.is_some() {
        return Vec::new();
    }
    let mut details: Vec<String> = others.iter().map(|dir| ground.shown(dir)).collect();
    details.push(format!("Active state dir: {}", ground.shown(&paths.state)));
    vec![Finding {
        topic: "State integrity",
        grave: false,
        what: "Multiple state directories detected. This can split session history.".into(),
        details,
        why: "Only the active one is used.",
        cure: Cure::Yours("keep one; OPENCLAW_STATE_DIR says which is used".into()),
    }]
}
