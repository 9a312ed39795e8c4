//! A message that was heard: who may say it (`gate`), its place on disk, a command or a turn in its
//! session, the answer into the outbox.
//!
//! Everything here was written by strangers. Who may not speak costs a look at the lists and, a few
//! of them, a code; nothing of what they wrote is kept. Messages of one session have their turns one
//! after another, in the order they were heard; a command waits for none of them.

use super::super::commands::{self, Asked, Hints, Plan, Reply, Rights};
use super::super::core::Core;
use super::super::hooks;
use super::super::queue;
use super::super::runs::{Kind, Run};
use super::super::sessions::{self, Touch};
use super::super::subagents;
use super::super::turns::{self, Start};
use super::accounts::Account;
use super::context::{self, Manner, one_line};
use super::gate::{Gate, Question};
use super::inbox::{Kept, Record};
use super::place::{group_prompt, route, seat};
use super::reply::{self, Target, Words};
use super::{TARGET, labels, lock, media, outbox, own_folder};
use crate::agent::command::{self, directive};
use crate::agent::group::Activation;
use crate::agent::inbound;
use crate::agent::route::Route;
use crate::base::{id, time};
use crate::channel::{access, pairing};
use crate::config::Snapshot;
use crate::session::Entry;
use crate::tool::approve::Sender;
use crate::wire::channel::{self, Event, Inbound, What};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Cores that may die over one message before its sender is told so.
const MAX_TRIES: u32 = 10;
/// When all threads of the pool are busy.
const RETRY: Duration = Duration::from_millis(500);
/// Messages of a group that come along as context, when the configuration does not say.
const HISTORY: u64 = 50;
const STOPPED: &str = "⚙️ Agent was aborted.";
/// Namespace of the ledger's and the stored answers.
const KEPT: &str = "chat";

/// Messages whose sessions are busy with another of ours.
#[derive(Default)]
pub struct Waiting(Mutex<HashMap<String, VecDeque<Kept>>>);

/// When this returns the worker may forget the message. The error ends the link: the worker tells
/// it again.
pub fn heard(core: &Arc<Core>, account: &Account, mut message: Inbound) -> Result<(), String> {
    let id = account.id();
    let own = own_folder(core, account);
    if core.channels.inbox.has_seen(&id, &message.id) {
        media::drop_all(&message, &own);
        return Ok(());
    }
    let config = core.config.current();
    let route = route(&config, account, &message.chat, &message.sender);
    let gate = gate(core, &config, account, &message, &route);
    let (authorised, mentioned) = match gate {
        Gate::Refused(why) => {
            log::debug!(target: TARGET, "{id}: {} is not heard: {why}", message.sender.id);
            media::drop_all(&message, &own);
            return Ok(());
        }
        Gate::Ask => {
            media::drop_all(&message, &own);
            return ask(core, account, &message);
        }
        Gate::Remembered => {
            let line = context::remembered(account, &message, &Manner::of(&config.value));
            let limit = history_limit(&config, account);
            core.channels
                .history
                .remember(&route.session_key, line, limit);
            media::drop_all(&message, &own);
            return Ok(());
        }
        Gate::Turn {
            authorised,
            mentioned,
        } => (authorised, mentioned),
    };
    if authorised && inbound::is_stop(&message.text) {
        media::drop_all(&message, &own);
        return stop(core, account, &message, &route);
    }
    let limit = media::limit(&account.kind, &account.section);
    let files = media::take(&mut message, &own, &core.config.paths().state, limit);
    let record = Record {
        account: id.clone(),
        message,
        missed: core.channels.history.take(&route.session_key),
        authorised,
        tries: 0,
    };
    let inbox = &core.channels.inbox;
    let kept = inbox
        .keep(core.config.paths(), record)
        .map_err(|err| format!("a message cannot be kept: {err}"))?;
    media::forget(&files);
    reply::acknowledge(core, account, &kept.record.message, &route.agent, mentioned);
    match authorised && is_command(&kept.record.message.text) {
        true => at_once(core, account, route, kept),
        false => queue_up(core, &route.session_key, kept),
    }
    Ok(())
}

