//! The client certificate: one PEM text with a private key and certificates, read and checked once.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use aws_lc_rs::rsa::KeyPair;
use aws_lc_rs::signature::KeyPair as _;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::secret::Secret;

/// A certificate whose private key we hold, ready to sign client assertions.
#[derive(Debug, Clone, PartialEq)]
pub struct ClientCertificate {
    /// The private key alone, as PEM.
    pub private_key: Secret<String>,
    /// SHA-1 of the DER certificate: what Azure shows as "Thumbprint" and `x5t` carries.
    pub sha1: Vec<u8>,
    /// SHA-256 of the DER certificate, for `x5t#S256`.
    pub sha256: Vec<u8>,
    /// End of validity, seconds since 1970 UTC.
    pub not_after: i64,
}

impl ClientCertificate {
    /// Reads a PEM text: PKCS#8 or PKCS#1 key and any number of certificates, in any order.
    ///
    /// # Errors
    /// A sentence that completes "APP_REG_CLIENT_CERT …"; it never quotes the text.
    pub fn read(text: &str) -> Result<Self, String> {
        // A value that travelled through an .env file or a secret store often has its line ends escaped.
        let text = text.replace("\\n", "\n");
        let blocks = pem::parse_many(&text).map_err(|_| NOT_PEM.to_owned())?;
        if blocks.iter().any(|b| b.tag() == "ENCRYPTED PRIVATE KEY") {
            return Err(
                "holds an encrypted private key; decrypt it first (`openssl pkey -in … -out …`)"
                    .to_owned(),
            );
        }
        let key = blocks
            .iter()
            .find(|b| matches!(b.tag(), "PRIVATE KEY" | "RSA PRIVATE KEY"))
            .ok_or("must hold a private key (BEGIN PRIVATE KEY or BEGIN RSA PRIVATE KEY)")?;
        let pair = match key.tag() {
            "PRIVATE KEY" => KeyPair::from_pkcs8(key.contents()),
            _ => KeyPair::from_der(key.contents()),
        }
        .map_err(|_| "must hold an RSA private key of at least 2048 bits")?;

        let certificates: Vec<&[u8]> = blocks
            .iter()
            .filter(|b| b.tag() == "CERTIFICATE")
            .map(pem::Pem::contents)
            .collect();
        if certificates.is_empty() {
            return Err("must hold the certificate beside its private key".to_owned());
        }
        let (der, certificate) = certificates
            .iter()
            .filter_map(|der| Some((*der, X509Certificate::from_der(der).ok()?.1)))
            .find(|(_, certificate)| {
                certificate.public_key().subject_public_key.data.as_ref()
                    == pair.public_key().as_ref()
            })
            .ok_or("holds no certificate that belongs to its private key")?;

        Ok(Self {
            private_key: Secret::new(pem::encode(key)),
            sha1: digest(&SHA1_FOR_LEGACY_USE_ONLY, der).as_ref().to_vec(),
            sha256: digest(&SHA256, der).as_ref().to_vec(),
            not_after: certificate.validity().not_after.timestamp(),
        })
    }

    /// Whether `thumbprint` (hexadecimal, colons and spaces allowed) is this certificate's SHA-1 or SHA-256.
    pub fn has_thumbprint(&self, thumbprint: &str) -> bool {
        let digits: String = thumbprint
            .chars()
            .filter(|c| !matches!(c, ':' | ' '))
            .map(|c| c.to_ascii_lowercase())
            .collect();
        digits == hex(&self.sha1) || digits == hex(&self.sha256)
    }
}

const NOT_PEM: &str =
    "must be PEM text (-----BEGIN PRIVATE KEY----- … -----BEGIN CERTIFICATE----- …)";

/// Bytes as lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
