//! `openclaw backup`: the state folder in one file, and back.

use super::super::Context;
use super::super::ask::{self, Ask};
use super::super::failure::Failure;
use super::super::output::{Colour, Column, Out, Written};
use crate::base::cmdline::{Arg, Command, Flag, Kind};
use crate::base::secret::Secret;
use crate::base::time;
use crate::config::Paths;
use crate::ops::backup::restore::{Wish, restore};
use crate::ops::backup::{self, FOLDER, LEAST_PASSPHRASE, SUFFIX, Skipped, create, read};
use serde_json::json;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Of a file with a passphrase.
const MAX_PASSPHRASE: u64 = 4096;
/// Lines about files that were left out.
const SHOWN: usize = 20;

const PASSPHRASE: Flag = Flag::file(
    "passphrase-file",
    "file",
    "Read the passphrase from the first line of this file",
);
const ARCHIVE: Arg =
    Arg::required("archive", "A file, or a name that backup list shows").kind(Kind::File);

pub const SPEC: Command = Command {
    name: "backup",
    summary: "Save the state in one file, and restore it",
    about: "An archive is a gzipped tar with a list of checksums. It may be made while the gateway \
            runs. Sessions, settings, jobs and workspaces are in it; keys and logins only with \
            --secrets, closed with a passphrase.",
    subcommands: &[
        Command {
            name: "create",
            summary: "Make an archive",
            flags: &[
                Flag::file(
                    "output",
                    "file",
                    "Where to (default: a name with the time below backups/ of the state folder)",
                ),
                PASSPHRASE,
                Flag::switch(
                    "secrets",
                    "Take keys and logins, too, closed with a passphrase",
                ),
                Flag::switch(
                    "without-workspaces",
                    "Leave out the folders the agents work in",
                ),
            ],
            ..Command::NEW
        },
        Command {
            name: "list",
            summary: "Show the archives there are, or what is in one",
            args: &[
                Arg::optional("archive", "A file, or a name that backup list shows")
                    .kind(Kind::File),
            ],
            ..Command::NEW
        },
        Command {
            name: "restore",
            summary: "Put the files of an archive in their places",
            about: "The gateway must be stopped. Files that are there are only replaced with \
                    --force. A tarball of the folder of the Node program is taken, too.",
            flags: &[
                Flag::switch("force", "Replace files that are there"),
                PASSPHRASE,
                Flag::switch("without-secrets", "Leave the secrets of the archive out"),
            ],
            args: &[ARCHIVE],
            ..Command::NEW
        },
        Command {
            name: "verify",
            summary: "Read a whole archive and compare it with its checksums",
            args: &[ARCHIVE],
            ..Command::NEW
        },
    ],
    ..Command::NEW
};

pub fn create(context: &mut Context) -> Result<(), Failure> {
    let matches = &context.matches;
    let snapshot = &context.local.snapshot;
    let to = match matches.text("output") {
        Some(file) => PathBuf::from(file),
        None => folder(&snapshot.paths).join(name()),
    };
    let passphrase = match matches.has("secrets") || matches.text("passphrase-file").is_some() {
        true => Some(new_passphrase(matches.text("passphrase-file"))?),
        false => None,
    };
    let workspaces = !matches.has("without-workspaces");
    let made = create::create(snapshot, &to, workspaces, passphrase.as_ref())
        .map_err(|err| Failure::of(&err))?;
    let secrets = made.head.secrets.is_some();
    if context.json() {
        let value = json!({
            "path": made.path, "size": made.size,
            "files": made.manifest.files.len(), "bytes": made.manifest.bytes(),
            "secrets": secrets, "leftOut": made.head.left_out, "skipped": made.manifest.skipped,
        });
        return Ok(context.out.json(&value)?);
    }
    let out = &mut context.out;
    out.line(format!(
        "Saved {} files ({}) in {} ({})",
        made.manifest.files.len(),
        size(made.manifest.bytes()),
        made.path.display(),
        size(made.size)
    ))?;
    skipped(out, &made.manifest.skipped)?;
    Ok(match secrets {
        true => out.line(
            "Keys and logins are in it, closed with the passphrase. Without it nobody opens them.",
        ),
        false => out.line("Keys and logins are not in it (--secrets takes them)."),
    }?)
}

