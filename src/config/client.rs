//! Which gateway a client talks to, and what it shows there.
//!
//! Credentials on the client side: flag, environment, file. With `--url` nothing but the flags
//! counts, so a secret of this machine is never sent to a gateway somebody named. The gateway of
//! this machine is reached by its socket when there is one: no secret is needed there.

use super::{Snapshot, listen, tailnet, tls};
use crate::base::exit::Report;
use crate::base::secret::Secret;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

#[derive(Clone, Debug, Default)]
pub struct ClientFlags {
    pub url: Option<String>,
    pub token: Option<Secret>,
    pub password: Option<Secret>,
}

#[derive(Clone, Debug)]
pub struct Target {
    /// `ws://…` or `wss://…`; what to show, and what to use without a socket.
    pub url: String,
    /// The local gateway's socket, tried first. When nobody answers there (left by a crash), the
    /// URL is next.
    pub socket: Option<PathBuf>,
    pub token: Option<Secret>,
    pub password: Option<Secret>,
    /// The one certificate the gateway may show; without, the authorities decide.
    pub pin: Option<Pin>,
    /// `local loopback`, `cli --url`, `config gateway.remote.url`, …
    pub source: &'static str,
    pub config: PathBuf,
    /// Only for a gateway of this machine.
    pub bind: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pin {
    /// Its SHA-256, as the user wrote it.
    Given(String),
    /// That of this machine's gateway, in this file.
    Own(PathBuf),
}

#[derive(Debug)]
pub enum Error {
    /// `--url` without `--token` or `--password`.
    UrlWithoutSecret {
        config: PathBuf,
    },
    RemoteWithoutUrl {
        config: PathBuf,
    },
    BadUrl {
        url: String,
    },
}

pub fn resolve(snapshot: &Snapshot, flags: &ClientFlags) -> Result<Target, Error> {
    let gateway = &snapshot.config.gateway;
    let config = snapshot.path.clone();
    let named = |url: &Option<String>| {
        url.as_deref()
            .map(str::trim)
            .filter(|u| !u.is_empty())
            .map(str::to_string)
    };
    if let Some(url) = named(&flags.url) {
        check(&url)?;
        if flags.token.is_none() && flags.password.is_none() {
            return Err(Error::UrlWithoutSecret { config });
        }
        return Ok(Target {
            url,
            socket: None,
            token: flags.token.clone(),
            password: flags.password.clone(),
            pin: None,
            source: "cli --url",
            config,
            bind: None,
        });
    }
    let secret = |flag: &Option<Secret>, names: &[&str], file: &Option<Secret>| {
        flag.clone()
            .or_else(|| snapshot.env.first(names).map(Secret::new))
            .or_else(|| file.clone())
            .filter(|secret| !secret.expose().trim().is_empty())
    };
    let remote = gateway.mode.as_deref() == Some("remote");
    let (file_token, file_password) = match remote {
        true => (&gateway.remote.token, &gateway.remote.password),
        false => (&gateway.auth.token, &gateway.auth.password),
    };
    let token = secret(&flags.token, &listen::TOKEN_NAMES, file_token);
    let password = secret(&flags.password, &listen::PASSWORD_NAMES, file_password);
    if remote {
        let url = named(&gateway.remote.url).ok_or_else(|| Error::RemoteWithoutUrl {
            config: config.clone(),
        })?;
        check(&url)?;
        return Ok(Target {
            url,
            socket: None,
            token,
            password,
            pin: named(&gateway.remote.tls_fingerprint).map(Pin::Given),
            source: "config gateway.remote.url",
            config,
            bind: None,
        });
    }
    let (host, source) = local_host(snapshot);
    let own = tls::of(snapshot);
    let scheme = if own.is_some() { "wss" } else { "ws" };
    // Who gives a secret wants it judged; the socket would let everybody of this uid in.
    let explicit = flags.token.is_some() || flags.password.is_some();
    let socket = snapshot.paths.gateway_sock();
    Ok(Target {
        url: format!(
            "{scheme}://{}",
            SocketAddr::new(host, listen::port(snapshot))
        ),
        socket: (!explicit && socket.exists()).then_some(socket),
        token,
        password,
        pin: own.map(|tls| Pin::Own(tls.cert)),
        source,
        config,
        bind: Some(gateway.bind.clone().unwrap_or_else(|| "loopback".into())),
    })
}

/// Loopback, unless the gateway is told to listen elsewhere only.
fn local_host(snapshot: &Snapshot) -> (IpAddr, &'static str) {
    let loopback = (IpAddr::V4(Ipv4Addr::LOCALHOST), "local loopback");
    let gateway = &snapshot.config.gateway;
    match gateway.bind.as_deref() {
        Some("tailnet") => tailnet::address()
            .map(|ip| (IpAddr::V4(ip), "local tailnet"))
            .unwrap_or(loopback),
        Some("custom") => gateway
            .custom_bind_host
            .as_deref()
            .and_then(|host| host.trim().parse::<IpAddr>().ok())
            .filter(|ip| !ip.is_unspecified())
            .map_or(loopback, |ip| (ip, "local custom")),
        _ => loopback,
    }
}

fn check(url: &str) -> Result<(), Error> {
    let rest = url
        .strip_prefix("ws://")
        .or_else(|| url.strip_prefix("wss://"));
    match rest {
        Some(rest) if !rest.is_empty() && !rest.contains(char::is_whitespace) => Ok(()),
        _ => Err(Error::BadUrl { url: url.into() }),
    }
}

/// The four lines that end a connection error.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Gateway target: {}\nSource: {}\nConfig: {}",
            self.url,
            self.source,
            self.config.display()
        )?;
        match &self.bind {
            Some(bind) => write!(f, "\nBind: {bind}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::UrlWithoutSecret { config } => write!(
                f,
                "gateway url override requires explicit credentials\n\
                 Fix: pass --token or --password (or gatewayToken in tools).\n\
                 Config: {}",
                config.display()
            ),
            Error::RemoteWithoutUrl { config } => write!(
                f,
                "gateway remote mode misconfigured: gateway.remote.url missing\n\
                 Config: {}\n\
                 Fix: set gateway.remote.url, or set gateway.mode=local.",
                config.display()
            ),
            Error::BadUrl { url } => write!(
                f,
                "{url:?} is not a gateway URL (want ws://host:port or wss://host:port)"
            ),
        }
    }
}

