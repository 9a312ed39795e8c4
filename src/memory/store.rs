//! The SQLite file, in the original's form to the letter of its schema, so that either program can
//! use what the other made. No write-ahead log, as there: one file.

use super::error::Error;
use crate::base::time::now_ms;
use crate::base::{atomic, id};
use crate::wire::memory::Index;
use rusqlite::{Connection, OpenFlags, OptionalExtension, Row, ToSql};
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// A statement waits that long for another process's transaction.
const PATIENCE: Duration = Duration::from_secs(10);
/// Pages SQLite keeps, KiB.
const CACHE_KIB: i64 = 1024;
/// What a killed rebuild left is removed after this long.
const LEFTOVER: Duration = Duration::from_secs(3600);

const META: &str = "memory_index_meta_v1";

/// The original's statements, blanks included: SQLite keeps them as they were written.
const SCHEMA: [&str; 9] = [
    "CREATE TABLE IF NOT EXISTS meta (\n      key TEXT PRIMARY KEY,\n      value TEXT NOT NULL\n    )",
    "CREATE TABLE IF NOT EXISTS files (\n      path TEXT PRIMARY KEY,\n      source TEXT NOT NULL DEFAULT 'memory',\n      hash TEXT NOT NULL,\n      mtime INTEGER NOT NULL,\n      size INTEGER NOT NULL\n    )",
    "CREATE TABLE IF NOT EXISTS chunks (\n      id TEXT PRIMARY KEY,\n      path TEXT NOT NULL,\n      source TEXT NOT NULL DEFAULT 'memory',\n      start_line INTEGER NOT NULL,\n      end_line INTEGER NOT NULL,\n      hash TEXT NOT NULL,\n      model TEXT NOT NULL,\n      text TEXT NOT NULL,\n      embedding TEXT NOT NULL,\n      updated_at INTEGER NOT NULL\n    )",
    "CREATE TABLE IF NOT EXISTS embedding_cache (\n      provider TEXT NOT NULL,\n      model TEXT NOT NULL,\n      provider_key TEXT NOT NULL,\n      hash TEXT NOT NULL,\n      embedding TEXT NOT NULL,\n      dims INTEGER,\n      updated_at INTEGER NOT NULL,\n      PRIMARY KEY (provider, model, provider_key, hash)\n    )",
    "CREATE INDEX IF NOT EXISTS idx_embedding_cache_updated_at ON embedding_cache(updated_at)",
    "CREATE VIRTUAL TABLE IF NOT EXISTS chunks_fts USING fts5(\n  text,\n  id UNINDEXED,\n  path UNINDEXED,\n  source UNINDEXED,\n  model UNINDEXED,\n  start_line UNINDEXED,\n  end_line UNINDEXED\n)",
    "CREATE INDEX IF NOT EXISTS idx_chunks_path ON chunks(path)",
    "CREATE INDEX IF NOT EXISTS idx_chunks_source ON chunks(source)",
    "SELECT count(*) FROM chunks WHERE 0",
];

pub struct Store {
    pub db: Connection,
    pub path: PathBuf,
}

/// What the index was made with; anything else in it means that it is made anew.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Meta {
    pub model: String,
    pub provider: String,
    #[serde(default)]
    pub provider_key: String,
    pub chunk_tokens: usize,
    pub chunk_overlap: usize,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vector_dims: Option<u64>,
}

impl Meta {
    pub fn wanted(index: &Index) -> Meta {
        Meta {
            model: index.model.clone(),
            provider: index.provider.clone(),
            provider_key: index.provider_key.clone(),
            chunk_tokens: index.chunk_tokens,
            chunk_overlap: index.chunk_overlap,
            vector_dims: None,
        }
    }

    /// Whether what was made with `self` serves who wants `wanted`.
    pub fn serves(&self, wanted: &Meta) -> bool {
        let plain = Meta {
            vector_dims: None,
            ..self.clone()
        };
        plain == *wanted
    }
}

impl Store {
    pub fn open(path: &Path) -> Result<Store, Error> {
        if let Some(dir) = path.parent() {
            atomic::create_private_dir(dir).map_err(Error::io(dir))?;
        }
        let store = Store::connect(path)?;
        store.run("PRAGMA synchronous = NORMAL")?;
        for statement in SCHEMA {
            store.run(statement)?;
        }
        Ok(store)
    }

    /// An empty one beside `path`, that will take its place. It needs no journal: until then
    /// nobody misses it.
    pub fn beside(path: &Path) -> Result<Store, Error> {
        let mut name = path.as_os_str().to_os_string();
        name.push(format!(".tmp-{}", id::uuid()));
        let store = Store::connect(Path::new(&name))?;
        store.run("PRAGMA journal_mode = OFF")?;
        store.run("PRAGMA synchronous = OFF")?;
        for statement in SCHEMA {
            store.run(statement)?;
        }
        Ok(store)
    }

    /// Puts this one in the place of `path`.
    pub fn take_place(self, path: &Path) -> Result<(), Error> {
        let own = self.path.clone();
        let closed = self.db.close();
        closed.map_err(|(_, err)| Error::Store {
            path: own.clone(),
            err,
        })?;
        let replace = || {
            File::open(&own)?.sync_all()?;
            fs::rename(&own, path)?;
            match path.parent() {
                Some(dir) => atomic::sync_dir(dir),
                None => Ok(()),
            }
        };
        replace().map_err(Error::io(path))
    }

