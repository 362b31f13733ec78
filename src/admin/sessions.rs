//! `/admin/person/sign-out` and `/admin/person/rebind`: ends a person's sessions, and lets an address change hands.

use actix_web::{HttpResponse, web};
use serde::Deserialize;

use super::{Named, address, gone, person};
use crate::app::{State, finish};
use crate::audit::Actor;
use crate::auth::gate;
use crate::auth::store::{self, Owner};
use crate::auth::user::Admin;
use crate::db::{Conn, DbError, DbResult};
use crate::error::AppResult;
use crate::page::{Page, see_other};
use crate::roles::{Role, holdings};

/// The form of whatever is done to a person without further questions.
#[derive(Debug, Default, Deserialize)]
pub struct PersonForm {
    #[serde(default)]
    email: String,
}

/// `POST /admin/person/sign-out`: ends all of a person's sessions. Admins.
///
/// # Errors
/// The database's; then nothing was ended.
pub async fn sign_out(
    admin: Admin,
    page: Page,
    state: web::Data<State>,
    form: Option<web::Form<PersonForm>>,
    query: Option<web::Query<Named>>,
) -> AppResult<HttpResponse> {
    let whose = whose(form, query);
    let end = async |conn: &mut Conn, actor: &Actor, email: &str| {
        store::end_all(conn, actor, &Owner::whoever(email)).await
    };
    change(admin, page, state, whose, "signed-out", end).await
}

/// `POST /admin/person/rebind`: frees the address for another account. Admins.
///
/// # Errors
/// The database's; then nothing was changed.
pub async fn rebind(
    admin: Admin,
    page: Page,
    state: web::Data<State>,
    form: Option<web::Form<PersonForm>>,
    query: Option<web::Query<Named>>,
) -> AppResult<HttpResponse> {
    let whose = whose(form, query);
    let free =
        async |conn: &mut Conn, actor: &Actor, email: &str| store::rebind(conn, actor, email).await;
    change(admin, page, state, whose, "rebound", free).await
}

fn whose(form: Option<web::Form<PersonForm>>, query: Option<web::Query<Named>>) -> String {
    let form = form.map(web::Form::into_inner).unwrap_or_default();
    address(Some(Named::or(&query, &form.email)))
}

/// Does it in one transaction, and goes back to the person's page, which says what was `done`.
async fn change<T>(
    admin: Admin,
    page: Page,
    state: web::Data<State>,
    email: String,
    done: &str,
    work: impl AsyncFnOnce(&mut Conn, &Actor, &str) -> DbResult<T> + 'static,
) -> AppResult<HttpResponse> {
    if !is_known(&state, &email).await? {
        let mut conn = state.db.conn().await?;
        return gone(page, &mut conn, person::NOBODY, person::WAY_BACK).await;
    }
    let whose = email.clone();
    finish(async move {
        gate::check_again(&state, &admin, Role::Admin).await?;
        let change = async |conn: &mut Conn| work(conn, &admin.actor(), &whose).await;
        state.db.transaction::<_, DbError>(change).await?;
        state.people.forget(&whose);
        Ok(())
    })
    .await?;
    Ok(see_other(&format!("{}&done={done}", person::url(&email))))
}

/// Whether there is anything to do something about.
async fn is_known(state: &State, email: &str) -> AppResult<bool> {
    let mut conn = state.db.conn().await?;
    let held = holdings::holding(&mut conn, email).await?;
    Ok(!held.rows.is_empty() || !store::known(&mut conn, email).await?.is_empty())
}
