//! The shared secret, and whether a client counts as local.

use super::connect::Connect;
use crate::base::secret::Secret;
use crate::base::secret::constant_time_eq;
use crate::config::listen::{Auth, AuthMode};
use std::net::IpAddr;

/// Why the shared secret was not proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    TokenMissing,
    TokenMismatch,
    TokenNotConfigured,
    PasswordMissing,
    PasswordMismatch,
    PasswordNotConfigured,
}

/// Compares what was offered with the secret of the active mode; the other mode counts for nothing.
pub fn check(auth: &Auth, token: Option<&str>, password: Option<&str>) -> Result<(), Refusal> {
    let (secret, offered, refusals) = match auth.mode {
        AuthMode::Token => (
            &auth.token,
            token,
            [
                Refusal::TokenNotConfigured,
                Refusal::TokenMissing,
                Refusal::TokenMismatch,
            ],
        ),
        AuthMode::Password => (
            &auth.password,
            password,
            [
                Refusal::PasswordNotConfigured,
                Refusal::PasswordMissing,
                Refusal::PasswordMismatch,
            ],
        ),
    };
    let [unconfigured, missing, mismatch] = refusals;
    let secret = given(secret).ok_or(unconfigured)?;
    let offered = offered.filter(|o| !o.is_empty()).ok_or(missing)?;
    if constant_time_eq(secret.as_bytes(), offered.as_bytes()) {
        Ok(())
    } else {
        Err(mismatch)
    }
}

fn given(secret: &Option<Secret>) -> Option<&str> {
    secret
        .as_ref()
        .map(|s| s.expose().trim())
        .filter(|s| !s.is_empty())
}

impl Refusal {
    /// What the client is told: the fix depends on which program it is.
    pub fn text(self, connect: &Connect) -> String {
        let page = connect.is_browser();
        let cli = connect.client.mode == "cli";
        let token_fix = if cli {
            "set gateway.remote.token to match gateway.auth.token"
        } else if page {
            "open a tokenized dashboard URL or paste token in Control UI settings"
        } else {
            "provide gateway auth token"
        };
        let password_fix = if cli {
            "set gateway.remote.password to match gateway.auth.password"
        } else if page {
            "enter the password in Control UI settings"
        } else {
            "provide gateway auth password"
        };
        let (what, fix) = match self {
            Refusal::TokenMissing => ("token missing", token_fix),
            Refusal::TokenMismatch => ("token mismatch", token_fix),
            Refusal::PasswordMissing => ("password missing", password_fix),
            Refusal::PasswordMismatch => ("password mismatch", password_fix),
            Refusal::TokenNotConfigured => {
                ("token not configured on gateway", "set gateway.auth.token")
            }
            Refusal::PasswordNotConfigured => (
                "password not configured on gateway",
                "set gateway.auth.password",
            ),
        };
        format!("unauthorized: gateway {what} ({fix})")
    }
}

/// The headers that say where a request really came from. Only a trusted proxy is believed.
#[derive(Clone, Debug, Default)]
pub struct Forwarding {
    pub host: Option<String>,
    pub forwarded_for: Option<String>,
    pub real_ip: Option<String>,
    /// Any of `X-Forwarded-For`, `X-Real-IP`, `X-Forwarded-Host` is there.
    pub forwarded: bool,
}

/// What peer and headers together say about the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The client's address, seen through trusted proxies.
    pub ip: Option<IpAddr>,
    /// On this machine and not forwarded: nonces and pairing approval are not asked of it.
    pub local: bool,
    /// The address may be shown: it is elsewhere and not hearsay.
    pub shown: bool,
}

pub fn origin(peer: IpAddr, forwarding: &Forwarding, trusted: &[String]) -> Origin {
    let peer = plain(peer);
    let proxy = is_trusted(peer, trusted);
    let ip = if proxy {
        forwarding
            .forwarded_for
            .as_deref()
            .and_then(|list| list.split(',').next())
            .and_then(address)
            .or_else(|| forwarding.real_ip.as_deref().and_then(address))
            .unwrap_or(peer)
    } else {
        peer
    };
    let hearsay = forwarding.forwarded && !proxy;
    let host = forwarding
        .host
        .as_deref()
        .map(host_name)
        .unwrap_or_default();
    let local_name =
        ["localhost", "127.0.0.1", "::1"].contains(&host.as_str()) || host.ends_with(".ts.net");
    Origin {
        ip: Some(ip),
        local: ip.is_loopback() && local_name && !hearsay,
        shown: !ip.is_loopback() && !hearsay,
    }
}

pub fn is_trusted(ip: IpAddr, trusted: &[String]) -> bool {
    trusted
        .iter()
        .filter_map(|text| address(text))
        .any(|proxy| proxy == plain(ip))
}

/// IPv4 addresses in IPv6 clothes are IPv4 addresses.
fn plain(ip: IpAddr) -> IpAddr {
    ip.to_canonical()
}

/// An address, perhaps with a port behind it.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    if let Ok(ip) = text.parse::<IpAddr>() {
        return Some(plain(ip));
    }
    if let Ok(socket) = text.parse::<std::net::SocketAddr>() {
        return Some(plain(socket.ip()));
    }
    let inner = text.strip_prefix('[')?.strip_suffix(']')?;
    inner.parse().ok().map(plain)
}

