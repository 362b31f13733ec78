//! What happens when all bytes are there: the upload becomes a publication, or stays for another try.

use std::io::Read;
use std::time::Duration;

use actix_web::{rt, web};
use tokio::sync::oneshot;

use super::hashed::Hashed;
use super::writer::Writer;
use super::{Uploads, metadata, path_of, store};
use crate::app::State;
use crate::auth::user::Editor;
use crate::clock;
use crate::db::{Conn, Db};
use crate::error::{AppError, AppResult};
use crate::files::incoming::Received;
use crate::files::{ItemPath, hidden};
use crate::items::{place, publish};

/// How long others are kept out after this instance was killed while it publishes.
const LEASE: Duration = Duration::from_secs(10);
const HOLD_EVERY: Duration = Duration::from_secs(2);
/// Bytes read in one go.
const PIECE: usize = 256 * 1024;

/// Publishes what `writer` has completed; returns size and place.
///
/// # Errors
/// Those of [`publish::publish`]; the upload stays then.
pub async fn complete(
    state: &web::Data<State>,
    editor: &Editor,
    mut writer: Writer<'_>,
) -> AppResult<(u64, ItemPath)> {
    let (stop, stopped) = oneshot::channel();
    let id = writer.upload.id.clone();
    let holder = hold(state.db.clone(), id.clone(), writer.lease.clone(), stopped);
    rt::spawn(holder);
    let done = publish(state, editor, &mut writer).await;
    drop(stop);
    match done {
        Ok(path) => {
            // On another disk than its place it was copied; a leftover would go with the sweep.
            if let Err(error) = state.uploads.remove_bytes(&id).await {
                log::warn!("the bytes of a published upload stay for a day: {error}");
            }
            Ok((writer.size(), path))
        }
        Err(error) => {
            if let Err(second) = writer.end().await {
                log::debug!("an upload that was not published keeps its lease: {second}");
            }
            Err(error)
        }
    }
}

async fn publish(
    state: &web::Data<State>,
    editor: &Editor,
    writer: &mut Writer<'_>,
) -> AppResult<ItemPath> {
    let metadata = metadata::read(&writer.upload.metadata)?;
    let place = place::place(state, editor, &metadata.name, &metadata.typed).await?;
    place.check_free(state).await?;
    let (hashed, modified) = writer.facts().await?;
    let id = writer.upload.id.clone();
    let (sha256, crc32) = match hashed {
        Some(hashed) => hashed.finish(),
        None => read_again(&state.uploads, &id, writer.size())
            .await?
            .finish(),
    };
    let received = Received::of_upload(path_of(&id), (writer.size(), modified), (sha256, crc32));
    let lease = writer.lease.clone();
    let also = async move |conn: &mut Conn, path: &ItemPath| match store::published(
        conn,
        &id,
        &lease,
        path.as_str(),
    )
    .await?
    {
        true => Ok(()),
        false => Err(AppError::InUse),
    };
    let listed = publish::publish_at(state, editor, place, received, also).await?;
    Ok(listed.path)
}

/// The checksums of an upload whose beginning came through another process.
async fn read_again(uploads: &Uploads, id: &str, size: u64) -> AppResult<Hashed> {
    let ended = |_| AppError::Internal("the portal is ending".to_owned());
    let _turn = uploads.reading.acquire().await.map_err(ended)?;
    let path = path_of(id);
    let read = move |dir: &cap_std::fs::Dir| {
        let mut file = hidden::open(dir, &path)?;
        let mut hashed = Hashed::new("");
        let mut piece = vec![0; PIECE];
        loop {
            match file.read(&mut piece)? {
                0 => return Ok(hashed),
                read => hashed.update(&piece[..read]),
            }
        }
    };
    let hashed = uploads.files.run(read).await?;
    match hashed.bytes == size {
        true => Ok(hashed),
        false => Err(AppError::Internal(format!(
            "{} bytes of an upload are on the disk instead of {size}",
            hashed.bytes
        ))),
    }
}

/// Keeps others out for as long as it takes.
async fn hold(db: Db, id: String, lease: String, mut stopped: oneshot::Receiver<()>) {
    loop {
        tokio::select! {
            _ = &mut stopped => return,
            () = tokio::time::sleep(HOLD_EVERY) => {}
        }
        let until = clock::now() + clock::span(LEASE);
        let held = async {
            let mut conn = db.conn().await?;
            store::hold(&mut conn, &id, &lease, until).await
        };
        if let Err(error) = held.await {
            log::warn!("the lease of an upload could not be renewed: {error}");
        }
    }
}
