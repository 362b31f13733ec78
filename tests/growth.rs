//! docs/scale.md against what it reckons with: look-ups by a simulation of requests one by one, connections by counting them.

use portcullis::roles::Role;

use crate::support::app::TestApp;
use crate::support::database::{self, Backend};
use crate::support::reckoning::{KEPT, reckoned, simulated};

/// Rows of the table of look-ups: requests, people, instances, look-ups.
fn table() -> Vec<[u32; 4]> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/scale.md");
    let text = std::fs::read_to_string(path).unwrap();
    let rows = text.lines().filter_map(|line| {
        let cells = line.trim_matches('|').split('|');
        let numbers = cells.map(|cell| cell.trim().replace(',', "").parse().ok());
        numbers.collect::<Option<Vec<u32>>>()?.try_into().ok()
    });
    rows.collect()
}

#[test]
fn the_reckoning_of_look_ups_agrees_with_a_simulation_of_requests_one_by_one() {
    let rows = table();
    assert_eq!(rows.len(), 4, "{rows:?}");
    for [requests, people, instances, told] in rows {
        let reckoned = reckoned(requests, people, instances);
        assert!(
            (reckoned - f64::from(told)).abs() <= 1.0,
            "{told} is told, {reckoned} reckoned"
        );
    }
    // The large ones are for the benchmark: they differ from these in nothing but the size.
    for (requests, people, instances) in [(100, 1_000, 1), (100, 10_000, 4), (1_000, 10_000, 3)] {
        let (reckoned, simulated) = (
            reckoned(requests, people, instances),
            simulated(requests, people, instances),
        );
        let is_near = (simulated / reckoned - 1.0).abs() < 0.05;
        assert!(
            is_near,
            "{requests} {people} {instances}: {reckoned} reckoned, {simulated} simulated"
        );
    }
    const { assert!(KEPT > 0.0) };
}

/// 10 in each pool, 1 at each that listens, 1 of whichever scans.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_instances_at_work_hold_no_more_connections_than_is_told() {
    let Some(server) = database::postgres() else {
        return;
    };
    let url = server.database().await;
    let name = url.rsplit('/').next().unwrap();
    let mut apps = Vec::new();
    for _ in 0..2 {
        let app = TestApp::builder(Backend::Postgres).on(&url);
        apps.push(app.start().await);
    }
    let mut browsers = Vec::new();
    for app in &apps {
        browsers.push(app.signed_in_as(Role::Reader).await);
    }
    let open = "SELECT count(*) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = current_database()";
    let mut most = 0;
    apps[0]
        .eventually(
            "both pools are full, and no more than that is open",
            async || {
                // Each list is another one, so that none is read for several at once.
                let asked = browsers.iter().flat_map(|browser| {
                    (1..=30).map(move |page| async move {
                        browser
                            .get(&format!("/api/items?per_page={page}"))
                            .await
                            .status
                    })
                });
                let (statuses, count) = tokio::join!(
                    futures_util::future::join_all(asked),
                    server.number(name, open)
                );
                assert!(statuses.iter().all(|status| *status == 200), "{statuses:?}");
                most = most.max(count);
                most > 15 && count <= 2 * 11 + 1
            },
        )
        .await;
    assert!(most <= 2 * (11 + 3) + 1, "{most} at once");
}
