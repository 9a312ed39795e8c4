//! This machine as clients see it: name, address, platform, and the version we go by.

use super::presence::Entry;
use crate::base::sys::uname;
use crate::config::Env;
use std::net::{IpAddr, UdpSocket};

/// `server.version` in `hello-ok`: the original reports `dev` unless the environment knows better.
pub fn version(env: &Env) -> &str {
    env.get("OPENCLAW_VERSION")
        .or_else(|| env.get("npm_package_version"))
        .unwrap_or("dev")
}

/// The gateway's own presence entry.
pub fn presence(env: &Env) -> Entry {
    let host = uname::hostname();
    let version = env
        .get("OPENCLAW_VERSION")
        .or_else(|| env.get("npm_package_version"))
        .unwrap_or("unknown");
    let ip = primary_ip().map(|ip| ip.to_string());
    let shown_ip = ip
        .as_deref()
        .map(|ip| format!(" ({ip})"))
        .unwrap_or_default();
    Entry {
        text: Some(format!(
            "Gateway: {host}{shown_ip} · app {version} · mode gateway · reason self"
        )),
        host: Some(host),
        ip,
        version: Some(version.to_string()),
        platform: Some(format!("{} {}", std::env::consts::OS, uname::release())),
        device_family: Some(
            match std::env::consts::OS {
                "linux" => "Linux",
                "macos" => "Mac",
                "windows" => "Windows",
                other => other,
            }
            .to_string(),
        ),
        model_identifier: Some(
            match std::env::consts::ARCH {
                "x86_64" => "x64",
                "aarch64" => "arm64",
                other => other,
            }
            .to_string(),
        ),
        mode: Some("gateway".into()),
        reason: Some("self".into()),
        ..Entry::default()
    }
}

/// The address we would reach the outside from. Connecting a UDP socket sends nothing; it only
/// asks the routing table. 192.0.2.1 is a documentation address nobody owns.
fn primary_ip() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.1:9").ok()?;
    let ip = socket.local_addr().ok()?.ip();
    (!ip.is_unspecified()).then_some(ip)
}
