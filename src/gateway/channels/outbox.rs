//! What is to be sent: a file each in `rs/channels/outbox/`, until the worker says that the service
//! has it. In memory in the same order. Of one chat one is under way at a time, so that nothing
//! overtakes; what fails is tried again, later and later, and given up in the end with a word in the
//! log.

use super::super::core::Core;
use super::super::spool::{self, Spooled};
use super::{inbox, lock};
use crate::wire::channel::{Send, ToWorker};
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, HashSet, VecDeque};
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Of an account whose service or worker is away: days of an ordinary one.
const MAX_WAITING: usize = 1000;
/// Under way at one worker: what fits into a socket that nobody reads.
const WINDOW: usize = 64;
/// Tries of one message: about three minutes.
const MAX_TRIES: u32 = 12;
const FIRST_DELAY: Duration = Duration::from_millis(300);
const LONGEST_DELAY: Duration = Duration::from_secs(30);
/// What a service may ask us to wait at most.
const LONGEST_WISH: Duration = Duration::from_secs(3600);

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    account: String,
    /// The message it answers, by its name in the inbox.
    #[serde(default)]
    answers: Option<String>,
    send: Send,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Here,
    /// With the worker.
    Out,
    /// Failed; its time comes.
    Later,
}

struct Parcel {
    file: Spooled,
    record: Record,
    tries: u32,
    place: Place,
}

#[derive(Default)]
pub struct Outbox(Mutex<HashMap<String, VecDeque<Parcel>>>);

/// On disk when this returns; sent when `hand_over` is called.
pub fn add(core: &Core, account: &str, answers: Option<&str>, send: Send) -> io::Result<()> {
    let mut boxes = lock(&core.channels.outbox.0);
    let parcels = boxes.entry(account.into()).or_default();
    if parcels.len() >= MAX_WAITING {
        let why = format!("{account}: {MAX_WAITING} messages wait to be sent");
        return Err(io::Error::other(why));
    }
    let record = Record {
        account: account.into(),
        answers: answers.map(String::from),
        send,
    };
    parcels.push_back(Parcel {
        file: Spooled::write_firmly(&folder(core), &record)?,
        record,
        tries: 0,
        place: Place::Here,
    });
    Ok(())
}

/// Whether an answer to this message waits already.
pub fn answers(core: &Core, account: &str, name: &str) -> bool {
    let boxes = lock(&core.channels.outbox.0);
    let parcels = boxes.get(account).into_iter().flatten();
    let mut answered = parcels.map(|parcel| parcel.record.answers.as_deref());
    answered.any(|answers| answers == Some(name))
}

/// Gives the worker what it may have.
pub fn hand_over(core: &Core, account: &str) {
    let Some(link) = core.channels.link(account) else {
        return;
    };
    let mut ready = Vec::new();
    {
        let mut boxes = lock(&core.channels.outbox.0);
        let Some(parcels) = boxes.get_mut(account) else {
            return;
        };
        let mut out = parcels.iter().filter(|p| p.place == Place::Out).count();
        let mut busy = HashSet::new();
        for parcel in parcels {
            let first = busy.insert(parcel.record.send.to.clone());
            if first && parcel.place == Place::Here && out < WINDOW {
                parcel.place = Place::Out;
                out += 1;
                ready.push(parcel.record.send.clone());
            }
        }
    }
    for send in ready {
        link.say(&ToWorker::Send(Box::new(send)));
    }
}

/// A worker is there, perhaps another one: whatever was with the last one is told again.
pub fn linked(core: &Core, account: &str) {
    unlinked(core, account);
    hand_over(core, account);
}

pub fn unlinked(core: &Core, account: &str) {
    let mut boxes = lock(&core.channels.outbox.0);
    for parcel in boxes.get_mut(account).into_iter().flatten() {
        if parcel.place == Place::Out {
            parcel.place = Place::Here;
        }
    }
}

pub fn sent(core: &Core, account: &str, id: &str) {
    if let Some(parcel) = take(core, account, id) {
        parcel.file.done();
        hand_over(core, account);
    }
}

fn waits(core: &Core, account: &str, id: &str) -> bool {
    let boxes = lock(&core.channels.outbox.0);
    let mut parcels = boxes.get(account).into_iter().flatten();
    parcels.any(|parcel| parcel.record.send.id == id)
}

fn take(core: &Core, account: &str, id: &str) -> Option<Parcel> {
    let mut boxes = lock(&core.channels.outbox.0);
    let parcels = boxes.get_mut(account)?;
    let at = parcels.iter().position(|p| p.record.send.id == id)?;
    parcels.remove(at)
}

