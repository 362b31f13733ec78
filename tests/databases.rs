//! The schema on both databases: migrating, undoing, adopting a role table that was there before, TLS.

use std::process::Command;

use portcullis::audit::Actor;
use portcullis::db::{Conn, Db, DbError, migrate};
use portcullis::roles::change::{self, ChangeError};
use portcullis::roles::{self, Role, store};
use portcullis::settings::{DatabaseSettings, Secret};

use crate::support::app::TestApp;
use crate::support::database::{self, Backend};
use crate::support::on_both;

/// How many migrations there are.
fn migrations() -> usize {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/migrations/sqlite");
    std::fs::read_dir(folder).unwrap().count()
}

fn open(url: &str) -> Db {
    let settings = match url.strip_prefix("sqlite://") {
        Some(path) => DatabaseSettings::Sqlite {
            path: path.into(),
            is_default: false,
        },
        None => DatabaseSettings::Postgres(Secret::new(url.to_owned())),
    };
    Db::open(&settings).unwrap()
}

async fn role_of(db: &Db, email: &str) -> Option<Role> {
    let mut conn = db.conn().await.unwrap();
    let rows = store::rows_of(&mut conn, email).await.unwrap();
    roles::decide(email, &rows).0
}

on_both! {
    async fn migrations_can_be_undone_and_run_again_without_losing_a_role(app: TestApp) {
        app.grant("ada@contoso.example", Role::Admin).await;
        for _ in 0..migrations() {
            migrate::undo(&app.db).await.unwrap();
        }
        assert_eq!(migrate::run(&app.db).await.unwrap().len(), migrations());
        assert_eq!(role_of(&app.db, "ada@contoso.example").await, Some(Role::Admin));
        assert!(migrate::run(&app.db).await.unwrap().is_empty());
    }

    async fn addresses_compare_in_ascii_lower_case(app: TestApp) {
        app.execute("INSERT INTO dim.user_roles (email, role) VALUES
             ('Ada@Contoso.Example', 'editor'), ('GRACE@contoso.example', 'admin'), ('grace@contoso.example', 'reader'),
             ('Karl@contoso.example', 'editor'), ('KARL@contoso.example', 'admin'),
             ('\u{212A}im@contoso.example', 'admin')").await;
        assert_eq!(role_of(&app.db, "ada@contoso.example").await, Some(Role::Editor));
        assert_eq!(role_of(&app.db, "grace@contoso.example").await, Some(Role::Reader));
        assert_eq!(role_of(&app.db, "karl@contoso.example").await, None);
        assert_eq!(role_of(&app.db, "kim@contoso.example").await, None, "the Kelvin sign is no k");
    }

    async fn a_transaction_that_fails_leaves_nothing(app: TestApp) {
        let actor = Actor::command_line();
        let failed: Result<(), ChangeError> = app.db.transaction(async |conn: &mut Conn| {
            change::grant(conn, &actor, "ada@contoso.example", Role::Admin).await?;
            Err(DbError::Away("for the test".to_owned()).into())
        }).await;
        assert!(failed.is_err());
        assert_eq!(role_of(&app.db, "ada@contoso.example").await, None);
        assert!(app.audit().await.is_empty());
    }

    async fn a_revocation_takes_every_spelling(app: TestApp) {
        app.execute("INSERT INTO dim.user_roles (email, role) VALUES ('Ada@contoso.example', 'admin'), ('ada@contoso.example', 'reader')").await;
        let actor = Actor::command_line();
        let gone = app.db.transaction::<_, ChangeError>(async |conn: &mut Conn| {
            change::revoke(conn, &actor, "ada@contoso.example").await
        }).await.unwrap();
        assert_eq!(gone, 2);
        assert_eq!(role_of(&app.db, "ada@contoso.example").await, None);
    }
}

/// What the Python application's users have.
const LEGACY: &str = "CREATE SCHEMA dim;
    CREATE TABLE dim.user_roles (email TEXT PRIMARY KEY, role TEXT NOT NULL);
    INSERT INTO dim.user_roles VALUES ('Ada.Byron@Contoso.example', 'admin'), ('karl.weber@contoso.example', 'reader');";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_table_that_was_there_before_keeps_its_rows_and_its_other_program() {
    let Some(server) = database::postgres() else {
        return;
    };
    let url = server.empty_database().await;
    server.execute(name_of(&url), LEGACY).await;
    let app = TestApp::builder(Backend::Postgres).on(&url).start().await;
    let ada = app.visitor();
    let me = app
        .sign_in(&ada, "ada.byron@contoso.example", "/api/me")
        .await
        .expect(200);
    assert_eq!(me.json()["role"], "admin");
    // The other program goes on as before, and the portal notices.
    server
        .execute(name_of(&url), "INSERT INTO dim.user_roles VALUES ('new@contoso.example', 'reader'); DELETE FROM dim.user_roles WHERE role = 'admin'")
        .await;
    app.eventually("the other program's change", async || {
        ada.get("/api/items").await.status == 403
    })
    .await;
    for _ in 0..migrations() {
        migrate::undo(&app.db).await.unwrap();
    }
    assert_eq!(
        role_of(&app.db, "karl.weber@contoso.example").await,
        Some(Role::Reader)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_table_that_belongs_to_somebody_else_is_read_without_being_altered() {
    let Some(server) = database::postgres() else {
        return;
    };
    let url = server.empty_database().await;
    let role = format!("portal_{}", name_of(&url));
    let rights = format!(
        "{LEGACY} CREATE ROLE {role} LOGIN; GRANT USAGE, CREATE ON SCHEMA dim TO {role}; GRANT SELECT ON dim.user_roles TO {role};"
    );
    server.execute(name_of(&url), &rights).await;
    let limited = url.replace("portcullis@", &format!("{role}@"));
    let db = open(&limited);
    migrate::run(&db).await.unwrap();
    assert_eq!(
        role_of(&db, "ada.byron@contoso.example").await,
        Some(Role::Admin)
    );
    let missing = missing_rights(&db).await;
    assert!(
        missing.contains("GRANT TRIGGER ON dim.user_roles"),
        "{missing}"
    );
    assert!(missing.contains("CREATE INDEX"), "{missing}");
    // A later GRANT is noticed at the next start.
    server
        .execute(
            name_of(&url),
            &format!("GRANT TRIGGER ON dim.user_roles TO {role}"),
        )
        .await;
    migrate::run(&db).await.unwrap();
    assert!(!missing_rights(&db).await.contains("GRANT TRIGGER"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_that_may_only_look_into_the_schema_cannot_make_the_portal_work_for_it() {
    let Some(server) = database::postgres() else {
        return;
    };
    let app = TestApp::start(Backend::Postgres).await;
    app.signed_in_as(Role::Reader).await;
    let (database, stranger) = (name_of(&app.database_url), format!("bi_{}", app.port));
    let rights = format!(
        "CREATE ROLE {stranger}; GRANT USAGE ON SCHEMA dim TO {stranger}; GRANT TEMPORARY ON DATABASE {database} TO {stranger}"
    );
    server.execute(database, &rights).await;
    // Each of these hangs a function of the portal's on a table of the stranger's own.
    let as_stranger = format!("SET ROLE {stranger};");
    let functions = [
        "announce_role_change",
        "announce_session_end",
        "announce_binding_change",
    ];
    for function in functions {
        let truncation = format!(
            "{as_stranger} CREATE TEMP TABLE t (email text);
             CREATE TRIGGER x AFTER TRUNCATE ON t FOR EACH STATEMENT EXECUTE FUNCTION dim.{function}();
             TRUNCATE t;"
        );
        let cast = format!(
            "{as_stranger} CREATE TYPE pg_temp.evil AS (a int);
             CREATE FUNCTION pg_temp.run(pg_temp.evil) RETURNS text LANGUAGE plpgsql AS $$ BEGIN
               INSERT INTO dim.user_roles VALUES ('eve@contoso.example', 'admin'); RETURN 'x'; END $$;
             CREATE CAST (pg_temp.evil AS text) WITH FUNCTION pg_temp.run(pg_temp.evil);
             CREATE TEMP TABLE t2 (email pg_temp.evil);
             CREATE TRIGGER x AFTER INSERT OR UPDATE ON t2 FOR EACH ROW EXECUTE FUNCTION dim.{function}();
             INSERT INTO t2 VALUES (row(1)::pg_temp.evil); UPDATE t2 SET email = email"
        );
        for attack in [truncation, cast] {
            // Whether it is refused or runs, it runs with the stranger's rights.
            let _refused = server.try_execute(database, &attack).await;
        }
    }
    let mut conn = app.db.conn().await.unwrap();
    let bound = roles::bindings::of(&mut conn, "karl.weber@contoso.example").await;
    assert!(bound.unwrap().is_some(), "no binding was touched");
    assert_eq!(role_of(&app.db, "eve@contoso.example").await, None);
}

async fn missing_rights(db: &Db) -> String {
    use diesel_async::RunQueryDsl;
    #[derive(diesel::QueryableByName)]
    struct Text {
        #[diesel(sql_type = diesel::sql_types::Text)]
        text: String,
    }
    let Conn::Postgres(mut conn) = db.conn().await.unwrap() else {
        panic!("only Postgres has rights");
    };
    let query = diesel::sql_query("SELECT dim.attach_user_roles() AS text");
    let row: Text = query.get_result(&mut **conn).await.unwrap();
    row.text
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn missing_rights_end_the_start_with_the_grant_to_run() {
    let Some(server) = database::postgres() else {
        return;
    };
    let url = server.empty_database().await;
    let role = format!("portal_{}", name_of(&url));
    let limited = url.replace("portcullis@", &format!("{role}@"));
    let failure = async |sql: &str| {
        server.execute(name_of(&url), sql).await;
        migrate::run(&open(&limited)).await.unwrap_err().to_string()
    };
    let text = failure(&format!("CREATE ROLE {role} LOGIN")).await;
    assert!(text.contains("CREATE SCHEMA dim AUTHORIZATION"), "{text}");
    let text = failure(LEGACY).await;
    assert!(text.contains("GRANT USAGE, CREATE ON SCHEMA dim"), "{text}");
    let text = failure(&format!("GRANT USAGE, CREATE ON SCHEMA dim TO {role}")).await;
    assert!(text.contains("GRANT SELECT ON dim.user_roles"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn instances_that_start_together_migrate_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut urls = vec![format!(
        "sqlite://{}",
        folder.path().join("portal.db").display()
    )];
    if let Some(server) = database::postgres() {
        urls.push(server.empty_database().await);
    }
    for url in urls {
        let runs = (0..4).map(|_| {
            let db = open(&url);
            tokio::spawn(async move { migrate::run(&db).await.unwrap().len() })
        });
        let mut total = 0;
        for run in runs.collect::<Vec<_>>() {
            total += run.await.unwrap();
        }
        assert_eq!(total, migrations(), "{url}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_is_as_strict_as_sslmode_asks() {
    let Some(server) = database::postgres() else {
        return;
    };
    let Some(root) = &server.root_certificate else {
        return crate::support::left_out(
            "postgres-tls",
            "TEST_DATABASE_URL names a server whose CA is not known",
        );
    };
    let port = server.port();
    let connects = async |host: &str, query: &str| {
        let url = format!("postgres://portcullis@{host}:{port}/postgres?{query}");
        open(&url)
            .conn()
            .await
            .map(drop)
            .map_err(|error| error.to_string())
    };
    let root = root.display();
    assert_eq!(connects("127.0.0.1", "sslmode=require").await, Ok(()));
    assert_eq!(connects("127.0.0.1", "sslmode=disable").await, Ok(()));
    assert_eq!(
        connects(
            "localhost",
            &format!("sslmode=verify-full&sslrootcert={root}")
        )
        .await,
        Ok(())
    );
    assert!(
        connects("localhost", "sslmode=verify-full").await.is_err(),
        "a CA that nobody trusts"
    );
    let other_name = connects(
        "127.0.0.1",
        &format!("sslmode=verify-full&sslrootcert={root}"),
    )
    .await;
    assert!(other_name.is_err(), "a certificate for another name");
}

#[test]
fn both_databases_have_the_same_migrations() {
    let names = |folder: &str| {
        let mut names: Vec<_> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        names.sort();
        names
    };
    assert_eq!(names("migrations/postgres"), names("migrations/sqlite"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sqlite_file_can_be_read_and_written_by_the_ordinary_shell() {
    if Command::new("sqlite3").arg("-version").output().is_err() {
        return crate::support::left_out("sqlite3", "the sqlite3 shell is not installed");
    }
    let app = TestApp::start(Backend::Sqlite).await;
    let reader = app.signed_in_as(Role::Reader).await;
    reader.get("/api/items").await.expect(200);
    let file = app.database_url.strip_prefix("sqlite://").unwrap();
    let done = Command::new("sqlite3")
        // As the README says: the portal writes now and then, and the shell waits for nobody by itself.
        .args(["-cmd", ".timeout 5000"])
        .arg(file)
        .arg("DELETE FROM user_roles")
        .output()
        .unwrap();
    assert!(done.status.success(), "{done:?}");
    app.eventually("the shell's change", async || {
        reader.get("/api/items").await.status == 403
    })
    .await;
}

fn name_of(url: &str) -> &str {
    let name = url.rsplit('/').next().unwrap();
    name.split('?').next().unwrap()
}
