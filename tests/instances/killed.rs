//! One of three is killed in the midst of requests and of an upload: nobody notices.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::bad_input::raw::Wire;
use crate::downloads::noise;
use crate::support::app::COOKIE_SECRET;
use crate::support::client::Browser;
use crate::support::database::{self, free_port};
use crate::support::emulator::accounts::GRACE;
use crate::support::emulator::{Emulator, PICKED};
use crate::support::process::{Running, run};
use crate::uploads::together::beginning;
use crate::uploads::{begin, offset, patch};

const PIECE: usize = 500_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_is_killed_under_load_loses_no_answer_and_no_upload() {
    let Some(server) = database::postgres() else {
        return;
    };
    let url = server.database().await;
    let emulator = Emulator::start(0).await.unwrap();
    let port = free_port();
    let outside = format!("http://localhost:{port}");
    let callback = format!("{outside}/callback");
    emulator.register_redirect_uri(&callback);
    let folder = tempfile::tempdir().unwrap();
    let files = folder.path().join("files");
    std::fs::create_dir(&files).unwrap();
    std::fs::write(files.join("a.txt"), "all of it").unwrap();
    let (files, entra, secret) = (
        files.display().to_string(),
        emulator.url(),
        emulator.client_secret(),
    );
    let variables = [
        ("AZURE_AUTHORITY_HOST", entra.as_str()),
        ("AZURE_TENANT_ID", emulator.tenant()),
        ("APP_REG_CLIENT_ID", emulator.client_id()),
        ("APP_REG_CLIENT_SECRET", &secret),
        ("APP_REG_REDIRECT_URI", &callback),
        ("API_COOKIE_SECRET", &COOKIE_SECRET[..64]),
        ("DATABASE_URL", &url),
        ("FILES_DIR", &files),
        ("TRUSTED_PROXIES", "127.0.0.1"),
    ];
    let granted = run(
        folder.path(),
        &variables,
        &["roles", "grant", GRACE, "editor"],
    );
    assert_eq!(granted.0, 0, "{}", granted.1);
    let mut three = Vec::new();
    for _ in 0..3 {
        three.push(Running::start(folder.path(), &variables).await);
    }
    let ports: Vec<u16> = three
        .iter()
        .map(|portal| portal.url.rsplit(':').next().unwrap().parse().unwrap())
        .collect();
    let Some(_nginx) = super::balancer_that_goes_on(port, &ports) else {
        return;
    };
    let grace = Browser::new(&outside);
    sign_in(&grace).await;

    let (over, answers) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicU64::new(0)),
    );
    let mut asking = tokio::task::JoinSet::new();
    for path in ["/api/items", "/api/me", "/api/files/a.txt", "/"] {
        let (browser, over, answers) = (grace.copy(), over.clone(), answers.clone());
        asking.spawn(async move {
            let mut wrong = Vec::new();
            while !over.load(Ordering::SeqCst) {
                let reply = browser.get(path).await;
                let is_whole = path != "/api/files/a.txt" || reply.body == b"all of it";
                match reply.status == 200 && is_whole {
                    true => drop(answers.fetch_add(1, Ordering::SeqCst)),
                    false => wrong.push(format!("{path}: {}", reply.status)),
                }
            }
            wrong
        });
    }
    let content = noise(20 * PIECE);
    let upload = begin(&grace, "large.bin", content.len()).await;
    let mut at = 0;
    let began = Instant::now();
    while (at as usize) < content.len() {
        assert!(
            began.elapsed() < Duration::from_secs(120),
            "it stays at {at}"
        );
        if at as usize == 6 * PIECE && three.len() == 3 {
            // In the midst of everything. Dropping waits for its end.
            let killed = three.remove(0);
            killed.signal("KILL");
            let so_far = answers.load(Ordering::SeqCst);
            let grows = || answers.load(Ordering::SeqCst) > so_far + 20;
            while !grows() {
                assert!(
                    began.elapsed() < Duration::from_secs(60),
                    "no answers any more"
                );
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
        let end = (at as usize + PIECE).min(content.len());
        let reply = patch(&grace, &upload, at, &content[at as usize..end]).await;
        at = match reply.status {
            204 => end as u64,
            // What a client does whose line broke.
            _ => offset(&grace, &upload).await,
        };
    }
    over.store(true, Ordering::SeqCst);
    let wrong: Vec<String> = asking.join_all().await.into_iter().flatten().collect();
    assert!(wrong.is_empty(), "{wrong:?}");
    let arrived = grace.get("/api/files/large.bin").await.expect(200);
    assert!(arrived.body == content, "the file is another one");
}

/// Another one does not write beside it as long as it may be alive, and goes on where it ended once it is not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_is_killed_in_the_midst_of_a_piece_is_taken_over_from_by_another() {
    let Some(server) = database::postgres() else {
        return;
    };
    let url = server.database().await;
    let folder = tempfile::tempdir().unwrap();
    let files = folder.path().join("files");
    std::fs::create_dir(&files).unwrap();
    let files = files.display().to_string();
    let variables = [
        ("TEST_MODE", "true"),
        ("API_COOKIE_SECRET", &COOKIE_SECRET[..64]),
        ("DATABASE_URL", &url),
        ("FILES_DIR", &files),
    ];
    let grant = ["roles", "grant", "test.user@example.com", "editor"];
    let granted = run(folder.path(), &variables, &grant);
    assert_eq!(granted.0, 0, "{}", granted.1);
    let here = Running::start(folder.path(), &variables).await;
    let there = Running::start(folder.path(), &variables).await;
    // Whoever a test portal takes one for stands in no cookie.
    here.browser.set_cookie("session", Some("none"));
    here.browser.get("/api/me").await.expect(200);
    there.browser.get("/api/me").await.expect(200);

    let content = noise(2 * PIECE);
    let upload = begin(&here.browser, "half.bin", content.len()).await;
    let port = here.url.rsplit(':').next().unwrap().parse().unwrap();
    let mut wire = Wire::open_port(port).await;
    let half = beginning(&here.browser, &upload, 0, content.len(), &content[..PIECE]);
    assert!(wire.send(&half).await);
    let began = Instant::now();
    while offset(&there.browser, &upload).await < PIECE as u64 {
        assert!(
            began.elapsed() < Duration::from_secs(20),
            "nothing of it is told"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    here.signal("KILL");
    drop(here);
    let rest = &content[PIECE..];
    let at = PIECE as u64;
    // 423 as long as the other may be alive, which is over already where this machine was slow.
    let began = Instant::now();
    loop {
        match patch(&there.browser, &upload, at, rest).await.status {
            204 => break,
            423 => assert!(began.elapsed() < Duration::from_secs(20), "it is kept out"),
            other => panic!("{other}"),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let arrived = there.browser.get("/api/files/half.bin").await.expect(200);
    assert!(arrived.body == content, "the file is another one");
}

async fn sign_in(browser: &Browser) {
    let login = browser
        .navigate("/login?redirect_uri=/api/me")
        .await
        .expect(303);
    let mut picked = url::Url::parse(login.location()).unwrap();
    picked.query_pairs_mut().append_pair(PICKED, GRACE);
    let me = browser.follow(picked.as_str()).await.expect(200).json();
    assert_eq!(me["role"], "editor");
}
