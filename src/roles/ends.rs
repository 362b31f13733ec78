//! Removes the rows of roles whose end has come: the portal decides by the clock, but other readers of the table
//! honour a row for as long as it is there.

use std::sync::Arc;
use std::time::Duration;

use diesel::prelude::*;
use diesel_async::RunQueryDsl;

use super::cache::People;
use super::change::{self, Change, ChangeError};
use super::{has_ended, holdings, write};
use crate::audit::{Action, Actor};
use crate::clock;
use crate::db::schema::dim::grants;
use crate::db::{Conn, Db, DbResult, Lock, either};

const EVERY: Duration = Duration::from_secs(1);
/// Taken at a time; what is left follows a moment later.
const MOST: i64 = 500;

/// Sweeps until the process ends. Every instance does; the lock lets one at a time.
pub async fn watch(db: Db, people: Arc<People>) {
    let mut tick = tokio::time::interval(EVERY);
    let mut said = String::new();
    loop {
        tick.tick().await;
        if !people.is_available() {
            continue;
        }
        match sweep(&db).await {
            Ok(emails) => {
                said.clear();
                for email in &emails {
                    log::info!("the role of {email} has ended, and its row is removed");
                    people.forget(email);
                }
            }
            Err(error) => {
                let sentence = error.to_string();
                if sentence != said {
                    log::error!(
                        "roles that have ended count no more, but their rows stay: {sentence}"
                    );
                    said = sentence;
                }
            }
        }
    }
}

/// Removes what has ended by now. Returns the addresses.
///
/// # Errors
/// [`ChangeError`].
pub async fn sweep(db: &Db) -> Result<Vec<String>, ChangeError> {
    let mut conn = db.conn().await?;
    let due = due(&mut conn).await?;
    drop(conn);
    if due.is_empty() {
        return Ok(due);
    }
    db.exclusive(Lock::Roles, async |conn: &mut Conn| {
        let mut changes = Vec::new();
        for email in due {
            let held = holdings::holding(conn, &email).await?;
            if !has_ended(held.ends_at(), clock::now()) {
                continue;
            }
            match held.rows.is_empty() {
                true => write::delete_grants(conn, &[&email]).await?,
                false => changes.push(Change::revoke(&email, held)),
            }
        }
        if !changes.is_empty() {
            let action = Some(Action::RoleEnded);
            change::apply(conn, &Actor::portal(), action, &changes, &[]).await?;
        }
        Ok(changes.into_iter().map(|change| change.email).collect())
    })
    .await
}

async fn due(conn: &mut Conn) -> DbResult<Vec<String>> {
    let query = grants::table
        .filter(grants::ends_at.le(clock::now()))
        .order(grants::ends_at)
        .select(grants::email)
        .limit(MOST);
    Ok(either!(conn, |c| query.load(c).await)?)
}
