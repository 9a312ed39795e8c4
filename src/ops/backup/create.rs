//! Makes an archive.

use super::plan::{Item, Plan, plan};
use super::seal::Lock;
use super::tar::Writer;
use super::{CONFIG, Error, FORMAT, File, HEAD, Head, MANIFEST, MAX_SEALED, Manifest, SEALED};
use crate::base::secret::Secret;
use crate::base::{atomic, hex, id, time};
use crate::config::{Snapshot, path, secrets, text};
use crate::wire::version;
use flate2::Compression;
use flate2::write::GzEncoder;
use ring::digest::{Context, SHA256};
use serde_json::Value;
use std::fs::{self, OpenOptions};
use std::io::{self, BufWriter, Read, Seek, SeekFrom};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Files up to here are read at once, so that their length is what was read.
const SMALL: u64 = 8 * 1024 * 1024;
/// How far back the end of the last whole line is looked for.
const LINE: u64 = 16 * 1024 * 1024;

type Archive = Writer<GzEncoder<BufWriter<fs::File>>>;

#[derive(Debug)]
pub struct Made {
    pub path: PathBuf,
    pub head: Head,
    pub manifest: Manifest,
    /// Of the archive itself.
    pub size: u64,
}

/// Into the file `to`, which must not be there. With a passphrase the secrets are taken, too.
pub fn create(
    snapshot: &Snapshot,
    to: &Path,
    workspaces: bool,
    passphrase: Option<&Secret>,
) -> Result<Made, Error> {
    if to.exists() {
        return Err(Error::Exists(vec![to.into()]));
    }
    let folder = to.parent().filter(|dir| !dir.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new(".")).to_path_buf();
    if !folder.exists() {
        atomic::create_private_dir(&folder).map_err(super::io(&folder))?;
    }
    let part = folder.join(format!(".{}.part", id::short()));
    let made = write(snapshot, &part, to, workspaces, passphrase);
    if made.is_err() {
        // What is half is of no use; the error is the first one.
        let _ = fs::remove_file(&part);
    }
    made
}

fn write(
    snapshot: &Snapshot,
    part: &Path,
    to: &Path,
    workspaces: bool,
    passphrase: Option<&Secret>,
) -> Result<Made, Error> {
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(atomic::PRIVATE_FILE)
        .open(part)
        .map_err(super::io(part))?;
    let mut archive = Writer::new(GzEncoder::new(BufWriter::new(file), Compression::default()));
    let Plan {
        open,
        secret,
        skipped,
    } = plan(snapshot, workspaces);
    let mut manifest = Manifest {
        files: Vec::new(),
        skipped,
    };
    let (config, left_out) = without_secrets(snapshot);
    let lock = passphrase.map(|_| Lock::new());
    let head = Head {
        format: FORMAT,
        program: version::PROGRAM.into(),
        created_at: time::now_iso(),
        profile: snapshot.paths.profile.clone(),
        secrets: lock.clone(),
        left_out,
    };
    let text = serde_json::to_vec_pretty(&head).expect("plain data");
    put(&mut archive, HEAD, &text).map_err(super::io(part))?;
    if let Some(config) = config {
        let file = put(&mut archive, CONFIG, config.as_bytes()).map_err(super::io(part))?;
        manifest.files.push(file);
    }
    for item in &open {
        match take(&mut archive, item) {
            Ok(file) => manifest.files.push(file),
            // It was there a moment ago: a session that was deleted meanwhile.
            Err(err) if err.kind() == io::ErrorKind::NotFound => {}
            Err(err) => return Err(super::io(&item.source)(err)),
        }
        if manifest.files.len() > super::MAX_FILES {
            return Err(Error::Format("there are too many files".into()));
        }
    }
    if let (Some(lock), Some(passphrase)) = (lock, passphrase) {
        let sealed = lock.close(passphrase, collect(snapshot, &secret)?)?;
        let file = put(&mut archive, SEALED, &sealed).map_err(super::io(part))?;
        manifest.files.push(file);
    }
    let text = serde_json::to_vec(&manifest).expect("plain data");
    put(&mut archive, MANIFEST, &text).map_err(super::io(part))?;
    let file = archive
        .finish()
        .and_then(GzEncoder::finish)
        .and_then(|buffer| buffer.into_inner().map_err(|err| err.into_error()))
        .map_err(super::io(part))?;
    file.sync_all().map_err(super::io(part))?;
    let size = file.metadata().map_err(super::io(part))?.len();
    // Unlike a rename a link never takes the place of a file.
    fs::hard_link(part, to).map_err(super::io(to))?;
    fs::remove_file(part).map_err(super::io(part))?;
    let folder = part.parent().expect("it was joined to one");
    atomic::sync_dir(folder).map_err(super::io(folder))?;
    Ok(Made {
        path: to.into(),
        head,
        manifest,
        size,
    })
}

