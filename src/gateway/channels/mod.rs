//! Channels: which accounts have a worker, the links to the workers (`link`), what they heard and
//! nobody has answered yet (`inbox`), what is to be sent (`outbox`), and the way of a message
//! through the rules into a turn (`receive`).
//!
//! A message is on disk here before its worker may forget it, and stays there until the answer is;
//! an answer stays until the worker says that the service has it. A core without channels has no
//! thread and no file for them.

pub mod accounts;
mod inbox;
mod link;
mod outbox;
mod receive;

use super::core::Core;
use crate::channel::{foreign, worker};
use crate::wire::channel::{Start, ToWorker};
use crate::wire::control::{Limits, Worker};
use accounts::Account;
use inbox::Inbox;
use link::Link;
use outbox::Outbox;
use std::collections::HashMap;
use std::os::unix::net::UnixListener;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// One for each worker the supervisor would run, and a few that turn out to be nobody.
const MAX_LINKS: usize = 300;
/// After a failure to accept.
const PAUSE: Duration = Duration::from_millis(100);
const STACK: usize = 64 * 1024;

#[derive(Default)]
pub struct Channels {
    /// Until somebody connects there has to be an account.
    listener: Mutex<Option<UnixListener>>,
    /// By the id of the account, as long as it is wanted.
    accounts: Mutex<HashMap<String, Account>>,
    links: Mutex<HashMap<String, Arc<Link>>>,
    open: AtomicUsize,
    inbox: Inbox,
    outbox: Outbox,
    waiting: receive::Waiting,
    closing: AtomicBool,
}

impl Channels {
    /// What runs from here on is stopped, not answered: the next core begins it again.
    pub fn stop(&self) {
        self.closing.store(true, Ordering::Release);
    }

    fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    pub fn account(&self, id: &str) -> Option<Account> {
        lock(&self.accounts).get(id).cloned()
    }

    fn link(&self, id: &str) -> Option<Arc<Link>> {
        lock(&self.links).get(id).cloned()
    }
}

/// Wants a worker for each account and none for others; an account whose settings changed is told
/// them, and no other notices.
pub fn follow(core: &Core) {
    let channels = &core.channels;
    let var = |name| std::env::var(name).ok();
    let (own, path) = (var("OPENCLAW_CHANNEL_PATH"), var("PATH"));
    let mut wanted = HashMap::new();
    for account in accounts::configured(&core.config.current()) {
        match foreign::find(&account.kind, own.as_deref(), path.as_deref()) {
            Some(_) => {
                wanted.insert(account.id(), account);
            }
            None => log::warn!(
                target: "gateway/channels",
                "{}: not started: this version has no such channel, and there is no program openclaw-channel-{}",
                account.id(), account.kind
            ),
        }
    }
    let before = std::mem::replace(&mut *lock(&channels.accounts), wanted.clone());
    for id in before.keys().filter(|id| !wanted.contains_key(*id)) {
        core.supervisor.unwant(id);
    }
    for (id, account) in &wanted {
        if before.get(id) == Some(account) {
            continue;
        }
        core.supervisor.want_also(Worker {
            id: id.clone(),
            argv: [
                "openclaw-channel",
                &account.kind,
                "--account",
                &account.name,
            ]
            .map(String::from)
            .to_vec(),
            limits: Limits::default(),
        });
        if let Some(link) = channels.link(id) {
            link.say(&begin(core, account));
        }
    }
}

/// Takes the listener, and what an earlier core left.
pub fn start(core: &Arc<Core>, listener: Option<UnixListener>) {
    *lock(&core.channels.listener) = listener;
    outbox::recover(core);
    receive::recover(core);
    listen(core);
}

/// The configuration changed.
pub fn reconfigure(core: &Arc<Core>) {
    follow(core);
    listen(core);
}

/// Accepts workers from when there is an account on.
fn listen(core: &Arc<Core>) {
    if lock(&core.channels.accounts).is_empty() {
        return;
    }
    let Some(listener) = lock(&core.channels.listener).take() else {
        return;
    };
    let core = core.clone();
    let thread = std::thread::Builder::new().name("channels".into());
    let started = thread.stack_size(STACK).spawn(move || {
        loop {
            match listener.accept() {
                Ok((stream, _)) => link::spawn(&core, stream),
                Err(err) => {
                    log::warn!(target: "gateway/channels", "workers.sock: {err}");
                    std::thread::sleep(PAUSE);
                }
            }
        }
    });
    if let Err(err) = started {
        log::error!(target: "gateway/channels", "no thread for channels: {err}");
    }
}

fn begin(core: &Core, account: &Account) -> ToWorker {
    let folder = worker::folder(core.config.paths(), &account.kind, &account.name);
    ToWorker::Start(Box::new(Start {
        account: account.name.clone(),
        config: account.section.clone(),
        folder: folder.join("own"),
        ..Start::default()
    }))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
