//! A document of Entra's, kept: fetched when first needed, refreshed hourly, used for a day at most, one fetch at a time.
//! (Entra's advice for signing keys: "Signing key rollover in the Microsoft identity platform".)

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// From this age on a document is fetched again.
const FRESH: Duration = Duration::from_secs(3600);
/// From this age on it is not used any more.
const USABLE: Duration = Duration::from_secs(24 * 3600);
/// After a failure nobody asks again for so long.
const PAUSE: Duration = Duration::from_secs(5);
/// How soon what was never there, and what is old, is asked for again.
const WARM_UP: Duration = PAUSE;
const REFRESH_RETRY: Duration = Duration::from_secs(60);
/// How often somebody else's token may make us fetch a good document anew.
const NEWER_EVERY: Duration = Duration::from_secs(300);

/// Keeps a `T`.
pub struct Kept<T> {
    known: Mutex<Known<T>>,
    fetching: tokio::sync::Mutex<()>,
}

struct Known<T> {
    value: Option<(Arc<T>, Instant)>,
    failed: Option<(String, Instant)>,
    /// When a newer one was last fetched on demand.
    demanded_at: Option<Instant>,
}

impl<T> Known<T> {
    fn younger_than(&self, age: Duration) -> Option<Arc<T>> {
        let (value, fetched_at) = self.value.as_ref()?;
        (fetched_at.elapsed() < age).then(|| value.clone())
    }

    fn recent_failure(&self) -> Option<String> {
        let (cause, failed_at) = self.failed.as_ref()?;
        (failed_at.elapsed() < PAUSE).then(|| cause.clone())
    }
}

impl<T> Kept<T> {
    pub fn new() -> Self {
        Self {
            known: Mutex::new(Known {
                value: None,
                failed: None,
                demanded_at: None,
            }),
            fetching: tokio::sync::Mutex::new(()),
        }
    }

    /// The document, fetched if need be. An old but usable one serves while a refresh fails or is under way.
    pub async fn get<F: Future<Output = Result<T, String>>>(
        &self,
        fetch: impl FnOnce() -> F,
    ) -> Result<Arc<T>, String> {
        if let Some(value) = self.look(|known| known.younger_than(FRESH)) {
            return Ok(value);
        }
        let usable = self.look(|known| known.younger_than(USABLE));
        let _alone = match (&usable, self.fetching.try_lock()) {
            (_, Ok(guard)) => guard,
            (Some(value), Err(_)) => return Ok(value.clone()),
            (None, Err(_)) => self.fetching.lock().await,
        };
        if let Some(value) = self.look(|known| known.younger_than(FRESH)) {
            return Ok(value);
        }
        self.fetch(fetch, usable).await
    }

    /// How old the present document is, if there is one.
    pub fn age(&self) -> Option<Duration> {
        self.look(|known| known.value.as_ref().map(|(_, at)| at.elapsed()))
    }

    /// How long the present document may be left alone: until it is an hour old. An old one that could not be refreshed is
    /// tried again soon, because it is good for a day only; one that was never there, at once.
    pub fn rest(&self) -> Duration {
        match self.age() {
            None => WARM_UP,
            Some(age) if age < FRESH => FRESH - age,
            Some(_) => REFRESH_RETRY,
        }
    }

    /// A document newer than the present one, because that lacks something. At most every five minutes,
    /// however many tokens ask; otherwise the present one.
    pub async fn get_newer<F: Future<Output = Result<T, String>>>(
        &self,
        fetch: impl FnOnce() -> F,
    ) -> Result<Arc<T>, String> {
        let asked_at = Instant::now();
        let _alone = self.fetching.lock().await;
        let usable = self.look(|known| known.younger_than(USABLE));
        let too_soon = self.look(|known| {
            let demanded = known
                .demanded_at
                .is_some_and(|at| at.elapsed() < NEWER_EVERY);
            let just_fetched = known.value.as_ref().is_some_and(|(_, at)| *at > asked_at);
            demanded || just_fetched
        });
        if let (Some(value), true) = (&usable, too_soon) {
            return Ok(value.clone());
        }
        let value = self.fetch(fetch, usable.clone()).await?;
        let is_new = usable.is_none_or(|old| !Arc::ptr_eq(&old, &value));
        if is_new {
            self.change(|known| known.demanded_at = Some(Instant::now()));
        }
        Ok(value)
    }

