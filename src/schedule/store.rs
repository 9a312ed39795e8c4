//! The job file, `cron/jobs.json`: read as JSON5, written whole as the original writes it, with a
//! copy beside it.
//!
//! One gateway owns it at a time (`jobs.json.lock`). A file that cannot be read is kept aside and
//! the copy taken instead; a job that cannot be understood stays in the file as it is.

use super::{Error, input};
use crate::base::time::now_ms;
use crate::base::{atomic, lock};
use crate::config::text;
use crate::session::stamp::Stamp;
use crate::wire::gateway::cron::Job;
use serde::Serialize;
use serde_json::Value;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Far more than `MAX_JOBS` of them are long; more is not a job file.
const MAX_FILE: u64 = 64 * 1024 * 1024;
/// An old core may still be on its way out when the new one starts.
const LOCK_PATIENCE: Duration = Duration::from_secs(5);

/// The jobs of a file.
#[derive(Debug, Default)]
pub struct Book {
    pub jobs: Vec<Job>,
    /// Entries that are no job to us.
    strange: Vec<Value>,
    /// Reading brought some up to date: the file should be written.
    pub changed: bool,
}

#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    lock: Option<lock::Lock>,
    /// The file as we read or wrote it last.
    known: Option<Stamp>,
    read_once: bool,
}

