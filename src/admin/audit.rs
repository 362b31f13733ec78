//! `/admin/audit`: who did what, filtered, older and newer by key; and the same rows as a stream to keep.

use actix_web::http::StatusCode;
use actix_web::http::header::CONTENT_DISPOSITION;
use actix_web::web::Bytes;
use actix_web::{HttpResponse, web};
use askama::Template;
use futures_util::{Stream, StreamExt};
use serde::Deserialize;

use super::{Section, notice, sections, typed, with_status};
use crate::app::{State, finish};
use crate::audit::export::{self, Format};
use crate::audit::find::{self, Cursor, Search, Way};
use crate::audit::words::{self, ACTIONS, Line};
use crate::audit::{self, Action, Event};
use crate::auth::user::{Admin, Now, StillAdmitted};
use crate::clock;
use crate::db::{Conn, DbError, DbResult};
use crate::error::{AppError, AppResult};
use crate::files::path::encode;
use crate::page::Page;
use crate::roles::{Mistake, Role};

const PER_PAGE: usize = 100;

/// What the address asks for; every part may be missing.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Query {
    person: Option<String>,
    action: Option<String>,
    path: Option<String>,
    reference: Option<String>,
    from: Option<String>,
    to: Option<String>,
    before: Option<String>,
    after: Option<String>,
    format: Option<String>,
    done: Option<String>,
}

/// The same, as it was typed.
#[derive(Debug, Clone, Default)]
struct Typed {
    person: String,
    action: String,
    path: String,
    reference: String,
    from: String,
    to: String,
}

#[derive(Template)]
#[template(path = "admin/audit.html")]
struct AuditPage {
    page: Page,
    sections: Vec<Section>,
    notice: Option<&'static str>,
    problem: Option<Mistake>,
    typed: Typed,
    actions: Vec<(&'static str, &'static str, bool)>,
    is_narrowed: bool,
    lines: Vec<Line>,
    newer: Option<String>,
    older: Option<String>,
    export: String,
}

/// What was asked for.
///
/// # Errors
/// 422 for an address that cannot be read, since less would be narrowed than was meant.
fn named_once(query: Result<web::Query<Query>, actix_web::Error>) -> AppResult<Query> {
    query.map(web::Query::into_inner).map_err(|_| {
        let sentence = "Name each filter of the activity once, or leave it out.";
        AppError::Unprocessable(sentence.to_owned())
    })
}

/// `GET /admin/audit`: a hundred rows. Admins. A day that is none comes back with 422.
///
/// # Errors
/// 422 for a filter that is named twice; 503 without a database.
pub async fn show(
    _: Admin,
    page: Page,
    state: web::Data<State>,
    query: Result<web::Query<Query>, actix_web::Error>,
) -> AppResult<HttpResponse> {
    let query = named_once(query)?;
    let typed = Typed::of(&query);
    let (search, problem) = match typed.search() {
        Ok(search) => (Some(search), None),
        Err(mistake) => (None, Some(mistake)),
    };
    let mut conn = state.db.conn().await?;
    let found = match &search {
        Some(search) => Found::of(&mut conn, search, &query).await?,
        None => Found::default(),
    };
    let sections = sections(&mut conn, "/admin/audit").await?;
    drop(conn);
    let status = match problem {
        Some(_) => StatusCode::UNPROCESSABLE_ENTITY,
        None => StatusCode::OK,
    };
    let view = AuditPage {
        page,
        sections,
        notice: notice(query.done.as_deref()),
        problem,
        actions: ACTIONS
            .map(|(action, label, _)| (action, label, action == typed.action))
            .to_vec(),
        is_narrowed: !typed.query("").is_empty(),
        newer: found
            .newer
            .map(|cursor| typed.url("after", &cursor.to_string())),
        older: found
            .older
            .map(|cursor| typed.url("before", &cursor.to_string())),
        export: typed.query("/admin/audit/export?"),
        lines: words::lines(found.rows, clock::now()),
        typed,
    };
    with_status(&view, status)
}

/// `GET /admin/audit/export`: all matching rows, oldest first, as they are read. Admins; the audit is told.
///
/// # Errors
/// 422 for an address that cannot be read, since it would give more than was asked for; 503 without a database.
pub async fn export(
    admin: Admin,
    state: web::Data<State>,
    query: Result<web::Query<Query>, actix_web::Error>,
) -> AppResult<HttpResponse> {
    let query = named_once(query)?;
    let typed = Typed::of(&query);
    let search = typed
        .search()
        .map_err(|mistake| AppError::Unprocessable(mistake.sentence))?;
    let (format, kind, name) = match query.format.as_deref() {
        Some("json") => (Format::JsonLines, "application/x-ndjson", "audit.jsonl"),
        _ => (Format::Csv, "text/csv; charset=utf-8", "audit.csv"),
    };
    let (actor, task_state) = (admin.actor(), state.clone());
    let event = Event::new(Action::AuditExported, "dim.audit", "exported")
        .with("filter", typed.query(""))
        .with("format", name);
    finish(async move {
        task_state
            .db
            .transaction::<_, DbError>(async |conn: &mut Conn| {
                audit::record(conn, &actor, &event).await
            })
            .await?;
        Ok(())
    })
    .await?;
    Ok(HttpResponse::Ok()
        .content_type(kind)
        .insert_header((
            CONTENT_DISPOSITION,
            format!("attachment; filename=\"{name}\""),
        ))
        .streaming(for_an_admin(
            export::stream(state.db.clone(), search, format),
            admin.still_admitted(&state.people),
        )))
}

