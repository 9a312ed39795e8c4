//! Bringing an index up to date: first the texts of all that changed, so that words find them at
//! once, then vectors for them, batch by batch, as long as the asker has patience.
//!
//! A file whose pieces lack vectors has a mark before its hash until they have: either program then
//! knows that it is not done. An index made with another model or other sizes is made anew beside the old
//! one and takes its place when its texts are in.

use super::chunk::{self, Chunk};
use super::error::Error;
use super::store::{self, Meta, Store};
use super::{files, sessions, vectors};
use crate::base::hex::sha256;
use crate::base::lock::{self, Lock};
use crate::wire::memory::{Index, Synced};
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Characters of one batch, and its most texts: what embedding services take.
const BATCH_CHARS: usize = 8_000;
const BATCH_TEXTS: usize = 64;
/// Files written in one transaction.
const TOGETHER: usize = 64;

const MEMORY: &str = "memory";
const SESSIONS: &str = "sessions";

/// Before the hash of a file whose pieces lack vectors.
const PENDING: &str = "pending:";

/// How a sync goes.
pub struct Plan {
    /// Everything anew.
    pub force: bool,
    /// When embedding must stop.
    pub until: Option<Instant>,
    /// How long to wait for another process that syncs this index.
    pub patience: Duration,
    /// Every transcript that changed, however little.
    pub whole: bool,
}

/// Whom a sync talks to.
pub trait Asker {
    /// One vector for each text, all of one length.
    fn embed(&mut self, texts: Vec<String>, query: bool) -> Result<Vec<Vec<f32>>, Error>;
    fn progress(&mut self, done: u64, total: u64) -> Result<(), Error>;
}

/// A file to be indexed, of either source.
enum Entry {
    File(files::Found),
    Transcript(sessions::Found),
}

/// What the index has of a file.
pub struct Known {
    source: String,
    hash: String,
    mtime: f64,
    size: u64,
}

impl Known {
    fn is_done(&self) -> bool {
        !self.hash.starts_with(PENDING)
    }

    fn hash(&self) -> &str {
        self.hash.strip_prefix(PENDING).unwrap_or(&self.hash)
    }
}

impl Entry {
    fn path(&self) -> &str {
        match self {
            Entry::File(found) => &found.path,
            Entry::Transcript(found) => &found.path,
        }
    }

    fn source(&self) -> &'static str {
        match self {
            Entry::File(_) => MEMORY,
            Entry::Transcript(_) => SESSIONS,
        }
    }

    fn stamp(&self) -> (f64, u64) {
        match self {
            Entry::File(found) => (found.mtime, found.size),
            Entry::Transcript(found) => (found.mtime, found.size),
        }
    }

    fn read(&self) -> Result<String, Error> {
        match self {
            Entry::File(found) => found.read(),
            Entry::Transcript(found) => found.read(),
        }
    }

    /// Whether it has to be read: its stamp is not the one it was indexed with.
    fn differs(&self, known: Option<&Known>, index: &Index, whole: bool) -> bool {
        let Some(known) = known else { return true };
        let (mtime, size) = self.stamp();
        if known.size == size && known.mtime == mtime {
            return false;
        }
        match self {
            Entry::Transcript(found) if !whole => {
                found.has_grown(known.size, index.session_bytes, index.session_messages)
            }
            _ => true,
        }
    }
}

fn entries(index: &Index) -> (Vec<Entry>, Vec<String>) {
    let listing = files::list(index);
    let mut entries: Vec<Entry> = listing.files.into_iter().map(Entry::File).collect();
    if let Some(dir) = &index.sessions {
        entries.extend(sessions::list(dir).into_iter().map(Entry::Transcript));
    }
    (entries, listing.issues)
}

pub fn known(store: &Store) -> Result<HashMap<String, Known>, Error> {
    let mut known = HashMap::new();
    let sql = "SELECT path, source, hash, mtime, size FROM files";
    store.each(sql, &[], &mut |row| {
        let size: i64 = row.get(4)?;
        let file = Known {
            source: row.get(1)?,
            hash: row.get(2)?,
            mtime: row.get(3)?,
            size: u64::try_from(size).unwrap_or(0),
        };
        known.insert(row.get(0)?, file);
        Ok(())
    })?;
    Ok(known)
}

/// Files on disk by source, what is wrong with them, and whether a sync would find work.
pub struct Look {
    pub files: u64,
    pub transcripts: u64,
    pub issues: Vec<String>,
    pub dirty: bool,
}

