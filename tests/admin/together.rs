//! Many at once, and an end without warning: no row of the audit is lost, and no change is half there.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use diesel::{ExpressionMethods, QueryDsl};
use portcullis::audit::find::{self, Search, Way};
use portcullis::audit::{Action, seal, verify};
use portcullis::db::schema::dim;
use portcullis::db::{Conn, Db};
use portcullis::roles::{Role, holdings};
use portcullis::settings::{DatabaseSettings, Secret};
use reqwest::Method;

use super::{form, hidden, post};
use crate::support::app::TestApp;
use crate::support::client::{Browser, plain_http};
use crate::support::database::{self, Backend};
use crate::support::process::Running;

/// How many rows tell that action.
async fn count(db: &Db, action: Action) -> usize {
    use diesel_async::RunQueryDsl;
    let rows = dim::audit::table
        .filter(dim::audit::action.eq(action.as_str()))
        .count();
    let count: i64 = match db.conn().await.unwrap() {
        Conn::Postgres(mut conn) => rows.get_result(&mut **conn).await.unwrap(),
        Conn::Sqlite(mut conn) => rows.get_result(&mut *conn).await.unwrap(),
    };
    count.try_into().unwrap()
}

/// Gives a role, and again where the portal asks to: what it answered with 503 it must not have done.
async fn give_until_done(admin: &Browser, email: &str) {
    for _ in 0..20 {
        let fields = [("email", email), ("role", "reader")];
        let asked = post(admin, "/admin/person/grant", &fields).await;
        if asked.status == 503 {
            continue;
        }
        let before = hidden(&asked.expect(200).text(), "before");
        let confirmed = [&fields[..], &[("before", &before)]].concat();
        let done = post(admin, "/admin/person/grant", &confirmed).await;
        if done.status != 503 {
            done.expect(303);
            return;
        }
    }
    panic!("{email} is not done after twenty tries");
}

