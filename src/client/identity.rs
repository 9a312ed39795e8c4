//! The device key: `~/.openclaw/identity/device.json`, an Ed25519 pair in PEM as the original
//! writes it. It names this user on this machine to every gateway.
//!
//! A file that cannot be read is never replaced: a new key would have to be paired again
//! everywhere. The original replaces it.

use crate::base::exit::{Exit, Report};
use crate::base::{atomic, hex, id, time};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// DER in front of the 32 secret bytes in PKCS#8 (RFC 8410).
const PKCS8: &[u8] = &[
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];
/// DER in front of the 32 public bytes in SubjectPublicKeyInfo.
const SPKI: &[u8] = &[
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];

pub struct Identity {
    /// SHA-256 of the public key, in hex.
    pub device_id: String,
    key: Ed25519KeyPair,
}

#[derive(Debug)]
pub enum Error {
    Io { path: PathBuf, err: io::Error },
    Broken { path: PathBuf, why: String },
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct File {
    version: u32,
    device_id: String,
    public_key_pem: String,
    private_key_pem: String,
    created_at_ms: u64,
}

impl Identity {
    /// Reads the key at `path`; makes one when there is no file.
    pub fn open(path: &Path) -> Result<Identity, Error> {
        match std::fs::read(path) {
            Ok(bytes) => Identity::read(path, &bytes),
            Err(err) if err.kind() == io::ErrorKind::NotFound => Identity::create(path),
            Err(err) => Err(Error::Io {
                path: path.into(),
                err,
            }),
        }
    }

    fn read(path: &Path, bytes: &[u8]) -> Result<Identity, Error> {
        let broken = |why: String| Error::Broken {
            path: path.into(),
            why,
        };
        let file: File = serde_json::from_slice(bytes).map_err(|err| broken(err.to_string()))?;
        if file.version != 1 {
            return Err(broken(format!("version {} is not known", file.version)));
        }
        let der = unpem(&file.private_key_pem)
            .ok_or_else(|| broken("privateKeyPem is no PEM text".into()))?;
        let seed = der
            .strip_prefix(PKCS8)
            .filter(|seed| seed.len() >= 32)
            .ok_or_else(|| broken("privateKeyPem is no Ed25519 key in PKCS#8".into()))?;
        let key = Ed25519KeyPair::from_seed_unchecked(&seed[..32])
            .map_err(|err| broken(err.to_string()))?;
        Ok(Identity::of(key))
    }

    fn create(path: &Path) -> Result<Identity, Error> {
        let seed: [u8; 32] = id::random();
        let key = Ed25519KeyPair::from_seed_unchecked(&seed).map_err(|err| Error::Broken {
            path: path.into(),
            why: err.to_string(),
        })?;
        let identity = Identity::of(key);
        let file = File {
            version: 1,
            device_id: identity.device_id.clone(),
            public_key_pem: pem("PUBLIC KEY", SPKI, identity.public()),
            private_key_pem: pem("PRIVATE KEY", PKCS8, &seed),
            created_at_ms: time::now_ms(),
        };
        let text = serde_json::to_string_pretty(&file).expect("strings and numbers serialise");
        atomic::write(path, format!("{text}\n").as_bytes()).map_err(|err| Error::Io {
            path: path.into(),
            err,
        })?;
        Ok(identity)
    }

    fn of(key: Ed25519KeyPair) -> Identity {
        Identity {
            device_id: hex::sha256(key.public_key().as_ref()),
            key,
        }
    }

    fn public(&self) -> &[u8] {
        self.key.public_key().as_ref()
    }

    /// The public key as the wire wants it.
    pub fn public_key(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.public())
    }

    pub fn sign(&self, text: &str) -> String {
        URL_SAFE_NO_PAD.encode(self.key.sign(text.as_bytes()))
    }
}

fn pem(label: &str, head: &[u8], key: &[u8]) -> String {
    // 48 bytes at most: one line of Base64.
    let body = STANDARD.encode([head, key].concat());
    format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n")
}

fn unpem(text: &str) -> Option<Vec<u8>> {
    let body: String = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.starts_with("-----"))
        .collect();
    STANDARD.decode(body).ok()
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Io { path, err } => write!(f, "device key {}: {err}", path.display()),
            Error::Broken { path, why } => write!(f, "device key {}: {why}", path.display()),
        }
    }
}

impl std::error::Error for Error {}

impl Report for Error {
    fn exit(&self) -> Exit {
        match self {
            Error::Io { err, .. } if err.kind() == io::ErrorKind::PermissionDenied => Exit::Denied,
            Error::Io { .. } => Exit::Io,
            Error::Broken { .. } => Exit::Config,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Error::Io { .. } => {
                "it must be a file you own, mode 600, in a folder of mode 700".into()
            }
            Error::Broken { path, .. } => format!(
                "restore it from a backup, or move it away and pair this device anew: mv {0} {0}.broken",
                path.display()
            ),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_key_is_made_once_and_read_again() {
        let dir = id::temp_dir("identity");
        let path = dir.join("identity/device.json");
        let made = Identity::open(&path).unwrap();
        let read = Identity::open(&path).unwrap();
        assert_eq!(made.device_id, read.device_id);
        assert_eq!(made.sign("x"), read.sign("x"));
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.ends_with("}\n"));
        fs::remove_dir_all(dir).unwrap();
    }

    /// The published vector of RFC 8032, in the form the original stores.
    #[test]
    fn a_key_of_the_original_is_understood() {
        let file = r#"{"version":1,"deviceId":"ignored","publicKeyPem":"","createdAtMs":1,
            "privateKeyPem":"-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n-----END PRIVATE KEY-----\n"}"#;
        let key = Identity::read(Path::new("x"), file.as_bytes()).unwrap();
        assert_eq!(
            hex::encode(key.public()),
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
        );
        assert_eq!(key.device_id, hex::sha256(key.public()));
    }

    #[test]
    fn a_broken_file_is_refused_and_stays_as_it_is() {
        let dir = id::temp_dir("identity");
        let path = dir.join("device.json");
        fs::write(&path, "{\"version\":1,").unwrap();
        let err = Identity::open(&path).err().unwrap();
        assert!(err.hint().unwrap().contains(".broken"));
        assert_eq!(fs::read_to_string(&path).unwrap(), "{\"version\":1,");
        fs::remove_dir_all(dir).unwrap();
    }
}
