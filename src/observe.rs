//! The outermost middleware: gives each request its reference number and writes one line about it.

use std::sync::Arc;
use std::time::Instant;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, web};

use crate::app::State;
use crate::auth::user::{self, CurrentUser};
use crate::connections::{Connection, Working};
use crate::reference::Reference;

/// Writes `REFERENCE METHOD PATH STATUS DURATION PERSON ADDRESS`. The query stays out: it may hold a code or a state.
///
/// # Errors
/// Never of its own.
pub async fn observe(
    req: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let began = Instant::now();
    let connection = req.conn_data::<Arc<Connection>>();
    let work = connection.map(Connection::work);
    let reference = Reference::new();
    req.extensions_mut().insert(reference);
    let response = next.call(req).await?;
    if let Some(state) = response.request().app_data::<web::Data<State>>() {
        let method = response.request().method().as_str();
        state.metrics.answered(method, response.status().as_u16());
    }
    if log::log_enabled!(target: "portcullis::access", log::Level::Info) {
        let req = response.request();
        let user = req.extensions().get::<CurrentUser>().cloned();
        log::info!(
            target: "portcullis::access",
            "{reference} {} {} {} {:.1}ms {} {}",
            req.method(),
            req.path().escape_debug(),
            response.status().as_u16(),
            began.elapsed().as_secs_f64() * 1000.0,
            user.as_ref().map_or("-", CurrentUser::email),
            user::address(req).as_deref().unwrap_or("-"),
        );
    }
    Ok(response.map_body(|_, body| Working::new(body, work)))
}
