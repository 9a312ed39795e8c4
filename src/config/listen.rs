//! Where the gateway listens and what it asks of those who connect, or why it must not start.
//!
//! Port: flag, environment, file, 18789. Bind: flag, environment, file, loopback. Secrets on the
//! server side: flag, file, environment. The texts of the refusals are the original's.

use super::canvas;
use super::tls::{self, Tls};
use super::{Snapshot, tailnet};
use crate::base::secret::Secret;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

pub use super::bind::{AuthMode, Bind, Tailscale};
pub use super::refusal::Error;

pub const DEFAULT_PORT: u16 = 18789;
pub const PORT_NAMES: [&str; 2] = ["OPENCLAW_GATEWAY_PORT", "CLAWDBOT_GATEWAY_PORT"];
pub const TOKEN_NAMES: [&str; 3] = [
    "OPENCLAW_GATEWAY_TOKEN",
    "CLAWDBOT_GATEWAY_TOKEN",
    "MOLTBOT_GATEWAY_TOKEN",
];
pub const PASSWORD_NAMES: [&str; 3] = [
    "OPENCLAW_GATEWAY_PASSWORD",
    "CLAWDBOT_GATEWAY_PASSWORD",
    "MOLTBOT_GATEWAY_PASSWORD",
];

/// What was typed after `openclaw gateway`, not yet judged.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    /// 0 lets the kernel choose.
    pub port: Option<String>,
    pub bind: Option<String>,
    pub auth: Option<String>,
    pub token: Option<Secret>,
    pub password: Option<Secret>,
    pub tailscale: Option<String>,
    pub tailscale_reset: bool,
    pub allow_unconfigured: bool,
    /// For one command: the socket of this machine, and no port.
    pub embedded: bool,
}

/// One socket to open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address {
    pub addr: SocketAddr,
    /// A failure to bind it is a warning only: `[::1]` beside 127.0.0.1.
    pub optional: bool,
}

#[derive(Clone, Debug)]
pub struct Auth {
    pub mode: AuthMode,
    pub token: Option<Secret>,
    pub password: Option<Secret>,
    /// Verified Tailscale identity headers are enough.
    pub allow_tailscale: bool,
}

#[derive(Clone, Debug)]
pub struct Listen {
    pub port: u16,
    pub bind: Bind,
    /// The first one is the one to show.
    pub addresses: Vec<Address>,
    pub auth: Auth,
    pub tailscale: Tailscale,
    /// Take back at the end what was published.
    pub tailscale_reset: bool,
    /// The certificate to show; without one the gateway speaks plainly.
    pub tls: Option<Tls>,
    /// A port for the canvas alone, on the same addresses.
    pub canvas_port: Option<u16>,
    /// It serves one command and does nothing of its own accord.
    pub embedded: bool,
    pub warnings: Vec<String>,
}

pub fn resolve(snapshot: &Snapshot, flags: &Flags) -> Result<Listen, Error> {
    resolve_with(snapshot, flags, tailnet::address)
}

/// For who was handed the sockets: what is open is not looked up again, which may take a command.
pub fn resolve_opened(
    snapshot: &Snapshot,
    flags: &Flags,
    opened: Vec<SocketAddr>,
) -> Result<Listen, Error> {
    let mut listen = resolve_with(snapshot, flags, || {
        opened.iter().find_map(|addr| match addr.ip() {
            IpAddr::V4(ip) if !ip.is_loopback() => Some(ip),
            _ => None,
        })
    })?;
    listen.opened(opened);
    Ok(listen)
}