pub fn failed(
    core: &Arc<Core>,
    account: &str,
    id: &str,
    error: &str,
    permanent: bool,
    after: Option<Duration>,
) {
    if !waits(core, account, id) {
        // A question of somebody's, and no message.
        core.channels.asking.answer(id, Err(error.into()));
        return;
    }
    let wait = {
        let mut boxes = lock(&core.channels.outbox.0);
        let parcels = boxes.get_mut(account);
        let parcel = parcels.and_then(|all| all.iter_mut().find(|p| p.record.send.id == id));
        let Some(parcel) = parcel else { return };
        parcel.tries += 1;
        parcel.place = Place::Later;
        let doubled = FIRST_DELAY.saturating_mul(1 << parcel.tries.min(MAX_TRIES));
        let own = (doubled / 2).min(LONGEST_DELAY);
        (!permanent && parcel.tries < MAX_TRIES)
            .then(|| after.map_or(own, |wish| wish.min(LONGEST_WISH)))
    };
    let Some(wait) = wait else {
        if let Some(parcel) = take(core, account, id) {
            let to = &parcel.record.send.to;
            log::error!(target: "gateway/channels", "{account}: a message to {to} is given up: {error}");
            core.channels.asking.answer(id, Err(error.into()));
            parcel.file.done();
        }
        return hand_over(core, account);
    };
    log::warn!(target: "gateway/channels", "{account}: {error}; tried again in {wait:?}");
    let (again, account, id) = (core.clone(), account.to_string(), id.to_string());
    let alarm = core.agents.clock().at(Instant::now() + wait, move || {
        {
            let mut boxes = lock(&again.channels.outbox.0);
            let parcels = boxes.get_mut(&account).into_iter().flatten();
            for parcel in parcels.filter(|p| p.record.send.id == id) {
                parcel.place = Place::Here;
            }
        }
        let core = again.clone();
        // A worker's socket may be full, and the clock is everybody's.
        if again.pool.run(move || hand_over(&core, &account)).is_err() {
            log::warn!(target: "gateway/channels", "a message waits longer: no thread is free");
        }
    });
    alarm.keep();
}

/// What an earlier core left, in its order.
pub fn recover(core: &Core) {
    let mut boxes = lock(&core.channels.outbox.0);
    for file in spool::left(&folder(core)) {
        match file.read::<Record>() {
            Ok(record) => {
                let parcels = boxes.entry(record.account.clone()).or_default();
                parcels.push_back(Parcel {
                    file,
                    record,
                    tries: 0,
                    place: Place::Here,
                });
            }
            Err(err) => log::error!("{} stays: {err}", file.path().display()),
        }
    }
}

fn folder(core: &Core) -> PathBuf {
    inbox::folder(core.config.paths()).join("outbox")
}

#[cfg(test)]
mod tests {
    use super::super::super::core::tests::core;
    use super::*;

    fn send(id: &str, to: &str) -> Send {
        Send {
            id: id.into(),
            to: to.into(),
            ..Send::default()
        }
    }

    fn places(core: &Core) -> Vec<(String, bool)> {
        let boxes = lock(&core.channels.outbox.0);
        let parcels = boxes["irc/a"].iter();
        parcels
            .map(|p| (p.record.send.id.clone(), p.place == Place::Later))
            .collect()
    }

    #[test]
    fn what_is_not_sent_is_there_for_the_next_core_in_its_order() {
        let (first, dir) = core("{}");
        for id in ["1", "2", "3"] {
            add(
                &first,
                "irc/a",
                Some(&format!("irc/a m{id}")),
                send(id, "x"),
            )
            .unwrap();
        }
        sent(&first, "irc/a", "2");
        sent(&first, "irc/a", "2");
        assert!(answers(&first, "irc/a", "irc/a m1"));
        assert!(!answers(&first, "irc/a", "irc/a m2"));
        failed(&first, "irc/a", "1", "busy", false, None);
        assert_eq!(places(&first), [("1".into(), true), ("3".into(), false)]);
        first.channels.outbox.0.lock().unwrap().clear();
        recover(&first);
        assert_eq!(places(&first), [("1".into(), false), ("3".into(), false)]);
        failed(&first, "irc/a", "1", "no such nick", true, None);
        assert_eq!(places(&first), [("3".into(), false)]);
        std::fs::remove_dir_all(dir).unwrap();
    }
}
