//! `ACCESS_REQUEST_WEBHOOK`: tells a chat channel, or whatever listens, that somebody asks for access. A message is a
//! row that goes when it has arrived, so it survives a restart; it is signed after Standard Webhooks (version 1).

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use serde_json::json;
use tokio::time::MissedTickBehavior;

use crate::clock;
use crate::db::schema::dim::webhook_messages;
use crate::db::{Conn, Db, DbResult, either};
use crate::roles::cache::{People, Person};
use crate::settings::WebhookSettings;

const EVERY: Duration = Duration::from_secs(1);
const TIMEOUT: Duration = Duration::from_secs(10);
/// Nobody else takes a message for so long once it is on its way.
const CLAIMED: i64 = 60 * clock::SECOND;
const FIRST_PAUSE: i64 = 5 * clock::SECOND;
const LONGEST_PAUSE: i64 = 3600 * clock::SECOND;
/// A message that has not arrived by then tells nothing new.
const GIVEN_UP_AFTER: i64 = 86_400 * clock::SECOND;

/// A message on its way.
#[derive(Debug, Clone, Queryable)]
struct Message {
    id: i64,
    body: String,
    written_at: i64,
    attempts: i64,
    due_at: i64,
}

/// Writes the message of request `id` down, in the transaction of the request.
///
/// # Errors
/// The database's.
pub async fn post(conn: &mut Conn, id: i64, person: &Person, origin: &str) -> DbResult<()> {
    let url = format!("{origin}/admin/request?id={id}");
    let who = match &person.name {
        Some(name) => format!("{name} ({})", person.email),
        None => person.email.clone(),
    };
    let body = json!({
        "type": "access_request.created",
        "timestamp": clock::rfc3339(clock::now()),
        // Slack, Mattermost and others show this member; their markup begins with these characters.
        "text": format!("{} asks for access: {url}", plain(&who)),
        "data": { "id": id, "email": person.email, "name": person.name, "url": url },
    });
    let now = clock::now();
    let statement = diesel::insert_into(webhook_messages::table).values((
        webhook_messages::body.eq(body.to_string()),
        webhook_messages::written_at.eq(now),
        webhook_messages::attempts.eq(0),
        webhook_messages::due_at.eq(now),
    ));
    either!(conn, |c| statement.execute(c).await)?;
    Ok(())
}

fn plain(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace(['*', '_', '`', '[', ']', '|'], " ")
}

/// Delivers messages until the process ends. Every instance does; a message is claimed before it is sent.
pub async fn watch(db: Db, people: Arc<People>, settings: WebhookSettings) {
    let http = reqwest::Client::builder()
        // The address is the operator's choice, and no answer may lead elsewhere.
        .redirect(reqwest::redirect::Policy::none())
        .timeout(TIMEOUT)
        .build();
    let http = match http {
        Ok(http) => http,
        Err(error) => {
            log::error!("ACCESS_REQUEST_WEBHOOK is not told anything: {error}");
            return;
        }
    };
    let mut tick = tokio::time::interval(EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        if !people.is_available() {
            continue;
        }
        if let Err(error) = deliver(&db, &http, &settings).await {
            log::warn!("messages for ACCESS_REQUEST_WEBHOOK wait: {error}");
        }
    }
}

async fn deliver(db: &Db, http: &reqwest::Client, settings: &WebhookSettings) -> DbResult<()> {
    while let Some(message) = claim(&mut db.conn().await?).await? {
        let cause = match send(http, settings, &message).await {
            Ok(()) => {
                remove(&mut db.conn().await?, message.id).await?;
                continue;
            }
            Err(cause) => cause,
        };
        let now = clock::now();
        if now - message.written_at > GIVEN_UP_AFTER {
            log::error!(
                "ACCESS_REQUEST_WEBHOOK: message {} was given up after {} tries: {cause}",
                message.id,
                message.attempts
            );
            remove(&mut db.conn().await?, message.id).await?;
            continue;
        }
        log::warn!(
            "ACCESS_REQUEST_WEBHOOK: message {} did not arrive, and is tried again: {cause}",
            message.id
        );
        let due_at = now + pause(message.attempts);
        let statement = diesel::update(webhook_messages::table)
            .filter(webhook_messages::id.eq(message.id))
            .set(webhook_messages::due_at.eq(due_at));
        either!(&mut db.conn().await?, |c| statement.execute(c).await)?;
    }
    Ok(())
}

