//! Which rights the portal lacks in a Postgres database whose tables somebody else owns, and the statement that gives them.

use diesel::prelude::*;
use diesel::sql_types::{Array, Bool, Text};
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use super::DbResult;

/// The portal's own tables. `dim.user_roles` may be another program's, and is looked at by itself.
const OWN: [&str; 20] = [
    "access_requests",
    "audit",
    "audit_anchor",
    "audit_daily",
    "audit_seals",
    "audit_unsealed",
    "bindings",
    "folder_people",
    "folder_rules",
    "folders",
    "grants",
    "identities",
    "index_state",
    "items",
    "moves_begun",
    "sessions",
    "stored_begun",
    "trash",
    "uploads",
    "webhook_messages",
];
/// Rows of these are written once and never changed, so nobody needs the right to.
const WRITTEN_ONCE: [&str; 4] = ["audit", "audit_anchor", "audit_seals", "audit_unsealed"];

/// A right that the portal lacks.
#[derive(Debug, Clone)]
pub struct Missing {
    /// What does not work.
    pub says: String,
    /// The statement that mends it.
    pub cure: String,
    /// Whether the portal cannot do without.
    pub is_fatal: bool,
}

#[derive(QueryableByName)]
struct Here {
    #[diesel(sql_type = Text)]
    me: String,
    #[diesel(sql_type = Bool)]
    creates: bool,
}

#[derive(QueryableByName)]
struct Lacking {
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Text)]
    lacks: String,
}

#[derive(QueryableByName)]
struct OnRoles {
    #[diesel(sql_type = Bool)]
    reads: bool,
    #[diesel(sql_type = Bool)]
    writes: bool,
    #[diesel(sql_type = Bool)]
    announces: bool,
}

/// Looks at all of them. Rights that migrations need count where some have yet to run.
///
/// # Errors
/// The database's.
pub async fn missing(
    conn: &mut AsyncPgConnection,
    has_roles: bool,
    has_pending: bool,
) -> DbResult<Vec<Missing>> {
    let here: Here = diesel::sql_query(
        "SELECT quote_ident(current_user) AS me,
                CASE WHEN to_regnamespace('dim') IS NULL THEN has_database_privilege(current_database(), 'CREATE')
                     ELSE has_schema_privilege('dim', 'USAGE') AND has_schema_privilege('dim', 'CREATE') END AS creates",
    )
    .get_result(conn)
    .await?;
    let me = here.me;
    let mut missing = Vec::new();
    if has_pending && !here.creates {
        missing.push(Missing {
            says: "the schema cannot be brought up to date, so the portal does not start".to_owned(),
            cure: format!(
                "as the owner: CREATE SCHEMA IF NOT EXISTS dim; GRANT USAGE, CREATE ON SCHEMA dim TO {me}"
            ),
            is_fatal: true,
        });
    }
    missing.extend(on_own_tables(conn, &me).await?);
    if has_roles {
        missing.extend(on_roles(conn, &me).await?);
    }
    Ok(missing)
}

async fn on_own_tables(conn: &mut AsyncPgConnection, me: &str) -> DbResult<Option<Missing>> {
    let lacking: Vec<Lacking> = diesel::sql_query(
        "SELECT * FROM (
            SELECT 'dim.' || c.relname AS name,
                   concat_ws(', ', CASE WHEN NOT has_table_privilege(c.oid, 'SELECT') THEN 'SELECT' END,
                                   CASE WHEN NOT has_table_privilege(c.oid, 'INSERT') THEN 'INSERT' END,
                                   CASE WHEN NOT has_table_privilege(c.oid, 'UPDATE') AND NOT c.relname = ANY($2)
                                        THEN 'UPDATE' END,
                                   CASE WHEN NOT has_table_privilege(c.oid, 'DELETE') THEN 'DELETE' END) AS lacks
            FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE n.nspname = 'dim' AND c.relname = ANY($1)) AS looked_at
         WHERE lacks <> '' ORDER BY name",
    )
    .bind::<Array<Text>, _>(OWN.as_slice())
    .bind::<Array<Text>, _>(WRITTEN_ONCE.as_slice())
    .load(conn)
    .await?;
    if lacking.is_empty() {
        return Ok(None);
    }
    let rights: Vec<String> = lacking
        .iter()
        .map(|table| format!("{} on {}", table.lacks, table.name))
        .collect();
    let names: Vec<&str> = lacking.iter().map(|table| table.name.as_str()).collect();
    Ok(Some(Missing {
        says: format!(
            "the portal's own tables cannot be used: {} is missing",
            rights.join("; ")
        ),
        cure: format!(
            "as the tables' owner: GRANT SELECT, INSERT, UPDATE, DELETE ON {} TO {me}",
            names.join(", ")
        ),
        is_fatal: true,
    }))
}

async fn on_roles(conn: &mut AsyncPgConnection, me: &str) -> DbResult<Vec<Missing>> {
    let rights: OnRoles = diesel::sql_query(
        "SELECT has_table_privilege('dim.user_roles', 'SELECT') AS reads,
                has_table_privilege('dim.user_roles', 'INSERT') AND has_table_privilege('dim.user_roles', 'UPDATE')
                  AND has_table_privilege('dim.user_roles', 'DELETE') AS writes,
                EXISTS (SELECT FROM pg_trigger WHERE tgrelid = 'dim.user_roles'::regclass
                        AND tgname = 'portcullis_role_change')
                  OR has_table_privilege('dim.user_roles', 'TRIGGER') AS announces",
    )
    .get_result(conn)
    .await?;
    let all = [
        (
            rights.reads,
            "nobody can be let in, because roles cannot be read",
            format!("as the table's owner: GRANT SELECT ON dim.user_roles TO {me}"),
            true,
        ),
        (
            rights.writes,
            "roles can be read but not changed by the portal",
            format!("as the table's owner: GRANT INSERT, UPDATE, DELETE ON dim.user_roles TO {me}"),
            false,
        ),
        (
            rights.announces,
            "role changes by other programs take effect only within ROLE_CACHE_TTL",
            format!(
                "as the table's owner: GRANT TRIGGER ON dim.user_roles TO {me}, then start the portal again"
            ),
            false,
        ),
    ];
    let missing = all.into_iter().filter(|(granted, ..)| !granted);
    Ok(missing
        .map(|(_, says, cure, is_fatal)| Missing {
            says: says.to_owned(),
            cure,
            is_fatal,
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_of_the_schema_is_looked_at() {
        let schema = include_str!("schema.rs").lines().filter_map(|line| {
            let (name, _) = line.trim().strip_prefix("dim.")?.split_once(" (")?;
            (name != "user_roles").then_some(name)
        });
        let mut schema: Vec<&str> = schema.collect();
        schema.sort_unstable();
        assert_eq!(schema, OWN);
    }
}
