//! The look at what somebody is about to see. It costs a system call for each folder that did not change, and one reading
//! for each that did, so that a list of a portal of ordinary size is never behind the disk, notifications or not.

use std::collections::HashSet;

use super::share;
use super::{Index, folders, read};
use crate::error::{AppError, AppResult};
use crate::files::ItemPath;
use crate::files::look;

/// Folders below the one that is shown that are looked at, too; with more of them, the background has to do.
const FEW_FOLDERS: i64 = 64;
/// Names that are read while somebody waits.
const FEW_NAMES: usize = 2_000;

pub(super) async fn refresh(
    index: &Index,
    folder: Option<&ItemPath>,
    deep: bool,
) -> AppResult<bool> {
    let path = folder.map_or("", ItemPath::as_str);
    let mut conn = index.db.conn().await?;
    let mut known = match deep {
        true => folders::with_below(&mut conn, path, FEW_FOLDERS + 1).await?,
        false => folders::of_paths(&mut conn, &[path]).await?,
    };
    drop(conn);
    let are_few = known.len() <= FEW_FOLDERS as usize;
    known.retain(|row| are_few || row.path == path);
    // Whoever else finds a folder now has written it down before it is read, so not only those new to this reading count.
    let mut looked_at: HashSet<String> = known.iter().map(|row| row.path.clone()).collect();
    let is_known = known.iter().any(|row| row.path == path);
    let mut waiting = changed(index, known, path.to_owned()).await?;
    if !is_known {
        waiting.push((folder.cloned(), None));
    }
    let mut left = FEW_NAMES;
    let mut complete = true;
    while let Some((place, entries)) = waiting.pop() {
        let text = place.as_ref().map_or("", ItemPath::as_str);
        let is_large = entries.is_some_and(|entries| entries > FEW_NAMES as i64);
        if is_large || left == 0 {
            index.request(text);
            // Of a large folder that was read before, almost everything is known.
            complete &= is_large;
            continue;
        }
        let reading = match read::folder(index, place.as_ref(), left).await {
            // What lies below and may not be read is no part of the list; the folder itself is what was asked for.
            Err(AppError::Unreadable(_)) if text != path => continue,
            reading => reading?,
        };
        if reading.gone && text == path {
            return Err(AppError::NotFound);
        }
        left -= reading.names.min(left);
        if reading.cut {
            index.request(text);
            complete = false;
        }
        if deep {
            let below = match are_few {
                true => reading.folders,
                false => reading.new_folders,
            };
            let unread = below
                .into_iter()
                .filter(|folder| looked_at.insert(folder.to_string()));
            waiting.extend(unread.map(|folder| (Some(folder), None)));
        }
    }
    Ok(complete)
}

/// Those of the known folders that changed since they were read, with the number of names that they held then.
async fn changed(
    index: &Index,
    known: Vec<folders::Folder>,
    asked: String,
) -> AppResult<Vec<(Option<ItemPath>, Option<i64>)>> {
    let looked = share::on_disk(index, move |dir| {
        let mut changed = Vec::new();
        for row in &known {
            let place = ItemPath::parse(&row.path);
            let now = match look::changed_at(dir, place.as_ref()) {
                Err(AppError::Unreadable(_)) if row.path != asked => continue,
                now => now?,
            };
            if now.is_none() || now != row.read_at {
                let was_read = row.read_at.is_some() || row.entries > 0;
                changed.push((place, was_read.then_some(row.entries)));
            }
        }
        Ok(changed)
    });
    looked.await
}