impl std::error::Error for Error {}

impl Report for Error {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Env, Paths};
    use serde_json::{Value, json};

    fn target(config: Value, env: &[(&str, &str)], flags: ClientFlags) -> Result<Target, Error> {
        let snapshot = Snapshot {
            path: "/c/openclaw.json".into(),
            config: serde_json::from_value(config).unwrap(),
            env: Env::from_pairs(env),
            ..Snapshot::default()
        };
        resolve(&snapshot, &flags)
    }

    fn shown(secret: &Option<Secret>) -> &str {
        secret.as_ref().map_or("none", Secret::expose)
    }

    #[test]
    fn on_the_client_the_environment_wins_over_the_file() {
        let local = json!({"gateway": {"port": 7, "auth": {"token": "file", "password": "pw"}}});
        let env = [("OPENCLAW_GATEWAY_TOKEN", "env")];
        let found = target(local.clone(), &env, ClientFlags::default()).unwrap();
        assert_eq!(
            (
                found.url.as_str(),
                shown(&found.token),
                shown(&found.password)
            ),
            ("ws://127.0.0.1:7", "env", "pw")
        );
        assert_eq!(
            found.to_string(),
            "Gateway target: ws://127.0.0.1:7\nSource: local loopback\n\
             Config: /c/openclaw.json\nBind: loopback"
        );
        let remote = json!({"gateway": {"mode": "remote", "auth": {"token": "server"},
            "remote": {"url": "wss://far", "token": "far"}}});
        let found = target(remote.clone(), &[], ClientFlags::default()).unwrap();
        assert_eq!(
            (found.url.as_str(), shown(&found.token)),
            ("wss://far", "far")
        );
        let flags = ClientFlags {
            token: Some(Secret::new("flag")),
            ..ClientFlags::default()
        };
        assert_eq!(shown(&target(remote, &env, flags).unwrap().token), "flag");
    }

    #[test]
    fn a_url_takes_nothing_from_file_or_environment() {
        let local = json!({"gateway": {"auth": {"token": "file"}}});
        let env = [("OPENCLAW_GATEWAY_PASSWORD", "env")];
        let mut flags = ClientFlags {
            url: Some("ws://other:1".into()),
            ..ClientFlags::default()
        };
        let error = target(local.clone(), &env, flags.clone()).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("gateway url override requires explicit credentials\nFix: pass")
        );
        flags.token = Some(Secret::new("flag"));
        let found = target(local, &env, flags).unwrap();
        assert_eq!(
            (shown(&found.token), shown(&found.password)),
            ("flag", "none")
        );
    }

    #[test]
    fn remote_mode_needs_a_url_that_is_one() {
        let said = |config| {
            target(config, &[], ClientFlags::default())
                .unwrap_err()
                .to_string()
        };
        assert!(
            said(json!({"gateway": {"mode": "remote"}})).contains("gateway.remote.url missing")
        );
        let bad = json!({"gateway": {"mode": "remote", "remote": {"url": "http://x"}}});
        assert!(said(bad).contains("not a gateway URL"));
    }

    #[test]
    fn the_socket_is_used_when_it_is_there_and_no_secret_is_given() {
        let dir = crate::base::id::temp_dir("client");
        let snapshot = Snapshot {
            paths: Paths {
                runtime: dir.clone(),
                ..Paths::default()
            },
            ..Snapshot::default()
        };
        assert!(
            resolve(&snapshot, &ClientFlags::default())
                .unwrap()
                .socket
                .is_none()
        );
        std::fs::write(dir.join("gateway.sock"), "").unwrap();
        assert!(
            resolve(&snapshot, &ClientFlags::default())
                .unwrap()
                .socket
                .is_some()
        );
        let flags = ClientFlags {
            token: Some(Secret::new("t")),
            ..ClientFlags::default()
        };
        assert!(resolve(&snapshot, &flags).unwrap().socket.is_none());
        std::fs::remove_dir_all(dir).unwrap();
    }
}