/// Something that is no message: a note for the session it happened in.
pub fn happened(core: &Arc<Core>, account: &Account, event: &Event) {
    let config = core.config.current();
    let who = event.sender.clone().unwrap_or_default();
    let label = labels::of(&account.kind);
    let name = [&who.name, &who.username].into_iter().flatten().next();
    let name = one_line(name.unwrap_or(&who.id));
    let text = match &event.what {
        What::Nothing => return,
        What::Note { text } => inbound::cut(text.trim(), 500),
        What::Moved { to } => {
            let (id, from) = (account.id(), &event.chat.id);
            return log::warn!(
                target: TARGET,
                "{id}: the group {from} is called {to} now: write so in channels.{}.groups",
                account.kind
            );
        }
        What::Reaction { removed: true, .. } => return,
        What::Reaction {
            emoji,
            message_id,
            own,
            ..
        } => {
            let mode = account.section["reactionNotifications"].as_str();
            let wanted = match mode.unwrap_or("own") {
                "off" => false,
                "all" => true,
                "allowlist" => {
                    let list = &account.section["reactionAllowlist"];
                    access::is_listed(&account.kind, list, &who.id, &[])
                }
                _ => *own,
            };
            if !wanted {
                return;
            }
            let (emoji, id) = (one_line(emoji), one_line(message_id));
            format!("{label} reaction added: {emoji} by {name} on msg {id}")
        }
    };
    // Whoever may not write may not knock either.
    let stand_in = Inbound {
        chat: event.chat.clone(),
        sender: who,
        mentioned: Some(true),
        ..Inbound::default()
    };
    let route = route(&config, account, &stand_in.chat, &stand_in.sender);
    let gate = gate(core, &config, account, &stand_in, &route);
    if matches!(gate, Gate::Turn { .. }) {
        core.system_events.push(&route.session_key, &text);
    }
}

fn gate(
    core: &Core,
    config: &Snapshot,
    account: &Account,
    message: &Inbound,
    route: &Route,
) -> Gate {
    let store = pairing::Store::of(&core.config.paths().credentials, &account.kind);
    // A list that cannot be read lets nobody in who is not in the configuration.
    let paired = store.allowed().unwrap_or_else(|err| {
        log::error!(target: TARGET, "{err}");
        Vec::new()
    });
    let entry = core
        .agents
        .sessions
        .entry(&route.session_key)
        .ok()
        .flatten();
    let set = entry.and_then(|entry| entry.group_activation.clone());
    let question = Question {
        config,
        account,
        message,
        paired: &paired,
        activation: set.as_deref().and_then(Activation::parse),
        agent: &route.agent,
    };
    question.answer()
}

fn history_limit(config: &Snapshot, account: &Account) -> usize {
    let wide = &config.value["messages"]["groupChat"]["historyLimit"];
    let usual = if account.kind == "discord" {
        20
    } else {
        HISTORY
    };
    let own = account.section["historyLimit"].as_u64();
    own.or(wide.as_u64()).unwrap_or(usual) as usize
}

/// A stranger: told its code, once.
fn ask(core: &Arc<Core>, account: &Account, message: &Inbound) -> Result<(), String> {
    let store = pairing::Store::of(&core.config.paths().credentials, &account.kind);
    let who = &message.sender;
    let texts = [
        ("name", &who.name),
        ("username", &who.username),
        ("tag", &who.tag),
    ];
    let meta: BTreeMap<String, String> = texts
        .into_iter()
        .filter_map(|(name, text)| Some((name.to_string(), text.clone()?)))
        .collect();
    match store.ask(&who.id, meta) {
        Ok(Some(code)) => {
            log::info!(target: TARGET, "{}: {} asks for access", account.id(), who.id);
            let profile = core.config.paths().profile.clone();
            let text = access::asked(&account.kind, &who.id, &code, profile.as_deref());
            let said = reply::say(core, account, &Target::of(message), &text);
            said.map_err(|err| err.to_string())?;
        }
        Ok(None) => {}
        Err(err) => log::error!(target: TARGET, "{err}"),
    }
    Ok(())
}

fn stop(
    core: &Arc<Core>,
    account: &Account,
    message: &Inbound,
    route: &Route,
) -> Result<(), String> {
    let key = &route.session_key;
    let waiting = lock(&core.channels.waiting.0)
        .get_mut(key)
        .map(std::mem::take);
    for kept in waiting.into_iter().flatten() {
        core.channels.inbox.done(core.config.paths(), kept);
    }
    queue::clear(core, key);
    subagents::stop_for(core, key);
    core.agents.runs.abort_chats(&core.clients, key, "stop");
    hooks::command(core, command_event("stop", key, account, message, None));
    let said = reply::say(core, account, &Target::of(message), STOPPED);
    said.map_err(|err| err.to_string())
}

