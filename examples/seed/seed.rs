//! The generator itself; the tests of scale use it as well. What it writes depends on nothing but the two numbers.

use std::time::Instant;

use diesel_async::SimpleAsyncConnection;
use portcullis::audit::seal;
use portcullis::clock;
use portcullis::db::{Conn, Db, DbResult};

/// Rows of one statement.
const CHUNK: i64 = 250_000;
const YEARS: i64 = 3 * 365 * 86_400 * clock::SECOND;

/// Adds so many people and audit rows, the latter spread over three years until now, and seals them.
pub async fn seed(db: &Db, people: i64, rows: i64) -> DbResult<()> {
    let mut conn = db.conn().await?;
    if matches!(conn, Conn::Postgres(_)) {
        execute(&mut conn, "SET statement_timeout = 0").await?;
    }
    let began = Instant::now();
    for (from, to) in chunks(people) {
        execute(&mut conn, &people_sql(from, to)).await?;
    }
    println!("{people} people in {:.1?}", began.elapsed());

    // Row by row the trigger would take longer than the rows themselves.
    let waits = "INSERT INTO dim.audit_unsealed (id) SELECT id FROM dim.audit a
        WHERE NOT EXISTS (SELECT 1 FROM dim.audit_seals s WHERE s.id = a.id) AND NOT EXISTS (SELECT 1 FROM dim.audit_unsealed u WHERE u.id = a.id)";
    let on_postgres = matches!(conn, Conn::Postgres(_));
    let began = Instant::now();
    if on_postgres {
        let off = "ALTER TABLE dim.audit DISABLE TRIGGER audit_row";
        execute(&mut conn, off).await?;
    }
    let step = YEARS / rows.max(1);
    let start = clock::now() - step * rows;
    for (from, to) in chunks(rows) {
        let sql = audit_sql(from, to, start, step, people.max(1));
        execute(&mut conn, &sql).await?;
    }
    if on_postgres {
        execute(&mut conn, waits).await?;
        let on = "ALTER TABLE dim.audit ENABLE TRIGGER audit_row";
        execute(&mut conn, on).await?;
    }
    println!("{rows} audit rows in {:.1?}", began.elapsed());

    let began = Instant::now();
    let mut sealed = 0;
    loop {
        // A portal on the same database may be sealing as well.
        let now = seal::seal(db).await?;
        sealed += now;
        if now == 0 {
            break;
        }
    }
    println!("{sealed} rows sealed in {:.1?}", began.elapsed());
    execute(&mut conn, "ANALYZE").await
}

fn chunks(count: i64) -> impl Iterator<Item = (i64, i64)> {
    (0..count)
        .step_by(usize::try_from(CHUNK).unwrap_or(usize::MAX))
        .map(move |from| (from + 1, (from + CHUNK).min(count)))
}

fn people_sql(from: i64, to: i64) -> String {
    let now = clock::now();
    let numbers = numbers(from, to);
    format!(
        "{numbers} INSERT INTO dim.user_roles (email, role)
         SELECT 'person' || i || '@contoso.example', CASE WHEN i % 5000 = 1 THEN 'admin' WHEN i % 20 = 0 THEN 'editor' ELSE 'reader' END
         FROM n WHERE true ON CONFLICT DO NOTHING;
         {numbers} INSERT INTO dim.grants (email, role, ends_at, note, granted_by, granted_at)
         SELECT 'person' || i || '@contoso.example', 'reader', {now} + (i % 900 + 1) * 86400000000, 'project ' || (i % 70), 'person1@contoso.example', {now} - i
         FROM n WHERE i % 10 = 3 ON CONFLICT DO NOTHING;
         {numbers} INSERT INTO dim.identities (tid, oid, email, name, first_sign_in_at, last_sign_in_at)
         SELECT 'tenant', 'account-' || i, 'person' || i || '@contoso.example',
                CASE i % 4 WHEN 0 THEN 'Ada' WHEN 1 THEN 'Grace' WHEN 2 THEN 'Karl' ELSE 'Mary' END || ' Example ' || i,
                {now} - {YEARS}, {now} - (i * 7919 % 100003) * 60000000
         FROM n WHERE i % 5 <> 0 ON CONFLICT DO NOTHING;
         {numbers} INSERT INTO dim.bindings (email, tid, oid, bound_at)
         SELECT 'person' || i || '@contoso.example', 'tenant', 'account-' || i, {now} - {YEARS}
         FROM n WHERE i % 5 <> 0 ON CONFLICT DO NOTHING;
         {numbers} INSERT INTO dim.sessions (id, email, name, tid, oid, started_at, address, agent)
         SELECT 'seed-' || i, 'person' || i || '@contoso.example', 'Example ' || i, 'tenant', 'account-' || i, {now} - i, '192.0.2.' || (i % 250), 'Seed/1.0'
         FROM n WHERE i % 5 = 1 ON CONFLICT DO NOTHING;
         {numbers} INSERT INTO dim.access_requests (email, name, tid, oid, asked_at, state, decided_by, decided_at, answer)
         SELECT 'guest' || i || '@contoso.example', 'Guest ' || i, 'tenant', 'guest-' || i, {now} - i * 1000000,
                CASE WHEN i % 100 = 7 THEN 'open' ELSE 'declined' END,
                CASE WHEN i % 100 = 7 THEN NULL ELSE 'person1@contoso.example' END, CASE WHEN i % 100 = 7 THEN NULL ELSE {now} - i END,
                CASE WHEN i % 100 = 7 THEN NULL ELSE 'Ask your manager first.' END
         FROM n WHERE i % 25 = 7 ON CONFLICT DO NOTHING;"
    )
}

/// Sixteen of twenty rows are downloads, of twenty thousand files in forty folders.
fn audit_sql(from: i64, to: i64, start: i64, step: i64, people: i64) -> String {
    format!(
        "{} INSERT INTO dim.audit (at, actor, action, subject, outcome, bytes, reference, address, detail)
         SELECT {start} + i * {step}, person,
                CASE WHEN i % 10007 = 0 THEN 'role_granted' WHEN i % 20 < 16 THEN 'downloaded' WHEN i % 20 < 18 THEN 'signed_in' WHEN i % 20 = 18 THEN 'access_refused' ELSE 'signed_out' END,
                CASE WHEN i % 20 < 16 AND i % 10007 <> 0 THEN 'Reports/' || (file % 40) || '/file ' || file || '.pdf' WHEN i % 20 = 18 THEN '/admin' ELSE person END,
                CASE WHEN i % 20 < 16 THEN 'whole' ELSE 'done' END,
                CASE WHEN i % 20 < 16 AND i % 10007 <> 0 THEN file * 977 END,
                'R' || i, '192.0.2.' || (i % 250), '{{\"milliseconds\":' || (i % 900) || '}}'
         FROM (SELECT i, 'person' || (i * 7919 % {people} + 1) || '@contoso.example' AS person, (i * 104729 % 20000) AS file FROM n) AS x",
        numbers(from, to)
    )
}

fn numbers(from: i64, to: i64) -> String {
    format!(
        "WITH RECURSIVE n(i) AS (SELECT CAST({from} AS BIGINT) UNION ALL SELECT i + 1 FROM n WHERE i < {to})"
    )
}

async fn execute(conn: &mut Conn, sql: &str) -> DbResult<()> {
    match conn {
        Conn::Postgres(conn) => conn.batch_execute(sql).await?,
        Conn::Sqlite(conn) => conn.batch_execute(sql).await?,
    }
    Ok(())
}
