//! Every page in a real browser, on a phone and on a desk, in light and in dark, with axe looking for what shuts people
//! out. A new page is a line in the table. `PORTCULLIS_PICTURES=FOLDER` keeps a picture of each.

use portcullis::clock;
use portcullis::db::{Conn, DbError};
use portcullis::roles::{Role, Wanted};

use crate::support::app::TestApp;
use crate::support::chromium::{Chromium, shapes};
use crate::support::database::Backend;
use crate::support::emulator::accounts::{ADA, GRACE, KARL, NO_ROLE};

/// Whose eyes, a name for the picture, and the address.
const PAGES: &[(Eyes, &str, &str)] = &[
    (Eyes::Visitor, "signed-out", "/signed-out"),
    (Eyes::Visitor, "docs", "/docs"),
    (Eyes::NoRole, "no-role", "/"),
    (Eyes::NoRole, "ask", "/account/access-request"),
    (Eyes::Admin, "catalogue", "/"),
    (Eyes::Admin, "catalogue-odd", "/?folder=Odd%20names"),
    (Eyes::Admin, "catalogue-pages", "/?folder=Many"),
    (Eyes::Admin, "search", "/?q=revenue"),
    (Eyes::Admin, "search-none", "/?q=nothing-that-is-there"),
    (
        Eyes::Admin,
        "preview-text",
        "/preview/Odd%20names/Notes.txt",
    ),
    (
        Eyes::Admin,
        "preview-picture",
        "/preview/Odd%20names/Drawing.svg",
    ),
    (
        Eyes::Admin,
        "preview-sound",
        "/preview/Odd%20names/Tone.wav",
    ),
    (
        Eyes::Admin,
        "preview-unknown",
        "/preview/Reports/2026/Revenue.pdf",
    ),
    (Eyes::Admin, "preview-long", "/preview/Odd%20names/LONG"),
    (Eyes::Admin, "zip-nothing", "/api/zip"),
    (Eyes::Admin, "publish", "/publish"),
    (
        Eyes::Admin,
        "item",
        "/item?path=Reports/2026/Revenue.pdf&done=moved",
    ),
    (Eyes::Admin, "item-folder", "/item?path=Reports"),
    (Eyes::Admin, "item-long", "/item?path=Odd%20names/LONG"),
    (Eyes::Admin, "item-gone", "/item?path=gone.txt"),
    (
        Eyes::Admin,
        "item-move",
        "/item/move?path=Reports/2026/Revenue.pdf",
    ),
    (Eyes::Admin, "item-title", "/item/title?path=Welcome.txt"),
    (
        Eyes::Admin,
        "item-replace",
        "/item/replace?path=Welcome.txt",
    ),
    (Eyes::Admin, "item-new-folder", "/item/folder?path=Reports"),
    (Eyes::Admin, "item-delete", "/item/delete?path=Reports"),
    (Eyes::Admin, "trash", "/trash?done=removed"),
    (Eyes::Admin, "trash-restore", "/trash/1/restore"),
    (Eyes::Admin, "trash-remove", "/trash/1/remove"),
    (Eyes::Admin, "account", "/account"),
    (Eyes::Admin, "absent", "/absent"),
    (Eyes::Admin, "overview", "/admin"),
    (Eyes::Admin, "overview-90", "/admin?days=90"),
    (Eyes::Admin, "people", "/admin/people"),
    (Eyes::Admin, "people-odd", "/admin/people?show=odd"),
    (Eyes::Admin, "people-none", "/admin/people?q=nobody-at-all"),
    (
        Eyes::Admin,
        "person",
        "/admin/person?email=karl.weber%40contoso.example",
    ),
    (
        Eyes::Admin,
        "person-gone",
        "/admin/person?email=nobody%40x.example",
    ),
    (Eyes::Admin, "add", "/admin/person/grant"),
    (
        Eyes::Admin,
        "change",
        "/admin/person/grant?email=karl.weber%40contoso.example",
    ),
    (
        Eyes::Admin,
        "remove",
        "/admin/person/remove?email=karl.weber%40contoso.example",
    ),
    (
        Eyes::Admin,
        "tidy",
        "/admin/person/tidy?email=m.lovelace%40contoso.example",
    ),
    (
        Eyes::Admin,
        "tidy-not",
        "/admin/person/tidy?email=twice%40contoso.example",
    ),
    (
        Eyes::Admin,
        "person-odd",
        "/admin/person?email=%20odd%40contoso.example",
    ),
    (Eyes::Admin, "import", "/admin/people/import"),
    (Eyes::Admin, "requests", "/admin/requests"),
    (Eyes::Admin, "request", "/admin/request?id=1"),
    (Eyes::Admin, "audit", "/admin/audit"),
    (Eyes::Admin, "audit-wrong", "/admin/audit?from=yesterday"),
    (
        Eyes::Admin,
        "audit-none",
        "/admin/audit?reference=0000-0000",
    ),
    (Eyes::Admin, "undo", "/admin/audit/undo?event=EVENT"),
    (
        Eyes::Admin,
        "why",
        "/admin/why?email=karl.weber%40contoso.example&path=Reports/2026/Revenue.pdf",
    ),
    (
        Eyes::Admin,
        "why-not",
        "/admin/why?email=no.role%40contoso.example",
    ),
    (Eyes::Admin, "folders", "/admin/folders?folder=Reports"),
    (Eyes::Admin, "diagnostics", "/admin/diagnostics"),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Eyes {
    Visitor,
    NoRole,
    Admin,
}

/// As long as a name may be, and without a place to break.
fn long_name() -> String {
    format!("{}.txt", "Quarterly".repeat(27))
}

/// Files to look at, and names that are hard to lay out.
fn odd_names(app: &TestApp) {
    let drawing = "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"640\" height=\"360\"><rect width=\"640\" height=\"360\" fill=\"#1a5069\"/>\
                   <circle cx=\"320\" cy=\"180\" r=\"120\" fill=\"#f0b860\"/></svg>";
    let text = "What was agreed\n\n- one line\n- a long line that goes on and on, further than a phone is wide, and has to break somewhere\n".repeat(12);
    for (name, content) in [
        ("Drawing.svg", drawing),
        ("Notes.txt", &text),
        ("Tone.wav", "RIFF"),
        (&long_name(), "x".repeat(2_000).as_str()),
        ("Übersicht „Q3“ & <b>more</b>.xlsx", "x"),
        ("deep/er/file.txt", "x"),
    ] {
        app.write(&format!("Odd names/{name}"), content);
    }
}

async fn lived_in() -> (TestApp, i64) {
    let app = TestApp::start(Backend::Sqlite).await;
    app.write("Reports/2026/Revenue.pdf", vec![7; 3_100_000]);
    app.write("Welcome.txt", "hello");
    odd_names(&app);
    for number in 1..=101 {
        app.write(&format!("Many/{number}.txt"), "x");
    }
    let ada = app.signed_in_as(Role::Admin).await;
    app.signed_in_as(Role::Editor).await;
    let karl = app.signed_in_as(Role::Reader).await;
    let in_days = |days: i64| clock::now() + days * 86_400 * clock::SECOND;
    let wanted = |role, ends_at, note: &str| Wanted {
        role,
        ends_at,
        note: Some(note.to_owned()).filter(|note| !note.is_empty()),
    };
    app.grant(
        KARL,
        wanted(Role::Reader, Some(in_days(5)), "cover for Grace’s holiday"),
    )
    .await;
    app.grant(GRACE, wanted(Role::Editor, Some(in_days(200)), ""))
        .await;
    app.execute(
        "INSERT INTO dim.user_roles (email, role) VALUES ('M.Lovelace@contoso.example', 'reader'), ('robot@contoso.example', 'owner'),
         ('Twice@contoso.example', 'reader'), ('TWICE@contoso.example', 'editor'), (' odd@contoso.example', 'reader')",
    )
    .await;
    for number in 0..20 {
        app.grant(&format!("person{number}@contoso.example"), Role::Reader)
            .await;
    }
    for path in [
        "/api/files/Reports/2026/Revenue.pdf",
        "/api/files/Welcome.txt",
        "/api/files/Welcome.txt",
    ] {
        karl.get(path).await.expect(200);
        ada.get(path).await.expect(200);
    }
    karl.get("/admin").await.expect(403);
    let nobody = app.signed_in_as(None).await;
    nobody.navigate("/").await.expect(403);
    nobody
        .post("/account/access-request", "text/plain", "")
        .await
        .expect(303);
    app.write("Reports/Old figures.xlsx", "old");
    for path in [
        "/api/folders/Archive",
        "/api/items/Reports/Old%20figures.xlsx",
    ] {
        app.write("Archive/1.txt", "x");
        app.indexed().await;
        crate::changing::send(&ada, "DELETE", path, serde_json::Value::Null)
            .await
            .expect(200);
    }
    spread_over_days(&app).await;
    app.sealed().await;
    let event = app.audited("role_granted").await.id;
    (app, event)
}

/// Figures of the last ninety days, as if the portal had run since.
async fn spread_over_days(app: &TestApp) {
    use portcullis::audit::daily::{ACTION, FILE, PERSON, Sum, add, key};
    let today = clock::day(clock::now());
    let mut sums = std::collections::BTreeMap::new();
    for back in 1..90 {
        let wave = 40 + (back * 37 % 53) - if back % 7 < 2 { 35 } else { 0 };
        let day = today - back;
        let sum = |events: i64, bytes: i64| Sum { events, bytes };
        sums.insert(
            key(ACTION, day, "downloaded"),
            sum(wave * 3, wave * 4_100_000),
        );
        sums.insert(key(ACTION, day, "signed_in"), sum(wave, 0));
        sums.insert(
            key(ACTION, day, "access_refused"),
            sum(back * 7 % 11 / 4, 0),
        );
        sums.insert(
            key(FILE, day, "Reports/2026/Revenue.pdf"),
            sum(wave, wave * 3_100_000),
        );
        sums.insert(
            key(FILE, day, "Handbook/How to publish.md"),
            sum(wave / 2, wave * 2_100),
        );
        sums.insert(key(PERSON, day, KARL), sum(wave, wave * 2_000_000));
        sums.insert(key(PERSON, day, GRACE), sum(wave / 3, wave * 900_000));
    }
    app.db
        .transaction::<_, DbError>(async |conn: &mut Conn| add(conn, &sums).await)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_page_shuts_anybody_out() {
    let (app, event) = lived_in().await;
    let Some(browser) = Chromium::start(true).await else {
        return;
    };
    let (mut wrong, mut eyes) = (Vec::new(), Eyes::Visitor);
    for (whose, name, path) in PAGES {
        let url = address(&app, path, event);
        if eyes != *whose {
            become_one(&browser, &app, *whose).await;
            eyes = *whose;
        }
        for &(width, dark) in shapes() {
            browser.emulate(width, dark).await;
            browser.open(&url).await;
            let shape = format!("{width}{}", if dark { " dark" } else { "" });
            wrong.extend(shuts_out(&browser, &format!("{path} at {shape}")).await);
            keep_picture(&browser, &format!("{name}-{}", shape.replace(' ', "-"))).await;
        }
    }
    browser.close().await;
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Keeps a picture of what is shown where `PORTCULLIS_PICTURES` wants it.
pub async fn keep_picture(browser: &Chromium, name: &str) {
    let Some(folder) = std::env::var_os("PORTCULLIS_PICTURES").map(std::path::PathBuf::from) else {
        return;
    };
    std::fs::write(folder.join(format!("{name}.png")), browser.picture().await).unwrap();
}

/// What is wrong with the page as it is shown now.
async fn shuts_out(browser: &Chromium, what: &str) -> Vec<String> {
    let violations = browser.violations().await;
    let mut wrong: Vec<String> = violations
        .iter()
        .map(|found| format!("{what}: {found}"))
        .collect();
    if wider_than_its_window(browser).await {
        wrong.push(format!("{what}: scrolls sideways"));
    }
    wrong
}

/// Where a form of the admin portal is posted to, its fields, and the heading of what comes back: to be confirmed, or to be
/// mended (422), or shown anew since something else changed (409).
const POSTED: &[(&str, Fields, &str)] = &[
    (
        "/admin/person/grant",
        &[
            ("email", NEW),
            ("role", "reader"),
            ("until", "2999-12-31"),
            ("note", "cover"),
        ],
        "Is this right?",
    ),
    (
        "/admin/person/grant",
        &[("email", NEW), ("role", "reader"), ("before", "older")],
        "Is this right?",
    ),
    (
        "/admin/person/grant",
        &[("email", "not an address"), ("role", "reader")],
        "Add a person",
    ),
    (
        "/admin/person/grant",
        &[("email", NEW), ("role", ""), ("note", "kept")],
        "Add a person",
    ),
    (
        "/admin/person/grant",
        &[("email", KARL), ("role", "reader"), ("until", "2001-01-01")],
        "Change a role",
    ),
    (
        "/admin/person/remove",
        &[("email", KARL), ("before", "older")],
        "Take the role away?",
    ),
    (
        "/admin/person/tidy",
        &[("email", "m.lovelace@contoso.example"), ("before", "older")],
        "Make one row of it?",
    ),
    (
        "/admin/people/import",
        &[
            (
                "list",
                "new@contoso.example,reader\nkarl.weber@contoso.example,editor,2999-12-31,cover",
            ),
            ("complete", "true"),
        ],
        "What the list changes",
    ),
    (
        "/admin/people/import",
        &[("list", "new@contoso.example,reader"), ("plan", "older")],
        "What the list changes",
    ),
    (
        "/admin/people/import",
        &[(
            "list",
            "nobody,reader\nnew@contoso.example,owner\nnew@contoso.example,reader,yesterday",
        )],
        "Import a list",
    ),
    ("/admin/people/import", &[("list", "")], "Import a list"),
    (
        "/admin/request/approve",
        &[("id", "1"), ("role", "reader"), ("until", "soon")],
        "asks for access",
    ),
    (
        "/admin/request/decline",
        &[("id", "1"), ("answer", "")],
        "asks for access",
    ),
    (
        "/admin/request/approve",
        &[("id", "99"), ("role", "reader")],
        "It is not there",
    ),
    (
        "/admin/audit/undo",
        &[("event", "EVENT"), ("plan", "older")],
        "Take this back?",
    ),
    (
        "/admin/folders",
        &[("folder", "../.."), ("role", "editor")],
        "Folders",
    ),
];
const NEW: &str = "new@contoso.example";

/// Names and values.
type Fields = &'static [(&'static str, &'static str)];

/// Sends a form as one of our own pages would.
async fn send_form(browser: &Chromium, path: &str, fields: &[(&str, String)]) {
    let script = "const [action, kind, fields] = arguments; const form = document.createElement('form');
        form.action = action; form.method = 'post'; form.enctype = kind;
        for (const [name, value] of fields) {
            const field = document.createElement('textarea'); field.name = name; field.value = value; form.append(field);
        }
        document.querySelector('h1').remove(); document.body.append(form); form.submit();";
    let kind = match path.ends_with("/import") {
        true => "multipart/form-data",
        false => "application/x-www-form-urlencoded",
    };
    let arguments = vec![path.into(), kind.into(), serde_json::json!(fields)];
    browser.window.execute(script, arguments).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_form_brings_back_shuts_nobody_out_either() {
    let (app, event) = lived_in().await;
    let Some(browser) = Chromium::start(true).await else {
        return;
    };
    browser.emulate(1200, false).await;
    become_one(&browser, &app, Eyes::Admin).await;
    let mut wrong = Vec::new();
    for (number, (path, fields, heading)) in POSTED.iter().enumerate() {
        let fields: Vec<(&str, String)> = fields
            .iter()
            .map(|(name, value)| (*name, value.replace("EVENT", &event.to_string())))
            .collect();
        browser.open(&format!("{}/admin", app.url)).await;
        send_form(&browser, path, &fields).await;
        browser.heading(heading).await;
        for &(width, dark) in shapes() {
            browser.emulate(width, dark).await;
            let what = format!("POST {path} {fields:?} at {width}, dark {dark}");
            wrong.extend(shuts_out(&browser, &what).await);
            let shade = if dark { "-dark" } else { "" };
            keep_picture(&browser, &format!("form-{number}-{width}{shade}")).await;
        }
    }
    browser.close().await;
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What a page has to offer and the Tab key never reaches. Of several radio buttons of one name it reaches one.
async fn out_of_reach(browser: &Chromium) -> Vec<String> {
    use fantoccini::actions::{InputSource, KeyAction, KeyActions};
    let look = "const radios = new Set(); const offered = e => {
            if (e.disabled || e.tabIndex < 0 || !e.checkVisibility({ visibilityProperty: true })) return false;
            if (e.type !== 'radio') return true;
            const chosen = e.form?.querySelector(`input[type=radio][name='${e.name}']:checked`);
            if (chosen) return chosen === e;
            const first = !radios.has(e.name); radios.add(e.name); return first;
        };
        const all = 'a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex]';
        window.left = new Set([...document.querySelectorAll(all)].filter(offered));
        document.addEventListener('focusin', event => window.left.delete(event.target), true);
        return window.left.size;";
    let offered = browser.window.execute(look, Vec::new()).await.unwrap();
    let offered = usize::try_from(offered.as_u64().unwrap()).unwrap();
    assert!(offered > 0, "a page without a single link");
    let tab = fantoccini::key::Key::Tab.into();
    let mut left = Vec::new();
    // Some fields take several strokes; whatever the first round leaves is given a second one.
    for _ in 0..2 {
        let mut keys = KeyActions::new("keyboard".to_owned());
        for _ in 0..offered + 30 {
            keys = keys
                .then(KeyAction::Down { value: tab })
                .then(KeyAction::Up { value: tab });
        }
        browser.window.perform_actions(keys).await.unwrap();
        let rest = "return [...window.left].map(e => e.outerHTML.slice(0, 160))";
        let rest = browser.window.execute(rest, Vec::new()).await.unwrap();
        left = serde_json::from_value(rest).unwrap();
        if left.is_empty() {
            break;
        }
    }
    left
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_keyboard_reaches_everything_on_every_page() {
    let (app, event) = lived_in().await;
    let Some(browser) = Chromium::start(true).await else {
        return;
    };
    browser.emulate(1200, false).await;
    let (mut wrong, mut eyes) = (Vec::new(), Eyes::Visitor);
    for (whose, _, path) in PAGES {
        if eyes != *whose {
            become_one(&browser, &app, *whose).await;
            eyes = *whose;
        }
        browser.open(&address(&app, path, event)).await;
        let left = out_of_reach(&browser).await;
        wrong.extend(left.iter().map(|element| format!("{path}: {element}")));
    }
    browser.close().await;
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What stands in the first column of a list and is broken after every few letters, for lack of room.
const BROKEN: &str = "return [...document.querySelectorAll('tbody th, tbody th .words')].filter(e => {
        const box = e.getBoundingClientRect();
        return box.width > 0 && box.width < 90 && box.height > 2 * parseFloat(getComputedStyle(e).lineHeight);
    }).map(e => e.textContent.trim())";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_have_room_in_windows_between_a_phone_and_a_desk() {
    let (app, event) = lived_in().await;
    let Some(browser) = Chromium::start(true).await else {
        return;
    };
    become_one(&browser, &app, Eyes::Admin).await;
    for path in [
        "/",
        "/?folder=Reports/2026",
        "/trash",
        "/admin/people",
        "/admin/audit",
    ] {
        for width in (500..=1_100).step_by(75) {
            browser.emulate(width, false).await;
            browser.open(&address(&app, path, event)).await;
            let broken = browser.window.execute(BROKEN, Vec::new()).await.unwrap();
            assert_eq!(broken, serde_json::json!([]), "{path} at {width}");
            assert!(!wider_than_its_window(&browser).await, "{path} at {width}");
        }
    }
    browser.close().await;
}

fn address(app: &TestApp, path: &str, event: i64) -> String {
    let path = path
        .replace("EVENT", &event.to_string())
        .replace("LONG", &long_name());
    format!("{}{path}", app.url)
}

/// Whether one has to scroll sideways to read all of the page.
pub async fn wider_than_its_window(browser: &Chromium) -> bool {
    let script =
        "return document.documentElement.scrollWidth > document.documentElement.clientWidth";
    browser.window.execute(script, Vec::new()).await.unwrap() == serde_json::json!(true)
}

async fn become_one(browser: &Chromium, app: &TestApp, eyes: Eyes) {
    browser.window.delete_all_cookies().await.unwrap();
    let email = match eyes {
        Eyes::Visitor => return,
        Eyes::NoRole => NO_ROLE,
        Eyes::Admin => ADA,
    };
    app.emulator.forget_sessions();
    let account = format!("{}/account", app.url);
    browser.open(&account).await;
    browser.click(&format!("button[value=\"{email}\"]")).await;
    browser.arrive(&account).await;
}

/// What a form leads to is under no address of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_asked_after_a_form_and_what_comes_back_shut_nobody_out() {
    let app = TestApp::start(Backend::Sqlite).await;
    app.write("Welcome.txt", "hello");
    app.signed_in_as(Role::Admin).await;
    let Some(browser) = Chromium::start(true).await else {
        return;
    };
    become_one(&browser, &app, Eyes::Admin).await;
    let address = format!("{}/item/move?path=Welcome.txt", app.url);
    let mut wrong = Vec::new();
    for (name, heading) in [("moved.txt", "Is this right?"), ("CON", "Rename or move")] {
        browser.open(&address).await;
        let typed = format!("document.getElementById('name').value = '{name}'");
        browser.window.execute(&typed, Vec::new()).await.unwrap();
        browser.click("main form button[type=submit]").await;
        browser.heading(heading).await;
        wrong.extend(in_every_shape(&browser, heading).await);
    }
    // Somebody else was quicker.
    browser.open(&address).await;
    app.write("Welcome.txt", "changed");
    browser.click("main form button[type=submit]").await;
    browser.click(".refused").await;
    wrong.extend(in_every_shape(&browser, "changed").await);
    browser.close().await;
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What is wrong with the page as it stands, on a phone and on a desk, in light and in dark.
async fn in_every_shape(browser: &Chromium, name: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    for &(width, dark) in shapes() {
        browser.emulate(width, dark).await;
        let found = browser.violations().await.into_iter();
        wrong.extend(found.map(|found| format!("{name} at {width}: {found}")));
        if wider_than_its_window(browser).await {
            wrong.push(format!("{name} at {width}: scrolls sideways"));
        }
    }
    wrong
}
