//! Changes of who may do what, whoever asks for them: page, command line, import, undo, the end of a grant.
//! One at a time on all instances, each with its audit row, and never without an admin left.

use serde_json::{Value, json};

use super::bindings::{self, Account};
use super::{Grant, Holding, RoleRow, Wanted, holdings, orphans, write};
use crate::audit::{self, Action, Actor, Event};
use crate::clock;
use crate::db::{Conn, DbError, DbResult, Lock};

/// Rows that travel to the database together.
const CHUNK: usize = 1000;

/// What happens to one address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The address in lower case.
    pub email: String,
    /// What its tables say now.
    pub before: Holding,
    /// What they will say.
    pub after: Holding,
    /// Whose the address is again, where what was taken is given back: whoever signs in first may be another by now.
    pub owner: Option<Account>,
}

/// Why nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// Nobody could manage the portal any more.
    #[error(
        "Nobody would be left who is an admin without an end date. Make somebody else an admin first, without an end date."
    )]
    LastAdmin,
    /// The role table belongs to somebody else, who did not grant us to write it.
    #[error(
        "The portal may read the role table but not write it. As the table's owner run: \
         GRANT INSERT, UPDATE, DELETE ON dim.user_roles TO the portal's role."
    )]
    ReadOnly,
    /// The tables say something else than whoever asked was shown.
    #[error(
        "Somebody else changed this in the meantime. Look at what it is now, and decide again."
    )]
    Moved,
    /// The database's.
    #[error("{0}")]
    Db(DbError),
}

impl From<DbError> for ChangeError {
    fn from(error: DbError) -> Self {
        let refused = matches!(&error, DbError::Query(query) if query.to_string().starts_with("permission denied for"));
        match refused {
            true => Self::ReadOnly,
            false => Self::Db(error),
        }
    }
}

impl Change {
    /// Gives the address what is wanted. Every spelling of it says the same afterwards, so that no other
    /// reader of the table goes on honouring an older row.
    pub fn grant(email: &str, before: Holding, wanted: &Wanted, by: &Actor) -> Self {
        let role = wanted.role.as_str().to_owned();
        let mut rows = before.rows.clone();
        if rows.is_empty() {
            rows.push(RoleRow {
                email: email.to_owned(),
                role: String::new(),
            });
        }
        for row in &mut rows {
            row.role.clone_from(&role);
        }
        let grant = Grant {
            role,
            ends_at: wanted.ends_at,
            note: wanted.note.clone(),
            granted_by: by.name().to_owned(),
            granted_at: clock::now(),
        };
        Self {
            email: email.to_owned(),
            before,
            after: Holding {
                rows,
                grant: Some(grant),
            },
            owner: None,
        }
    }

    /// Takes every role from the address, however its rows are spelled.
    pub fn revoke(email: &str, before: Holding) -> Self {
        Self {
            email: email.to_owned(),
            before,
            after: Holding::default(),
            owner: None,
        }
    }

    fn removes_admin(&self) -> bool {
        self.before.is_lasting_admin(&self.email) && !self.after.is_lasting_admin(&self.email)
    }

    fn event(&self, action: Option<Action>, owner: Option<&Account>) -> Event {
        let role = self.after.rows.first().map(|row| row.role.as_str());
        let action = action.unwrap_or(match role {
            Some(_) => Action::RoleGranted,
            None => Action::RoleRevoked,
        });
        let mut event = Event::new(action, &self.email, role.unwrap_or("removed"))
            .with("before", json!(self.before.rows))
            .with("after", json!(self.after.rows))
            .with("grant_before", json!(self.before.grant))
            .with("grant_after", json!(self.after.grant));
        if let Some(owner) = owner {
            event = event.with("owner_before", json!(owner));
        }
        event
    }
}

/// Gives `email` (lower case) a role, with its audit row.
///
/// # Errors
/// [`ChangeError`]; let go of the transaction then.
pub async fn grant(
    conn: &mut Conn,
    actor: &Actor,
    email: &str,
    wanted: impl Into<Wanted>,
) -> Result<(), ChangeError> {
    conn.lock(Lock::Roles).await?;
    let before = holdings::holding(conn, email).await?;
    let change = Change::grant(email, before, &wanted.into(), actor);
    apply(conn, actor, None, &[change], &[]).await
}

