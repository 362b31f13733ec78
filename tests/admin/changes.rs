//! Changes of roles, whoever asks for them: ends, the last admin, and what they leave in the audit.

use portcullis::audit::Actor;
use portcullis::clock;
use portcullis::db::Conn;
use portcullis::roles::change::{self, ChangeError};
use portcullis::roles::{Role, Wanted, ends, holdings, store};

use crate::support::app::TestApp;
use crate::support::database::{self, Backend};
use crate::support::emulator::accounts::{ADA, GRACE, KARL};
use crate::support::on_both;

async fn grant(app: &TestApp, email: &str, wanted: impl Into<Wanted>) -> Result<(), ChangeError> {
    let (actor, wanted) = (Actor::command_line(), wanted.into());
    app.db
        .transaction(async |conn: &mut Conn| change::grant(conn, &actor, email, wanted).await)
        .await
}

async fn revoke(app: &TestApp, email: &str) -> Result<usize, ChangeError> {
    let actor = Actor::command_line();
    app.db
        .transaction(async |conn: &mut Conn| change::revoke(conn, &actor, email).await)
        .await
}

fn until(role: Role, ends_at: i64) -> Wanted {
    Wanted {
        role,
        ends_at: Some(ends_at),
        note: Some("holiday cover".to_owned()),
    }
}

async fn admins(app: &TestApp) -> Vec<String> {
    let mut conn = app.db.conn().await.unwrap();
    holdings::lasting_admins(&mut conn).await.unwrap()
}

async fn rows(app: &TestApp, email: &str) -> Vec<(String, String)> {
    let mut conn = app.db.conn().await.unwrap();
    let rows = store::rows_of(&mut conn, email).await.unwrap();
    let mut rows: Vec<_> = rows.into_iter().map(|row| (row.email, row.role)).collect();
    rows.sort();
    rows
}