/// `changes` roles are given through the pages by four admins while 64 clients download.
async fn changes_while_others_download(app: &TestApp, changes: usize) {
    app.write("a.bin", vec![7; 5_000]);
    let ada = Arc::new(app.signed_in_as(Role::Admin).await);
    let karl = app.signed_in_as(Role::Reader).await;
    let before = count(&app.db, Action::RoleGranted).await;
    let (stop, downloads) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicUsize::new(0)),
    );
    let mut downloading = Vec::new();
    for _ in 0..64 {
        let (karl, stop, downloads) = (karl.copy(), stop.clone(), downloads.clone());
        downloading.push(tokio::spawn(async move {
            while !stop.load(Ordering::SeqCst) {
                let reply = karl.get("/api/files/a.bin").await;
                if reply.status == 408 {
                    continue; // On a machine as busy as this the head itself may come too late.
                }
                let reply = reply.expect(200);
                assert_eq!(reply.body.len(), 5_000);
                downloads.fetch_add(1, Ordering::SeqCst);
            }
        }));
    }
    let mut changing = Vec::new();
    for part in 0..4 {
        let ada = ada.clone();
        changing.push(tokio::spawn(async move {
            for number in (part..changes).step_by(4) {
                let email = format!("p{number}@x.example");
                give_until_done(&ada, &email).await;
            }
        }));
    }
    for task in changing {
        task.await.unwrap();
    }
    stop.store(true, Ordering::SeqCst);
    for task in downloading {
        task.await.unwrap();
    }
    assert_eq!(count(&app.db, Action::RoleGranted).await, before + changes);
    let downloads = downloads.load(Ordering::SeqCst);
    assert!(downloads > 64, "{downloads} downloads");
    app.eventually("every download is told", async || {
        count(&app.db, Action::Downloaded).await == downloads
    })
    .await;
    app.sealed().await;
    let report = verify::verify(&app.db, None).await.unwrap();
    assert!(report.is_sound(), "{report:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_changes_while_64_clients_download_lose_no_row_of_the_audit() {
    if database::postgres().is_none() {
        return;
    }
    let app = TestApp::start(Backend::Postgres).await;
    // A thousand in a full run.
    let changes = std::env::var("PORTCULLIS_CHANGES").map_or(150, |text| text.parse().unwrap());
    changes_while_others_download(&app, changes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn on_sqlite_changes_and_downloads_at_once_lose_nothing_either() {
    let app = TestApp::start(Backend::Sqlite).await;
    changes_while_others_download(&app, 100).await;
}

/// Gives a role as the fake admin of TEST_MODE. The answer's status; `None` when there was none.
async fn give_in_test_mode(url: &str, email: &str) -> Option<u16> {
    let http = plain_http();
    let post = async |fields: &[(&str, &str)]| {
        http.request(Method::POST, format!("{url}/admin/person/grant"))
            .header("x-test-user", "admin@x.example")
            .header("sec-fetch-site", "same-origin")
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form(fields))
            .send()
            .await
    };
    let asked = post(&[("email", email), ("role", "reader")]).await.ok()?;
    let page = asked.text().await.ok()?;
    if !page.contains("name=\"before\"") {
        return None;
    }
    let before = hidden(&page, "before");
    let done = post(&[("email", email), ("role", "reader"), ("before", &before)]).await;
    Some(done.ok()?.status().as_u16())
}

/// Kills the portal in the middle of changes; what it answered has to be there, whole.
async fn killed_in_the_middle(url: &str) {
    let settings = match url.strip_prefix("sqlite://") {
        Some(path) => DatabaseSettings::Sqlite {
            path: path.into(),
            is_default: false,
        },
        None => DatabaseSettings::Postgres(Secret::new(url.to_owned())),
    };
    let db = Db::open(&settings).unwrap();
    portcullis::db::migrate::run(&db).await.unwrap();
    let admin = portcullis::audit::Actor::command_line();
    db.transaction(async |conn: &mut portcullis::db::Conn| {
        portcullis::roles::change::grant(conn, &admin, "admin@x.example", Role::Admin).await
    })
    .await
    .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let variables = [
        ("TEST_MODE", "true"),
        ("DATABASE_URL", url),
        ("FILES_DIR", "."),
    ];
    let mut answered = Vec::new();
    for round in 0..3 {
        let portal = Running::start(folder.path(), &variables).await;
        let mut changing = Vec::new();
        let done = Arc::new(AtomicUsize::new(0));
        for part in 0..6 {
            let (url, done) = (portal.url.clone(), done.clone());
            changing.push(tokio::spawn(async move {
                let mut answered = Vec::new();
                for number in 0..1000 {
                    let email = format!("p{round}-{part}-{number}@x.example");
                    match give_in_test_mode(&url, &email).await {
                        Some(303) => answered.push(email),
                        _ => break,
                    }
                    done.fetch_add(1, Ordering::SeqCst);
                }
                answered
            }));
        }
        let began = std::time::Instant::now();
        while done.load(Ordering::SeqCst) < 20 + round * 7 {
            assert!(
                began.elapsed() < Duration::from_secs(30),
                "changes are made"
            );
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        portal.signal("KILL");
        for task in changing {
            answered.extend(task.await.unwrap());
        }
    }
    assert!(answered.len() >= 60);
    let mut conn = db.conn().await.unwrap();
    let everybody = holdings::holdings(&mut conn).await.unwrap();
    let search = Search {
        action: Some("role_granted".to_owned()),
        ..Search::default()
    };
    let told = find::rows(&mut conn, &search, Way::Older(None), 100_000).await;
    let told: std::collections::BTreeSet<String> =
        told.unwrap().into_iter().map(|row| row.subject).collect();
    drop(conn);
    for email in &answered {
        assert!(
            everybody.contains_key(email),
            "{email} was answered, and has no role"
        );
        assert!(
            told.contains(email),
            "{email} was answered, and is not told"
        );
    }
    let there: std::collections::BTreeSet<String> = everybody.into_keys().collect();
    assert_eq!(there, told, "each role has its row, each row its role");
    seal::seal(&db).await.unwrap();
    let report = verify::verify(&db, None).await.unwrap();
    assert!(report.is_sound() && report.waiting == 0, "{report:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn killed_in_the_middle_every_answered_change_is_there_with_its_row() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("portal.db");
    killed_in_the_middle(&format!("sqlite://{}", file.display())).await;
    let Some(server) = database::postgres() else {
        return;
    };
    killed_in_the_middle(&server.database().await).await;
}
