//! `portcullis people`: what a sole admin needs when the portal itself cannot help.

use clap::Subcommand;

use super::roles::{key, say};
use crate::audit::Actor;
use crate::auth::store;
use crate::clock;
use crate::db::{Conn, Db, DbError, migrate};
use crate::roles::{self, bindings};

/// What can be done with a person.
#[derive(Subcommand)]
pub enum People {
    /// Role, bound account and last sign-in of EMAIL.
    Show {
        /// The address, in any case.
        email: String,
    },
    /// End all sessions of EMAIL, on every instance, at once.
    SignOut {
        /// The address, in any case.
        email: String,
    },
    /// Let EMAIL change hands: the next account that signs in under it owns it.
    Rebind {
        /// The address, in any case.
        email: String,
    },
}

/// Runs it.
pub async fn run(db: &Db, task: People, _json: bool) -> Result<(), String> {
    migrate::run(db).await.map_err(|error| error.to_string())?;
    match task {
        People::Show { email } => show(db, &key(&email)?).await,
        People::SignOut { email } => sign_out(db, &key(&email)?).await,
        People::Rebind { email } => rebind(db, &key(&email)?).await,
    }
}

async fn show(db: &Db, email: &str) -> Result<(), String> {
    let mut conn = db.conn().await.map_err(say)?;
    let rows = roles::store::rows_of(&mut conn, email).await.map_err(say)?;
    let bound = bindings::of(&mut conn, email).await.map_err(say)?;
    let emails = [email.to_owned()];
    let last = store::last_sign_ins(&mut conn, &emails)
        .await
        .map_err(say)?;
    let living = store::living(&mut conn, email, 0).await.map_err(say)?;
    let (role, warning) = roles::decide(email, &rows);
    println!("role\t{}", role.map_or("none", |role| role.as_str()));
    if let Some(warning) = warning {
        println!("warning\t{warning}");
    }
    match bound {
        Some(account) => println!("account\t{} in tenant {}", account.oid, account.tid),
        None => println!("account\tnot bound yet"),
    }
    let last = last.iter().map(|(_, at)| *at).max();
    println!(
        "last sign-in\t{}",
        last.map_or("never".to_owned(), clock::rfc3339)
    );
    println!("sessions\t{}", living.len());
    Ok(())
}

async fn sign_out(db: &Db, email: &str) -> Result<(), String> {
    let actor = Actor::command_line();
    let ended = db
        .transaction(async |conn: &mut Conn| store::end_all(conn, &actor, email).await)
        .await
        .map_err(say)?;
    println!("{email} is signed out: {ended} sessions ended.");
    Ok(())
}

async fn rebind(db: &Db, email: &str) -> Result<(), String> {
    let actor = Actor::command_line();
    let was_bound = db
        .transaction::<_, DbError>(async |conn: &mut Conn| store::rebind(conn, &actor, email).await)
        .await
        .map_err(say)?;
    match was_bound {
        true => println!("{email} belongs to the next account that signs in under it."),
        false => println!("{email} was not bound; the next account that signs in under it is."),
    }
    Ok(())
}
