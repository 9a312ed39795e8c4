//! The vectors once more, in a file of our own: eight bits a number, one after the other. The store
//! has them as JSON text, of which ten thousand are hundreds of megabytes; these are read in a few
//! milliseconds. What looks near here is compared exactly with the store's own numbers.
//!
//! The file is a cache of a cache: it names the state of the store it was made from, and is made
//! anew whenever that is another one.

use super::error::Error;
use super::store::Store;
use super::sync::HAS_VECTOR;
use crate::base::{atomic, id};
use crate::wire::memory::Index;
use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{BufWriter, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

const MAGIC: &[u8; 8] = b"OCVECT2\n";
/// Magic, numbers of a vector, count of vectors, inode and change counter of the store.
const HEAD: usize = 8 + 4 + 4 + 8 + 4;
/// The SHA-256 that names a piece.
const ID: usize = 32;
/// Before a vector's numbers: the name, and the length of what they make, which would cost as much
/// again to find at each search.
const FRONT: usize = ID + 4;
/// Read at once, bytes.
const BLOCK: usize = 64 * 1024;
/// More numbers than any model's vector has.
const MAX_DIMS: usize = 16_384;
/// Where SQLite counts the transactions that changed a file.
const CHANGES_AT: u64 = 24;

type Id = [u8; ID];

/// What state of which file the vectors are of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    changes: u32,
}

struct Vectors {
    file: File,
    dims: usize,
    count: usize,
    stamp: Stamp,
}

fn path(index: &Index) -> PathBuf {
    index.aside.with_extension("vectors")
}

fn stamp(store: &Path) -> std::io::Result<Stamp> {
    let file = File::open(store)?;
    let mut changes = [0; 4];
    file.read_exact_at(&mut changes, CHANGES_AT)?;
    Ok(Stamp {
        inode: file.metadata()?.ino(),
        changes: u32::from_be_bytes(changes),
    })
}

impl Vectors {
    fn open(path: &Path) -> Option<Vectors> {
        let file = File::open(path).ok()?;
        let mut head = [0; HEAD];
        file.read_exact_at(&mut head, 0).ok()?;
        let word = |at: usize| u32::from_le_bytes(head[at..at + 4].try_into().expect("four"));
        let (dims, count) = (word(8) as usize, word(12) as usize);
        let inode = u64::from_le_bytes(head[16..24].try_into().expect("eight"));
        let size = HEAD as u64 + count as u64 * (FRONT + dims) as u64;
        let whole = head[..8] == *MAGIC
            && (1..=MAX_DIMS).contains(&dims)
            && file.metadata().ok()?.len() == size;
        let stamp = Stamp {
            inode,
            changes: word(24),
        };
        whole.then_some(Vectors {
            file,
            dims,
            count,
            stamp,
        })
    }

    /// Every record: name and numbers.
    fn each(&self, take: &mut dyn FnMut(usize, &[u8])) -> std::io::Result<()> {
        let record = FRONT + self.dims;
        let together = (BLOCK / record).max(1);
        let mut block = vec![0; together * record];
        let mut reader = &self.file;
        reader.seek(SeekFrom::Start(HEAD as u64))?;
        let mut at = 0;
        while at < self.count {
            let part = &mut block[..together.min(self.count - at) * record];
            reader.read_exact(part)?;
            for record in part.chunks_exact(record) {
                take(at, record);
                at += 1;
            }
        }
        Ok(())
    }
}

/// Names of the `most` pieces whose vectors look nearest to `query`.
pub fn nearest(
    index: &Index,
    store: &Store,
    query: &[f32],
    most: usize,
) -> Result<Vec<String>, Error> {
    refresh(index, store)?;
    let path = path(index);
    let Some(vectors) = Vectors::open(&path) else {
        return Ok(Vec::new());
    };
    if vectors.dims != query.len() {
        return Ok(Vec::new());
    }
    let query = eighths(query);
    // The worst of the best is at the end.
    let mut best: Vec<(f32, Id)> = Vec::with_capacity(most + 1);
    let read = vectors.each(&mut |_, record| {
        let (front, numbers) = record.split_at(FRONT);
        let (name, length) = front.split_at(ID);
        let length = f32::from_le_bytes(length.try_into().expect("four"));
        let near = nearness(&query, numbers, length);
        if best.len() == most && best.last().is_some_and(|(worst, _)| near <= *worst) {
            return;
        }
        let place = best.partition_point(|(other, _)| *other >= near);
        best.insert(place, (near, name.try_into().expect("an id's length")));
        best.truncate(most);
    });
    read.map_err(Error::io(path))?;
    Ok(best
        .iter()
        .map(|(_, id)| crate::base::hex::encode(id))
        .collect())
}

