//! Events that end outside a transaction of their own, downloads above all, are written by one task in the background.
//! A place in the queue is taken before the event begins, so a full queue makes people wait and loses nothing.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use tokio::sync::mpsc::{self, OwnedPermit, Receiver, Sender};
use tokio::task::JoinHandle;

use super::{Actor, Event, store};
use crate::db::{Conn, Db, DbError};
use crate::index;

const CAPACITY: usize = 4096;
const BATCH: usize = 256;
const RETRY: Duration = Duration::from_secs(1);

type Told = (Actor, Event);

/// The way into the audit for events without a transaction.
pub struct Queue {
    sender: Mutex<Option<Sender<Told>>>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

/// A place in the queue, for one event.
pub struct Place(OwnedPermit<Told>);

impl Place {
    /// Hands in the event. Never waits.
    pub fn tell(self, actor: Actor, event: Event) {
        self.0.send((actor, event));
    }
}

impl Queue {
    /// Starts the writing task on the current runtime.
    pub fn start(db: Db) -> Self {
        let (sender, receiver) = mpsc::channel(CAPACITY);
        let writer = tokio::spawn(write(db, receiver));
        Self {
            sender: Mutex::new(Some(sender)),
            writer: Mutex::new(Some(writer)),
        }
    }

    /// Takes a place, waiting while the queue is full. `None` once the portal shuts down.
    pub async fn place(&self) -> Option<Place> {
        let sender = self.sender.lock().ok()?.clone()?;
        sender.reserve_owned().await.ok().map(Place)
    }

    /// Hands in an event that has already ended.
    pub async fn tell(&self, actor: Actor, event: Event) {
        match self.place().await {
            Some(place) => place.tell(actor, event),
            None => log::warn!("shutting down, so this was not recorded: {event:?}"),
        }
    }

    /// Takes no more events and waits until all that were handed in are written, ten seconds at most.
    pub async fn finish(&self) {
        if let Ok(mut sender) = self.sender.lock() {
            sender.take();
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
}

async fn write(db: Db, mut receiver: Receiver<Told>) {
    let mut batch = Vec::with_capacity(BATCH);
    while receiver.recv_many(&mut batch, BATCH).await > 0 {
        let mut said = false;
        while let Err(error) = write_batch(&db, &batch).await {
            if !said {
                log::error!("audit rows wait for the database: {error}");
                said = true;
            }
            tokio::time::sleep(RETRY).await;
        }
        batch.clear();
    }
}

async fn write_batch(db: &Db, batch: &[Told]) -> Result<(), DbError> {
    db.transaction(async |conn: &mut Conn| {
        for (actor, event) in batch {
            store::record(conn, actor, event).await?;
        }
        let mut downloads = BTreeMap::new();
        for path in batch.iter().filter_map(|(_, event)| event.whole_download()) {
            *downloads.entry(path).or_insert(0) += 1;
        }
        index::store::downloaded(conn, downloads).await
    })
    .await
}
