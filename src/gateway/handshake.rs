//! The first message of a connection: who it is and whether it may come in.
//!
//! The checks run in the original's order and refuse in its words, because its clients show them
//! and act on them. Nothing is stored for a client before it has proven the shared secret or a
//! device token.

use super::auth::{Asker, Refusal};
use super::broadcast::Rules;
use super::connect::{Connect, Device};
use super::core::Core;
use super::devices::record::Token;
use super::devices::{Asking, Standing, key};
use super::dispatch::{Malformed, Request};
use super::failures;
use super::methods::devices::resolved;
use super::origin::{self, Forwarding, Origin};
use super::tailscale;
use crate::base::sys::peer::{self, Credentials};
use crate::base::time::now_ms;
use crate::net::stream::Peer;
use crate::wire::gateway::frame::{ErrorCode, RpcError};
use crate::wire::version;
use serde_json::json;
use serde_json::value::RawValue;
use std::net::IpAddr;
use std::sync::atomic::Ordering;

/// How far a device's clock may be off, milliseconds.
const SIGNATURE_SKEW_MS: u64 = 600_000;

/// What a local peer without a request for scopes gets, and what a confined one never gets. Pairing
/// is among them: who may approve devices may make itself an admin.
const ALL_SCOPES: [&str; 3] = ["operator.admin", "operator.approvals", "operator.pairing"];
/// What a confined peer gets that asks for nothing.
const CONFINED_SCOPES: [&str; 2] = ["operator.read", "operator.write"];

/// What is known of a connection before its first message.
pub struct Facts {
    pub peer: Peer,
    pub forwarding: Forwarding,
    /// The `Origin` header.
    pub page: Option<String>,
    /// The address the client reached us at.
    pub local: Option<IpAddr>,
    /// What the challenge said.
    pub nonce: String,
}

/// Rights that come from the socket alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// The secret has to be proven.
    None,
    /// Same user or root on the local socket.
    Owner,
    /// The same, but perhaps a command started for the agent.
    Confined,
}

/// An admitted client.
pub struct Accepted {
    pub id: Box<RawValue>,
    pub connect: Connect,
    pub scopes: Vec<String>,
    pub device_id: Option<String>,
    pub remote_ip: Option<String>,
    pub confined: bool,
    pub token: Option<Token>,
}

/// What to answer, if anything, and how to close.
pub struct Refused {
    pub answer: Option<(Box<RawValue>, RpcError)>,
    pub code: u16,
    pub reason: String,
}

impl Facts {
    /// Who it is, for the log: the peer, and what was said of where it comes from.
    pub fn shown(&self) -> String {
        let mut text = self.peer.to_string();
        let said = [
            ("for", &self.forwarding.forwarded_for),
            ("host", &self.forwarding.host),
            ("page", &self.page),
        ];
        for (what, value) in said {
            if let Some(value) = value {
                text += &format!(" {what} {:?}", failures::shown(value));
            }
        }
        text
    }

    /// Whether the page that speaks may do so.
    fn is_allowed(&self, allowed: &[String], trusted: &[String]) -> bool {
        let from = |host: Option<&str>| origin::origin_allowed(self.page.as_deref(), host, allowed);
        if from(self.forwarding.host.as_deref()) {
            return true;
        }
        // A proxy of ours may have asked for us by another name than the page did.
        let proxied = matches!(self.peer, Peer::Ip(addr) if origin::is_trusted(addr.ip(), trusted));
        proxied && from(self.forwarding.forwarded_host.as_deref())
    }
}

impl Trust {
    pub fn of(peer: &Peer, core: &Core) -> Trust {
        let Peer::Local(credentials) = peer else {
            return Trust::None;
        };
        if credentials.uid != 0 && credentials.uid != peer::own_uid() {
            return Trust::None;
        }
        if is_confined(credentials, core.exec_pid.load(Ordering::Relaxed)) {
            Trust::Confined
        } else {
            Trust::Owner
        }
    }
}

/// Whether the peer may be below the tool runner. When the chain of parents cannot be followed
/// while there is a tool runner, it may.
fn is_confined(peer: &Credentials, exec_pid: u32) -> bool {
    if exec_pid == 0 {
        return false;
    }
    let below = peer.pid.and_then(|pid| peer::descends_from(pid, exec_pid));
    below.unwrap_or(true)
}

