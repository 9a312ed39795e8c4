//! The gateway's certificate and key: read, made when there is none, read again when the files
//! change.
//!
//! The files are the administrator's or ours; what is in them is refused with the file's name when
//! it does not fit together, and a running gateway keeps what it has then.

use super::selfsigned;
use crate::base::exit::{Exit, Report};
use crate::base::sys::uname;
use crate::base::{atomic, hex};
use crate::config::tls::Tls;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::NoServerSessionStorage;
use std::fmt;
use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Largest certificate or key file: a chain of a few certificates has some KiB.
const MAX_FILE: u64 = 256 * 1024;
/// Certificates sent to a client: longer chains are a mistake and cost every handshake.
const MAX_CHAIN: usize = 8;

#[derive(Debug)]
pub enum Error {
    Missing { path: PathBuf },
    Unreadable { path: PathBuf, err: io::Error },
    Unwritable { path: PathBuf, err: io::Error },
    NoCertificate { path: PathBuf },
    NoKey { path: PathBuf },
    Unmade,
    Unusable { path: PathBuf, err: rustls::Error },
}

/// What the gateway shows its clients.
pub struct Certificate {
    files: Tls,
    current: Mutex<Current>,
}

struct Current {
    config: Arc<ServerConfig>,
    fingerprint: String,
    /// The files as they were when they were last looked at.
    stamps: [Option<Stamp>; 2],
}

/// Which file it is, and when it was written.
type Stamp = (u64, i64, i64, u64);

impl Certificate {
    /// Reads the pair; makes one first when neither file is there and that is allowed.
    pub fn open(files: &Tls) -> Result<Certificate, Error> {
        if files.generate && !files.cert.exists() && !files.key.exists() {
            make(files)?;
        }
        let stamps = stamps(files);
        let (config, fingerprint) = load(files)?;
        Ok(Certificate {
            files: files.clone(),
            current: Mutex::new(Current {
                config,
                fingerprint,
                stamps,
            }),
        })
    }

    pub fn config(&self) -> Arc<ServerConfig> {
        self.current().config.clone()
    }

    /// SHA-256 of the certificate, lower-case hex: what clients pin.
    pub fn fingerprint(&self) -> String {
        self.current().fingerprint.clone()
    }

    /// Takes over a renewed pair. One that does not fit together, perhaps half written, leaves the
    /// old one in force until the files change again.
    pub fn refresh(&self) {
        let now = stamps(&self.files);
        if now == self.current().stamps {
            return;
        }
        let loaded = load(&self.files);
        let mut current = self.current();
        current.stamps = now;
        match loaded {
            Ok((config, fingerprint)) => {
                current.config = config;
                current.fingerprint = fingerprint;
                log::info!(
                    target: "gateway",
                    "new TLS certificate, sha256 {}", current.fingerprint
                );
            }
            Err(err) => log::warn!(target: "gateway", "{err}; the certificate stays as it was"),
        }
    }

