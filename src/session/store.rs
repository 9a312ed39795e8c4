//! All sessions of a state directory: one `Index` per `sessions.json`, opened when first asked for,
//! and the one thread that writes small changes behind.

use super::index::{Change, Index, Named};
use super::key::{self, Defaults};
use super::{Entry, Error, link};
use crate::base::atomic::Durability;
use crate::config::{Config, Paths};
use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::Duration;

/// How long small changes gather before they are written; a bound on what `kill -9` can lose.
const GATHER: Duration = Duration::from_millis(100);
/// Pause after a failed write (disk full, lock kept by another program).
const RETRY: Duration = Duration::from_secs(2);
/// The writer formats whole stores on the heap and recurses only as deep as JSON nests.
const WRITER_STACK: usize = 256 * 1024;

/// The sessions of one state directory. Cheap to share in an `Arc`; every method may be called from
/// any thread.
pub struct Store {
    paths: Paths,
    /// `session.store` of the configuration, with `{agentId}` and `~`.
    template: Option<String>,
    defaults: RwLock<Defaults>,
    indexes: Mutex<BTreeMap<PathBuf, Arc<Index>>>,
    pub(super) transcripts: super::transcript::Open,
    behind: Arc<Behind>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

/// What the writer thread is told.
#[derive(Default)]
struct Behind {
    state: Mutex<Pending>,
    wake: Condvar,
}

#[derive(Default)]
struct Pending {
    indexes: Vec<Arc<Index>>,
    /// Transcripts whose turn ended, to be put on the disk.
    files: Vec<PathBuf>,
    stop: bool,
}

/// Which sessions `list` returns.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only this agent's.
    pub agent: Option<String>,
    pub limit: Option<usize>,
    /// Only those with `updatedAt` at or after this time.
    pub since_ms: Option<u64>,
    pub include_global: bool,
    pub include_unknown: bool,
    pub label: Option<String>,
    pub spawned_by: Option<String>,
    /// Found in display name, label, subject, session id or key, in any case.
    pub search: Option<String>,
}

impl Store {
    pub fn open(paths: &Paths, config: &Config) -> Store {
        Store {
            paths: paths.clone(),
            template: config.session.store.clone(),
            defaults: RwLock::new(Defaults::of(config)),
            indexes: Mutex::default(),
            transcripts: Default::default(),
            behind: Arc::default(),
            writer: Mutex::default(),
        }
    }

    /// Takes a new configuration's default agent and scope; the store's place needs a restart.
    pub fn reconfigure(&self, config: &Config) {
        *self
            .defaults
            .write()
            .unwrap_or_else(PoisonError::into_inner) = Defaults::of(config);
    }