pub fn list(context: &mut Context) -> Result<(), Failure> {
    let paths = context.local.paths().clone();
    if let Some(archive) = context.matches.arg(0) {
        let archive = find(&paths, archive);
        return contents(context, &archive, false);
    }
    let folder = folder(&paths);
    let mut found: Vec<PathBuf> = std::fs::read_dir(&folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.to_string_lossy().ends_with(SUFFIX))
        .collect();
    found.sort();
    let rows: Vec<(PathBuf, u64, Result<backup::Head, backup::Error>)> = found
        .into_iter()
        .map(|path| {
            let size = path.metadata().map_or(0, |meta| meta.len());
            let head = read::head(&path);
            (path, size, head)
        })
        .collect();
    if context.json() {
        let rows = rows.iter().map(|(path, size, head)| match head {
            Ok(head) => json!({"path": path, "size": size, "createdAt": head.created_at,
                "program": head.program, "secrets": head.secrets.is_some()}),
            Err(err) => json!({"path": path, "size": size, "error": err.to_string()}),
        });
        let value = json!({"folder": folder, "backups": rows.collect::<Vec<_>>()});
        return Ok(context.out.json(&value)?);
    }
    let out = &mut context.out;
    if rows.is_empty() {
        return Ok(out.line(format!("No backups in {}.", paths.tilde(&folder)))?);
    }
    let cells = rows.iter().map(|(path, bytes, head)| {
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let (made, secrets) = match head {
            Ok(head) => (
                head.created_at.clone(),
                if head.secrets.is_some() { "yes" } else { "no" }.to_string(),
            ),
            Err(err) => (String::new(), err.to_string()),
        };
        vec![name, made, size(*bytes), secrets]
    });
    let cells: Vec<Vec<String>> = cells.collect();
    let head = [
        Column::flexible("Name", 20),
        Column::new("Made", 24),
        Column::new("Size", 8),
        Column::flexible("Secrets", 8),
    ];
    Ok(out.table(&head, &cells)?)
}

pub fn verify(context: &mut Context) -> Result<(), Failure> {
    let archive = find(
        context.local.paths(),
        context.matches.arg(0).unwrap_or_default(),
    );
    contents(context, &archive, true)
}

fn contents(context: &mut Context, archive: &Path, only_verdict: bool) -> Result<(), Failure> {
    let found = read::verify(archive).map_err(|err| Failure::of(&err))?;
    let manifest = &found.manifest;
    if context.json() {
        let mut value = json!({
            "ok": true, "path": archive, "createdAt": found.head.created_at,
            "program": found.head.program, "secrets": found.head.secrets.is_some(),
            "files": manifest.files.len(), "bytes": manifest.bytes(),
        });
        if !only_verdict {
            value["list"] = json!(manifest.files);
            value["skipped"] = json!(manifest.skipped);
        }
        return Ok(context.out.json(&value)?);
    }
    let out = &mut context.out;
    if !only_verdict {
        for file in &manifest.files {
            out.line(format!("{:>12}  {}", file.size, file.name))?;
        }
        skipped(out, &manifest.skipped)?;
    }
    Ok(out.line(format!(
        "Whole: {} files, {}, made {}{}",
        manifest.files.len(),
        size(manifest.bytes()),
        found.head.created_at,
        if found.head.secrets.is_some() {
            ", with secrets"
        } else {
            ""
        }
    ))?)
}

