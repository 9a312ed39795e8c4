//! The core's part in Tailscale: wants the helper when the configuration does, tells the log how
//! publishing went, and asks whose address a client has.
//!
//! `tailscale serve` forwards from this machine and says who the user is in headers that any local
//! program could write. They count only when the tailnet itself gives the same login for the
//! address they name.

use super::core::Core;
use super::link::Supervisor;
use super::origin::Forwarding;
use crate::config::listen::{Listen, Tailscale};
use crate::tailscale::{ROLE, WORKER_ID, link};
use crate::wire::control::{Limits, Worker};
use crate::wire::tailscale::{Answer, Ask};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// An answer of `whois` is believed this long, as by the original.
const KNOWN_FOR: Duration = Duration::from_secs(60);
/// So long nobody is asked again after a failure.
const FAILED_FOR: Duration = Duration::from_secs(5);
/// Addresses kept: the people of a household or a team.
const MAX_KNOWN: usize = 256;
/// A little more than the helper gives `tailscale whois`.
const WHOIS: Duration = Duration::from_secs(6);
/// For publishing: two commands, each perhaps tried twice.
const PUBLISHED: Duration = Duration::from_secs(65);
/// For the helper to be started and to listen.
const STARTS: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(100);
/// A thread that waits for one line.
const STACK: usize = 64 * 1024;

/// Logins by address, for a short while.
#[derive(Default)]
pub struct Known(Mutex<HashMap<IpAddr, (Option<String>, Instant)>>);

/// The helper's command line; `None` when nobody needs it.
fn worker(listen: &Listen) -> Option<Worker> {
    let mode = match listen.tailscale {
        Tailscale::Serve => Some("serve"),
        Tailscale::Funnel => Some("funnel"),
        Tailscale::Off => None,
    };
    let mut argv = vec![ROLE.to_string()];
    match mode {
        Some(mode) => argv.extend([mode.to_string(), listen.port.to_string()]),
        None if listen.auth.allow_tailscale => argv.push("off".into()),
        None => return None,
    }
    if listen.tailscale_reset {
        argv.push("reset".into());
    }
    Some(Worker {
        id: WORKER_ID.into(),
        argv,
        limits: Limits::default(),
    })
}

/// Asks the supervisor for the helper, if the settings do.
pub fn want(listen: &Listen, supervisor: &Supervisor) {
    if let Some(worker) = worker(listen) {
        supervisor.want_also(worker);
    }
}

/// The supervisor told that the helper runs: perhaps one of a core before us, with other settings.
pub fn started(core: &Arc<Core>) {
    if worker(&core.listen).is_none() {
        core.supervisor.part(WORKER_ID);
        return;
    }
    if core.listen.tailscale == Tailscale::Off {
        return;
    }
    let asking = core.clone();
    let thread = std::thread::Builder::new()
        .name("tailscale".into())
        .stack_size(STACK);
    if let Err(err) = thread.spawn(move || announce(&asking)) {
        log::error!("cannot start a thread: {err}");
    }
}

/// What came of publishing, for the log.
fn announce(core: &Core) {
    let mode = match core.listen.tailscale {
        Tailscale::Funnel => "funnel",
        _ => "serve",
    };
    let until = Instant::now() + STARTS;
    let answer = loop {
        match ask(core, &Ask::Published, PUBLISHED) {
            // Started, and not listening yet.
            Err(_) if Instant::now() < until => std::thread::sleep(LOOK),
            other => break other,
        }
    };
    match answer {
        Ok(Answer::Published { host: Some(host) }) => log::info!(
            target: "tailscale",
            "{mode} enabled: https://{host}/ (WS via wss://{host})"
        ),
        Ok(Answer::Published { host: None }) => log::info!(target: "tailscale", "{mode} enabled"),
        Ok(Answer::Failed { why }) => log::warn!(target: "tailscale", "{mode} failed: {why}"),
        Ok(other) => log::warn!(target: "tailscale", "{mode}: the helper answered {other:?}"),
        Err(err) => log::warn!(target: "tailscale", "{mode}: the helper does not answer: {err}"),
    }
}

