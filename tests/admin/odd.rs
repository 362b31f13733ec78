//! Rows as other programs leave them: every one of them can be removed or made tidy without SQL, and none is taken for another.

use portcullis::audit::Actor;
use portcullis::clock;
use portcullis::db::Conn;
use portcullis::files::path::encode;
use portcullis::roles::{Role, Wanted, bindings, holdings, store};

use super::{give, hidden, post, read};
use crate::support::app::TestApp;
use crate::support::client::{Browser, Reply};
use crate::support::database::{self, Backend};
use crate::support::emulator::accounts::{ADA, KARL};
use crate::support::on_both;

async fn rows(app: &TestApp, email: &str) -> Vec<(String, String)> {
    let mut conn = app.db.conn().await.unwrap();
    let rows = store::rows_of(&mut conn, email).await.unwrap();
    let mut rows: Vec<_> = rows.into_iter().map(|row| (row.email, row.role)).collect();
    rows.sort();
    rows
}

fn row(email: &str, role: &str) -> (String, String) {
    (email.to_owned(), role.to_owned())
}

/// Opens the page that asks and says yes, as the button there does.
async fn tidy(admin: &Browser, email: &str) -> Reply {
    let path = format!("/admin/person/tidy?email={}", encode(email));
    let asked = admin.navigate(&path).await.expect(200).text();
    let before = hidden(&asked, "before");
    post(
        admin,
        "/admin/person/tidy",
        &[("email", email), ("before", &before)],
    )
    .await
}

async fn undo_newest(app: &TestApp, admin: &Browser, action: &str) -> Reply {
    let event = app.audited(action).await.id.to_string();
    let asked = admin
        .navigate(&format!("/admin/audit/undo?event={event}"))
        .await
        .expect(200)
        .text();
    let plan = hidden(&asked, "plan");
    post(
        admin,
        "/admin/audit/undo",
        &[("event", &event), ("plan", &plan)],
    )
    .await
}

