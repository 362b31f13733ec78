//! `/admin/requests`: who asks for access; `/admin/request`: one of them, to be approved or declined.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use askama::Template;
use serde::Deserialize;

use super::{Section, gone, notice, sections, turn, typed, with_status};
use crate::access::store::{self, Request, RequestState};
use crate::app::{State, finish};
use crate::auth::gate;
use crate::auth::user::Admin;
use crate::clock;
use crate::db::{Conn, DbError};
use crate::error::AppResult;
use crate::page::{Page, html, see_other};
use crate::roles::change::ChangeError;
use crate::roles::{Mistake, Role, Wanted, bindings, holdings as roles};

const OPEN: i64 = 100;
const ANSWERED: i64 = 20;
const WAY_BACK: (&str, &str) = ("/admin/requests", "All requests");
const GONE: &str = "There is no such request, or somebody else has answered it already.";
const LONGEST_ANSWER: usize = 500;

/// Which request, or what was done a moment ago.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Query {
    id: Option<i64>,
    done: Option<String>,
}

/// The answer: a role, or a sentence.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct AnswerForm {
    #[serde(default)]
    id: i64,
    #[serde(default)]
    role: String,
    #[serde(default)]
    until: String,
    #[serde(default)]
    note: String,
    #[serde(default)]
    answer: String,
    /// What the address held when the page was shown; somebody else may have given it a role since.
    #[serde(default)]
    before: String,
    /// From the page that kept the form while the person signed in again: it is shown, and nothing is done.
    #[serde(default)]
    kept: bool,
}

#[derive(Template)]
#[template(path = "admin/requests.html")]
struct RequestsPage {
    page: Page,
    sections: Vec<Section>,
    notice: Option<&'static str>,
    open: Vec<Row>,
    /// How many more are open than the list shows.
    more: i64,
    answered: Vec<Row>,
}

struct Row {
    id: i64,
    email: String,
    name: Option<String>,
    asked: String,
    asked_exact: String,
    outcome: &'static str,
    decided_by: String,
    answer: String,
}

