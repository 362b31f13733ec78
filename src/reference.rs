//! The reference number of a request: shown to the person, written into the log and the audit.

use std::fmt;

use actix_web::{HttpMessage, HttpRequest};

/// Without letters that are mistaken for digits or for each other (Crockford's base 32).
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// Eight characters with a dash, such as `7F3K-92QD`; 40 random bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reference([u8; 8]);

impl Reference {
    /// A new one. Should the system have no random bytes, it is all zeros: a reference protects nothing.
    pub fn new() -> Self {
        let mut bytes = [0; 8];
        if aws_lc_rs::rand::fill(&mut bytes).is_err() {
            log::error!("the system gives no random bytes");
        }
        Self(bytes.map(|byte| ALPHABET[usize::from(byte) % ALPHABET.len()]))
    }

    /// The one of this request.
    pub fn of(req: &HttpRequest) -> Option<Self> {
        req.extensions().get::<Self>().copied()
    }
}

impl Default for Reference {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The alphabet is ASCII, so each half is a text.
        let text = |part| std::str::from_utf8(part).unwrap_or_default();
        write!(f, "{}-{}", text(&self.0[..4]), text(&self.0[4..]))
    }
}
