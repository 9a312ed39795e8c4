//! Who offers a service on the network around: one question by multicast DNS (RFC 6762), asked as a
//! simple asker does, from a port of its own, so that nothing here listens for long.
//!
//! Answers are anybody's word: packets, names and their number have bounds, and what they say is
//! shown, never trusted. Only the network of the default route is asked.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

const GROUP: (Ipv4Addr, u16) = (Ipv4Addr::new(224, 0, 0, 251), 5353);
/// RFC 6762: no packet is larger.
const MAX_PACKET: usize = 9000;
const MAX_NAME: usize = 255;
/// A name that points back more often goes in circles.
const MAX_JUMPS: usize = 16;
const MAX_INSTANCES: usize = 256;
/// Of one packet.
const MAX_RECORDS: usize = 512;
/// A question gets lost as any packet; the second one finds who was busy.
const AGAIN: Duration = Duration::from_millis(300);

const A: u16 = 1;
const PTR: u16 = 12;
const TXT: u16 = 16;
const SRV: u16 = 33;
const ANY: u16 = 255;

/// One offer, as far as it was told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Offer {
    pub instance: String,
    pub host: Option<String>,
    pub port: Option<u16>,
    pub address: Option<Ipv4Addr>,
    /// `key=value`, keys in lower case.
    pub text: BTreeMap<String, String>,
}

/// `service` is `_name._tcp.local`. Waits all of `patience`: nobody knows who else would answer.
pub fn browse(service: &str, patience: Duration) -> io::Result<Vec<Offer>> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    let until = Instant::now() + patience;
    let mut seen = Seen::default();
    let mut asked: Vec<String> = Vec::new();
    socket.send_to(&question(service, PTR), GROUP)?;
    let mut again = Some(Instant::now() + AGAIN);
    let mut packet = vec![0; MAX_PACKET];
    loop {
        let now = Instant::now();
        if now >= until {
            return Ok(seen.offers(service));
        }
        if again.is_some_and(|at| now >= at) {
            again = None;
            socket.send_to(&question(service, PTR), GROUP)?;
        }
        let wait = again
            .unwrap_or(until)
            .min(until)
            .saturating_duration_since(now);
        socket.set_read_timeout(Some(wait.max(Duration::from_millis(1))))?;
        match socket.recv_from(&mut packet) {
            // Only who is asked by multicast answers from that port.
            Ok((length, SocketAddr::V4(from))) if from.port() == GROUP.1 => {
                // A packet that is none is like one that was lost.
                let _ = seen.read(&packet[..length]);
            }
            Ok(_) => {}
            Err(err)
                if matches!(
                    err.kind(),
                    io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
                ) => {}
            Err(err) if err.kind() == io::ErrorKind::Interrupted => {}
            Err(err) => return Err(err),
        }
        for name in seen.unresolved(service) {
            if !asked.contains(&name) && asked.len() < MAX_INSTANCES {
                socket.send_to(&question(&name, ANY), GROUP)?;
                asked.push(name);
            }
        }
    }
}

