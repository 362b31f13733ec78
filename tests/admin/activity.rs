//! The page of the audit, and its export: found again by everything that one can know of a row, and all of it.

use portcullis::audit::{Action, Actor, Event, store};
use portcullis::clock;
use portcullis::db::{Conn, DbError};
use portcullis::roles::Role;

use super::read;
use crate::bad_input::raw::{self, Wire};
use crate::support::app::TestApp;
use crate::support::client::Browser;
use crate::support::database::Backend;
use crate::support::emulator::accounts::{ADA, GRACE, KARL};
use crate::support::on_both;

async fn write(app: &TestApp, actor: &str, action: Action, subject: &str, count: usize) {
    let actor = Actor::person(
        actor,
        Some("192.0.2.7".to_owned()),
        Some("TEST-0001".to_owned()),
    );
    let events: Vec<Event> = (0..count)
        .map(|_| Event::new(action, subject, "whole").bytes(5))
        .collect();
    app.db
        .transaction::<_, DbError>(async |conn: &mut Conn| {
            store::record_all(conn, &actor, &events).await
        })
        .await
        .unwrap();
}

async fn rows(admin: &Browser, query: &str) -> usize {
    let page = read(
        &admin
            .navigate(&format!("/admin/audit{query}"))
            .await
            .expect(200),
    );
    match page.contains("Nothing matches") {
        true => 0,
        false => page
            .split(" rows</p>")
            .next()
            .unwrap()
            .rsplit('>')
            .next()
            .unwrap()
            .parse()
            .unwrap(),
    }
}

/// The address that a link of that kind leads to.
fn link(page: &str, rel: &str) -> Option<String> {
    let (_, rest) = page.split_once(&format!("rel=\"{rel}\" href=\""))?;
    Some(
        rest.split('"')
            .next()
            .unwrap()
            .replace("&#38;", "&")
            .replace("&amp;", "&"),
    )
}

