//! Reads an archive to its end and says whether all of it is as it was saved. Keeps no content.

use super::tar::{Entry, Kind, Reader};
use super::{
    Error, FORMAT, File, HEAD, Head, MANIFEST, MAX_FILES, MAX_HEAD, MAX_MANIFEST, Manifest, inside,
    io,
};
use crate::base::hex;
use flate2::read::GzDecoder;
use ring::digest::{Context, SHA256};
use std::collections::HashMap;
use std::fs;
use std::io::{BufReader, Read};
use std::path::Path;

pub type Archive = Reader<GzDecoder<BufReader<fs::File>>>;

/// What an archive is.
#[derive(Debug)]
pub struct Contents {
    pub head: Head,
    pub manifest: Manifest,
}

/// Opens it; nothing is read yet.
pub fn open(path: &Path) -> Result<Archive, Error> {
    let file = fs::File::open(path).map_err(io(path))?;
    Ok(Reader::new(GzDecoder::new(BufReader::new(file))))
}

/// Whether it is one of ours, whole or not.
pub fn is_ours(path: &Path) -> Result<bool, Error> {
    // What is not even gzipped is somebody else's.
    let first = open(path)?.entry();
    Ok(first.is_ok_and(|first| first.is_some_and(|entry| entry.name == HEAD)))
}

/// Only what it says of itself.
pub fn head(path: &Path) -> Result<Head, Error> {
    let mut archive = open(path)?;
    let first = archive.entry().map_err(damaged)?;
    match first {
        Some(entry) if entry.name == HEAD => {
            let text = text(&mut archive, &entry, MAX_HEAD)?;
            let head: Head =
                serde_json::from_slice(&text).map_err(|err| Error::Format(err.to_string()))?;
            match head.format == FORMAT {
                true => Ok(head),
                false => Err(Error::Format(format!(
                    "format {} is not known",
                    head.format
                ))),
            }
        }
        _ => Err(Error::Format(format!("{HEAD} is not its first file"))),
    }
}

pub fn verify(path: &Path) -> Result<Contents, Error> {
    let head = head(path)?;
    let mut archive = open(path)?;
    let mut seen: HashMap<String, (u64, String)> = HashMap::new();
    let mut manifest: Option<Manifest> = None;
    while let Some(entry) = archive.entry().map_err(damaged)? {
        inside(&entry.name)?;
        if entry.kind != Kind::File {
            return Err(Error::Unsafe(entry.name));
        }
        if manifest.is_some() || seen.len() > MAX_FILES {
            return Err(Error::Format("there is more than its list has".into()));
        }
        match entry.name.as_str() {
            HEAD => {}
            MANIFEST => {
                let text = text(&mut archive, &entry, MAX_MANIFEST)?;
                let read =
                    serde_json::from_slice(&text).map_err(|err| Error::Format(err.to_string()))?;
                manifest = Some(read);
            }
            _ => {
                let hash = hashed(&mut archive)?;
                if seen
                    .insert(entry.name.clone(), (entry.size, hash))
                    .is_some()
                {
                    return Err(Error::Format(format!("{} is in it twice", entry.name)));
                }
            }
        }
    }
    let manifest =
        manifest.ok_or_else(|| Error::Format("its list is missing: it was cut off".into()))?;
    compare(&manifest.files, seen)?;
    Ok(Contents { head, manifest })
}

fn compare(listed: &[File], mut seen: HashMap<String, (u64, String)>) -> Result<(), Error> {
    for file in listed {
        match seen.remove(&file.name) {
            Some((size, hash)) if size == file.size && hash == file.sha256 => {}
            Some(_) => return Err(Error::Differs(file.name.clone())),
            None => return Err(Error::Format(format!("{} is missing", file.name))),
        }
    }
    match seen.into_keys().next() {
        Some(name) => Err(Error::Format(format!("{name} is not in its list"))),
        None => Ok(()),
    }
}

fn hashed(from: &mut impl Read) -> Result<String, Error> {
    let mut hash = Context::new(&SHA256);
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match from.read(&mut buffer).map_err(damaged)? {
            0 => return Ok(hex::encode(hash.finish().as_ref())),
            read => hash.update(&buffer[..read]),
        }
    }
}

/// The whole of an entry that is small by its nature.
pub fn text(archive: &mut Archive, entry: &Entry, most: u64) -> Result<Vec<u8>, Error> {
    if entry.size > most {
        return Err(Error::Format(format!("{} is too large", entry.name)));
    }
    let mut bytes = Vec::new();
    archive.read_to_end(&mut bytes).map_err(damaged)?;
    Ok(bytes)
}

pub fn damaged(err: std::io::Error) -> Error {
    Error::Format(err.to_string())
}