/// Before the first worker is heard: what an earlier core heard and did not answer.
pub fn recover(core: &Arc<Core>) {
    for mut kept in core.channels.inbox.recover(core.config.paths()) {
        let id = kept.record.account.clone();
        let name = kept.record.name();
        let Some(account) = core.channels.account(&id) else {
            log::warn!(target: TARGET, "{id}: a message waits for the account to come back");
            core.channels.inbox.leave(kept);
            continue;
        };
        // It died between the two.
        if outbox::answers(core, &id, &name) {
            core.channels.inbox.done(core.config.paths(), kept);
            continue;
        }
        if let Err(err) = kept.count_try() {
            log::warn!(target: TARGET, "{id}: {err}");
        }
        let message = &kept.record.message;
        let route = route(
            &core.config.current(),
            &account,
            &message.chat,
            &message.sender,
        );
        if kept.record.tries > MAX_TRIES {
            let text = format!(
                "⚠️ This message could not be answered: the gateway ended {MAX_TRIES} times while trying."
            );
            reply::finish(core, &account, &route.agent, kept, &[Words::of(text)]);
            continue;
        }
        queue_up(core, &route.session_key, kept);
    }
}

/// Whether it is for certain, without a look at the session.
fn is_command(text: &str) -> bool {
    command::parse(text).is_some_and(|(command, _)| !directive::is_one(command.name))
}

/// Its turn comes when those before it have been answered.
fn queue_up(core: &Arc<Core>, key: &str, kept: Kept) {
    let is_free = {
        let mut waiting = lock(&core.channels.waiting.0);
        let is_free = !waiting.contains_key(key);
        waiting.entry(key.into()).or_default().push_back(kept);
        is_free
    };
    if is_free {
        wake(core, key);
    }
}

/// A command, on a thread of its own: it may be the one that ends what it would wait for.
fn at_once(core: &Arc<Core>, account: &Account, route: Route, kept: Kept) {
    let slot = Arc::new(Mutex::new(Some(kept)));
    let (shared, account, name) = (core.clone(), account.clone(), route.session_key.clone());
    let work = slot.clone();
    let started = core.pool.run(move || {
        if let Some(kept) = lock(&work).take() {
            turn(&shared, &account, &route, kept, || {});
        }
    });
    if started.is_err() {
        // No thread is free: behind the others.
        if let Some(kept) = lock(&slot).take() {
            queue_up(core, &name, kept);
        }
    }
}

/// On a thread of the pool: a worker's own stays small.
fn wake(core: &Arc<Core>, key: &str) {
    let (again, name) = (core.clone(), key.to_string());
    if core.pool.run(move || next(&again, &name)).is_ok() {
        return;
    }
    let (again, name) = (core.clone(), key.to_string());
    let clock = core.agents.clock();
    let alarm = clock.at(Instant::now() + RETRY, move || wake(&again, &name));
    alarm.keep();
}

/// The next of the session.
fn next(core: &Arc<Core>, key: &str) {
    loop {
        let kept = {
            let mut waiting = lock(&core.channels.waiting.0);
            let Some(kept) = waiting.get_mut(key).and_then(VecDeque::pop_front) else {
                waiting.remove(key);
                return;
            };
            kept
        };
        match core.channels.account(&kept.record.account) {
            Some(account) => {
                let message = &kept.record.message;
                let config = core.config.current();
                let mut route = route(&config, &account, &message.chat, &message.sender);
                // Where it has waited, whatever the bindings say by now.
                route.session_key = key.into();
                let (again, name) = (core.clone(), key.to_string());
                return turn(core, &account, &route, kept, move || wake(&again, &name));
            }
            None => core.channels.inbox.leave(kept),
        }
    }
}

