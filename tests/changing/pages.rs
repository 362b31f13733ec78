//! The pages: what they show, that they ask first, and that what cannot be taken comes back as it was typed.

use portcullis::files::path::encode;
use portcullis::roles::Role;

use super::{delete, visible};
use crate::publishing::form::{Form, file};
use crate::support::client::{Browser, Reply};
use crate::support::on_both;

const FORM: &str = "application/x-www-form-urlencoded";

async fn post(browser: &Browser, path: &str, body: &str) -> Reply {
    browser.post(path, FORM, body).await
}

on_both! {
    async fn the_page_of_a_file_says_what_it_is_and_offers_changes_to_editors_alone(app: TestApp) {
        let editor = app.signed_in_as(Role::Editor).await;
        let reader = app.signed_in_as(Role::Reader).await;
        Form::new().text("folder", "Finance").text("title", "The <i>year</i>").file("a b.txt", "hello").publish(&editor).await.expect(201);
        let page = editor.navigate("/item?path=Finance%2Fa%20b.txt").await.expect(200).text();
        for text in ["5 bytes", crate::publishing::HELLO, "/api/files/Finance/a%20b.txt", "/item/move?path=", "/item/delete?path=", "/item/replace?path=Finance%2Fa%20b.txt"] {
            assert!(page.contains(text), "{text} is not in {page}");
        }
        assert!(!page.contains("<i>"), "markup in a title");
        let page = reader.navigate("/item?path=Finance%2Fa%20b.txt").await.expect(200).text();
        assert!(page.contains(crate::publishing::HELLO) && !page.contains("/item/move") && !page.contains("/trash"), "{page}");
        for page in ["/?folder=Finance", "/?q=a"] {
            assert!(reader.navigate(page).await.expect(200).text().contains("/item?path=Finance"), "the list leads there");
        }
        let folder = editor.navigate("/item?path=Finance").await.expect(200).text();
        assert!(folder.contains("1 file") && folder.contains("/item/folder?path=Finance"), "{folder}");
        for absent in ["", "?path=", "?path=/", "?path=absent.txt", "?path=..", "?path=.portcullis", "?path=Finance/absent"] {
            let page = editor.navigate(&format!("/item{absent}")).await.expect(404).text();
            assert!(page.contains("All files"), "the way back: {page}");
        }
    }

    async fn everything_is_asked_before_it_is_done(app: TestApp) {
        let editor = app.signed_in_as(Role::Editor).await;
        file("a.txt", "hello").publish(&editor).await.expect(201);
        app.write("f/x.txt", "x");
        for (path, body, then) in [
            ("/item/move?path=a.txt", "folder=f&name=b.txt", "f/b.txt"),
            ("/item/title?path=a.txt", "title=New", "New"),
            ("/item/folder?path=f", "name=new", "f/new"),
        ] {
            let page = post(&editor, path, body).await.expect(200).text();
            assert!(page.contains(then) && page.contains("name=\"sure\""), "{page}");
        }
        editor.navigate("/item/delete?path=a.txt").await.expect(200);
        assert_eq!(visible(&app), ["a.txt", "f/x.txt"]);
        assert!(!app.files().join("f/new").exists());
        let done = post(&editor, "/item/title?path=a.txt", "title=New&sure=true").await.expect(303);
        assert_eq!(done.location(), "/item?path=a.txt&done=titled");
        let done = post(&editor, "/item/folder?path=f", "name=new&sure=true").await.expect(303);
        assert_eq!(done.location(), "/?folder=f%2Fnew");
        let done = post(&editor, "/item/move?path=a.txt", "folder=f%2Fnew&name=b.txt&sure=true").await.expect(303);
        assert_eq!(done.location(), "/item?path=f%2Fnew%2Fb.txt&done=moved");
        assert!(editor.navigate(done.location()).await.expect(200).text().contains("It has its new place."));
        let done = post(&editor, "/item/delete?path=f%2Fnew%2Fb.txt", "sure=true").await.expect(303);
        assert_eq!(done.location(), "/?folder=f%2Fnew");
        assert_eq!(visible(&app), ["f/x.txt"]);
        // The folder that it came from may be gone as well.
        std::fs::remove_dir(app.files().join("f/new")).unwrap();
        let trash = editor.navigate("/trash").await.expect(200).text();
        let id = trash.split("/trash/").nth(1).unwrap().split('/').next().unwrap();
        let address = format!("/trash/{id}/restore");
        let page = editor.navigate(&address).await.expect(200).text();
        assert!(page.contains("value=\"f/new\"") && page.contains("value=\"b.txt\""), "{page}");
        post(&editor, &address, "folder=f%2Fnew&name=b.txt").await.expect(200);
        let done = post(&editor, &address, "folder=f%2Fnew&name=b.txt&sure=true").await.expect(303);
        assert_eq!(done.location(), "/item?path=f%2Fnew%2Fb.txt&done=restored");
        assert_eq!(visible(&app), ["f/new/b.txt", "f/x.txt"]);
    }

    async fn what_cannot_be_taken_comes_back_with_a_sentence_beside_its_field(app: TestApp) {
        let editor = app.signed_in_as(Role::Editor).await;
        for path in ["a.txt", "taken.txt", "Folder/x.txt"] {
            app.write(path, "x");
        }
        let id = delete(&editor, "Folder/x.txt").await;
        app.write("Folder/x.txt", "newer");
        for (path, body, status, field) in [
            ("/item/move?path=a.txt".to_owned(), "folder=&name=taken.txt", 409, "name"),
            ("/item/move?path=a.txt".to_owned(), "folder=&name=CON", 422, "name"),
            ("/item/move?path=a.txt".to_owned(), "folder=&name=", 422, "name"),
            ("/item/move?path=a.txt".to_owned(), "folder=&name=a.txt", 422, "name"),
            ("/item/move?path=a.txt".to_owned(), "folder=Absent&name=b.txt", 404, "folder"),
            ("/item/move?path=a.txt".to_owned(), "folder=..&name=b.txt", 422, "folder"),
            ("/item/move?path=Folder".to_owned(), "folder=Folder&name=x", 422, "folder"),
            ("/item/title?path=a.txt".to_owned(), "title=a%0Ab", 422, "title"),
            ("/item/folder?path=".to_owned(), "name=folder", 409, "name"),
            ("/item/folder?path=".to_owned(), "name=", 422, "name"),
            (format!("/trash/{id}/restore"), "folder=Folder&name=x.txt", 409, "name"),
            (format!("/trash/{id}/restore"), "folder=Absent&name=y.txt", 404, "folder"),
        ] {
            for sure in ["", "&sure=true"] {
                let page = post(&editor, &path, &format!("{body}{sure}")).await.expect(status).text();
                assert!(page.contains(&format!("href=\"#{field}\"")) && page.contains(&format!("id=\"{field}-problem\"")), "{path} {body}: {page}");
                for pair in body.split('&').filter(|pair| !pair.contains('%')) {
                    let value = pair.split_once('=').unwrap().1;
                    assert!(page.contains(&format!("value=\"{value}\"")), "{value} was typed: {page}");
                }
            }
        }
        assert_eq!(visible(&app), ["Folder/x.txt", "a.txt", "taken.txt"]);
        for path in ["/item/move", "/item/title", "/item/delete"] {
            post(&editor, &format!("{path}?path=gone.txt"), "sure=true").await.expect(404);
        }
    }

    async fn long_names_and_titles_are_shown_whole_and_escaped(app: TestApp) {
        let editor = app.signed_in_as(Role::Editor).await;
        let name = format!("{}&'.txt", "ü".repeat(120));
        app.write(&name, "x");
        let address = format!("/item?path={}", portcullis::files::path::encode(&name));
        let page = editor.navigate(&address).await.expect(200).text();
        assert!(page.contains(&"ü".repeat(120)) && !page.contains("&'."), "{page}");
    }

    async fn a_page_refuses_what_was_changed_since_it_was_shown(app: TestApp) {
        let editor = app.signed_in_as(Role::Editor).await;
        let sentence = "Somebody changed it since this page was shown";
        app.write("beside.txt", "x");
        for (address, body) in [
            ("/item/move?path=a.txt", "folder=&name=b.txt"),
            ("/item/title?path=a.txt", "title=New"),
            ("/item/delete?path=a.txt", ""),
        ] {
            file("a.txt", "seen").text("title", "Old").text("overwrite", "true").publish(&editor).await.expect(201);
            let shown = editor.navigate(address).await.expect(200).text();
            let carried = |page: &str| format!("{body}&etag={}&was={}", encode(&hidden(page, "etag")), encode("Old"));
            let asked = match body {
                "" => shown,
                _ => post(&editor, address, &carried(&shown)).await.expect(200).text(),
            };
            let sure = format!("{}&sure=true", carried(&asked));
            file("a.txt", "somebody else's").text("overwrite", "true").publish(&editor).await.expect(201);
            // Asked before or after it was confirmed: what is there is not what was seen.
            for body in [sure.replace("&sure=true", ""), sure] {
                let page = post(&editor, address, &body).await.expect(412).text();
                assert!(page.contains(sentence), "{address}: {page}");
                let fresh = editor.get("/api/items/a.txt").await.expect(200).header("etag").to_owned();
                assert_eq!(hidden(&page, "etag"), fresh, "{address} is shown anew");
            }
            let item = editor.get("/api/items/a.txt").await.expect(200).json();
            assert_eq!(item["title"], "Old", "{address}");
            assert_eq!(visible(&app), ["a.txt", "beside.txt"], "{address}");
            let page = editor.navigate(address).await.expect(200).text();
            post(&editor, address, &format!("{}&sure=true", carried(&page))).await.expect(303);
            for name in ["a.txt", "b.txt"] {
                let _ = std::fs::remove_file(app.files().join(name));
            }
            app.indexed().await;
        }
    }

    async fn a_title_that_somebody_else_gave_is_not_written_over(app: TestApp) {
        let editor = app.signed_in_as(Role::Editor).await;
        file("a.txt", "x").text("title", "First").publish(&editor).await.expect(201);
        let address = "/item/title?path=a.txt";
        let page = editor.navigate(address).await.expect(200).text();
        assert_eq!(hidden(&page, "was"), "First");
        let body = format!("title=Mine&etag={}&was=First", encode(&hidden(&page, "etag")));
        post(&editor, address, "title=Theirs&sure=true").await.expect(303);
        for sure in ["", "&sure=true"] {
            let page = post(&editor, address, &format!("{body}{sure}")).await.expect(412).text();
            assert!(page.contains("Its title is “Theirs” now.") && page.contains("value=\"Mine\""), "{page}");
            assert_eq!(hidden(&page, "was"), "Theirs");
        }
        assert_eq!(editor.get("/api/items/a.txt").await.expect(200).json()["title"], "Theirs");
        post(&editor, address, &format!("{}&sure=true", body.replace("was=First", "was=Theirs"))).await.expect(303);
        assert_eq!(editor.get("/api/items/a.txt").await.expect(200).json()["title"], "Mine");
    }

    async fn a_folder_that_got_another_file_meanwhile_is_not_deleted(app: TestApp) {
        let editor = app.signed_in_as(Role::Editor).await;
        app.write("beside.txt", "x");
        app.write("f/g/1.txt", "x");
        app.indexed().await;
        let address = "/item/delete?path=f";
        let page = editor.navigate(address).await.expect(200).text();
        let body = |page: &str| format!("sure=true&etag={}&files={}", encode(&hidden(page, "etag")), hidden(page, "files"));
        app.write("f/g/2.txt", "x");
        app.indexed().await;
        let again = post(&editor, address, &body(&page)).await.expect(412).text();
        assert!(again.contains("2 files") && again.contains("role=\"alert\""), "{again}");
        assert_eq!(visible(&app), ["beside.txt", "f/g/1.txt", "f/g/2.txt"]);
        post(&editor, address, &body(&again)).await.expect(303);
        assert_eq!(visible(&app), ["beside.txt"]);
    }

    async fn what_goes_is_shown_before_a_file_is_replaced(app: TestApp) {
        let editor = app.signed_in_as(Role::Editor).await;
        let form = Form::new().text("folder", "Finance").text("title", "The <i>year</i>");
        form.file("a b.txt", "hello").publish(&editor).await.expect(201);
        let address = "/item/replace?path=Finance%2Fa%20b.txt";
        let page = editor.navigate(address).await.expect(200).text();
        for text in ["5 bytes", "The &#60;i&#62;year", crate::support::app::account(Some(Role::Editor)), "multipart/form-data", "accept=\".txt\""] {
            assert!(page.contains(text), "{text} is not in {page}");
        }
        assert!(!page.contains(" checked") && page.contains("name=\"overwrite\""), "it is for the person to say: {page}");
        let etag = hidden(&page, "etag");
        let sent = |etag: &str, yes: &str| Form::new().text("etag", etag).text("overwrite", yes);
        for (form, status, sentence) in [
            (sent(&etag, "").file("a b.txt", "new"), 422, "Say that it shall be replaced"),
            (sent("", "true").file("a b.txt", "new"), 412, "Somebody changed it"),
            (sent(&etag, "true").file("a b.exe", "new"), 422, "another kind of file"),
            (sent(&etag, "true"), 422, "There is no file"),
            (sent(&etag, "true").file("a.txt", "1").file("b.txt", "2"), 422, "one file"),
            (sent("\"0-0-0\"", "true").file("a b.txt", "new"), 412, "Somebody changed it"),
        ] {
            let page = form.submit(&editor, address).await.expect(status).text();
            assert!(page.contains(sentence) && page.contains("role=\"alert\"") && page.contains("5 bytes"), "{sentence}: {page}");
            assert!(!page.contains(" checked"), "{page}");
        }
        assert_eq!(editor.get("/api/files/Finance/a%20b.txt").await.expect(200).text(), "hello");
        // A copy that a browser gave another number is meant for the same place.
        let done = sent(&etag, "true").file("a b (1).TXT", "newer").submit(&editor, address).await.expect(303);
        assert_eq!(done.location(), "/item?path=Finance%2Fa%20b.txt&done=replaced");
        assert!(editor.navigate(done.location()).await.expect(200).text().contains("It holds the new content."));
        let item = editor.get("/api/items/Finance/a%20b.txt").await.expect(200).json();
        assert_eq!((&item["title"], &item["size"]), (&"The <i>year</i>".into(), &5.into()));
        assert_eq!(editor.get("/api/files/Finance/a%20b.txt").await.expect(200).text(), "newer");
        assert_eq!(visible(&app), ["Finance/a b.txt"]);
        // Whoever saw the old one is shown what is there now.
        sent(&etag, "true").file("a b.txt", "late").submit(&editor, address).await.expect(412);
        assert_eq!(editor.get("/api/files/Finance/a%20b.txt").await.expect(200).text(), "newer");
        // No link ticks the box beforehand.
        let form = editor.navigate("/publish?folder=Finance&overwrite=true").await.expect(200).text();
        assert!(!form.contains(" checked"), "{form}");
    }
}

/// The value of a hidden field.
fn hidden(page: &str, name: &str) -> String {
    let field = format!("type=\"hidden\" name=\"{name}\" value=\"");
    let (_, rest) = page
        .split_once(&field)
        .unwrap_or_else(|| panic!("no {name} in {page}"));
    let value = rest.split_once('"').unwrap().0;
    value.replace("&#34;", "\"")
}
