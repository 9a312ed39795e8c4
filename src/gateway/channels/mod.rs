//! Channels: which accounts have a worker, the links to the workers (`link`), what they heard and
//! nobody has answered yet (`inbox`), what is to be sent (`outbox`), the way of a message through the
//! rules (`gate`) into a turn (`receive`) and of an answer out (`reply`). What a model reads of a
//! message is written in `context`; files come through `media`, and what was said in a group
//! meanwhile waits in `history`.
//!
//! A message is on disk here before its worker may forget it, and stays there until the answer is;
//! an answer stays until the worker says that the service has it. A core without channels has no
//! thread and no file for them.

pub mod accounts;
mod asking;
mod context;
mod gate;
mod history;
mod inbox;
mod labels;
mod link;
mod media;
mod outbox;
mod place;
mod receive;
mod reply;
mod status;

use super::core::Core;
use crate::agent::{command, route};
use crate::base::id;
use crate::channel::{foreign, worker};
use crate::session::key::sanitize_id;
use crate::wire::channel::{Capabilities, Command, Start, ToWorker};
use crate::wire::control::{Limits, Worker};
use accounts::Account;
use asking::{Answered, Asking};
use history::History;
use inbox::Inbox;
use link::Link;
use outbox::Outbox;
use reply::{Target, Words};
use serde_json::{Value, json};
use status::Board;
use std::collections::HashMap;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// One for each worker the supervisor would run, and a few that turn out to be nobody.
const MAX_LINKS: usize = 300;
/// After a failure to accept.
const PAUSE: Duration = Duration::from_millis(100);
const STACK: usize = 64 * 1024;
/// For a service to forget a login.
const LOGOUT: Duration = Duration::from_secs(20);
const TARGET: &str = "gateway/channels";

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
    history: History,
    asking: Asking,
    board: Board,
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

    /// What the service can do; of a worker that is not there, what anything can.
    fn capabilities(&self, id: &str) -> Capabilities {
        let link = self.link(id);
        link.map(|link| link.capabilities.clone())
            .unwrap_or_default()
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
    let config = core.config.current();
    let is_on = |switch: &str| config.value["commands"][switch] == true;
    let rows = command::TABLE.iter();
    let rows = rows.filter(|row| row.switch.is_none_or(is_on));
    let commands = rows.map(|row| Command {
        name: row.name.into(),
        description: row.about.into(),
    });
    ToWorker::Start(Box::new(Start {
        account: account.name.clone(),
        config: account.section.clone(),
        folder: own_folder(core, account),
        media_limit: media::limit(&account.kind, &account.section),
        commands: commands.collect(),
        ..Start::default()
    }))
}

/// The worker's own.
fn own_folder(core: &Core, account: &Account) -> PathBuf {
    worker::folder(core.config.paths(), &account.kind, &account.name).join("own")
}

/// Something that is to be said, by whoever wants it.
#[derive(Clone, Debug, Default)]
pub struct Order {
    pub kind: String,
    pub account: Option<String>,
    pub to: String,
    pub thread: Option<String>,
    pub text: String,
    pub media: Vec<String>,
    /// Whose workspace files come from.
    pub agent: Option<String>,
}

pub use status::status;

/// The account of a kind: the named one, else the default, else the only one.
pub fn find(core: &Core, kind: &str, account: Option<&str>) -> Result<Account, String> {
    let accounts = lock(&core.channels.accounts);
    let named = account.map(str::trim).filter(|name| !name.is_empty());
    let name = named.map_or_else(|| route::DEFAULT_ACCOUNT.to_string(), sanitize_id);
    if let Some(found) = accounts.get(&format!("{kind}/{name}")) {
        return Ok(found.clone());
    }
    let mut ours = accounts.values().filter(|account| account.kind == kind);
    match (named, ours.next(), ours.next()) {
        (None, Some(only), None) => Ok(only.clone()),
        (_, None, _) => Err(format!("unsupported channel: {kind}")),
        _ => Err(format!("{kind} has no account {name:?} that is on")),
    }
}

/// Says it, once the service can be reached; on disk when this returns.
pub fn post(core: &Core, order: &Order) -> Result<(), String> {
    let (account, _) = place(core, order)?;
    outbox::hand_over(core, &account.id());
    Ok(())
}

/// The same, and `then` hears what became of it. An error is of the order, and the end of it.
pub fn send(
    core: &Arc<Core>,
    order: &Order,
    patience: Duration,
    then: Answered,
) -> Result<(), String> {
    let (account, ids) = place(core, order)?;
    // The others follow the first, or fail as it does.
    match ids.first() {
        Some(first) => core.channels.asking.expect(core, first, patience, then),
        None => then(Err("nothing of it can be sent there".into())),
    }
    outbox::hand_over(core, &account.id());
    Ok(())
}

/// Into the outbox, with the names of its parts.
fn place(core: &Core, order: &Order) -> Result<(Account, Vec<String>), String> {
    let account = find(core, &order.kind, order.account.as_deref())?;
    if order.to.is_empty() {
        return Err("nobody is named to send to".into());
    }
    if order.text.trim().is_empty() && order.media.is_empty() {
        return Err("message or media required".into());
    }
    let target = Target {
        to: order.to.clone(),
        thread: order.thread.clone(),
    };
    let words = Words {
        text: order.text.clone(),
        media: order.media.clone(),
        ..Words::default()
    };
    let agent = order.agent.as_deref();
    let ids = reply::put(core, &account, &target, None, &[words], agent);
    Ok((account, ids.map_err(|err| err.to_string())?))
}

/// Asks all that can be asked, `then` is called when the last has answered.
pub fn probe(core: &Arc<Core>, patience: Duration, then: Box<dyn FnOnce() + Send>) {
    let links: Vec<(String, Arc<Link>)> = lock(&core.channels.links)
        .iter()
        .filter(|(_, link)| link.capabilities.probe)
        .map(|(id, link)| (id.clone(), link.clone()))
        .collect();
    // Told when the last of those who hold it is gone.
    let last = Arc::new(Last(Mutex::new(Some(then))));
    for (account, link) in links {
        let (shared, held) = (core.clone(), last.clone());
        let question = id::uuid();
        let told = move |answer: Result<Value, String>| {
            let result = answer.unwrap_or_else(|why| json!({"ok": false, "error": why}));
            shared.channels.board.probed(&account, result);
            drop(held);
        };
        core.channels
            .asking
            .expect(core, &question, patience, Box::new(told));
        link.say(&ToWorker::Probe {
            id: question,
            timeout_ms: patience.as_millis() as u64,
        });
    }
}

struct Last(Mutex<Option<Box<dyn FnOnce() + Send>>>);

impl Drop for Last {
    fn drop(&mut self) {
        if let Some(then) = lock(&self.0).take() {
            then();
        }
    }
}

pub fn can_login(core: &Core, account: &Account) -> bool {
    core.channels.capabilities(&account.id()).login
}

pub fn logout(core: &Arc<Core>, account: &Account, then: Answered) {
    let question = id::uuid();
    core.channels.asking.expect(core, &question, LOGOUT, then);
    match core.channels.link(&account.id()) {
        Some(link) => link.say(&ToWorker::Logout { id: question }),
        None => {
            let gone = Err("its worker is not there".into());
            core.channels.asking.answer(&question, gone);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
