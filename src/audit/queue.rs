//! Events that end outside a transaction of their own, downloads above all, are written by one task in the background.
//! Before such an event begins, its request waits until few enough others wait to be written. What has begun is always
//! written down, so a full queue makes people wait and loses nothing.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::{Actor, Event, store};
use crate::db::{Conn, Db, DbError};
use crate::index;

/// While so many events wait to be written, none begins.
const CAPACITY: usize = 4096;
/// While more than so many wait, those that come in great numbers wait with them.
const ROOM_FOR_MANY: usize = CAPACITY / 4;
/// How long a request waits to begin.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long an event waits for others, so that a busy portal does not write to the disk for each of them.
const GATHER: Duration = Duration::from_millis(100);
const RETRY: Duration = Duration::from_secs(1);

type Told = (Actor, Event);

/// The way into the audit for events without a transaction.
pub struct Queue {
    way: Mutex<Option<Ticket>>,
    /// Events that were handed in and are not written yet.
    backlog: Arc<watch::Sender<usize>>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

/// The way in for one event that has begun. It takes up no room until it is used: a download may last for hours, and
/// somebody who never takes its bytes must not keep others from beginning theirs.
#[derive(Clone)]
pub struct Ticket {
    sender: UnboundedSender<Told>,
    backlog: Arc<watch::Sender<usize>>,
    /// Whose turn it is to hand in many.
    many: Arc<tokio::sync::Mutex<()>>,
}

impl Ticket {
    /// Hands in many events at once, after waiting until few others wait, and one such after the other, so that the queue
    /// stays open for those who begin something. Whoever gives up waiting has them still.
    pub async fn tell_all(&self, actor: &Actor, events: &mut Vec<Event>) {
        let _turn = self.many.lock().await;
        let mut backlog = self.backlog.subscribe();
        // It cannot close: this holds its sender.
        let _ = backlog.wait_for(|waiting| *waiting < ROOM_FOR_MANY).await;
        for event in events.drain(..) {
            self.tell(actor.clone(), event);
        }
    }

    /// Hands in the event. Never waits.
    pub fn tell(&self, actor: Actor, event: Event) {
        self.backlog.send_modify(|waiting| *waiting += 1);
        if let Err(unsent) = self.sender.send((actor, event)) {
            let (_, event) = unsent.0;
            log::error!("the audit's writer has ended, so this was not recorded: {event:?}");
        }
    }
}

/// Why an event may not begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closed {
    /// Too many wait to be written.
    Full,
    /// The portal shuts down.
    Ending,
}

impl Queue {
    /// Starts the writing task on the current runtime.
    pub fn start(db: Db) -> Self {
        let (sender, receiver) = mpsc::unbounded_channel();
        let backlog = Arc::new(watch::Sender::new(0));
        let writer = tokio::spawn(write(db, receiver, backlog.clone()));
        let ticket = Ticket {
            sender,
            backlog: backlog.clone(),
            many: Arc::default(),
        };
        Self {
            way: Mutex::new(Some(ticket)),
            backlog,
            writer: Mutex::new(Some(writer)),
        }
    }

    /// Lets an event begin, after waiting while the queue is full.
    ///
    /// # Errors
    /// It stayed full for ten seconds, or the portal shuts down.
    pub async fn admit(&self) -> Result<Ticket, Closed> {
        let ticket = self.ticket().ok_or(Closed::Ending)?;
        if self.waiting() < CAPACITY {
            return Ok(ticket);
        }
        let mut backlog = self.backlog.subscribe();
        let room = backlog.wait_for(|waiting| *waiting < CAPACITY);
        match tokio::time::timeout(PATIENCE, room).await {
            Ok(_) => Ok(ticket),
            Err(_) => Err(Closed::Full),
        }
    }

    /// Hands in an event that has already ended, so it is taken even when the queue stays full; the request waits then.
    pub async fn tell(&self, actor: Actor, event: Event) {
        let ticket = match self.admit().await {
            Ok(ticket) => Some(ticket),
            Err(_) => self.ticket(),
        };
        match ticket {
            Some(ticket) => ticket.tell(actor, event),
            None => log::warn!("shutting down, so this was not recorded: {event:?}"),
        }
    }

    /// Events that were handed in and are not written yet.
    pub fn waiting(&self) -> usize {
        *self.backlog.borrow()
    }

    /// Lets nothing more begin and waits until everything that has begun is written, ten seconds at most.
    pub async fn finish(&self) {
        if let Ok(mut way) = self.way.lock() {
            way.take();
        }
        let writer = self.writer.lock().ok().and_then(|mut writer| writer.take());
        if let Some(writer) = writer
            && tokio::time::timeout(Duration::from_secs(10), writer)
                .await
                .is_err()
        {
            log::error!("the last audit rows were not written: the database did not answer");
        }
    }

    fn ticket(&self) -> Option<Ticket> {
        self.way.lock().ok()?.clone()
    }
}

async fn write(db: Db, mut receiver: UnboundedReceiver<Told>, backlog: Arc<watch::Sender<usize>>) {
    let mut batch = Vec::new();
    while receiver.recv_many(&mut batch, CAPACITY).await > 0 {
        tokio::time::sleep(GATHER).await;
        while batch.len() < CAPACITY
            && let Ok(told) = receiver.try_recv()
        {
            batch.push(told);
        }
        let mut said = false;
        while let Err(error) = write_batch(&db, &batch).await {
            if !said {
                log::error!("audit rows wait for the database: {error}");
                said = true;
            }
            tokio::time::sleep(RETRY).await;
        }
        backlog.send_modify(|waiting| *waiting -= batch.len());
        batch.clear();
    }
}

async fn write_batch(db: &Db, told: &[Told]) -> Result<(), DbError> {
    db.transaction(async |conn: &mut Conn| {
        store::record_told(conn, told).await?;
        let mut downloads = BTreeMap::new();
        for path in told.iter().filter_map(|(_, event)| event.whole_download()) {
            *downloads.entry(path).or_insert(0) += 1;
        }
        index::store::downloaded(conn, downloads).await
    })
    .await
}