/// Takes every role from `email` (lower case). Returns how many rows went.
///
/// # Errors
/// [`ChangeError`]; let go of the transaction then.
pub async fn revoke(conn: &mut Conn, actor: &Actor, email: &str) -> Result<usize, ChangeError> {
    conn.lock(Lock::Roles).await?;
    let before = holdings::holding(conn, email).await?;
    let rows = before.rows.len();
    if rows > 0 {
        apply(conn, actor, None, &[Change::revoke(email, before)], &[]).await?;
    }
    Ok(rows)
}

/// Makes the changes, each with an audit row that holds before and after. The caller holds [`Lock::Roles`] since
/// before it read what the changes begin from. `action` where it is not simply given or taken.
///
/// # Errors
/// [`ChangeError`]; let go of the transaction then.
pub async fn apply(
    conn: &mut Conn,
    actor: &Actor,
    action: Option<Action>,
    changes: &[Change],
    detail: &[(&str, Value)],
) -> Result<(), ChangeError> {
    for chunk in changes.chunks(CHUNK) {
        let left = chunk.iter().filter(|change| change.after.rows.is_empty());
        let left: Vec<&str> = left.map(|change| change.email.as_str()).collect();
        let owners = bindings::of_all(conn, &left).await?;
        put(conn, chunk).await?;
        let event = |change: &Change| {
            let event = change.event(action, owners.get(&change.email));
            let more = detail.iter();
            more.fold(event, |event, (name, value)| {
                event.with(name, value.clone())
            })
        };
        let events: Vec<Event> = chunk.iter().map(event).collect();
        audit::store::record_all(conn, actor, &events).await?;
        for change in chunk {
            if let Some(owner) = &change.owner {
                bindings::bind(conn, actor, &change.email, owner, "undo").await?;
            }
        }
    }
    let removes_admin = changes.iter().any(Change::removes_admin);
    // An end that was promised is kept: it can only come to the last admin when another program removed the others.
    let is_due = action == Some(Action::RoleEnded);
    if removes_admin && !is_due && holdings::lasting_admins(conn).await?.is_empty() {
        return Err(ChangeError::LastAdmin);
    }
    Ok(())
}

/// With an address's last row everything else that is known of it goes as well: nobody owns a later grant beforehand.
async fn put(conn: &mut Conn, changes: &[Change]) -> DbResult<()> {
    let (mut upserts, mut deletes) = (Vec::new(), Vec::new());
    let (mut grants, mut forgotten, mut left) = (Vec::new(), Vec::new(), Vec::new());
    for change in changes {
        let (before, after) = (&change.before.rows, &change.after.rows);
        // Of a row that is there several times, all go before one comes back.
        let times =
            |rows: &[RoleRow], email: &str| rows.iter().filter(|row| row.email == email).count();
        let goes = |row: &&RoleRow| times(before, &row.email) > times(after, &row.email);
        let is_so = |row: &&RoleRow| {
            let same = before.iter().filter(|there| there.email == row.email);
            !goes(row)
                && same.clone().count() > 0
                && same.clone().all(|there| there.role == row.role)
        };
        upserts.extend(after.iter().filter(|row| !is_so(row)));
        deletes.extend(before.iter().filter(goes));
        match &change.after.grant {
            Some(grant) => grants.push((change.email.as_str(), grant)),
            None => forgotten.push(change.email.as_str()),
        }
        if after.is_empty() {
            left.push(change.email.clone());
        }
    }
    write::delete_rows(conn, &deletes).await?;
    write::put_rows(conn, &upserts).await?;
    write::put_grants(conn, &grants).await?;
    write::delete_grants(conn, &forgotten).await?;
    if !left.is_empty() {
        orphans::release(conn, Some(&left)).await?;
    }
    Ok(())
}
