//! This machine's address in its tailnet, if it is in one.

use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long `tailscale ip -4` may take; it asks a local daemon.
const PATIENCE: Duration = Duration::from_secs(2);
/// An address and a newline; more is not one.
const MAX_OUTPUT: u64 = 256;
/// Tailscale's own resolver: routed through the tailnet wherever there is one.
const PROBE: (Ipv4Addr, u16) = (Ipv4Addr::new(100, 100, 100, 100), 53);

/// The address the kernel would use inside the tailnet, else what `tailscale` says.
pub fn address() -> Option<Ipv4Addr> {
    by_route().or_else(by_command)
}

/// 100.64.0.0/10, the range Tailscale gives out.
pub fn is_tailnet(ip: Ipv4Addr) -> bool {
    ip.octets()[0] == 100 && ip.octets()[1] & 0xc0 == 64
}

/// Connecting a UDP socket sends nothing; it only makes the kernel choose our address.
fn by_route() -> Option<Ipv4Addr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect(PROBE).ok()?;
    match socket.local_addr().ok()?.ip() {
        IpAddr::V4(ip) if is_tailnet(ip) => Some(ip),
        _ => None,
    }
}

fn by_command() -> Option<Ipv4Addr> {
    let mut child = Command::new("tailscale")
        .args(["ip", "-4"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    if !ended(&mut child) {
        return None;
    }
    let mut text = String::new();
    child
        .stdout
        .take()?
        .take(MAX_OUTPUT)
        .read_to_string(&mut text)
        .ok()?;
    let ip = text.lines().next()?.trim().parse().ok()?;
    is_tailnet(ip).then_some(ip)
}

/// Waits for the end within the patience, else kills. The answer fits into the pipe, so nothing
/// needs to read meanwhile.
fn ended(child: &mut Child) -> bool {
    let start = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return status.success(),
            Ok(None) if start.elapsed() < PATIENCE => {
                std::thread::sleep(Duration::from_millis(10));
            }
            _ => {
                // It may have ended in between; the wait that follows reaps it either way.
                let _ = child.kill();
                let _ = child.wait();
                return false;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_shared_address_space_is_a_tailnet() {
        assert!(is_tailnet(Ipv4Addr::new(100, 64, 0, 1)));
        assert!(is_tailnet(Ipv4Addr::new(100, 127, 255, 255)));
        assert!(!is_tailnet(Ipv4Addr::new(100, 128, 0, 1)));
        assert!(!is_tailnet(Ipv4Addr::new(10, 64, 0, 1)));
    }
}
