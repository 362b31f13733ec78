//! What the audit and the counters are told of a download when it ends, however it ends.

use std::sync::Arc;
use std::time::Instant;

use super::ItemPath;
use super::source::Unread;
use super::turns::Turn;
use crate::audit::queue::Ticket;
use crate::audit::{Action, Actor, Event};
use crate::metrics::Metrics;

/// Why a download was ended before its time.
#[derive(Debug, thiserror::Error)]
pub enum Short {
    /// The session was ended, or the role taken away.
    #[error("the session was ended, or the role taken away")]
    Withdrawn,
    /// The next piece cannot be had.
    #[error(transparent)]
    Unread(#[from] Unread),
    /// The portal shuts down.
    #[error("the portal shuts down")]
    Stopped,
}

impl Short {
    /// One word for the audit.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Withdrawn => "access_withdrawn",
            Self::Unread(Unread::Changed) => "file_changed",
            Self::Unread(Unread::Failed(_)) => "read_failed",
            Self::Stopped => "portal_stopped",
        }
    }
}

/// A download that begins: who gets what.
pub struct Download {
    /// Whether it is saved or only looked at.
    pub action: Action,
    /// Who downloads.
    pub actor: Actor,
    /// What.
    pub path: ItemPath,
    /// `Content-Range`, when it is a part.
    pub range: Option<String>,
    /// The way into the audit, if this leaves a row there.
    pub ticket: Option<Ticket>,
    /// The counters.
    pub metrics: Arc<Metrics>,
}

impl Download {
    /// The front server sends it: how much of it arrives is not known here.
    pub fn handed_over(self, sender: &'static str) {
        let event = Event::new(self.action, self.path.as_str(), "handed_over");
        self.tell(event.with("sent_by", sender));
    }

    fn tell(self, event: Event) {
        let outcome = event.outcome();
        self.metrics.downloads.with_label_values(&[outcome]).inc();
        if let Some(ticket) = self.ticket {
            ticket.tell(self.actor, event.with("range", self.range));
        }
    }
}

/// A download that the portal sends. Dropping it tells how it ended.
pub struct Told {
    /// Taken when it is told.
    download: Option<Download>,
    began: Instant,
    length: u64,
    sent: u64,
    under_way: u64,
    short: Option<&'static str>,
    _turn: Turn,
}

impl Told {
    /// One that begins now, of so many bytes, in the person's `turn`.
    pub fn new(download: Download, turn: Turn, length: u64) -> Self {
        Self {
            download: Some(download),
            began: Instant::now(),
            length,
            sent: 0,
            under_way: 0,
            short: None,
            _turn: turn,
        }
    }

    /// So many bytes were handed to the server. They count once it asks for the next ones,
    /// which it does only when it got rid of these.
    pub fn handed(&mut self, bytes: usize) {
        self.under_way = bytes as u64;
    }

    /// What was handed over last is on its way.
    pub fn taken(&mut self) {
        self.sent += std::mem::take(&mut self.under_way);
    }

    /// The download ends before its time.
    pub fn cut_short(&mut self, why: &Short) {
        self.short = Some(why.word());
        let Some(Download { actor, path, .. }) = &self.download else {
            return;
        };
        log::warn!(
            "{} the download of {:?} was cut short after {} bytes: {why}",
            actor.reference().unwrap_or("-"),
            path.as_str(),
            self.sent
        );
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        let Some(download) = self.download.take() else {
            return;
        };
        let outcome = match self.sent == self.length {
            true => "whole",
            false => "broken_off",
        };
        download.metrics.download_bytes.inc_by(self.sent);
        let millis = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let event = Event::new(download.action, download.path.as_str(), outcome)
            .bytes(self.sent)
            .with("reason", self.short)
            .with("milliseconds", millis)
            .with("sent_by", "portcullis");
        download.tell(event);
    }
}
