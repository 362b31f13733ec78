//! People and roles by the pages: add, change, remove, and everything that can be wrong with that.

use std::time::{Duration, Instant};

use portcullis::clock;
use portcullis::roles::{Role, holdings};
use reqwest::Method;

use super::{give, hidden, post, read};
use crate::support::app::TestApp;
use crate::support::client::Browser;
use crate::support::database::{self, Backend};
use crate::support::emulator::accounts::{ADA, GRACE, KARL};
use crate::support::on_both;

/// 1 to 1,000, for rows in numbers.
const NUMBERS: &str =
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)";

async fn role_of(app: &TestApp, email: &str) -> Option<Role> {
    let mut conn = app.db.conn().await.unwrap();
    let held = holdings::holding(&mut conn, email).await.unwrap();
    held.role(email, clock::now())
}

on_both! {
    async fn a_role_is_given_changed_and_taken_away_and_counts_at_once(app: TestApp) {
        let ada = app.signed_in_as(Role::Admin).await;
        let karl = app.visitor();
        app.sign_in(&karl, KARL, "/api/me").await.expect(200);
        karl.get("/api/items").await.expect(403);
        let done = give(&ada, "Karl.Weber@Contoso.example", "reader", "2999-12-31", "for the audit").await.expect(303);
        assert_eq!(done.location(), "/admin/person?email=karl.weber%40contoso.example&done=granted");
        karl.get("/api/items").await.expect(200);
        let page = read(&ada.navigate(done.location()).await.expect(200));
        for shown in ["The role was given.", "reader until 2999-12-31", "for the audit", "Given by ada.byron@contoso.example"] {
            assert!(page.contains(shown), "{shown} is not in {page}");
        }
        let told = app.audited("role_granted").await;
        assert_eq!((told.actor.as_str(), told.subject.as_str()), (ADA, KARL));
        assert!(told.reference.is_some() && told.address.is_some());

        karl.get("/publish").await.expect(403);
        give(&ada, KARL, "editor", "", "").await.expect(303);
        karl.get("/publish").await.expect(200);

        let asked = ada.navigate("/admin/person/remove?email=KARL.weber@contoso.example").await.expect(200).text();
        let before = hidden(&asked, "before");
        let gone = post(&ada, "/admin/person/remove", &[("email", KARL), ("before", &before)]).await.expect(303);
        assert_eq!(gone.location(), "/admin/people?done=removed");
        karl.get("/api/items").await.expect(403);
        let told = app.audited("role_revoked").await;
        assert!(told.detail.contains("editor"), "{}", told.detail);
    }

    async fn nothing_changes_before_it_is_confirmed(app: TestApp) {
        let ada = app.signed_in_as(Role::Admin).await;
        let asked = post(&ada, "/admin/person/grant", &[("email", KARL), ("role", "admin")]).await.expect(200);
        let page = read(&asked);
        assert!(page.contains("Is this right?") && page.contains("no role"), "{page}");
        assert_eq!(role_of(&app, KARL).await, None);
        // Fields that no form of ours has change nothing either.
        let before = hidden(&asked.text(), "before");
        let extra = [("granted_by", "eve"), ("granted_at", "1"), ("confirmed", "true"), ("source", "import"), ("actor", "eve")];
        let fields = [&[("email", KARL), ("role", "reader")][..], &extra].concat();
        post(&ada, "/admin/person/grant", &fields).await.expect(200);
        assert_eq!(role_of(&app, KARL).await, None);
        post(&ada, "/admin/person/grant", &[&fields[..], &[("before", &before)]].concat()).await.expect(303);
        let mut conn = app.db.conn().await.unwrap();
        let grant = holdings::holding(&mut conn, KARL).await.unwrap().grant.unwrap();
        drop(conn);
        assert!(grant.granted_by == ADA && grant.granted_at > 1, "{grant:?}");
        let told = app.audited("role_granted").await;
        assert!(told.actor == ADA && !told.detail.contains("eve"), "{told:?}");
        post(&ada, "/admin/person/remove", &[("email", ADA), ("before", "")]).await.expect(409);
        assert_eq!(role_of(&app, ADA).await, Some(Role::Admin));
    }

    async fn a_form_that_cannot_be_taken_comes_back_with_what_was_typed_and_a_sentence_at_the_field(app: TestApp) {
        let ada = app.signed_in_as(Role::Admin).await;
        let wrong: [(&str, &str, &str, &str, &str); 6] = [
            ("not an address", "reader", "", "x", "email"),
            (KARL, "", "", "x", "role"),
            (KARL, "owner", "", "x", "role"),
            (KARL, "reader", "2001-01-01", "x", "until"),
            (KARL, "reader", "next week", "x", "until"),
            (KARL, "reader", "", "two\nlines", "note"),
        ];
        for (email, role, until, note, field) in wrong {
            let fields = [("email", email), ("role", role), ("until", until), ("note", note)];
            let page = post(&ada, "/admin/person/grant", &fields).await.expect(422).text();
            assert!(page.contains(&format!("id=\"{field}-problem\"")), "{field}: {page}");
            assert!(page.contains(&format!("href=\"#{field}\"")), "{field}");
            assert!(page.contains(&format!("value=\"{email}\"")), "{email}");
            assert!(page.contains(&format!("value=\"{until}\"")), "{until}");
            assert!(page.contains("<title>Error: "), "{page}");
        }
        assert_eq!(role_of(&app, KARL).await, None);
    }

    async fn the_last_admin_is_told_so_on_every_page(app: TestApp) {
        let ada = app.signed_in_as(Role::Admin).await;
        for (role, until) in [("reader", ""), ("admin", "2999-01-01")] {
            let page = give(&ada, ADA, role, until, "").await.expect(422).text();
            assert!(page.contains("Nobody would be left who is an admin"), "{page}");
        }
        let asked = ada.navigate("/admin/person/remove?email=ada.byron%40contoso.example").await.expect(200).text();
        let before = hidden(&asked, "before");
        let page = post(&ada, "/admin/person/remove", &[("email", ADA), ("before", &before)]).await.expect(422).text();
        assert!(page.contains("Nobody would be left"), "{page}");
        ada.get("/admin").await.expect(200);
    }

    async fn whoever_decided_on_an_older_state_is_asked_again(app: TestApp) {
        let ada = app.signed_in_as(Role::Admin).await;
        app.grant(KARL, Role::Reader).await;
        let fields = [("email", KARL), ("role", "editor"), ("until", ""), ("note", "")];
        let asked = post(&ada, "/admin/person/grant", &fields).await.expect(200).text();
        let before = hidden(&asked, "before");
        let removal = ada.navigate("/admin/person/remove?email=karl.weber%40contoso.example").await.expect(200).text();
        app.grant(KARL, Role::Admin).await;
        let again = post(&ada, "/admin/person/grant", &[&fields[..], &[("before", &before)]].concat()).await.expect(409);
        assert!(read(&again).contains("Somebody else changed this role"), "{}", read(&again));
        let stale = hidden(&removal, "before");
        post(&ada, "/admin/person/remove", &[("email", KARL), ("before", &stale)]).await.expect(409);
        assert_eq!(role_of(&app, KARL).await, Some(Role::Admin));
        // What is shown now can be confirmed.
        let before = hidden(&again.text(), "before");
        post(&ada, "/admin/person/grant", &[&fields[..], &[("before", &before)]].concat()).await.expect(303);
        assert_eq!(role_of(&app, KARL).await, Some(Role::Editor));
    }

    async fn a_vanished_row_and_a_forged_address_get_404_with_the_way_back(app: TestApp) {
        let ada = app.signed_in_as(Role::Admin).await;
        for path in ["/admin/person?email=nobody%40x.example", "/admin/person", "/admin/person/remove?email=nobody%40x.example", "/admin/request?id=99", "/admin/audit/undo?event=99"] {
            let page = ada.navigate(path).await.expect(404).text();
            assert!(page.contains("It is not there") && page.contains("<a class=\"button\" href=\"/admin/"), "{page}");
        }
        for path in ["/admin/person/remove", "/admin/person/sign-out", "/admin/person/rebind", "/admin/audit/undo", "/admin/request/approve"] {
            let forged = [("email", "nobody@x.example"), ("id", "99"), ("event", "99"), ("before", "x"), ("plan", "x"), ("role", "admin")];
            post(&ada, path, &forged).await.expect(404);
        }
        let forged = [("id", "99"), ("answer", "no")];
        post(&ada, "/admin/request/decline", &forged).await.expect(404);
        post(&ada, "/admin/request/decline", &[("id", "1 OR 1=1"), ("answer", "no")]).await.expect(404);
        assert!(app.audit().await.iter().all(|row| !row.subject.contains("nobody")));
    }

    async fn other_sites_change_nothing(app: TestApp) {
        let ada = app.signed_in_as(Role::Admin).await;
        app.grant(KARL, Role::Reader).await;
        for path in ["/admin/person/grant", "/admin/person/remove", "/admin/person/sign-out", "/admin/person/rebind", "/admin/people/import",
                     "/admin/request/approve", "/admin/request/decline", "/admin/audit/undo", "/account/access-request"] {
            for headers in [
                &[("sec-fetch-site", "cross-site"), ("content-type", "application/x-www-form-urlencoded")][..],
                &[("origin", "https://evil.example"), ("content-type", "application/x-www-form-urlencoded")],
                &[("content-type", "application/x-www-form-urlencoded")],
                &[("content-type", "multipart/form-data; boundary=b")],
            ] {
                let body = b"email=karl.weber%40contoso.example&role=admin&before=".to_vec();
                let reply = ada.send(Method::POST, path, headers, body).await;
                assert_eq!(reply.status, 403, "{path} {headers:?}");
            }
        }
        assert_eq!(role_of(&app, KARL).await, Some(Role::Reader));
    }

    async fn the_list_finds_sorts_and_pages(app: TestApp) {
        let ada = app.signed_in_as(Role::Admin).await;
        for number in 0..60 {
            app.grant(&format!("p{number:02}@x.example"), if number % 2 == 0 { Role::Reader } else { Role::Editor }).await;
        }
        app.execute("INSERT INTO dim.user_roles (email, role) VALUES ('100%_sure@x.example', 'reader'), ('Mixed@x.example', 'reader'), ('robot@x.example', 'owner')").await;
        let list = async |query: &str| read(&ada.navigate(&format!("/admin/people{query}")).await.expect(200));
        let first = list("").await;
        assert!(first.contains("1 to 50 of 64") && first.contains("1 admin, 30 editors, 32 readers"), "{first}");
        let second = list("?page=2").await;
        assert!(second.contains("51 to 64 of 64"), "{second}");
        assert_eq!(list("?page=999").await, second.replace("?page=2", "?page=999"), "past the end is the last page");
        assert!(list("?page=0").await.contains("1 to 50 of 64"));
        let beyond = list("?show=editors&q=p&page=99999999999999999999").await;
        assert!(beyond.contains("30 entries") && beyond.contains("value=\"p\""), "a number of any length is past the end: {beyond}");
        assert!(list("?q=absent&page=99999999999999999999").await.contains("Nobody matches"));
        let found = list("?q=100%25_").await;
        assert!(found.contains("100%_sure@x.example") && found.contains("1 entry"), "{found}");
        assert!(list("?q=%25").await.contains("1 entry"), "a percent sign is a percent sign");
        assert!(list("?q=ADA%20byr").await.contains("1 entry"), "by name, in any case");
        assert!(list("?q=%00").await.contains("64"), "signs that nobody sees are left out");
        assert!(list("?q=absent").await.contains("Nobody matches"));
        assert!(list("?show=editors").await.contains("30 entries"));
        let odd = list("?show=odd").await;
        assert!(odd.contains("2 entries") && odd.contains("knows no role of this name") && odd.contains("mixed case"), "{odd}");
        assert!(list("?show=never").await.contains("1 to 50 of 63"));
        let order = |page: &str, first: &str, then: &str| page.find(first).unwrap() < page.find(then).unwrap();
        assert!(order(&list("?sort=-person").await, "robot@x.example", "p59@x.example"));
        assert!(order(&list("?sort=role").await, "ada.byron@", "p01@x.example"));
        assert!(order(&list("?sort=-role").await, "100%_sure@", "p00@x.example"));
        assert!(order(&list("?sort=-seen").await, "ada.byron@", "p00@x.example"));
        app.execute("UPDATE dim.grants SET ends_at = 32503680000000000 WHERE email = 'p31@x.example'").await;
        assert!(order(&list("?sort=until").await, "p31@x.example", "100%_sure@"));
        list("?sort=nonsense&show=nonsense&page=nonsense").await;
    }

    async fn a_search_finds_letters_of_every_language_in_either_case(app: TestApp) {
        let ada = app.signed_in_as(Role::Admin).await;
        app.execute("INSERT INTO dim.user_roles (email, role) VALUES ('ozgur@x.example', 'reader'), ('ÜML[1]*@x.example', 'reader');
            INSERT INTO dim.identities (tid, oid, email, name, first_sign_in_at, last_sign_in_at) VALUES ('t', 'o', 'ozgur@x.example', 'Özgür O''Şahin (Ärzte) 100%', 0, 1)").await;
        let found = async |words: &str| {
            let page = read(&ada.navigate(&format!("/admin/people?q={}", portcullis::files::path::encode(words))).await.expect(200));
            (page.contains("ozgur@x.example"), page.contains("ÜML[1]*@x.example"))
        };
        for words in ["Özgür", "özgür", "ÖZGÜR", "zgür o'şa", "ŞAHIN (Ä", "ärzte) 100%", "OZGUR", "O'"] {
            assert_eq!(found(words).await, (true, false), "{words}");
        }
        for words in ["üml[1]*", "ÜML[", "]*@X"] {
            assert_eq!(found(words).await, (false, true), "{words}");
        }
        for words in ["ö.gür", "özgür*", "Ö[z]", "özgür_", "ß"] {
            assert_eq!(found(words).await, (false, false), "{words}");
        }
    }

    async fn the_pages_of_every_order_hold_everybody_once_from_either_end(app: TestApp) {
        let ada = app.signed_in_as(Role::Admin).await;
        // Of 180 people, every seventh has an end (some on one day), every fifth signed in, one with two accounts, and
        // some are written in two ways or with a role that nobody knows.
        app.execute(&format!("{NUMBERS} INSERT INTO dim.user_roles (email, role) SELECT 'p' || i || '@x.example',
            CASE i % 6 WHEN 0 THEN 'admin' WHEN 1 THEN 'editor' WHEN 2 THEN 'owner' ELSE 'reader' END FROM n WHERE i <= 180")).await;
        app.execute(&format!("{NUMBERS} INSERT INTO dim.user_roles (email, role) SELECT 'P' || i || '@x.example', 'reader' FROM n WHERE i % 60 = 5 AND i < 180")).await;
        app.execute(&format!("{NUMBERS} INSERT INTO dim.grants (email, role, ends_at, granted_by, granted_at)
            SELECT 'p' || i || '@x.example', 'reader', 32503680000000000 + i % 3, 'x', 0 FROM n WHERE i % 7 = 0 AND i < 180")).await;
        app.execute(&format!("{NUMBERS} INSERT INTO dim.identities (tid, oid, email, name, first_sign_in_at, last_sign_in_at)
            SELECT 't', 'o' || i, 'p' || i || '@x.example', 'Name', 0, 1000 + i % 4 FROM n WHERE i % 5 = 0 AND i < 180")).await;
        app.execute("INSERT INTO dim.identities (tid, oid, email, name, first_sign_in_at, last_sign_in_at) VALUES ('t', 'second', 'p5@x.example', 'Name', 0, 1001)").await;
        let mut orders = Vec::new();
        for sort in ["person", "-person", "role", "-role", "until", "-until", "seen", "-seen"] {
            let mut seen = Vec::new();
            for page in 1..=4 {
                let html = ada.navigate(&format!("/admin/people?sort={sort}&page={page}")).await.expect(200).text();
                let here: Vec<String> = html.split("the role of ").skip(1).map(|rest| rest.split('<').next().unwrap().to_owned()).collect();
                assert_eq!(here.len(), if page == 4 { 34 } else { 50 }, "{sort}, page {page}");
                seen.extend(here);
            }
            let mut once = seen.clone();
            once.sort();
            once.dedup();
            assert_eq!(once.len(), 184, "{sort} shows everybody once");
            orders.push(seen);
        }
        let place = |order: usize, email: &str| orders[order].iter().position(|shown| shown == email).unwrap();
        let turned: Vec<_> = orders[0].iter().rev().cloned().collect();
        assert_eq!(orders[1], turned);
        let roles = ["p6@x.example", "p1@x.example", "p3@x.example", "p2@x.example"];
        assert!(roles.is_sorted_by_key(|email| place(2, email)), "admins, editors, readers, what nobody knows: {:?}", orders[2]);
        assert!(roles.is_sorted_by(|a, b| place(3, a) > place(3, b)), "{:?}", orders[3]);
        for (order, last) in [(4, "p14@x.example"), (5, "p21@x.example")] {
            assert!(place(order, last) < place(order, "p1@x.example"), "no end comes last either way: {:?}", orders[order]);
        }
        assert!(place(4, "p21@x.example") < place(4, "p14@x.example"), "{:?}", orders[4]);
        assert!(place(6, "p1@x.example") < place(6, "p20@x.example") && place(6, "p20@x.example") < place(6, "p15@x.example"), "{:?}", orders[6]);
        assert!(place(7, "ada.byron@contoso.example") == 0 && place(7, "p15@x.example") < place(7, "p20@x.example"), "{:?}", orders[7]);
    }

    async fn a_search_for_people_ends_after_a_thousand_and_says_so(app: TestApp) {
        let ada = app.signed_in_as(Role::Admin).await;
        app.execute(&format!("{NUMBERS} INSERT INTO dim.user_roles (email, role) SELECT 'p' || i || '@x.example', 'reader' FROM n")).await;
        app.execute("INSERT INTO dim.user_roles (email, role) VALUES ('zz-last@x.example', 'editor')").await;
        let list = async |query: &str| read(&ada.navigate(&format!("/admin/people{query}")).await.expect(200));
        let all = list("?q=x.example&sort=-person").await;
        assert!(all.contains("1 to 50 of 1,000") && all.contains("More than 1,000 match"), "{all}");
        assert!(list("?q=x.example&page=99").await.contains("951 to 1,000 of 1,000"));
        let few = list("?q=last%40x").await;
        assert!(few.contains("1 entry") && !few.contains("More than"), "{few}");
        let narrowed = list("?q=x.example&show=editors").await;
        assert!(narrowed.contains("1 entry") && !narrowed.contains("More than"), "{narrowed}");
        assert!(!list("").await.contains("More than"), "only a search has an end");
    }

    async fn rows_of_other_programs_appear_and_can_be_removed_however_they_are_written(app: TestApp) {
        let ada = app.signed_in_as(Role::Admin).await;
        app.execute("INSERT INTO dim.user_roles (email, role) VALUES (' Spaced@x.example', 'reader'), ('Üml@x.example', 'admin')").await;
        let list = read(&ada.navigate("/admin/people").await.expect(200));
        assert!(list.contains("/admin/person?email=%20spaced%40x.example"), "{list}");
        for email in [" spaced@x.example", "Üml@x.example"] {
            let path = format!("email={}", portcullis::files::path::encode(email));
            let page = read(&ada.navigate(&format!("/admin/person?{path}")).await.expect(200));
            assert!(page.contains("Written by another program or with SQL"), "{page}");
            let asked = ada.navigate(&format!("/admin/person/remove?{path}")).await.expect(200).text();
            let before = hidden(&asked, "before");
            post(&ada, "/admin/person/remove", &[("email", email), ("before", &before)]).await.expect(303);
        }
        assert!(read(&ada.navigate("/admin/people").await.expect(200)).contains("1 entry"));
    }

    async fn stored_markup_is_shown_and_never_run(app: TestApp) {
        const EVIL: &str = "<script>alert(1)</script>";
        const SHOWN: &str = "&#60;script&#62;alert(1)&#60;/script&#62;";
        let ada = app.signed_in_as(Role::Admin).await;
        app.emulator.set_claim("name", "<script>alert(1)</script>");
        let karl = app.visitor();
        app.grant(KARL, portcullis::roles::Wanted { role: Role::Reader, ends_at: None, note: Some(EVIL.to_owned()) }).await;
        app.sign_in(&karl, KARL, "/api/me").await.expect(200);
        app.emulator.reset();
        app.execute(&format!(
            "UPDATE dim.sessions SET agent = '{EVIL}', address = '{EVIL}' WHERE email = '{KARL}';
             INSERT INTO dim.user_roles (email, role) VALUES ('{EVIL}@x.example', '{EVIL}');
             INSERT INTO dim.audit (at, actor, action, subject, outcome, reference, address, detail) VALUES
                ({}, '{KARL}', 'downloaded', '{EVIL}', '{EVIL}', '{EVIL}', '{EVIL}', '{{\"{EVIL}\":\"{EVIL}\"}}');
             INSERT INTO dim.access_requests (email, name, asked_at, state) VALUES ('{EVIL}', '{EVIL}', 1, 'open');
             INSERT INTO dim.access_requests (email, name, asked_at, state, decided_by, decided_at, answer) VALUES ('x', '{EVIL}', 1, 'declined', '{EVIL}', 1, '{EVIL}');",
            clock::now()
        )).await;
        for path in ["/admin", "/admin/people", "/admin/person?email=karl.weber%40contoso.example", "/admin/requests", "/admin/request?id=1", "/admin/audit",
                     "/admin/person?email=%3Cscript%3Ealert(1)%3C/script%3E%40x.example", "/admin/why?email=%3Cscript%3Ealert(1)%3C/script%3E&path=%3Cscript%3E",
                     "/admin/people?q=%3Cscript%3E", "/admin/audit?person=%3Cscript%3E&path=%3Cscript%3E&from=%3Cscript%3E",
                     "/admin/person/grant?email=%3Cscript%3Ealert(1)%3C/script%3E%40x.example", "/admin/person/remove?email=%3Cscript%3Ealert(1)%3C/script%3E%40x.example"] {
            let reply = ada.navigate(path).await;
            let page = read(&reply);
            assert!([200, 422].contains(&reply.status) && !page.contains("<script"), "{path}: {page}");
        }
        assert!(read(&ada.navigate("/admin/people").await).contains(SHOWN));
    }

    async fn an_admin_ends_sessions_and_frees_an_address(app: TestApp) {
        let ada = app.signed_in_as(Role::Admin).await;
        let karl = app.signed_in_as(Role::Reader).await;
        karl.get("/api/items").await.expect(200);
        post(&ada, "/admin/person/sign-out", &[("email", KARL)]).await.expect(303);
        karl.get("/api/items").await.expect(401);
        let told = app.audited("signed_out").await;
        assert_eq!((told.actor.as_str(), told.subject.as_str(), told.outcome.as_str()), (ADA, KARL, "everywhere"));

        app.emulator.set_claim("oid", "99999999-0000-4000-8000-000000000001");
        app.emulator.forget_sessions();
        let heir = app.visitor();
        app.sign_in(&heir, KARL, "/").await.expect(401);
        post(&ada, "/admin/person/rebind", &[("email", KARL)]).await.expect(303);
        app.sign_in(&heir, KARL, "/").await.expect(200);
        assert_eq!(app.audited("rebound").await.actor, ADA);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_is_whole_or_not_there_when_the_database_goes_away() {
    let cluster = match database::private_cluster() {
        Ok(cluster) => cluster,
        Err(why) => return crate::support::left_out("postgres", &why),
    };
    let url = cluster.empty_database().await;
    let app = TestApp::builder(Backend::Postgres).on(&url).start().await;
    let ada = app.signed_in_as(Role::Admin).await;
    app.grant(GRACE, Role::Admin).await;
    let mut answers = Vec::new();
    for number in 0..12 {
        let email = format!("p{number}@x.example");
        let fields = [("email", email.as_str()), ("role", "reader")];
        let asked = post(&ada, "/admin/person/grant", &fields).await;
        if asked.status != 200 {
            answers.push((email, asked.status));
            continue;
        }
        let before = hidden(&asked.text(), "before");
        let confirmed = [&fields[..], &[("before", &before)]].concat();
        let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
        let name = url.rsplit('/').next().unwrap();
        let (reply, ()) = tokio::join!(
            post(&ada, "/admin/person/grant", &confirmed),
            cluster.execute(name, cut)
        );
        answers.push((email, reply.status));
        app.eventually("the portal is back", async || {
            app.visitor().get("/health/ready").await.status == 200
                && ada.get("/admin/why").await.status == 200
        })
        .await;
    }
    assert!(
        answers
            .iter()
            .all(|(_, status)| [303, 503].contains(status)),
        "{answers:?}"
    );
    let told = app.audit().await;
    for (email, status) in &answers {
        let has_role = role_of(&app, email).await.is_some();
        let has_row = told
            .iter()
            .any(|row| row.action == "role_granted" && &row.subject == email);
        assert_eq!(has_role, has_row, "{email}: half of it");
        assert!(
            *status != 303 || has_role,
            "{email}: answered, and not there"
        );
    }
}

/// What was decided, ready to be confirmed.
async fn decided(admin: &Browser, email: &str) -> Vec<(&'static str, String)> {
    let mut fields = vec![("email", email.to_owned()), ("role", "reader".to_owned())];
    let asked = admin.post(GRANT, FORM, form(&fields)).await.expect(200);
    fields.push(("before", hidden(&asked.text(), "before")));
    fields
}

fn form(fields: &[(&str, String)]) -> String {
    let pairs: Vec<(&str, &str)> = fields
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    super::form(&pairs)
}

const GRANT: &str = "/admin/person/grant";
const FORM: &str = "application/x-www-form-urlencoded";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_that_meets_a_stopped_or_ended_database_is_answered_503_and_is_whole_or_not_there()
{
    let cluster = match database::private_cluster() {
        Ok(cluster) => cluster,
        Err(why) => return crate::support::left_out("postgres", &why),
    };
    let url = cluster.empty_database().await;
    let app = TestApp::builder(Backend::Postgres).on(&url).start().await;
    let ada = app.signed_in_as(Role::Admin).await;
    let mut answers = Vec::new();
    // Stopped before the change begins, and within it; then ended.
    for (number, pause) in [0, 2, 5, 0].into_iter().enumerate() {
        let is_ended = number == 3;
        let email = format!("p{number}@x.example");
        let fields = decided(&ada, &email).await;
        let asking = async {
            tokio::time::sleep(Duration::from_millis(if pause == 0 { 50 } else { 0 })).await;
            ada.post(GRANT, FORM, form(&fields)).await
        };
        let stopping = async {
            tokio::time::sleep(Duration::from_millis(pause)).await;
            tokio::task::block_in_place(|| match is_ended {
                true => cluster.crash(),
                false => cluster.signal("STOP"),
            });
        };
        let began = Instant::now();
        let (reply, ()) = tokio::join!(asking, stopping);
        assert!(
            began.elapsed() < Duration::from_secs(40),
            "{:?}",
            began.elapsed()
        );
        match (pause, reply.status) {
            (0, status) => assert_eq!(status, 503, "{}", reply.text()),
            (_, status) => assert!([303, 503].contains(&status), "{status}: {}", reply.text()),
        }
        if reply.status == 503 {
            assert!(
                !reply.header("retry-after").is_empty(),
                "{:?}",
                reply.headers
            );
        }
        match is_ended {
            true => tokio::task::block_in_place(|| cluster.restart()),
            false => cluster.signal("CONT"),
        }
        let back = Instant::now();
        while ada.get("/admin/why").await.status != 200 {
            assert!(
                back.elapsed() < Duration::from_secs(40),
                "the portal is not back"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        answers.push((email, reply.status));
    }
    let told = app.audit().await;
    for (email, status) in &answers {
        let has_role = role_of(&app, email).await.is_some();
        let has_row = told
            .iter()
            .any(|row| row.action == "role_granted" && &row.subject == email);
        assert_eq!(has_role, has_row, "{email}: half of it");
        assert!(
            *status != 303 || has_role,
            "{email}: answered, and not there"
        );
    }
    assert!(
        answers.iter().any(|(_, status)| *status == 503),
        "{answers:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_waits_for_a_query_when_the_database_stands_still_is_told_so() {
    let cluster = match database::private_cluster() {
        Ok(cluster) => cluster,
        Err(why) => return crate::support::left_out("postgres", &why),
    };
    let url = cluster.empty_database().await;
    let app = TestApp::builder(Backend::Postgres).on(&url).start().await;
    let ada = app.signed_in_as(Role::Admin).await;
    let fields = decided(&ada, KARL).await;
    let name = url.rsplit('/').next().unwrap().split('?').next().unwrap();
    let holder = cluster.connect(name).await.unwrap();
    let lock = portcullis::db::Lock::Roles as i64;
    holder
        .query("SELECT pg_advisory_lock($1)", &[&lock])
        .await
        .unwrap();
    let stopping = async {
        let waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted";
        while holder
            .query_one(waiting, &[])
            .await
            .unwrap()
            .get::<_, i64>(0)
            == 0
        {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        tokio::task::block_in_place(|| cluster.signal("STOP"));
    };
    let began = Instant::now();
    let both = async { tokio::join!(ada.post(GRANT, FORM, form(&fields)), stopping) };
    let both = tokio::time::timeout(Duration::from_secs(40), both).await;
    cluster.signal("CONT");
    let (reply, ()) = both.expect("nobody waits for ever");
    assert_eq!(reply.status, 503, "{}", reply.text());
    drop(holder);
    app.eventually("the portal is back", async || {
        ada.get("/admin/why").await.status == 200
    })
    .await;
    assert!(began.elapsed() < Duration::from_secs(60));
    assert_eq!(role_of(&app, KARL).await, None);
}
