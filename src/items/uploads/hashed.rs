//! The checksums of an upload as far as its bytes have come, so that they need not be read again at the end.

use aws_lc_rs::digest::{Context, SHA256};

use crate::settings::certificate::hex;

/// SHA-256 and CRC-32 of the first bytes of a file.
#[derive(Clone)]
pub struct Hashed {
    /// So many bytes.
    pub bytes: u64,
    /// The lease under which they came. Under another one somebody else may have written.
    pub lease: String,
    sha256: Context,
    crc32: crc32fast::Hasher,
}

impl Hashed {
    /// Of nothing yet.
    pub fn new(lease: &str) -> Self {
        Self {
            bytes: 0,
            lease: lease.to_owned(),
            sha256: Context::new(&SHA256),
            crc32: crc32fast::Hasher::new(),
        }
    }

    /// Takes the bytes that follow.
    pub fn update(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        self.sha256.update(bytes);
        self.crc32.update(bytes);
    }

    /// The same, kept under another lease.
    pub fn under(self, lease: String) -> Self {
        Self { lease, ..self }
    }

    /// SHA-256 in lower-case hexadecimal, and CRC-32.
    pub fn finish(self) -> (String, u32) {
        (hex(self.sha256.finish().as_ref()), self.crc32.finalize())
    }
}