/// Judges the first message.
pub fn judge(core: &Core, facts: &Facts, text: &str) -> Result<Accepted, Box<Refused>> {
    let request = match Request::read(text) {
        Ok(request) => request,
        Err(Malformed::Unreadable) => return Err(Refused::silent(1000, "")),
        Err(Malformed::Invalid(..)) => {
            return Err(Refused::silent(1008, "invalid request frame"));
        }
    };
    let connect = if request.method == "connect" {
        Connect::read(&request.params).map_err(|errors| format!("invalid connect params: {errors}"))
    } else {
        Err("invalid handshake: first request must be connect".into())
    };
    let connect = match connect {
        Ok(connect) => connect,
        Err(message) => return Err(Refused::with(request.id, RpcError::invalid(message), 1008)),
    };
    match admit(core, facts, &connect) {
        Ok(Admission {
            scopes,
            device_id,
            remote_ip,
            confined,
            token,
        }) => Ok(Accepted {
            id: request.id,
            connect,
            scopes,
            device_id,
            remote_ip,
            confined,
            token,
        }),
        Err(error) => {
            let code = if error.message == MISMATCH {
                1002
            } else {
                1008
            };
            Err(Refused::with(request.id, error, code))
        }
    }
}

const MISMATCH: &str = "protocol mismatch";

struct Admission {
    scopes: Vec<String>,
    device_id: Option<String>,
    remote_ip: Option<String>,
    confined: bool,
    token: Option<Token>,
}

fn admit(core: &Core, facts: &Facts, connect: &Connect) -> Result<Admission, RpcError> {
    let config = core.config.current();
    let gateway = &config.config.gateway;
    if !connect.speaks(version::GATEWAY) {
        return Err(
            RpcError::invalid(MISMATCH).with_details(json!({"expectedProtocol": version::GATEWAY}))
        );
    }
    if !["operator", "node"].contains(&connect.role()) {
        return Err(RpcError::invalid("invalid role"));
    }
    // Any page can open a socket here and claim to be another program: the browser says which.
    if (connect.is_browser() || facts.page.is_some())
        && !facts.is_allowed(
            &gateway.control_ui.allowed_origins,
            &gateway.trusted_proxies,
        )
    {
        return Err(RpcError::invalid(
            "origin not allowed (open the Control UI from the gateway host or allow it in \
             gateway.controlUi.allowedOrigins)",
        ));
    }

    let trust = Trust::of(&facts.peer, core);
    let origin = match facts.peer {
        Peer::Ip(addr) => origin::origin(addr.ip(), &facts.forwarding, &gateway.trusted_proxies),
        Peer::Local(_) => Origin::on_socket(trust != Trust::None),
    };
    let asker = Asker::new(origin, facts.page.is_some());
    let remote_ip = origin.ip.filter(|_| origin.shown).map(|ip| ip.to_string());
    let secret = match trust {
        Trust::None => asker.proves(core, connect.token(), connect.password()),
        Trust::Owner | Trust::Confined => Ok(()),
    };
    let scopes = scopes(connect, trust);

    let switches = &gateway.control_ui;
    let no_device_check = connect.is_control_ui() && switches.dangerously_disable_device_auth;
    let bypass = no_device_check || (connect.is_control_ui() && switches.allow_insecure_auth);
    let device = connect.device.as_ref().filter(|_| !no_device_check);
    let Some(device) = device else {
        if connect.is_control_ui() && !bypass {
            return Err(RpcError::invalid(
                "control ui requires HTTPS or localhost (secure context)",
            ));
        }
        if let Err(refusal) = secret {
            if connect.token().is_some() || connect.password().is_some() {
                return Err(refused(core, &asker, refusal, connect));
            }
            return Err(RpcError::new(
                ErrorCode::NotPaired,
                "device identity required",
            ));
        }
        return Ok(Admission {
            scopes,
            device_id: None,
            remote_ip,
            confined: trust == Trust::Confined,
            token: None,
        });
    };

    let public_key = check_device(facts, connect, device, origin.local)?;
    if let Err(refusal) = secret {
        let by_token = connect.token().is_some_and(|token| {
            core.devices
                .check_token(&device.id, connect.role(), &scopes, token)
        });
        let known = by_token
            || matches!((facts.peer, origin.local), (Peer::Ip(addr), false)
                if core.listen.auth.allow_tailscale
                    && tailscale::proves(core, &facts.forwarding, addr.ip()));
        if !known {
            return Err(refused(core, &asker, refusal, connect));
        }
    }
    if !(bypass && secret.is_ok()) {
        let asking = Asking {
            device_id: device.id.clone(),
            public_key,
            display_name: connect.client.display_name.as_deref().map(short),
            platform: Some(short(&connect.client.platform)),
            client_id: Some(connect.client.id.clone()),
            client_mode: Some(connect.client.mode.clone()),
            role: connect.role().to_string(),
            scopes: scopes.clone(),
            remote_ip: remote_ip.clone(),
            silent: origin.local,
        };
        pair(core, asking)?;
    }
    let token = core
        .devices
        .ensure_token(&device.id, connect.role(), &scopes);
    Ok(Admission {
        scopes,
        device_id: Some(device.id.clone()),
        remote_ip,
        confined: trust == Trust::Confined,
        token,
    })
}