on_both! {
    async fn rows_are_found_by_person_action_path_reference_and_day(app: TestApp) {
        let ada = app.signed_in_as(Role::Admin).await;
        write(&app, "zoe@x.example", Action::Downloaded, "Reports/2026/a.pdf", 2).await;
        write(&app, "zoe@x.example", Action::Downloaded, "Reports/2026x/b.pdf", 1).await;
        write(&app, ADA, Action::RoleGranted, "zoe@x.example", 1).await;
        let long = format!("{}/c.pdf", "d".repeat(300));
        write(&app, "zoe@x.example", Action::Downloaded, &long, 1).await;
        write(&app, "yan@x.example", Action::Downloaded, &format!("{}/d.pdf", "d".repeat(300)), 1).await;
        for (query, expected) in [
            ("?person=ZOE%40x.example", 5),
            ("?person=zoe%40x.example&action=downloaded", 4),
            ("?action=role_granted&person=zoe%40x.example", 1),
            ("?path=Reports/2026/", 2),
            ("?path=Reports/2026/a.pdf", 2),
            ("?path=Reports/", 3),
            ("?path=Reports", 0),
            ("?path=reports/", 0),
            ("?path=Reports/&person=zoe%40x.example", 3),
            ("?reference=test-0001&action=downloaded", 5),
            ("?reference=absent", 0),
            ("?person=nobody%40x.example", 0),
            ("?from=2999-01-01", 0),
            ("?to=2001-01-01", 0),
            ("?from=2001-01-01&to=2999-01-01&action=downloaded", 5),
        ] {
            assert_eq!(rows(&ada, query).await, expected, "{query}");
        }
        let below = format!("?path={}/", "d".repeat(300));
        assert_eq!(rows(&ada, &below).await, 2);
        let exact = format!("?path={long}");
        assert_eq!(rows(&ada, &exact).await, 1);
    }

    async fn pages_lead_to_the_oldest_row_and_back_without_a_gap(app: TestApp) {
        let ada = app.signed_in_as(Role::Admin).await;
        for number in 0..250 {
            write(&app, "zoe@x.example", Action::Downloaded, &format!("f{number:03}"), 1).await;
        }
        // Many of one moment: the id decides.
        app.execute("UPDATE dim.audit SET at = 1700000000000000 WHERE actor = 'zoe@x.example' AND id % 2 = 0").await;
        let names = |page: &str| -> Vec<String> {
            page.split("downloaded <b>").skip(1).map(|rest| rest.split('<').next().unwrap().to_owned()).collect()
        };
        let mut address = Some("/admin/audit?person=zoe%40x.example".to_owned());
        let (mut seen, mut last) = (Vec::new(), String::new());
        while let Some(path) = address {
            let page = read(&ada.navigate(&path).await.expect(200));
            seen.extend(names(&page));
            address = link(&page, "next");
            last = page;
        }
        let mut sorted = seen.clone();
        sorted.sort();
        sorted.dedup();
        assert_eq!((seen.len(), sorted.len()), (250, 250));
        let middle = read(&ada.navigate(&link(&last, "prev").unwrap()).await.expect(200));
        assert_eq!(names(&middle), seen[100..200], "newer from the last page is the page before it");
        let first = read(&ada.navigate(&link(&middle, "prev").unwrap()).await.expect(200));
        assert_eq!(names(&first), seen[..100]);
        for nonsense in ["?before=x", "?before=1", "?after=9.9.9", "?after=99999999999999999999.1"] {
            ada.navigate(&format!("/admin/audit{nonsense}")).await.expect(200);
        }
        let past = read(&ada.navigate("/admin/audit?before=1.1").await.expect(200));
        assert!(past.contains("Nothing"), "{past}");
    }

    async fn a_day_that_is_none_comes_back_with_422(app: TestApp) {
        let ada = app.signed_in_as(Role::Admin).await;
        for (query, field) in [("?from=yesterday", "from"), ("?to=2026-02-30", "to")] {
            let page = ada.navigate(&format!("/admin/audit{query}&person=kept")).await.expect(422).text();
            assert!(page.contains(&format!("id=\"{field}-problem\"")) && page.contains("value=\"kept\""), "{page}");
            ada.get(&format!("/admin/audit/export{query}")).await.expect(422);
        }
        // What cannot be read is not taken for everything.
        for address in ["/admin/audit/export", "/admin/audit"] {
            let twice = format!("{address}?person=a%40x.example&person=b%40x.example");
            let page = ada.navigate(&twice).await.expect(422).text();
            assert!(page.contains("Name each filter of the activity once"), "{page}");
        }
        assert!(app.audit().await.iter().all(|row| row.action != "audit_exported"));
    }

    async fn an_export_ends_broken_off_once_its_reader_is_no_admin_any_more(app: TestApp) {
        let ada = app.signed_in_as(Role::Admin).await;
        // More than the sockets between us hold.
        app.execute(&format!(
            "INSERT INTO dim.audit (at, actor, action, subject, outcome, detail)
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
             SELECT i, 'eve', 'downloaded', '{}', 'whole', '{{}}' FROM n",
            "x".repeat(2_000)
        ))
        .await;
        let mut wire = Wire::open(&app).await;
        let request = raw::request("GET", "/admin/audit/export?format=json", &[("Cookie", &raw::cookie(&ada))]);
        assert!(wire.send(&request).await);
        assert!(wire.head().await.starts_with("HTTP/1.1 200"));
        wire.take(100_000).await;
        app.grant(GRACE, Role::Admin).await;
        app.grant(ADA, Role::Reader).await;
        let rest = wire.rest().await;
        assert!(!rest.ends_with(b"0\r\n\r\n"), "all {} bytes", rest.len());
        ada.get("/admin/audit/export").await.expect(403);
    }

    async fn an_export_holds_every_row_with_its_place_in_the_chain(app: TestApp) {
        let ada = app.signed_in_as(Role::Admin).await;
        write(&app, "=zoe@x.example", Action::Downloaded, "-x\",\"y\nz", 1).await;
        write(&app, "zoe@x.example", Action::Downloaded, "a.pdf", 2500).await;
        app.sealed().await;
        let json = ada.get("/admin/audit/export?format=json").await.expect(200);
        assert_eq!(json.header("content-disposition"), "attachment; filename=\"audit.jsonl\"");
        let lines: Vec<serde_json::Value> = json.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let exported = |line: &&serde_json::Value| line["action"] == "audit_exported";
        assert!(lines.len() >= 2503, "{}", lines.len());
        let sealed = lines.iter().filter(|line| !exported(line));
        assert!(sealed.clone().all(|line| line["seq"].as_i64().unwrap() > 0 && line["hash"].as_str().unwrap().len() == 64));
        assert!(lines.windows(2).all(|pair| pair[0]["at"].as_i64() <= pair[1]["at"].as_i64()), "oldest first");
        assert!(lines.iter().any(|line| line["actor"] == "=zoe@x.example" && line["subject"] == "-x\",\"y\nz"));
        assert!(lines.iter().all(|line| line["detail"].is_object()));

        let csv = ada.get("/admin/audit/export?person=%3Dzoe%40x.example").await.expect(200).text();
        let mut reader = csv::Reader::from_reader(csv.as_bytes());
        let found: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
        assert_eq!(found.len(), 1);
        assert_eq!((&found[0][4], &found[0][6]), ("'=zoe@x.example", "'-x\",\"y\nz"));
        assert!(app.audited("audit_exported").await.detail.contains("person="));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn addresses_are_not_written_down_where_that_is_switched_off() {
    let app = TestApp::builder(Backend::Sqlite)
        .with("AUDIT_ADDRESSES", "false")
        .start()
        .await;
    app.write("a.txt", "a");
    let ada = app.signed_in_as(Role::Admin).await;
    ada.get("/api/files/a.txt").await.expect(200);
    app.audited("downloaded").await;
    assert!(app.audit().await.iter().all(|row| row.address.is_none()));
    let mut conn = app.db.conn().await.unwrap();
    let living = portcullis::auth::store::living(
        &mut conn,
        &portcullis::auth::store::Owner::whoever(ADA),
        0,
    )
    .await
    .unwrap();
    assert!(!living.is_empty() && living.iter().all(|session| session.address.is_none()));
}

on_both! {
    async fn the_dashboard_tells_what_the_audit_holds(app: TestApp) {
        app.write("Reports/a.txt", "abc");
        let ada = app.signed_in_as(Role::Admin).await;
        let karl = app.signed_in_as(Role::Reader).await;
        for _ in 0..3 {
            karl.get("/api/files/Reports/a.txt").await.expect(200);
        }
        karl.get("/admin").await.expect(403);
        app.eventually("the rows are counted", async || {
            let page = read(&ada.navigate("/admin?days=90").await.expect(200));
            page.contains("3 × <small>9 B</small>")
        }).await;
        let page = read(&ada.navigate("/admin").await.expect(200));
        let today = clock::day_in_words(clock::day(clock::now()));
        assert!(page.contains(&format!("<title>{today}: 3</title>")), "{page}");
        assert!(page.contains("Downloads by day: 3 in all, 3 on the busiest day"), "{page}");
        assert!(page.contains("/admin/audit?path=Reports%2Fa.txt") && page.contains(KARL), "{page}");
        let row = page.split(&format!("<th scope=\"row\" role=\"rowheader\">{today}</th>")).nth(1).unwrap();
        assert!(row.starts_with("<td role=\"cell\" class=\"num\">3</td><td role=\"cell\" class=\"num\">9 B</td><td role=\"cell\" class=\"num\">2</td><td role=\"cell\" class=\"num\">1</td>"), "{row}");
        assert_eq!(read(&ada.navigate("/admin?days=90").await.expect(200)).matches("class=\"num\">0</td>").count() / 3, 89, "ninety days in numbers");
    }
}
