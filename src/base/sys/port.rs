//! Who listens on a TCP port, as the kernel tells it: the port's sockets in /proc/net, and the
//! processes that have them open. What belongs to other users is seen to be there, but not whose.

use std::collections::BTreeSet;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// TCP_LISTEN, as /proc/net/tcp writes it.
const LISTENING: &str = "0A";

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    pub address: IpAddr,
    pub uid: u32,
    inode: u64,
}

/// The sockets that listen on `port`.
pub fn listeners(port: u16) -> Vec<Listener> {
    ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|path| fs::read_to_string(path).ok())
        .flat_map(|table| of_table(&table, port))
        .collect()
}

/// The processes that have one of these open, without ourselves.
pub fn holders(listeners: &[Listener]) -> BTreeSet<u32> {
    if listeners.is_empty() {
        return BTreeSet::new();
    }
    let links: Vec<String> = listeners
        .iter()
        .map(|listener| format!("socket:[{}]", listener.inode))
        .collect();
    let has_one = |pid: &u32| {
        fs::read_dir(format!("/proc/{pid}/fd"))
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|fd| fs::read_link(fd.path()).ok())
            .any(|to| links.iter().any(|link| to.as_os_str() == link.as_str()))
    };
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid| *pid != std::process::id())
        .filter(has_one)
        .collect()
}

fn of_table(table: &str, port: u16) -> Vec<Listener> {
    let row = |line: &str| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let (address, local) = fields.get(1)?.rsplit_once(':')?;
        if u16::from_str_radix(local, 16) != Ok(port) || *fields.get(3)? != LISTENING {
            return None;
        }
        Some(Listener {
            address: address_of(address)?,
            uid: fields.get(7)?.parse().ok()?,
            inode: fields.get(9)?.parse().ok()?,
        })
    };
    table.lines().skip(1).filter_map(row).collect()
}

/// Words of four bytes, each in the order of this machine.
fn address_of(hex: &str) -> Option<IpAddr> {
    let word = |at: usize| {
        let text = hex.get(at * 8..at * 8 + 8)?;
        Some(u32::from_str_radix(text, 16).ok()?.to_ne_bytes())
    };
    match hex.len() {
        8 => Some(IpAddr::V4(Ipv4Addr::from(word(0)?))),
        32 => {
            let mut bytes = [0; 16];
            for at in 0..4 {
                bytes[at * 4..at * 4 + 4].copy_from_slice(&word(at)?);
            }
            Some(IpAddr::V6(Ipv6Addr::from(bytes)))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_listeners_on_the_port_count() {
        let one = u32::from_ne_bytes([127, 0, 0, 1]);
        let table = format!(
            "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   \
            0: {one:08X}:4965 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 111 1\n   \
            1: {one:08X}:4965 {one:08X}:1234 01 00000000:00000000 00:00000000 00000000     0        0 222 1\n   \
            2: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 333 1\n   \
            3: broken\n"
        );
        let found = of_table(&table, 18789);
        assert_eq!(
            found,
            [Listener {
                address: Ipv4Addr::LOCALHOST.into(),
                uid: 1000,
                inode: 111
            }]
        );
        assert_eq!(holders(&[]), BTreeSet::new());
        assert_eq!(
            address_of(&"0".repeat(32)),
            Some(Ipv6Addr::UNSPECIFIED.into())
        );
        assert_eq!(address_of("00"), None);
    }

    #[test]
    fn a_listener_of_ours_is_seen() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = listeners(port);
        assert_eq!(seen.len(), 1);
        assert_eq!(seen[0].address, Ipv4Addr::LOCALHOST);
    }
}
