//! `portcullis roles`: the first admin is made here, without SQL.

use clap::Subcommand;

use crate::audit::Actor;
use crate::auth::entra::is_plain_address;
use crate::db::{Conn, Db, DbError, migrate};
use crate::roles::{Role, store};

/// What can be done with roles.
#[derive(Subcommand)]
pub enum Roles {
    /// List everybody's role.
    List,
    /// Give EMAIL the role reader, editor or admin.
    Grant {
        /// The address that Entra tells for the person.
        email: String,
        /// reader, editor or admin.
        role: Role,
    },
    /// Take every role from EMAIL.
    Revoke {
        /// The address, in any case.
        email: String,
    },
}

/// Runs it; the schema is brought up to date first, so that this can be the first command of all.
pub async fn run(db: &Db, change: Roles) -> Result<(), String> {
    migrate::run(db).await.map_err(|error| error.to_string())?;
    match change {
        Roles::List => list(db).await,
        Roles::Grant { email, role } => grant(db, &key(&email)?, role).await,
        Roles::Revoke { email } => revoke(db, &key(&email)?).await,
    }
}

/// The table's key of an address that was typed.
pub fn key(email: &str) -> Result<String, String> {
    if !is_plain_address(email) {
        return Err(format!(
            "{email:?} is not an e-mail address, such as ada@contoso.com"
        ));
    }
    Ok(email.to_ascii_lowercase())
}

async fn list(db: &Db) -> Result<(), String> {
    let mut conn = db.conn().await.map_err(say)?;
    let (rows, _) = store::list(&mut conn, i64::MAX).await.map_err(say)?;
    for row in &rows {
        println!("{}\t{}", row.email, row.role);
    }
    if rows.is_empty() {
        eprintln!("Nobody has a role yet. Give one: portcullis roles grant EMAIL admin");
    }
    Ok(())
}

async fn grant(db: &Db, email: &str, role: Role) -> Result<(), String> {
    let actor = Actor::command_line();
    db.transaction(async |conn: &mut Conn| store::grant(conn, &actor, email, role).await)
        .await
        .map_err(say)?;
    println!("{email} is {role} now.");
    Ok(())
}

async fn revoke(db: &Db, email: &str) -> Result<(), String> {
    let actor = Actor::command_line();
    let gone = db
        .transaction(async |conn: &mut Conn| store::revoke(conn, &actor, email).await)
        .await
        .map_err(say)?;
    match gone {
        0 => Err(format!("{email} has no role.")),
        _ => {
            println!("{email} has no role any more.");
            Ok(())
        }
    }
}

/// A database's error for the terminal.
pub fn say(error: DbError) -> String {
    error.to_string()
}