fn resolve_with(
    snapshot: &Snapshot,
    flags: &Flags,
    tailnet: impl FnOnce() -> Option<Ipv4Addr>,
) -> Result<Listen, Error> {
    if flags.embedded {
        return embedded(snapshot, flags);
    }
    let gateway = &snapshot.config.gateway;
    let port_flag = match &flags.port {
        Some(text) => Some(text.trim().parse().map_err(|_| Error::Port(text.clone()))?),
        None => None,
    };
    let bind_flag = match &flags.bind {
        Some(text) => Some(Bind::parse(text).ok_or_else(|| Error::BindName(text.clone()))?),
        None => None,
    };
    let auth_flag = match &flags.auth {
        Some(text) => Some(AuthMode::parse(text).ok_or_else(|| Error::AuthName(text.clone()))?),
        None => None,
    };
    let tailscale = match &flags.tailscale {
        Some(text) => Tailscale::parse(text).ok_or_else(|| Error::TailscaleName(text.clone()))?,
        None => gateway
            .tailscale
            .get("mode")
            .and_then(|mode| Tailscale::parse(mode.as_str()?))
            .unwrap_or(Tailscale::Off),
    };
    check_file(snapshot, flags)?;

    let mut warnings = Vec::new();
    let bind = bind_flag
        .or_else(|| bind_from_env(snapshot, &mut warnings))
        .or_else(|| Bind::parse(gateway.bind.as_deref()?))
        .unwrap_or(Bind::Loopback);
    let port = port_flag.unwrap_or_else(|| port(snapshot));
    let custom = gateway.custom_bind_host.as_deref();
    let hosts = hosts(bind, custom, tailnet, &mut warnings)?;
    let auth = auth(snapshot, flags, auth_flag, tailscale);

    let loopback_only = hosts.iter().all(|ip| ip.is_loopback());
    if tailscale != Tailscale::Off && !loopback_only {
        return Err(Error::TailscaleBind(bind));
    }
    if tailscale == Tailscale::Funnel && auth.mode != AuthMode::Password {
        return Err(Error::FunnelPassword);
    }
    if auth.secret().is_none() {
        if !loopback_only {
            return Err(Error::OpenBind(bind));
        }
        if !(auth.mode == AuthMode::Token && auth.allow_tailscale) {
            return Err(Error::NoSecret(auth.mode));
        }
    }
    let addresses = hosts
        .into_iter()
        .map(|ip| Address {
            addr: SocketAddr::new(ip, port),
            optional: ip == IpAddr::V6(Ipv6Addr::LOCALHOST),
        })
        .collect();
    Ok(Listen {
        port,
        bind,
        addresses,
        auth,
        tailscale,
        tailscale_reset: flags.tailscale_reset
            || gateway.tailscale.get("resetOnExit") == Some(&true.into()),
        tls: tls::of(snapshot),
        canvas_port: canvas::port(snapshot),
        embedded: false,
        warnings,
    })
}

/// Nobody but the programs of this user reaches it, whose word the kernel gives: no secret is asked
/// for, and none has to be there.
fn embedded(snapshot: &Snapshot, flags: &Flags) -> Result<Listen, Error> {
    let unconfigured = Flags {
        allow_unconfigured: true,
        ..flags.clone()
    };
    check_file(snapshot, &unconfigured)?;
    Ok(Listen {
        port: port(snapshot),
        bind: Bind::Loopback,
        addresses: Vec::new(),
        auth: auth(snapshot, flags, None, Tailscale::Off),
        tailscale: Tailscale::Off,
        tailscale_reset: false,
        tls: None,
        canvas_port: None,
        embedded: true,
        warnings: Vec::new(),
    })
}

/// Environment, file, 18789; what is no port is passed over, as the original does.
pub fn port(snapshot: &Snapshot) -> u16 {
    snapshot
        .env
        .first(&PORT_NAMES)
        .and_then(|text| text.parse().ok())
        .or(snapshot.config.gateway.port)
        .unwrap_or(DEFAULT_PORT)
}

fn check_file(snapshot: &Snapshot, flags: &Flags) -> Result<(), Error> {
    if !snapshot.valid {
        return Err(Error::Invalid {
            path: snapshot.path.clone(),
            issues: snapshot.issues.clone(),
        });
    }
    if flags.allow_unconfigured {
        return Ok(());
    }
    if !snapshot.exists {
        return Err(Error::Missing);
    }
    match snapshot.config.gateway.mode.as_deref() {
        Some("local") => Ok(()),
        mode => Err(Error::Mode(mode.map(str::to_string))),
    }
}

