//! How often somebody may begin a sign-in, and try the same one.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::atomic::Ordering;
use std::time::Duration;

use actix_web::HttpRequest;
use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use super::State;
use crate::auth::client;
use crate::error::{AppError, AppResult};
use crate::settings::Settings;

/// States of sign-ins that are remembered as tried, and for how long: as long as a sign-in may take.
pub(super) const ATTEMPTS: u64 = 100_000;
pub(super) const ATTEMPTS_FOR: Duration = Duration::from_secs(180);

impl State {
    /// Counts a sign-in that is about to begin.
    ///
    /// # Errors
    /// [`AppError::TooMany`] for an address that began too many.
    pub fn limit_sign_ins(&self, req: &HttpRequest) -> AppResult<()> {
        let peer = req.peer_addr().map(|peer| peer.ip());
        let trusted = &self.settings.web.trusted_proxies;
        let Some(address) = client::address(peer, req.headers(), trusted) else {
            return Ok(());
        };
        self.sign_ins
            .check_key(&client::household(address))
            .map_err(|early| AppError::TooMany(early.wait_time_from(DefaultClock::default().now())))
    }

    /// Whether the sign-in with that `state` may be tried (again). A browser that repeats its callback gets an answer
    /// from Entra twice; a cookie that is sent over and over gets none after that.
    pub async fn may_attempt(&self, state: &str) -> bool {
        let attempts = self.attempts.entry_by_ref(state).or_default().await;
        attempts.value().fetch_add(1, Ordering::Relaxed) < 2
    }
}

pub(super) fn limiter(settings: &Settings) -> DefaultKeyedRateLimiter<IpAddr> {
    let rate = settings.web.sign_in_rate;
    let quota = Quota::with_period(rate.per / rate.events.get())
        .unwrap_or_else(|| Quota::per_second(NonZeroU32::MIN))
        .allow_burst(rate.events);
    RateLimiter::keyed(quota)
}