pub fn look(index: &Index, store: Option<&Store>) -> Result<Look, Error> {
    let (entries, issues) = entries(index);
    let mut look = Look {
        files: 0,
        transcripts: 0,
        issues,
        dirty: true,
    };
    for entry in &entries {
        match entry {
            Entry::File(_) => look.files += 1,
            Entry::Transcript(_) => look.transcripts += 1,
        }
    }
    if let Some(store) = store {
        let served = store
            .meta()?
            .is_some_and(|meta| meta.serves(&Meta::wanted(index)));
        let known = known(store)?;
        let same = |entry: &Entry| {
            let have = known.get(entry.path());
            have.is_some_and(Known::is_done) && !entry.differs(have, index, false)
        };
        look.dirty = !served || known.len() != entries.len() || !entries.iter().all(same);
    }
    Ok(look)
}

/// Brings the index up to date. The second of the pair is the store, opened anew where the sync put
/// another file in its place.
pub fn sync(
    index: &Index,
    store: Store,
    plan: &Plan,
    asker: &mut dyn Asker,
) -> Result<(Synced, Store), Error> {
    let _lock = take_lock(index, plan.patience)?;
    let wanted = Meta::wanted(index);
    let (entries, _) = entries(index);
    let served = store.meta()?.is_some_and(|meta| meta.serves(&wanted));
    let mut synced = Synced::default();
    let store = match served && !plan.force {
        true => {
            synced = texts(index, &store, &entries, plan.whole, asker)?;
            store
        }
        false => {
            store::sweep(&index.store);
            let fresh = Store::beside(&index.store)?;
            let place = fresh.path.clone();
            let filled = (|| {
                carry_cache(index, &store, &fresh)?;
                fresh.set_meta(&wanted)?;
                synced = texts(index, &fresh, &entries, true, asker)?;
                fresh.take_place(&index.store)
            })();
            if let Err(err) = filled {
                // What failed is what is told.
                let _ = std::fs::remove_file(place);
                return Err(err);
            }
            drop(store);
            Store::open(&index.store)?
        }
    };
    if index.has_vectors() {
        match embed(index, &store, plan.until, asker, &mut synced) {
            // Words find everything meanwhile.
            Err(Error::Embedding(why)) => synced.failed = Some(why),
            other => other?,
        }
        synced.pending = pending(&store)?;
        vectors::refresh(index, &store)?;
    }
    Ok((synced, store))
}

fn take_lock(index: &Index, patience: Duration) -> Result<Lock, Error> {
    let path = index.aside.with_extension("lock");
    lock::take(&path, super::PROGRAM, patience).map_err(|err| match err {
        lock::Error::Held { path, .. } => Error::Busy(path),
        lock::Error::Io { path, err } => Error::Io { path, err },
    })
}

/// Vectors that were paid for come along.
fn carry_cache(index: &Index, from: &Store, to: &Store) -> Result<(), Error> {
    if !index.cache || !index.has_vectors() {
        return Ok(());
    }
    let path = from.path.to_string_lossy();
    to.execute("ATTACH DATABASE ?1 AS old", &[&path])?;
    let copied = to.run("INSERT OR IGNORE INTO embedding_cache SELECT * FROM old.embedding_cache");
    to.run("DETACH DATABASE old")?;
    copied
}

/// Texts of all that changed, and nothing of what is gone.
fn texts(
    index: &Index,
    store: &Store,
    entries: &[Entry],
    whole: bool,
    asker: &mut dyn Asker,
) -> Result<Synced, Error> {
    let mut synced = Synced::default();
    let known = known(store)?;
    let present: HashMap<&str, ()> = entries.iter().map(|entry| (entry.path(), ())).collect();
    let gone: Vec<&str> = known
        .iter()
        .filter(|(path, file)| {
            let ours = [MEMORY, SESSIONS].contains(&file.source.as_str());
            ours && !present.contains_key(path.as_str())
        })
        .map(|(path, _)| path.as_str())
        .collect();
    let changed: Vec<&Entry> = entries
        .iter()
        .filter(|entry| entry.differs(known.get(entry.path()), index, whole))
        .collect();
    if !gone.is_empty() || !changed.is_empty() {
        disown_vector_table(index, store)?;
    }
    if !gone.is_empty() {
        store.transaction(|| {
            forget_chunks(store, &gone)?;
            for path in &gone {
                store.execute("DELETE FROM files WHERE path = ?1", &[path])?;
            }
            Ok(())
        })?;
        synced.removed = gone.len() as u64;
    }
    let mut done = 0;
    for part in changed.chunks(TOGETHER) {
        store.transaction(|| {
            let mut other = Vec::new();
            for entry in part {
                if touch(store, entry, known.get(entry.path()))? {
                    other.push(*entry);
                }
            }
            let paths: Vec<&str> = other
                .iter()
                .map(|entry| entry.path())
                .filter(|path| known.contains_key(*path))
                .collect();
            forget_chunks(store, &paths)?;
            for entry in other {
                // It may have gone, or become something else, since we looked: next time.
                let Ok(text) = entry.read() else { continue };
                write_file(index, store, entry, &text)?;
                synced.files += 1;
            }
            Ok(())
        })?;
        done += part.len() as u64;
        asker.progress(done, changed.len() as u64)?;
    }
    Ok(synced)
}