/// Makes the file anew from the store unless it is of the store's state. What it has already is
/// taken over, so that only new vectors are read as text.
pub fn refresh(index: &Index, store: &Store) -> Result<(), Error> {
    let path = path(index);
    let now = stamp(&index.store).map_err(Error::io(&index.store))?;
    let old = Vectors::open(&path);
    if old.as_ref().is_some_and(|old| old.stamp == now) {
        return Ok(());
    }
    let mut ids: Vec<String> = Vec::new();
    let sql = format!("SELECT id FROM chunks WHERE {HAS_VECTOR} AND model = ?1");
    store.each(&sql, &[&index.model], &mut |row| {
        ids.push(row.get(0)?);
        Ok(())
    })?;
    let mut have: HashMap<Id, usize> = HashMap::new();
    if let Some(old) = &old {
        let named = old.each(&mut |at, record| {
            have.insert(record[..ID].try_into().expect("an id's length"), at);
        });
        if named.is_err() {
            have.clear();
        }
    }
    let dir = path.parent().unwrap_or(Path::new("."));
    atomic::create_private_dir(dir).map_err(Error::io(dir))?;
    let temp = path.with_extension(format!("vectors.{}", id::uuid()));
    let written = write(store, &temp, now, &ids, &have, old.as_ref());
    let placed = written.and_then(|()| fs::rename(&temp, &path).map_err(Error::io(&path)));
    if placed.is_err() {
        // What failed is what is told.
        let _ = fs::remove_file(&temp);
    }
    placed
}

fn write(
    store: &Store,
    path: &Path,
    stamp: Stamp,
    ids: &[String],
    have: &HashMap<Id, usize>,
    old: Option<&Vectors>,
) -> Result<(), Error> {
    let failed = || Error::io(path);
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(atomic::PRIVATE_FILE)
        .open(path)
        .map_err(failed())?;
    let mut out = BufWriter::with_capacity(BLOCK, file);
    out.write_all(&[0; HEAD]).map_err(failed())?;
    let (mut dims, mut count) = (0usize, 0u32);
    let mut record = Vec::new();
    for text in ids {
        let Some(id) = from_hex(text) else { continue };
        record.clear();
        record.extend_from_slice(&id);
        match (have.get(&id), old) {
            (Some(at), Some(old)) => {
                record.resize(FRONT + old.dims, 0);
                let place = HEAD as u64 + (*at * (FRONT + old.dims)) as u64;
                old.file
                    .read_exact_at(&mut record, place)
                    .map_err(failed())?;
            }
            _ => {
                let sql = "SELECT embedding FROM chunks WHERE id = ?1";
                let numbers = store.text(sql, &[text])?.unwrap_or_default();
                let Ok(vector) = serde_json::from_str::<Vec<f32>>(&numbers) else {
                    continue;
                };
                let numbers = eighths(&vector);
                record.extend_from_slice(&length(&numbers).to_le_bytes());
                record.extend(numbers.iter().map(|n| *n as u8));
            }
        }
        let length = record.len() - FRONT;
        if dims == 0 {
            dims = length;
        }
        // One of another length is of another model: nothing could be compared with it.
        if length == dims && (1..=MAX_DIMS).contains(&dims) {
            out.write_all(&record).map_err(failed())?;
            count += 1;
        }
    }
    let mut head = Vec::with_capacity(HEAD);
    head.extend_from_slice(MAGIC);
    head.extend_from_slice(&u32::try_from(dims.max(1)).unwrap_or(1).to_le_bytes());
    head.extend_from_slice(&count.to_le_bytes());
    head.extend_from_slice(&stamp.inode.to_le_bytes());
    head.extend_from_slice(&stamp.changes.to_le_bytes());
    let mut file = out.into_inner().map_err(|err| failed()(err.into_error()))?;
    let end = || {
        file.rewind()?;
        file.write_all(&head)?;
        file.sync_all()
    };
    let mut end = end;
    end().map_err(failed())
}

