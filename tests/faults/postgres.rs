//! The database stopped, paused, restarted, out of connections, read-only.

use portcullis::roles::Role;

use super::{Scene, healed};
use crate::support::app::account;
use crate::support::client::Browser;
use crate::support::database::{self, Server};

/// A cluster that may be disturbed, and a portal on it.
async fn scene() -> Option<(Server, Scene)> {
    let cluster = match database::private_cluster() {
        Ok(cluster) => cluster,
        Err(why) => {
            crate::support::left_out("postgres", &why);
            return None;
        }
    };
    let url = cluster.empty_database().await;
    let scene = Scene::start(&[("DATABASE_URL", &url)]).await;
    std::fs::write(scene.files().join("a.txt"), "a").unwrap();
    Some((cluster, scene))
}

/// What a fault may show: people with a role get their file or 503, others never anything but their refusal or 503.
struct Crowd {
    reader: Browser,
    nobody: Browser,
    visitor: Browser,
}

impl Crowd {
    async fn new(scene: &Scene) -> Self {
        Self {
            reader: scene.signed_in_as(Role::Reader).await,
            nobody: scene.signed_in_as(None).await,
            visitor: Browser::new(&scene.portal.url),
        }
    }

    /// Asks as each of them, and says whether all is as it should be without a fault.
    async fn is_well(&self) -> bool {
        let statuses = [
            self.reader.get("/api/files/a.txt").await.status,
            self.nobody.get("/api/files/a.txt").await.status,
            self.visitor.get("/api/files/a.txt").await.status,
        ];
        assert!([200, 503].contains(&statuses[0]), "{statuses:?}");
        assert!([403, 503].contains(&statuses[1]), "{statuses:?}");
        assert_eq!(statuses[2], 401, "{statuses:?}");
        statuses == [200, 403, 401]
    }

    async fn is_closed(&self) -> bool {
        self.reader.get("/api/files/a.txt").await.status == 503
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_stopped_closes_the_portal_until_it_is_started() {
    let Some((cluster, scene)) = scene().await else {
        return;
    };
    let crowd = Crowd::new(&scene).await;
    assert!(crowd.is_well().await);
    cluster.stop();
    healed("the portal closes", async || crowd.is_closed().await).await;
    assert!(!crowd.is_well().await);
    crowd.visitor.get("/health/live").await.expect(200);
    crowd.visitor.get("/health/ready").await.expect(503);
    // Signing in needs the database, and says so instead of letting anybody in.
    let status = scene
        .sign_in(&Browser::new(&scene.portal.url), account(Some(Role::Admin)))
        .await;
    assert_eq!(status, 503);
    cluster.restart();
    healed("the portal opens", async || crowd.is_well().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_paused_or_restarted_is_missed_and_found_again() {
    let Some((cluster, scene)) = scene().await else {
        return;
    };
    let crowd = Crowd::new(&scene).await;
    cluster.signal("STOP");
    healed("the portal closes", async || crowd.is_closed().await).await;
    cluster.signal("CONT");
    healed("the portal opens", async || crowd.is_well().await).await;
    cluster.restart();
    healed("the restart is over", async || crowd.is_well().await).await;
    // A role that was withdrawn meanwhile counts from the first answer on.
    cluster.stop();
    healed("the portal closes", async || crowd.is_closed().await).await;
    cluster.restart();
    let (code, text) = scene.command(&["roles", "revoke", account(Some(Role::Reader))]);
    assert_eq!(code, 0, "{text}");
    healed("the portal opens", async || {
        let status = crowd.reader.get("/api/files/a.txt").await.status;
        assert_ne!(status, 200, "a withdrawn role let somebody in");
        status == 403
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_without_a_free_connection_gives_503_and_recovers() {
    let Some((cluster, scene)) = scene().await else {
        return;
    };
    let crowd = Crowd::new(&scene).await;
    assert!(crowd.is_well().await);
    cluster
        .execute("postgres", "ALTER SYSTEM SET max_connections = 12")
        .await;
    cluster.restart();
    let mut held = Vec::new();
    // Whoever was there before the house filled up is thrown out, until the portal finds no place any more.
    healed("the portal closes", async || {
        while let Ok(client) = cluster.connect("postgres").await {
            client
                .batch_execute("SET application_name = 'holder'")
                .await
                .unwrap();
            held.push(client);
        }
        let others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
             WHERE backend_type = 'client backend' AND application_name <> 'holder'";
        held[0].batch_execute(others).await.unwrap();
        while let Ok(client) = cluster.connect("postgres").await {
            client
                .batch_execute("SET application_name = 'holder'")
                .await
                .unwrap();
            held.push(client);
        }
        crowd.is_closed().await
    })
    .await;
    assert!(!crowd.is_well().await);
    drop(held);
    healed("the portal opens", async || crowd.is_well().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_read_only_lets_people_read_and_loses_no_audit_row() {
    let Some((cluster, scene)) = scene().await else {
        return;
    };
    let crowd = Crowd::new(&scene).await;
    assert!(crowd.is_well().await);
    let database = scene.database();
    cluster
        .execute(
            "postgres",
            "ALTER SYSTEM SET default_transaction_read_only = on",
        )
        .await;
    cluster.restart();
    healed("people read", async || crowd.is_well().await).await;
    let status = scene
        .sign_in(&Browser::new(&scene.portal.url), account(Some(Role::Admin)))
        .await;
    assert_eq!(status, 503, "a sign-in has to be written down");
    for _ in 0..20 {
        crowd
            .reader
            .get("/api/files/a.txt?read-only")
            .await
            .expect(200);
    }
    cluster
        .execute(
            "postgres",
            "ALTER SYSTEM RESET default_transaction_read_only",
        )
        .await;
    cluster.execute("postgres", "SELECT pg_reload_conf()").await;
    let admin = Browser::new(&scene.portal.url);
    healed("signing in works", async || {
        scene.sign_in(&admin, account(Some(Role::Admin))).await == 200
    })
    .await;
    healed("every download is written down", async || {
        let query = "SELECT count(*) FROM dim.audit WHERE action = 'downloaded'";
        cluster.number(&database, query).await >= 20
    })
    .await;
}
