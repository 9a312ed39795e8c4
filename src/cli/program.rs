//! Where our other programs are, and making them where only this one was made.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Beside our own executable, so that a copied set stays a set; then in the sbin of the same
/// prefix; else wherever the PATH has it.
///
/// `cargo run` makes only the program it runs: the others would be missing, or those of an older
/// tree. So it is asked for all of them first, which takes a moment when they are as they should be.
pub fn beside(name: &str) -> PathBuf {
    let own = std::env::current_exe().ok();
    let folder = own.as_deref().and_then(Path::parent);
    let Some(folder) = folder else {
        return PathBuf::from(name);
    };
    if let Some(mut build) = build(folder, |name| std::env::var_os(name)) {
        // Cargo says itself what it does and what went wrong; an older program may still do, and a
        // missing one is told below.
        let _ = build.status();
    }
    let sbin = folder.parent().map(|prefix| prefix.join("sbin"));
    let dirs = [Some(folder), sbin.as_deref()];
    let paths = dirs.into_iter().flatten().map(|dir| dir.join(name));
    let found = paths.into_iter().find(|path| path.exists());
    found.unwrap_or_else(|| PathBuf::from(name))
}

/// What makes every program in `folder`, when `cargo run` made ours there: it tells the program
/// which cargo it is, and whose sources where.
fn build(folder: &Path, var: impl Fn(&str) -> Option<OsString>) -> Option<Command> {
    if var("CARGO_PKG_NAME")? != env!("CARGO_PKG_NAME") {
        return None;
    }
    let profile = match folder.file_name().and_then(OsStr::to_str)? {
        "debug" => "dev",
        other => other,
    };
    let mut build = Command::new(var("CARGO")?);
    build
        .args(["build", "--bins", "--profile", profile, "--target-dir"])
        .arg(folder.parent()?)
        .arg("--manifest-path")
        .arg(Path::new(&var("CARGO_MANIFEST_DIR")?).join("Cargo.toml"))
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    // With these a build script would think that its surroundings had changed, and half of what is
    // made already would be made again.
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        let of_package = ["CARGO_PKG_", "CARGO_MANIFEST_", "OUT_DIR"];
        if of_package.iter().any(|start| text.starts_with(start)) {
            build.env_remove(&name);
        }
    }
    Some(build)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cargo_runs_has_cargo_make_the_rest_and_others_build_nothing() {
        let folder = Path::new("/home/u/openclaw/target/release");
        let of = |name: &'static str| {
            move |asked: &str| match asked {
                "CARGO" => Some("/usr/bin/cargo".into()),
                "CARGO_MANIFEST_DIR" => Some("/home/u/openclaw".into()),
                "CARGO_PKG_NAME" => Some(name.into()),
                _ => None,
            }
        };
        let build = super::build(folder, of("openclaw")).unwrap();
        let words: Vec<_> = build.get_args().collect();
        assert_eq!(
            words.join(OsStr::new(" ")),
            "build --bins --profile release --target-dir /home/u/openclaw/target \
             --manifest-path /home/u/openclaw/Cargo.toml"
        );
        assert!(super::build(folder, of("somebody-elses")).is_none());
        assert!(super::build(folder, |_| None).is_none());
    }
}
