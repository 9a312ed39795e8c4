//! Random identifiers. All randomness comes from the kernel.

use ring::rand::{SecureRandom, SystemRandom};
use std::os::unix::fs::DirBuilderExt;

/// `N` random bytes.
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    SystemRandom::new()
        .fill(&mut bytes)
        .expect("getrandom(2) cannot fail on a supported kernel");
    bytes
}

/// A UUID v4, lower case with dashes.
pub fn uuid() -> String {
    let mut b: [u8; 16] = random();
    b[6] = (b[6] & 0x0f) | 0x40;
    b[8] = (b[8] & 0x3f) | 0x80;
    let hex = super::hex::encode(&b);
    format!(
        "{}-{}-{}-{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..]
    )
}

/// 32 hex digits: the form of the original's device and gateway tokens (a UUID without dashes).
pub fn token() -> String {
    uuid().replace('-', "")
}

/// 8 hex digits: the id of a transcript entry.
pub fn short() -> String {
    super::hex::encode(&random::<4>())
}

/// A fresh private folder under the system's temp folder, for tests and scratch space.
pub fn temp_dir(name: &str) -> std::path::PathBuf {
    let dir = std::env::temp_dir().join(format!("openclaw-{name}-{}", short()));
    // Not recursive: a folder that is there already is somebody else's.
    let made = std::fs::DirBuilder::new().mode(0o700).create(&dir);
    made.expect("the temp folder is writable and the name is new");
    dir
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_uuid_has_version_4_and_the_right_variant() {
        let id = super::uuid();
        assert_eq!(id.len(), 36);
        assert_eq!(&id[14..15], "4");
        assert!("89ab".contains(&id[19..20]));
    }
}
