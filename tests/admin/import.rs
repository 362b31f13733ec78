//! Lists in and out, and taking things back.

use portcullis::roles::{Role, holdings};

use super::{give, hidden, post, read};
use crate::support::app::TestApp;
use crate::support::client::{Browser, Reply};
use crate::support::emulator::accounts::{ADA, KARL};
use crate::support::on_both;

/// Sends the import form as a browser does.
pub async fn send(admin: &Browser, fields: &[(&str, &str)], file: Option<&[u8]>) -> Reply {
    let mut body = Vec::new();
    for (name, value) in fields {
        body.extend(
            format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
                .bytes(),
        );
    }
    if let Some(file) = file {
        body.extend(b"--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"list.csv\"\r\nContent-Type: text/csv\r\n\r\n");
        body.extend(file);
        body.extend(b"\r\n");
    }
    body.extend(b"--b--\r\n");
    admin
        .post(
            "/admin/people/import",
            "multipart/form-data; boundary=b",
            body,
        )
        .await
}

/// Shows the differences and makes them.
pub async fn import(admin: &Browser, list: &str, complete: bool) -> Reply {
    let mut fields = vec![("list", list)];
    if complete {
        fields.push(("complete", "true"));
    }
    let shown = send(admin, &fields, None).await.expect(200).text();
    let plan = hidden(&shown, "plan");
    fields.push(("plan", &plan));
    send(admin, &fields, None).await
}

async fn everybody(app: &TestApp) -> Vec<String> {
    let mut conn = app.db.conn().await.unwrap();
    let everybody = holdings::holdings(&mut conn).await.unwrap();
    everybody
        .iter()
        .map(|(email, held)| format!("{email} {}", held.in_words(email)))
        .collect()
}