    fn current(&self) -> MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a gateway could start with these files; makes nothing.
pub fn check(files: &Tls) -> Result<(), Error> {
    if files.generate && !files.cert.exists() && !files.key.exists() {
        return Ok(());
    }
    load(files).map(drop)
}

/// SHA-256 of the first certificate in a file, as clients on this machine pin it.
pub fn fingerprint(path: &Path) -> Result<String, Error> {
    let text = read(path)?;
    match CertificateDer::pem_slice_iter(&text).next() {
        Some(Ok(certificate)) => Ok(hex::sha256(&certificate)),
        _ => Err(Error::NoCertificate { path: path.into() }),
    }
}

fn make(files: &Tls) -> Result<(), Error> {
    let made = selfsigned::make(&uname::hostname()).map_err(|_| Error::Unmade)?;
    for (path, text) in [(&files.key, &made.key), (&files.cert, &made.certificate)] {
        atomic::write(path, text.as_bytes()).map_err(|err| Error::Unwritable {
            path: path.clone(),
            err,
        })?;
    }
    log::info!(
        target: "gateway",
        "gateway tls: generated self-signed cert at {}", files.cert.display()
    );
    Ok(())
}

fn load(files: &Tls) -> Result<(Arc<ServerConfig>, String), Error> {
    let mut chain = certificates(&files.cert)?;
    let fingerprint = hex::sha256(&chain[0]);
    if let Some(ca) = &files.ca {
        // What the certificate file leaves out of the chain; a whole store of roots is no chain.
        let between = certificates(ca)?;
        match chain.len() + between.len() {
            0..=MAX_CHAIN => chain.extend(between),
            _ => log::warn!(
                target: "gateway",
                "gateway.tls.caPath: {}: too many certificates, none is sent", ca.display()
            ),
        }
    }
    let key = PrivateKeyDer::from_pem_slice(&read(&files.key)?).map_err(|_| Error::NoKey {
        path: files.key.clone(),
    })?;
    warn_of_readers(&files.key);
    let unusable = |err| Error::Unusable {
        path: files.cert.clone(),
        err,
    };
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(unusable)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(unusable)?;
    // Nothing is kept for clients that have gone: a handshake costs less than their tickets.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok((Arc::new(config), fingerprint))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let text = read(path)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => Err(Error::NoCertificate { path: path.into() }),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    let read = fs::File::open(path).and_then(|file| file.take(MAX_FILE).read_to_end(&mut bytes));
    match read {
        Ok(_) => Ok(bytes),
        Err(err) if err.kind() == io::ErrorKind::NotFound => {
            Err(Error::Missing { path: path.into() })
        }
        Err(err) => Err(Error::Unreadable {
            path: path.into(),
            err,
        }),
    }
}

fn warn_of_readers(key: &Path) {
    let mode = fs::metadata(key).map(|meta| meta.mode());
    if mode.is_ok_and(|mode| mode & 0o077 != 0) {
        log::warn!(target: "gateway", "{}: others can read this key (chmod 600)", key.display());
    }
}

fn stamps(files: &Tls) -> [Option<Stamp>; 2] {
    [&files.cert, &files.key].map(|path| {
        let meta = fs::metadata(path).ok()?;
        Some((meta.ino(), meta.mtime(), meta.mtime_nsec(), meta.len()))
    })
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("gateway tls: ")?;
        match self {
            Error::Missing { path } => write!(f, "cert/key missing: {}", path.display()),
            Error::Unreadable { path, err } => {
                write!(f, "failed to load cert: {}: {err}", path.display())
            }
            Error::Unwritable { path, err } => {
                write!(f, "failed to generate cert: {}: {err}", path.display())
            }
            Error::NoCertificate { path } => {
                write!(f, "{}: no PEM certificate in it", path.display())
            }
            Error::NoKey { path } => write!(f, "{}: no PEM private key in it", path.display()),
            Error::Unmade => f.write_str("failed to generate cert: no randomness"),
            Error::Unusable { path, err } => {
                write!(f, "failed to load cert: {}: {err}", path.display())
            }
        }
    }
}

impl std::error::Error for Error {}

impl Report for Error {
    fn exit(&self) -> Exit {
        match self {
            Error::Unwritable { .. } | Error::Unmade => Exit::Failed,
            _ => Exit::Config,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Error::Missing { .. } => {
                "both files of gateway.tls must be there, or neither (then a pair is made)".into()
            }
            Error::NoKey { .. } => "a key without a passphrase, as PKCS#8, PKCS#1 or SEC1".into(),
            Error::Unusable { .. } => {
                "gateway.tls.keyPath must hold the key of the first certificate in certPath".into()
            }
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(dir: &Path) -> Tls {
        Tls {
            cert: dir.join("tls/cert.pem"),
            key: dir.join("tls/key.pem"),
            ca: None,
            generate: true,
        }
    }

    #[test]
    fn a_pair_is_made_once_private_and_read_again_when_it_changes() {
        let dir = crate::base::id::temp_dir("certificate");
        let files = files(&dir);
        let certificate = Certificate::open(&files).unwrap();
        let first = certificate.fingerprint();
        assert_eq!(first, fingerprint(&files.cert).unwrap());
        for path in [&files.cert, &files.key] {
            assert_eq!(fs::metadata(path).unwrap().mode() & 0o777, 0o600);
        }
        assert_eq!(Certificate::open(&files).unwrap().fingerprint(), first);

        // A renewal writes one file after the other: in between the old pair is shown.
        let made = selfsigned::make("box").unwrap();
        atomic::write(&files.cert, made.certificate.as_bytes()).unwrap();
        certificate.refresh();
        assert_eq!(certificate.fingerprint(), first);
        atomic::write(&files.key, made.key.as_bytes()).unwrap();
        certificate.refresh();
        assert_ne!(certificate.fingerprint(), first);
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn half_a_pair_is_never_completed() {
        let dir = crate::base::id::temp_dir("certificate");
        let files = files(&dir);
        Certificate::open(&files).unwrap();
        fs::remove_file(&files.key).unwrap();
        let said = Certificate::open(&files).err().unwrap().to_string();
        assert!(
            said.starts_with("gateway tls: cert/key missing: "),
            "{said}"
        );
        assert!(!files.key.exists());
        fs::write(&files.key, "no key").unwrap();
        let said = Certificate::open(&files).err().unwrap().to_string();
        assert!(
            said.ends_with("key.pem: no PEM private key in it"),
            "{said}"
        );
        fs::remove_dir_all(dir).unwrap();
    }
}
