//! `openclaw gateway discover`: the gateways that say on the local network where they are.

use super::super::super::Context;
use super::super::super::failure::Failure;
use crate::base::cmdline::Command;
use crate::net::mdns::{self, Offer};
use serde_json::{Value, json};
use std::time::Duration;

const SERVICE: &str = "_openclaw-gw._tcp.local";
const DEFAULT: Duration = Duration::from_secs(2);

pub const SPEC: Command = Command {
    name: "discover",
    summary: "Look for gateways on the local network",
    about: "Asks by multicast DNS on the network of the default route and waits for --timeout \
            (2000 ms unless said). What is found is what somebody claims: check it before you \
            give it a token.",
    ..Command::NEW
};

pub fn run(context: &mut Context) -> Result<(), Failure> {
    let patience = match context.matches.text("timeout") {
        None => DEFAULT,
        Some(text) => match text.parse::<u64>() {
            Ok(ms) if ms > 0 => Duration::from_millis(ms),
            _ => {
                let text = format!("gateway discover failed: Error: invalid --timeout: {text}");
                return Err(Failure::said(text));
            }
        },
    };
    let found = offers(patience);
    if context.json() {
        let value = json!({
            "timeoutMs": u64::try_from(patience.as_millis()).unwrap_or(u64::MAX),
            "domains": ["local."],
            "count": found.len(),
            "beacons": found.iter().map(beacon).collect::<Vec<_>>(),
        });
        return Ok(context.out.json(&value)?);
    }
    let out = &mut context.out;
    out.title("Gateway Discovery")?;
    out.line(format!(
        "Found {} gateway(s) · domains: local.",
        found.len()
    ))?;
    for offer in &found {
        let name = offer.text.get("displayname").unwrap_or(&offer.instance);
        out.line("")?;
        out.line(format!("- {name}"))?;
        if let Some(host) = &offer.host {
            out.line(format!("  host: {host}"))?;
        }
        if let Some(url) = url(offer) {
            out.line(format!("  ws: {url}"))?;
        }
        if let Some(port) = offer.text.get("sshport") {
            out.line(format!("  ssh: port {port}"))?;
        }
    }
    Ok(())
}

/// A network without multicast is one where nobody was found.
pub fn offers(patience: Duration) -> Vec<Offer> {
    mdns::browse(SERVICE, patience).unwrap_or_default()
}

pub fn beacon(offer: &Offer) -> Value {
    let text = |key: &str| offer.text.get(key);
    let number = |key: &str| text(key).and_then(|text| text.parse::<u16>().ok());
    json!({
        "instanceName": offer.instance,
        "displayName": text("displayname").unwrap_or(&offer.instance),
        "domain": "local.",
        "host": offer.host,
        "lanHost": text("lanhost"),
        "tailnetDns": text("tailnetdns"),
        "gatewayPort": offer.port.or_else(|| number("gatewayport")),
        "sshPort": number("sshport"),
        "wsUrl": url(offer),
    })
}

/// Where the records of the service lead; the free text beside them is not asked.
fn url(offer: &Offer) -> Option<String> {
    let host = match offer.address {
        Some(address) => address.to_string(),
        None => offer.host.clone()?,
    };
    let scheme = match offer.text.get("gatewaytls").map(String::as_str) {
        Some("1" | "true") => "wss",
        _ => "ws",
    };
    Some(format!("{scheme}://{host}:{}", offer.port?))
}
