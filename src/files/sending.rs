//! The body of a download: what was read is sent as the client takes it, and it ends short when it must.

use std::convert::Infallible;

use actix_web::web::Bytes;
use futures_util::{Stream, stream};

use super::buffers::SLICE;
use super::reading::{Lanes, Reading};
use super::source::Piece;
use super::told::{Short, Told};
use crate::auth::user::StillAdmitted;

/// A download that is under way.
pub struct Sending {
    reading: Reading,
    /// Read, and not yet handed to the server.
    piece: Bytes,
    /// Whether something was handed over already, so that it is the turn of other requests.
    handed: bool,
    admitted: StillAdmitted,
    told: Told,
}

impl Sending {
    /// A download that begins with what was read when the file was opened.
    pub fn new(lanes: Lanes, begin: Piece, admitted: StillAdmitted, told: Told) -> Self {
        let (piece, source) = begin;
        let mut reading = Reading::new(lanes);
        reading.begin(source);
        Self {
            reading,
            piece,
            handed: false,
            admitted,
            told,
        }
    }

    /// As the stream that the server asks for more whenever its buffer has run low. It ends early when it must: the
    /// server closes the connection then, because the announced length was not reached.
    pub fn stream(self) -> impl Stream<Item = Result<Bytes, Infallible>> {
        stream::unfold(self, |mut sending| async move {
            sending.told.taken();
            match sending.next().await {
                Ok(slice) => {
                    let slice = slice?;
                    sending.told.handed(slice.len());
                    Some((Ok(slice), sending))
                }
                Err(why) => {
                    sending.told.cut_short(&why);
                    None
                }
            }
        })
    }

    async fn next(&mut self) -> Result<Option<Bytes>, Short> {
        if self.piece.is_empty() && self.reading.is_at_end() {
            return Ok(None);
        }
        if self.handed {
            tokio::task::yield_now().await;
            if !self.admitted.holds().await {
                return Err(Short::Withdrawn);
            }
        }
        if self.piece.is_empty() {
            self.piece = self.reading.next_piece().await?;
        }
        self.handed = true;
        Ok(Some(self.piece.split_to(self.piece.len().min(SLICE))))
    }
}