#[derive(Serialize)]
struct Whole<'a> {
    version: u8,
    jobs: Vec<Entry<'a>>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Entry<'a> {
    Job(&'a Job),
    Strange(&'a Value),
}

impl Store {
    pub fn new(path: PathBuf) -> Store {
        Store {
            path,
            lock: None,
            known: None,
            read_once: false,
        }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// It has not been read, or somebody else has written the file since.
    pub fn is_stale(&self) -> bool {
        !self.read_once || Stamp::of(&self.path).is_ok_and(|now| now != self.known)
    }

    /// The jobs of the file; none when there is no file.
    pub fn read(&mut self) -> Result<Book, Error> {
        let found = Stamp::of(&self.path).map_err(|err| self.fail(err))?;
        if found.is_none() {
            self.known = None;
            self.read_once = true;
            return Ok(Book::default());
        }
        self.take_lock()?;
        match book(&self.path) {
            Ok(book) => {
                self.known = found;
                self.read_once = true;
                Ok(book)
            }
            Err(Unusable::Gone(why)) => Err(Error::File {
                path: self.path.clone(),
                why,
            }),
            Err(Unusable::Damaged(why)) => self.recover(&why),
        }
    }

    fn recover(&mut self, why: &str) -> Result<Book, Error> {
        let name = |suffix: String| {
            let mut name = self.path.clone().into_os_string();
            name.push(suffix);
            PathBuf::from(name)
        };
        let (aside, copy) = (name(format!(".damaged-{}", now_ms())), self.copy());
        log::error!(
            "{}: {why}; kept as {}",
            self.path.display(),
            aside.display()
        );
        fs::rename(&self.path, &aside).map_err(|err| self.fail(err))?;
        self.known = None;
        self.read_once = true;
        let mut found = match book(&copy) {
            Ok(book) => {
                log::warn!("{} jobs taken from {}", book.jobs.len(), copy.display());
                book
            }
            Err(_) => Book::default(),
        };
        found.changed = true;
        Ok(found)
    }

    /// Writes the jobs; on the disk when this returns.
    pub fn write(&mut self, book: &Book) -> Result<(), Error> {
        self.take_lock()?;
        let jobs = book.jobs.iter().map(Entry::Job);
        let whole = Whole {
            version: 1,
            jobs: jobs
                .chain(book.strange.iter().map(Entry::Strange))
                .collect(),
        };
        let bytes = serde_json::to_vec_pretty(&whole).expect("jobs are plain data");
        atomic::write(&self.path, &bytes).map_err(|err| self.fail(err))?;
        self.known = Stamp::of(&self.path).map_err(|err| self.fail(err))?;
        if let Err(err) = fs::copy(&self.path, self.copy()) {
            log::warn!("{}: {err}", self.copy().display());
        }
        Ok(())
    }

    fn copy(&self) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(".bak");
        PathBuf::from(name)
    }

    fn take_lock(&mut self) -> Result<(), Error> {
        if self.lock.is_none() {
            let mut name = self.path.clone().into_os_string();
            name.push(".lock");
            let held = lock::take(Path::new(&name), "core", LOCK_PATIENCE);
            self.lock = Some(held.map_err(|err| Error::Held(err.to_string()))?);
        }
        Ok(())
    }

    fn fail(&self, err: io::Error) -> Error {
        Error::File {
            path: self.path.clone(),
            why: err.to_string(),
        }
    }
}

enum Unusable {
    /// It cannot be read now; it may be fine.
    Gone(String),
    Damaged(String),
}

fn book(path: &Path) -> Result<Book, Unusable> {
    let gone = |err: io::Error| Unusable::Gone(err.to_string());
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(gone)?;
    file.take(MAX_FILE + 1)
        .read_to_end(&mut bytes)
        .map_err(gone)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(Unusable::Gone(format!("larger than {MAX_FILE} bytes")));
    }
    let text = String::from_utf8(bytes).map_err(|err| Unusable::Damaged(err.to_string()))?;
    let whole = text::parse(&text).map_err(Unusable::Damaged)?;
    let Some(Value::Array(entries)) = whole.get("jobs").cloned() else {
        return Err(Unusable::Damaged("it has no list of jobs".into()));
    };
    let mut book = Book::default();
    for mut entry in entries {
        let untouched = entry.clone();
        if let Some(map) = entry.as_object_mut() {
            book.changed |= input::stored(map, now_ms());
        }
        match serde_json::from_value::<Job>(entry) {
            Ok(job) if !job.id.is_empty() => book.jobs.push(job),
            Ok(_) => book.strange.push(untouched),
            Err(err) => {
                log::warn!("{}: a job is passed over: {err}", path.display());
                book.strange.push(untouched);
            }
        }
    }
    Ok(book)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the original left it.
    const SAMPLE: &str = r#"{
  "version": 1,
  "jobs": [
    {
      "id": "2930158f-7ec9-435e-8a72-09b2abf5925e",
      "name": "Sample hourly",
      "enabled": true,
      "createdAtMs": 1795239781687,
      "updatedAtMs": 1795239787415,
      "schedule": {
        "kind": "every",
        "everyMs": 3600000
      },
      "sessionTarget": "isolated",
      "wakeMode": "next-heartbeat",
      "payload": {
        "kind": "agentTurn",
        "message": "cron turn"
      },
      "delivery": {
        "mode": "none",
        "channel": "last"
      },
      "state": {
        "nextRunAtMs": 1795243387563,
        "lastRunAtMs": 1795239787415,
        "lastStatus": "ok",
        "lastDurationMs": 148
      }
    }
  ]
}"#;

    fn at(dir: &Path) -> Store {
        Store::new(dir.join("cron/jobs.json"))
    }

    fn folder() -> PathBuf {
        let dir = crate::base::id::temp_dir("cron");
        fs::create_dir(dir.join("cron")).unwrap();
        dir
    }

    #[test]
    fn the_file_of_the_original_is_written_back_byte_for_byte() {
        let dir = folder();
        fs::write(dir.join("cron/jobs.json"), SAMPLE).unwrap();
        let mut store = at(&dir);
        let book = store.read().unwrap();
        assert!(!book.changed && !store.is_stale());
        store.write(&book).unwrap();
        for name in ["jobs.json", "jobs.json.bak"] {
            let text = fs::read_to_string(dir.join("cron").join(name)).unwrap();
            assert_eq!(text, SAMPLE, "{name}");
        }
        fs::write(dir.join("cron/jobs.json"), "{jobs:[], /* mine */}").unwrap();
        assert!(store.is_stale());
        assert!(store.read().unwrap().jobs.is_empty());
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_damaged_file_is_kept_aside_and_the_copy_taken() {
        let dir = folder();
        fs::write(dir.join("cron/jobs.json.bak"), SAMPLE).unwrap();
        fs::write(dir.join("cron/jobs.json"), &SAMPLE[..200]).unwrap();
        let book = at(&dir).read().unwrap();
        assert_eq!((book.jobs.len(), book.changed), (1, true));
        let names: Vec<String> = fs::read_dir(dir.join("cron"))
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        assert!(
            names.iter().any(|n| n.starts_with("jobs.json.damaged-")),
            "{names:?}"
        );
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn what_is_no_job_to_us_stays_in_the_file() {
        let dir = folder();
        let text = SAMPLE.replacen(
            "\"jobs\": [",
            "\"jobs\": [{\"id\":\"y\",\"schedule\":{\"kind\":\"moon\"}},",
            1,
        );
        fs::write(dir.join("cron/jobs.json"), text).unwrap();
        let mut store = at(&dir);
        let book = store.read().unwrap();
        assert_eq!(book.jobs.len(), 1);
        store.write(&book).unwrap();
        let text = fs::read_to_string(dir.join("cron/jobs.json")).unwrap();
        assert!(text.contains("\"moon\""));
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_second_owner_is_refused() {
        let dir = folder();
        let mut first = at(&dir);
        first.write(&Book::default()).unwrap();
        let held = lock::try_take(&dir.join("cron/jobs.json.lock"), "core");
        assert!(held.is_err());
        fs::remove_dir_all(dir).unwrap();
    }
}