/// The name in a Host header: lower case, no port, no brackets.
pub fn host_name(host: &str) -> String {
    let host = host.trim().to_ascii_lowercase();
    if let Some(rest) = host.strip_prefix('[') {
        return rest.split(']').next().unwrap_or_default().to_string();
    }
    match host.rsplit_once(':') {
        // More than one colon: a bare IPv6 address.
        Some((name, _)) if !name.contains(':') => name.to_string(),
        _ => host,
    }
}

/// Whether a browser page from `origin` may talk to us.
pub fn origin_allowed(origin: Option<&str>, host: Option<&str>, allowed: &[String]) -> bool {
    let Some(origin) = origin.map(str::trim).filter(|o| *o != "null") else {
        return false;
    };
    let Some((scheme, rest)) = origin.split_once("://") else {
        return false;
    };
    let authority = rest
        .split(['/', '?', '#'])
        .next()
        .unwrap_or_default()
        .rsplit('@')
        .next()
        .unwrap_or_default()
        .to_ascii_lowercase();
    if authority.is_empty() {
        return false;
    }
    let scheme = scheme.to_ascii_lowercase();
    let authority = without_default_port(&scheme, &authority);
    let whole = format!("{scheme}://{authority}");
    if allowed
        .iter()
        .any(|a| a.trim().trim_end_matches('/').eq_ignore_ascii_case(&whole))
    {
        return true;
    }
    let Some(host) = host.map(|h| h.trim().to_ascii_lowercase()) else {
        return false;
    };
    authority == host
        || (is_loopback_name(&host_name(authority)) && is_loopback_name(&host_name(&host)))
}

/// A URL's host as browsers write it.
fn without_default_port<'a>(scheme: &str, authority: &'a str) -> &'a str {
    let default = match scheme {
        "http" | "ws" => ":80",
        "https" | "wss" => ":443",
        _ => return authority,
    };
    authority.strip_suffix(default).unwrap_or(authority)
}

fn is_loopback_name(name: &str) -> bool {
    name == "localhost" || name == "::1" || name.starts_with("127.")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn auth(mode: AuthMode) -> Auth {
        Auth {
            mode,
            token: Some(Secret::new("tok")),
            password: None,
            allow_tailscale: false,
        }
    }

    #[test]
    fn only_the_active_mode_counts() {
        let token = auth(AuthMode::Token);
        assert_eq!(check(&token, Some("tok"), None), Ok(()));
        assert_eq!(check(&token, None, Some("tok")), Err(Refusal::TokenMissing));
        assert_eq!(check(&token, Some("no"), None), Err(Refusal::TokenMismatch));
        let password = auth(AuthMode::Password);
        assert_eq!(
            check(&password, Some("tok"), Some("x")),
            Err(Refusal::PasswordNotConfigured)
        );
    }

    fn from(peer: &str, host: &str, forwarded_for: Option<&str>, trusted: &[&str]) -> Origin {
        let forwarding = Forwarding {
            host: Some(host.into()),
            forwarded_for: forwarded_for.map(str::to_string),
            real_ip: None,
            forwarded: forwarded_for.is_some(),
        };
        let trusted: Vec<String> = trusted.iter().map(|t| t.to_string()).collect();
        origin(peer.parse().unwrap(), &forwarding, &trusted)
    }

    #[test]
    fn local_needs_address_name_and_no_hearsay() {
        assert!(from("127.0.0.1", "localhost:18789", None, &[]).local);
        assert!(from("::ffff:127.0.0.1", "[::1]:18789", None, &[]).local);
        assert!(from("127.0.0.1", "box.tail.ts.net", None, &[]).local);
        assert!(!from("127.0.0.1", "127.0.0.2", None, &[]).local);
        assert!(!from("127.0.0.1", "evil.example", None, &[]).local);
        assert!(!from("127.0.0.1", "localhost", Some("10.0.0.1"), &[]).local);
        assert!(!from("192.0.2.7", "localhost", None, &[]).local);
    }

    #[test]
    fn a_trusted_proxy_is_believed_and_nobody_else() {
        let seen = from(
            "127.0.0.1",
            "x",
            Some("192.0.2.7:80, 10.0.0.1"),
            &["127.0.0.1"],
        );
        assert_eq!(seen.ip, Some("192.0.2.7".parse().unwrap()));
        assert!(seen.shown && !seen.local);
        let seen = from("127.0.0.1", "x", Some("192.0.2.7"), &[]);
        assert_eq!(seen.ip, Some("127.0.0.1".parse().unwrap()));
        assert!(!seen.shown);
        assert!(from("127.0.0.1", "localhost", Some("127.0.0.1"), &["127.0.0.1"]).local);
    }

    #[test]
    fn a_page_needs_our_own_origin_or_permission() {
        let ok = |origin, host, list: &[&str]| {
            let list: Vec<String> = list.iter().map(|s| s.to_string()).collect();
            origin_allowed(origin, Some(host), &list)
        };
        assert!(ok(Some("http://gw:18789"), "gw:18789", &[]));
        assert!(ok(Some("http://localhost:3000"), "127.0.0.1:18789", &[]));
        assert!(ok(
            Some("https://Ui.example"),
            "gw",
            &["https://ui.example/"]
        ));
        assert!(ok(Some("https://gw:443"), "gw", &[]));
        assert!(!ok(Some("http://evil.example"), "gw:18789", &[]));
        assert!(!ok(Some("http://localhost.evil.example"), "127.0.0.1", &[]));
        assert!(!ok(Some("null"), "gw", &["null"]));
        assert!(!ok(None, "gw", &[]));
    }
}
