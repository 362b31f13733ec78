//! What the gate costs: cookie, age, cached role, beside a bare handler that gives the same answer.
//! `cargo bench --bench gate`; the difference of the two is the gate's.

#![allow(
    clippy::unwrap_used,
    missing_docs,
    reason = "a benchmark that cannot go on stops; criterion's macros make items without comments"
)]

use std::time::Duration;

use actix_web::cookie::Cookie;
use actix_web::{App, HttpResponse, test, web};
use criterion::{Criterion, criterion_group, criterion_main};
use portcullis::app::{self, State};
use portcullis::auth::entra::Identity;
use portcullis::auth::session::Ticket;
use portcullis::auth::store;
use portcullis::clock;
use portcullis::db::{Conn, Db, migrate};
use portcullis::roles::Role;
use portcullis::roles::change::ChangeError;
use portcullis::settings::{Problems, Settings, Variables};

const EMAIL: &str = "ada.byron@contoso.example";

/// A portal over SQLite with one session, and that session's cookie.
async fn portal(folder: &std::path::Path) -> (web::Data<State>, Cookie<'static>) {
    let database = format!("sqlite://{}", folder.join("portal.db").display());
    let files = folder.display().to_string();
    let settings = Settings::read(
        &Variables::from_pairs([
            ("AZURE_TENANT_ID", "contoso.example"),
            ("AZURE_AUTHORITY_HOST", "http://127.0.0.1:1"),
            ("APP_REG_CLIENT_ID", "client"),
            ("APP_REG_CLIENT_SECRET", "secret"),
            ("API_COOKIE_SECRET", &"ab".repeat(32)),
            ("DATABASE_URL", &database),
            ("FILES_DIR", &files),
        ]),
        Problems::default(),
    )
    .unwrap();
    let db = Db::open(&settings.database).unwrap();
    migrate::run(&db).await.unwrap();
    let ticket = Ticket {
        id: "benchmark".to_owned(),
        email: EMAIL.to_owned(),
        started_at: clock::now(),
        seen_at: clock::now(),
    };
    let identity = Identity {
        email: EMAIL.to_owned(),
        name: Some("Ada Byron".to_owned()),
        tid: "tenant".to_owned(),
        oid: "account".to_owned(),
        sid: None,
        logout_hint: None,
    };
    let actor = portcullis::audit::Actor::command_line();
    db.transaction::<_, ChangeError>(async |conn: &mut Conn| {
        portcullis::roles::change::grant(conn, &actor, EMAIL, Role::Admin).await?;
        let place = store::Place::default();
        Ok(store::begin(conn, &actor, &ticket, &identity, &place).await?)
    })
    .await
    .unwrap();
    let state = State::start(settings, db, true).unwrap();
    while !state.people.is_available() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let inner = serde_json::to_string(&ticket).unwrap();
    let content = serde_json::json!({ "ticket": inner }).to_string();
    let name = state.session_cookie_name();
    let cookie = state.session_keys.seal(Cookie::new(name, content));
    (state, cookie)
}

fn gate(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let (state, cookie) = runtime.block_on(portal(folder.path()));
    let system = actix_web::rt::System::new();
    let _entered = runtime.enter();
    let (bare, gated) = system.block_on(async {
        let answer = || async { HttpResponse::Ok().json(serde_json::json!({ "email": EMAIL, "name": "Ada Byron", "role": "admin", "expires_at": "2026-11-24T08:00:00Z" })) };
        let bare = App::new().route("/api/me", web::get().to(answer));
        (test::init_service(bare).await, test::init_service(app::build(state)).await)
    });
    let mut group = criterion.benchmark_group("GET /api/me");
    group.bench_function("bare handler", |bencher| {
        bencher.iter(|| {
            system.block_on(async {
                let request = test::TestRequest::get().uri("/api/me").to_request();
                let response = test::call_service(&bare, request).await;
                assert_eq!(response.status(), 200);
            })
        });
    });
    group.bench_function("through the gate", |bencher| {
        bencher.iter(|| {
            system.block_on(async {
                let request = test::TestRequest::get()
                    .uri("/api/me")
                    .cookie(cookie.clone())
                    .to_request();
                let response = test::call_service(&gated, request).await;
                assert_eq!(response.status(), 200);
            })
        });
    });
    group.finish();
}

criterion_group!(benches, gate);
criterion_main!(benches);
