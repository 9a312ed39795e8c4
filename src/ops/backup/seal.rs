//! Secrets in an archive, closed with a passphrase: PBKDF2 (HMAC-SHA-256) makes the key, ChaCha20
//! with Poly1305 closes the whole at once. Each archive has a salt of its own, so that a key closes
//! exactly one text and the nonce may be the same.

use super::Error;
use crate::base::secret::Secret;
use crate::base::{hex, id};
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use ring::pbkdf2;
use serde::{Deserialize, Serialize};
use std::num::NonZeroU32;

/// What OWASP asks for; two seconds on a Raspberry Pi. Our own tests keep no secrets.
const ROUNDS: u32 = if cfg!(test) { 1_000 } else { 600_000 };
/// An archive that asks for more wants to keep us busy.
const MAX_ROUNDS: u32 = 10_000_000;
const SALT: usize = 16;
/// A shorter one is tried out in no time.
pub const LEAST_PASSPHRASE: usize = 8;

/// How the key is made; in the archive's head.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lock {
    pub cipher: String,
    pub kdf: String,
    pub rounds: u32,
    pub salt: String,
}

impl Lock {
    pub fn new() -> Lock {
        Lock {
            cipher: "chacha20-poly1305".into(),
            kdf: "pbkdf2-sha256".into(),
            rounds: ROUNDS,
            salt: hex::encode(&id::random::<SALT>()),
        }
    }

    fn key(&self, passphrase: &Secret) -> Result<LessSafeKey, Error> {
        let known = self.cipher == "chacha20-poly1305" && self.kdf == "pbkdf2-sha256";
        let rounds = NonZeroU32::new(self.rounds).filter(|rounds| rounds.get() <= MAX_ROUNDS);
        let rounds = rounds.filter(|_| known && self.salt.len() <= 256);
        let Some(rounds) = rounds else {
            return Err(Error::Format(
                "the secrets are closed in a way this version does not know".into(),
            ));
        };
        let mut bytes = [0; 32];
        pbkdf2::derive(
            pbkdf2::PBKDF2_HMAC_SHA256,
            rounds,
            self.salt.as_bytes(),
            passphrase.expose().as_bytes(),
            &mut bytes,
        );
        let key = UnboundKey::new(&CHACHA20_POLY1305, &bytes).expect("the key has its length");
        Ok(LessSafeKey::new(key))
    }

    pub fn close(&self, passphrase: &Secret, mut text: Vec<u8>) -> Result<Vec<u8>, Error> {
        let key = self.key(passphrase)?;
        key.seal_in_place_append_tag(nonce(), Aad::empty(), &mut text)
            .map_err(|_| Error::Format("too many secrets".into()))?;
        Ok(text)
    }

    pub fn open(&self, passphrase: &Secret, mut closed: Vec<u8>) -> Result<Vec<u8>, Error> {
        let key = self.key(passphrase)?;
        let length = key
            .open_in_place(nonce(), Aad::empty(), &mut closed)
            .map_err(|_| Error::Passphrase)?
            .len();
        closed.truncate(length);
        Ok(closed)
    }
}

fn nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; 12])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_passphrase_opens_what_it_closed() {
        let mut lock = Lock::new();
        lock.rounds = 10;
        let right = Secret::new("correct horse");
        let closed = lock.close(&right, b"a key".to_vec()).unwrap();
        assert!(!closed.windows(5).any(|part| part == b"a key"));
        assert_eq!(lock.open(&right, closed.clone()).unwrap(), b"a key");
        let wrong = lock.open(&Secret::new("wrong horse"), closed.clone());
        assert!(matches!(wrong, Err(Error::Passphrase)));
        let mut damaged = closed;
        damaged[0] ^= 1;
        assert!(matches!(lock.open(&right, damaged), Err(Error::Passphrase)));
        lock.rounds = u32::MAX;
        assert!(matches!(
            lock.open(&right, Vec::new()),
            Err(Error::Format(_))
        ));
    }
}
