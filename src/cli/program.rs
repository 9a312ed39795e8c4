//! Where our other programs are.

use std::path::PathBuf;

/// Beside our own executable, so that a copied set stays a set; then in the sbin of the same
/// prefix; else wherever the PATH has it.
pub fn beside(name: &str) -> PathBuf {
    let found = std::env::current_exe().ok().and_then(|own| {
        let dir = own.parent()?;
        let sbin = dir.parent().map(|prefix| prefix.join("sbin"));
        let dirs = [Some(dir.to_path_buf()), sbin];
        dirs.into_iter()
            .flatten()
            .map(|d| d.join(name))
            .find(|p| p.exists())
    });
    found.unwrap_or_else(|| PathBuf::from(name))
}
