//! Every address of the portal on one screen: public, for people who are signed in, for admins.

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::guard;
use actix_web::http::Method;
use actix_web::middleware::from_fn;
use actix_web::{Error, HttpRequest, HttpResponse, Resource, Route, Scope, web};

use crate::auth::user::{Admin, CurrentUser, Editor, Reader};
use crate::auth::{gate, handlers as auth, me};
use crate::error::AppError;
use crate::items::uploads::handlers as uploads;
use crate::items::uploads::protocol::{is_meant, tell_version};
use crate::roles::Role;
use crate::{
    access, account, admin, assets, changing, files, health, items, metrics, openapi, preview,
    trash,
};

/// All of them. What is not named here is closed. `metrics` says whether METRICS_TOKEN is set.
pub fn all(config: &mut web::ServiceConfig, metrics: bool) {
    if metrics {
        config.service(page("/metrics").route(get(metrics::show)));
    }
    config
        .default_service(web::to(no_path))
        // public
        .configure(sign_in)
        .service(page("/openapi.json").route(get(openapi::json)))
        .service(page("/docs").route(get(openapi::docs)))
        .service(page("/redoc").route(get(openapi::redoc)))
        .service(page("/health/live").route(get(health::live)))
        .service(page("/health/ready").route(get(health::ready)))
        // signed in, with a role unless a handler's first argument says otherwise
        .service(
            behind_the_gate()
                .service(
                    web::resource("/api/me")
                        .route(get(me::show))
                        .default_service(web::to(|_: CurrentUser| wrong_method("GET, HEAD"))),
                )
                .service(
                    web::resource("/api/me/sign-out")
                        .route(web::post().to(me::sign_out_everywhere))
                        .default_service(web::to(|_: CurrentUser| wrong_method("POST"))),
                )
                .service(
                    web::resource("/account")
                        .route(get(account::show))
                        .default_service(web::to(|_: CurrentUser| wrong_method("GET, HEAD"))),
                )
                .service(
                    web::resource("/account/sign-out")
                        .route(web::post().to(account::sign_out))
                        .default_service(web::to(|_: CurrentUser| wrong_method("POST"))),
                )
                .service(
                    web::resource("/account/sign-out-everywhere")
                        .route(web::post().to(account::sign_out_everywhere))
                        .default_service(web::to(|_: CurrentUser| wrong_method("POST"))),
                )
                .service(
                    web::resource("/account/access-request")
                        .route(get(access::show))
                        .route(web::post().to(access::ask))
                        .default_service(web::to(|_: CurrentUser| wrong_method("GET, HEAD, POST"))),
                )
                .service(
                    web::resource("/api/items")
                        .route(get(items::api::list))
                        .route(web::post().to(items::api::publish))
                        .default_service(web::to(|_: Reader| wrong_method("GET, HEAD, POST"))),
                )
                .service(
                    web::resource("/api/zip")
                        .route(get(files::zip::of_address))
                        .route(web::post().to(files::zip::of_form))
                        .default_service(web::to(|_: Reader| wrong_method("GET, HEAD, POST"))),
                )
                .service(
                    web::resource("/api/items/{path:.*}")
                        .route(get(changing::api::items::show_item))
                        .route(web::patch().to(changing::api::items::change_item))
                        .route(web::delete().to(changing::api::items::delete_item))
                        .default_service(web::to(|_: Reader| {
                            wrong_method("GET, HEAD, PATCH, DELETE")
                        })),
                )
                .service(
                    web::resource("/api/folders")
                        .route(get(items::api::list_folders))
                        .route(web::post().to(changing::api::folders::make_folder))
                        .default_service(web::to(|_: Reader| wrong_method("GET, HEAD, POST"))),
                )
                .service(
                    web::resource("/api/folders/{path:.*}")
                        .route(get(changing::api::folders::show_folder))
                        .route(web::patch().to(changing::api::folders::change_folder))
                        .route(web::delete().to(changing::api::folders::delete_folder))
                        .default_service(web::to(|_: Reader| {
                            wrong_method("GET, HEAD, PATCH, DELETE")
                        })),
                )
                .service(closed("/api/trash").route(get(trash::api::list)))
                .service(
                    web::resource("/api/trash/{id}")
                        .route(web::delete().to(trash::api::remove))
                        .default_service(web::to(|_: Reader| wrong_method("DELETE"))),
                )
                .service(
                    web::resource("/api/trash/{id}/restore")
                        .route(web::post().to(trash::api::bring_back))
                        .default_service(web::to(|_: Reader| wrong_method("POST"))),
                )
                .service(closed("/item").route(get(changing::pages::show::show)))
                .service(
                    form("/item/move")
                        .route(get(changing::pages::relocate::ask_move))
                        .route(web::post().to(changing::pages::relocate::submit_move)),
                )
                .service(
                    form("/item/title")
                        .route(get(changing::pages::title::ask_title))
                        .route(web::post().to(changing::pages::title::submit_title)),
                )
                .service(
                    form("/item/replace")
                        .route(get(changing::pages::replace::ask_replace))
                        .route(web::post().to(changing::pages::replace::submit_replace)),
                )
                .service(
                    form("/item/folder")
                        .route(get(changing::pages::folder::ask_folder))
                        .route(web::post().to(changing::pages::folder::submit_folder)),
                )
                .service(
                    form("/item/delete")
                        .route(get(changing::pages::delete::ask_delete))
                        .route(web::post().to(changing::pages::delete::submit_delete)),
                )
                .service(closed("/trash").route(get(trash::pages::show)))
                .service(
                    form("/trash/{id}/restore")
                        .route(get(trash::pages::ask_restore))
                        .route(web::post().to(trash::pages::submit_restore)),
                )
                .service(
                    form("/trash/{id}/remove")
                        .route(get(trash::pages::ask_remove))
                        .route(web::post().to(trash::pages::submit_remove)),
                )
                .service(
                    web::resource("/api/uploads")
                        .wrap(from_fn(tell_version))
                        .route(web::method(Method::OPTIONS).to(uploads::options))
                        .route(web::post().to(uploads::create))
                        .default_service(web::to(|_: Editor| wrong_method("OPTIONS, POST"))),
                )
                .service(
                    web::resource("/api/uploads/{id}")
                        .wrap(from_fn(tell_version))
                        .route(web::method(Method::OPTIONS).to(uploads::options))
                        .route(web::head().to(uploads::head))
                        .route(web::route().guard(is_meant("PATCH")).to(uploads::patch))
                        .route(web::route().guard(is_meant("DELETE")).to(uploads::delete))
                        .default_service(web::to(|_: Editor| {
                            wrong_method("OPTIONS, HEAD, PATCH, DELETE")
                        })),
                )
                .service(closed("/api/files/{path:.*}").route(get(files::send::download)))
                .service(closed("/api/preview/{path:.*}").route(get(preview::bytes)))
                .service(closed("/preview/{path:.*}").route(get(preview::show)))
                .service(closed("/").route(get(items::pages::catalogue)))
                .service(
                    web::resource("/publish")
                        .route(get(items::pages::publish_form))
                        .route(
                            web::post()
                                .guard(guard::fn_guard(is_urlencoded))
                                .to(items::pages::publish_form_again),
                        )
                        .route(web::post().to(items::pages::publish))
                        .default_service(web::to(|_: Reader| wrong_method("GET, HEAD, POST"))),
                )
                .service(
                    web::scope("/admin")
                        .wrap(from_fn(gate::admins_only))
                        .service(shown("").route(get(admin::overview::show)))
                        .service(shown("/people").route(get(admin::people::show)))
                        .service(shown("/people/export").route(get(admin::people::export)))
                        .service(
                            asked("/people/import")
                                .route(get(admin::import::show))
                                .route(
                                    web::post()
                                        .guard(guard::fn_guard(is_urlencoded))
                                        .to(admin::import::again),
                                )
                                .route(web::post().to(admin::import::submit)),
                        )
                        .service(shown("/diagnostics").route(get(admin::diagnostics::show)))
                        .service(shown("/person").route(get(admin::person::show)))
                        .service(
                            asked("/person/grant")
                                .route(get(admin::grant::show))
                                .route(web::post().to(admin::grant::submit)),
                        )
                        .service(
                            asked("/person/remove")
                                .route(get(admin::remove::show))
                                .route(web::post().to(admin::remove::submit)),
                        )
                        .service(
                            asked("/person/tidy")
                                .route(get(admin::tidy::show))
                                .route(web::post().to(admin::tidy::submit)),
                        )
                        .service(
                            done("/person/sign-out")
                                .route(web::post().to(admin::sessions::sign_out)),
                        )
                        .service(
                            done("/person/rebind").route(web::post().to(admin::sessions::rebind)),
                        )
                        .service(shown("/requests").route(get(admin::requests::index)))
                        .service(shown("/request").route(get(admin::requests::show)))
                        .service(
                            done("/request/approve")
                                .route(web::post().to(admin::requests::approve)),
                        )
                        .service(
                            done("/request/decline")
                                .route(web::post().to(admin::requests::decline)),
                        )
                        .service(shown("/audit").route(get(admin::audit::show)))
                        .service(shown("/audit/export").route(get(admin::audit::export)))
                        .service(
                            asked("/audit/undo")
                                .route(get(admin::undo::show))
                                .route(web::post().to(admin::undo::submit)),
                        )
                        .service(shown("/why").route(get(admin::why::show)))
                        .service(
                            web::resource("/folders")
                                .route(get(admin::folders::show))
                                .route(web::post().to(admin::folders::set))
                                .default_service(web::to(|_: Admin| {
                                    wrong_method("GET, HEAD, POST")
                                })),
                        )
                        .service(
                            web::resource("/folders/clear")
                                .route(web::post().to(admin::folders::clear))
                                .default_service(web::to(|_: Admin| wrong_method("POST"))),
                        )
                        .default_service(web::to(nothing_for_admins)),
                ),
        );
}