/// The original keeps the vectors a second time, in a table of an extension that we have not. Without
/// `vectorDims` it takes that for missing, and fills it from the cache; else it would search a table
/// that lacks what we add.
fn disown_vector_table(index: &Index, store: &Store) -> Result<(), Error> {
    match store.meta()?.is_some_and(|meta| meta.vector_dims.is_some()) {
        true => store.set_meta(&Meta::wanted(index)),
        false => Ok(()),
    }
}

/// Whether its text is another one now; where only its date is, that is noted.
fn touch(store: &Store, entry: &Entry, known: Option<&Known>) -> Result<bool, Error> {
    let Some(known) = known else { return Ok(true) };
    let Ok(text) = entry.read() else {
        return Ok(false);
    };
    if known.hash() != sha256(text.as_bytes()) {
        return Ok(true);
    }
    let (mtime, size) = entry.stamp();
    let size = i64::try_from(size).unwrap_or(i64::MAX);
    let sql = "UPDATE files SET mtime = ?2, size = ?3 WHERE path = ?1";
    store.execute(sql, &[&entry.path(), &mtime, &size])?;
    Ok(false)
}

fn write_file(index: &Index, store: &Store, entry: &Entry, text: &str) -> Result<(), Error> {
    let (mtime, size) = entry.stamp();
    let size = i64::try_from(size).unwrap_or(i64::MAX);
    let mut whole = true;
    for piece in chunk::cut(text, index.chunk_tokens, index.chunk_overlap) {
        whole &= write_chunk(index, store, entry, &piece)?;
    }
    let mark = if whole { "" } else { PENDING };
    let hash = format!("{mark}{}", sha256(text.as_bytes()));
    let sql = "INSERT INTO files (path, source, hash, mtime, size) VALUES (?1, ?2, ?3, ?4, ?5)
        ON CONFLICT(path) DO UPDATE SET source = excluded.source, hash = excluded.hash,
        mtime = excluded.mtime, size = excluded.size";
    store
        .execute(sql, &[&entry.path(), &entry.source(), &hash, &mtime, &size])
        .map(drop)
}

/// Whether it has all it needs.
fn write_chunk(index: &Index, store: &Store, entry: &Entry, piece: &Chunk) -> Result<bool, Error> {
    let (path, source) = (entry.path(), entry.source());
    let hash = sha256(piece.text.as_bytes());
    let (start, end) = (piece.start as i64, piece.end as i64);
    let model = &index.model;
    let id = sha256(format!("{source}:{path}:{start}:{end}:{hash}:{model}").as_bytes());
    let cached = match index.has_vectors() && index.cache {
        true => cached(index, store, &hash)?,
        false => None,
    };
    let whole = cached.is_some() || !index.has_vectors();
    let vector = cached.unwrap_or_else(|| EMPTY.into());
    let sql = "INSERT OR REPLACE INTO chunks (id, path, source, start_line, end_line, hash, model,
        text, embedding, updated_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
    store.execute(
        sql,
        &[
            &id,
            &path,
            &source,
            &start,
            &end,
            &hash,
            model,
            &piece.text,
            &vector,
            &store::now(),
        ],
    )?;
    let sql = "INSERT INTO chunks_fts (text, id, path, source, model, start_line, end_line)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    store.execute(
        sql,
        &[
            &piece.text,
            &id,
            &path,
            &source,
            model,
            &(start as f64),
            &(end as f64),
        ],
    )?;
    Ok(whole)
}

/// The vector of a piece that has none yet.
const EMPTY: &str = "[]";
/// Says so without reading the vector.
pub const HAS_VECTOR: &str = "octet_length(embedding) > 2";

fn cached(index: &Index, store: &Store, hash: &str) -> Result<Option<String>, Error> {
    let sql = "SELECT embedding FROM embedding_cache
        WHERE provider = ?1 AND model = ?2 AND provider_key = ?3 AND hash = ?4";
    store.text(
        sql,
        &[&index.provider, &index.model, &index.provider_key, &hash],
    )
}

/// The full text table has no index on its paths and is gone through whole, so once for many.
fn forget_chunks(store: &Store, paths: &[&str]) -> Result<(), Error> {
    if paths.is_empty() {
        return Ok(());
    }
    store.run("CREATE TEMP TABLE IF NOT EXISTS forgotten (path TEXT PRIMARY KEY)")?;
    store.run("DELETE FROM temp.forgotten")?;
    for path in paths {
        store.execute("INSERT OR IGNORE INTO temp.forgotten VALUES (?1)", &[path])?;
    }
    for table in ["chunks", "chunks_fts"] {
        let sql = format!("DELETE FROM {table} WHERE path IN (SELECT path FROM temp.forgotten)");
        store.execute(&sql, &[])?;
    }
    Ok(())
}

