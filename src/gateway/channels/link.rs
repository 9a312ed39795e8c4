//! The link to one worker: who it is, what it says.
//!
//! Who connects is known by its pid: only a child that the supervisor runs for an account is one of
//! ours, and a pid belongs to it until the supervisor has reaped it and said so. What a worker says
//! is input of strangers inside lines of a sibling: a line that is no line ends the link, and the
//! worker comes again.

use super::super::core::Core;
use super::{MAX_LINKS, TARGET, begin, lock, outbox, receive};
use crate::base::jsonl;
use crate::base::sys::peer;
use crate::base::time::now_ms;
use crate::wire::channel::{Capabilities, MAX_LINE, PROTOCOL, ToCore, ToWorker};
use serde_json::json;
use std::io::{self, BufReader, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// For the supervisor to tell us of a child that is already here.
const TOLD: Duration = Duration::from_secs(2);
const LOOK: Duration = Duration::from_millis(5);
/// The first line is sent with the connection.
const HELLO: Duration = Duration::from_secs(10);
/// A line is parsed here, and a pattern that somebody configured for mentions. Only what is used of
/// it costs memory.
const STACK: usize = 512 * 1024;
/// A worker that does not take a line in this time is cut off; it comes again.
const WRITE: Duration = Duration::from_secs(30);

pub struct Link {
    stream: Mutex<UnixStream>,
    pub capabilities: Capabilities,
}

impl Link {
    /// What does not arrive is said again to the worker's next link.
    pub fn say(&self, line: &ToWorker) {
        let mut stream = lock(&self.stream);
        if let Err(err) = stream.write_all(&jsonl::line(line)) {
            log::debug!(target: TARGET, "a worker does not listen: {err}");
            // Wakes the thread that reads from it.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

pub fn spawn(core: &Arc<Core>, stream: UnixStream) {
    let open = &core.channels.open;
    if open.fetch_add(1, Ordering::AcqRel) >= MAX_LINKS {
        open.fetch_sub(1, Ordering::AcqRel);
        return log::warn!(target: TARGET, "too many connections on workers.sock");
    }
    let serving = core.clone();
    let thread = std::thread::Builder::new().name("worker".into());
    let started = thread.stack_size(STACK).spawn(move || {
        if let Err(why) = serve(&serving, stream) {
            log::warn!(target: TARGET, "{why}");
        }
        serving.channels.open.fetch_sub(1, Ordering::AcqRel);
    });
    if let Err(err) = started {
        open.fetch_sub(1, Ordering::AcqRel);
        log::error!(target: TARGET, "no thread for a worker: {err}");
    }
}

fn serve(core: &Arc<Core>, stream: UnixStream) -> Result<(), String> {
    let id = identify(core, &stream)?;
    let at = |err: io::Error| format!("{id}: {err}");
    stream.set_write_timeout(Some(WRITE)).map_err(at)?;
    stream.set_read_timeout(Some(HELLO)).map_err(at)?;
    let mut reader = BufReader::new(stream.try_clone().map_err(at)?);
    let mut line = Vec::new();
    let greeted = jsonl::read_line(&mut reader, &mut line, MAX_LINE).map_err(at)?;
    let hello = match serde_json::from_slice(&line) {
        Ok(ToCore::Hello(hello)) if greeted => hello,
        _ => return Err(format!("{id}: a worker did not say hello")),
    };
    if hello.protocol != PROTOCOL {
        return Err(format!("{id}: it speaks protocol {}", hello.protocol));
    }
    stream.set_read_timeout(None).map_err(at)?;
    let account = core.channels.account(&id);
    let account = account.ok_or_else(|| format!("{id}: not in the configuration any more"))?;
    log::info!(target: TARGET, "{id}: its worker is here");
    let link = Arc::new(Link {
        stream: Mutex::new(stream),
        capabilities: hello.capabilities,
    });
    lock(&core.channels.links).insert(id.clone(), link.clone());
    core.channels.board.started(&id);
    link.say(&begin(core, &account));
    outbox::linked(core, &id);
    let ended = listen(core, &id, &link, &mut reader);
    let ours = {
        let mut links = lock(&core.channels.links);
        let ours = links.get(&id).is_some_and(|now| Arc::ptr_eq(now, &link));
        if ours {
            links.remove(&id);
        }
        ours
    };
    if ours {
        outbox::unlinked(core, &id);
        core.channels
            .board
            .stopped(&id, ended.as_ref().err().map(String::as_str));
    }
    ended.map_err(|why| format!("{id}: {why}"))
}

fn identify(core: &Core, stream: &UnixStream) -> Result<String, String> {
    let who = peer::credentials(stream).map_err(|err| format!("workers.sock: {err}"))?;
    let pid = who.pid.filter(|_| who.uid == peer::own_uid());
    let pid = pid.ok_or("workers.sock: somebody who is not of this gateway")?;
    let began = Instant::now();
    loop {
        let child = core.supervisor.child_of_pid(pid);
        match child.filter(|id| core.channels.account(id).is_some()) {
            Some(id) => return Ok(id),
            None if began.elapsed() > TOLD => {
                return Err(format!("workers.sock: process {pid} is no channel of ours"));
            }
            None => std::thread::sleep(LOOK),
        }
    }
}

fn listen(
    core: &Arc<Core>,
    id: &str,
    link: &Link,
    reader: &mut BufReader<UnixStream>,
) -> Result<(), String> {
    let mut line = Vec::new();
    while jsonl::read_line(reader, &mut line, MAX_LINE).map_err(|err| err.to_string())? {
        let said = serde_json::from_slice(&line).map_err(|err| err.to_string())?;
        match said {
            ToCore::Inbound(message) => {
                let ack = ToWorker::Ack {
                    id: message.id.clone(),
                };
                // By the settings that are in force now.
                let Some(account) = core.channels.account(id) else {
                    return Ok(());
                };
                core.channels
                    .board
                    .change(id, |seen| seen.heard_at = Some(now_ms()));
                receive::heard(core, &account, *message)?;
                link.say(&ack);
                core.channels.inbox.wait_for_room();
            }
            ToCore::Sent {
                id: sent,
                message_ids,
                chat,
            } => {
                core.channels
                    .board
                    .change(id, |seen| seen.sent_at = Some(now_ms()));
                let told = json!({"messageIds": message_ids, "chat": chat});
                core.channels.asking.answer(&sent, Ok(told));
                outbox::sent(core, id, &sent);
            }
            ToCore::Failed {
                id: failed,
                error,
                permanent,
                retry_after_ms,
            } => {
                let after = retry_after_ms.map(Duration::from_millis);
                outbox::failed(core, id, &failed, &error, permanent, after);
            }
            ToCore::Status(status) => {
                core.channels.board.told(id, &status);
                if status.connected == Some(true) {
                    log::info!(target: TARGET, "{id}: connected");
                }
                if let Some(error) = status.error.filter(|error| !error.is_empty()) {
                    log::warn!(target: TARGET, "{id}: {error}");
                }
                if status.fatal {
                    log::error!(target: TARGET, "{id}: stopped until channels.{} changes", id.replace('/', " or its account "));
                    lock(&core.channels.accounts).remove(id);
                    core.supervisor.unwant(id);
                }
            }
            ToCore::Event(event) => {
                if let Some(account) = core.channels.account(id) {
                    receive::happened(core, &account, &event);
                }
                link.say(&ToWorker::Ack { id: event.id });
            }
            ToCore::Done { id: asked, result } => {
                core.channels.asking.answer(&asked, Ok(result));
            }
            // Nobody has begun one.
            ToCore::Login { .. } => {}
            ToCore::Log { level, text } => log::log!(
                target: TARGET,
                level.into(),
                "{id}: {text}"
            ),
            ToCore::Hello(_) | ToCore::Cursor { .. } => {
                return Err("it says what a worker keeps to itself".into());
            }
        }
    }
    Ok(())
}