/// Signing in and out, and what their pages need; an embedding program has them as well.
pub fn sign_in(config: &mut web::ServiceConfig) {
    config
        .service(page("/login").route(get(auth::login)))
        .service(page("/callback").route(get(auth::callback)))
        .service(
            web::resource("/logout")
                .route(get(auth::logout))
                .route(web::post().to(auth::logout_now))
                .default_service(web::to(|| wrong_method("GET, HEAD, POST")))
                .wrap(from_fn(gate::same_origin)),
        )
        .service(page("/logout/frontchannel").route(get(auth::frontchannel)))
        .service(page("/signed-out").route(get(auth::signed_out)))
        .service(page("/static/{name}").route(get(assets::show)));
}

/// Where everything belongs that is not public: whatever is not found in it is closed as well.
pub fn behind_the_gate() -> Scope<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<impl MessageBody>,
        Error = Error,
        InitError = (),
    >,
> {
    web::scope("")
        .wrap(from_fn(gate::same_origin))
        .wrap(from_fn(gate::tell_refusals))
        .wrap(from_fn(gate::gate))
        .default_service(web::to(nothing))
}

/// GET, which always answers HEAD as well.
fn get<F, Args>(handler: F) -> Route
where
    F: actix_web::Handler<Args>,
    Args: actix_web::FromRequest + 'static,
    F::Output: actix_web::Responder + 'static,
{
    web::route()
        .guard(guard::Any(guard::Get()).or(guard::Head()))
        .to(handler)
}