    async fn fetch<F: Future<Output = Result<T, String>>>(
        &self,
        fetch: impl FnOnce() -> F,
        usable: Option<Arc<T>>,
    ) -> Result<Arc<T>, String> {
        if let Some(cause) = self.look(Known::recent_failure) {
            return usable.ok_or(cause);
        }
        match fetch().await {
            Ok(value) => {
                let value = Arc::new(value);
                self.change(|known| {
                    known.value = Some((value.clone(), Instant::now()));
                    known.failed = None;
                });
                Ok(value)
            }
            Err(cause) => {
                log::warn!("{cause}");
                self.change(|known| known.failed = Some((cause.clone(), Instant::now())));
                usable.ok_or(cause)
            }
        }
    }

    fn look<R>(&self, look: impl FnOnce(&Known<T>) -> R) -> R {
        look(&self.known.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn change(&self, change: impl FnOnce(&mut Known<T>)) {
        change(&mut self.known.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// A source that counts how often it is asked and fails on demand.
    #[derive(Default)]
    struct Source {
        asked: Cell<u32>,
        broken: Cell<bool>,
    }

    impl Source {
        async fn fetch(&self) -> Result<u32, String> {
            self.asked.set(self.asked.get() + 1);
            match self.broken.get() {
                true => Err("down".to_owned()),
                false => Ok(self.asked.get()),
            }
        }
    }

    async fn pass(seconds: u64) {
        tokio::time::advance(Duration::from_secs(seconds)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_document_is_refreshed_hourly_and_kept_a_day_while_the_source_is_down() {
        let (kept, source) = (Kept::new(), Source::default());
        assert_eq!(kept.get(|| source.fetch()).await.as_deref(), Ok(&1));
        pass(3599).await;
        assert_eq!(kept.get(|| source.fetch()).await.as_deref(), Ok(&1));
        pass(2).await;
        assert_eq!(kept.get(|| source.fetch()).await.as_deref(), Ok(&2));
        source.broken.set(true);
        pass(23 * 3600).await;
        assert_eq!(kept.get(|| source.fetch()).await.as_deref(), Ok(&2));
        pass(2 * 3600).await;
        assert!(kept.get(|| source.fetch()).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_failed_fetch_is_repeated_after_five_seconds_and_never_kept() {
        let (kept, source) = (Kept::<u32>::new(), Source::default());
        source.broken.set(true);
        assert!(kept.get(|| source.fetch()).await.is_err());
        source.broken.set(false);
        pass(4).await;
        assert!(kept.get(|| source.fetch()).await.is_err());
        assert_eq!(source.asked.get(), 1);
        pass(2).await;
        assert_eq!(kept.get(|| source.fetch()).await.as_deref(), Ok(&2));
    }

    #[tokio::test(start_paused = true)]
    async fn what_could_not_be_refreshed_is_tried_again_within_a_minute_and_not_an_hour_later() {
        let (kept, source) = (Kept::new(), Source::default());
        assert_eq!(kept.rest(), WARM_UP);
        kept.get(|| source.fetch()).await.unwrap();
        pass(600).await;
        assert_eq!(kept.rest(), Duration::from_secs(3000));
        source.broken.set(true);
        pass(3000).await;
        assert_eq!(kept.get(|| source.fetch()).await.as_deref(), Ok(&1));
        assert_eq!(kept.rest(), REFRESH_RETRY);
        source.broken.set(false);
        pass(60).await;
        assert_eq!(kept.get(|| source.fetch()).await.as_deref(), Ok(&3));
        assert_eq!(kept.rest(), FRESH);
    }

    #[tokio::test(start_paused = true)]
    async fn unknown_keys_cause_one_fetch_in_five_minutes_and_the_first_fetch_does_not_count() {
        let (kept, source) = (Kept::new(), Source::default());
        assert_eq!(kept.get(|| source.fetch()).await.as_deref(), Ok(&1));
        pass(1).await;
        assert_eq!(kept.get_newer(|| source.fetch()).await.as_deref(), Ok(&2));
        for _ in 0..100 {
            assert_eq!(kept.get_newer(|| source.fetch()).await.as_deref(), Ok(&2));
        }
        pass(301).await;
        source.broken.set(true);
        assert_eq!(kept.get_newer(|| source.fetch()).await.as_deref(), Ok(&2));
        assert_eq!(source.asked.get(), 3);
        source.broken.set(false);
        pass(6).await;
        assert_eq!(kept.get_newer(|| source.fetch()).await.as_deref(), Ok(&4));
    }
}
