//! One reading for everybody who asks for the same list at the same moment. Whoever comes while a list is being read waits
//! for the next reading, which begins after they came: nobody is shown what was seen before they asked.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OnceCell;

use super::listing::{Listing, Scope};
use super::query::Order;
use crate::error::AppResult;
use crate::files::ItemPath;
use crate::rules::Sight;

/// All that a list depends on besides disk and database. Who asks is no part of it, only what they may see.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Asked {
    /// The folder; `None` is the root.
    pub place: Option<ItemPath>,
    /// Folded words.
    pub words: Vec<String>,
    /// How it is sorted.
    pub order: Order,
    /// From 1.
    pub page: usize,
    /// Rows of a page.
    pub per_page: usize,
    /// What it covers.
    pub scope: Scope,
    /// What may be seen.
    pub sight: Sight,
}

/// The lists that are being read.
#[derive(Default)]
pub struct Shared(Mutex<HashMap<Asked, Arc<Lane>>>);

/// What a reading came to: nothing when it failed. All who wait for it wake at once; when whoever reads gives up, the next
/// of them reads.
type Reading = OnceCell<Option<Arc<Listing>>>;

/// One list.
#[derive(Default)]
struct Lane {
    /// Held by whoever reads.
    turn: tokio::sync::Mutex<()>,
    /// The reading that has not begun.
    next: Mutex<Arc<Reading>>,
}

/// A place in a lane, which ends with the last who has one.
struct Place<'a> {
    shared: &'a Shared,
    asked: &'a Asked,
    lane: Arc<Lane>,
}

impl Shared {
    /// The list as it is now, by `read` or by somebody else's reading that began after this call. When that one failed,
    /// `read` is tried apart from it.
    ///
    /// # Errors
    /// Those of `read`.
    pub async fn list(
        &self,
        asked: &Asked,
        read: impl AsyncFn() -> AppResult<Listing>,
    ) -> AppResult<Arc<Listing>> {
        let place = self.place(asked);
        let reading = place.lane.next().clone();
        let mut failure = None;
        let shared = reading.get_or_init(async || {
            let _turn = place.lane.turn.lock().await;
            // Whoever comes from now on came too late for this one.
            *place.lane.next() = Arc::default();
            match read().await {
                Ok(listing) => Some(Arc::new(listing)),
                Err(error) => {
                    failure = Some(error);
                    None
                }
            }
        });
        match (shared.await, failure) {
            (Some(listing), _) => Ok(listing.clone()),
            (None, Some(own)) => Err(own),
            (None, None) => read().await.map(Arc::new),
        }
    }

    /// As [`Shared::list`], for somebody whose `sight` is looked up again when the list is there: a rule that was made while
    /// it waited for its turn counts.
    ///
    /// # Errors
    /// Those of `read` and `sight`.
    pub async fn list_in_sight(
        &self,
        asked: Asked,
        sight: impl AsyncFn() -> AppResult<Sight>,
        read: impl AsyncFn(&Asked) -> AppResult<Listing>,
    ) -> AppResult<Arc<Listing>> {
        let list = self.list(&asked, async || read(&asked).await).await?;
        let sight = sight().await?;
        if sight == asked.sight {
            return Ok(list);
        }
        let asked = Asked { sight, ..asked };
        self.list(&asked, async || read(&asked).await).await
    }

    fn place<'a>(&'a self, asked: &'a Asked) -> Place<'a> {
        let lane = self.lanes().entry(asked.clone()).or_default().clone();
        Place {
            shared: self,
            asked,
            lane,
        }
    }

    fn lanes(&self) -> std::sync::MutexGuard<'_, HashMap<Asked, Arc<Lane>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lane {
    fn next(&self) -> std::sync::MutexGuard<'_, Arc<Reading>> {
        self.next.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let lane = std::mem::take(&mut self.lane);
        leave(&mut self.shared.lanes(), self.asked, lane);
    }
}

