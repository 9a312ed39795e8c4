//! All methods of the protocol: the advertised ones first, in the order a client is told them,
//! then those the original serves without saying so. A method this version does not have is a
//! row too, with the reason a caller gets.

use super::Scope::{Admin, Approvals, Node, Pairing, Read, Write};
use super::{
    Handler, Method, Run, Scope, agent, agents, approvals, channels, chat, config, cron, devices,
    health, logs, models, sessions, skills, system, update, usage, wizard,
};
use crate::schedule::input;
use crate::wire::gateway::{
    agent as agent_wire, agents as agents_wire, approvals as approvals_wire,
    channels as channels_wire, chat as chat_wire, config as config_wire, cron as cron_wire,
    heartbeat as heartbeat_wire, sessions as sessions_wire, skills as skills_wire,
    update as update_wire, wizard as wizard_wire,
};
use crate::wire::shape::{NONE, OPEN, Shape};
use serde_json::Value;

/// Why a family of methods is not there.
const POLLS: &str = "its channels have no polls";
const LOGINS: &str = "no channel with a login is built into it";
const TTS: &str = "it has no speech output";
const VOICE: &str = "it has no voice input";
const NODES: &str = "it does not drive nodes";
const BROWSER: &str = "it has no browser control";

/// How many of the first rows `hello-ok` names.
const ADVERTISED_COUNT: usize = 83;

/// What `hello-ok` says under `features.methods`.
pub static ADVERTISED: [&str; ADVERTISED_COUNT] = {
    let mut names = [""; ADVERTISED_COUNT];
    let mut i = 0;
    while i < ADVERTISED_COUNT {
        names[i] = TABLE[i].name;
        i += 1;
    }
    names
};

