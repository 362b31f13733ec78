//! `/metrics`: Prometheus text, for whoever holds `METRICS_TOKEN`. Without that setting the address does not exist.

use std::time::Duration;

use actix_web::http::header::{AUTHORIZATION, HeaderMap, WWW_AUTHENTICATE};
use actix_web::{HttpRequest, HttpResponse, web};
use prometheus::{
    Gauge, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Registry, TextEncoder,
    register_gauge_with_registry, register_histogram_vec_with_registry,
    register_int_counter_vec_with_registry, register_int_counter_with_registry,
    register_int_gauge_vec_with_registry, register_int_gauge_with_registry,
};

use crate::app::State;
use crate::error::{AppError, AppResult};
use crate::{clock, radar};

mod waiting;

use waiting::Waiting;

/// Upper bounds of the buckets, in seconds: a cached page to a slow disk.
const SECONDS: [f64; 10] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.25, 1.0, 2.5, 10.0];

/// What is counted.
pub struct Metrics {
    registry: Registry,
    /// Answers, by method, route and status.
    pub requests: IntCounterVec,
    /// Seconds until the head of an answer, by route.
    pub request_seconds: HistogramVec,
    /// Sign-ins that ended, by outcome: `signed_in` or the reason of the refusal.
    pub sign_ins: IntCounterVec,
    /// Downloads that ended, by outcome: `whole` or `broken_off`.
    pub downloads: IntCounterVec,
    /// Bytes of downloads that ended.
    pub download_bytes: IntCounter,
    database_up: IntGauge,
    database_connections: IntGaugeVec,
    role_lookups: IntGaugeVec,
    audit_waiting: IntGauge,
    waiting: IntGaugeVec,
    keys_age: IntGauge,
    credential_days_left: IntGaugeVec,
    /// Files that the index knows, as of the last scan by this instance.
    pub index_files: IntGauge,
    /// How long that scan took.
    pub index_scan_seconds: Gauge,
    /// 1 while the index refuses to believe what FILES_DIR or the object storage shows, or leaves something of it out.
    pub index_warning: IntGauge,
    /// When this instance last tended the trash, seconds since 1970 UTC.
    pub trash_tended: IntGauge,
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
                "Answers by method, route and status.",
                &["method", "route", "status"],
                r
            )?,
            request_seconds: register_histogram_vec_with_registry!(
                "portcullis_request_seconds",
                "Seconds until the head of an answer, by route.",
                &["route"],
                SECONDS.to_vec(),
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
            database_connections: register_int_gauge_vec_with_registry!(
                "portcullis_database_connections",
                "Connections of the pool, by what they are at.",
                &["state"],
                r
            )?,
            role_lookups: register_int_gauge_vec_with_registry!(
                "portcullis_role_lookups_total",
                "Look-ups of who somebody is and what they may do, by where the answer came from.",
                &["from"],
                r
            )?,
            audit_waiting: register_int_gauge_with_registry!(
                "portcullis_audit_waiting",
                "Audit rows that wait to be written.",
                r
            )?,
            waiting: register_int_gauge_vec_with_registry!(
                "portcullis_waiting",
                "What waits in the database: messages for the webhook, uploads to be continued, files to be checksummed.",
                &["what"],
                r
            )?,
            keys_age: register_int_gauge_with_registry!(
                "portcullis_entra_keys_age_seconds",
                "Age of Entra's signing keys as they are kept; -1 without any.",
                r
            )?,
            credential_days_left: register_int_gauge_vec_with_registry!(
                "portcullis_credential_days_left",
                "Days until the secret or certificate expires, where that is known.",
                &["credential"],
                r
            )?,
            index_files: register_int_gauge_with_registry!(
                "portcullis_index_files",
                "Files in the index, as of the last scan by this instance.",
                r
            )?,
            index_scan_seconds: register_gauge_with_registry!(
                "portcullis_index_scan_seconds",
                "How long the last scan by this instance took.",
                r
            )?,
            trash_tended: register_int_gauge_with_registry!(
                "portcullis_trash_tended_timestamp_seconds",
                "When this instance last tended the trash, seconds since 1970 UTC; of several one does it at a time.",
                r
            )?,
            index_warning: register_int_gauge_with_registry!(
                "portcullis_index_warning",
                "Whether the index does not believe what it reads, or leaves something of it out, 1 or 0.",
                r
            )?,
            registry,
        })
    }

    /// Counts an answer. The method is one of the nine registered ones or `other`, since clients may invent them.
    pub fn answered(&self, method: &str, route: &str, status: u16, took: Duration) {
        const KNOWN: [&str; 9] = [
            "GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT",
        ];
        let method = if KNOWN.contains(&method) {
            method
        } else {
            "other"
        };
        let status = status.to_string();
        self.requests
            .with_label_values(&[method, route, &status])
            .inc();
        self.request_seconds
            .with_label_values(&[route])
            .observe(took.as_secs_f64());
    }
}

impl Metrics {
    /// Fills in what is not counted but looked at.
    fn look(&self, state: &State) {
        self.database_up.set(state.people.is_available().into());
        let (open, idle) = state.db.connections();
        for (name, number) in [("in_use", open.saturating_sub(idle)), ("idle", idle)] {
            let gauge = self.database_connections.with_label_values(&[name]);
            gauge.set(whole(number));
        }
        let (cached, asked) = state.people.lookups();
        for (name, number) in [("cache", cached), ("database", asked)] {
            let gauge = self.role_lookups.with_label_values(&[name]);
            gauge.set(i64::try_from(number).unwrap_or(i64::MAX));
        }
        self.audit_waiting.set(whole(state.audit.waiting()));
        if let Some(entra) = &state.entra {
            let age = entra
                .keys_age()
                .map_or(-1, |age| age.as_secs().cast_signed());
            self.keys_age.set(age);
        }
        // One that was taken away has no end any more.
        self.credential_days_left.reset();
        for ending in radar::endings(state.entra.as_deref(), state.certificate.as_deref()) {
            if let Some(days) = ending.days_left(clock::now()) {
                let gauge = &self.credential_days_left;
                gauge.with_label_values(&[ending.variable]).set(days);
            }
        }
    }
}

impl Metrics {
    /// Asks the database how much waits in it. While it is away nobody knows.
    async fn count_what_waits(&self, state: &State) {
        if !state.people.is_available() {
            self.waiting.reset();
            return;
        }
        let counted = async { Waiting::count(&mut state.db.conn().await?).await };
        match counted.await {
            Ok(waiting) => {
                for (what, number) in waiting.named() {
                    // Nobody computes checksums of what lies in object storage.
                    let is_nobodys = what == "checksums" && state.files.storage().is_some();
                    let number = if is_nobodys { 0 } else { number };
                    self.waiting.with_label_values(&[what]).set(number);
                }
            }
            Err(error) => {
                self.waiting.reset();
                log::warn!("what waits was not counted: {error}");
            }
        }
    }
}

fn whole(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
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
    metrics.look(&state);
    metrics.count_what_waits(&state).await;
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