fn question(name: &str, kind: u16) -> Vec<u8> {
    let mut packet = vec![0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in labels(name) {
        let label = &label.as_bytes()[..label.len().min(63)];
        packet.push(u8::try_from(label.len()).expect("63 at most"));
        packet.extend(label);
    }
    packet.push(0);
    packet.extend(kind.to_be_bytes());
    packet.extend(1_u16.to_be_bytes());
    packet
}

/// Dots within a label are escaped.
fn labels(name: &str) -> Vec<String> {
    let mut all = vec![String::new()];
    let mut chars = name.chars();
    while let Some(c) = chars.next() {
        let last = all.len() - 1;
        match c {
            '\\' => all[last].extend(chars.next()),
            '.' => all.push(String::new()),
            c => all[last].push(c),
        }
    }
    all.retain(|label| !label.is_empty());
    all
}

#[derive(Default)]
struct Seen {
    /// Names of the service's instances, by the service in lower case.
    instances: Vec<(String, String)>,
    hosts: BTreeMap<String, (String, u16)>,
    texts: BTreeMap<String, BTreeMap<String, String>>,
    addresses: BTreeMap<String, Ipv4Addr>,
}

impl Seen {
    fn read(&mut self, packet: &[u8]) -> Option<()> {
        let number = |at: usize| Some(u16::from_be_bytes([*packet.get(at)?, *packet.get(at + 1)?]));
        let is_answer = packet.get(2)? & 0x80 != 0;
        let questions = number(4)?;
        let records = usize::from(number(6)?) + usize::from(number(8)?) + usize::from(number(10)?);
        if !is_answer || records > MAX_RECORDS {
            return None;
        }
        let mut at = 12;
        for _ in 0..questions {
            at = name(packet, at)?.1 + 4;
        }
        for _ in 0..records {
            let (owner, after) = name(packet, at)?;
            let kind = number(after)?;
            let length = usize::from(number(after + 8)?);
            let data = after + 10;
            let end = data + length;
            let bytes = packet.get(data..end)?;
            let key = owner.to_lowercase();
            let room = self.instances.len() < MAX_INSTANCES
                && self.hosts.len() < MAX_INSTANCES
                && self.texts.len() < MAX_INSTANCES
                && self.addresses.len() < MAX_INSTANCES;
            match kind {
                _ if !room => {}
                PTR => {
                    let pair = (key, name(packet, data)?.0);
                    if !self.instances.contains(&pair) {
                        self.instances.push(pair);
                    }
                }
                SRV if length > 6 => {
                    let host = name(packet, data + 6)?.0;
                    self.hosts.insert(key, (host, number(data + 4)?));
                }
                TXT => {
                    self.texts.insert(key, texts(bytes));
                }
                A => {
                    let four: [u8; 4] = bytes.try_into().ok()?;
                    self.addresses.insert(key, four.into());
                }
                _ => {}
            }
            at = end;
        }
        Some(())
    }

    fn of<'a>(&'a self, service: &'a str) -> impl Iterator<Item = &'a String> {
        let wanted = service.to_lowercase();
        let these = self.instances.iter();
        these
            .filter(move |(of, _)| *of == wanted)
            .map(|(_, name)| name)
    }

    fn unresolved(&self, service: &str) -> Vec<String> {
        let missing = |name: &&String| !self.hosts.contains_key(&name.to_lowercase());
        self.of(service).filter(missing).cloned().collect()
    }

    fn offers(&self, service: &str) -> Vec<Offer> {
        let offer = |name: &String| {
            let key = name.to_lowercase();
            let place = self.hosts.get(&key);
            let host = place.map(|(host, _)| host.clone());
            let first = labels(name).into_iter().next().unwrap_or_default();
            Offer {
                instance: shown(&first),
                address: host
                    .as_ref()
                    .and_then(|host| self.addresses.get(&host.to_lowercase()))
                    .copied(),
                host: host.map(|host| shown(&host)),
                port: place.map(|(_, port)| *port),
                text: self.texts.get(&key).cloned().unwrap_or_default(),
            }
        };
        self.of(service).map(offer).collect()
    }
}

/// The name at `at` with its labels escaped, and where the next field is.
fn name(packet: &[u8], mut at: usize) -> Option<(String, usize)> {
    let mut text = String::new();
    let mut next = None;
    let mut jumps = 0;
    loop {
        let length = usize::from(*packet.get(at)?);
        match length {
            0 => {
                text.pop();
                return Some((text, next.unwrap_or(at + 1)));
            }
            1..=63 => {
                let label = packet.get(at + 1..at + 1 + length)?;
                for c in String::from_utf8_lossy(label).chars() {
                    if matches!(c, '.' | '\\') {
                        text.push('\\');
                    }
                    text.push(c);
                }
                text.push('.');
                at += 1 + length;
            }
            192..=255 => {
                next.get_or_insert(at + 2);
                at = ((length & 63) << 8) | usize::from(*packet.get(at + 1)?);
                jumps += 1;
            }
            _ => return None,
        }
        if jumps > MAX_JUMPS || text.len() > 2 * MAX_NAME {
            return None;
        }
    }
}

fn texts(mut bytes: &[u8]) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    while let Some((length, rest)) = bytes.split_first() {
        let Some((pair, rest)) = rest.split_at_checked(usize::from(*length)) else {
            break;
        };
        let pair = String::from_utf8_lossy(pair);
        if let Some((key, value)) = pair.split_once('=') {
            all.insert(key.to_lowercase(), shown(value));
        }
        bytes = rest;
    }
    all
}

/// What may go to a terminal.
fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVICE: &str = "_openclaw-gw._tcp.local";

    fn record(packet: &mut Vec<u8>, owner: &[u8], kind: u16, data: &[u8]) {
        packet.extend(owner);
        packet.extend(kind.to_be_bytes());
        packet.extend([0, 1, 0, 0, 0, 120]);
        packet.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
        packet.extend(data);
    }

    /// PTR, SRV, TXT and A in one packet, names pointing back.
    fn answer() -> Vec<u8> {
        let mut packet = question(SERVICE, PTR);
        packet[2] = 0x84;
        packet[7] = 4;
        let service = 12_u8;
        let mut instance = b"\x11Pi (OpenClaw) v1.".to_vec();
        instance.extend([0xc0, service]);
        let at = u8::try_from(packet.len() + 12).unwrap();
        record(&mut packet, &[0xc0, service], PTR, &instance);
        let host = b"\x08openclaw\x05local\x00";
        let mut place = vec![0, 0, 0, 0];
        place.extend(18789_u16.to_be_bytes());
        place.extend(host);
        record(&mut packet, &[0xc0, at], SRV, &place);
        record(
            &mut packet,
            &[0xc0, at],
            TXT,
            b"\x0edisplayName=Pi\x0brole=gatew\x1b",
        );
        record(&mut packet, host, A, &[192, 168, 1, 7]);
        packet
    }

    #[test]
    fn an_answer_is_put_together_from_its_records() {
        let mut seen = Seen::default();
        seen.read(&answer()).unwrap();
        let offers = seen.offers(SERVICE);
        assert_eq!(offers.len(), 1);
        let offer = &offers[0];
        assert_eq!(offer.instance, "Pi (OpenClaw) v1.");
        assert_eq!(offer.host.as_deref(), Some("openclaw.local"));
        assert_eq!(
            (offer.port, offer.address),
            (Some(18789), Some([192, 168, 1, 7].into()))
        );
        assert_eq!(offer.text["displayname"], "Pi");
        assert_eq!(offer.text["role"], "gatew");
        assert!(seen.unresolved(SERVICE).is_empty());
        assert!(seen.offers("_other._tcp.local").is_empty());
    }

    #[test]
    fn no_cut_or_circular_packet_is_more_than_lost() {
        let whole = answer();
        for end in 0..whole.len() {
            assert!(Seen::default().read(&whole[..end]).is_none(), "{end}");
        }
        for at in 12..whole.len() {
            let mut packet = whole.clone();
            packet[at] = 0xc0;
            let _ = Seen::default().read(&packet);
        }
        assert_eq!(name(&[0xc0, 0], 0), None);
    }
}
