//! A form that arrives after the session ended: where it comes back filled in, and that nothing is ever done by sending it on.

use portcullis::roles::Role;
use reqwest::Method;

use super::{form, hidden, post, read};
use crate::publishing::on_disk;
use crate::support::app::TestApp;
use crate::support::client::{Browser, Reply};
use crate::support::emulator::accounts::NO_ROLE;
use crate::support::on_both;

/// A form that was filled in, and the values of it that the page shows again.
struct Filled {
    path: &'static str,
    fields: &'static [(&'static str, &'static str)],
    shown: &'static [&'static str],
}

const SHOWN_AGAIN: [Filled; 6] = [
    Filled {
        path: "/publish",
        fields: &[("folder", "Plans"), ("title", "The plan")],
        shown: &["Plans", "The plan"],
    },
    Filled {
        path: "/admin/people/import",
        fields: &[("list", "new@contoso.com,admin"), ("complete", "true")],
        shown: &["new@contoso.com,admin"],
    },
    Filled {
        path: "/admin/folders",
        fields: &[
            ("folder", "Finance"),
            ("role", "editor"),
            ("people", "new@contoso.com"),
        ],
        shown: &["Finance", "new@contoso.com"],
    },
    Filled {
        path: "/admin/person/grant",
        fields: &[
            ("email", "new@contoso.com"),
            ("role", "admin"),
            ("note", "as agreed"),
        ],
        shown: &["new@contoso.com", "as agreed"],
    },
    Filled {
        path: "/admin/request/approve",
        fields: &[("id", "1"), ("role", "admin"), ("note", "as agreed")],
        shown: &["as agreed"],
    },
    Filled {
        path: "/admin/request/decline",
        fields: &[("id", "1"), ("answer", "Ask Grace first.")],
        shown: &["Ask Grace first."],
    },
];

/// What is done at once, or was confirmed already.
const DONE_AT_ONCE: [&str; 11] = [
    "/account/sign-out",
    "/account/sign-out-everywhere",
    "/account/access-request",
    "/admin/person/remove",
    "/admin/person/sign-out",
    "/admin/person/rebind",
    "/admin/audit/undo",
    "/admin/people",
    "/item/delete",
    "/trash/1/remove",
    "/trash//restore",
];

async fn send(browser: &Browser, app: &TestApp, path: &str, fields: &[(&str, &str)]) -> Reply {
    let referer = format!("{}/admin/people?q=a", app.url);
    let headers = [
        ("sec-fetch-site", "same-origin"),
        ("referer", &referer),
        ("accept", "text/html"),
        ("content-type", "application/x-www-form-urlencoded"),
    ];
    let body = form(fields).into_bytes();
    browser.send(Method::POST, path, &headers, body).await
}

/// The hidden fields of a page's form.
fn carried(page: &str) -> Vec<(String, String)> {
    let inputs = page.split("<input type=\"hidden\" name=\"").skip(1);
    let field = |input: &str| {
        let mut parts = input.split('"');
        let name = parts.next().unwrap().to_owned();
        (name, parts.nth(1).unwrap().to_owned())
    };
    inputs.map(field).collect()
}