    fn connect(path: &Path) -> Result<Store, Error> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX
            | OpenFlags::SQLITE_OPEN_NOFOLLOW;
        let whole = std::path::absolute(path).map_err(Error::io(path))?;
        let opened = Connection::open_with_flags(&whole, flags).and_then(|db| {
            db.busy_timeout(PATIENCE)?;
            db.pragma_update(None, "cache_size", -CACHE_KIB)?;
            Ok(db)
        });
        match opened {
            Ok(db) => Ok(Store { db, path: whole }),
            Err(err) => Err(Error::Store { path: whole, err }),
        }
    }

    pub fn failed(&self, err: rusqlite::Error) -> Error {
        Error::Store {
            path: self.path.clone(),
            err,
        }
    }

    /// A statement whose rows do not matter.
    pub fn run(&self, sql: &str) -> Result<(), Error> {
        self.db.execute_batch(sql).map_err(|err| self.failed(err))
    }

    pub fn execute(&self, sql: &str, values: &[&dyn ToSql]) -> Result<usize, Error> {
        let run = || self.db.prepare(sql)?.execute(values);
        run().map_err(|err| self.failed(err))
    }

    /// Every row, through `take`.
    pub fn each(
        &self,
        sql: &str,
        values: &[&dyn ToSql],
        take: &mut dyn FnMut(&Row) -> rusqlite::Result<()>,
    ) -> Result<(), Error> {
        let mut run = || {
            let mut statement = self.db.prepare(sql)?;
            let mut rows = statement.query(values)?;
            while let Some(row) = rows.next()? {
                take(row)?;
            }
            Ok(())
        };
        run().map_err(|err| self.failed(err))
    }

    pub fn number(&self, sql: &str, values: &[&dyn ToSql]) -> Result<u64, Error> {
        let mut found = 0i64;
        self.each(sql, values, &mut |row| {
            found = row.get(0)?;
            Ok(())
        })?;
        Ok(u64::try_from(found).unwrap_or(0))
    }

    pub fn text(&self, sql: &str, values: &[&dyn ToSql]) -> Result<Option<String>, Error> {
        let found = self.db.query_row(sql, values, |row| row.get(0)).optional();
        found.map_err(|err| self.failed(err))
    }

    /// `work` as one transaction: all of it, or nothing.
    pub fn transaction<T>(&self, work: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
        self.run("BEGIN IMMEDIATE")?;
        let done = work();
        match &done {
            Ok(_) => self.run("COMMIT")?,
            // What failed is what is told.
            Err(_) => drop(self.run("ROLLBACK")),
        }
        done
    }

    pub fn meta(&self) -> Result<Option<Meta>, Error> {
        let text = self.text("SELECT value FROM meta WHERE key = ?1", &[&META])?;
        Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
    }

    pub fn set_meta(&self, meta: &Meta) -> Result<(), Error> {
        let text = serde_json::to_string(meta).expect("plain data");
        let sql = "INSERT INTO meta (key, value) VALUES (?1, ?2)
            ON CONFLICT(key) DO UPDATE SET value = excluded.value";
        self.execute(sql, &[&META, &text]).map(drop)
    }
}

/// Puts a damaged file out of the way, over one put away before, and returns where it is now.
pub fn put_aside(path: &Path) -> Result<PathBuf, Error> {
    let mut name = path.as_os_str().to_os_string();
    name.push(".corrupt");
    let aside = PathBuf::from(name);
    fs::rename(path, &aside).map_err(Error::io(path))?;
    let mut journal = path.as_os_str().to_os_string();
    journal.push("-journal");
    // It belongs to the damaged file; there may be none.
    let _ = fs::remove_file(journal);
    Ok(aside)
}

/// Removes what killed rebuilds left beside `path`.
pub fn sweep(path: &Path) {
    let (Some(dir), Some(name)) = (path.parent(), path.file_name()) else {
        return;
    };
    let prefix = format!("{}.tmp-", name.to_string_lossy());
    let now = SystemTime::now();
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let is_old = || {
            let touched = entry.metadata().and_then(|meta| meta.modified()).ok()?;
            Some(now.duration_since(touched).ok()? > LEFTOVER)
        };
        if entry.file_name().to_string_lossy().starts_with(&prefix) && is_old() == Some(true) {
            // The next sweep comes.
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Milliseconds, as SQLite takes numbers.
pub fn now() -> i64 {
    i64::try_from(now_ms()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_file_is_known_as_such() {
        let dir = id::temp_dir("memory-store");
        let path = dir.join("main.sqlite");
        fs::write(
            &path,
            "not a database at all, but long enough to have a header\n".repeat(99),
        )
        .unwrap();
        let err = Store::open(&path).err().unwrap();
        assert!(err.is_damage(), "{err}");
        let aside = put_aside(&path).unwrap();
        assert!(aside.exists() && !path.exists());
        let store = Store::open(&path).unwrap();
        assert_eq!(store.meta().unwrap(), None);
        store.run("DROP TABLE chunks").unwrap();
        let err = store
            .number("SELECT count(*) FROM chunks", &[])
            .unwrap_err();
        assert!(err.is_damage(), "{err}");
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_transaction_that_fails_leaves_nothing() {
        let dir = id::temp_dir("memory-transaction");
        let store = Store::open(&dir.join("main.sqlite")).unwrap();
        let failed: Result<(), Error> = store.transaction(|| {
            store.execute("INSERT INTO meta VALUES ('a', 'b')", &[])?;
            Err(Error::Embedding("no".into()))
        });
        assert!(failed.is_err());
        assert_eq!(store.number("SELECT count(*) FROM meta", &[]).unwrap(), 0);
        fs::remove_dir_all(dir).unwrap();
    }
}
