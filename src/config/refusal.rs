//! Why a gateway must not start, in the original's words, and what to do about it.

use super::Issue;
use super::bind::{AuthMode, Bind};
use crate::base::exit::{Exit, Report};
use std::fmt;
use std::path::PathBuf;

#[derive(Debug)]
pub enum Error {
    Port(String),
    BindName(String),
    AuthName(String),
    TailscaleName(String),
    Missing,
    Mode(Option<String>),
    Invalid { path: PathBuf, issues: Vec<Issue> },
    NoSecret(AuthMode),
    OpenBind(Bind),
    CustomHost(Option<String>),
    TailscaleBind(Bind),
    FunnelPassword,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Port(_) => f.write_str("Invalid port"),
            Error::BindName(_) => f.write_str(
                "Invalid --bind (use \"loopback\", \"lan\", \"tailnet\", \"auto\", or \"custom\")",
            ),
            Error::AuthName(_) => f.write_str("Invalid --auth (use \"token\" or \"password\")"),
            Error::TailscaleName(_) => {
                f.write_str("Invalid --tailscale (use \"off\", \"serve\", or \"funnel\")")
            }
            Error::Missing => f.write_str(
                "Missing config. Run `openclaw setup` or set gateway.mode=local \
                 (or pass --allow-unconfigured).",
            ),
            Error::Mode(mode) => write!(
                f,
                "Gateway start blocked: set gateway.mode=local (current: {}) \
                 or pass --allow-unconfigured.",
                mode.as_deref().unwrap_or("unset")
            ),
            Error::Invalid { path, issues } => {
                writeln!(f, "Invalid config at {}.", path.display())?;
                for issue in issues {
                    writeln!(f, "{issue}")?;
                }
                f.write_str("Run \"openclaw doctor\" to repair, then retry.")
            }
            Error::NoSecret(mode) => {
                let (name, upper) = match mode {
                    AuthMode::Token => ("token", "TOKEN"),
                    AuthMode::Password => ("password", "PASSWORD"),
                };
                write!(
                    f,
                    "Gateway auth is set to {name}, but no {name} is configured.\n\
                     Set gateway.auth.{name} (or OPENCLAW_GATEWAY_{upper}), or pass --{name}."
                )
            }
            Error::OpenBind(bind) => write!(
                f,
                "Refusing to bind gateway to {} without auth.\n\
                 Set gateway.auth.token/password (or OPENCLAW_GATEWAY_TOKEN/\
                 OPENCLAW_GATEWAY_PASSWORD) or pass --token/--password.",
                bind.name()
            ),
            Error::CustomHost(None) => {
                f.write_str("gateway.bind=custom needs gateway.customBindHost, which is not set")
            }
            Error::CustomHost(Some(host)) => {
                write!(f, "gateway.customBindHost: {host:?} is not an IP address")
            }
            Error::TailscaleBind(_) => {
                f.write_str("tailscale serve/funnel requires gateway bind=loopback (127.0.0.1)")
            }
            Error::FunnelPassword => f.write_str(
                "tailscale funnel requires gateway auth mode=password \
                 (set gateway.auth.password or OPENCLAW_GATEWAY_PASSWORD)",
            ),
        }
    }
}

impl std::error::Error for Error {}

impl Report for Error {
    fn exit(&self) -> Exit {
        match self {
            Error::Port(_) | Error::BindName(_) | Error::AuthName(_) | Error::TailscaleName(_) => {
                Exit::Usage
            }
            _ => Exit::Config,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Error::Port(got) => format!("{got:?} is not a number from 0 to 65535"),
            Error::BindName(got) | Error::AuthName(got) | Error::TailscaleName(got) => {
                format!("{got:?} is none of these")
            }
            Error::Missing => "openclaw onboard".into(),
            Error::Mode(_) => "openclaw config set gateway.mode local".into(),
            Error::Invalid { .. } => "openclaw doctor --fix".into(),
            Error::NoSecret(AuthMode::Token) => "openclaw doctor --generate-gateway-token".into(),
            Error::NoSecret(AuthMode::Password) => {
                "openclaw config set gateway.auth.password '<password>'".into()
            }
            Error::OpenBind(_) => "openclaw doctor --generate-gateway-token, \
                                   or keep to this machine with --bind loopback"
                .into(),
            Error::CustomHost(_) => {
                "openclaw config set gateway.customBindHost 192.0.2.1 (an address of this machine)"
                    .into()
            }
            Error::TailscaleBind(bind) => {
                format!("use --bind loopback instead of {}", bind.name())
            }
            Error::FunnelPassword => "openclaw config set gateway.auth.mode password".into(),
        })
    }
}