fn bind_from_env(snapshot: &Snapshot, warnings: &mut Vec<String>) -> Option<Bind> {
    let text = snapshot.env.get("OPENCLAW_GATEWAY_BIND")?;
    let bind = Bind::parse(text);
    if bind.is_none() {
        warnings.push(format!(
            "OPENCLAW_GATEWAY_BIND={text} is ignored: use loopback, lan, tailnet, auto or custom"
        ));
    }
    bind
}

/// `auto` is loopback: what a gateway offers the network is never decided by what happens to fail.
fn hosts(
    bind: Bind,
    custom: Option<&str>,
    tailnet: impl FnOnce() -> Option<Ipv4Addr>,
    warnings: &mut Vec<String>,
) -> Result<Vec<IpAddr>, Error> {
    let loopback = vec![
        IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(Ipv6Addr::LOCALHOST),
    ];
    Ok(match bind {
        Bind::Loopback | Bind::Auto => loopback,
        Bind::Lan => vec![IpAddr::V4(Ipv4Addr::UNSPECIFIED)],
        Bind::Tailnet => match tailnet() {
            Some(ip) => vec![IpAddr::V4(ip)],
            None => {
                warnings.push(
                    "bind=tailnet: no tailnet address found (is tailscale up?), \
                     listening on loopback only"
                        .into(),
                );
                loopback
            }
        },
        Bind::Custom => match custom.map(|host| host.trim().parse::<IpAddr>()) {
            Some(Ok(IpAddr::V4(Ipv4Addr::LOCALHOST))) => loopback,
            Some(Ok(ip)) => vec![ip],
            _ => return Err(Error::CustomHost(custom.map(str::to_string))),
        },
    })
}

/// What opens the gateway of this configuration, whether or not it may start so.
pub fn auth_of(snapshot: &Snapshot) -> Auth {
    let mode = snapshot.config.gateway.tailscale.get("mode");
    let tailscale = mode
        .and_then(|mode| mode.as_str())
        .and_then(Tailscale::parse);
    let tailscale = tailscale.unwrap_or(Tailscale::Off);
    auth(snapshot, &Flags::default(), None, tailscale)
}

fn auth(snapshot: &Snapshot, flags: &Flags, mode: Option<AuthMode>, tailscale: Tailscale) -> Auth {
    let file = &snapshot.config.gateway.auth;
    let secret = |flag: &Option<Secret>, file: &Option<Secret>, names: &[&str]| {
        let given = |s: &&Secret| !s.expose().trim().is_empty();
        flag.as_ref()
            .filter(given)
            .or(file.as_ref().filter(given))
            .cloned()
            .or_else(|| snapshot.env.first(names).map(Secret::new))
    };
    let token = secret(&flags.token, &file.token, &TOKEN_NAMES);
    let password = secret(&flags.password, &file.password, &PASSWORD_NAMES);
    let mode = mode
        .or_else(|| AuthMode::parse(file.mode.as_deref()?))
        .unwrap_or(match password {
            Some(_) => AuthMode::Password,
            None => AuthMode::Token,
        });
    Auth {
        mode,
        token,
        password,
        allow_tailscale: file
            .allow_tailscale
            .unwrap_or(tailscale == Tailscale::Serve && mode == AuthMode::Token),
    }
}

impl Auth {
    /// The secret of the active mode; the other one counts for nothing.
    pub fn secret(&self) -> Option<&Secret> {
        match self.mode {
            AuthMode::Token => self.token.as_ref(),
            AuthMode::Password => self.password.as_ref(),
        }
    }
}

impl Listen {
    /// Takes over what was really opened: port 0 had the kernel choose, and a service manager
    /// binds what its unit says.
    pub fn opened(&mut self, addresses: Vec<SocketAddr>) {
        let Some(first) = addresses.first() else {
            return;
        };
        self.port = first.port();
        self.addresses = addresses
            .into_iter()
            .map(|addr| Address {
                addr,
                optional: false,
            })
            .collect();
    }

    /// Nobody but programs on this machine reaches it.
    pub fn is_loopback(&self) -> bool {
        self.addresses.iter().all(|a| a.addr.ip().is_loopback())
    }

