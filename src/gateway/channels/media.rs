//! Files that came with messages: out of the worker's folder into `media/inbound/`, where the agent
//! finds them; pictures also into the model's message.
//!
//! A worker names any path: only a plain file in its own folder is taken, and none that is larger
//! than the channel allows. The file stays where the worker put it until the message is on disk
//! here, so that a message told again finds it again.

use crate::agent::inbound;
use crate::base::{atomic, id};
use crate::wire::channel::{Inbound, Media};
use crate::wire::message::Block;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Characters of a name that are kept.
const MAX_NAME: usize = 60;
/// Files of one message.
const MAX_FILES: usize = 20;
/// Largest picture a model is shown, bytes.
const MAX_IMAGE: u64 = 5_000_000;
/// MB of a file, when the configuration does not say.
const LIMITS: [(&str, u64); 4] = [
    ("telegram", 5),
    ("slack", 20),
    ("matrix", 20),
    ("whatsapp", 50),
];
const LIMIT: u64 = 8;

/// Bytes of the largest file of an account.
pub fn limit(kind: &str, section: &Value) -> u64 {
    let usual = LIMITS.iter().find(|(name, _)| *name == kind);
    let usual = usual.map_or(LIMIT, |(_, mb)| *mb);
    let set = section["mediaMaxMb"].as_f64().filter(|mb| *mb > 0.0);
    set.map_or(usual << 20, |mb| (mb * 1_048_576.0) as u64)
}

/// Puts a message's files where the agent finds them; returns what the worker's folder need not
/// keep once the message is on disk.
pub fn take(message: &mut Inbound, own: &Path, state: &Path, limit: u64) -> Vec<PathBuf> {
    let mut taken = Vec::new();
    message.media.truncate(MAX_FILES);
    for media in &mut message.media {
        let Some(path) = media.path.take() else {
            continue;
        };
        match copy(media, &path, own, state, limit) {
            Ok(kept) => media.path = Some(kept),
            Err(why) => {
                log::warn!(target: "gateway/channels", "{}: {why}", path.display());
                media.error = Some(why);
            }
        }
        if is_inside(&path, own).is_ok() {
            taken.push(path);
        }
    }
    taken
}

pub fn forget(files: &[PathBuf]) {
    for file in files {
        if let Err(err) = fs::remove_file(file) {
            log::debug!(target: "gateway/channels", "{}: {err}", file.display());
        }
    }
}

/// Of a message that is not kept.
pub fn drop_all(message: &Inbound, own: &Path) {
    let paths = message.media.iter().filter_map(|media| media.path.clone());
    let inside: Vec<PathBuf> = paths.filter(|path| is_inside(path, own).is_ok()).collect();
    forget(&inside);
}

fn is_inside(path: &Path, own: &Path) -> Result<PathBuf, String> {
    let gone = |err: std::io::Error| format!("the file is not there: {err}");
    let is_file = fs::symlink_metadata(path).map_err(gone)?.is_file();
    let real = path.canonicalize().map_err(gone)?;
    let own = own.canonicalize().map_err(gone)?;
    match is_file && real.starts_with(own) {
        true => Ok(real),
        false => Err("not a file of the channel's own folder".into()),
    }
}

fn copy(
    media: &Media,
    path: &Path,
    own: &Path,
    state: &Path,
    limit: u64,
) -> Result<PathBuf, String> {
    let real = is_inside(path, own)?;
    let size = fs::metadata(&real).map_err(|err| err.to_string())?.len();
    if size > limit {
        return Err(format!("Media exceeds {}MB limit", limit >> 20));
    }
    let folder = state.join("media/inbound");
    let failed = |err: std::io::Error| format!("{}: {err}", folder.display());
    atomic::create_private_dir(&folder).map_err(failed)?;
    let kept = folder.join(name(media, &real));
    // Beside it on one disk, without a copy.
    fs::hard_link(&real, &kept)
        .or_else(|_| fs::copy(&real, &kept).map(drop))
        .map_err(failed)?;
    fs::set_permissions(&kept, fs::Permissions::from_mode(atomic::PRIVATE_FILE)).map_err(failed)?;
    Ok(kept)
}