fn from_hex(text: &str) -> Option<Id> {
    let mut id = [0; ID];
    if text.len() != 2 * ID || !text.is_ascii() {
        return None;
    }
    for (byte, pair) in id.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let pair = std::str::from_utf8(pair).ok()?;
        *byte = u8::from_str_radix(pair, 16).ok()?;
    }
    Some(id)
}

/// The direction of a vector in eight bits a number.
fn eighths(vector: &[f32]) -> Vec<i8> {
    let most = vector.iter().fold(0f32, |most, n| most.max(n.abs()));
    let scale = if most > 0.0 { 127.0 / most } else { 0.0 };
    vector.iter().map(|n| (n * scale).round() as i8).collect()
}

fn length(numbers: &[i8]) -> f32 {
    let squares = numbers.iter().map(|n| i32::from(*n) * i32::from(*n));
    (squares.sum::<i32>() as f32).sqrt()
}

/// The cosine between the two but for the query's length, which is the same for all. Eight at once:
/// in a program that is built small the loop itself costs more than what is in it.
fn nearness(query: &[i8], numbers: &[u8], length: f32) -> f32 {
    let mut dot = 0i32;
    let mut numbers = numbers.chunks_exact(8);
    let mut queries = query.chunks_exact(8);
    let product = |n: u8, q: i8| i32::from(n as i8) * i32::from(q);
    for (n, q) in (&mut numbers).zip(&mut queries) {
        dot += product(n[0], q[0])
            + product(n[1], q[1])
            + product(n[2], q[2])
            + product(n[3], q[3])
            + product(n[4], q[4])
            + product(n[5], q[5])
            + product(n[6], q[6])
            + product(n[7], q[7]);
    }
    for (n, q) in numbers.remainder().iter().zip(queries.remainder()) {
        dot += product(*n, *q);
    }
    if length > 0.0 {
        dot as f32 / length
    } else {
        0.0
    }
}

/// The cosine of two vectors; 0 where there is none.
pub fn cosine(a: &[f32], b: &[f32]) -> f64 {
    if a.len() != b.len() {
        return 0.0;
    }
    let (mut dot, mut left, mut right) = (0f64, 0f64, 0f64);
    for (a, b) in a.iter().zip(b) {
        let (a, b) = (f64::from(*a), f64::from(*b));
        dot += a * b;
        left += a * a;
        right += b * b;
    }
    let length = left.sqrt() * right.sqrt();
    if length > 0.0 { dot / length } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eight_bits_order_vectors_as_the_exact_cosine_does() {
        let query = [0.9f32, -0.1, 0.3, 0.0, 0.2];
        let near = [0.8f32, -0.2, 0.4, 0.1, 0.1];
        let far = [-0.5f32, 0.9, 0.1, 0.7, 0.0];
        let q = eighths(&query);
        let near_to = |v: &[f32]| {
            let numbers = eighths(v);
            let bytes: Vec<u8> = numbers.iter().map(|n| *n as u8).collect();
            nearness(&q, &bytes, length(&numbers))
        };
        assert!(near_to(&near) > near_to(&far));
        assert!((near_to(&query) / length(&q) - 1.0).abs() < 1e-6);
        assert!((cosine(&query, &query) - 1.0).abs() < 1e-9);
        assert_eq!(cosine(&query, &near[..3]), 0.0);
        assert_eq!(cosine(&[0.0], &[1.0]), 0.0);
        assert_eq!(near_to(&[0.0; 5]), 0.0);
    }

    #[test]
    fn a_name_is_read_from_hex_or_not_at_all() {
        let text = crate::base::hex::sha256(b"x");
        assert_eq!(crate::base::hex::encode(&from_hex(&text).unwrap()), text);
        assert_eq!(from_hex(&text[1..]), None);
        assert_eq!(from_hex(&"zz".repeat(ID)), None);
    }
}