    pub fn scheme(&self) -> &'static str {
        match self.tls {
            Some(_) => "wss",
            None => "ws",
        }
    }

    /// `ws://127.0.0.1:18789`, of the first address.
    pub fn url(&self) -> String {
        let scheme = self.scheme();
        match self.addresses.first() {
            Some(first) => format!("{scheme}://{}", first.addr),
            None => format!("{scheme}://127.0.0.1:{}", self.port),
        }
    }
}

impl Bind {
    pub fn parse(text: &str) -> Option<Bind> {
        Some(match text.trim() {
            "loopback" => Bind::Loopback,
            "lan" => Bind::Lan,
            "tailnet" => Bind::Tailnet,
            "auto" => Bind::Auto,
            "custom" => Bind::Custom,
            _ => return None,
        })
    }

    pub fn name(self) -> &'static str {
        match self {
            Bind::Loopback => "loopback",
            Bind::Lan => "lan",
            Bind::Tailnet => "tailnet",
            Bind::Auto => "auto",
            Bind::Custom => "custom",
        }
    }
}

impl AuthMode {
    pub fn parse(text: &str) -> Option<AuthMode> {
        match text.trim() {
            "token" => Some(AuthMode::Token),
            "password" => Some(AuthMode::Password),
            _ => None,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            AuthMode::Token => "token",
            AuthMode::Password => "password",
        }
    }
}

