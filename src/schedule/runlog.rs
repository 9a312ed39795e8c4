//! What a job's runs came to: `runs/<job id>.jsonl` beside the job file, a line each.
//!
//! Above two megabytes only the last two thousand lines are kept, and no more than a megabyte.

use super::Error;
use crate::base::{atomic, jsonl};
use crate::session::tail::Tail;
use crate::wire::gateway::cron::{Finished, Status};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// The original's bounds.
const MAX_BYTES: u64 = 2_000_000;
const KEPT_LINES: usize = 2_000;
/// How far back a reader looks: a file that has not been cut yet, and a last long line.
const READ_BYTES: u64 = 2 * MAX_BYTES;
/// Bytes of an id that names a file.
const MAX_ID: usize = 200;

/// The log of job `id` beside the job file `store`; `None` for ids that name no plain file.
fn path(store: &Path, id: &str) -> Option<PathBuf> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let good = (1..=MAX_ID).contains(&id.len()) && id.chars().all(plain) && !id.starts_with('.');
    good.then(|| store.with_file_name("runs").join(format!("{id}.jsonl")))
}

/// Adds a line; on the disk when this returns.
pub fn append(store: &Path, line: &Finished) -> Result<(), Error> {
    let Some(path) = path(store, &line.job_id) else {
        return Ok(());
    };
    let fail = |err: io::Error| Error::File {
        path: path.clone(),
        why: err.to_string(),
    };
    let folder = path.parent().unwrap_or(&path);
    atomic::create_private_dir(folder).map_err(fail)?;
    let whole = |bytes: &[u8]| serde_json::from_slice::<Finished>(bytes).is_ok();
    let mut file = jsonl::open_append(&path, whole).map_err(fail)?;
    jsonl::append(&mut file, &jsonl::line(line)).map_err(fail)?;
    file.sync_data().map_err(fail)?;
    if file.metadata().map_err(fail)?.len() > MAX_BYTES {
        prune(&path).map_err(fail)?;
    }
    Ok(())
}

fn prune(path: &Path) -> io::Result<()> {
    let mut lines: Vec<Vec<u8>> = Vec::new();
    let mut size = 0;
    Tail::open(File::open(path)?, READ_BYTES)?.each(|line| {
        size += line.len();
        lines.push(line.to_vec());
        // Long lines: half is cut, so that not every run cuts.
        lines.len() < KEPT_LINES && size < MAX_BYTES as usize / 2
    })?;
    let mut bytes = Vec::new();
    for line in lines.iter().rev() {
        bytes.extend_from_slice(line);
        bytes.push(b'\n');
    }
    atomic::write(path, &bytes)
}

/// The last `limit` runs, oldest first; none for a job that never ran.
pub fn read(store: &Path, id: &str, limit: usize) -> Result<Vec<Finished>, Error> {
    let mut found = Vec::new();
    each(store, id, |line| {
        found.push(line);
        found.len() < limit
    })?;
    found.reverse();
    Ok(found)
}

/// Failures in a row at the end of the log, of runs at or after `since`.
pub fn failures(store: &Path, id: &str, since: u64) -> Result<usize, Error> {
    let mut count = 0;
    each(store, id, |line| {
        let counts = line.status == Some(Status::Error) && line.run_at_ms >= Some(since);
        count += usize::from(counts);
        counts
    })?;
    Ok(count)
}

/// Calls `take` with the runs, last first, until it returns false.
fn each(store: &Path, id: &str, mut take: impl FnMut(Finished) -> bool) -> Result<(), Error> {
    let Some(path) = path(store, id) else {
        return Ok(());
    };
    let read = File::open(&path).and_then(|file| {
        Tail::open(file, READ_BYTES)?.each(|line| match serde_json::from_slice::<Finished>(line) {
            Ok(line) if line.action == "finished" && line.job_id == id => take(line),
            _ => true,
        })
    });
    match read {
        Err(err) if err.kind() != io::ErrorKind::NotFound => Err(Error::File {
            path,
            why: err.to_string(),
        }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(run_at: u64, status: Status) -> Finished {
        Finished {
            ts: run_at + 1,
            job_id: "j".into(),
            action: "finished".into(),
            status: Some(status),
            error: None,
            summary: None,
            run_at_ms: Some(run_at),
            duration_ms: Some(1),
            next_run_at_ms: None,
        }
    }

    #[test]
    fn the_last_runs_come_oldest_first_and_failures_are_counted() {
        let dir = crate::base::id::temp_dir("runlog");
        let store = dir.join("jobs.json");
        for (at, status) in [
            (1, Status::Error),
            (2, Status::Ok),
            (3, Status::Error),
            (4, Status::Error),
        ] {
            append(&store, &line(at, status)).unwrap();
        }
        let runs = read(&store, "j", 3).unwrap();
        assert_eq!(
            runs.iter()
                .map(|r| r.run_at_ms.unwrap())
                .collect::<Vec<_>>(),
            [2, 3, 4]
        );
        assert_eq!(failures(&store, "j", 0).unwrap(), 2);
        assert_eq!(failures(&store, "j", 4).unwrap(), 1);
        assert_eq!(
            std::fs::read_to_string(dir.join("runs/j.jsonl"))
                .unwrap()
                .lines()
                .next()
                .unwrap(),
            r#"{"ts":2,"jobId":"j","action":"finished","status":"error","runAtMs":1,"durationMs":1}"#
        );
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn ids_that_are_no_plain_names_have_no_runs() {
        let dir = crate::base::id::temp_dir("runlog");
        let store = dir.join("cron/jobs.json");
        for id in ["../../x", "/etc/passwd", "", ".hidden", "a/b", "nope"] {
            assert!(read(&store, id, 10).unwrap().is_empty(), "{id:?}");
        }
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_long_log_is_cut_to_its_last_lines() {
        let dir = crate::base::id::temp_dir("runlog");
        let store = dir.join("jobs.json");
        append(&store, &line(0, Status::Ok)).unwrap();
        let long = Finished {
            summary: Some("x".repeat(1_000)),
            ..line(1, Status::Ok)
        };
        let file = dir.join("runs/j.jsonl");
        std::fs::write(&file, jsonl::line(&long).repeat(2_500)).unwrap();
        append(&store, &line(2, Status::Ok)).unwrap();
        let text = std::fs::read_to_string(&file).unwrap();
        assert!((800..1_000).contains(&text.lines().count()));
        assert_eq!(read(&store, "j", 1).unwrap()[0].run_at_ms, Some(2));
        std::fs::remove_dir_all(dir).unwrap();
    }
}