on_both! {
    async fn an_odd_row_is_removed_and_the_one_that_looks_like_it_stays(app: TestApp) {
        let ada = app.signed_in_as(Role::Admin).await;
        app.grant(KARL, Role::Reader).await;
        for odd in ["karl.weber@contoso.example\n", "karl.weber@contoso.example\r", "\tkarl.weber@contoso.example",
                    " Karl.Weber@contoso.example", "karl.weber@contoso.example ", "kärl.weber@contoso.example"] {
            app.execute(&format!("INSERT INTO dim.user_roles (email, role) VALUES ('{odd}', 'admin')")).await;
            let key = odd.to_ascii_lowercase();
            let list = read(&ada.navigate("/admin/people").await.expect(200));
            assert!(list.contains(&format!("/admin/person/remove?email={}", encode(&key))), "{odd:?}: {list}");
            let page = read(&ada.navigate(&format!("/admin/person?email={}", encode(&key))).await.expect(200));
            assert!(page.contains("Nobody can sign in under this address as it is written") && !page.contains("Change the role"), "{odd:?}: {page}");
            let form = ada.navigate(&format!("/admin/person/grant?email={}", encode(&key))).await.expect(303);
            assert_eq!(form.location(), format!("/admin/person?email={}", encode(&key)), "a form would make another row");
            let check = read(&ada.navigate(&format!("/admin/why?email={}", encode(&key))).await.expect(200));
            assert!(check.contains("so nobody can sign in under it"), "{odd:?}: {check}");

            let asked = ada.navigate(&format!("/admin/person/remove?email={}", encode(&key))).await.expect(200).text();
            let action = asked.split("action=\"").find(|rest| rest.starts_with("/admin/person/remove")).unwrap();
            let action = action.split('"').next().unwrap();
            // What browsers make of a field with ends of lines in it.
            let field = key.replace(['\n', '\r'], "\r\n");
            post(&ada, action, &[("email", &field), ("before", &hidden(&asked, "before"))]).await.expect(303);
            assert!(rows(&app, &key).await.is_empty(), "{odd:?}");
            assert_eq!(rows(&app, KARL).await, [row(KARL, "reader")], "{odd:?}");
        }
    }

    async fn an_address_whose_role_comes_back_by_undo_is_its_owners_again(app: TestApp) {
        let ada = app.signed_in_as(Role::Admin).await;
        app.grant(KARL, Role::Editor).await;
        app.sign_in(&app.visitor(), KARL, "/publish").await.expect(200);
        let owner = async || bindings::of(&mut app.db.conn().await.unwrap(), KARL).await.unwrap();
        let before = owner().await;
        assert!(before.is_some());
        let asked = ada.navigate(&format!("/admin/person/remove?email={}", encode(KARL))).await.expect(200).text();
        post(&ada, "/admin/person/remove", &[("email", KARL), ("before", &hidden(&asked, "before"))]).await.expect(303);
        assert_eq!(owner().await, None);
        undo_newest(&app, &ada, "role_revoked").await.expect(303);
        assert_eq!(owner().await, before, "whoever signs in first could be another by now");
        assert_eq!(rows(&app, KARL).await, [row(KARL, "editor")]);
    }

    async fn several_spellings_become_one_row_and_nothing_else_changes(app: TestApp) {
        let ada = app.signed_in_as(Role::Admin).await;
        app.grant(KARL, Wanted { role: Role::Editor, ends_at: Some(clock::now() + 86_400 * clock::SECOND), note: Some("cover".to_owned()) }).await;
        let karl = app.visitor();
        app.sign_in(&karl, KARL, "/publish").await.expect(200);
        app.execute("UPDATE dim.user_roles SET email = 'Karl.Weber@contoso.example' WHERE email = 'karl.weber@contoso.example';
                     INSERT INTO dim.user_roles (email, role) VALUES ('KARL.WEBER@contoso.example', 'editor')").await;
        let facts = async || {
            let mut conn = app.db.conn().await.unwrap();
            (holdings::holding(&mut conn, KARL).await.unwrap().grant, bindings::of(&mut conn, KARL).await.unwrap())
        };
        let before = facts().await;
        assert!(before.0.is_some() && before.1.is_some());
        let person = read(&ada.navigate("/admin/person?email=karl.weber%40contoso.example").await.expect(200));
        assert!(person.contains("The address is listed in several spellings.") && person.contains("/admin/person/tidy?email=karl.weber%40contoso.example"), "{person}");
        let asked = read(&ada.navigate("/admin/person/tidy?email=karl.weber%40contoso.example").await.expect(200));
        assert!(asked.contains("KARL.WEBER@contoso.example") && asked.contains("Make one row of it?"), "{asked}");
        assert_eq!(rows(&app, KARL).await.len(), 2, "so far nothing has changed");

        let done = tidy(&ada, KARL).await.expect(303);
        assert!(read(&ada.navigate(done.location()).await.expect(200)).contains("There is one row now"));
        assert_eq!(rows(&app, KARL).await, [row(KARL, "editor")]);
        karl.get("/publish").await.expect(200);
        // Whoever forgets what has no row any more has been here.
        app.execute("INSERT INTO dim.grants (email, role, granted_by, granted_at) VALUES ('marker@x.example', 'reader', 'x', 1);
                     INSERT INTO dim.user_roles (email, role) VALUES ('marker@x.example', 'reader')").await;
        app.execute("DELETE FROM dim.user_roles WHERE email = 'marker@x.example'").await;
        app.eventually("what has no row is forgotten", async || {
            let mut conn = app.db.conn().await.unwrap();
            holdings::holding(&mut conn, "marker@x.example").await.unwrap().grant.is_none()
        }).await;
        assert_eq!(facts().await, before, "end, note and account are what they were");
        let told = app.audited("role_tidied").await;
        assert_eq!((told.actor.as_str(), told.subject.as_str(), told.outcome.as_str()), (ADA, KARL, "editor"));
        assert!(told.detail.contains("KARL.WEBER"), "{}", told.detail);

        let tidy_now = ada.navigate("/admin/person/tidy?email=karl.weber%40contoso.example").await.expect(200);
        assert!(read(&tidy_now).contains("so there is nothing to tidy") && !read(&tidy_now).contains("Yes, keep"));
        undo_newest(&app, &ada, "role_tidied").await.expect(303);
        assert_eq!(rows(&app, KARL).await, [row("KARL.WEBER@contoso.example", "editor"), row("Karl.Weber@contoso.example", "editor")]);
        assert_eq!(facts().await, before);
    }

    async fn rows_that_disagree_are_decided_before_they_are_tidied(app: TestApp) {
        let ada = app.signed_in_as(Role::Admin).await;
        app.execute("INSERT INTO dim.user_roles (email, role) VALUES ('Karl.Weber@contoso.example', 'reader'), ('KARL.WEBER@contoso.example', 'editor')").await;
        let asked = ada.navigate("/admin/person/tidy?email=karl.weber%40contoso.example").await.expect(200);
        assert!(read(&asked).contains("The rows give different roles") && !read(&asked).contains("Yes, keep"), "{}", read(&asked));
        let before = hidden(&asked.text(), "before");
        post(&ada, "/admin/person/tidy", &[("email", KARL), ("before", &before)]).await.expect(409);
        assert_eq!(rows(&app, KARL).await.len(), 2);
        give(&ada, KARL, "reader", "", "").await.expect(303);
        // Whoever was shown an older state is asked again.
        let page = post(&ada, "/admin/person/tidy", &[("email", KARL), ("before", &before)]).await.expect(409).text();
        assert!(page.contains("Somebody else changed this in the meantime"), "{page}");
        tidy(&ada, KARL).await.expect(303);
        assert_eq!(rows(&app, KARL).await, [row(KARL, "reader")]);
        let gone = ada.navigate("/admin/person/tidy?email=nobody%40x.example").await.expect(404).text();
        assert!(gone.contains("nothing to tidy"), "{gone}");
        post(&ada, "/admin/person/tidy", &[("email", "nobody@x.example")]).await.expect(404);
    }

    async fn a_table_without_a_key_is_written_and_made_tidy_as_well(app: TestApp) {
        let ada = app.signed_in_as(Role::Admin).await;
        app.grant("grace.hopper@contoso.example", Role::Admin).await;
        app.execute(match database_of(&app) {
            Backend::Postgres => "ALTER TABLE dim.user_roles DROP CONSTRAINT user_roles_pkey",
            Backend::Sqlite => "CREATE TABLE dim.copied AS SELECT * FROM dim.user_roles; DROP TABLE dim.user_roles;
                                CREATE TABLE dim.user_roles (email TEXT NOT NULL, role TEXT NOT NULL);
                                INSERT INTO dim.user_roles SELECT * FROM dim.copied; DROP TABLE dim.copied",
        }).await;
        app.execute("INSERT INTO dim.user_roles (email, role) VALUES ('karl.weber@contoso.example', 'reader'), ('karl.weber@contoso.example', 'editor')").await;
        give(&ada, KARL, "editor", "", "").await.expect(303);
        assert_eq!(rows(&app, KARL).await, [row(KARL, "editor"), row(KARL, "editor")]);
        tidy(&ada, KARL).await.expect(303);
        assert_eq!(rows(&app, KARL).await, [row(KARL, "editor")]);
        give(&ada, "new@x.example", "reader", "", "").await.expect(303);
        give(&ada, "new@x.example", "editor", "", "").await.expect(303);
        assert_eq!(rows(&app, "new@x.example").await, [row("new@x.example", "editor")]);
        let event = app.audit().await.into_iter().find(|row| row.action == "role_tidied").unwrap().id;
        let page = read(&ada.navigate(&format!("/admin/audit/undo?event={event}")).await.expect(200));
        assert!(page.contains("once says as much"), "{page}");
    }
}

fn database_of(app: &TestApp) -> Backend {
    match app.database_url.starts_with("sqlite") {
        true => Backend::Sqlite,
        false => Backend::Postgres,
    }
}

/// Two programs at the same moment: the portal's change is there, whoever was first.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_another_program_writes_at_the_same_moment_says_what_was_answered() {
    if database::postgres().is_none() {
        return;
    }
    let app = TestApp::start(Backend::Postgres).await;
    let (client, connection) = tokio_postgres::connect(&app.database_url, tokio_postgres::NoTls)
        .await
        .unwrap();
    tokio::spawn(connection);
    client
        .batch_execute("BEGIN; INSERT INTO dim.user_roles VALUES ('both@x.example', 'editor')")
        .await
        .unwrap();
    let (db, actor) = (app.db.clone(), Actor::command_line());
    let giving = tokio::spawn(async move {
        db.transaction::<_, portcullis::roles::change::ChangeError>(async |conn: &mut Conn| {
            let email = "both@x.example";
            portcullis::roles::change::grant(conn, &actor, email, Role::Reader).await
        })
        .await
    });
    app.eventually("the portal waits for the other's row", async || {
        let waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'transactionid' AND pid IN
            (SELECT pid FROM pg_stat_activity WHERE datname = current_database())";
        let count: i64 = client.query_one(waiting, &[]).await.unwrap().get(0);
        count > 0
    })
    .await;
    client.batch_execute("COMMIT").await.unwrap();
    giving.await.unwrap().unwrap();
    assert_eq!(
        rows(&app, "both@x.example").await,
        [row("both@x.example", "reader")]
    );
}
