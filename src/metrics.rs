//! `/metrics`: Prometheus text, for whoever holds `METRICS_TOKEN`. Without that setting the address does not exist.

use actix_web::http::header::{AUTHORIZATION, HeaderMap, WWW_AUTHENTICATE};
use actix_web::{HttpRequest, HttpResponse, web};
use prometheus::{
    IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Registry, TextEncoder,
    register_int_counter_vec_with_registry, register_int_counter_with_registry,
    register_int_gauge_vec_with_registry, register_int_gauge_with_registry,
};

use crate::app::State;
use crate::error::{AppError, AppResult};
use crate::{clock, radar};

/// What is counted.
pub struct Metrics {
    registry: Registry,
    /// Answers, by method and status.
    pub requests: IntCounterVec,
    /// Sign-ins that ended, by outcome: `signed_in` or the reason of the refusal.
    pub sign_ins: IntCounterVec,
    /// Downloads that ended, by outcome: `whole` or `broken_off`.
    pub downloads: IntCounterVec,
    /// Bytes of downloads that ended.
    pub download_bytes: IntCounter,
    database_up: IntGauge,
    credential_days_left: IntGaugeVec,
}

impl Metrics {
    /// All at zero.
    ///
    /// # Errors
    /// A sentence, should a name be taken twice.
    pub fn new() -> Result<Self, String> {
        Self::registered(Registry::new()).map_err(|error| error.to_string())
    }

    fn registered(registry: Registry) -> prometheus::Result<Self> {
        let r = &registry;
        Ok(Self {
            requests: register_int_counter_vec_with_registry!(
                "portcullis_requests_total",
                "Answers by method and status.",
                &["method", "status"],
                r
            )?,
            sign_ins: register_int_counter_vec_with_registry!(
                "portcullis_sign_ins_total",
                "Sign-ins that ended, by outcome.",
                &["outcome"],
                r
            )?,
            downloads: register_int_counter_vec_with_registry!(
                "portcullis_downloads_total",
                "Downloads that ended, by outcome.",
                &["outcome"],
                r
            )?,
            download_bytes: register_int_counter_with_registry!(
                "portcullis_download_bytes_total",
                "Bytes of downloads that ended.",
                r
            )?,
            database_up: register_int_gauge_with_registry!(
                "portcullis_database_up",
                "Whether the database answers, 1 or 0.",
                r
            )?,
            credential_days_left: register_int_gauge_vec_with_registry!(
                "portcullis_credential_days_left",
                "Days until the secret or certificate expires, where that is known.",
                &["credential"],
                r
            )?,
            registry,
        })
    }

    /// Counts an answer. The method is one of the nine registered ones or `other`, since clients may invent them.
    pub fn answered(&self, method: &str, status: u16) {
        const KNOWN: [&str; 9] = [
            "GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT",
        ];
        let method = if KNOWN.contains(&method) {
            method
        } else {
            "other"
        };
        let status = status.to_string();
        self.requests.with_label_values(&[method, &status]).inc();
    }
}

/// `GET /metrics`: whoever sends the token.
///
/// # Errors
/// 500 when the text cannot be made.
pub async fn show(req: HttpRequest, state: web::Data<State>) -> AppResult<HttpResponse> {
    let token = state.settings.metrics_token.as_ref();
    if !token.is_some_and(|token| is_bearer(req.headers(), token.expose())) {
        return Ok(HttpResponse::Unauthorized()
            .insert_header((WWW_AUTHENTICATE, "Bearer realm=\"metrics\""))
            .content_type("text/plain; charset=utf-8")
            .body("Send the METRICS_TOKEN as a bearer token.\n"));
    }
    let metrics = &state.metrics;
    metrics.database_up.set(state.people.is_available().into());
    for credential in state.entra.iter().flat_map(|entra| entra.keychain().all()) {
        if let Some(days) = radar::days_left(&credential, clock::now()) {
            let gauge = &metrics.credential_days_left;
            gauge.with_label_values(&[credential.variable]).set(days);
        }
    }
    let text = TextEncoder::new()
        .encode_to_string(&metrics.registry.gather())
        .map_err(|error| AppError::Internal(error.to_string()))?;
    Ok(HttpResponse::Ok()
        .content_type("text/plain; version=0.0.4; charset=utf-8")
        .body(text))
}

/// Compares without telling by time how much of the token was right.
fn is_bearer(headers: &HeaderMap, token: &str) -> bool {
    let sent = headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "));
    sent.is_some_and(|sent| {
        aws_lc_rs::constant_time::verify_slices_are_equal(sent.as_bytes(), token.as_bytes()).is_ok()
    })
}
