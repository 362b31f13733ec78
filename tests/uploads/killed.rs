//! `kill -9` while bytes arrive: the offset that is told afterwards is true, and the upload goes on there.

use std::time::Duration;

use portcullis::roles::Role;

use super::together::{beginning, sha256};
use super::{begin, offset, patch};
use crate::bad_input::raw::Wire;
use crate::downloads::noise;
use crate::faults::{Scene, healed};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_goes_on_at_the_told_offset_after_the_portal_was_killed() {
    let mut scene = Scene::start(&[]).await;
    let editor = scene.signed_in_as(Role::Editor).await;
    let content = noise(8_000_000);
    let upload = begin(&editor, "a.bin", content.len()).await;
    let mut at = 0;
    for round in 0..3 {
        let mut wire = Wire::open_port(scene.port()).await;
        let rest = &content[at..];
        assert!(
            wire.send(&beginning(&editor, &upload, at as u64, rest.len(), b""))
                .await
        );
        // Some of it slowly enough to be told, and some just before the end.
        for piece in rest[..1_500_000].chunks(100_000) {
            assert!(wire.send(piece).await, "round {round}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        scene.portal.signal("KILL");
        scene.portal.ended().await;
        scene.start_again().await;
        let told = usize::try_from(offset(&editor, &upload).await).unwrap();
        assert!(told > at && told <= at + 1_500_000, "{told} after {at}");
        let name = upload.rsplit('/').next().unwrap();
        let hidden = scene.files().join(".portcullis/uploads").join(name);
        let on_disk = std::fs::read(hidden).unwrap();
        assert!(
            on_disk[..told] == content[..told],
            "what is told is on the disk"
        );
        at = told;
        // The lease of the killed one ends soon.
        healed("somebody else may write", async || {
            let reply = patch(&editor, &upload, at as u64, &content[at..at + 10]).await;
            assert!([204, 423].contains(&reply.status), "{}", reply.text());
            reply.status == 204
        })
        .await;
        at += 10;
    }
    let done = patch(&editor, &upload, at as u64, &content[at..])
        .await
        .expect(204);
    let item = done.header("upload-item").to_owned();
    assert!(editor.get(&item).await.expect(200).body == content);
    let listed = editor.get("/api/items").await.expect(200).json();
    assert_eq!(listed[0]["sha256"], sha256(&content));
    assert_eq!(
        std::fs::read_dir(scene.files().join(".portcullis/uploads"))
            .unwrap()
            .count(),
        0
    );
}
