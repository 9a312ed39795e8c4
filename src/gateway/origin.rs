//! Where a request comes from: the client's address behind proxies, whether it counts as local, and
//! which pages and names may speak to us.
//!
//! Headers are hearsay unless a trusted proxy says them.

use std::net::IpAddr;

/// The headers that say where a request really came from. Only a trusted proxy is believed.
#[derive(Clone, Debug, Default)]
pub struct Forwarding {
    pub host: Option<String>,
    pub forwarded_for: Option<String>,
    pub real_ip: Option<String>,
    pub forwarded_host: Option<String>,
    pub forwarded_proto: Option<String>,
    /// Who the user is, as `tailscale serve` says.
    pub tailscale_login: Option<String>,
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
    /// A proxy nobody vouches for is in between: the address is the proxy's.
    pub behind: bool,
}

impl Forwarding {
    /// `header` gives all values of a header, joined by commas.
    pub fn read(header: impl Fn(&str) -> Option<String>) -> Forwarding {
        let [forwarded_for, real_ip, forwarded_host] =
            ["x-forwarded-for", "x-real-ip", "x-forwarded-host"].map(&header);
        Forwarding {
            host: header("host"),
            forwarded: forwarded_for.is_some() || real_ip.is_some() || forwarded_host.is_some(),
            forwarded_for,
            real_ip,
            forwarded_host,
            forwarded_proto: header("x-forwarded-proto"),
            tailscale_login: header("tailscale-user-login"),
        }
    }

    /// The address that the proxy next to us names.
    pub fn nearest(&self) -> Option<IpAddr> {
        last(self.forwarded_for.as_deref()?)
    }
}

impl Origin {
    /// A program on the local socket: the kernel knows it.
    pub fn on_socket(local: bool) -> Origin {
        Origin {
            ip: None,
            local,
            shown: false,
            behind: false,
        }
    }
}

pub fn origin(peer: IpAddr, forwarding: &Forwarding, trusted: &[String]) -> Origin {
    let peer = plain(peer);
    let proxy = is_trusted(peer, trusted);
    let told = if proxy {
        let listed = forwarding.forwarded_for.as_deref();
        listed
            .and_then(|list| client_of(list, trusted))
            .or_else(|| last(forwarding.real_ip.as_deref()?))
    } else {
        None
    };
    let ip = told.unwrap_or(peer);
    // Somebody stands between us and the client, and nobody we believe says who the client is.
    let behind = forwarding.forwarded && told.is_none();
    let host = forwarding
        .host
        .as_deref()
        .map(host_name)
        .unwrap_or_default();
    let local_name =
        ["localhost", "127.0.0.1", "::1"].contains(&host.as_str()) || host.ends_with(".ts.net");
    Origin {
        ip: Some(ip),
        local: ip.is_loopback() && local_name && !behind,
        shown: !ip.is_loopback() && !behind,
        behind,
    }
}

/// The client in `X-Forwarded-For`: each proxy writes behind what it was told, so it is the last
/// one that is no proxy of ours. What stands further in front may be made up.
fn client_of(list: &str, trusted: &[String]) -> Option<IpAddr> {
    let mut client = None;
    for entry in list.rsplit(',') {
        client = Some(address(entry)?);
        if !client.is_some_and(|ip| is_trusted(ip, trusted)) {
            break;
        }
    }
    client
}

fn last(list: &str) -> Option<IpAddr> {
    address(list.rsplit(',').next()?)
}

/// `trusted` holds addresses, and networks as `10.0.0.0/8`.
pub fn is_trusted(ip: IpAddr, trusted: &[String]) -> bool {
    let ip = plain(ip);
    trusted
        .iter()
        .any(|text| match text.trim().split_once('/') {
            Some((network, bits)) => match (address(network), bits.parse()) {
                (Some(network), Ok(bits)) => shares(ip, network, bits),
                _ => false,
            },
            None => address(text) == Some(ip),
        })
}