pub fn pending(store: &Store) -> Result<u64, Error> {
    let sql = format!("SELECT count(*) FROM chunks WHERE NOT {HAS_VECTOR}");
    store.number(&sql, &[])
}

/// Vectors for the pieces that lack one, until the time is up.
fn embed(
    index: &Index,
    store: &Store,
    until: Option<Instant>,
    asker: &mut dyn Asker,
    synced: &mut Synced,
) -> Result<(), Error> {
    let total = pending(store)?;
    let (mut done, mut after) = (0u64, String::new());
    while until.is_none_or(|until| Instant::now() < until) {
        let batch = next_batch(store, &after)?;
        let Some(last) = batch.last() else { break };
        after.clone_from(&last.id);
        let texts: Vec<String> = batch.iter().map(|piece| piece.text.clone()).collect();
        let vectors = asker.embed(texts, false)?;
        if vectors.len() != batch.len() || vectors.iter().any(Vec::is_empty) {
            let said = "the embedding service did not answer with a vector for each text";
            return Err(Error::Embedding(said.into()));
        }
        store.transaction(|| {
            for (piece, vector) in batch.iter().zip(&vectors) {
                keep_vector(index, store, piece, vector)?;
            }
            Ok(())
        })?;
        done += batch.len() as u64;
        asker.progress(done, total)?;
    }
    synced.embedded = done;
    if done == 0 {
        return complete_files(store);
    }
    store.transaction(|| {
        complete_files(store)?;
        trim_cache(index, store)
    })
}

struct Piece {
    id: String,
    hash: String,
    text: String,
}

fn next_batch(store: &Store, after: &str) -> Result<Vec<Piece>, Error> {
    let sql = format!(
        "SELECT id, hash, text FROM chunks WHERE id > ?1 AND NOT {HAS_VECTOR}
         ORDER BY id LIMIT {BATCH_TEXTS}"
    );
    let mut batch = Vec::new();
    let mut chars = 0;
    store.each(&sql, &[&after], &mut |row| {
        let piece = Piece {
            id: row.get(0)?,
            hash: row.get(1)?,
            text: row.get(2)?,
        };
        chars += piece.text.len();
        if batch.is_empty() || chars <= BATCH_CHARS {
            batch.push(piece);
        }
        Ok(())
    })?;
    Ok(batch)
}

fn keep_vector(index: &Index, store: &Store, piece: &Piece, vector: &[f32]) -> Result<(), Error> {
    let text = serde_json::to_string(vector).expect("numbers");
    let sql = "UPDATE chunks SET embedding = ?2 WHERE id = ?1";
    store.execute(sql, &[&piece.id, &text])?;
    if !index.cache {
        return Ok(());
    }
    let sql = "INSERT OR REPLACE INTO embedding_cache (provider, model, provider_key, hash,
        embedding, dims, updated_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    let dims = vector.len() as i64;
    store
        .execute(
            sql,
            &[
                &index.provider,
                &index.model,
                &index.provider_key,
                &piece.hash,
                &text,
                &dims,
                &store::now(),
            ],
        )
        .map(drop)
}

/// Files all of whose pieces have vectors are done.
fn complete_files(store: &Store) -> Result<(), Error> {
    let sql = format!(
        "UPDATE files SET hash = substr(hash, {}) WHERE hash LIKE '{PENDING}%' AND NOT EXISTS
         (SELECT 1 FROM chunks WHERE chunks.path = files.path AND NOT {HAS_VECTOR})",
        PENDING.len() + 1
    );
    store.execute(&sql, &[]).map(drop)
}

fn trim_cache(index: &Index, store: &Store) -> Result<(), Error> {
    if index.cache_entries == 0 {
        return Ok(());
    }
    let most = i64::try_from(index.cache_entries).unwrap_or(i64::MAX);
    let sql = "DELETE FROM embedding_cache WHERE rowid IN (SELECT rowid FROM embedding_cache
        ORDER BY updated_at DESC LIMIT -1 OFFSET ?1)";
    store.execute(sql, &[&most]).map(drop)
}

/// Numbers of a vector, when there is one.
pub fn dims(store: &Store) -> Result<Option<u64>, Error> {
    let sql = format!("SELECT embedding FROM chunks WHERE {HAS_VECTOR} LIMIT 1");
    let text = store.text(&sql, &[])?;
    let vector = text.and_then(|text| serde_json::from_str::<Vec<f32>>(&text).ok());
    Ok(vector.map(|vector| vector.len() as u64))
}
