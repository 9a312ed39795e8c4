//! `wss://`: TLS 1.2 and 1.3, trust by the public roots, or by the one certificate whose SHA-256
//! the config names (a self-signed gateway).

use crate::base::hex;
use crate::config::client::Pin;
use crate::net::certificate;
use crate::net::trust::Authorities;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, StreamOwned};
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

pub struct Stream(StreamOwned<ClientConnection, TcpStream>);

impl Stream {
    /// Nothing is sent yet: the handshake runs with the first read or write, under its deadline.
    pub fn open(tcp: TcpStream, host: &str, pin: Option<&Pin>) -> io::Result<Stream> {
        let fingerprint = match pin {
            Some(Pin::Given(text)) => Some(plain(text)),
            Some(Pin::Own(path)) => {
                let own = certificate::fingerprint(path);
                Some(own.map_err(|err| failed(err.to_string()))?)
            }
            None => None,
        };
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?;
        let config = match fingerprint {
            Some(fingerprint) => builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(Pinned {
                    fingerprint,
                    provider,
                }))
                .with_no_client_auth(),
            None => {
                let authorities = Authorities::new(provider).map_err(io::Error::other)?;
                builder
                    .dangerous()
                    .with_custom_certificate_verifier(Arc::new(authorities))
                    .with_no_client_auth()
            }
        };
        let name = ServerName::try_from(host.to_string()).map_err(io::Error::other)?;
        let tls = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
        Ok(Stream(StreamOwned::new(tls, tcp)))
    }

    pub fn tcp(&self) -> &TcpStream {
        self.0.get_ref()
    }
}

impl Read for Stream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.read(buf)
    }
}

impl Write for Stream {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.0.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// In the form that the errors of the handshake have, too.
pub fn failed(why: String) -> io::Error {
    io::Error::other(rustls::Error::General(why))
}

/// Lower-case hex without colons and without the `sha256:` some tools print in front.
fn plain(fingerprint: &str) -> String {
    let text = fingerprint.trim().to_ascii_lowercase();
    let text = text.strip_prefix("sha256").unwrap_or(&text);
    text.chars().filter(char::is_ascii_hexdigit).collect()
}

/// Trusts exactly one certificate, whatever its name and dates. That the peer holds its key is
/// still proven by the handshake's signatures.
#[derive(Debug)]
struct Pinned {
    fingerprint: String,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let shown = hex::sha256(end_entity);
        match shown == self.fingerprint {
            true => Ok(ServerCertVerified::assertion()),
            false => Err(rustls::Error::General(format!(
                "certificate fingerprint mismatch: the gateway shows {shown}"
            ))),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_fingerprint_is_read_in_every_usual_spelling() {
        for text in ["AB:cd:01", "sha256:abcd01", " abcd01 ", "SHA256 AB CD 01"] {
            assert_eq!(super::plain(text), "abcd01", "{text}");
        }
    }
}
