//! Well-formed requests that carry nonsense: escapes, queries, cookies.

use portcullis::roles::Role;

use super::{assert_serves, raw, reference};
use crate::support::app::TestApp;
use crate::support::database::Backend;
use crate::support::emulator::accounts::NO_ROLE;
use crate::support::on_both;

on_both! {
    async fn nonsense_in_escapes_is_a_clear_answer_and_stops_nothing(app: TestApp) {
        let admin = app.signed_in_as(Role::Admin).await;
        app.write("a.txt", "a");
        for (number, escape) in ["%", "%0", "%zz", "%00", "a%00b", "%ff", "%c3%28", "%ed%a0%80", "%25%30%30", "%0d%0aX-A:%20b", "%e2%80%ae", "%1b%5b31m"].into_iter().enumerate() {
            // Each is somebody else, since the audit only counts the thirty-first refusal of a person in a minute.
            app.emulator.set_claim("email", format!("nobody{number}@contoso.example"));
            let nobody = app.visitor();
            app.sign_in(&nobody, NO_ROLE, "/api/me").await.expect(200);
            for path in ["/", "/api/", "/api/items/", "/api/files/", "/admin/", "/static/", "/api/me/", "/publish/"] {
                let target = format!("{path}{escape}");
                let answer = raw::get(&app, &admin, &target).await.expect(404, &target);
                assert!(reference(&answer.text()).is_some(), "{target}");
                assert_eq!(answer.header("x-a"), "", "{target}");
                if path != "/static/" {
                    raw::get(&app, &nobody, &target).await.expect(403, &target);
                    let answer = raw::ask(&app, &raw::request("GET", &target, &[])).await.unwrap();
                    let api = path.starts_with("/api/");
                    answer.expect(if api { 401 } else { 303 }, &target);
                }
            }
            for target in [
                format!("/api/items?q={escape}"),
                format!("/?q={escape}"),
                format!("/?sort={escape}"),
                format!("/publish?folder={escape}"),
                format!("/health/live?{escape}={escape}"),
                format!("/api/files/a.txt?{escape}"),
            ] {
                raw::get(&app, &admin, &target).await.expect(200, &target);
            }
            for (target, statuses) in [
                (format!("/?folder={escape}"), [404, 404]),
                (format!("/api/items?folder={escape}"), [404, 404]),
                (format!("/api/items?page={escape}"), [400, 400]),
                (format!("/?page={escape}"), [200, 200]),
                (format!("/login?redirect_uri={escape}"), [303, 303]),
                (format!("/login?account={escape}"), [303, 303]),
                // Signed in already, so the answer that nobody waits for leads home.
                (format!("/callback?state={escape}&code={escape}"), [303, 400]),
                (format!("/callback?error={escape}&error_description={escape}"), [303, 400]),
            ] {
                let answer = raw::get(&app, &admin, &target).await;
                assert!(statuses.contains(&answer.status), "{target}: {} {}", answer.status, answer.text());
                assert_eq!(answer.header("x-a"), "", "{target}");
            }
        }
        // The audit wrote the refusals down and goes on: what comes after them arrives.
        admin.get("/api/files/a.txt?last").await.expect(200);
        app.audited("downloaded").await;
        let refused = app.audit().await.iter().filter(|row| row.action == "access_refused").count();
        assert!(refused > 50, "{refused}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_huge_query_is_answered_or_refused() {
    let app = TestApp::start(Backend::Sqlite).await;
    let reader = app.signed_in_as(Role::Reader).await;
    app.write("a.txt", "a");
    let long = "x".repeat(60_000);
    for (target, status) in [
        (format!("/?q={long}"), 400),
        (format!("/api/items?q={long}"), 400),
        (format!("/api/items?{long}"), 200),
        (format!("/api/me?{long}"), 200),
    ] {
        raw::get(&app, &reader, &target)
            .await
            .expect(status, &target[..20]);
    }
    let words = "x+".repeat(30_000);
    raw::get(&app, &reader, format!("/api/items?q={words}"))
        .await
        .expect(400, "30,000 words");
    raw::get(&app, &reader, format!("/?folder={long}"))
        .await
        .expect(404, "a long folder");
    let pairs = "a=1&".repeat(15_000);
    raw::get(&app, &reader, format!("/api/items?{pairs}"))
        .await
        .expect(200, "15,000 pairs");
    let pages = "page=1&".repeat(8_000);
    raw::get(&app, &reader, format!("/api/items?{pages}"))
        .await
        .expect(400, "8,000 pages");
    for length in [65_500, 65_536, 70_000, 120_000] {
        let target = format!("/api/me?{}", "x".repeat(length));
        let answer = raw::get(&app, &reader, target).await;
        assert!(
            [200, 400, 414, 431].contains(&answer.status),
            "{length}: {}",
            answer.status
        );
    }
    // A visitor is sent to the sign-in, and from there on: the target that is too long comes back to the start.
    for escaped in ["x", "%C3%BC", "%25"] {
        let target = format!("/?q={}", escaped.repeat(15_000 / escaped.len()));
        let reply = app.visitor().navigate(&target).await.expect(303);
        app.visitor().navigate(reply.location()).await.expect(303);
    }
    assert_serves(&app, &reader, "huge queries").await;
}

/// The answer to `/api/me` with these `Cookie` headers.
async fn me(app: &TestApp, cookies: &[&str]) -> raw::Answer {
    let headers: Vec<_> = cookies.iter().map(|cookie| ("Cookie", *cookie)).collect();
    raw::ask(app, &raw::request("GET", "/api/me", &headers))
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cookies_that_are_garbage_are_no_session() {
    let app = TestApp::start(Backend::Sqlite).await;
    let reader = app.signed_in_as(Role::Reader).await;
    let value = reader.cookie("session").unwrap();
    let long = "x".repeat(16_000);
    for garbage in [
        "",
        "x",
        "garbage",
        "%00",
        "%ff",
        "%",
        "\"",
        "\"quoted\"",
        "=",
        "==",
        "a=b",
        "null",
        "{}",
        "0",
        "-1",
        "AAAA",
        "....",
        "🍪",
        "eyJhbGciOiJub25lIn0.e30.",
        &long,
        &value[1..],
        &value[..value.len() - 1],
        &value.to_lowercase(),
        &format!("{value}{value}"),
        &value.chars().rev().collect::<String>(),
    ] {
        for cookies in [
            format!("session={garbage}"),
            format!("session={garbage}; flow={garbage}; __Host-session={value}"),
        ] {
            let answer = me(&app, &[&cookies]).await.expect(401, garbage);
            assert_eq!(
                answer.header("content-type"),
                "application/problem+json",
                "{garbage}"
            );
        }
        let headers = [("Cookie", format!("flow={garbage}"))];
        let headers = headers
            .each_ref()
            .map(|(name, value)| (*name, value.as_str()));
        let answer = raw::ask(
            &app,
            &raw::request("GET", "/callback?state=x&code=y", &headers),
        )
        .await
        .unwrap();
        answer.expect(400, garbage);
        let answer = raw::ask(&app, &raw::request("GET", "/login", &headers))
            .await
            .unwrap();
        answer.expect(303, garbage);
    }
    // Every single letter counts.
    for place in 0..value.len() {
        let mut changed = value.clone().into_bytes();
        changed[place] = if changed[place] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).unwrap();
        if !changed.contains('%') || value.contains('%') {
            let answer = me(&app, &[&format!("session={changed}")]).await;
            // The last letter of base64 may hold bits that mean nothing.
            let last = place + 4 > value.trim_end_matches("%3D").len();
            assert!(
                answer.status == 401 || last,
                "letter {place} does not count"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_session_is_found_among_cookies_that_are_not_ours() {
    let app = TestApp::start(Backend::Sqlite).await;
    let reader = app.signed_in_as(Role::Reader).await;
    let session = raw::cookie(&reader);
    let hundred: String = (0..100)
        .map(|number| format!("c{number}={number}; "))
        .collect();
    let shadows = "session=garbage; ".repeat(50);
    for cookies in [
        &[session.as_str()][..],
        &[&format!("session=garbage; {session}")],
        &[&format!("{session}; session=garbage")],
        &[&format!("session=; {session}; session=")],
        &["session=garbage", &session],
        &[&session, "session=garbage"],
        &[&format!("{hundred}{session}")],
        &[&format!("{session}; {hundred}x=y")],
        &[&format!("{shadows}{session}")],
        &[&format!(";;; ;=;= ; x ; {session} ;;")],
        &[&format!("a=\"b;c\"; {session}")],
        &["a=b", "c=d", &session, "e=f"],
        &[&format!(
            "session ={}; Session=x; SESSION=y; {session}",
            "z"
        )],
    ] {
        let answer = me(&app, cookies).await.expect(200, &cookies.join(" | "));
        assert!(
            answer.text().contains("karl.weber@contoso.example"),
            "{}",
            answer.text()
        );
    }
    let copies = [session.as_str(); 40];
    me(&app, &copies).await.expect(200, "forty copies");
}

on_both! {
    async fn a_sid_that_is_nonsense_ends_no_session_and_is_no_fault_of_ours(app: TestApp) {
        let reader = app.signed_in_as(Role::Reader).await;
        for sid in ["", "%00", "%ff", "x%00y", "%27%20OR%201=1--", &"x".repeat(10_000)] {
            let target = format!("/logout/frontchannel?sid={sid}");
            raw::get(&app, &reader, &target).await.expect(200, &target);
            reader.get("/api/me").await.expect(200);
        }
    }

    async fn a_nul_in_a_refused_path_does_not_stop_the_audit(app: TestApp) {
        let nobody = app.signed_in_as(None).await;
        let reader = app.signed_in_as(Role::Reader).await;
        raw::get(&app, &nobody, "/a%00b").await.expect(403, "a NUL");
        app.write("a.txt", "a");
        reader.get("/api/files/a.txt").await.expect(200);
        app.audited("downloaded").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cookies_of_other_sites_that_are_no_ascii_lock_nobody_out() {
    let app = TestApp::start(Backend::Sqlite).await;
    let reader = app.signed_in_as(Role::Reader).await;
    let session = raw::cookie(&reader);
    let start = b"GET /api/me HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nCookie: ";
    let mut wrong = Vec::new();
    for foreign in [
        &b"other=M\xc3\xbcller"[..],
        b"other=M\xfcller",
        b"\xc3=\x28",
        b"session=\xff\xfe",
        b"session=\x80; session=x",
    ] {
        for (before, between, after) in [
            (foreign, &b"; "[..], session.as_bytes()),
            (session.as_bytes(), b"; ", foreign),
            (foreign, b"\r\nCookie: ", session.as_bytes()),
        ] {
            let request = [start, before, between, after, b"\r\n\r\n"].concat();
            let answer = raw::ask(&app, &request).await.unwrap();
            if answer.status != 200 {
                wrong.push((
                    answer.status,
                    foreign.escape_ascii().to_string(),
                    between.escape_ascii().to_string(),
                ));
            }
        }
        let request = [start, foreign, b"\r\n\r\n"].concat();
        raw::ask(&app, &request)
            .await
            .unwrap()
            .expect(401, "no session at all");
    }
    assert!(wrong.is_empty(), "locked out: {wrong:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cookie_of_another_site_that_is_no_ascii_does_not_stop_a_sign_in() {
    let app = TestApp::start(Backend::Sqlite).await;
    let browser = app.visitor();
    browser.set_cookie("other", Some("M\u{fc}ller"));
    app.sign_in(&browser, crate::support::app::account(None), "/api/me")
        .await
        .expect(200);
}