pub static TABLE: &[Method] = &[
    inline("health", Read, OPEN, health::health),
    pooled("logs.tail", Read, logs::TAIL, logs::tail),
    pooled(
        "channels.status",
        Read,
        channels_wire::STATUS,
        channels::status,
    ),
    pooled(
        "channels.logout",
        Admin,
        channels_wire::LOGOUT,
        channels::logout,
    ),
    pooled("status", Read, OPEN, health::status),
    pooled("usage.status", Read, OPEN, usage::status),
    pooled("usage.cost", Read, OPEN, usage::cost),
    absent("tts.status", Read, TTS),
    absent("tts.providers", Read, TTS),
    absent("tts.enable", Write, TTS),
    absent("tts.disable", Write, TTS),
    absent("tts.convert", Write, TTS),
    absent("tts.setProvider", Write, TTS),
    pooled("config.get", Admin, NONE, config::get),
    pooled("config.set", Admin, config_wire::SET, config::set),
    pooled("config.apply", Admin, config_wire::APPLY, config::apply),
    pooled("config.patch", Admin, config_wire::APPLY, config::patch),
    pooled("config.schema", Admin, NONE, config::schema),
    pooled("exec.approvals.get", Admin, NONE, approvals::get),
    pooled(
        "exec.approvals.set",
        Admin,
        approvals_wire::SET,
        approvals::set,
    ),
    inline(
        "exec.approvals.node.get",
        Admin,
        approvals_wire::NODE_GET,
        approvals::of_node,
    ),
    inline(
        "exec.approvals.node.set",
        Admin,
        approvals_wire::NODE_SET,
        approvals::of_node,
    ),
    inline(
        "exec.approval.request",
        Approvals,
        approvals_wire::REQUEST,
        approvals::request,
    ),
    inline(
        "exec.approval.resolve",
        Approvals,
        approvals_wire::RESOLVE,
        approvals::resolve,
    ),
    pooled("wizard.start", Admin, wizard_wire::START, wizard::start),
    pooled("wizard.next", Admin, wizard_wire::NEXT, wizard::next),
    pooled("wizard.cancel", Admin, wizard_wire::SESSION, wizard::cancel),
    pooled("wizard.status", Admin, wizard_wire::SESSION, wizard::status),
    absent("talk.mode", Write, VOICE),
    pooled("models.list", Read, NONE, models::list),
    pooled("agents.list", Read, NONE, agents::list),
    pooled(
        "agents.files.list",
        Admin,
        agents_wire::FILES_LIST,
        agents::files_list,
    ),
    pooled(
        "agents.files.get",
        Admin,
        agents_wire::FILES_GET,
        agents::files_get,
    ),
    pooled(
        "agents.files.set",
        Admin,
        agents_wire::FILES_SET,
        agents::files_set,
    ),
    pooled("skills.status", Read, skills_wire::STATUS, skills::status),
    pooled("skills.bins", Node, NONE, skills::bins),
    pooled(
        "skills.install",
        Admin,
        skills_wire::INSTALL,
        skills::install,
    ),
    pooled("skills.update", Admin, skills_wire::UPDATE, skills::update),
    pooled("update.run", Admin, update_wire::RUN, update::run),
    absent("voicewake.get", Read, VOICE),
    absent("voicewake.set", Write, VOICE),
    pooled("sessions.list", Read, sessions_wire::LIST, sessions::list),
    pooled(
        "sessions.preview",
        Read,
        sessions_wire::PREVIEW,
        sessions::preview,
    ),
    pooled(
        "sessions.patch",
        Admin,
        sessions_wire::PATCH,
        sessions::patch,
    ),
    pooled(
        "sessions.reset",
        Admin,
        sessions_wire::RESET,
        sessions::reset,
    ),
    pooled(
        "sessions.delete",
        Admin,
        sessions_wire::DELETE,
        sessions::delete,
    ),
    pooled(
        "sessions.compact",
        Admin,
        sessions_wire::COMPACT,
        sessions::compact,
    ),
    inline("last-heartbeat", Read, OPEN, system::last_heartbeat),
    inline("set-heartbeats", Admin, OPEN, system::set_heartbeats),
    pooled("wake", Write, heartbeat_wire::WAKE, system::wake),
    absent("node.pair.request", Pairing, NODES),
    absent("node.pair.list", Pairing, NODES),
    absent("node.pair.approve", Pairing, NODES),
    absent("node.pair.reject", Pairing, NODES),
    absent("node.pair.verify", Pairing, NODES),
    pooled("device.pair.list", Pairing, NONE, devices::list),
    pooled(
        "device.pair.approve",
        Pairing,
        devices::REQUEST,
        devices::approve,
    ),
    pooled(
        "device.pair.reject",
        Pairing,
        devices::REQUEST,
        devices::reject,
    ),
    pooled(
        "device.token.rotate",
        Pairing,
        devices::ROTATE,
        devices::rotate,
    ),
    pooled(
        "device.token.revoke",
        Pairing,
        devices::TOKEN,
        devices::revoke,
    ),
    absent("node.rename", Pairing, NODES),
    absent("node.list", Read, NODES),
    absent("node.describe", Read, NODES),
    absent("node.invoke", Write, NODES),
    absent("node.invoke.result", Node, NODES),
    absent("node.event", Node, NODES),
    pooled("cron.list", Read, cron_wire::LIST, cron::list),
    pooled("cron.status", Read, NONE, cron::status),
    tidied("cron.add", Admin, input::create, cron_wire::ADD, cron::add),
    tidied(
        "cron.update",
        Admin,
        input::update,
        cron_wire::UPDATE,
        cron::update,
    ),
    pooled("cron.remove", Admin, cron_wire::REMOVE, cron::remove),
    pooled("cron.run", Admin, cron_wire::RUN, cron::run),
    pooled("cron.runs", Read, cron_wire::RUNS, cron::runs),
    inline("system-presence", Read, OPEN, system::presence),
    pooled("system-event", Admin, OPEN, system::event),
    pooled("send", Write, channels_wire::SEND, channels::send),
    pooled("agent", Write, agent_wire::RUN, agent::start),
    pooled(
        "agent.identity.get",
        Read,
        agents_wire::IDENTITY,
        agents::identity,
    ),
    inline("agent.wait", Write, agent_wire::WAIT, agent::wait),
    absent("browser.request", Write, BROWSER),
    pooled("chat.history", Read, chat_wire::HISTORY, chat::history),
    pooled("chat.abort", Write, chat_wire::ABORT, chat::abort),
    pooled("chat.send", Write, chat_wire::SEND, chat::send),
    // Not advertised from here on.
    Method {
        name: "connect",
        scope: Admin,
        params: OPEN,
        tidy: None,
        run: Run::First,
    },
    absent("poll", Admin, POLLS),
    pooled("chat.inject", Admin, chat_wire::INJECT, chat::inject),
    pooled(
        "sessions.resolve",
        Admin,
        sessions_wire::RESOLVE,
        sessions::resolve,
    ),
    absent("web.login.start", Admin, LOGINS),
    absent("web.login.wait", Admin, LOGINS),
];

const fn inline(name: &'static str, scope: Scope, params: Shape, run: Handler) -> Method {
    Method {
        name,
        scope,
        params,
        tidy: None,
        run: Run::Inline(run),
    }
}

const fn pooled(name: &'static str, scope: Scope, params: Shape, run: Handler) -> Method {
    Method {
        name,
        scope,
        params,
        tidy: None,
        run: Run::Pooled(run),
    }
}

/// Pooled, with params that come in several forms.
const fn tidied(
    name: &'static str,
    scope: Scope,
    tidy: fn(Value) -> Value,
    params: Shape,
    run: Handler,
) -> Method {
    Method {
        tidy: Some(tidy),
        ..pooled(name, scope, params, run)
    }
}

/// Params are not looked at: whatever they are, the answer is the same.
const fn absent(name: &'static str, scope: Scope, why: &'static str) -> Method {
    Method {
        name,
        scope,
        params: OPEN,
        tidy: None,
        run: Run::Absent(why),
    }
}