on_both! {
    async fn a_role_counts_to_its_end_and_its_row_goes_soon_after(app: TestApp) {
        let karl = app.signed_in_as(Role::Reader).await;
        app.grant(KARL, until(Role::Editor, clock::now() + 2 * clock::SECOND)).await;
        karl.get("/publish").await.expect(200);
        app.eventually("the role ends", async || karl.get("/api/items").await.status == 403).await;
        app.eventually("its row goes", async || rows(&app, KARL).await.is_empty()).await;
        let told = app.audited("role_ended").await;
        assert_eq!((told.actor.as_str(), told.subject.as_str()), ("portal", KARL));
        assert!(told.detail.contains("holiday cover"), "{}", told.detail);
        assert_eq!(app.audit().await.iter().filter(|row| row.action == "role_ended").count(), 1);
    }

    async fn a_role_does_not_count_after_its_end_even_while_its_row_is_there(app: TestApp) {
        let karl = app.signed_in_as(Role::Reader).await;
        karl.get("/api/items").await.expect(200);
        // Nobody may change roles while this lock is held, the sweeper neither.
        let hold = app.db.clone();
        let (ended, release) = (clock::now() + 3 * clock::SECOND, std::sync::Arc::new(tokio::sync::Notify::new()));
        app.grant(KARL, until(Role::Reader, ended)).await;
        let released = release.clone();
        let holding = tokio::spawn(async move {
            hold.exclusive::<_, portcullis::db::DbError>(portcullis::db::Lock::Roles, async |_: &mut Conn| {
                released.notified().await;
                Ok(())
            }).await
        });
        app.eventually("the role ends", async || karl.get("/api/files/absent.txt").await.status == 403).await;
        assert!(clock::now() >= ended, "not before its end");
        assert!(clock::now() < ended + 2 * clock::SECOND, "and not long after");
        assert_eq!(rows(&app, KARL).await.len(), 1, "the row is still there");
        release.notify_one();
        holding.await.unwrap().unwrap();
    }

    async fn the_last_admin_stays_whoever_asks(app: TestApp) {
        app.grant(ADA, Role::Admin).await;
        let refused = |result: Result<(), ChangeError>| assert!(matches!(result, Err(ChangeError::LastAdmin)), "{result:?}");
        refused(revoke(&app, ADA).await.map(drop));
        refused(grant(&app, ADA, Role::Editor).await);
        refused(grant(&app, ADA, until(Role::Admin, clock::now() + 86_400 * clock::SECOND)).await);
        assert_eq!(admins(&app).await, [ADA]);
        assert_eq!(app.audit().await.len(), 1, "what was refused leaves no trace");
        // An admin with an end date does not count: the day would come.
        app.grant(GRACE, until(Role::Admin, clock::now() + 86_400 * clock::SECOND)).await;
        refused(revoke(&app, ADA).await.map(drop));
        app.grant(GRACE, Role::Admin).await;
        revoke(&app, ADA).await.unwrap();
        refused(revoke(&app, GRACE).await.map(drop));
        // Again the same role is no loss.
        grant(&app, GRACE, Role::Admin).await.unwrap();
    }

    async fn an_admin_that_only_seems_to_be_one_does_not_count(app: TestApp) {
        app.grant(ADA, Role::Admin).await;
        app.execute(
            "INSERT INTO dim.user_roles (email, role) VALUES ('Grace.Hopper@contoso.example', 'admin'), ('GRACE.HOPPER@contoso.example', 'reader'),
             ('karl.weber@contoso.example', 'Admin'), ('Shadow@x.example', 'admin'), ('shadow@x.example', 'reader')",
        ).await;
        assert!(matches!(revoke(&app, ADA).await, Err(ChangeError::LastAdmin)));
        // A single mixed-case row makes an admin.
        app.execute("DELETE FROM dim.user_roles WHERE email = 'GRACE.HOPPER@contoso.example'").await;
        revoke(&app, ADA).await.unwrap();
        assert_eq!(admins(&app).await, [GRACE]);
    }

    async fn an_admin_whom_nobody_can_sign_in_as_does_not_count(app: TestApp) {
        app.grant(ADA, Role::Admin).await;
        app.execute("INSERT INTO dim.user_roles (email, role) VALUES (' grace.hopper@contoso.example', 'admin'), ('gräce@x.example', 'admin'),
                     ('grace', 'admin'), ('grace.hopper@contoso.example\n', 'admin')").await;
        assert_eq!(admins(&app).await, [ADA]);
        assert!(matches!(revoke(&app, ADA).await, Err(ChangeError::LastAdmin)));
        assert!(matches!(grant(&app, ADA, Role::Reader).await, Err(ChangeError::LastAdmin)));
        // Those themselves may go.
        revoke(&app, " grace.hopper@contoso.example").await.unwrap();
    }

    async fn an_end_that_was_promised_is_kept(app: TestApp) {
        app.grant(ADA, Role::Admin).await;
        app.grant(GRACE, until(Role::Admin, clock::now() + clock::SECOND)).await;
        // Another program removes the other admin; that cannot be prevented.
        app.execute("DELETE FROM dim.user_roles WHERE email = 'ada.byron@contoso.example'").await;
        app.eventually("the end comes", async || rows(&app, GRACE).await.is_empty()).await;
    }

    async fn two_admins_who_remove_each_other_at_the_same_moment_leave_one(app: TestApp) {
        for round in 0..15 {
            app.grant(ADA, Role::Admin).await;
            app.grant(GRACE, Role::Admin).await;
            let (first, second) = match round % 3 {
                0 => tokio::join!(async { revoke(&app, ADA).await.map(drop) }, async { revoke(&app, GRACE).await.map(drop) }),
                1 => tokio::join!(grant(&app, ADA, Role::Reader), async { revoke(&app, GRACE).await.map(drop) }),
                _ => tokio::join!(grant(&app, ADA, Role::Editor), grant(&app, GRACE, Role::Reader)),
            };
            assert_ne!(first.is_ok(), second.is_ok(), "{first:?} {second:?}");
            assert_eq!(admins(&app).await.len(), 1);
        }
    }

    async fn a_change_writes_every_spelling_and_tells_before_and_after(app: TestApp) {
        app.execute("INSERT INTO dim.user_roles (email, role) VALUES ('Karl.Weber@contoso.example', 'admin'), ('KARL.WEBER@contoso.example', 'owner')").await;
        app.grant(KARL, Role::Reader).await;
        let reader = |email: &str| (email.to_owned(), "reader".to_owned());
        assert_eq!(rows(&app, KARL).await, [reader("KARL.WEBER@contoso.example"), reader("Karl.Weber@contoso.example")]);
        let told = app.audited("role_granted").await;
        let detail: serde_json::Value = serde_json::from_str(&told.detail).unwrap();
        assert_eq!(detail["before"].as_array().unwrap().len(), 2);
        assert!(detail["before"].to_string().contains("owner") && detail["after"][1]["role"] == "reader", "{detail}");
        assert_eq!(detail["grant_after"]["granted_by"], "command line");
        assert_eq!(told.outcome, "reader");
    }

    async fn what_is_known_of_a_role_goes_with_its_last_row(app: TestApp) {
        app.grant(ADA, Role::Admin).await;
        app.grant(KARL, until(Role::Reader, clock::now() + 86_400 * clock::SECOND)).await;
        app.execute("INSERT INTO dim.user_roles (email, role) VALUES ('KARL.WEBER@contoso.example', 'reader')").await;
        app.execute("DELETE FROM dim.user_roles WHERE email = 'karl.weber@contoso.example'").await;
        let mut conn = app.db.conn().await.unwrap();
        assert!(holdings::holding(&mut conn, KARL).await.unwrap().ends_at().is_some());
        drop(conn);
        app.execute("DELETE FROM dim.user_roles WHERE email = 'KARL.WEBER@contoso.example'").await;
        app.eventually("the end goes with the row", async || {
            let mut conn = app.db.conn().await.unwrap();
            holdings::holding(&mut conn, KARL).await.unwrap().grant.is_none()
        })
        .await;
        app.execute("INSERT INTO dim.user_roles (email, role) VALUES ('karl.weber@contoso.example', 'reader')").await;
        let mut conn = app.db.conn().await.unwrap();
        let held = holdings::holding(&mut conn, KARL).await.unwrap();
        assert_eq!(held.grant, None, "a row that another program writes anew has no end");
    }

    async fn the_sweep_leaves_what_has_not_ended(app: TestApp) {
        app.grant(ADA, Role::Admin).await;
        app.grant(KARL, until(Role::Reader, clock::now() + 86_400 * clock::SECOND)).await;
        assert!(ends::sweep(&app.db).await.unwrap().is_empty());
        assert_eq!(rows(&app, KARL).await.len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_table_that_may_not_be_written_says_which_grant_is_missing() {
    let Some(server) = database::postgres() else {
        return;
    };
    let url = server.empty_database().await;
    let name = url.rsplit('/').next().unwrap();
    let role = format!("reading_{name}");
    server
        .execute(
            name,
            &format!(
                "CREATE SCHEMA dim; CREATE TABLE dim.user_roles (email TEXT PRIMARY KEY, role TEXT NOT NULL);
                 CREATE ROLE {role} LOGIN; GRANT USAGE, CREATE ON SCHEMA dim TO {role}; GRANT SELECT ON dim.user_roles TO {role};"
            ),
        )
        .await;
    let limited = url.replace("portcullis@", &format!("{role}@"));
    let app = TestApp::builder(Backend::Postgres)
        .on(&limited)
        .start()
        .await;
    let refused = grant(&app, KARL, Role::Reader).await;
    assert!(matches!(refused, Err(ChangeError::ReadOnly)), "{refused:?}");
    assert!(refused.unwrap_err().to_string().contains("GRANT INSERT"));
}
