//! The fields of a form that publishes: what each may hold, and what is wrong with the form itself.

use std::time::Duration;

use actix_multipart::Field;
use futures_util::StreamExt;

use crate::error::{AppError, AppResult};
use crate::files::incoming;

/// Longest text field, in bytes.
const LONGEST_FIELD: usize = 4_096;
const PATIENCE: Duration = Duration::from_secs(30);

/// The file's own name, as far as the form tells it.
pub(super) fn name_of(field: &Field) -> String {
    field
        .content_disposition()
        .and_then(|disposition| disposition.get_filename())
        .map(last_name)
        .unwrap_or_default()
}

pub(super) async fn text(field: &mut Field) -> AppResult<String> {
    let bytes = in_time(field.bytes(LONGEST_FIELD))
        .await?
        .map_err(|_| AppError::TooLarge("A text field of the form is too long.".to_owned()))?
        .map_err(broken)?;
    String::from_utf8(bytes.to_vec())
        .map_err(|_| AppError::Unprocessable("A text field of the form is not UTF-8.".to_owned()))
}

/// A client that sends nothing for so long has gone away, or means to hold the connection.
pub(super) async fn in_time<T>(next: impl Future<Output = T>) -> AppResult<T> {
    tokio::time::timeout(PATIENCE, next).await.map_err(|_| {
        AppError::Unusable(
            "The form stopped arriving, so nothing was published. Try again.".to_owned(),
        )
    })
}

/// Some clients send the whole path of the file; only its last name counts.
pub fn last_name(name: &str) -> String {
    name.rsplit(['/', '\\']).next().unwrap_or("").to_owned()
}

/// What is neither yes nor no is refused: nobody knows whether a file was to be replaced.
///
/// # Errors
/// 422.
pub fn switch(value: &str) -> AppResult<bool> {
    match value {
        "true" | "1" | "on" | "yes" => Ok(true),
        "" | "false" | "0" | "off" | "no" => Ok(false),
        _ => Err(AppError::Unprocessable(
            "The field overwrite has to be true or false.".to_owned(),
        )),
    }
}

/// Throws away what is left of a file that is not taken, so that those behind it arrive; `most` bytes of it.
pub(super) async fn skip(field: &mut Field, most: u64) -> AppResult<()> {
    let mut skipped = 0;
    while let Some(chunk) = in_time(field.next()).await? {
        skipped += chunk.map_err(broken)?.len() as u64;
        if skipped > most {
            return Err(incoming::too_large(most));
        }
    }
    Ok(())
}

pub(super) fn no_form() -> AppError {
    AppError::Unusable(
        "Send a form of the type multipart/form-data with the field “file”.".to_owned(),
    )
}

pub(super) fn broken(error: actix_multipart::MultipartError) -> AppError {
    use actix_multipart::MultipartError as Wrong;
    log::debug!("a form broke off: {error}");
    if let Wrong::ContentTypeMissing
    | Wrong::ContentTypeParse
    | Wrong::ContentTypeIncompatible
    | Wrong::BoundaryMissing = error
    {
        return no_form();
    }
    AppError::Unusable(
        "The form did not arrive whole, so nothing was published. Try again.".to_owned(),
    )
}