/// `name---uuid.ext`
fn name(media: &Media, path: &Path) -> String {
    let given = media.name.as_deref().map(Path::new);
    let part = |of: Option<&std::ffi::OsStr>| of.map(|p| clean(&p.to_string_lossy()));
    let stem = part(given.and_then(Path::file_stem)).filter(|stem| !stem.is_empty());
    let extension = media
        .mime
        .as_deref()
        .and_then(extension)
        .map(String::from)
        .or_else(|| part(given.and_then(Path::extension)))
        .or_else(|| part(path.extension()))
        .filter(|ext| !ext.is_empty() && ext.len() <= 10);
    let dot = extension.map(|ext| format!(".{ext}")).unwrap_or_default();
    match stem {
        Some(stem) => format!("{stem}---{}{dot}", id::uuid()),
        None => format!("{}{dot}", id::uuid()),
    }
}

fn clean(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    text.chars()
        .map(|c| if plain(c) { c } else { '_' })
        .take(MAX_NAME)
        .collect()
}

fn extension(mime: &str) -> Option<&'static str> {
    Some(match mime.split(';').next().unwrap_or_default().trim() {
        "image/jpeg" => "jpg",
        "image/png" => "png",
        "image/gif" => "gif",
        "image/webp" => "webp",
        "audio/ogg" => "ogg",
        "audio/mpeg" => "mp3",
        "video/mp4" => "mp4",
        "application/pdf" => "pdf",
        "text/plain" => "txt",
        _ => return None,
    })
}

/// The pictures among them, for the model.
pub fn pictures(message: &Inbound) -> Vec<Block> {
    let mut out = Vec::new();
    for media in &message.media {
        let Some(path) = &media.path else { continue };
        let is_small = fs::metadata(path).is_ok_and(|meta| meta.len() <= MAX_IMAGE);
        let claims = media
            .mime
            .as_deref()
            .is_none_or(|mime| mime.starts_with("image/"));
        if !is_small || !claims {
            continue;
        }
        let Ok(bytes) = fs::read(path) else { continue };
        if crate::tool::picture::kind(&bytes).is_none() {
            continue;
        }
        let attachment = json!({"content": STANDARD.encode(bytes), "mimeType": media.mime});
        match inbound::images(&[attachment]) {
            Ok(images) => out.extend(images),
            Err(why) => log::warn!(target: "gateway/channels", "{why}"),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_moves_from_the_workers_folder_and_from_nowhere_else() {
        let dir = id::temp_dir("media");
        let (own, state) = (dir.join("own"), dir.join("state"));
        fs::create_dir_all(&own).unwrap();
        fs::write(own.join("a"), b"\x89PNG\r\n\x1a\n..").unwrap();
        fs::write(own.join("big"), [0; 100]).unwrap();
        fs::write(dir.join("secret"), "x").unwrap();
        std::os::unix::fs::symlink(dir.join("secret"), own.join("link")).unwrap();
        let media = |path: PathBuf| Media {
            path: Some(path),
            name: Some("../my photo.png".into()),
            mime: Some("image/png".into()),
            ..Media::default()
        };
        let mut message = Inbound {
            media: vec![
                media(own.join("a")),
                media(own.join("big")),
                media(own.join("link")),
                media(own.join("../secret")),
                media(own.join("none")),
            ],
            ..Inbound::default()
        };
        let taken = take(&mut message, &own, &state, 50);
        assert_eq!(taken, [own.join("a"), own.join("big")]);
        let kept = message.media[0].path.clone().unwrap();
        let name = kept.file_name().unwrap().to_string_lossy().into_owned();
        assert!(kept.starts_with(state.join("media/inbound")));
        assert!(
            name.starts_with("my_photo---") && name.ends_with(".png"),
            "{name}"
        );
        for other in &message.media[1..] {
            assert!(other.path.is_none() && other.error.is_some());
        }
        forget(&taken);
        assert!(!own.join("a").exists() && kept.exists() && dir.join("secret").exists());
        assert_eq!(pictures(&message).len(), 1);
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn the_limit_is_the_accounts_or_the_kinds() {
        assert_eq!(limit("telegram", &Value::Null), 5 << 20);
        assert_eq!(limit("pigeon", &json!({"mediaMaxMb": 0.5})), 1 << 19);
        assert_eq!(limit("pigeon", &json!({"mediaMaxMb": -1})), 8 << 20);
    }
}