/// The secret was not proven, and nothing else was.
fn refused(core: &Core, asker: &Asker, refusal: Refusal, connect: &Connect) -> RpcError {
    asker.failed(core, refusal);
    let mut error = RpcError::invalid(refusal.text(connect));
    if let Refusal::Later(wait) = refusal {
        error.retryable = Some(true);
        error.retry_after_ms = u64::try_from(wait.as_millis()).ok();
    }
    error
}

/// What the client may do when admitted.
fn scopes(connect: &Connect, trust: Trust) -> Vec<String> {
    let asked = connect.scopes.as_deref().unwrap_or_default();
    if connect.role() != "operator" || trust == Trust::None {
        return connect.effective_scopes();
    }
    let all = |scopes: &[&str]| scopes.iter().map(|s| s.to_string()).collect();
    match (trust, asked.is_empty()) {
        (Trust::Confined, true) => all(&CONFINED_SCOPES),
        (Trust::Confined, false) => asked
            .iter()
            .filter(|s| !ALL_SCOPES.contains(&s.as_str()))
            .cloned()
            .collect(),
        (_, true) => all(&ALL_SCOPES),
        (_, false) => asked.to_vec(),
    }
}

/// Checks that the device holds the key it names; returns the key in the store's form.
fn check_device(
    facts: &Facts,
    connect: &Connect,
    device: &Device,
    local: bool,
) -> Result<String, RpcError> {
    let raw = key::raw(&device.public_key).filter(|raw| key::id(raw) == device.id);
    let Some(raw) = raw else {
        return Err(RpcError::invalid("device identity mismatch"));
    };
    if now_ms().abs_diff(device.signed_at) > SIGNATURE_SKEW_MS {
        return Err(RpcError::invalid("device signature expired"));
    }
    match device.nonce() {
        None if !local => return Err(RpcError::invalid("device nonce required")),
        Some(nonce) if nonce != facts.nonce => {
            return Err(RpcError::invalid("device nonce mismatch"));
        }
        _ => {}
    }
    if !key::verify(connect, device, &raw) {
        return Err(RpcError::invalid("device signature invalid"));
    }
    Ok(key::normalized(&raw))
}

/// Lets a paired device through, pairs a local one at once, and leaves others waiting.
fn pair(core: &Core, asking: Asking) -> Result<(), RpcError> {
    if core.devices.standing(&asking) == Standing::Paired {
        core.devices.refresh(&asking);
        return Ok(());
    }
    let (pending, new) = core.devices.request(asking);
    if pending.silent == Some(true) {
        if let Some((pending, _)) = core.devices.approve(&pending.request_id) {
            resolved(core, &pending.request_id, &pending.device_id, "approved");
        }
        return Ok(());
    }
    if new {
        core.clients
            .broadcast("device.pair.requested", &pending, Rules::PAIRING);
    }
    Err(RpcError::new(ErrorCode::NotPaired, "pairing required")
        .with_details(json!({"requestId": pending.request_id})))
}

/// A text the client chose, bounded before it is kept.
pub fn short(text: &str) -> String {
    /// Bytes of a name or version that are kept; the original's clients send a dozen.
    const MAX: usize = 200;
    crate::net::frame::cut(text, MAX).to_string()
}

impl Refused {
    fn silent(code: u16, reason: &str) -> Box<Refused> {
        Box::new(Refused {
            answer: None,
            code,
            reason: reason.into(),
        })
    }

    fn with(id: Box<RawValue>, error: RpcError, code: u16) -> Box<Refused> {
        Box::new(Refused {
            code,
            reason: error.message.clone(),
            answer: Some((id, error)),
        })
    }
}

impl std::fmt::Debug for Accepted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Accepted({:?})", self.scopes)
    }
}
