//! The database: reached, with the schema up to date, with the rights that the portal needs, by a safe way.

use super::Finding;
use crate::db::Db;
use crate::db::examine::{self, Examined};

const CHECK: &str = "database";

/// Looks at an open database.
pub async fn examine(db: &Db) -> Vec<Finding> {
    match examine::examine(db).await {
        Ok(examined) => findings(&examined),
        Err(cause) => vec![Finding::fail(
            CHECK,
            format!("it cannot be used: {cause}"),
            "check DATABASE_URL, and that the server runs and lets this machine in",
        )],
    }
}

fn findings(examined: &Examined) -> Vec<Finding> {
    if examined.is_lent_out {
        return vec![Finding::fail(
            CHECK,
            "the news of changed roles would be lost: DATABASE_URL leads to a pooler that lends connections out by the transaction",
            "use PgBouncer's pool_mode = session, or name the server itself",
        )];
    }
    let mut findings = vec![Finding::ok(CHECK, format!("{} answers", examined.server))];
    findings.push(match examined.pending.as_slice() {
        [] => Finding::ok("schema", "it is up to date"),
        pending => Finding::warn(
            "schema",
            format!(
                "{} migrations have not run: {}",
                pending.len(),
                pending.join(", ")
            ),
            "run `portcullis migrate`, or start the portal, which does it by itself",
        ),
    });
    if !examined.newer.is_empty() {
        findings.push(Finding::warn(
            "schema",
            format!(
                "it is newer than this program, which does not know: {}",
                examined.newer.join(", ")
            ),
            "install the version that made it, or undo with that version: `portcullis migrate --undo`",
        ));
    }
    if let Some(cause) = &examined.refuses_writes {
        findings.push(Finding::fail(
            "rights",
            format!("nothing can be written into the database: {cause}"),
            "let the portal's user write the file of DATABASE_URL and in its folder, and see to room on that disk",
        ));
    }
    if examined.is_read_only {
        findings.push(Finding::fail(
            "rights",
            "the database is read-only",
            "point DATABASE_URL at the primary server",
        ));
    }
    for missing in &examined.missing {
        let level = match missing.is_fatal {
            true => Finding::fail,
            false => Finding::warn,
        };
        findings.push(level("rights", missing.says.clone(), missing.cure.clone()));
    }
    let can_write = !examined.is_read_only && examined.refuses_writes.is_none();
    if can_write && examined.missing.is_empty() {
        findings.push(Finding::ok("rights", "the portal may do what it has to"));
    }
    findings.extend(
        examined
            .is_encrypted
            .map(|encrypted| match encrypted || examined.is_local {
                true => Finding::ok("database TLS", "nobody on the way can listen"),
                false => Finding::warn(
                    "database TLS",
                    "the connection is not encrypted, and the server is another machine",
                    "add ?sslmode=verify-full to DATABASE_URL",
                ),
            }),
    );
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Level;

    fn tls(is_encrypted: Option<bool>, is_local: bool) -> Option<Level> {
        let examined = Examined {
            is_encrypted,
            is_local,
            ..Examined::default()
        };
        let findings = findings(&examined);
        let found = findings.iter().find(|f| f.check == "database TLS");
        found.map(|finding| finding.level)
    }

    #[test]
    fn a_connection_in_the_clear_is_told_when_it_leaves_the_machine() {
        assert_eq!(tls(Some(false), false), Some(Level::Warn));
        assert_eq!(tls(Some(true), false), Some(Level::Ok));
        assert_eq!(tls(Some(false), true), Some(Level::Ok));
        assert_eq!(tls(None, true), None);
    }
}
