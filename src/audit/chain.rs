//! The chain over the audit: each row's hash covers all its columns and the hash of the row before, so that nobody
//! changes, removes or re-orders one without breaking the rest. Whoever can write the table can make a new chain
//! altogether; that is found by the head, which the log has told since every hour.

use aws_lc_rs::digest::{Context, SHA256};
use diesel::{QueryableByName, sql_types};

use super::store::Entry;
use crate::settings::certificate::hex;

/// A sealed place in the chain.
#[derive(Debug, Clone, PartialEq, Eq, QueryableByName)]
pub struct Link {
    /// Counts the sealed rows from 1, without gaps.
    #[diesel(sql_type = sql_types::BigInt)]
    pub seq: i64,
    /// SHA-256, 64 lower-case hexadecimal digits.
    #[diesel(sql_type = sql_types::Text)]
    pub hash: String,
}

impl Link {
    /// What the first row follows.
    pub fn origin() -> Self {
        Self {
            seq: 0,
            hash: "0".repeat(64),
        }
    }

    /// The place of `entry` when it follows this one.
    pub fn next(&self, entry: &Entry) -> Self {
        Self {
            seq: self.seq + 1,
            hash: hash(&self.hash, self.seq + 1, entry),
        }
    }
}

impl std::fmt::Display for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.seq, self.hash)
    }
}

/// SHA-256 over twelve fields: the hash before, the place, and the row's columns in the order of the table. Each field
/// is its length in bytes (four bytes, big-endian) and its text in UTF-8; numbers are decimal, and NULL is the length
/// `FFFFFFFF` with no text. Simple enough to be done again in any language, or in plain SQL.
pub fn hash(before: &str, seq: i64, entry: &Entry) -> String {
    let mut context = Context::new(&SHA256);
    let mut field = |text: Option<&str>| {
        let length = text.map_or(u32::MAX, |text| {
            u32::try_from(text.len()).unwrap_or(u32::MAX)
        });
        context.update(&length.to_be_bytes());
        context.update(text.unwrap_or("").as_bytes());
    };
    field(Some(before));
    field(Some(&seq.to_string()));
    field(Some(&entry.id.to_string()));
    field(Some(&entry.at.to_string()));
    field(Some(&entry.actor));
    field(Some(&entry.action));
    field(Some(&entry.subject));
    field(Some(&entry.outcome));
    field(entry.bytes.map(|bytes| bytes.to_string()).as_deref());
    field(entry.reference.as_deref());
    field(entry.address.as_deref());
    field(Some(&entry.detail));
    hex(context.finish().as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> Entry {
        Entry {
            id: 7,
            at: 1_795_507_200_000_001,
            actor: "ada@x.example".to_owned(),
            action: "downloaded".to_owned(),
            subject: "Übersicht.pdf".to_owned(),
            outcome: "whole".to_owned(),
            bytes: Some(3),
            reference: None,
            address: Some(String::new()),
            detail: "{}".to_owned(),
        }
    }

    /// Computed apart from this code, with Python's hashlib and struct.
    #[test]
    fn the_first_hash_is_the_one_that_others_compute() {
        let link = Link::origin().next(&entry());
        assert_eq!(link.seq, 1);
        assert_eq!(
            link.hash,
            "14d4e17a3d8545b03edeff2f8c1e931a735fcec32ef3c84dd0a6c76ccb62007f"
        );
    }

    #[test]
    fn every_column_and_the_place_count_and_nothing_moves_between_fields() {
        let base = hash(&Link::origin().hash, 1, &entry());
        let changes: [fn(&mut Entry); 11] = [
            |e| e.id += 1,
            |e| e.at += 1,
            |e| e.actor.push('x'),
            |e| e.action.push('x'),
            |e| e.subject.push('x'),
            |e| e.outcome.push('x'),
            |e| e.bytes = None,
            |e| e.reference = Some(String::new()),
            |e| e.address = None,
            |e| e.detail.push(' '),
            |e| {
                let moved = e.subject.remove(0);
                e.action.push(moved);
            },
        ];
        for (number, change) in changes.iter().enumerate() {
            let mut entry = entry();
            change(&mut entry);
            assert_ne!(hash(&Link::origin().hash, 1, &entry), base, "{number}");
        }
        assert_ne!(hash(&Link::origin().hash, 2, &entry()), base);
        assert_ne!(hash(&"1".repeat(64), 1, &entry()), base);
    }
}