/// Ends with an error, so that nobody takes a part for the whole, once its reader is no admin any more.
fn for_an_admin(
    rows: impl Stream<Item = Result<Bytes, DbError>>,
    admitted: StillAdmitted,
) -> impl Stream<Item = Result<Bytes, actix_web::Error>> {
    rows.then(move |piece| {
        let admitted = admitted.clone();
        async move {
            match admitted.now().await {
                Now::Admitted(person) if person.role == Some(Role::Admin) => {
                    Ok(piece.map_err(AppError::from)?)
                }
                Now::Admitted(_) | Now::Out => Err(AppError::RoleNeeded(Role::Admin).into()),
                // As downloads do, it goes on while nobody can say.
                Now::Unknown => Ok(piece.map_err(AppError::from)?),
            }
        }
    })
}

/// One page of rows, and where the next ones begin.
#[derive(Default)]
struct Found {
    rows: Vec<audit::store::Entry>,
    newer: Option<Cursor>,
    older: Option<Cursor>,
}

impl Found {
    /// One row more than is shown says whether the list goes on.
    async fn of(conn: &mut Conn, search: &Search, query: &Query) -> DbResult<Self> {
        let cursor = |text: &Option<String>| text.as_deref().and_then(|text| text.parse().ok());
        if let Some(after) = cursor(&query.after) {
            let way = Way::Newer(Some(after));
            let mut rows = find::rows(conn, search, way, PER_PAGE + 1).await?;
            if rows.len() > PER_PAGE {
                rows.truncate(PER_PAGE);
                rows.reverse();
                return Ok(Self {
                    newer: rows.first().map(Cursor::of),
                    older: rows.last().map(Cursor::of),
                    rows,
                });
            }
            // Less than a page is newer: then the newest page it is.
        }
        let before: Option<Cursor> = cursor(&query.before);
        let mut rows = find::rows(conn, search, Way::Older(before), PER_PAGE + 1).await?;
        let goes_on = rows.len() > PER_PAGE;
        rows.truncate(PER_PAGE);
        Ok(Self {
            newer: before.and(rows.first()).map(Cursor::of).or(before),
            older: rows.last().filter(|_| goes_on).map(Cursor::of),
            rows,
        })
    }
}

impl Typed {
    fn of(query: &Query) -> Self {
        let of = |text: &Option<String>| typed(text.as_deref());
        Self {
            person: of(&query.person).to_ascii_lowercase(),
            action: of(&query.action),
            path: of(&query.path),
            reference: of(&query.reference).to_ascii_uppercase(),
            from: of(&query.from),
            to: of(&query.to),
        }
    }

    fn search(&self) -> Result<Search, Mistake> {
        let given = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
        let day = |field, text: &String, read: fn(&str) -> Option<i64>| match given(text) {
            None => Ok(None),
            Some(text) => read(&text).map(Some).ok_or_else(|| {
                Mistake::new(field, "Write a day as year-month-day, such as 2026-01-31.")
            }),
        };
        Ok(Search {
            person: given(&self.person),
            action: given(&self.action),
            path: given(&self.path),
            reference: given(&self.reference),
            from: day("from", &self.from, clock::start_of_day)?,
            to: day("to", &self.to, clock::end_of_day)?,
        })
    }

    /// What was typed as a query, after `before`.
    fn query(&self, before: &str) -> String {
        let pairs = [
            ("person", &self.person),
            ("action", &self.action),
            ("path", &self.path),
            ("reference", &self.reference),
            ("from", &self.from),
            ("to", &self.to),
        ];
        let pairs = pairs.iter().filter(|(_, text)| !text.is_empty());
        let pairs: Vec<String> = pairs
            .map(|(name, text)| format!("{name}={}", encode(text)))
            .collect();
        format!("{before}{}", pairs.join("&"))
    }

    fn url(&self, name: &str, cursor: &str) -> String {
        let query = self.query("/admin/audit?");
        let separator = if query.ends_with('?') { "" } else { "&" };
        format!("{query}{separator}{name}={cursor}")
    }
}
