//! `/admin/person/grant`: gives or changes a role. First the form, then what would happen, then it happens.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use askama::Template;
use serde::Deserialize;

use super::{Section, address, person, sections, turn, typed, with_status};
use crate::app::{State, finish};
use crate::auth::entra::is_plain_address;
use crate::auth::user::Admin;
use crate::clock;
use crate::db::Conn;
use crate::error::{AppError, AppResult};
use crate::page::{Page, html, see_other};
use crate::roles::change::{self, Change, ChangeError};
use crate::roles::{Holding, Mistake, Role, Wanted, holdings};

/// What was typed, and, the second time, what it was typed for.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct GrantForm {
    #[serde(default)]
    email: String,
    #[serde(default)]
    role: String,
    #[serde(default)]
    until: String,
    #[serde(default)]
    note: String,
    /// The state that the person was shown; only with it anything is changed.
    #[serde(default)]
    before: String,
    /// From the page that kept the form while the person signed in again: it is shown, and nothing is done.
    #[serde(default)]
    kept: bool,
}

/// Whose role.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Query {
    email: Option<String>,
}

#[derive(Template)]
#[template(path = "admin/grant.html")]
struct GrantPage {
    page: Page,
    sections: Vec<Section>,
    problem: Option<Mistake>,
    form: GrantForm,
    is_known: bool,
    roles: Vec<(&'static str, &'static str, bool)>,
    today: String,
}

#[derive(Template)]
#[template(path = "admin/confirm_grant.html")]
struct ConfirmPage {
    page: Page,
    sections: Vec<Section>,
    form: GrantForm,
    now: String,
    then: String,
    is_me: bool,
    has_moved: bool,
}

/// `GET /admin/person/grant`: the form, filled in where the address has a role. Admins.
///
/// # Errors
/// 503 without a database.
pub async fn show(
    _: Admin,
    page: Page,
    state: web::Data<State>,
    query: Option<web::Query<Query>>,
) -> AppResult<HttpResponse> {
    let query = query.map(web::Query::into_inner).unwrap_or_default();
    let email = address(query.email.as_deref());
    let mut conn = state.db.conn().await?;
    let held = holdings::holding(&mut conn, &email).await?;
    // A form would give the role to the address without its odd signs, which is another one.
    if !held.rows.is_empty() && !is_plain_address(&email) {
        return Ok(see_other(&person::url(&email)));
    }
    let form = GrantForm {
        role: held
            .rows
            .first()
            .map(|row| row.role.clone())
            .unwrap_or_default(),
        until: held.ends_at().map(clock::last_day).unwrap_or_default(),
        note: held.grant.and_then(|grant| grant.note).unwrap_or_default(),
        email,
        ..GrantForm::default()
    };
    html(&form_page(page, &mut conn, form, None).await?)
}

/// `POST /admin/person/grant`: asks first, then gives the role. Admins. What cannot be taken comes back as the form.
///
/// # Errors
/// What is not the form's fault.
pub async fn submit(
    admin: Admin,
    page: Page,
    state: web::Data<State>,
    form: Option<web::Form<GrantForm>>,
) -> AppResult<HttpResponse> {
    let form = form.map(web::Form::into_inner).unwrap_or_default();
    let form = GrantForm {
        email: typed(Some(&form.email)).to_ascii_lowercase(),
        ..form
    };
    if form.kept {
        let mut conn = state.db.conn().await?;
        return html(&form_page(page, &mut conn, form, None).await?);
    }
    let wanted = match read(&form) {
        Ok(wanted) => wanted,
        Err(mistake) => return form_again(page, &state, form, mistake).await,
    };
    let mut conn = state.db.conn().await?;
    let held = holdings::holding(&mut conn, &form.email).await?;
    if form.before != held.fingerprint() {
        let has_moved = !form.before.is_empty();
        return confirm(&admin, page, &mut conn, form, held, &wanted, has_moved).await;
    }
    drop(conn);
    match give(&admin, &state, &form, wanted).await? {
        Ok(()) => Ok(see_other(&format!(
            "{}&done=granted",
            person::url(&form.email)
        ))),
        Err(ChangeError::Db(error)) => Err(error.into()),
        Err(error) => form_again(page, &state, form, Mistake::new("role", error.to_string())).await,
    }
}

fn read(form: &GrantForm) -> Result<Wanted, Mistake> {
    if !is_plain_address(&form.email) {
        let sentence = "Write an e-mail address, such as ada@contoso.com.";
        return Err(Mistake::new("email", sentence));
    }
    Wanted::read(&form.role, &form.until, &form.note)
}

/// Whatever happened between the look and the lock is found by the state that the form carries.
async fn give(
    admin: &Admin,
    state: &web::Data<State>,
    form: &GrantForm,
    wanted: Wanted,
) -> AppResult<Result<(), ChangeError>> {
    let (admin, state, form) = (admin.clone(), state.clone(), form.clone());
    finish(async move {
        let actor = admin.actor();
        let done = turn::change(&state, &admin, async |conn: &mut Conn| {
            let held = holdings::holding(conn, &form.email).await?;
            if held.fingerprint() != form.before {
                return Err(ChangeError::Moved);
            }
            let change = Change::grant(&form.email, held, &wanted, &actor);
            change::apply(conn, &actor, None, &[change], &[]).await
        })
        .await;
        state.people.forget(&form.email);
        done
    })
    .await
}

async fn confirm(
    admin: &Admin,
    page: Page,
    conn: &mut Conn,
    form: GrantForm,
    held: Holding,
    wanted: &Wanted,
    has_moved: bool,
) -> AppResult<HttpResponse> {
    let change = Change::grant(&form.email, held, wanted, &admin.actor());
    let view = ConfirmPage {
        page,
        sections: sections(conn, "/admin/people").await?,
        now: change.before.in_words(&form.email),
        then: change.after.in_words(&form.email),
        is_me: admin.email() == form.email && wanted.role < Role::Admin,
        has_moved,
        form: GrantForm {
            before: change.before.fingerprint(),
            ..form
        },
    };
    let status = match has_moved {
        true => StatusCode::CONFLICT,
        false => StatusCode::OK,
    };
    with_status(&view, status)
}

async fn form_again(
    page: Page,
    state: &State,
    form: GrantForm,
    mistake: Mistake,
) -> AppResult<HttpResponse> {
    let mut conn = state.db.conn().await?;
    let view = form_page(page, &mut conn, form, Some(mistake)).await?;
    with_status(&view, StatusCode::UNPROCESSABLE_ENTITY)
}

async fn form_page(
    page: Page,
    conn: &mut Conn,
    form: GrantForm,
    problem: Option<Mistake>,
) -> Result<GrantPage, AppError> {
    let held = holdings::holding(conn, &form.email).await?;
    let roles = Role::ALL.map(|role| {
        let may = match role {
            Role::Reader => "sees and downloads",
            Role::Editor => "publishes besides",
            Role::Admin => "manages the portal besides",
        };
        (role.as_str(), may, form.role == role.as_str())
    });
    Ok(GrantPage {
        page,
        sections: sections(conn, "/admin/people").await?,
        problem,
        is_known: !held.rows.is_empty(),
        roles: roles.to_vec(),
        today: clock::last_day(clock::now() + 1),
        form,
    })
}