fn put(archive: &mut Archive, name: &str, bytes: &[u8]) -> io::Result<File> {
    archive.file(
        name,
        atomic::PRIVATE_FILE,
        bytes.len() as u64,
        &mut &bytes[..],
    )?;
    Ok(File {
        name: name.into(),
        size: bytes.len() as u64,
        sha256: hex::sha256(bytes),
    })
}

fn take(archive: &mut Archive, item: &Item) -> io::Result<File> {
    let mut file = fs::File::open(&item.source)?;
    let meta = file.metadata()?;
    let mode = meta.permissions().mode();
    let lines = item.name.ends_with(".jsonl");
    if meta.len() <= SMALL {
        let mut bytes = Vec::new();
        (&mut file).take(SMALL + LINE).read_to_end(&mut bytes)?;
        if lines {
            bytes.truncate(
                bytes
                    .iter()
                    .rposition(|byte| *byte == b'\n')
                    .map_or(0, |at| at + 1),
            );
        }
        archive.file(&item.name, mode, bytes.len() as u64, &mut &bytes[..])?;
        return Ok(File {
            name: item.name.clone(),
            size: bytes.len() as u64,
            sha256: hex::sha256(&bytes),
        });
    }
    let size = match lines {
        true => whole_lines(&mut file, meta.len())?,
        false => meta.len(),
    };
    file.seek(SeekFrom::Start(0))?;
    let mut read = Hashing {
        from: file.take(size),
        hash: Context::new(&SHA256),
    };
    archive.file(&item.name, mode, size, &mut read)?;
    Ok(File {
        name: item.name.clone(),
        size,
        sha256: hex::encode(read.hash.finish().as_ref()),
    })
}

/// The length up to the end of the last whole line.
fn whole_lines(file: &mut fs::File, length: u64) -> io::Result<u64> {
    let start = length.saturating_sub(LINE);
    file.seek(SeekFrom::Start(start))?;
    let mut tail = Vec::new();
    (&mut *file).take(length - start).read_to_end(&mut tail)?;
    let end = tail.iter().rposition(|byte| *byte == b'\n');
    Ok(end.map_or(0, |at| start + at as u64 + 1))
}

/// The secrets as one text: a tar of their own.
fn collect(snapshot: &Snapshot, items: &[Item]) -> Result<Vec<u8>, Error> {
    let mut inner = Writer::new(Vec::new());
    let mut total = 0;
    let config = Item {
        source: snapshot.path.clone(),
        name: CONFIG.into(),
    };
    for item in items.iter().chain([&config]) {
        let bytes = match fs::read(&item.source) {
            Err(err) if err.kind() == io::ErrorKind::NotFound => continue,
            bytes => bytes.map_err(super::io(&item.source))?,
        };
        total += bytes.len() as u64;
        if total > MAX_SEALED {
            return Err(Error::Format(format!(
                "the secrets are larger than {MAX_SEALED} bytes"
            )));
        }
        inner
            .file(
                &item.name,
                atomic::PRIVATE_FILE,
                bytes.len() as u64,
                &mut &bytes[..],
            )
            .map_err(super::io(&item.source))?;
    }
    inner.finish().map_err(super::io(&snapshot.path))
}

/// The configuration as it can be shown, and which keys it lacks. `None` where it cannot be told
/// what is a secret in it.
fn without_secrets(snapshot: &Snapshot) -> (Option<String>, Vec<String>) {
    if !snapshot.exists || !snapshot.parsed.is_object() {
        return (None, Vec::new());
    }
    let mut tree = snapshot.parsed.clone();
    let mut left_out = Vec::new();
    strip(&mut tree, "", &mut left_out);
    (Some(text::pretty(&tree)), left_out)
}

fn strip(tree: &mut Value, place: &str, left_out: &mut Vec<String>) {
    match tree {
        Value::Object(map) => map.retain(|key, value| {
            let below = path::join(place, key);
            let secret = match value {
                Value::String(text) => {
                    !text.is_empty() && !text.starts_with("${") && secrets::is_secret(&below)
                }
                _ => false,
            };
            match secret {
                true => left_out.push(below),
                false => strip(value, &below, left_out),
            }
            !secret
        }),
        Value::Array(list) => {
            for value in list {
                strip(value, place, left_out);
            }
        }
        _ => {}
    }
}

struct Hashing<R> {
    from: R,
    hash: Context,
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(buffer)?;
        self.hash.update(&buffer[..read]);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_open_copy_of_the_configuration_has_no_secret_and_says_what_it_lacks() {
        let mut tree = json!({
            "gateway": {"port": 1, "auth": {"token": "hush", "password": "${PW}"}},
            "channels": {"telegram": {"botToken": "1:a", "accounts": {"b": {"botToken": "2:b"}}}},
        });
        let mut left_out = Vec::new();
        strip(&mut tree, "", &mut left_out);
        assert_eq!(
            left_out,
            [
                "gateway.auth.token",
                "channels.telegram.botToken",
                "channels.telegram.accounts.b.botToken"
            ]
        );
        assert_eq!(
            tree["gateway"],
            json!({"port": 1, "auth": {"password": "${PW}"}})
        );
    }
}
