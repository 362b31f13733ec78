//! The handle's knobs and observations: what a test bends before a request, and what it looks at afterwards.
//! Apart from starting and registering, which a person needs too.

use serde_json::Value;

use super::Emulator;
use super::encoding::from_base64;
use super::errors::Problem;
use super::faults::{Endpoint, Fault, Signing};
use super::keys::SigningKey;
use super::state::{Counts, Form, Knobs, TokenRequest};

/// Knobs: each works from the next request on. `reset` takes all of them back.
impl Emulator {
    /// Back to good behaviour. People, keys, registrations, counters and `auto_pick` stay.
    pub fn reset(&self) {
        self.state.lock().knobs = Knobs::default();
    }

    /// Sets a claim of every ID token.
    pub fn set_claim(&self, name: &str, value: impl Into<Value>) {
        let value = Some(value.into());
        self.state
            .lock()
            .knobs
            .claims
            .insert(name.to_owned(), value);
    }

    /// Leaves a claim out of every ID token.
    pub fn remove_claim(&self, name: &str) {
        self.state.lock().knobs.claims.insert(name.to_owned(), None);
    }

    /// Sets a header field of every ID token, after the signing knob has had its say.
    pub fn set_header(&self, name: &str, value: impl Into<Value>) {
        let value = value.into();
        self.state
            .lock()
            .knobs
            .headers
            .insert(name.to_owned(), value);
    }

    /// How ID tokens are signed.
    pub fn set_signing(&self, signing: Signing) {
        self.state.lock().knobs.signing = signing;
    }

    /// Token answers come without an ID token.
    pub fn omit_id_token(&self) {
        self.state.lock().knobs.omit_id_token = true;
    }

    /// The next token request is refused with these codes. Several calls queue up.
    pub fn fail_next_token(&self, error: &str, codes: &[u32]) {
        let answer = Problem::on_demand(error, codes);
        let fault = Fault::answer(
            answer.status(),
            "application/json",
            answer.body().to_string(),
        );
        self.state.lock().knobs.next_token.push_back(fault);
    }

    /// The next token request meets this fault. Several calls queue up.
    pub fn disturb_next_token(&self, fault: Fault) {
        self.state.lock().knobs.next_token.push_back(fault);
    }

    /// An endpoint misbehaves until `mend` or `reset`.
    pub fn disturb(&self, endpoint: Endpoint, fault: Fault) {
        self.state.lock().knobs.faults.insert(endpoint, fault);
    }

    /// Takes one endpoint's fault back.
    pub fn mend(&self, endpoint: Endpoint) {
        self.state.lock().knobs.faults.remove(&endpoint);
    }

    /// Sets a field of the discovery document: another `issuer`, a foreign `jwks_uri`. Tokens do not change.
    pub fn set_metadata(&self, name: &str, value: impl Into<Value>) {
        let value = Some(value.into());
        self.state
            .lock()
            .knobs
            .metadata
            .insert(name.to_owned(), value);
    }

    /// Leaves a field out of the discovery document.
    pub fn remove_metadata(&self, name: &str) {
        self.state
            .lock()
            .knobs
            .metadata
            .insert(name.to_owned(), None);
    }

    /// The key document is in order but empty.
    pub fn empty_keys(&self) {
        self.state.lock().knobs.empty_keys = true;
    }

    /// The clock of whoever asks seems to be so many seconds ahead, by the `Date` of the discovery document.
    pub fn set_clock_ahead(&self, seconds: i64) {
        self.state.lock().knobs.clock_ahead = Some(seconds);
    }

    /// Sets a field of the current key in the key document: another `use`, an `alg`. Tokens do not change.
    pub fn set_key_field(&self, name: &str, value: impl Into<Value>) {
        let value = value.into();
        self.state
            .lock()
            .knobs
            .key_fields
            .insert(name.to_owned(), value);
    }

    /// A new key signs from now on; the old ones stay published. Gives the new `kid`. Not undone by `reset`.
    pub fn rotate_keys(&self) -> String {
        self.rotate(true)
    }

    /// A new key signs from now on, and only it is published. Gives the new `kid`. Not undone by `reset`.
    pub fn replace_keys(&self) -> String {
        self.rotate(false)
    }

    fn rotate(&self, keep_old: bool) -> String {
        let keys = &mut self.state.lock().keys;
        keys.rotate(keep_old);
        keys.current().kid.clone()
    }

    /// Every session of the emulator ends, so that the picker appears again.
    pub fn forget_sessions(&self) {
        self.state.lock().sessions.clear();
    }
}

/// What came in, and what went out last.
impl Emulator {
    /// How often each endpoint was called.
    pub fn counts(&self) -> Counts {
        self.state.lock().counts
    }

    /// Counts from zero again.
    pub fn reset_counts(&self) {
        self.state.lock().counts = Counts::default();
    }

    /// The last request for tokens as it arrived, secrets included.
    pub fn last_token_request(&self) -> Option<TokenRequest> {
        self.state.lock().last_token_request.clone()
    }

    /// The last ID token made, even where it was left out of the answer.
    pub fn last_id_token(&self) -> Option<String> {
        self.state.lock().last_id_token.clone()
    }

    /// One claim of the last ID token: its `sid` for a front-channel logout, its `login_hint` to compare.
    pub fn last_claim(&self, name: &str) -> Option<Value> {
        let token = self.last_id_token()?;
        let claims = from_base64(token.split('.').nth(1)?)?;
        serde_json::from_slice::<Value>(&claims)
            .ok()?
            .get(name)
            .cloned()
    }

    /// The last sign-out's parameters, `logout_hint` among them.
    pub fn last_logout(&self) -> Option<Form> {
        self.state.lock().last_logout.clone()
    }

    /// The current public key as PEM text.
    pub fn public_key_pem(&self) -> String {
        self.state.lock().keys.current().pem()
    }

    /// The public half of the key behind `Signing::ForeignKey`, for a header or a document that pretends
    /// to know it.
    pub fn foreign_jwk(&self) -> Value {
        let kid = self.state.lock().keys.current().kid.clone();
        SigningKey::foreign(&kid).jwk()
    }
}
