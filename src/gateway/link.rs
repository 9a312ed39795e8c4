//! The core's end of the line to the supervisor: which children should run, how those that do are,
//! and the words that begin and end this process.

use crate::base::jsonl;
use crate::wire::control::{ChildState, MAX_LINE, ToCore, ToSupervisor, Worker};
use std::collections::BTreeMap;
use std::io::{self, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

/// How one child is, as last told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Child {
    pub state: ChildState,
    pub pid: Option<u32>,
    /// How it last ended: `exit 1`, `signal 9`.
    pub exit: Option<String>,
    pub restarts: u32,
    pub next_start_ms: Option<u64>,
}

/// Without `attach` (in tests) what is said is dropped and no child is known.
#[derive(Default)]
pub struct Supervisor {
    stream: OnceLock<Mutex<UnixStream>>,
    children: Mutex<BTreeMap<String, Child>>,
    wanted: Mutex<Vec<Worker>>,
}

impl Supervisor {
    /// From now on lines go to `stream`. A second call changes nothing.
    pub fn attach(&self, stream: UnixStream) {
        let _ = self.stream.set(Mutex::new(stream));
    }

    /// The whole set of children that should run now.
    pub fn want(&self, workers: Vec<Worker>) {
        *lock(&self.wanted) = workers.clone();
        self.say(&ToSupervisor::Want { workers });
    }

    /// Adds one to the wanted set, or replaces the one of its id. Wanting what is wanted already
    /// says nothing.
    pub fn want_also(&self, worker: Worker) {
        let workers = {
            let mut wanted = lock(&self.wanted);
            match wanted.iter_mut().find(|have| have.id == worker.id) {
                Some(have) if *have == worker => return,
                Some(have) => *have = worker,
                None => wanted.push(worker),
            }
            wanted.clone()
        };
        self.say(&ToSupervisor::Want { workers });
    }

    /// Takes one out of the wanted set.
    pub fn unwant(&self, id: &str) {
        let workers = {
            let mut wanted = lock(&self.wanted);
            let before = wanted.len();
            wanted.retain(|have| have.id != id);
            if wanted.len() == before {
                return;
            }
            wanted.clone()
        };
        self.say(&ToSupervisor::Want { workers });
    }

    /// Ends a child of a core before us; what we want ourselves is `unwant`ed.
    pub fn part(&self, id: &str) {
        self.say(&ToSupervisor::Part { id: id.into() });
    }

    /// Says at once what was wanted before there was a line to say it on.
    pub fn announce(&self) {
        let workers = lock(&self.wanted).clone();
        if !workers.is_empty() {
            self.say(&ToSupervisor::Want { workers });
        }
    }

    pub fn ready(&self, status: String) {
        self.say(&ToSupervisor::Ready { status });
    }

    /// This core asks to be replaced; a `stop` follows.
    pub fn restart(&self, reason: &str) {
        self.say(&ToSupervisor::Restart {
            reason: reason.into(),
        });
    }

    /// The gateway is to end; a `stop` follows.
    pub fn stop(&self, reason: &str) {
        self.say(&ToSupervisor::Stop {
            reason: reason.into(),
        });
    }

    pub fn children(&self) -> BTreeMap<String, Child> {
        lock(&self.children).clone()
    }

    pub fn child(&self, id: &str) -> Option<Child> {
        lock(&self.children).get(id).cloned()
    }

    /// The id of the running child with this pid: who a peer on the workers' socket is.
    pub fn child_of_pid(&self, pid: u32) -> Option<String> {
        lock(&self.children)
            .iter()
            .find(|(_, child)| child.pid == Some(pid))
            .map(|(id, _)| id.clone())
    }

    /// Keeps what a `child` line says.
    pub(super) fn told(&self, id: String, child: Child) {
        let mut children = lock(&self.children);
        match child.state {
            ChildState::Stopped if child.exit.is_none() => {
                children.remove(&id);
            }
            _ => {
                children.insert(id, child);
            }
        }
    }

    fn say(&self, line: &ToSupervisor) {
        let Some(stream) = self.stream.get() else {
            return;
        };
        // When it fails the supervisor is gone, which the reading thread notices and acts on.
        if let Err(err) = lock(stream).write_all(&jsonl::line(line)) {
            log::debug!("supervisor: {err}");
        }
    }
}

/// One line of the supervisor; `None` when it has closed the link.
pub fn next(reader: &mut BufReader<UnixStream>, line: &mut Vec<u8>) -> io::Result<Option<ToCore>> {
    if !jsonl::read_line(reader, line, MAX_LINE)? {
        return Ok(None);
    }
    serde_json::from_slice(line)
        .map(Some)
        .map_err(io::Error::from)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::BufRead;

    #[test]
    fn a_child_once_wanted_is_not_asked_for_again() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let supervisor = Supervisor::default();
        supervisor.want(vec![]);
        supervisor.attach(ours);
        let exec = Worker {
            id: "exec".into(),
            argv: vec!["openclaw-exec".into()],
            limits: Default::default(),
        };
        supervisor.want_also(exec.clone());
        supervisor.want_also(exec);
        supervisor.unwant("other");
        supervisor.unwant("exec");
        drop(supervisor);
        let lines: Vec<String> = BufReader::new(theirs).lines().map(Result::unwrap).collect();
        assert_eq!(
            lines,
            [
                r#"{"op":"want","workers":[{"id":"exec","argv":["openclaw-exec"],"limits":{}}]}"#,
                r#"{"op":"want","workers":[]}"#
            ]
        );
    }

    #[test]
    fn a_peer_is_known_by_the_pid_its_child_has() {
        let supervisor = Supervisor::default();
        let child = |pid| Child {
            state: ChildState::Running,
            pid,
            exit: None,
            restarts: 0,
            next_start_ms: None,
        };
        supervisor.told("telegram/default".into(), child(Some(7)));
        assert_eq!(
            supervisor.child_of_pid(7).as_deref(),
            Some("telegram/default")
        );
        supervisor.told("telegram/default".into(), child(None));
        assert_eq!(supervisor.child_of_pid(7), None);
    }
}
