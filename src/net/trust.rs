//! Which authorities outgoing TLS believes: the public ones built in and, only when none of these
//! knows a certificate, those of this machine.
//!
//! Those of this machine are the files that `SSL_CERT_FILE` and `NODE_EXTRA_CA_CERTS` name and the
//! system's store. They are read when they are first needed: a gateway that talks to public
//! endpoints only never holds them.

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, RootCertStore, SignatureScheme};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

/// Largest file of certificates that is read: the stores of distributions have a quarter of it.
const MAX_FILE: u64 = 1024 * 1024;
/// Authorities kept beside those built in.
const MAX_KEPT: usize = 256;
/// Files beside the system's store, and in Node's place for it.
const NAMED: [&str; 2] = ["SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS"];
/// Where systems keep theirs; the first that is there.
const STORES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// This machine's own authorities, without those built in. Found once; as long as there are none
/// they are looked for again.
pub fn own() -> &'static [CertificateDer<'static>] {
    static FOUND: OnceLock<Vec<CertificateDer<'static>>> = OnceLock::new();
    if let Some(found) = FOUND.get() {
        return found;
    }
    match read(&files()) {
        found if found.is_empty() => &[],
        found => FOUND.get_or_init(|| found),
    }
}

fn files() -> Vec<PathBuf> {
    let named = NAMED
        .iter()
        .filter_map(std::env::var_os)
        .filter(|name| !name.is_empty())
        .map(PathBuf::from);
    let store = STORES.iter().map(PathBuf::from).find(|path| path.exists());
    named.chain(store).collect()
}

fn read(files: &[PathBuf]) -> Vec<CertificateDer<'static>> {
    let mut kept: Vec<CertificateDer<'static>> = Vec::new();
    for path in files {
        let bytes = match bytes(path) {
            Ok(bytes) => bytes,
            Err(err) => {
                log::warn!("certificate authorities: {}: {err}", path.display());
                continue;
            }
        };
        for certificate in CertificateDer::pem_slice_iter(&bytes).flatten() {
            if kept.len() < MAX_KEPT && !is_built_in(&certificate) && !kept.contains(&certificate) {
                kept.push(certificate);
            }
        }
    }
    kept
}

fn bytes(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_FILE).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// One that cannot be used counts as known, too.
fn is_built_in(certificate: &CertificateDer<'static>) -> bool {
    let mut store = RootCertStore::empty();
    if store.add(certificate.clone()).is_err() {
        return true;
    }
    let subject = store.roots.last().map(|root| &root.subject);
    webpki_roots::TLS_SERVER_ROOTS
        .iter()
        .any(|root| Some(&root.subject) == subject)
}

/// No authority we know has signed it; another one may have.
pub fn is_unknown(err: &rustls::Error) -> bool {
    matches!(
        err,
        rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer)
    )
}

/// Believes the public authorities, and those of this machine after them.
#[derive(Debug)]
pub struct Authorities {
    public: Arc<WebPkiServerVerifier>,
    provider: Arc<CryptoProvider>,
}

impl Authorities {
    pub fn new(provider: Arc<CryptoProvider>) -> Result<Authorities, rustls::Error> {
        let roots = RootCertStore {
            roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
        };
        Ok(Authorities {
            public: verifier(roots, &provider)?,
            provider,
        })
    }
}

fn verifier(
    roots: RootCertStore,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<WebPkiServerVerifier>, rustls::Error> {
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .build()
        .map_err(|err| rustls::Error::General(err.to_string()))
}

impl ServerCertVerifier for Authorities {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let verify =
            |by: &WebPkiServerVerifier| by.verify_server_cert(end_entity, between, name, ocsp, now);
        match verify(&self.public) {
            Err(err) if is_unknown(&err) => {
                let mut roots = RootCertStore::empty();
                roots.add_parsable_certificates(own().iter().cloned());
                match roots.is_empty() {
                    true => Err(err),
                    false => verify(verifier(roots, &self.provider)?.as_ref()),
                }
            }
            found => found,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.public
            .verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.public
            .verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.public.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::selfsigned;

    #[test]
    fn only_what_is_not_built_in_is_kept_and_a_missing_file_is_no_fault() {
        let dir = crate::base::id::temp_dir("trust");
        let own = dir.join("own.pem");
        let made = selfsigned::make("box").unwrap().certificate;
        std::fs::write(&own, format!("junk\n{made}{made}")).unwrap();
        let mut files = vec![dir.join("none.pem"), own];
        assert_eq!(read(&files).len(), 1);
        // The system's store, where there is one, holds public authorities, which are built in.
        let stores = STORES.map(PathBuf::from);
        let all: usize = stores
            .iter()
            .filter_map(|store| bytes(store).ok())
            .map(|pem| CertificateDer::pem_slice_iter(&pem).flatten().count())
            .sum();
        files.extend(stores);
        assert!(all == 0 || read(&files).len() < 1 + all);
        std::fs::remove_dir_all(dir).unwrap();
    }
}
