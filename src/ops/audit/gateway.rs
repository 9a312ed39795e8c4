//! Who can reach the gateway, and what opens it.

use super::{Finding, LEAST_SECRET, Severity};
use crate::config::Snapshot;
use crate::config::listen::{self, AuthMode, Bind};
use serde_json::Value;

pub fn look(snapshot: &Snapshot) -> Vec<Finding> {
    let gateway = &snapshot.value["gateway"];
    let auth = listen::auth_of(snapshot);
    let bind = gateway["bind"].as_str().unwrap_or("loopback");
    let is_loopback = Bind::parse(bind) == Some(Bind::Loopback);
    let has_secret = auth.token.is_some() || auth.password.is_some();
    let page = gateway["controlUi"]["enabled"] != false;
    let mut found = Vec::new();
    if !is_loopback && !has_secret {
        found.push(
            Finding::new(
                "gateway.bind_no_auth",
                Severity::Critical,
                "The network reaches a gateway without a secret",
                format!("gateway.bind=\"{bind}\", and neither a token nor a password is set."),
            )
            .fix("Set a token (openclaw doctor --generate-gateway-token) or bind to loopback."),
        );
    }
    if is_loopback && page {
        found.extend(behind_a_proxy(gateway));
    }
    let by_tailscale = auth.allow_tailscale && gateway["tailscale"]["mode"] == "serve";
    if is_loopback && page && !has_secret && !by_tailscale {
        found.push(
            Finding::new(
                "gateway.loopback_no_auth",
                Severity::Critical,
                "The gateway has no secret",
                "Every program of this machine is let in, and with a reverse proxy in front \
                 everybody is.",
            )
            .fix("Set a token: openclaw doctor --generate-gateway-token"),
        );
    }
    found.extend(tailscale(gateway));
    found.extend(control_ui(gateway));
    let short = |secret: &&crate::base::secret::Secret| secret.expose().len() < LEAST_SECRET;
    if auth.mode == AuthMode::Token {
        if let Some(token) = auth.token.as_ref().filter(short) {
            found.push(Finding::new(
                "gateway.token_too_short",
                Severity::Warn,
                "The gateway's token is short",
                format!(
                    "It is {} chars; a random one of {LEAST_SECRET} or more cannot be guessed.",
                    token.expose().chars().count()
                ),
            ));
        }
    }
    found
}

fn behind_a_proxy(gateway: &Value) -> Option<Finding> {
    let none = super::entries(&gateway["trustedProxies"]).is_empty();
    none.then(|| {
        Finding::new(
            "gateway.trusted_proxies_missing",
            Severity::Warn,
            "No reverse proxy is trusted",
            "gateway.bind is loopback and gateway.trustedProxies is empty: behind a reverse proxy \
             every visitor would seem to be on this machine.",
        )
        .fix("Name the proxy's addresses in gateway.trustedProxies, or keep the page to this machine.")
    })
}

fn tailscale(gateway: &Value) -> Option<Finding> {
    Some(match gateway["tailscale"]["mode"].as_str()? {
        "funnel" => Finding::new(
            "gateway.tailscale_funnel",
            Severity::Critical,
            "The whole internet reaches the gateway",
            "gateway.tailscale.mode=\"funnel\" publishes it beyond your tailnet.",
        )
        .fix("Use gateway.tailscale.mode=\"serve\", which stays within the tailnet."),
        "serve" => Finding::new(
            "gateway.tailscale_serve",
            Severity::Info,
            "Your tailnet reaches the gateway",
            "gateway.tailscale.mode=\"serve\" publishes it to the machines of your tailnet.",
        ),
        _ => return None,
    })
}

fn control_ui(gateway: &Value) -> Vec<Finding> {
    let page = &gateway["controlUi"];
    let mut found = Vec::new();
    if page["allowInsecureAuth"] == true {
        found.push(
            Finding::new(
                "gateway.control_ui.insecure_auth",
                Severity::Critical,
                "The web page may sign in over plain HTTP",
                "gateway.controlUi.allowInsecureAuth=true: a token alone opens it, without a \
                 device key, and can be read on the way.",
            )
            .fix("Switch it off, and use HTTPS (gateway.tls, Tailscale serve) or localhost."),
        );
    }
    if page["dangerouslyDisableDeviceAuth"] == true {
        found.push(
            Finding::new(
                "gateway.control_ui.device_auth_disabled",
                Severity::Critical,
                "Web pages need no device key",
                "gateway.controlUi.dangerouslyDisableDeviceAuth=true: whoever has the secret has \
                 everything, from any device.",
            )
            .fix("Switch it off as soon as you can pair a device again."),
        );
    }
    found
}