fn ask(core: &Core, question: &Ask, patience: Duration) -> std::io::Result<Answer> {
    let pid = core.supervisor.child(WORKER_ID).and_then(|child| child.pid);
    let pid = pid.ok_or(std::io::ErrorKind::NotConnected)?;
    let socket = core.config.paths().tailscale_sock();
    link::ask(&socket, pid, question, patience)
}

/// Whether the user named in the headers of `tailscale serve` is who the tailnet says.
pub fn proves(core: &Core, forwarding: &Forwarding, peer: IpAddr) -> bool {
    let Some((user, ip)) = claim(forwarding, peer) else {
        return false;
    };
    let Some(login) = login(core, ip) else {
        return false;
    };
    login.to_lowercase() == user.to_lowercase()
}

/// Login and address, when all of its headers are there and it speaks to us from this machine.
fn claim(forwarding: &Forwarding, peer: IpAddr) -> Option<(&str, IpAddr)> {
    let user = forwarding.tailscale_login.as_deref()?.trim();
    let whole = forwarding.forwarded_proto.is_some() && forwarding.forwarded_host.is_some();
    let ip = forwarding.nearest()?;
    (peer.to_canonical().is_loopback() && whole && !user.is_empty()).then_some((user, ip))
}

fn login(core: &Core, ip: IpAddr) -> Option<String> {
    if let Some(known) = core.logins.get(ip, Instant::now()) {
        return known;
    }
    let (login, keep) = match ask(core, &Ask::Whois { ip }, WHOIS) {
        Ok(Answer::Whois { login }) => (login, KNOWN_FOR),
        Ok(Answer::Failed { why }) => {
            log::warn!(target: "tailscale", "whois {ip} failed: {why}");
            (None, FAILED_FOR)
        }
        Ok(_) => (None, FAILED_FOR),
        Err(err) => {
            log::warn!(target: "tailscale", "whois {ip}: the helper does not answer: {err}");
            (None, FAILED_FOR)
        }
    };
    core.logins.put(ip, login.clone(), Instant::now() + keep);
    login
}

impl Known {
    fn get(&self, ip: IpAddr, now: Instant) -> Option<Option<String>> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (login, until) = known.get(&ip)?;
        (*until > now).then(|| login.clone())
    }

    fn put(&self, ip: IpAddr, login: Option<String>, until: Instant) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MAX_KNOWN {
            let now = Instant::now();
            known.retain(|_, (_, until)| *until > now);
            if known.len() >= MAX_KNOWN {
                known.clear();
            }
        }
        known.insert(ip, (login, until));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(list: &[(&str, &str)]) -> Forwarding {
        Forwarding::read(|name| {
            let found = list.iter().find(|(have, _)| *have == name);
            found.map(|(_, value)| value.to_string())
        })
    }

    #[test]
    fn a_claim_needs_every_header_and_a_peer_on_this_machine() {
        let all = [
            ("tailscale-user-login", "a@b"),
            ("x-forwarded-for", "100.64.0.9"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "box.ts.net"),
        ];
        let here: IpAddr = "127.0.0.1".parse().unwrap();
        let ip = "100.64.0.9".parse().unwrap();
        assert_eq!(claim(&headers(&all), here), Some(("a@b", ip)));
        assert_eq!(claim(&headers(&all), "192.0.2.1".parse().unwrap()), None);
        for missing in 0..all.len() {
            let mut some = all.to_vec();
            some.remove(missing);
            assert_eq!(claim(&headers(&some), here), None, "{missing}");
        }
    }

    #[test]
    fn an_answer_is_kept_for_a_while_and_the_table_is_bounded() {
        let known = Known::default();
        let now = Instant::now();
        let ip = |n: u32| IpAddr::from((0x6440_0000 + n).to_be_bytes());
        known.put(ip(0), Some("a".into()), now + KNOWN_FOR);
        assert_eq!(known.get(ip(0), now), Some(Some("a".into())));
        assert_eq!(known.get(ip(0), now + KNOWN_FOR), None);
        for n in 0..1000 {
            known.put(ip(n), None, now + KNOWN_FOR);
        }
        assert!(known.0.lock().unwrap().len() <= MAX_KNOWN);
        assert_eq!(known.get(ip(999), now), Some(None));
    }
}