/// Whatever becomes of it, `then` is called.
fn turn(
    core: &Arc<Core>,
    account: &Account,
    route: &Route,
    kept: Kept,
    then: impl FnOnce() + Send + 'static,
) {
    let config = core.config.current();
    let key = route.session_key.clone();
    let said = kept.record.message.text.clone();
    let sender = sender(account, &kept.record.message.sender);
    let may_command = kept.record.authorised;
    let triggers = sessions::reset_triggers(&config);
    let renewed = inbound::reset(&said, &triggers).filter(|_| may_command);
    let asked = Asked {
        core,
        rights: Rights::Sender,
        key: &key,
        channel: &account.kind,
        sender: &sender,
        config: config.clone(),
    };
    let as_said = |text: &str| Plan::Turn {
        text: text.into(),
        hints: Hints::default(),
    };
    let plan = match renewed {
        Some("") => as_said(inbound::GREET),
        Some(rest) => as_said(rest),
        None if !may_command => as_said(&said),
        None => match asked.plan(&said) {
            Ok(plan) => plan,
            Err(why) => {
                reply::finish(core, account, &route.agent, kept, &[Words::of(why)]);
                return then();
            }
        },
    };
    let is_turn = matches!(plan, Plan::Turn { .. });
    if is_turn && sessions::is_blocked(core, &key).unwrap_or(false) {
        reply::finish(core, account, &route.agent, kept, &[]);
        return then();
    }
    let before = core.agents.sessions.entry(&key).ok().flatten();
    let spoken = before.as_ref().and_then(|entry| entry.updated_at);
    let spoken = spoken.filter(|_| renewed.is_none());
    let message = &kept.record.message;
    let touched = sessions::touch(core, &key, Touch::Chat, |entry| {
        if renewed.is_some() {
            entry.renew(time::now_ms());
        }
        seat(entry, account, message);
    });
    let session_id = match touched {
        Ok(session_id) => session_id,
        Err(err) => {
            log::error!(target: TARGET, "{}: a message waits for the next start: {err}", account.id());
            core.channels.inbox.leave(kept);
            return then();
        }
    };
    if renewed.is_some() {
        let action = inbound::reset_word(&said);
        hooks::command(core, command_event(action, &key, account, message, before));
    }
    let (text, hints) = match plan {
        Plan::Turn { text, hints } => (text, hints),
        plan => {
            let run = Arc::new(Run::new(&id::uuid(), &key, &key, Kind::Command));
            core.agents.runs.begin(&run);
            let (shared, account, agent) = (core.clone(), account.clone(), route.agent.clone());
            let told = Box::new(move |text: Option<&str>| {
                let words: Vec<Words> = text.into_iter().map(Words::of).collect();
                reply::finish(&shared, &account, &agent, kept, &words);
                then();
            });
            let reply = Reply::new(core, &run, KEPT, session_id).and_to(told);
            return commands::run(&asked, &plan, reply);
        }
    };
    if hints.status {
        let card = commands::card::of(core, &key, false);
        if let Err(err) = reply::say(core, account, &Target::of(message), &card) {
            log::warn!(target: TARGET, "{}: {err}", account.id());
        }
    }
    let manner = Manner::of(&config.value);
    let text = context::text(
        account,
        message,
        &text,
        &manner,
        spoken,
        &kept.record.missed,
    );
    let mut run = Run::new(&id::uuid(), &key, &key, Kind::Chat);
    run.verbose = hints
        .verbose()
        .unwrap_or_else(|| sessions::verbose(core, &key));
    run.sender = Some(sender);
    let run = Arc::new(run);
    core.agents.runs.begin(&run);
    let typing = reply::typing(core, account, message);
    let images = media::pictures(message);
    let (shared, account, agent) = (core.clone(), account.clone(), route.agent.clone());
    turns::start(
        core,
        Start {
            agent_id: route.agent.clone(),
            images,
            hints,
            extra: group_prompt(&account, message),
            channel: Some(account.kind.clone()),
            finish: Box::new(move |ending, _| {
                drop(typing);
                if shared.channels.is_closing() {
                    // Not answered: the next core begins it again.
                    return shared.channels.inbox.leave(kept);
                }
                reply::finish(&shared, &account, &agent, kept, &reply::of_run(&ending));
                then();
            }),
            ..Start::new(core, run, session_id, text)
        },
    );
}

/// For the hooks.
fn command_event<'a>(
    action: &'static str,
    key: &'a str,
    account: &'a Account,
    message: &'a Inbound,
    before: Option<Arc<Entry>>,
) -> hooks::Command<'a> {
    hooks::Command {
        action,
        key,
        source: &account.kind,
        sender: Some(&message.sender.id),
        before,
    }
}

fn sender(account: &Account, who: &channel::Sender) -> Sender {
    let names = [Some(who.id.clone()), who.username.clone()];
    Sender {
        channel: account.kind.clone(),
        names: names
            .into_iter()
            .flatten()
            .chain(who.aliases.iter().cloned())
            .collect(),
    }
}
