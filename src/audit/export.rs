//! Rows of the audit as CSV or as JSON lines, oldest first: a stream that never holds more than one batch.

use std::collections::HashMap;

use actix_web::web::Bytes;
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use futures_util::{Stream, stream};
use serde_json::{Value, json};

use super::chain::Link;
use super::find::{self, Cursor, Search, Way};
use super::store::Entry;
use crate::db::schema::dim::audit_seals;
use crate::db::{Conn, Db, DbError, DbResult, either};
use crate::{cells, clock};

const BATCH: usize = 1000;

const COLUMNS: [&str; 13] = [
    "seq",
    "id",
    "at",
    "time",
    "actor",
    "action",
    "subject",
    "outcome",
    "bytes",
    "reference",
    "address",
    "detail",
    "hash",
];

/// How rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// RFC 4180, with a heading.
    Csv,
    /// One JSON object a line.
    JsonLines,
}

/// What matches, in bytes ready to be sent. It ends with an error when the database goes away on the way,
/// so that nobody takes a part for the whole.
pub fn stream(
    db: Db,
    search: Search,
    format: Format,
) -> impl Stream<Item = Result<Bytes, DbError>> {
    let heading = match format {
        Format::Csv => cells::line(COLUMNS).unwrap_or_default(),
        Format::JsonLines => Vec::new(),
    };
    let start = Some((None::<Cursor>, heading));
    stream::try_unfold(start, move |place| {
        let (db, search) = (db.clone(), search.clone());
        async move {
            let Some((cursor, mut bytes)) = place else {
                return Ok(None);
            };
            let mut conn = db.conn().await?;
            let rows = find::rows(&mut conn, &search, Way::Newer(cursor), BATCH).await?;
            let mut places = places(&mut conn, &rows).await?;
            drop(conn);
            for entry in &rows {
                bytes.extend(line(entry, places.remove(&entry.id), format));
            }
            let next = match rows.last() {
                Some(last) if rows.len() == BATCH => Some((Some(Cursor::of(last)), Vec::new())),
                _ => None,
            };
            Ok(Some((Bytes::from(bytes), next)))
        }
    })
}

/// The place in the chain of each row that is sealed, by id.
///
/// # Errors
/// The database's.
pub async fn places(conn: &mut Conn, rows: &[Entry]) -> DbResult<HashMap<i64, Link>> {
    let ids: Vec<i64> = rows.iter().map(|row| row.id).collect();
    let query = audit_seals::table
        .filter(audit_seals::id.eq_any(ids))
        .select((audit_seals::id, audit_seals::seq, audit_seals::hash));
    let found: Vec<(i64, i64, String)> = either!(conn, |c| query.load(c).await)?;
    let links = found.into_iter();
    Ok(links
        .map(|(id, seq, hash)| (id, Link { seq, hash }))
        .collect())
}

/// A row as one line.
pub fn line(entry: &Entry, place: Option<Link>, format: Format) -> Vec<u8> {
    match format {
        Format::JsonLines => format!("{}\n", object(entry, place)).into_bytes(),
        Format::Csv => {
            let (seq, hash) = match place {
                Some(link) => (link.seq.to_string(), link.hash),
                None => Default::default(),
            };
            let cells = [
                &seq,
                &entry.id.to_string(),
                &entry.at.to_string(),
                &clock::rfc3339_exact(entry.at),
                &entry.actor,
                &entry.action,
                &entry.subject,
                &entry.outcome,
                &entry
                    .bytes
                    .map(|bytes| bytes.to_string())
                    .unwrap_or_default(),
                entry.reference.as_deref().unwrap_or(""),
                entry.address.as_deref().unwrap_or(""),
                &entry.detail,
                &hash,
            ];
            cells::line(cells).unwrap_or_default()
        }
    }
}

/// A row as JSON; the detail is an object in it.
pub fn object(entry: &Entry, place: Option<Link>) -> Value {
    let detail = serde_json::from_str(&entry.detail);
    json!({
        "seq": place.as_ref().map(|link| link.seq),
        "id": entry.id,
        "at": entry.at,
        "time": clock::rfc3339_exact(entry.at),
        "actor": entry.actor,
        "action": entry.action,
        "subject": entry.subject,
        "outcome": entry.outcome,
        "bytes": entry.bytes,
        "reference": entry.reference,
        "address": entry.address,
        "detail": detail.unwrap_or_else(|_| Value::from(entry.detail.as_str())),
        "hash": place.map(|link| link.hash),
    })
}