/// Gives a lane back while the map is held: of two who leave at once the second sees that it is the last.
fn leave(lanes: &mut HashMap<Asked, Arc<Lane>>, asked: &Asked, lane: Arc<Lane>) {
    drop(lane);
    let is_last = |lane: &Arc<Lane>| Arc::strong_count(lane) == 1;
    if lanes.get(asked).is_some_and(is_last) {
        lanes.remove(asked);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::error::AppError;

    fn asked(page: usize) -> Asked {
        Asked {
            place: None,
            words: Vec::new(),
            order: Order::BY_NAME,
            page,
            per_page: 100,
            scope: Scope::Folder,
            sight: Sight::everything(),
        }
    }

    /// A listing that tells by its total which reading it is of.
    fn listing(total: usize) -> Listing {
        Listing {
            place: None,
            rows: Vec::new(),
            total,
            page: 1,
            per_page: 100,
            is_growing: false,
            warning: None,
        }
    }

    #[tokio::test]
    async fn whoever_comes_during_a_reading_gets_the_next_one_and_all_of_them_the_same() {
        let (shared, asked) = (Shared::default(), asked(1));
        let readings = AtomicUsize::new(0);
        let (begun, go) = (tokio::sync::Notify::new(), tokio::sync::Notify::new());
        let first = shared.list(&asked, async || {
            begun.notify_one();
            go.notified().await;
            Ok(listing(readings.fetch_add(1, Ordering::SeqCst)))
        });
        let later = async {
            begun.notified().await;
            let all = (0..10).map(|_| {
                shared.list(&asked, async || {
                    Ok(listing(readings.fetch_add(1, Ordering::SeqCst)))
                })
            });
            let all = futures_util::future::join_all(all);
            go.notify_one();
            all.await
        };
        let (first, later) = tokio::join!(first, later);
        assert_eq!(first.unwrap().total, 0);
        for listing in later {
            assert_eq!(listing.unwrap().total, 1);
        }
        assert!(shared.lanes().is_empty(), "nothing is kept");
    }

    #[tokio::test]
    async fn a_failure_is_nobody_elses_and_who_gives_up_leaves_nothing_behind() {
        let (shared, asked) = (Shared::default(), asked(1));
        let failing = shared.list(&asked, async || Err(AppError::NotFound));
        let fine = shared.list(&asked, async || Ok(listing(7)));
        let (failing, fine) = tokio::join!(failing, fine);
        assert!(failing.is_err());
        assert_eq!(fine.unwrap().total, 7);
        {
            let given_up = shared.list(&asked, async || std::future::pending().await);
            let patience = std::time::Duration::from_millis(1);
            assert!(tokio::time::timeout(patience, given_up).await.is_err());
        }
        let after = shared.list(&asked, async || Ok(listing(8))).await;
        assert_eq!(after.unwrap().total, 8);
        assert!(shared.lanes().is_empty());
    }

    #[tokio::test]
    async fn a_rule_that_is_made_while_a_list_waits_for_its_turn_counts() {
        let (shared, asked) = (Shared::default(), asked(1));
        let person = crate::roles::cache::Person {
            email: "karl@x.example".to_owned(),
            name: None,
            role: Some(crate::roles::Role::Reader),
            ends_at: None,
            is_other_account: false,
            account: None,
        };
        let rule = crate::rules::Rule {
            folder: "Secret".to_owned(),
            role: crate::roles::Role::Admin,
            people: Default::default(),
            set_by: String::new(),
            set_at: 0,
        };
        let rules = Mutex::new(Vec::new());
        let (begun, go) = (tokio::sync::Notify::new(), tokio::sync::Notify::new());
        let first = shared.list(&asked, async || {
            begun.notify_one();
            go.notified().await;
            Ok(listing(0))
        });
        let second = async {
            begun.notified().await;
            let second = shared.list_in_sight(
                asked.clone(),
                async || Ok(Sight::new(&rules.lock().unwrap(), &person)),
                async |asked| Ok(listing(usize::from(asked.sight.shows("Secret")))),
            );
            tokio::pin!(second);
            // It waits for the first one now.
            assert!(futures_util::poll!(second.as_mut()).is_pending());
            rules.lock().unwrap().push(rule);
            go.notify_one();
            second.await
        };
        let (_, second) = tokio::join!(first, second);
        assert_eq!(second.unwrap().total, 0, "what the rule hides is shown");
        assert!(shared.lanes().is_empty(), "nothing is kept");
    }

    #[test]
    fn of_two_who_leave_at_once_the_second_is_the_last() {
        let (shared, asked) = (Shared::default(), asked(1));
        let lane = || shared.lanes().entry(asked.clone()).or_default().clone();
        let (one, other) = (lane(), lane());
        let mut lanes = shared.lanes();
        leave(&mut lanes, &asked, one);
        assert_eq!(lanes.len(), 1, "somebody still has it");
        leave(&mut lanes, &asked, other);
        assert!(lanes.is_empty(), "nobody has it any more");
    }

    #[tokio::test]
    async fn another_list_waits_for_nobody() {
        let shared = Shared::default();
        let (one, two) = (asked(1), asked(2));
        let never = shared.list(&one, async || std::future::pending().await);
        let other = shared.list(&two, async || Ok(listing(2)));
        tokio::select! {
            _ = never => panic!("it never ends"),
            other = other => assert_eq!(other.unwrap().total, 2),
        }
    }
}