    pub fn defaults(&self) -> Defaults {
        self.defaults
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The canonical form of a key from outside.
    pub fn canonical(&self, key: &str) -> String {
        key::canonical(key, &self.defaults())
    }

    /// The agent whose store holds `key`.
    pub fn agent_of(&self, key: &str) -> String {
        key::agent_of(key).map_or_else(|| self.defaults().agent, str::to_string)
    }

    pub fn paths(&self) -> &Paths {
        &self.paths
    }

    /// `sessions.json` of `agent`.
    pub fn path(&self, agent: &str) -> PathBuf {
        match &self.template {
            None => self.paths.sessions(agent).join("sessions.json"),
            Some(template) => {
                let place = template.replace("{agentId}", agent);
                match place.strip_prefix("~/") {
                    Some(rest) => self.paths.home.join(rest),
                    None => PathBuf::from(place),
                }
            }
        }
    }

    /// The one store all agents share, when the configuration says so.
    pub fn shared_path(&self) -> Option<PathBuf> {
        let template = self.template.as_ref()?;
        (!template.contains("{agentId}")).then(|| self.path(key::DEFAULT_AGENT))
    }

    /// The entry under a canonical key.
    pub fn entry(&self, key: &str) -> Result<Option<Arc<Entry>>, Error> {
        self.index(&self.agent_of(key)).get(key)
    }

    /// Changes (or creates) an entry. A new entry or a new session id is on disk when this returns;
    /// other changes are visible at once and written within a fraction of a second. `updatedAt`
    /// never goes back.
    pub fn update(&self, key: &str, change: impl FnOnce(&mut Entry)) -> Result<Arc<Entry>, Error> {
        let index = self.index(&self.agent_of(key));
        let (entry, done) = index.update(key, change)?;
        match done {
            Change::None => {}
            Change::Pending => self.write_behind(index),
            Change::Durable => self.relink(key, &entry),
        }
        Ok(entry)
    }

    /// Like `update`, but always on disk when it returns: for what a user set.
    pub fn patch(&self, key: &str, change: impl FnOnce(&mut Entry)) -> Result<Arc<Entry>, Error> {
        let index = self.index(&self.agent_of(key));
        let (entry, done) = index.update(key, change)?;
        match done {
            Change::None => {}
            Change::Pending => index.write(Durability::Disk)?,
            Change::Durable => self.relink(key, &entry),
        }
        Ok(entry)
    }

    /// Takes an entry away; its transcript stays.
    pub fn remove(&self, key: &str) -> Result<Option<Arc<Entry>>, Error> {
        self.index(&self.agent_of(key)).remove(key)
    }

    /// Matching sessions, newest first.
    pub fn list(&self, filter: &Filter) -> Result<Vec<Named>, Error> {
        let search = filter
            .search
            .as_ref()
            .map(|text| text.trim().to_lowercase());
        let agents = match &filter.agent {
            Some(agent) => vec![agent.clone()],
            None => self.agents(),
        };
        let mut found = Vec::new();
        let mut seen: Vec<PathBuf> = Vec::new();
        for agent in agents {
            let index = self.index(&agent);
            if seen.iter().any(|path| path == index.path()) {
                continue;
            }
            seen.push(index.path().to_path_buf());
            found.append(&mut index.select(|key, entry| {
                filter.admits(key, entry)
                    && search.as_ref().is_none_or(|text| matches(text, key, entry))
            })?);
        }
        found.sort_by_key(|(_, entry)| std::cmp::Reverse(entry.updated_at));
        found.truncate(filter.limit.unwrap_or(usize::MAX));
        Ok(found)
    }

    /// How many sessions there are, without the bare keys.
    pub fn count(&self) -> Result<usize, Error> {
        Ok(self.list(&Filter::default())?.len())
    }

    /// Sessions whose current transcript is `id` (more than one only after hand edits).
    pub fn by_session_id(&self, id: &str) -> Result<Vec<Named>, Error> {
        self.find(|_, entry| entry.session_id.as_deref() == Some(id))
    }

    pub fn by_label(&self, label: &str) -> Result<Vec<Named>, Error> {
        self.find(|_, entry| entry.label.as_deref() == Some(label))
    }

    fn find(&self, keep: impl Fn(&str, &Entry) -> bool) -> Result<Vec<Named>, Error> {
        let mut found = Vec::new();
        for agent in self.agents() {
            found.append(&mut self.index(&agent).select(&keep)?);
            if self.shared_path().is_some() {
                break;
            }
        }
        Ok(found)
    }

    /// Agents that have a folder, and the default one. Links among them are aliases, not agents.
    pub fn agents(&self) -> Vec<String> {
        let mut agents = vec![self.defaults().agent];
        if let Ok(folder) = std::fs::read_dir(self.paths.state.join("agents")) {
            for entry in folder.flatten() {
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    if let Ok(name) = entry.file_name().into_string() {
                        if !agents.contains(&name) {
                            agents.push(name);
                        }
                    }
                }
            }
        }
        agents
    }

    /// Writes everything pending now.
    pub fn flush(&self) -> Result<(), Error> {
        let indexes: Vec<_> = lock(&self.indexes).values().cloned().collect();
        indexes
            .iter()
            .try_for_each(|index| index.write(Durability::Disk))
    }

    pub(super) fn index(&self, agent: &str) -> Arc<Index> {
        let path = self.path(agent);
        lock(&self.indexes)
            .entry(path)
            .or_insert_with_key(|path| {
                let name = match self.template {
                    None => agent.to_string(),
                    Some(_) => crate::base::hex::sha256(path.as_os_str().as_encoded_bytes())[..16]
                        .to_string(),
                };
                let ours = self.paths.ours().join(format!("sessions-{name}.lock"));
                Arc::new(Index::new(path.clone(), ours, agent.to_string()))
            })
            .clone()
    }

    /// The folder of `agent`'s transcripts, wherever its store is.
    pub fn folder(&self, agent: &str) -> PathBuf {
        self.paths.sessions(agent)
    }

