//! TLS towards Postgres, as `sslmode` asks in libpq's words (PostgreSQL manual, "SSL Support").

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_platform_verifier::BuilderVerifierExt;
use tokio_postgres_rustls::MakeRustlsConnect;

/// What `sslmode` asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wish {
    /// `disable`
    Off,
    /// `prefer`, libpq's default: encrypted where the server can.
    Prefer,
    /// `require`: encrypted, whoever the server is.
    Require,
    /// `verify-full`: encrypted, and the certificate names the host. The file of accepted roots, else the system's.
    Verify(Option<String>),
}

impl Wish {
    pub fn parse(mode: &str, root: Option<String>) -> Result<Self, String> {
        match (mode, root) {
            ("disable", _) => Ok(Self::Off),
            ("prefer", None) => Ok(Self::Prefer),
            ("require", None) => Ok(Self::Require),
            // libpq, too, checks the certificate once a root is given.
            ("require" | "prefer", root @ Some(_)) | ("verify-full", root) => {
                Ok(Self::Verify(root))
            }
            _ => {
                Err("has a sslmode that is not disable, prefer, require or verify-full".to_owned())
            }
        }
    }
}

pub fn connector(wish: &Wish) -> Result<MakeRustlsConnect, String> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let config = match wish {
        Wish::Verify(Some(path)) => builder
            .with_root_certificates(roots(path)?)
            .with_no_client_auth(),
        Wish::Verify(None) => builder
            .with_platform_verifier()
            .map_err(|error| format!("the system's root certificates cannot be read: {error}"))?
            .with_no_client_auth(),
        Wish::Off | Wish::Prefer | Wish::Require => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyServer(provider)))
            .with_no_client_auth(),
    };
    Ok(MakeRustlsConnect::new(config))
}

fn roots(path: &str) -> Result<RootCertStore, String> {
    let unreadable = |error| format!("DATABASE_URL names the sslrootcert {path}: {error}");
    let mut store = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(|e| unreadable(e.to_string()))? {
        let certificate = certificate.map_err(|e| unreadable(e.to_string()))?;
        store
            .add(certificate)
            .map_err(|e| unreadable(e.to_string()))?;
    }
    if store.is_empty() {
        return Err(unreadable("it holds no certificate".to_owned()));
    }
    Ok(store)
}

/// Accepts any certificate: `sslmode=require` promises secrecy from listeners, not who the server is.
/// Signatures are still checked, so that the server holds the key it shows.
#[derive(Debug)]
struct AnyServer(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyServer {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(
            message,
            cert,
            dss,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(
            message,
            cert,
            dss,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
