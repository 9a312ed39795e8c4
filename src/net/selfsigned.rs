//! A self-signed certificate for this machine's gateway: P-256, ten years, the names it is reached
//! by at home. Clients pin it, so nobody else vouches for it.
//!
//! The structure is RFC 5280's, written out in DER by hand: one shape, made once in a gateway's
//! life.

use crate::base::{id, time};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use std::net::IpAddr;

/// Certificate and private key, as PEM.
pub struct Made {
    pub certificate: String,
    pub key: String,
}

/// The original's name in its certificate.
const COMMON_NAME: &str = "openclaw-gateway";
/// Ten years, as the original's.
const LIFETIME_MS: u64 = 10 * 366 * 24 * 3600 * 1000;
/// 2025-01-01: valid from before this program was written, so that a machine whose clock starts in
/// the past (no battery) makes one that holds once its clock is set.
const EPOCH_MS: u64 = 1_735_689_600_000;

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;
const OBJECT: u8 = 0x06;
const UTF8: u8 = 0x0c;
const TIME: u8 = 0x18;
const BOOLEAN: u8 = 0x01;

// Object identifiers, encoded.
const ECDSA_WITH_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];
const EC_PUBLIC_KEY: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1];
const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
const NAME: &[u8] = &[0x55, 4, 3];
const ALTERNATIVE_NAMES: &[u8] = &[0x55, 0x1d, 17];
const CONSTRAINTS: &[u8] = &[0x55, 0x1d, 19];
const PURPOSES: &[u8] = &[0x55, 0x1d, 37];
const SERVER: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 1];

/// `host` is this machine's name; names and addresses of the loopback are always in it.
pub fn make(host: &str) -> Result<Made, ring::error::Unspecified> {
    let random = SystemRandom::new();
    let scheme = &ECDSA_P256_SHA256_ASN1_SIGNING;
    let key = EcdsaKeyPair::generate_pkcs8(scheme, &random)?;
    let pair = EcdsaKeyPair::from_pkcs8(scheme, key.as_ref(), &random)
        .map_err(|_| ring::error::Unspecified)?;
    let body = body(pair.public_key().as_ref(), host);
    let signature = pair.sign(&random, &body)?;
    let certificate = seq(&[&body, &algorithm(), &bits(signature.as_ref())]);
    Ok(Made {
        certificate: pem("CERTIFICATE", &certificate),
        key: pem("PRIVATE KEY", key.as_ref()),
    })
}

/// What is signed.
fn body(public_key: &[u8], host: &str) -> Vec<u8> {
    let version = wrap(0xa0, &[&wrap(INTEGER, &[&[2]])]);
    let mut number: [u8; 16] = id::random();
    // Positive, and without leading zeros.
    number[0] = number[0] & 0x7f | 0x40;
    let name = wrap(UTF8, &[COMMON_NAME.as_bytes()]);
    let name = seq(&[&wrap(SET, &[&seq(&[&object(NAME), &name])])]);
    let until = time::now_ms().max(EPOCH_MS) + LIFETIME_MS;
    let valid = seq(&[&moment(EPOCH_MS), &moment(until)]);
    let key = seq(&[
        &seq(&[&object(EC_PUBLIC_KEY), &object(P256)]),
        &bits(public_key),
    ]);
    let extensions = wrap(0xa3, &[&extensions(host)]);
    seq(&[
        &version,
        &wrap(INTEGER, &[&number]),
        &algorithm(),
        &name,
        &valid,
        &name,
        &key,
        &extensions,
    ])
}

fn extensions(host: &str) -> Vec<u8> {
    let mut names = vec!["localhost".to_string(), COMMON_NAME.to_string()];
    if host.is_ascii() && !host.is_empty() && !names.iter().any(|n| n == host) {
        names.push(host.to_string());
    }
    let mut list: Vec<Vec<u8>> = names
        .iter()
        .map(|name| wrap(0x82, &[name.as_bytes()]))
        .collect();
    for ip in ["127.0.0.1", "::1"] {
        let octets = match ip.parse().expect("an address") {
            IpAddr::V4(ip) => ip.octets().to_vec(),
            IpAddr::V6(ip) => ip.octets().to_vec(),
        };
        list.push(wrap(0x87, &[&octets]));
    }
    let list: Vec<&[u8]> = list.iter().map(Vec::as_slice).collect();
    let holds = |value: &[u8]| wrap(OCTET_STRING, &[value]);
    seq(&[
        // Not an authority: it vouches for itself alone.
        &seq(&[
            &object(CONSTRAINTS),
            &wrap(BOOLEAN, &[&[0xff]]),
            &holds(&seq(&[])),
        ]),
        &seq(&[&object(PURPOSES), &holds(&seq(&[&object(SERVER)]))]),
        &seq(&[&object(ALTERNATIVE_NAMES), &holds(&seq(&list))]),
    ])
}

fn algorithm() -> Vec<u8> {
    seq(&[&object(ECDSA_WITH_SHA256)])
}

/// RFC 5280 wants the short form of a year below 2050 and the long one from then on.
fn moment(ms: u64) -> Vec<u8> {
    let digits: String = time::iso(ms)[..19]
        .chars()
        .filter(char::is_ascii_digit)
        .collect();
    match digits.as_str() < "2050" {
        true => wrap(TIME - 1, &[&digits.as_bytes()[2..], b"Z"]),
        false => wrap(TIME, &[digits.as_bytes(), b"Z"]),
    }
}

fn seq(parts: &[&[u8]]) -> Vec<u8> {
    wrap(SEQUENCE, parts)
}

fn object(id: &[u8]) -> Vec<u8> {
    wrap(OBJECT, &[id])
}

/// Whole bytes: no unused bits at the end.
fn bits(bytes: &[u8]) -> Vec<u8> {
    wrap(BIT_STRING, &[&[0], bytes])
}

/// Tag, length, content.
fn wrap(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let len = content.len().to_be_bytes();
    let mut out = vec![tag];
    match content.len() {
        short @ 0..=127 => out.push(short as u8),
        long => {
            let digits = &len[(long.leading_zeros() / 8) as usize..];
            out.push(0x80 | digits.len() as u8);
            out.extend_from_slice(digits);
        }
    }
    out.extend_from_slice(&content);
    out
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = BASE64_STANDARD.encode(der);
    let mut out = format!("-----BEGIN {label}-----\n");
    for line in text.as_bytes().chunks(64) {
        out.extend(line.iter().map(|b| char::from(*b)));
        out.push('\n');
    }
    out + &format!("-----END {label}-----\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_have_the_shortest_form() {
        assert_eq!(wrap(4, &[&[7; 2]]), [4, 2, 7, 7]);
        assert_eq!(wrap(4, &[&[0; 127]])[..2], [4, 127]);
        assert_eq!(wrap(4, &[&[0; 128]])[..3], [4, 0x81, 128]);
        assert_eq!(wrap(4, &[&[0; 300]])[..4], [4, 0x82, 1, 44]);
    }

    #[test]
    fn a_year_from_2050_on_has_four_digits() {
        assert_eq!(moment(EPOCH_MS)[2..], *b"250101000000Z");
        assert_eq!(moment(2_556_144_000_000)[2..], *b"20510101000000Z");
    }
}