/// Whether the first `bits` bits are the same.
fn shares(a: IpAddr, b: IpAddr, bits: u32) -> bool {
    let same = |differ: u128, width: u32| {
        bits <= width && differ.checked_shr(width - bits).unwrap_or(0) == 0
    };
    match (a, b) {
        (IpAddr::V4(a), IpAddr::V4(b)) => same(u128::from(a.to_bits() ^ b.to_bits()), 32),
        (IpAddr::V6(a), IpAddr::V6(b)) => same(a.to_bits() ^ b.to_bits(), 128),
        _ => false,
    }
}

/// Whether a request with this `Host` may be meant for a gateway that listens on the loopback only.
///
/// A page anywhere can have its own name point to 127.0.0.1 and then counts, for the browser, as
/// ours. Its requests name it. Addresses cannot be pointed elsewhere, and the names that are left
/// are this machine's, or those the owner or the tailnet gave it.
pub fn is_ours(host: Option<&str>, own: &str, allowed: &[String]) -> bool {
    let Some(name) = host.map(host_name) else {
        return true;
    };
    let own = own.to_ascii_lowercase();
    let first = own.split('.').next().unwrap_or_default();
    name.parse::<IpAddr>().is_ok()
        || name == "localhost"
        || name.ends_with(".localhost")
        || name.ends_with(".ts.net")
        || (!own.is_empty() && (name == own || name == first || name == format!("{first}.local")))
        || allowed
            .iter()
            .filter_map(|origin| origin.split_once("://"))
            .any(|(_, rest)| host_name(rest.trim_end_matches('/')) == name)
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

    fn from(peer: &str, host: &str, forwarded_for: Option<&str>, trusted: &[&str]) -> Origin {
        let forwarding = Forwarding {
            host: Some(host.into()),
            forwarded_for: forwarded_for.map(str::to_string),
            forwarded: forwarded_for.is_some(),
            ..Forwarding::default()
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
        let proxies = ["127.0.0.1", "10.0.0.0/8"];
        // Two proxies of ours, and what the client made up in front of them.
        let list = "127.0.0.1, 192.0.2.7:80, 10.0.0.1";
        let seen = from("127.0.0.1", "localhost", Some(list), &proxies);
        assert_eq!(seen.ip, Some("192.0.2.7".parse().unwrap()));
        assert!(seen.shown && !seen.local);
        // A proxy that does not know its client either.
        let seen = from(
            "127.0.0.1",
            "localhost",
            Some("127.0.0.1, unknown"),
            &proxies,
        );
        assert!(seen.behind && !seen.local && !seen.shown);
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

    #[test]
    fn a_network_is_trusted_by_its_first_bits() {
        let is = |ip: &str, list: &str| is_trusted(ip.parse().unwrap(), &[list.to_string()]);
        assert!(is("172.17.255.1", "172.16.0.0/12") && !is("172.32.0.1", "172.16.0.0/12"));
        assert!(is("::ffff:10.1.1.1", "10.0.0.0/8") && is("192.0.2.1", "0.0.0.0/0"));
        assert!(is("fd00::1", "fd00::/8") && !is("fe00::1", "fd00::/8"));
        assert!(is("192.0.2.1", "192.0.2.1/32") && !is("192.0.2.2", "192.0.2.1/32"));
        for bad in ["10.0.0.0/33", "10.0.0.0/x", "x/8", ""] {
            assert!(!is("10.0.0.1", bad), "{bad}");
        }
    }

    #[test]
    fn only_names_of_this_machine_reach_a_loopback_gateway() {
        let ours = |host| is_ours(Some(host), "Box.lan", &["https://ui.example:8443/".into()]);
        for host in [
            "127.0.0.1:18789",
            "[::1]:1",
            "192.168.1.5",
            "LocalHost:1",
            "a.localhost",
            "box.lan",
            "box:18789",
            "box.local",
            "box.tail1.ts.net",
            "ui.example:8443",
        ] {
            assert!(ours(host), "{host}");
        }
        for host in [
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "",
        ] {
            assert!(!ours(host), "{host}");
        }
        assert!(is_ours(None, "", &[]));
    }
}