/// Five seconds, then twice as long each time, an hour at most.
fn pause(attempts: i64) -> i64 {
    let doublings = u32::try_from(attempts.clamp(1, 20) - 1).unwrap_or(0);
    (FIRST_PAUSE << doublings).min(LONGEST_PAUSE)
}

/// Takes the next message that is due, so that no other instance does.
async fn claim(conn: &mut Conn) -> DbResult<Option<Message>> {
    let now = clock::now();
    let due = webhook_messages::table
        .filter(webhook_messages::due_at.le(now))
        .order(webhook_messages::due_at);
    let due: Option<Message> = either!(&mut *conn, |c| due.first(c).await.optional())?;
    let Some(mut message) = due else {
        return Ok(None);
    };
    let statement = diesel::update(webhook_messages::table)
        .filter(webhook_messages::id.eq(message.id))
        .filter(webhook_messages::due_at.eq(message.due_at))
        .set((
            webhook_messages::due_at.eq(now + CLAIMED),
            webhook_messages::attempts.eq(message.attempts + 1),
        ));
    let claimed = either!(conn, |c| statement.execute(c).await)?;
    message.attempts += 1;
    Ok((claimed == 1).then_some(message))
}

async fn remove(conn: &mut Conn, id: i64) -> DbResult<()> {
    let statement = diesel::delete(webhook_messages::table.filter(webhook_messages::id.eq(id)));
    either!(conn, |c| statement.execute(c).await)?;
    Ok(())
}

/// The address may hold a token, so no error shows it.
async fn send(
    http: &reqwest::Client,
    settings: &WebhookSettings,
    message: &Message,
) -> Result<(), String> {
    let (id, seconds) = (format!("msg_{}", message.id), clock::now() / clock::SECOND);
    let signed = format!("{id}.{seconds}.{}", message.body);
    let response = http
        .post(settings.url.expose().clone())
        .header("content-type", "application/json")
        .header("webhook-id", &id)
        .header("webhook-timestamp", seconds)
        .header(
            "webhook-signature",
            signature(settings.key.expose(), &signed),
        )
        .body(message.body.clone())
        .send()
        .await
        .map_err(|error| error.without_url().to_string())?;
    match response.status() {
        status if status.is_success() => Ok(()),
        status => Err(format!("it answers {status}")),
    }
}

/// `v1,` and the HMAC-SHA-256 of `id.timestamp.body` in base64.
fn signature(key: &[u8], signed: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    let tag = hmac::sign(&key, signed.as_bytes());
    format!("v1,{}", STANDARD.encode(tag.as_ref()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the Standard Webhooks libraries.
    #[test]
    fn the_signature_is_the_one_that_the_libraries_expect() {
        let key = STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signed = "msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330.{\"test\": 2432232314}";
        assert_eq!(
            signature(&key, signed),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        );
    }

    #[test]
    fn pauses_grow_to_an_hour() {
        let seconds = [1, 2, 3, 10, 11, 1000].map(|attempts| pause(attempts) / clock::SECOND);
        assert_eq!(seconds, [5, 10, 20, 2560, 3600, 3600]);
    }

    #[test]
    fn a_name_brings_no_markup_into_a_channel() {
        assert_eq!(
            plain("<!channel> *A* & [x](y)"),
            "&lt;!channel&gt;  A  &amp;  x (y)"
        );
    }
}
