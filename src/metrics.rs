//! `/metrics`: Prometheus text, for whoever holds `METRICS_TOKEN`. Without that setting the address does not exist.

use actix_web::http::header::{AUTHORIZATION, HeaderMap, WWW_AUTHENTICATE};
use actix_web::{HttpRequest, HttpResponse, web};
use prometheus::{Gauge, IntCounter, IntCounterVec, IntGauge, Opts, Registry, TextEncoder};

use crate::app::State;
use crate::error::{AppError, AppResult};

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
    /// Files that the index knows, as of the last scan by this instance.
    pub index_files: IntGauge,
    /// How long that scan took.
    pub index_scan_seconds: Gauge,
    /// 1 while the index refuses to believe what FILES_DIR shows.
    pub index_warning: IntGauge,
}

impl Metrics {
    /// All at zero.
    ///
    /// # Errors
    /// A sentence, should a name be taken twice.
    pub fn new() -> Result<Self, String> {
        let counters = |name: &str, help: &str, labels: &[&str]| {
            IntCounterVec::new(Opts::new(name, help), labels).map_err(|error| error.to_string())
        };
        let metrics = Self {
            registry: Registry::new(),
            requests: counters(
                "portcullis_requests_total",
                "Answers by method and status.",
                &["method", "status"],
            )?,
            sign_ins: counters(
                "portcullis_sign_ins_total",
                "Sign-ins that ended, by outcome.",
                &["outcome"],
            )?,
            downloads: counters(
                "portcullis_downloads_total",
                "Downloads that ended, by outcome.",
                &["outcome"],
            )?,
            download_bytes: IntCounter::new(
                "portcullis_download_bytes_total",
                "Bytes of downloads that ended.",
            )
            .map_err(|error| error.to_string())?,
            database_up: IntGauge::new(
                "portcullis_database_up",
                "Whether the database answers, 1 or 0.",
            )
            .map_err(|error| error.to_string())?,
            index_files: IntGauge::new(
                "portcullis_index_files",
                "Files in the index, as of the last scan by this instance.",
            )
            .map_err(|error| error.to_string())?,
            index_scan_seconds: Gauge::new(
                "portcullis_index_scan_seconds",
                "How long the last scan by this instance took.",
            )
            .map_err(|error| error.to_string())?,
            index_warning: IntGauge::new(
                "portcullis_index_warning",
                "Whether FILES_DIR is empty or another folder than before, 1 or 0.",
            )
            .map_err(|error| error.to_string())?,
        };
        let registered = [
            metrics
                .registry
                .register(Box::new(metrics.requests.clone())),
            metrics
                .registry
                .register(Box::new(metrics.sign_ins.clone())),
            metrics
                .registry
                .register(Box::new(metrics.downloads.clone())),
            metrics
                .registry
                .register(Box::new(metrics.download_bytes.clone())),
            metrics
                .registry
                .register(Box::new(metrics.database_up.clone())),
            metrics
                .registry
                .register(Box::new(metrics.index_files.clone())),
            metrics
                .registry
                .register(Box::new(metrics.index_scan_seconds.clone())),
            metrics
                .registry
                .register(Box::new(metrics.index_warning.clone())),
        ];
        for result in registered {
            result.map_err(|error| error.to_string())?;
        }
        Ok(metrics)
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
