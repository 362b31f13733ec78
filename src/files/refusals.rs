//! What stands in the way of a file or folder that comes in, and what its sender is told of it.

use std::io;

use super::ItemPath;
use super::incoming::human_size;
use crate::error::AppError;

/// 413 with the limit in words.
pub fn too_large(limit: u64) -> AppError {
    AppError::TooLarge(format!(
        "Files of up to {} are taken. Nothing was published.",
        human_size(limit)
    ))
}

/// 409 for a name that a folder has.
pub fn is_folder(target: &ItemPath) -> AppError {
    AppError::Conflict(format!(
        "“{}” is a folder. Choose another name.",
        target.name()
    ))
}

/// 409 with what to do.
pub fn taken(target: &ItemPath) -> AppError {
    AppError::Conflict(format!(
        "There is a file “{}” already. Choose another name, or say that it shall be replaced.",
        target.name()
    ))
}

pub(crate) fn not_writable(error: io::Error) -> AppError {
    match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            AppError::Unreadable(format!("FILES_DIR cannot be written to: {error}"))
        }
        _ => error.into(),
    }
}

/// Why a folder cannot be used or made.
pub(super) fn folder_error(error: io::Error) -> AppError {
    match error.kind() {
        io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory => AppError::Conflict(
            "A part of that folder's name is a file. Choose another folder.".to_owned(),
        ),
        io::ErrorKind::PermissionDenied if error.raw_os_error().is_none() => {
            AppError::Unprocessable(
                "That folder lies outside the portal. Choose another.".to_owned(),
            )
        }
        _ => not_writable(error),
    }
}