    fn relink(&self, key: &str, entry: &Entry) {
        let agent = self.agent_of(key);
        if let Some(id) = entry
            .session_id
            .as_deref()
            .filter(|_| key == key::main_key(&agent))
        {
            let file = self
                .transcript_file(key, entry)
                .unwrap_or_else(|| self.folder(&agent).join(format!("{id}.jsonl")));
            link::main(&self.paths, &agent, Path::new(&file));
        }
    }

    /// Puts a file or folder on the disk without keeping the turn waiting for it. By name: a copy
    /// of the open file would keep its lock.
    pub(super) fn sync_behind(&self, path: &Path) {
        let mut pending = lock(&self.behind.state);
        if !pending.files.iter().any(|other| other == path) {
            pending.files.push(path.to_path_buf());
            self.behind.wake.notify_one();
        }
        drop(pending);
        self.start_writer();
    }

    fn write_behind(&self, index: Arc<Index>) {
        let mut pending = lock(&self.behind.state);
        if !pending
            .indexes
            .iter()
            .any(|other| Arc::ptr_eq(other, &index))
        {
            pending.indexes.push(index);
            self.behind.wake.notify_one();
        }
        drop(pending);
        self.start_writer();
    }

    fn start_writer(&self) {
        let mut writer = lock(&self.writer);
        if writer.is_none() {
            let behind = self.behind.clone();
            let thread = std::thread::Builder::new()
                .name("session-writer".into())
                .stack_size(WRITER_STACK)
                .spawn(move || behind.run());
            match thread {
                Ok(thread) => *writer = Some(thread),
                // The next change tries again, and `flush` writes whatever is left.
                Err(err) => log::warn!("no thread to write sessions behind: {err}"),
            }
        }
    }
}

impl Behind {
    fn run(&self) {
        loop {
            let mut pending = lock(&self.state);
            while pending.indexes.is_empty() && pending.files.is_empty() && !pending.stop {
                pending = self
                    .wake
                    .wait(pending)
                    .unwrap_or_else(PoisonError::into_inner);
            }
            let files = std::mem::take(&mut pending.files);
            drop(pending);
            for path in files {
                if let Err(err) = File::open(&path).and_then(|file| file.sync_all()) {
                    log::error!("cannot put {} on the disk: {err}", path.display());
                }
            }
            let pending = lock(&self.state);
            if pending.stop {
                return;
            }
            if pending.indexes.is_empty() {
                continue;
            }
            drop(self.pause(pending, GATHER));
            let indexes = std::mem::take(&mut lock(&self.state).indexes);
            for index in indexes {
                if let Err(err) = index.write(Durability::PageCache) {
                    log::error!("{err}; trying again");
                    let mut pending = lock(&self.state);
                    pending.indexes.push(index);
                    drop(self.pause(pending, RETRY));
                }
            }
        }
    }

    fn pause<'a>(
        &self,
        pending: MutexGuard<'a, Pending>,
        time: Duration,
    ) -> MutexGuard<'a, Pending> {
        self.wake
            .wait_timeout_while(pending, time, |pending| !pending.stop)
            .unwrap_or_else(PoisonError::into_inner)
            .0
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        lock(&self.behind.state).stop = true;
        self.behind.wake.notify_all();
        if let Some(writer) = lock(&self.writer).take() {
            // A panic there has been reported already.
            let _ = writer.join();
        }
        if let Err(err) = self.flush() {
            log::error!("{err}");
        }
    }
}

impl Filter {
    fn admits(&self, key: &str, entry: &Entry) -> bool {
        let bare = key == key::GLOBAL || key == key::UNKNOWN;
        (self.include_global || key != key::GLOBAL)
            && (self.include_unknown || key != key::UNKNOWN)
            && self
                .agent
                .as_ref()
                .is_none_or(|agent| key::agent_of(key) == Some(agent))
            && self
                .since_ms
                .is_none_or(|since| entry.updated_at.unwrap_or(0) >= since)
            && self
                .label
                .as_ref()
                .is_none_or(|label| entry.label.as_ref() == Some(label))
            && self
                .spawned_by
                .as_ref()
                .is_none_or(|by| !bare && entry.spawned_by.as_ref() == Some(by))
    }
}

fn matches(text: &str, key: &str, entry: &Entry) -> bool {
    let fields = [
        entry.display_name.as_deref(),
        entry.label.as_deref(),
        entry.subject.as_deref(),
        entry.session_id.as_deref(),
        Some(key),
    ];
    fields
        .iter()
        .flatten()
        .any(|field| field.to_lowercase().contains(text))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
