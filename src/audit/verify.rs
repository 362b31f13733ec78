//! Checks the chain from its beginning to its head: one pass over one state of the database, a few rows at a time.

use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use serde::Serialize;

use super::chain::{self, Link};
use super::store::Entry;
use super::{Action, seal};
use crate::clock;
use crate::db::schema::dim::{audit, audit_seals, audit_unsealed};
use crate::db::{Conn, Db, DbResult, either};

const BATCH: i64 = 2000;
/// Ids looked through at a time for rows that are in no chain.
const SPAN: i64 = 50_000;
/// Problems told one by one; the rest is counted.
const MOST_PROBLEMS: usize = 100;
/// Rows that wait, told one by one.
const MOST_UNSEALED: i64 = 100;

/// A head that the log told at some time: `SEQ:HASH`, or the hash alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    seq: Option<i64>,
    hash: String,
}

impl std::str::FromStr for Head {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            "a head is SEQ:HASH as the log tells it, or the 64 hexadecimal digits alone".to_owned()
        };
        let (seq, hash) = match text.split_once(':') {
            Some((seq, hash)) => (Some(seq.parse().map_err(|_| wrong())?), hash),
            None => (None, text),
        };
        let hash = hash.to_ascii_lowercase();
        match hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            true => Ok(Self { seq, hash }),
            false => Err(wrong()),
        }
    }
}

/// What was found.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Sealed rows that were looked at.
    pub rows: u64,
    /// The newest link, `SEQ:HASH`.
    pub head: String,
    /// The last link that retention removed, `SEQ:HASH`.
    pub anchor: Option<String>,
    /// Rows that wait to be sealed: those of the last second, or since a portal last ran.
    pub waiting: u64,
    /// The first hundred of them.
    pub unsealed: Vec<Unsealed>,
    /// What is wrong, one sentence each, at most a hundred.
    pub problems: Vec<String>,
    /// How many more there are.
    pub more_problems: u64,
}

/// A row that waits to be sealed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Queryable)]
pub struct Unsealed {
    /// Key of the row.
    pub id: i64,
    /// When it happened, microseconds since 1970 UTC.
    pub at: i64,
}

impl Report {
    /// Whether nothing is wrong.
    pub fn is_sound(&self) -> bool {
        self.problems.is_empty()
    }

    fn problem(&mut self, sentence: String) {
        match self.problems.len() < MOST_PROBLEMS {
            true => self.problems.push(sentence),
            false => self.more_problems += 1,
        }
    }
}

/// Checks everything. `told` is a head that the chain must hold.
///
/// # Errors
/// The database's.
pub async fn verify(db: &Db, told: Option<&Head>) -> DbResult<Report> {
    db.snapshot(async |conn: &mut Conn| {
        let anchor = seal::anchor(conn).await?;
        let mut report = Report {
            rows: 0,
            head: String::new(),
            anchor: anchor.as_ref().map(Link::to_string),
            waiting: 0,
            unsealed: Vec::new(),
            problems: Vec::new(),
            more_problems: 0,
        };
        check_anchor(conn, anchor.as_ref(), &mut report).await?;
        let start = anchor.clone().unwrap_or_else(Link::origin);
        let mut found = told.is_none_or(|told| told.hash == start.hash);
        let head = check_chain(conn, start, told, &mut found, &mut report).await?;
        if let (Some(told), false) = (told, found) {
            report.problem(not_found(told, anchor.as_ref(), &head));
        }
        report.head = head.to_string();
        check_waiting(conn, &mut report).await?;
        check_outside(conn, &mut report).await?;
        Ok(report)
    })
    .await
}

/// Retention tells in the audit what it removed; a beginning that nothing tells of was cut off by somebody else.
async fn check_anchor(conn: &mut Conn, anchor: Option<&Link>, report: &mut Report) -> DbResult<()> {
    let Some(anchor) = anchor else {
        return Ok(());
    };
    let told = audit::table
        .filter(audit::action.eq(Action::AuditRemoved.as_str()))
        .order((audit::at.desc(), audit::id.desc()))
        .select(audit::detail);
    let told: Option<String> = either!(conn, |c| told.first(c).await.optional())?;
    let detail: serde_json::Value = told
        .and_then(|text| serde_json::from_str(&text).ok())
        .unwrap_or_default();
    if detail["to"] != anchor.seq || detail["hash"] != anchor.hash.as_str() {
        report.problem(format!(
            "The chain begins after place {}, but no removal by retention up to there is told in the audit.",
            anchor.seq
        ));
    }
    Ok(())
}

type Sealed = (i64, i64, String, Option<Entry>);