on_both! {
    async fn every_difference_is_shown_before_anything_changes(app: TestApp) {
        let ada = app.signed_in_as(Role::Admin).await;
        app.grant("old@x.example", Role::Reader).await;
        app.grant("same@x.example", Role::Reader).await;
        app.grant(KARL, Role::Reader).await;
        let list = format!("email,role,until,note\n{ADA},admin\nsame@x.example,reader,,\n{KARL},editor,2999-12-31,cover\nnew@x.example,reader\n");
        let before = everybody(&app).await;
        let shown = read(&send(&ada, &[("list", &list)], None).await.expect(200));
        assert!(shown.contains("1 added, 1 changed.") && shown.contains("editor until 2999-12-31 (“cover”)"), "{shown}");
        assert!(shown.contains("3 people stay as they are"), "{shown}");
        let complete = read(&send(&ada, &[("list", &list), ("complete", "true")], None).await.expect(200));
        assert!(complete.contains("1 added, 1 changed, 1 removed.") && complete.contains("old@x.example"), "{complete}");
        assert_eq!(everybody(&app).await, before, "so far nothing has changed");

        let done = import(&ada, &list, true).await.expect(303);
        assert_eq!(done.location(), "/admin/people?done=imported");
        assert_eq!(everybody(&app).await, [
            format!("{ADA} admin"), format!("{KARL} editor until 2999-12-31"), "new@x.example reader".to_owned(), "same@x.example reader".to_owned(),
        ]);
        let told: Vec<_> = app.audit().await.into_iter().filter(|row| row.detail.contains("\"source\":\"import\"")).collect();
        assert_eq!(told.len(), 3, "one row a person");
        assert!(told.iter().all(|row| row.reference == told[0].reference && row.actor == ADA));
    }

    async fn a_file_is_taken_and_wrong_lines_are_told_one_by_one(app: TestApp) {
        let ada = app.signed_in_as(Role::Admin).await;
        let file = "\u{FEFF}email;role;until\r\nada.byron@contoso.example;admin;\r\nnobody;reader;\r\nnew@x.example;owner;\r\nlate@x.example;reader;2001-01-01\r\nNEW@x.example;reader;\r\n";
        let page = read(&send(&ada, &[("list", "")], Some(file.as_bytes())).await.expect(422));
        for (line, why) in [("3", "no e-mail address"), ("4", "is no role"), ("5", "has passed"), ("6", "Line 4 names the same")] {
            let rest = page.split(&format!("<b>{line}</b>")).nth(1).unwrap_or_else(|| panic!("{line} in {page}"));
            assert!(rest.split("</tr>").next().unwrap().contains(why), "{line}: {why} in {page}");
        }
        assert!(page.contains("nobody;reader"), "what was sent is still there");
        let good = "e-mail\trole\r\nnew@x.example\treader\r\n";
        assert!(read(&send(&ada, &[], Some(good.as_bytes())).await.expect(200)).contains("1 added."));
        for (what, file) in [("nothing", &b""[..]), ("UTF-16", b"\xff\xfee\0m\0"), ("NUL", b"a\0b"), ("a quote", b"\"a@x.example,reader")] {
            let page = send(&ada, &[("list", "")], Some(file)).await.expect(422);
            assert!(page.text().contains("Nothing was changed"), "{what}");
        }
        let large = vec![b'x'; 13 << 20];
        let page = send(&ada, &[], Some(&large)).await.expect(422);
        assert!(page.text().contains("larger than 12 MiB"));
        ada.post("/admin/people/import", "application/json", "{}").await.expect(422);
        assert_eq!(everybody(&app).await.len(), 1);
    }

    async fn what_changed_since_it_was_shown_is_shown_again(app: TestApp) {
        let ada = app.signed_in_as(Role::Admin).await;
        let list = "new@x.example,reader\n";
        let shown = send(&ada, &[("list", list)], None).await.expect(200).text();
        let plan = hidden(&shown, "plan");
        app.grant("new@x.example", Role::Editor).await;
        let again = read(&send(&ada, &[("list", list), ("plan", &plan)], None).await.expect(409));
        assert!(again.contains("Roles were changed since") && again.contains("1 changed."), "{again}");
        // A list that was tampered with on the way is another plan.
        let other = "new@x.example,admin\n";
        send(&ada, &[("list", other), ("plan", &plan)], None).await.expect(409);
        assert!(everybody(&app).await.contains(&"new@x.example editor".to_owned()));
    }

    async fn a_list_cannot_remove_the_last_admin(app: TestApp) {
        let ada = app.signed_in_as(Role::Admin).await;
        let list = "new@x.example,reader\n";
        let shown = send(&ada, &[("list", list), ("complete", "true")], None).await.expect(200);
        let page = read(&shown);
        assert!(page.contains("Nobody would be left") && !page.contains("Make these changes"), "{page}");
        let plan = hidden(&shown.text(), "plan");
        send(&ada, &[("list", list), ("complete", "true"), ("plan", &plan)], None).await.expect(200);
        assert_eq!(everybody(&app).await, [format!("{ADA} admin")]);
    }

    async fn an_export_comes_back_as_it_went_and_holds_no_formula(app: TestApp) {
        let ada = app.signed_in_as(Role::Admin).await;
        give(&ada, "=cmd@x.example", "reader", "2999-12-31", "=HYPERLINK(\"x\"),\"so\"").await.expect(303);
        give(&ada, "+x@x.example", "editor", "", "@SUM").await.expect(303);
        app.execute("INSERT INTO dim.user_roles (email, role) VALUES ('robot@x.example', 'owner'), ('Mixed@x.example', 'reader')").await;
        let export = ada.get("/admin/people/export").await.expect(200);
        assert_eq!(export.header("content-disposition"), "attachment; filename=\"people.csv\"");
        let text = export.text();
        for cell in text.lines().flat_map(|line| line.split(',')) {
            assert!(!cell.trim_matches('"').starts_with(['=', '+', '-', '@']), "{cell} in {text}");
        }
        assert!(text.contains("'=cmd@x.example,reader,2999-12-31,\"'=HYPERLINK(\"\"x\"\"),\"\"so\"\"\""), "{text}");
        assert_eq!(app.audited("roles_exported").await.actor, ADA);
        let shown = read(&send(&ada, &[("complete", "true")], Some(text.as_bytes())).await.expect(200));
        assert!(shown.contains("Nothing would change."), "{shown}");
    }

    async fn an_import_is_taken_back_from_the_audit(app: TestApp) {
        let ada = app.signed_in_as(Role::Admin).await;
        app.grant("old@x.example", Role::Reader).await;
        give(&ada, KARL, "reader", "2999-12-31", "cover").await.expect(303);
        app.execute("INSERT INTO dim.user_roles (email, role) VALUES ('Twice@x.example', 'reader'), ('TWICE@x.example', 'owner')").await;
        let before = everybody(&app).await;
        let list = format!("{ADA},admin\n{KARL},editor,,\nnew@x.example,reader\ntwice@x.example,editor\n");
        import(&ada, &list, true).await.expect(303);
        assert_ne!(everybody(&app).await, before);
        let event = app.audit().await.into_iter().find(|row| row.detail.contains("import")).unwrap().id;
        let path = format!("/admin/audit/undo?event={event}");
        let asked = ada.navigate(&path).await.expect(200);
        assert!(read(&asked).contains("1 added, 2 changed, 1 removed."), "{}", read(&asked));
        let plan = hidden(&asked.text(), "plan");
        let event = event.to_string();
        post(&ada, "/admin/audit/undo", &[("event", &event), ("plan", "x")]).await.expect(409);
        post(&ada, "/admin/audit/undo", &[("event", &event), ("plan", &plan)]).await.expect(303);
        assert_eq!(everybody(&app).await, before);
        // A second time there is nothing left to take back.
        let asked = read(&ada.navigate(&path).await.expect(200));
        assert!(asked.contains("Nothing would change.") && asked.contains("has been changed since"), "{asked}");
        // And the undoing itself can be undone.
        let undone = app.audit().await.into_iter().find(|row| row.detail.contains("\"source\":\"undo\"")).unwrap().id.to_string();
        let asked = ada.navigate(&format!("/admin/audit/undo?event={undone}")).await.expect(200).text();
        post(&ada, "/admin/audit/undo", &[("event", &undone), ("plan", &hidden(&asked, "plan"))]).await.expect(303);
        assert!(everybody(&app).await.contains(&"new@x.example reader".to_owned()));
    }

    async fn one_change_is_taken_back_alone_and_not_when_it_leaves_no_admin(app: TestApp) {
        let ada = app.signed_in_as(Role::Admin).await;
        give(&ada, KARL, "admin", "", "").await.expect(303);
        let event = app.audited("role_granted").await.id.to_string();
        let asked = ada.navigate(&format!("/admin/audit/undo?event={event}")).await.expect(200).text();
        let plan = hidden(&asked, "plan");
        app.execute("DELETE FROM dim.user_roles WHERE email = 'ada.byron@contoso.example'; INSERT INTO dim.user_roles (email, role) VALUES ('ada.byron@contoso.example', 'reader')").await;
        app.state.people.forget(ADA);
        let karl = app.visitor();
        app.sign_in(&karl, KARL, "/admin").await.expect(200);
        let page = post(&karl, "/admin/audit/undo", &[("event", &event), ("plan", &plan)]).await.expect(422).text();
        assert!(page.contains("Nobody would be left"), "{page}");
        app.grant(ADA, Role::Admin).await;
        post(&karl, "/admin/audit/undo", &[("event", &event), ("plan", &plan)]).await.expect(303);
        karl.get("/admin").await.expect(403);
    }

    async fn an_export_of_odd_rows_changes_nothing_when_it_comes_back(app: TestApp) {
        let ada = app.signed_in_as(Role::Admin).await;
        give(&ada, "twice@x.example", "reader", "2999-12-31", "a; -b").await.expect(303);
        app.execute("INSERT INTO dim.user_roles (email, role) VALUES ('Twice@x.example', 'editor'), ('TWO@x.example', 'reader'), ('Two@x.example', 'admin'),
            (' Spaced@x.example', 'reader'), ('Üml@x.example', 'reader'), ('robot@x.example', ' Owner'), ('=odd@x.example\n', 'reader'),
            ('karl.weber@contoso.example\r\n', 'reader'), ('karl.weber@contoso.example', 'reader'), ('\t', 'reader'), ('', 'reader')").await;
        let before = everybody(&app).await;
        let text = ada.get("/admin/people/export").await.expect(200).text();
        for complete in [&[][..], &[("complete", "true")]] {
            let shown = read(&send(&ada, complete, Some(text.as_bytes())).await.expect(200));
            assert!(shown.contains("Nothing would change.") && shown.contains(&format!("{} people stay as they are", before.len())), "{shown}");
        }
        // One of them changed is no row for somebody else, and one of two spellings cannot say something alone.
        for (old, new, why) in [
            (" Spaced@x.example,reader", " Spaced@x.example,editor", "Nobody can sign in under this address"),
            ("Üml@x.example,reader", "Üml@x.example,editor", "Nobody can sign in under this address"),
            ("Two@x.example,admin", "Two@x.example,editor", "names the same address already"),
        ] {
            let list = text.replace(old, new);
            assert_ne!(list, text, "{old} in {text}");
            let shown = read(&send(&ada, &[], Some(list.as_bytes())).await.expect(422));
            assert!(shown.contains(why), "{old}: {shown}");
        }
        // Left out of a list that is everybody, they go, and a plain address keeps its spelling's rows.
        let kept: String = text.lines().filter(|line| line.contains("ada.byron") || line.starts_with("email")).map(|line| format!("{line}\n")).collect();
        import(&ada, &kept, true).await.expect(303);
        assert_eq!(everybody(&app).await, [format!("{ADA} admin")]);
    }

    async fn of_very_many_wrong_lines_the_first_are_shown_and_the_others_counted(app: TestApp) {
        let ada = app.signed_in_as(Role::Admin).await;
        let list: String = (0..250).map(|number| format!("nobody{number},reader\n")).collect();
        let page = read(&send(&ada, &[("list", &list)], None).await.expect(422));
        assert!(page.contains("<b>200</b>") && !page.contains("<b>201</b>") && page.contains("And 50 more."), "{page}");
    }
}
