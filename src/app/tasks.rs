//! What runs behind the requests until the process ends.

use std::sync::Arc;
use std::time::Duration;

use actix_web::web;

use super::State;
use crate::access::webhook;
use crate::audit::keeper;
use crate::auth::store;
use crate::clock;
use crate::db::{Conn, DbError};
use crate::index;
use crate::items::uploads;
use crate::roles::{changes, ends};
use crate::rules::Rulebook;
use crate::trash::keeper as keeper_of_trash;

const SWEEP_EVERY: Duration = Duration::from_secs(3600);
/// How often counters of addresses that have come to rest are forgotten.
const FORGET_EVERY: Duration = Duration::from_secs(60);

/// Starts all of it on the current runtime.
pub(super) fn start(state: &web::Data<State>, rules: Arc<Rulebook>, migrated: bool) {
    let people = state.people.clone();
    tokio::spawn(changes::watch(
        state.db.clone(),
        people.clone(),
        rules,
        migrated,
    ));
    if state.look.is_portal() {
        tokio::spawn(tend_files(state.clone().into_inner()));
        tokio::spawn(uploads::sweep::watch(state.clone().into_inner()));
    }
    tokio::spawn(forget(state.clone().into_inner()));
    tokio::spawn(ends::watch(state.db.clone(), people.clone()));
    if let Some(webhook) = state.settings.webhook.clone() {
        let people = people.clone();
        tokio::spawn(webhook::watch(state.db.clone(), people, webhook));
    }
    let keep = state.settings.audit.retention;
    tokio::spawn(keeper::watch(state.db.clone(), people, keep));
    tokio::spawn(sweep(state.clone().into_inner()));
    if let Some(entra) = &state.entra {
        tokio::spawn(entra.clone().keep_fresh());
    }
}

/// Looks after the files until the process ends.
async fn tend_files(state: Arc<State>) {
    let (db, files, people) = (&state.db, &state.files, &state.people);
    keeper_of_trash::begin(db, files, people).await;
    let metrics = state.metrics.clone();
    tokio::join!(
        index::run(state.index.clone(), people.clone()),
        keeper_of_trash::watch(db.clone(), files.clone(), people.clone(), metrics),
    );
}

/// Forgets the counters of addresses that have come to rest.
async fn forget(state: Arc<State>) {
    let mut interval = tokio::time::interval(FORGET_EVERY);
    loop {
        interval.tick().await;
        state.sign_ins.retain_recent();
    }
}

/// Deletes the rows of sessions that are too old to be revived.
async fn sweep(state: Arc<State>) {
    let mut hourly = tokio::time::interval(SWEEP_EVERY);
    loop {
        hourly.tick().await;
        if !state.people.is_available() {
            continue;
        }
        let oldest = clock::now() - clock::span(state.settings.session.ttl);
        let swept = state
            .db
            .transaction::<_, DbError>(async |conn: &mut Conn| store::sweep(conn, oldest).await)
            .await;
        match swept {
            Ok(0) => {}
            Ok(rows) => log::info!("{rows} sessions that had ended were swept"),
            Err(error) => log::warn!("old sessions were not swept: {error}"),
        }
    }
}
