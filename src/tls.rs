//! TLS of the portal's own, for places without a proxy: rustls, HTTP/2 and 1.1, and a certificate that may be exchanged
//! while the portal runs.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::settings::TlsSettings;

/// The certificate in use.
pub struct Certificate(RwLock<Arc<CertifiedKey>>);

impl Certificate {
    /// Reads it.
    ///
    /// # Errors
    /// A sentence that completes "TLS_CERT_PATH …".
    pub fn read(settings: &TlsSettings) -> Result<Arc<Self>, String> {
        certified(settings).map(|key| Arc::new(Self(RwLock::new(Arc::new(key)))))
    }

    /// Reads it again. New connections get the new one; those that are open keep theirs.
    ///
    /// # Errors
    /// As [`Certificate::read`]; then the old one stays.
    pub fn reload(&self, settings: &TlsSettings) -> Result<(), String> {
        let key = Arc::new(certified(settings)?);
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = key;
        Ok(())
    }

    /// When it ends, in seconds since 1970, UTC; with those that vouch for it, whichever is first.
    pub fn ends_at(&self) -> Option<i64> {
        let key = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let chain = key.cert.iter();
        chain
            .filter_map(|der| X509Certificate::from_der(der).ok())
            .map(|(_, certificate)| certificate.validity().not_after.timestamp())
            .min()
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Certificate")
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let key = self.0.read().unwrap_or_else(PoisonError::into_inner);
        Some(key.clone())
    }
}

/// The server's side of TLS 1.2 and 1.3.
///
/// # Errors
/// A sentence, should the protocol versions not be usable.
pub fn server(certificate: Arc<Certificate>) -> Result<ServerConfig, String> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    Ok(ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_no_client_auth()
        .with_cert_resolver(certificate))
}

/// The certificate with its key, which must belong together.
///
/// # Errors
/// A sentence that completes "TLS_CERT_PATH …" and quotes nothing of the files.
pub fn certified(settings: &TlsSettings) -> Result<CertifiedKey, String> {
    let TlsSettings { certificate, key } = settings;
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|_| {
            format!(
                "names {}, which is no readable PEM file",
                certificate.display()
            )
        })?;
    if chain.is_empty() {
        return Err(format!(
            "names {}, which holds no certificate",
            certificate.display()
        ));
    }
    let key = PrivateKeyDer::from_pem_file(key).map_err(|_| {
        format!(
            "goes with TLS_KEY_PATH {}, which holds no readable private key",
            key.display()
        )
    })?;
    CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider())
        .map_err(|_| "and TLS_KEY_PATH do not belong together".to_owned())
}
