//! `portcullis requests`: who asks for access, and the answers.

use clap::Subcommand;
use serde_json::json;

use super::print;
use super::roles::say;
use crate::access::store;
use crate::audit::Actor;
use crate::clock;
use crate::db::{Conn, Db, DbError, migrate};
use crate::roles::{Role, Wanted};

const MOST: i64 = 1000;

/// What can be done with requests for access.
#[derive(Subcommand)]
pub enum Requests {
    /// List those that nobody has answered.
    List,
    /// Give the person behind request ID a role.
    Approve {
        /// The number that the list shows.
        id: i64,
        /// reader, editor or admin.
        role: Role,
        /// The last day on which it counts (UTC), such as 2026-12-31.
        #[arg(long)]
        until: Option<String>,
        /// Why it is given.
        #[arg(long)]
        note: Option<String>,
    },
    /// Answer request ID with a sentence, which the person reads at their next visit.
    Decline {
        /// The number that the list shows.
        id: i64,
        /// The sentence.
        answer: String,
    },
}

/// Runs it.
pub async fn run(db: &Db, task: Requests, json: bool) -> Result<(), String> {
    migrate::run(db).await.map_err(say)?;
    let actor = Actor::command_line();
    let gone = "There is no open request of that number.".to_owned();
    let (request, outcome) = match task {
        Requests::List => return list(db, json).await,
        Requests::Approve {
            id,
            role,
            until,
            note,
        } => {
            let (until, note) = (until.unwrap_or_default(), note.unwrap_or_default());
            let wanted =
                Wanted::read(role.as_str(), &until, &note).map_err(|mistake| mistake.sentence)?;
            let approved = db
                .transaction(async |conn: &mut Conn| {
                    store::approve(conn, &actor, id, &wanted, "").await
                })
                .await
                .map_err(say)?;
            (approved.ok_or(gone)?, "approved")
        }
        Requests::Decline { id, answer } => {
            let answer = answer.split_whitespace().collect::<Vec<_>>().join(" ");
            if answer.is_empty() || answer.chars().count() > 500 {
                return Err("The answer is one sentence of at most 500 characters.".to_owned());
            }
            let declined = db
                .transaction::<_, DbError>(async |conn: &mut Conn| {
                    store::decline(conn, &actor, id, &answer).await
                })
                .await
                .map_err(say)?;
            (declined.ok_or(gone)?, "declined")
        }
    };
    match json {
        true => {
            print::json(&json!({ "id": request.id, "email": request.email, "outcome": outcome }))
        }
        false => print::line(&format!("The request of {} is {outcome}.", request.email)),
    }
}

async fn list(db: &Db, json: bool) -> Result<(), String> {
    let mut conn = db.conn().await.map_err(say)?;
    for request in store::open(&mut conn, MOST).await.map_err(say)? {
        let asked = clock::rfc3339(request.asked_at);
        match json {
            true => print::json(&json!({
                "id": request.id, "email": request.email, "name": request.name, "asked_at": asked,
            })),
            false => print::line(&format!(
                "{}\t{}\t{}\t{asked}",
                request.id,
                request.email,
                request.name.as_deref().unwrap_or("-").escape_debug()
            )),
        }?;
    }
    Ok(())
}