on_both! {
    async fn a_form_that_came_too_late_is_shown_again_and_does_nothing(app: TestApp) {
        let ada = app.signed_in_as(Role::Admin).await;
        let nobody = app.signed_in_as(None).await;
        post(&nobody, "/account/access-request", &[]).await.expect(303);
        let told = app.audit().await.len();
        for Filled { path, fields: typed, shown } in SHOWN_AGAIN {
            let page = send(&app.visitor(), &app, path, typed).await.expect(401).text();
            assert!(page.contains(&format!("action=\"{path}\"")), "{path}: {page}");
            let has_file = ["/publish", "/admin/people/import"].contains(&path);
            assert_eq!(page.contains("A file has to be chosen again"), has_file, "{path}");
            let carried = carried(&page);
            let carried: Vec<_> = carried.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            assert!(carried.starts_with(typed), "{path}: {carried:?}");
            let again = read(&post(&ada, path, &carried).await.expect(200));
            for value in shown {
                assert!(again.contains(value), "{path} without {value}: {again}");
            }
            assert!(!again.contains("role=\"alert\""), "{path} complains: {again}");
        }
        assert_eq!(app.audit().await.len(), told, "nothing was done");
        assert!(!app.files().join("Plans").exists());
        app.signed_in_as(None).await.navigate("/").await.expect(403);
        let people = read(&ada.navigate("/admin/people").await.expect(200));
        assert!(!people.contains("new@contoso.com") && !people.contains(NO_ROLE), "{people}");
    }

    async fn a_confirmation_that_came_too_late_gives_nothing(app: TestApp) {
        let ada = app.signed_in_as(Role::Admin).await;
        let fields = [("email", "new@contoso.com"), ("role", "admin"), ("until", ""), ("note", "")];
        let asked = post(&ada, "/admin/person/grant", &fields).await.expect(200).text();
        let before = hidden(&asked, "before");
        let confirmed = [&fields[..], &[("before", &before)]].concat();
        let page = send(&app.visitor(), &app, "/admin/person/grant", &confirmed).await.expect(401).text();
        let carried = carried(&page);
        let carried: Vec<_> = carried.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let again = read(&post(&ada, "/admin/person/grant", &carried).await.expect(200));
        assert!(again.contains("<select id=\"role\"") && again.contains("new@contoso.com"), "{again}");
        assert!(!read(&ada.navigate("/admin/people").await.expect(200)).contains("new@contoso.com"));
        // The same, not kept, is what gives it.
        post(&ada, "/admin/person/grant", &confirmed).await.expect(303);
    }

    async fn a_change_of_files_that_came_too_late_is_asked_about_again_and_does_nothing(app: TestApp) {
        let editor = app.signed_in_as(Role::Editor).await;
        app.write("Plans/old & new.txt", "the plan");
        app.write("gone.txt", "gone");
        app.indexed().await;
        post(&editor, "/item/delete?path=gone.txt", &[]).await.expect(303);
        let (told, before) = (app.audit().await.len(), on_disk(&app));
        let of_file = "?path=Plans/old%20%26%20new.txt";
        for (path, typed, shown) in [
            (format!("/item/move{of_file}"), &[("folder", "Plans"), ("name", "new.txt")][..], "Plans/new.txt"),
            (format!("/item/title{of_file}"), &[("title", "The “plan”")], "The “plan”"),
            ("/item/folder?path=Plans".to_owned(), &[("name", "2026")], "Plans/2026"),
            ("/trash/1/restore".to_owned(), &[("folder", "Plans"), ("name", "back.txt")], "Plans/back.txt"),
        ] {
            for sure in [&[][..], &[("sure", "true")]] {
                let sent = [typed, sure].concat();
                let page = send(&app.visitor(), &app, &path, &sent).await.expect(401).text();
                assert!(page.contains(&format!("action=\"{path}\"")), "{path}: {page}");
                let carried = carried(&page);
                let carried: Vec<_> = carried.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
                assert_eq!(carried[..typed.len()], *typed, "{path}");
                assert!(carried.iter().all(|(name, _)| *name != "sure"), "{path}: {carried:?}");
                let again = read(&post(&editor, &path, &carried).await.expect(200));
                assert!(again.contains(shown) && again.contains("name=\"sure\""), "{path} without {shown}: {again}");
            }
        }
        assert_eq!(app.audit().await.len(), told, "nothing was done");
        assert_eq!(on_disk(&app), before, "nothing was moved or brought back");
        assert!(!app.files().join("Plans/2026").exists());
    }

    async fn what_would_be_done_at_once_is_not_carried_but_led_back_to_its_page(app: TestApp) {
        for path in DONE_AT_ONCE {
            let visitor = app.visitor();
            let page = send(&visitor, &app, path, &[("email", "ada@contoso.com"), ("before", "x")]).await.expect(401).text();
            assert!(!page.contains("<form") && !page.contains("ada@contoso.com"), "{path}: {page}");
            assert!(page.contains("/login?redirect_uri=%2Fadmin%2Fpeople%3Fq%3Da\""), "{path}: {page}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_form_about_a_long_name_goes_back_to_its_own_address() {
    let app = TestApp::start(crate::support::database::Backend::Sqlite).await;
    let folder = format!("{0}/{0}/{0}", "計画".repeat(33));
    assert_eq!(folder.chars().count(), 200);
    let path = format!(
        "/item/folder?path={}",
        portcullis::files::path::encode(&folder)
    );
    let page = send(&app.visitor(), &app, &path, &[("name", "2026")]).await;
    let page = page.expect(401).text();
    assert!(page.contains(&format!("action=\"{path}\"")), "{page}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_foreign_referer_leads_nowhere_else() {
    let app = TestApp::start(crate::support::database::Backend::Sqlite).await;
    let port = format!("{}9/evil", app.url);
    for referer in ["https://evil.example/x", "//evil.example", &port, "/admin"] {
        let headers = [
            ("sec-fetch-site", "same-origin"),
            ("referer", referer),
            ("accept", "text/html"),
        ];
        let visitor = app.visitor();
        let sent = visitor.send(Method::POST, "/account/sign-out", &headers, Vec::new());
        let page = sent.await.expect(401).text();
        assert!(
            page.contains("/login?redirect_uri=%2F\""),
            "{referer}: {page}"
        );
    }
}