pub fn restore_archive(context: &mut Context) -> Result<(), Failure> {
    let matches = &context.matches;
    let snapshot = &context.local.snapshot;
    let archive = find(&snapshot.paths, matches.arg(0).unwrap_or_default());
    let without_secrets = matches.has("without-secrets");
    let closed = read::head(&archive).is_ok_and(|head| head.secrets.is_some());
    let passphrase = match (matches.text("passphrase-file"), closed && !without_secrets) {
        (Some(file), true) => Some(from_file(file)?),
        (None, true) if ask::is_possible() => Some(Ask::new()?.secret("Passphrase", &|_| None)?),
        _ => None,
    };
    let wish = Wish {
        force: matches.has("force"),
        passphrase: passphrase.as_ref(),
        without_secrets,
    };
    let done =
        restore(&snapshot.paths, &snapshot.env, &archive, wish).map_err(|err| Failure::of(&err))?;
    if context.json() {
        let value = json!({
            "files": done.files, "bytes": done.bytes, "secrets": done.secrets,
            "leftOut": done.left_out, "left": done.left, "state": snapshot.paths.state,
        });
        return Ok(context.out.json(&value)?);
    }
    let state = snapshot.paths.tilde(&snapshot.paths.state);
    let out = &mut context.out;
    out.line(format!(
        "Restored {} files ({}) to {state}",
        done.files,
        size(done.bytes)
    ))?;
    skipped(out, &done.left)?;
    if !done.left_out.is_empty() {
        out.line("The archive has no values for these settings:")?;
        for key in &done.left_out {
            out.line(format!("  openclaw config set {key} ..."))?;
        }
    }
    if !done.secrets {
        out.line("Keys and logins were not restored: sign in again (openclaw models auth add).")?;
    }
    Ok(out.line("See what is missing with: openclaw doctor")?)
}

fn skipped(out: &mut Out, all: &[Skipped]) -> Written {
    let mark = out.paint(Colour::Yellow, "left out:");
    for one in all.iter().take(SHOWN) {
        out.line(format!("  {mark} {} ({})", one.path, one.why))?;
    }
    match all.len().saturating_sub(SHOWN) {
        0 => Ok(()),
        more => out.line(format!("  {mark} {more} more")),
    }
}

fn folder(paths: &Paths) -> PathBuf {
    paths.state.join(FOLDER)
}

/// `openclaw-20261127-201530.tar.gz`, in the time of the place.
fn name() -> String {
    let now = time::local(time::now_ms());
    format!("openclaw-{}{SUFFIX}", now.strftime("%Y%m%d-%H%M%S"))
}

/// As typed, else of that name among the archives of the state folder.
fn find(paths: &Paths, typed: &str) -> PathBuf {
    let kept = folder(paths).join(typed);
    match Path::new(typed).exists() || typed.contains('/') || !kept.exists() {
        true => typed.into(),
        false => kept,
    }
}

fn fault(text: &str) -> Option<String> {
    (text.chars().count() < LEAST_PASSPHRASE)
        .then(|| format!("a passphrase has {LEAST_PASSPHRASE} characters or more"))
}

/// Typed twice, as a mistake is only found when it is needed.
fn new_passphrase(file: Option<&str>) -> Result<Secret, Failure> {
    if let Some(file) = file {
        let secret = from_file(file)?;
        return match fault(secret.expose()) {
            None => Ok(secret),
            Some(why) => Err(Failure::said(format!("{file}: {why}"))),
        };
    }
    let mut ask = Ask::new()?;
    let first = ask.secret("Passphrase", &fault)?;
    if ask::is_possible() {
        let same = |typed: &str| (!first.matches(typed)).then(|| "not the same; once more".into());
        ask.secret("Once more", &same)?;
    }
    Ok(first)
}

fn from_file(file: &str) -> Result<Secret, Failure> {
    let mut text = String::new();
    let read = std::fs::File::open(file)
        .and_then(|opened| opened.take(MAX_PASSPHRASE).read_to_string(&mut text));
    match (read, text.lines().next().map(str::trim)) {
        (Err(err), _) => Err(Failure::said(format!("{file}: {err}"))),
        (Ok(_), Some(line)) if !line.is_empty() => Ok(Secret::new(line)),
        _ => Err(Failure::said(format!("{file}: its first line is empty"))),
    }
}

fn size(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} B"),
        1024..1_048_576 => format!("{} KiB", bytes / 1024),
        _ => format!("{}.{} MiB", bytes >> 20, ((bytes & 0xf_ffff) * 10) >> 20),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_short() {
        assert_eq!(size(5), "5 B");
        assert_eq!(size(2048), "2 KiB");
        assert_eq!(size(3 << 19), "1.5 MiB");
    }
}
