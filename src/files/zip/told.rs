//! What the audit and the counters are told of a zip: a row for every file of it, under the reference of the request.

use std::sync::Arc;
use std::time::Instant;

use super::room::Share;
use crate::audit::queue::Ticket;
use crate::audit::{Action, Actor, Event};
use crate::files::ItemPath;
use crate::files::told::Short;
use crate::files::turns::Turn;
use crate::metrics::Metrics;

/// Rows that are handed in together.
const BATCH: usize = 256;

/// A zip that begins: who gets it.
pub struct Zip {
    /// Who downloads.
    pub actor: Actor,
    /// Its name.
    pub name: String,
    /// The way into the audit.
    pub ticket: Ticket,
    /// The counters.
    pub metrics: Arc<Metrics>,
}

/// A zip that is being sent. Dropping it tells how the file ended that was under way.
pub struct Told {
    zip: Zip,
    /// Rows of files that were sent, not handed in yet.
    rows: Vec<Event>,
    current: Option<Current>,
    under_way: u64,
    short: Option<&'static str>,
    _turn: Turn,
    _share: Share,
}

struct Current {
    path: ItemPath,
    began: Instant,
    sent: u64,
}

impl Told {
    /// One that begins now, in the person's `turn`, and takes its `share` of the memory.
    pub fn new(zip: Zip, turn: Turn, share: Share) -> Self {
        Self {
            zip,
            rows: Vec::new(),
            current: None,
            under_way: 0,
            short: None,
            _turn: turn,
            _share: share,
        }
    }

    /// The next file begins. Waits while the audit has too much to write: a zip of very many files goes only as fast as
    /// its rows, so that it keeps nobody else from beginning a download.
    pub async fn begins(&mut self, path: ItemPath) {
        if self.rows.len() >= BATCH {
            self.zip
                .ticket
                .tell_all(&self.zip.actor, &mut self.rows)
                .await;
        }
        self.current = Some(Current {
            path,
            began: Instant::now(),
            sent: 0,
        });
    }

    /// So many bytes of the file were handed to the server. They count once it asks for the next ones.
    pub fn handed(&mut self, bytes: usize) {
        self.under_way = bytes as u64;
    }

    /// What was handed over last is on its way.
    pub fn taken(&mut self) {
        let taken = std::mem::take(&mut self.under_way);
        if let Some(current) = &mut self.current {
            current.sent += taken;
        }
    }

    /// The file was sent to its end.
    pub fn is_whole(&mut self) {
        self.file_ends("whole");
    }

    /// The zip ends before its time.
    pub fn cut_short(&mut self, why: &Short) {
        self.short = Some(why.word());
        log::warn!(
            "{} the zip {:?} was cut short at {:?}: {why}",
            self.zip.actor.reference().unwrap_or("-"),
            self.zip.name,
            self.current
                .as_ref()
                .map_or("", |current| current.path.as_str()),
        );
    }

    fn file_ends(&mut self, outcome: &str) {
        let Some(Current { path, began, sent }) = self.current.take() else {
            return;
        };
        let Zip { metrics, name, .. } = &self.zip;
        metrics.downloads.with_label_values(&[outcome]).inc();
        metrics.download_bytes.inc_by(sent);
        let millis = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let event = Event::new(Action::Downloaded, path.as_str(), outcome)
            .bytes(sent)
            .with("zip", name.as_str())
            .with("reason", self.short)
            .with("milliseconds", millis)
            .with("sent_by", "portcullis");
        self.rows.push(event);
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        self.file_ends("broken_off");
        for event in self.rows.drain(..) {
            self.zip.ticket.tell(self.zip.actor.clone(), event);
        }
    }
}
