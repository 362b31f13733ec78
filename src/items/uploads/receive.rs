//! Takes the bytes of one request in, and publishes the file with the last of them.

use std::time::Duration;

use actix_web::web;
use futures_util::StreamExt;
use tokio::sync::oneshot;

use super::protocol::{Checksum, Piece};
use super::store::{self, Upload};
use super::writer::Writer;
use super::{KEPT_FOR, complete, metadata};
use crate::app::State;
use crate::auth::user::Editor;
use crate::clock;
use crate::error::{AppError, AppResult};
use crate::files::ItemPath;
use crate::items::room;

/// A client that sends nothing for so long may have lost its line: what came is kept, and another may go on.
const SILENCE: Duration = Duration::from_secs(3);
/// After so many of them it has gone away.
const SILENCES: u32 = 10;

/// How it stands with an upload.
pub struct Standing {
    /// Bytes that have arrived.
    pub offset: u64,
    /// When it is removed, microseconds since 1970 UTC.
    pub expires_at: i64,
    /// Where it was published.
    pub item: Option<ItemPath>,
}

impl Standing {
    /// As the table has it.
    pub fn of(upload: &Upload) -> Self {
        Self {
            offset: u64::try_from(upload.received).unwrap_or(0),
            expires_at: upload.expires_at,
            item: upload.path.as_deref().and_then(ItemPath::parse),
        }
    }
}

/// A person's upload.
///
/// # Errors
/// 404 for what is not there or somebody else's, 410 for what is over.
pub async fn find(state: &State, editor: &Editor, id: &str) -> AppResult<Upload> {
    // Anything else is no number of ours, and Postgres takes no NUL.
    if !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(AppError::NotFound);
    }
    let mut conn = state.db.conn().await?;
    let upload = store::find(&mut conn, id).await?;
    let upload = upload
        .filter(|upload| upload.is_of(&editor.owner()))
        .ok_or(AppError::NotFound)?;
    match upload.expires_at > clock::now() {
        true => Ok(upload),
        false => Err(AppError::Gone),
    }
}

/// Takes a piece of `upload`. `gone` ends when the client does.
///
/// # Errors
/// 409 for another offset than the one reached or a name that is taken at the end, 413 for more bytes than the file has,
/// 423 while somebody else writes, 460 for a wrong checksum, 507; what counts of the bytes stays in any case.
pub async fn piece(
    state: &web::Data<State>,
    editor: &Editor,
    upload: Upload,
    mut piece: Piece,
    mut body: web::Payload,
    mut gone: oneshot::Receiver<()>,
) -> AppResult<Standing> {
    let standing = Standing::of(&upload);
    if let Some(metadata) = &piece.metadata {
        metadata::read(metadata)?;
    }
    if piece.offset != standing.offset {
        return Err(AppError::WrongOffset(standing.offset));
    }
    if standing.item.is_some() {
        // The answer to the last byte was lost on its way; here it is again.
        return Ok(standing);
    }
    let left = u64::try_from(upload.size).unwrap_or(0) - standing.offset;
    if piece.length.is_some_and(|length| length > left) {
        return Err(longer());
    }
    if !upload.is_promised() {
        // Nothing came for so long that its room may be somebody else's by now.
        room::check_room(state, None, left).await?;
    }
    let mut checksum = piece.checksum.take();
    let mut writer = Writer::begin(&state.uploads, upload, checksum.is_some()).await?;
    let taken = take(&mut writer, &mut body, &mut gone, &mut checksum).await;
    let taken = taken.and_then(|()| match checksum.take().is_none_or(Checksum::holds) {
        true => Ok(()),
        false => Err(AppError::WrongChecksum),
    });
    let kept = match taken {
        Ok(()) => writer.keep().await,
        Err(error) => Err(error),
    };
    if let Err(error) = kept {
        if let Err(second) = writer.end().await {
            log::debug!("an upload that ended early was not synced: {second}");
        }
        return Err(error);
    }
    if let Some(metadata) = &piece.metadata {
        let mut conn = state.db.conn().await?;
        let (id, lease) = (&writer.upload.id, &writer.lease);
        store::rename(&mut conn, id, lease, metadata).await?;
        writer.upload.metadata.clone_from(metadata);
    }
    if writer.at < writer.size() {
        let (offset, expires_at) = writer.end().await?;
        return Ok(Standing {
            offset,
            expires_at,
            item: None,
        });
    }
    let (offset, item) = complete::complete(state, editor, writer).await?;
    Ok(Standing {
        offset,
        expires_at: clock::now() + clock::span(KEPT_FOR),
        item: Some(item),
    })
}

async fn take(
    writer: &mut Writer<'_>,
    body: &mut web::Payload,
    gone: &mut oneshot::Receiver<()>,
    checksum: &mut Option<Checksum>,
) -> AppResult<()> {
    let mut silences = 0;
    loop {
        let chunk = tokio::select! {
            chunk = body.next() => chunk,
            _ = &mut *gone => return Err(broken()),
            () = tokio::time::sleep(SILENCE) => {
                silences += 1;
                writer.rest().await?;
                if silences == SILENCES {
                    return Err(broken());
                }
                continue;
            }
        };
        let Some(chunk) = chunk else {
            return Ok(());
        };
        let chunk = chunk.map_err(|_| broken())?;
        silences = 0;
        if chunk.len() as u64 > writer.size() - writer.at {
            return Err(longer());
        }
        if let Some(checksum) = checksum {
            checksum.context.update(&chunk);
        }
        writer.write(&chunk).await?;
    }
}

fn longer() -> AppError {
    AppError::TooLarge(
        "Those are more bytes than the upload was said to have. What had arrived before is kept."
            .to_owned(),
    )
}

fn broken() -> AppError {
    AppError::Unusable(
        "The bytes stopped arriving. What came is kept; ask for the offset and go on there."
            .to_owned(),
    )
}
