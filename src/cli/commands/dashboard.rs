//! `openclaw dashboard`: the address of the Control UI, with the token in it.

use super::super::Context;
use super::super::failure::Failure;
use crate::base::cmdline::{Command, Flag};
use crate::config::{Snapshot, listen, tls};
use std::process::{Command as Process, Stdio};

pub const SPEC: Command = Command {
    name: "dashboard",
    summary: "Show the address of the Control UI, and open it",
    flags: &[Flag::switch("no-open", "Only print the address")],
    ..Command::NEW
};

/// `http://127.0.0.1:18789/`, with the base path.
pub fn address(snapshot: &Snapshot) -> String {
    let gateway = &snapshot.config.gateway;
    let scheme = match tls::of(snapshot) {
        Some(_) => "https",
        None => "http",
    };
    let base = gateway.control_ui.base_path.as_deref().unwrap_or("");
    let base = base.trim().trim_matches('/');
    let slash = if base.is_empty() { "" } else { "/" };
    format!(
        "{scheme}://127.0.0.1:{}/{base}{slash}",
        listen::port(snapshot)
    )
}

/// `?token=…`, or nothing where no token is known.
fn query(snapshot: &Snapshot) -> String {
    let token = snapshot
        .env
        .first(&listen::TOKEN_NAMES)
        .map(str::to_string)
        .or_else(|| {
            snapshot
                .config
                .gateway
                .auth
                .token
                .as_ref()
                .map(|t| t.expose().to_string())
        });
    token.map_or_else(String::new, |token| format!("?token={}", escape(&token)))
}

/// The address that opens the page without another word.
pub fn address_with_token(snapshot: &Snapshot) -> String {
    address(snapshot) + &query(snapshot)
}

pub fn run(context: &mut Context) -> Result<(), Failure> {
    let wanted = !context.matches.has("no-open");
    show(context, wanted)
}

/// The address, in a browser where one is `wanted` and can be.
pub fn show(context: &mut Context, wanted: bool) -> Result<(), Failure> {
    let snapshot = &context.local.snapshot;
    let port = listen::port(snapshot);
    let plain = address(snapshot);
    let query = query(snapshot);
    let url = format!("{plain}{query}");
    let graphical = ["DISPLAY", "WAYLAND_DISPLAY"]
        .iter()
        .any(|name| snapshot.env.get(name).is_some());
    let out = &mut context.out;
    out.line(format!("Dashboard URL: {url}"))?;
    if !wanted {
        out.line("Browser launch disabled (--no-open). Use the URL above.")?;
        return Ok(());
    }
    if graphical && open(&url) {
        out.line("Opened in your browser. Keep that tab to control OpenClaw.")?;
        return Ok(());
    }
    out.line("No GUI detected. Open from your computer:")?;
    out.line(format!("ssh -N -L {port}:127.0.0.1:{port} user@<host>"))?;
    out.line("Then open:")?;
    let through = plain.replace("127.0.0.1", "localhost");
    out.line(&through)?;
    if !query.is_empty() {
        out.line(format!("{through}{query}"))?;
    }
    Ok(())
}

/// The browser sees the address in its own argv; so does every user of this machine for a moment.
/// The original does the same.
fn open(url: &str) -> bool {
    let program = if cfg!(target_os = "macos") {
        "open"
    } else {
        "xdg-open"
    };
    Process::new(program)
        .arg(url)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .is_ok()
}

fn escape(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                out.push(char::from(byte));
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_token_is_safe_in_an_address() {
        assert_eq!(super::escape("a+b/c=%"), "a%2Bb%2Fc%3D%25");
    }
}
