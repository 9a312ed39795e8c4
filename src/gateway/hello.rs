//! `hello-ok`: what an accepted client is told first.

use super::core::Core;
use super::devices::record::Token;
use super::host;
use super::methods::ADVERTISED;
use super::presence::Entry;
use crate::base::sys::uname;
use crate::wire::gateway::frame::{MAX_BUFFERED, MAX_PAYLOAD, StateVersion, TICK_MS};
use crate::wire::version;
use serde::Serialize;
use serde_json::value::RawValue;

/// The events of the protocol, in the original's order.
const EVENTS: &[&str] = &[
    "connect.challenge",
    "agent",
    "chat",
    "presence",
    "tick",
    "talk.mode",
    "shutdown",
    "health",
    "heartbeat",
    "cron",
    "node.pair.requested",
    "node.pair.resolved",
    "node.invoke.request",
    "device.pair.requested",
    "device.pair.resolved",
    "voicewake.changed",
    "exec.approval.requested",
    "exec.approval.resolved",
];

/// The key that stands for an agent's own session.
const MAIN_KEY: &str = "main";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Hello<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    protocol: u32,
    server: Server<'a>,
    features: Features,
    snapshot: Snapshot<'a>,
    /// Without a path: nodes add it.
    #[serde(skip_serializing_if = "Option::is_none")]
    canvas_host_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    auth: Option<Auth<'a>>,
    policy: Policy,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Server<'a> {
    version: &'a str,
    host: String,
    conn_id: &'a str,
}

#[derive(Serialize)]
struct Features {
    methods: &'static [&'static str],
    events: &'static [&'static str],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Snapshot<'a> {
    presence: Vec<Entry>,
    health: &'a RawValue,
    state_version: StateVersion,
    uptime_ms: u64,
    config_path: String,
    state_dir: String,
    session_defaults: SessionDefaults,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SessionDefaults {
    default_agent_id: String,
    main_key: &'static str,
    main_session_key: String,
    scope: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Auth<'a> {
    device_token: &'a str,
    role: &'a str,
    scopes: &'a [String],
    issued_at_ms: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Policy {
    max_payload: usize,
    max_buffered_bytes: usize,
    tick_interval_ms: u64,
}

/// Makes the payload and hands it to `send`, while everything it borrows is there.
pub fn with<T>(
    core: &Core,
    conn_id: &str,
    token: Option<&Token>,
    canvas_host_url: Option<String>,
    send: impl FnOnce(&Hello) -> T,
) -> T {
    let snapshot = core.config.current();
    let health = core.health.get();
    let paths = core.config.paths();
    send(&Hello {
        kind: "hello-ok",
        protocol: version::GATEWAY,
        server: Server {
            version: host::version(&snapshot.env),
            host: uname::hostname(),
            conn_id,
        },
        features: Features {
            methods: &ADVERTISED,
            events: EVENTS,
        },
        snapshot: Snapshot {
            presence: core.presence.list(),
            health: &health,
            state_version: core.clients.state_version(),
            uptime_ms: core.uptime_ms(),
            config_path: paths.config.display().to_string(),
            state_dir: paths.state.display().to_string(),
            session_defaults: session_defaults(&snapshot.config),
        },
        canvas_host_url,
        auth: token.map(|token| Auth {
            device_token: token.token.expose(),
            role: &token.role,
            scopes: &token.scopes,
            issued_at_ms: token.issued_at_ms(),
        }),
        policy: Policy {
            max_payload: MAX_PAYLOAD,
            max_buffered_bytes: MAX_BUFFERED,
            tick_interval_ms: TICK_MS,
        },
    })
}

fn session_defaults(config: &crate::config::Config) -> SessionDefaults {
    let agent = config.default_agent_id();
    let global = config.session.scope.as_deref() == Some("global");
    SessionDefaults {
        main_key: MAIN_KEY,
        main_session_key: if global {
            "global".into()
        } else {
            format!("agent:{agent}:{MAIN_KEY}")
        },
        scope: if global { "global" } else { "per-sender" }.into(),
        default_agent_id: agent,
    }
}