async fn check_chain(
    conn: &mut Conn,
    start: Link,
    told: Option<&Head>,
    found: &mut bool,
    report: &mut Report,
) -> DbResult<Link> {
    let mut before = start;
    loop {
        let batch = audit_seals::table
            .left_join(audit::table.on(audit::id.eq(audit_seals::id)))
            .filter(audit_seals::seq.gt(before.seq))
            .order(audit_seals::seq)
            .limit(BATCH)
            .select((
                audit_seals::seq,
                audit_seals::id,
                audit_seals::hash,
                audit::all_columns.nullable(),
            ));
        let rows: Vec<Sealed> = either!(&mut *conn, |c| batch.load(c).await)?;
        if rows.is_empty() {
            return Ok(before);
        }
        for (seq, id, hash, entry) in rows {
            if seq != before.seq + 1 {
                report.problem(format!(
                    "The places {} to {} are missing from the chain.",
                    before.seq + 1,
                    seq - 1
                ));
            }
            match &entry {
                None => report.problem(format!(
                    "Row {id}, at place {seq} of the chain, was removed."
                )),
                Some(entry) if chain::hash(&before.hash, seq, entry) != hash => {
                    report.problem(format!(
                        "Row {id} ({} by {}, {}), at place {seq}, does not match its hash: it was changed or moved, or the row before it was.",
                        entry.action,
                        match entry.actor.as_str() { "" => "somebody", name => name },
                        clock::rfc3339(entry.at),
                    ));
                }
                Some(_) => {}
            }
            *found = *found
                || told.is_some_and(|told| told.hash == hash && told.seq.is_none_or(|s| s == seq));
            report.rows += 1;
            before = Link { seq, hash };
        }
    }
}

fn not_found(told: &Head, anchor: Option<&Link>, head: &Link) -> String {
    match told.seq {
        Some(seq) if anchor.is_some_and(|anchor| seq <= anchor.seq) => format!(
            "The head at place {seq} cannot be checked any more: retention has removed the rows up to place {}. Use a younger one.",
            anchor.map_or(0, |anchor| anchor.seq)
        ),
        Some(seq) if seq > head.seq => format!(
            "The chain ends at place {}, but it once reached place {seq}: its newest rows were cut off.",
            head.seq
        ),
        Some(seq) => format!("Place {seq} has another hash than the one told: the chain was made anew."),
        None => "The chain does not hold the hash told: its newest rows were cut off, it was made anew, \
                 or retention has removed that row."
            .to_owned(),
    }
}

async fn check_waiting(conn: &mut Conn, report: &mut Report) -> DbResult<()> {
    let gone = audit_unsealed::table
        .left_join(audit::table.on(audit::id.eq(audit_unsealed::id)))
        .filter(audit::id.is_null())
        .select(audit_unsealed::id)
        .limit(BATCH);
    let gone: Vec<i64> = either!(&mut *conn, |c| gone.load(c).await)?;
    for id in gone {
        report.problem(format!("Row {id} was removed before it was sealed."));
    }
    let count = audit_unsealed::table.count();
    let count: i64 = either!(&mut *conn, |c| count.get_result(c).await)?;
    report.waiting = u64::try_from(count).unwrap_or(0);
    let first = audit_unsealed::table
        .inner_join(audit::table.on(audit::id.eq(audit_unsealed::id)))
        .order(audit_unsealed::id)
        .select((audit::id, audit::at))
        .limit(MOST_UNSEALED);
    report.unsealed = either!(conn, |c| first.load(c).await)?;
    Ok(())
}

/// Rows that neither are sealed nor wait came in past the portal.
async fn check_outside(conn: &mut Conn, report: &mut Report) -> DbResult<()> {
    // The portal's own ids begin at 1; whoever slips a row in may choose another.
    let mut from = i64::MIN;
    loop {
        let next = audit::table
            .filter(audit::id.ge(from))
            .select(diesel::dsl::min(audit::id));
        let next: Option<i64> = either!(&mut *conn, |c| next.first(c).await)?;
        let Some(first) = next else {
            return Ok(());
        };
        let to = first.saturating_add(SPAN);
        let outside = audit::table
            .left_join(audit_seals::table.on(audit_seals::id.eq(audit::id)))
            .left_join(audit_unsealed::table.on(audit_unsealed::id.eq(audit::id)))
            .filter(audit::id.ge(first).and(audit::id.le(to)))
            .filter(audit_seals::id.is_null().and(audit_unsealed::id.is_null()))
            .order(audit::id)
            .select(audit::id);
        let outside: Vec<i64> = either!(&mut *conn, |c| outside.load(c).await)?;
        for id in outside {
            report.problem(format!("Row {id} is not sealed and does not wait to be."));
        }
        let Some(next) = to.checked_add(1) else {
            return Ok(());
        };
        from = next;
    }
}
