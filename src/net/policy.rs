//! Which addresses an outgoing connection may reach. Asked about the very address that is connected
//! to, after the name was looked up, so a name that changes its mind between check and use gains
//! nothing.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// Endpoints an operator wrote into the configuration: a model on the loopback is usual.
    Any,
    /// Addresses that came from a message or a model: the public internet only.
    Public,
}

impl Policy {
    pub fn allows(self, addr: IpAddr) -> bool {
        match (self, addr) {
            (Policy::Any, _) => true,
            (Policy::Public, IpAddr::V4(v4)) => public_v4(v4),
            (Policy::Public, IpAddr::V6(v6)) => public_v6(v6),
        }
    }
}

fn public_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    let reserved = matches!(
        (a, b, c),
        (0 | 10 | 127 | 224.., _, _)
            | (100, 64..=127, _)
            | (169, 254, _)
            | (172, 16..=31, _)
            | (192, 0, 0 | 2)
            | (192, 88, 99)
            | (192, 168, _)
            | (198, 18..=19, _)
            | (198, 51, 100)
            | (203, 0, 113)
    );
    !reserved
}

fn public_v6(ip: Ipv6Addr) -> bool {
    if let Some(v4) = ip.to_ipv4_mapped() {
        return public_v4(v4);
    }
    // Only global unicast (2000::/3), and of it nothing that embeds an IPv4 address (6to4, Teredo)
    // or is for documentation.
    let [first, second, ..] = ip.segments();
    (first & 0xe000) == 0x2000
        && first != 0x2002
        && !(first == 0x2001 && (second == 0 || second == 0x0db8))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_internet_is_public() {
        let allows = |ip: &str| Policy::Public.allows(ip.parse().unwrap());
        for ip in ["1.1.1.1", "172.32.0.1", "2606:4700::1111", "100.128.0.1"] {
            assert!(allows(ip), "{ip}");
        }
        for ip in [
            "127.0.0.1",
            "0.0.0.0",
            "10.1.2.3",
            "169.254.169.254",
            "172.16.0.1",
            "192.168.1.1",
            "100.64.0.1",
            "255.255.255.255",
            "::1",
            "::",
            "::ffff:10.0.0.1",
            "fe80::1",
            "fd00::1",
            "ff02::1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
        ] {
            assert!(!allows(ip), "{ip}");
        }
        assert!(Policy::Any.allows("127.0.0.1".parse().unwrap()));
    }
}
