//! Pictures that a message names by their path, for a model that sees: as if they had come with it.
//!
//! What cannot be opened, is no picture or too large is left out; the path is still in the words. A
//! sandboxed session is shown what lies in its own folder, without any symlink on the way.

use super::Flight;
use crate::agent::mentioned;
use crate::base::sys::beneath::{self, How};
use crate::config::{Snapshot, sandbox};
use crate::model::Target;
use crate::tool::picture;
use crate::wire::message::{Block, Content, Message, User, text_of};
use base64::{Engine, engine::general_purpose::STANDARD};
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Bytes of one picture, as in tools.
const MAX_BYTES: u64 = 5 * 1024 * 1024;
/// Bytes of all of one message together.
const MAX_ALL: usize = 16 * 1024 * 1024;

/// The message with the pictures it names; `None` when there are none to show.
pub(super) fn with_named(
    flight: &Flight,
    config: &Snapshot,
    folder: &Path,
    target: &Target,
    message: &Message,
) -> Option<Message> {
    let Message::User(User {
        content: Content::Blocks(blocks),
        timestamp,
    }) = message
    else {
        return None;
    };
    if !target.images {
        return None;
    }
    let fenced = sandbox::of_session(&config.config, &flight.agent_id, &flight.run.key).is_some();
    let home = &flight.core.config.paths().home;
    let (mut blocks, before) = (blocks.clone(), blocks.len());
    let mut bytes = 0;
    for path in mentioned::paths(&text_of(&blocks)) {
        let opened = match fenced {
            true => within(folder, &path),
            false => anywhere(folder, home, &path),
        };
        let read = opened.and_then(load);
        let Some(image) = read.unwrap_or_else(|err| {
            log::debug!("{path}: {err}: not shown");
            None
        }) else {
            continue;
        };
        // A channel's pictures are in the message and in its notes.
        let is_there =
            |block: &Block| matches!(block, Block::Image { data, .. } if *data == image.1);
        if blocks.iter().any(is_there) {
            continue;
        }
        bytes += image.1.len();
        if bytes > MAX_ALL {
            break;
        }
        blocks.push(Block::Image {
            data: image.1,
            mime_type: image.0.into(),
        });
    }
    (blocks.len() > before).then(|| {
        Message::User(User {
            content: Content::Blocks(blocks),
            timestamp: *timestamp,
        })
    })
}

fn anywhere(folder: &Path, home: &Path, path: &str) -> io::Result<File> {
    let path = match path.strip_prefix("~/") {
        Some(rest) => home.join(rest),
        None => folder.join(path),
    };
    // Not blocking: opening a FIFO nobody writes to would hang the run.
    let mut options = OpenOptions::new();
    options
        .read(true)
        .custom_flags(beneath::NONBLOCK)
        .open(path)
}

fn within(folder: &Path, path: &str) -> io::Result<File> {
    let path = Path::new(path);
    let path = path.strip_prefix(folder).unwrap_or(path);
    if path.is_absolute() || path.starts_with("~") {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    beneath::open(&File::open(folder)?, path, How::Read)
}

/// Its kind and its bytes, when it is a picture that services take.
fn load(file: File) -> io::Result<Option<(&'static str, String)>> {
    if !file.metadata()?.is_file() {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    let kind = picture::kind(&bytes);
    let fits = bytes.len() as u64 <= MAX_BYTES && picture::too_wide(&bytes).is_none();
    Ok(kind
        .filter(|_| fits)
        .map(|kind| (kind, STANDARD.encode(&bytes))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::id::temp_dir;

    #[test]
    fn a_fenced_session_is_shown_nothing_from_outside_its_folder() {
        let dir = temp_dir("shown");
        let room = dir.join("room");
        std::fs::create_dir(&room).unwrap();
        let png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x05\0\0\0\x06";
        std::fs::write(room.join("in.png"), png).unwrap();
        std::fs::write(dir.join("out.png"), png).unwrap();
        std::fs::write(room.join("text.png"), "text").unwrap();
        std::os::unix::fs::symlink(dir.join("out.png"), room.join("link.png")).unwrap();
        let inside = room.join("in.png");
        for path in ["./in.png", inside.to_str().unwrap()] {
            let image = load(within(&room, path).unwrap()).unwrap().unwrap();
            assert_eq!(image.0, "image/png");
        }
        let outside = dir.join("out.png");
        for path in [
            "../out.png",
            "./link.png",
            outside.to_str().unwrap(),
            "~/x.png",
        ] {
            assert!(within(&room, path).is_err(), "{path}");
        }
        assert!(
            load(anywhere(&room, &dir, "../out.png").unwrap())
                .unwrap()
                .is_some()
        );
        assert!(
            load(anywhere(&room, &dir, "~/out.png").unwrap())
                .unwrap()
                .is_some()
        );
        assert!(
            load(within(&room, "./text.png").unwrap())
                .unwrap()
                .is_none()
        );
        std::fs::remove_dir_all(dir).unwrap();
    }
}
