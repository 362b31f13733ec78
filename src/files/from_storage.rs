//! The download of a file that lies in object storage: through the portal, or by an address of the storage's own that
//! serves for a minute. What is asked for is decided here in both cases, from what the storage says of the object.

use std::convert::Infallible;
use std::io;
use std::time::SystemTime;

use actix_web::body::SizedStream;
use actix_web::http::StatusCode;
use actix_web::http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_RANGE, CONTENT_TYPE, ETAG,
    LAST_MODIFIED, LOCATION,
};
use actix_web::web::Bytes;
use actix_web::{HttpResponse, HttpResponseBuilder};
use futures_util::stream::BoxStream;
use futures_util::{Stream, StreamExt, stream};

use super::ItemPath;
use super::asked::{Answer, Asked};
use super::buffers::SLICE;
use super::range::Part;
use super::send::{REPR_DIGEST, content_type, disposition};
use super::source::Unread;
use super::storage::{self, BYTES_PATIENCE, Object, Storage};
use super::told::{Download, Short, Told};
use super::validators::Validators;
use crate::app::State;
use crate::audit::Action;
use crate::audit::queue::Ticket;
use crate::auth::user::{Reader, StillAdmitted};
use crate::error::{AppError, AppResult};

/// Answers a GET or HEAD.
///
/// # Errors
/// 404 for what is not there or hidden from this person; 412 and 416; 429; 503 when the storage does not answer.
pub async fn download(
    reader: &Reader,
    state: &State,
    storage: &Storage,
    path: ItemPath,
    asked: &Asked,
    ticket: Option<Ticket>,
) -> AppResult<HttpResponse> {
    let sight = state.files.rules.sight(&reader.person).await?;
    // Before the storage is asked: how long an answer takes must not tell that there is something.
    if !sight.shows(path.as_str()) {
        return Err(AppError::NotFound);
    }
    let sends = asked.is_get() && !storage.redirects();
    let turn = match sends {
        true => Some(state.files.turns.take(reader.email())?),
        false => None,
    };
    let object = storage.look(&path).await?;
    let validators = Validators::of_object(&object);
    let answer = asked.answer(&validators, object.size, SystemTime::now())?;
    let kind = actix_files::file_extension_to_mime(ending(path.name()));
    let content_type = content_type(kind.as_ref());
    let mut response = HttpResponse::build(status(answer));
    describe(&mut response, &validators, &content_type);
    if answer == Answer::NotModified {
        return Ok(response.finish());
    }
    let disposition = disposition("attachment", path.name());
    let (part, range) = match answer {
        Answer::Part(part) => (part, Some(part.content_range(object.size))),
        _ => (whole(&object), None),
    };
    let download = Download {
        action: Action::Downloaded,
        actor: reader.actor(),
        path: path.clone(),
        range: range.clone(),
        ticket,
        metrics: state.metrics.clone(),
    };
    if asked.is_get() && storage.redirects() {
        let address = storage.address(&path, &disposition, &content_type).await?;
        download.handed_over("storage");
        // The client asks there for the range that it asked for here.
        return Ok(HttpResponse::Found()
            .insert_header((LOCATION, address.as_str()))
            .insert_header((CACHE_CONTROL, "no-store"))
            .finish());
    }
    response.insert_header((CONTENT_DISPOSITION, disposition));
    let digests = &state.digests;
    if let Some(digest) = digests
        .of_state(&path, object.size, object.modified_at)
        .await
    {
        response.insert_header((REPR_DIGEST, digest));
    }
    if let Some(range) = range {
        response.insert_header((CONTENT_RANGE, range));
    }
    let Some(turn) = turn else {
        // The server would read a body to its end only to throw it away.
        let nothing = stream::empty::<Result<Bytes, Infallible>>();
        return Ok(response.body(SizedStream::new(part.length, nothing)));
    };
    let bytes = match part.length {
        0 => stream::empty().boxed(),
        _ => storage.read(&path, &object, part).await?,
    };
    let passing = Passing {
        bytes,
        chunk: Bytes::new(),
        left: part.length,
        handed: false,
        admitted: reader.still_admitted(&state.people),
        told: Told::new(download, turn, part.length),
    };
    Ok(response.body(SizedStream::new(part.length, passing.stream())))
}

/// The body of a download that passes through the portal. The storage is read no faster than the client takes it.
struct Passing {
    bytes: BoxStream<'static, object_store::Result<Bytes>>,
    /// Read, and not yet handed to the server.
    chunk: Bytes,
    /// Bytes that the storage has still to send.
    left: u64,
    handed: bool,
    admitted: StillAdmitted,
    told: Told,
}

impl Passing {
    /// Ends early when it must: the server closes the connection then, because the announced length was not reached.
    fn stream(self) -> impl Stream<Item = Result<Bytes, Infallible>> {
        stream::unfold(self, |mut passing| async move {
            passing.told.taken();
            match passing.next().await {
                Ok(slice) => {
                    let slice = slice?;
                    passing.told.handed(slice.len());
                    Some((Ok(slice), passing))
                }
                Err(why) => {
                    passing.told.cut_short(&why);
                    None
                }
            }
        })
    }

    async fn next(&mut self) -> Result<Option<Bytes>, Short> {
        if self.left == 0 && self.chunk.is_empty() {
            return Ok(None);
        }
        if self.handed && !self.admitted.holds().await {
            return Err(Short::Withdrawn);
        }
        if self.chunk.is_empty() {
            self.chunk = self.read().await?;
        }
        self.handed = true;
        Ok(Some(self.chunk.split_to(self.chunk.len().min(SLICE))))
    }

    async fn read(&mut self) -> Result<Bytes, Unread> {
        let failed = |text: String| Unread::Failed(io::Error::other(text));
        loop {
            let next = tokio::time::timeout(BYTES_PATIENCE, self.bytes.next()).await;
            let chunk = match next {
                Err(_) => return Err(failed("the storage stopped sending".to_owned())),
                Ok(None) => return Err(failed("the storage sent too little".to_owned())),
                Ok(Some(Err(object_store::Error::Precondition { .. }))) => {
                    return Err(Unread::Changed);
                }
                Ok(Some(Err(error))) => return Err(failed(storage::causes(&error))),
                Ok(Some(Ok(chunk))) => chunk,
            };
            if chunk.len() as u64 > self.left {
                return Err(failed("the storage sent too much".to_owned()));
            }
            self.left -= chunk.len() as u64;
            if !chunk.is_empty() {
                return Ok(chunk);
            }
        }
    }
}

fn whole(object: &Object) -> Part {
    Part {
        first: 0,
        length: object.size,
    }
}

fn status(answer: Answer) -> StatusCode {
    match answer {
        Answer::Whole => StatusCode::OK,
        Answer::Part(_) => StatusCode::PARTIAL_CONTENT,
        Answer::NotModified => StatusCode::NOT_MODIFIED,
    }
}

fn describe(response: &mut HttpResponseBuilder, validators: &Validators, content_type: &str) {
    response
        .insert_header((ETAG, validators.etag.to_string()))
        .insert_header((CACHE_CONTROL, "private, no-cache"))
        .insert_header((ACCEPT_RANGES, "bytes"))
        .insert_header((CONTENT_TYPE, content_type));
    if let Some(date) = validators.last_modified(SystemTime::now()) {
        response.insert_header((LAST_MODIFIED, date.to_string()));
    }
}

fn ending(name: &str) -> &str {
    name.rsplit_once('.').map_or("", |(_, ending)| ending)
}