#[derive(Template)]
#[template(path = "admin/request.html")]
struct RequestPage {
    page: Page,
    sections: Vec<Section>,
    problem: Option<Mistake>,
    request: Row,
    form: AnswerForm,
    roles: Vec<(&'static str, bool)>,
    today: String,
    now: String,
    before: String,
    has_role: bool,
    is_other_account: bool,
}

/// `GET /admin/requests`: the list. Admins.
///
/// # Errors
/// 503 without a database.
pub async fn index(
    _: Admin,
    page: Page,
    state: web::Data<State>,
    query: Option<web::Query<Query>>,
) -> AppResult<HttpResponse> {
    let query = query.map(web::Query::into_inner).unwrap_or_default();
    let now = clock::now();
    let mut conn = state.db.conn().await?;
    let open = store::open(&mut conn, OPEN).await?;
    let more = match store::count_open(&mut conn).await? {
        count if count > OPEN => count - OPEN,
        _ => 0,
    };
    let answered = store::answered(&mut conn, ANSWERED).await?;
    let sections = sections(&mut conn, "/admin/requests").await?;
    let rows = |requests: Vec<Request>| requests.into_iter().map(|r| row(r, now)).collect();
    html(&RequestsPage {
        page,
        sections,
        notice: notice(query.done.as_deref()),
        open: rows(open),
        more,
        answered: rows(answered),
    })
}

/// `GET /admin/request`: one request with both answers. Admins.
///
/// # Errors
/// 503 without a database.
pub async fn show(
    _: Admin,
    page: Page,
    state: web::Data<State>,
    query: Option<web::Query<Query>>,
) -> AppResult<HttpResponse> {
    let id = query.and_then(|query| query.id).unwrap_or(0);
    let form = AnswerForm {
        id,
        role: Role::Reader.as_str().to_owned(),
        ..AnswerForm::default()
    };
    form_page(page, &state, form, None).await
}

/// `POST /admin/request/approve`: gives the role. Admins.
///
/// # Errors
/// The database's; then nothing was changed.
pub async fn approve(
    admin: Admin,
    page: Page,
    state: web::Data<State>,
    form: Option<web::Form<AnswerForm>>,
) -> AppResult<HttpResponse> {
    let form = form.map(web::Form::into_inner).unwrap_or_default();
    if form.kept {
        return form_page(page, &state, form, None).await;
    }
    let wanted = match Wanted::read(&form.role, &form.until, &form.note) {
        Ok(wanted) => wanted,
        Err(mistake) => return form_page(page, &state, form, Some(mistake)).await,
    };
    let (id, before, task_state) = (form.id, form.before.clone(), state.clone());
    let done = finish(async move {
        let done = turn::change(&task_state, &admin, async |conn: &mut Conn| {
            store::approve(conn, &admin.actor(), id, &wanted, &before).await
        })
        .await;
        if let Ok(Ok(Some(request))) = &done {
            task_state.people.forget(&request.email);
        }
        done
    })
    .await?;
    match done {
        Ok(Some(_)) => Ok(see_other("/admin/requests?done=approved")),
        Ok(None) => gone(page, &mut state.db.conn().await?, GONE, WAY_BACK).await,
        Err(ChangeError::Db(error)) => Err(error.into()),
        Err(error) => {
            let mistake = Mistake::new("role", error.to_string());
            form_page(page, &state, form, Some(mistake)).await
        }
    }
}

/// `POST /admin/request/decline`: answers with a sentence. Admins.
///
/// # Errors
/// The database's; then nothing was changed.
pub async fn decline(
    admin: Admin,
    page: Page,
    state: web::Data<State>,
    form: Option<web::Form<AnswerForm>>,
) -> AppResult<HttpResponse> {
    let form = form.map(web::Form::into_inner).unwrap_or_default();
    if form.kept {
        return form_page(page, &state, form, None).await;
    }
    let answer = form.answer.split_whitespace().collect::<Vec<_>>().join(" ");
    let sentence = match answer.chars().count() {
        0 => Some("Write a sentence, so that the person knows why.".to_owned()),
        length if length > LONGEST_ANSWER => Some(format!(
            "The answer has at most {LONGEST_ANSWER} characters."
        )),
        _ => None,
    };
    if let Some(sentence) = sentence {
        let mistake = Mistake::new("answer", sentence);
        return form_page(page, &state, form, Some(mistake)).await;
    }
    let (answer, task_state) = (typed(Some(&answer)), state.clone());
    let done = finish(async move {
        gate::check_again(&task_state, &admin, Role::Admin).await?;
        let done = task_state
            .db
            .transaction::<_, DbError>(async |conn: &mut Conn| {
                store::decline(conn, &admin.actor(), form.id, &answer).await
            })
            .await?;
        Ok(done)
    })
    .await?;
    match done {
        Some(_) => Ok(see_other("/admin/requests?done=declined")),
        None => gone(page, &mut state.db.conn().await?, GONE, WAY_BACK).await,
    }
}

async fn form_page(
    page: Page,
    state: &State,
    form: AnswerForm,
    problem: Option<Mistake>,
) -> AppResult<HttpResponse> {
    let now = clock::now();
    let mut conn = state.db.conn().await?;
    let request = store::find(&mut conn, form.id).await?;
    let Some(request) = request.filter(|request| request.state() == RequestState::Open) else {
        return gone(page, &mut conn, GONE, WAY_BACK).await;
    };
    let held = roles::holding(&mut conn, &request.email).await?;
    let bound = bindings::of(&mut conn, &request.email).await?;
    let view = RequestPage {
        page,
        sections: sections(&mut conn, "/admin/requests").await?,
        roles: Role::ALL
            .map(|role| (role.as_str(), form.role == role.as_str()))
            .to_vec(),
        today: clock::last_day(now + 1),
        now: held.in_words(&request.email),
        before: held.fingerprint(),
        has_role: !held.rows.is_empty(),
        is_other_account: bound.is_some_and(|account| Some(account.oid) != request.oid),
        request: row(request, now),
        form,
        problem,
    };
    let status = match view.problem {
        Some(_) => StatusCode::UNPROCESSABLE_ENTITY,
        None => StatusCode::OK,
    };
    with_status(&view, status)
}

fn row(request: Request, now: i64) -> Row {
    Row {
        outcome: match request.state() {
            RequestState::Open => "open",
            RequestState::Approved => "approved",
            RequestState::Declined => "declined",
        },
        id: request.id,
        email: request.email,
        name: request.name,
        asked: clock::ago(request.asked_at, now),
        asked_exact: clock::rfc3339(request.asked_at),
        decided_by: request.decided_by.unwrap_or_default(),
        answer: request.answer.unwrap_or_default(),
    }
}
