//! ID and access tokens: their claims, and the many wrong ways to sign them. Apart because this is what
//! tests bend most.

use aws_lc_rs::{digest, hmac};
use serde_json::{Map, Value, json};

use super::accounts::Account;
use super::encoding::{base64url, guid, now, random};
use super::faults::Signing;
use super::keys::SigningKey;
use super::state::{CLIENT_ID, Grant, Inner, TENANT};

const LIFE: u64 = 3600;
const BACKDATED: u64 = 300;

/// The ID token for a redeemed code, with every knob applied.
pub(super) fn id_token(inner: &Inner, issuer: &str, grant: &Grant) -> String {
    let mut claims = id_claims(issuer, grant);
    for (name, value) in &inner.knobs.claims {
        match value {
            Some(value) => claims.insert(name.clone(), value.clone()),
            None => claims.remove(name),
        };
    }
    let mut header = header(inner.knobs.signing, &inner.keys.current().kid);
    header.extend(inner.knobs.headers.clone());
    let message = format!("{}.{}", part(&header), part(&claims));
    let signature = signature(inner, message.as_bytes());
    format!("{message}.{signature}")
}

/// An access token: nobody but its resource should look inside.
pub(super) fn access_token(inner: &Inner, issuer: &str, audience: &str, subject: &str) -> String {
    let mut claims = timed(issuer);
    claims.insert("aud".into(), json!(audience));
    claims.insert("sub".into(), json!(subject));
    claims.insert("azp".into(), json!(CLIENT_ID));
    claims.insert("tid".into(), json!(TENANT));
    claims.insert("ver".into(), json!("2.0"));
    claims.insert("uti".into(), json!(base64url(&random::<16>())));
    let key = inner.keys.current();
    let message = format!(
        "{}.{}",
        part(&header(Signing::Normal, &key.kid)),
        part(&claims)
    );
    let signature = key.sign(message.as_bytes());
    format!("{message}.{signature}")
}

fn part(value: &Map<String, Value>) -> String {
    base64url(json!(value).to_string().as_bytes())
}

fn timed(issuer: &str) -> Map<String, Value> {
    let now = now();
    let mut claims = Map::new();
    claims.insert("iss".into(), json!(issuer));
    claims.insert("iat".into(), json!(now.saturating_sub(BACKDATED)));
    claims.insert("nbf".into(), json!(now.saturating_sub(BACKDATED)));
    claims.insert("exp".into(), json!(now + LIFE));
    claims
}

/// The claims that the granted scopes bring, as Entra deals them out.
fn id_claims(issuer: &str, grant: &Grant) -> Map<String, Value> {
    let account = &grant.account;
    let mut claims = timed(issuer);
    claims.insert("aud".into(), json!(CLIENT_ID));
    claims.insert("sub".into(), json!(subject(account)));
    claims.insert("tid".into(), json!(TENANT));
    claims.insert("ver".into(), json!("2.0"));
    claims.insert("sid".into(), json!(grant.sid));
    claims.insert("uti".into(), json!(guid()));
    claims.insert("acct".into(), json!(u8::from(account.idp.is_some())));
    if let Some(nonce) = &grant.nonce {
        claims.insert("nonce".into(), json!(nonce));
    }
    if let Some(idp) = &account.idp {
        claims.insert("idp".into(), json!(idp));
    }
    if grant.asks_for("profile") {
        claims.insert("oid".into(), json!(account.oid));
        claims.insert("name".into(), json!(account.name));
        claims.insert("preferred_username".into(), json!(account.username));
        claims.insert("upn".into(), json!(account.upn));
        claims.insert("login_hint".into(), json!(account.login_hint()));
    }
    if let Some(email) = account.email.as_ref().filter(|_| grant.asks_for("email")) {
        claims.insert("email".into(), json!(email));
        claims.insert("xms_edov".into(), json!(true));
    }
    claims
}

/// The `sub` claim: the same for this application, another one elsewhere.
fn subject(account: &Account) -> String {
    let told = format!("{CLIENT_ID}/{}", account.oid);
    base64url(digest::digest(&digest::SHA256, told.as_bytes()).as_ref())
}

fn header(signing: Signing, kid: &str) -> Map<String, Value> {
    let algorithm = match signing {
        Signing::Unsigned => "none",
        Signing::HmacWithSecret | Signing::HmacWithPublicKey => "HS256",
        _ => "RS256",
    };
    let mut header = Map::new();
    header.insert("typ".into(), json!("JWT"));
    header.insert("alg".into(), json!(algorithm));
    match signing {
        Signing::NoKid => {}
        Signing::UnknownKid => {
            header.insert("kid".into(), json!(base64url(&random::<20>())));
        }
        _ => {
            header.insert("kid".into(), json!(kid));
        }
    }
    header
}

fn signature(inner: &Inner, message: &[u8]) -> String {
    let key = inner.keys.current();
    match inner.knobs.signing {
        Signing::Normal | Signing::NoKid | Signing::UnknownKid => key.sign(message),
        Signing::ForeignKey => SigningKey::foreign(&key.kid).sign(message),
        Signing::Unsigned => String::new(),
        Signing::HmacWithSecret => hs256(inner.secret.as_bytes(), message),
        Signing::HmacWithPublicKey => hs256(key.pem().as_bytes(), message),
    }
}

fn hs256(secret: &[u8], message: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    base64url(hmac::sign(&key, message).as_ref())
}
