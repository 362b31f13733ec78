//! What a request wants of a file, and whether it gets it: the conditions of RFC 9110 section 13, in the order of its
//! section 13.2.2, then the range. `NamedFile` would decide most of this as well, but it takes the first of several
//! ranges for all of them, any date in `If-Range` for a proof, and an `If-Match` that it cannot read for none.

use std::time::SystemTime;

use actix_web::http::Method;
use actix_web::http::header::{
    EntityTag, Header, HeaderName, HeaderValue, HttpDate, IF_MATCH, IF_NONE_MATCH, IF_RANGE,
    IfMatch, IfModifiedSince, IfNoneMatch, IfRange, IfUnmodifiedSince, RANGE,
};
use actix_web::{HttpMessage, HttpRequest};

use super::range::{self, Part};
use super::validators::Validators;
use crate::error::AppError;

/// A request for a file, as far as conditions and range go. It may travel to the thread that opens the file.
#[derive(Debug, Clone)]
pub struct Asked {
    is_get: bool,
    if_match: Sent<IfMatch>,
    unmodified_since: Option<HttpDate>,
    if_none_match: Sent<IfNoneMatch>,
    modified_since: Option<HttpDate>,
    if_range: Sent<IfRange>,
    range: Vec<HeaderValue>,
}

/// A header that was sent or not; one that cannot be read never matches anything.
#[derive(Debug, Clone)]
enum Sent<T> {
    Not,
    Unreadable,
    As(T),
}

/// What the request gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// 200: all of it.
    Whole,
    /// 206.
    Part(Part),
    /// 304: what the client has is still the file.
    NotModified,
}

impl Asked {
    /// Reads the headers of a GET or HEAD.
    pub fn of(req: &HttpRequest) -> Self {
        Self {
            is_get: req.method() == Method::GET,
            if_match: sent(req, IF_MATCH),
            unmodified_since: req.get_header().map(|IfUnmodifiedSince(date)| date),
            if_none_match: sent(req, IF_NONE_MATCH),
            modified_since: req.get_header().map(|IfModifiedSince(date)| date),
            if_range: sent(req, IF_RANGE),
            range: req.headers().get_all(RANGE).cloned().collect(),
        }
    }

    /// Whether the file's content is wanted, and not only what is known of it.
    pub fn is_get(&self) -> bool {
        self.is_get
    }

    /// Decides, for a file of `size` bytes.
    ///
    /// # Errors
    /// 412 and 416.
    pub fn answer(
        &self,
        file: &Validators,
        size: u64,
        now: SystemTime,
    ) -> Result<Answer, AppError> {
        if !self.is_wanted_state(file) {
            return Err(AppError::Changed);
        }
        if self.is_known_state(file) {
            return Ok(Answer::NotModified);
        }
        // A range means nothing to HEAD (RFC 9110 section 14.2).
        if !self.is_get || !self.part_would_fit(file, now) {
            return Ok(Answer::Whole);
        }
        let part = range::wanted(&self.range, size)?;
        Ok(part.map_or(Answer::Whole, Answer::Part))
    }

    /// `If-Match`, else `If-Unmodified-Since`.
    fn is_wanted_state(&self, file: &Validators) -> bool {
        match (&self.if_match, self.unmodified_since) {
            (Sent::As(IfMatch::Any), _) => true,
            (Sent::As(IfMatch::Items(tags)), _) => any(tags, |tag| tag.strong_eq(&file.etag)),
            (Sent::Unreadable, _) => false,
            (Sent::Not, Some(date)) => file.is_unchanged_since(date) != Some(false),
            (Sent::Not, None) => true,
        }
    }

    /// `If-None-Match`, else `If-Modified-Since`.
    fn is_known_state(&self, file: &Validators) -> bool {
        match (&self.if_none_match, self.modified_since) {
            (Sent::As(IfNoneMatch::Any), _) => true,
            (Sent::As(IfNoneMatch::Items(tags)), _) => any(tags, |tag| tag.weak_eq(&file.etag)),
            (Sent::Unreadable, _) => false,
            (Sent::Not, Some(date)) => file.is_unchanged_since(date) == Some(true),
            (Sent::Not, None) => false,
        }
    }

    /// `If-Range`: whether the client's other parts are of this very state of the file.
    fn part_would_fit(&self, file: &Validators, now: SystemTime) -> bool {
        match &self.if_range {
            Sent::Not => true,
            Sent::As(IfRange::EntityTag(tag)) => tag.strong_eq(&file.etag),
            Sent::As(IfRange::Date(date)) => file.is_exactly(*date, now),
            Sent::Unreadable => false,
        }
    }
}

fn sent<T: Header>(req: &HttpRequest, name: HeaderName) -> Sent<T> {
    match (req.headers().contains_key(name), req.get_header()) {
        (false, _) => Sent::Not,
        (true, Some(value)) => Sent::As(value),
        (true, None) => Sent::Unreadable,
    }
}

fn any(tags: &[EntityTag], fits: impl Fn(&EntityTag) -> bool) -> bool {
    tags.iter().any(fits)
}
