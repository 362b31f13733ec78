//! The pages: what they show, that they ask first, and that what cannot be taken comes back as it was typed.

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
        for text in ["5 bytes", crate::publishing::HELLO, "/api/files/Finance/a%20b.txt", "/item/move?path=", "/item/delete?path=", "/publish?folder=Finance"] {
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
}
