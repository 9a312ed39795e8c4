//! Device keys and the signature over a connect request.

use super::super::connect::{Connect, Device};
use crate::base::hex;
use base64::Engine;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use ring::signature::{ED25519, UnparsedPublicKey};

/// Padding and unused bits are tolerated, as the original's decoder does.
const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);
const LENIENT_URL: GeneralPurpose = GeneralPurpose::new(&URL_SAFE, LENIENT);
const LENIENT_STANDARD: GeneralPurpose = GeneralPurpose::new(&STANDARD, LENIENT);

/// What an Ed25519 public key starts with in SubjectPublicKeyInfo form.
const SPKI_PREFIX: [u8; 12] = [
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];

/// The raw 32 bytes of a key given as base64url, base64 or PEM.
pub fn raw(public_key: &str) -> Option<[u8; 32]> {
    let bytes = if public_key.contains("BEGIN") {
        let body: String = public_key
            .lines()
            .filter(|l| !l.starts_with("-----"))
            .flat_map(str::chars)
            .filter(|c| !c.is_whitespace())
            .collect();
        let der = decode(&body)?;
        der.strip_prefix(&SPKI_PREFIX)?.to_vec()
    } else {
        decode(public_key.trim())?
    };
    bytes.try_into().ok()
}

/// The form the store keeps: base64url without padding.
pub fn normalized(raw: &[u8; 32]) -> String {
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(raw)
}

/// The device id that belongs to a key.
pub fn id(raw: &[u8; 32]) -> String {
    hex::sha256(raw)
}

/// Checks the signature of a connect request. With a nonce only form 2 counts, without one only
/// form 1.
pub fn verify(connect: &Connect, device: &Device, key: &[u8; 32]) -> bool {
    let Some(signature) = decode(device.signature.trim()) else {
        return false;
    };
    let payload = payload(connect, device);
    UnparsedPublicKey::new(&ED25519, key)
        .verify(payload.as_bytes(), &signature)
        .is_ok()
}

/// The signed text. Scopes and token count as they were sent, not as they are understood later.
fn payload(connect: &Connect, device: &Device) -> String {
    let form = if device.nonce().is_some() { "v2" } else { "v1" };
    let mut text = [
        form,
        &device.id,
        &connect.client.id,
        &connect.client.mode,
        connect.role(),
        &connect.scopes.as_deref().unwrap_or_default().join(","),
        &device.signed_at.to_string(),
        connect.token().unwrap_or_default(),
    ]
    .join("|");
    if let Some(nonce) = device.nonce() {
        text.push('|');
        text.push_str(nonce);
    }
    text
}

fn decode(text: &str) -> Option<Vec<u8>> {
    let standard = text.contains(['+', '/']);
    let engine = if standard {
        &LENIENT_STANDARD
    } else {
        &LENIENT_URL
    };
    engine.decode(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn every_form_of_a_key_gives_the_same_bytes() {
        let key = [0xfbu8; 32];
        let url = normalized(&key);
        let standard = base64::engine::general_purpose::STANDARD.encode(key);
        let der: Vec<u8> = SPKI_PREFIX.iter().chain(&key).copied().collect();
        let pem = format!(
            "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
            base64::engine::general_purpose::STANDARD.encode(der)
        );
        for form in [&url, &standard, &pem] {
            assert_eq!(raw(form), Some(key));
        }
        assert_eq!(raw("AAAA"), None);
        assert_eq!(raw("!"), None);
    }

    /// Signatures of the original's clients, recorded from the wire.
    #[test]
    fn every_recorded_connect_signature_verifies() {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/recordings");
        let Ok(files) = std::fs::read_dir(&dir) else {
            eprintln!("skipped: every_recorded_connect_signature_verifies: no recordings");
            return;
        };
        let mut checked = 0;
        for file in files.map(|f| f.unwrap().path()) {
            if file.extension().is_none_or(|e| e != "json") {
                continue;
            }
            let text = std::fs::read(&file).unwrap();
            let recording: serde_json::Value = serde_json::from_slice(&text).unwrap();
            for frame in recording["frames"].as_array().into_iter().flatten() {
                let frame = &frame["frame"];
                if frame["method"] != "connect" || frame["params"]["device"].is_null() {
                    continue;
                }
                let connect = Connect::read(&frame["params"]).unwrap();
                let mut device = connect.device.clone().unwrap();
                let key = raw(&device.public_key).unwrap();
                assert_eq!(id(&key), device.id);
                assert!(verify(&connect, &device, &key), "{}", file.display());
                device.signed_at += 1;
                assert!(!verify(&connect, &device, &key));
                checked += 1;
            }
        }
        assert!(checked >= 80, "only {checked} signatures found");
    }
}