impl Tailscale {
    pub fn parse(text: &str) -> Option<Tailscale> {
        match text.trim() {
            "off" => Some(Tailscale::Off),
            "serve" => Some(Tailscale::Serve),
            "funnel" => Some(Tailscale::Funnel),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Env;
    use serde_json::{Value, json};

    fn snapshot(config: Value, env: &[(&str, &str)]) -> Snapshot {
        Snapshot {
            exists: true,
            valid: true,
            config: serde_json::from_value(config).unwrap(),
            env: Env::from_pairs(env),
            ..Snapshot::default()
        }
    }

    fn try_resolve(config: Value, env: &[(&str, &str)], flags: Flags) -> Result<Listen, Error> {
        resolve_with(&snapshot(config, env), &flags, || None)
    }

    fn flag(text: &str) -> Option<String> {
        Some(text.to_string())
    }

    fn local(auth: Value) -> Value {
        json!({"gateway": {"mode": "local", "auth": auth}})
    }

    #[test]
    fn the_port_comes_from_flag_then_environment_then_file() {
        let config = json!({"gateway": {"mode": "local", "port": 3, "auth": {"token": "t"}}});
        let old = ("CLAWDBOT_GATEWAY_PORT", "2");
        let new = ("OPENCLAW_GATEWAY_PORT", "1");
        let of = |env: &[(&str, &str)], port: Option<String>| {
            let flags = Flags {
                port,
                ..Flags::default()
            };
            try_resolve(config.clone(), env, flags).unwrap().port
        };
        assert_eq!(of(&[old, new], flag("9")), 9);
        assert_eq!(of(&[old, new], None), 1);
        assert_eq!(of(&[old], None), 2);
        assert_eq!(of(&[("OPENCLAW_GATEWAY_PORT", "abc")], None), 3);
        assert_eq!(
            try_resolve(local(json!({"token": "t"})), &[], Flags::default())
                .unwrap()
                .port,
            DEFAULT_PORT
        );
    }

    #[test]
    fn on_the_server_the_file_wins_over_the_environment() {
        let env = [
            ("OPENCLAW_GATEWAY_TOKEN", "env"),
            ("OPENCLAW_GATEWAY_PASSWORD", "pw"),
        ];
        let auth = try_resolve(local(json!({"token": "file"})), &env, Flags::default())
            .unwrap()
            .auth;
        assert!(auth.token.unwrap().matches("file"));
        assert_eq!(auth.mode, AuthMode::Password);
        let flags = Flags {
            token: Some(Secret::new("flag")),
            auth: flag("token"),
            ..Flags::default()
        };
        let auth = try_resolve(local(json!({"token": "file"})), &env, flags)
            .unwrap()
            .auth;
        assert!(auth.secret().unwrap().matches("flag"));
    }

    #[test]
    fn each_bind_has_its_addresses() {
        let shown = |bind: &str, tailnet: Option<Ipv4Addr>| {
            let config = json!({"gateway": {"mode": "local", "bind": bind, "port": 5,
                "customBindHost": "192.0.2.7", "auth": {"token": "t"}}});
            let listen = resolve_with(&snapshot(config, &[]), &Flags::default(), || tailnet);
            let listen = listen.unwrap();
            let text: Vec<_> = listen
                .addresses
                .iter()
                .map(|a| a.addr.to_string())
                .collect();
            (text.join(" "), listen.warnings.len())
        };
        let loopback = "127.0.0.1:5 [::1]:5".to_string();
        assert_eq!(shown("loopback", None), (loopback.clone(), 0));
        assert_eq!(shown("auto", None), (loopback.clone(), 0));
        assert_eq!(shown("lan", None).0, "0.0.0.0:5");
        assert_eq!(shown("custom", None).0, "192.0.2.7:5");
        let tail = Some(Ipv4Addr::new(100, 64, 1, 2));
        assert_eq!(shown("tailnet", tail).0, "100.64.1.2:5");
        assert_eq!(shown("tailnet", None), (loopback, 1));
    }

    #[test]
    fn refusals_have_the_original_words() {
        let said =
            |config: Value, flags: Flags| try_resolve(config, &[], flags).unwrap_err().to_string();
        let ok = local(json!({"token": "t"}));
        let with = |set: fn(&mut Flags)| {
            let mut flags = Flags::default();
            set(&mut flags);
            flags
        };
        assert_eq!(
            said(ok.clone(), with(|f| f.port = flag("abc"))),
            "Invalid port"
        );
        assert_eq!(
            said(ok.clone(), with(|f| f.bind = flag("wide"))),
            "Invalid --bind (use \"loopback\", \"lan\", \"tailnet\", \"auto\", or \"custom\")"
        );
        assert_eq!(
            said(ok.clone(), with(|f| f.auth = flag("off"))),
            "Invalid --auth (use \"token\" or \"password\")"
        );
        assert_eq!(
            said(json!({"gateway": {}}), Flags::default()),
            "Gateway start blocked: set gateway.mode=local (current: unset) or pass \
             --allow-unconfigured."
        );
        assert_eq!(
            said(local(json!({})), Flags::default()),
            "Gateway auth is set to token, but no token is configured.\n\
             Set gateway.auth.token (or OPENCLAW_GATEWAY_TOKEN), or pass --token."
        );
        assert_eq!(
            said(ok.clone(), with(|f| f.auth = flag("password"))),
            "Gateway auth is set to password, but no password is configured.\n\
             Set gateway.auth.password (or OPENCLAW_GATEWAY_PASSWORD), or pass --password."
        );
        let lan = with(|f| f.bind = flag("lan"));
        assert!(
            said(local(json!({"allowTailscale": true})), lan)
                .starts_with("Refusing to bind gateway to lan without auth.\nSet gateway.auth.")
        );
        assert_eq!(
            said(
                ok.clone(),
                with(|f| {
                    f.bind = flag("lan");
                    f.tailscale = flag("serve");
                })
            ),
            "tailscale serve/funnel requires gateway bind=loopback (127.0.0.1)"
        );
        assert!(
            said(ok, with(|f| f.tailscale = flag("funnel")))
                .starts_with("tailscale funnel requires gateway auth mode=password")
        );
        let missing = Snapshot {
            valid: true,
            ..Snapshot::default()
        };
        assert!(
            resolve(&missing, &Flags::default())
                .unwrap_err()
                .to_string()
                .starts_with("Missing config. Run `openclaw setup`")
        );
    }

    #[test]
    fn loopback_with_tailscale_identity_needs_no_token() {
        let listen = try_resolve(
            local(json!({"allowTailscale": true})),
            &[],
            Flags::default(),
        );
        assert!(listen.unwrap().auth.secret().is_none());
    }
}