/// A public address that is only read.
fn page(path: &str) -> Resource {
    web::resource(path).default_service(web::to(|| wrong_method("GET, HEAD")))
}

/// An address for people with a role that is only read.
fn closed(path: &str) -> Resource {
    web::resource(path).default_service(web::to(|_: Reader| wrong_method("GET, HEAD")))
}

/// An address for people with a role that asks first and is then posted to.
fn form(path: &str) -> Resource {
    web::resource(path).default_service(web::to(|_: Reader| wrong_method("GET, HEAD, POST")))
}

/// An address for admins that is only read.
fn shown(path: &str) -> Resource {
    web::resource(path).default_service(web::to(|_: Admin| wrong_method("GET, HEAD")))
}

/// An address for admins that asks first and is then posted to.
fn asked(path: &str) -> Resource {
    web::resource(path).default_service(web::to(|_: Admin| wrong_method("GET, HEAD, POST")))
}

/// An address for admins that is only posted to.
fn done(path: &str) -> Resource {
    web::resource(path).default_service(web::to(|_: Admin| wrong_method("POST")))
}

fn is_urlencoded(context: &guard::GuardContext<'_>) -> bool {
    let kind = context.head().headers().get("content-type");
    kind.and_then(|kind| kind.to_str().ok())
        .is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded"))
}

async fn wrong_method(allowed: &'static str) -> Result<HttpResponse, AppError> {
    Err(AppError::MethodNotAllowed(allowed))
}

/// `*` is no path, and so never reaches the gated scope.
async fn no_path(req: HttpRequest) -> Result<HttpResponse, AppError> {
    let user = gate::identify(&req).await?.ok_or(AppError::SignInNeeded)?;
    user.at_least(Role::Reader)?;
    Err(AppError::NotFound)
}

/// Whatever else a person with a role asks for.
async fn nothing(_: Reader) -> Result<HttpResponse, AppError> {
    Err(AppError::NotFound)
}

async fn nothing_for_admins(_: Admin) -> Result<HttpResponse, AppError> {
    Err(AppError::NotFound)
}
