//! The checks, and how each is told.

use crate::audit::Action;
use crate::audit::store::Entry;
use crate::auth::entra::is_plain_address;
use crate::auth::store as auth;
use crate::clock;
use crate::roles::{Holding, Role, bindings, decide};
use crate::rules::Rule;

/// One check.
#[derive(Debug, Clone)]
pub struct Step {
    /// What is looked at.
    pub label: &'static str,
    /// Whether it lets the person pass; `None` where it only tells.
    pub passes: Option<bool>,
    /// What was found.
    pub text: String,
}

pub(super) fn yes(label: &'static str, text: String) -> Step {
    step(label, Some(true), text)
}

pub(super) fn no(label: &'static str, text: String) -> Step {
    step(label, Some(false), text)
}

pub(super) fn told(label: &'static str, text: String) -> Step {
    step(label, None, text)
}

fn step(label: &'static str, passes: Option<bool>, text: String) -> Step {
    Step {
        label,
        passes,
        text,
    }
}

pub(super) fn address(email: &str) -> Step {
    match is_plain_address(email) {
        true => yes("Address", format!("Looked up as {email}.")),
        false => no(
            "Address",
            format!(
                "{} is no plain e-mail address, so nobody can sign in under it.",
                email.escape_debug()
            ),
        ),
    }
}

pub(super) fn row(email: &str, held: &Holding) -> Step {
    let rows: Vec<String> = held
        .rows
        .iter()
        .map(|row| format!("{} = {}", row.email, row.role))
        .collect();
    let rows = rows.join(", ");
    match decide(email, &held.rows) {
        (Some(role), _) => yes("Role", format!("{role}, by the row {rows}.")),
        (None, Some(warning)) => no("Role", format!("{warning}. Found: {rows}.")),
        (None, None) => no("Role", "The address has no role. Give it one.".to_owned()),
    }
}

/// A folder's rule that counts for the file.
pub(super) fn rule(rule: &Rule, email: &str, role: Option<Role>) -> Step {
    let folder = match rule.folder.as_str() {
        "" => "all files",
        folder => folder,
    };
    let least = rule.role.as_str();
    match (rule.lets_in(email, role), rule.people.contains(email)) {
        (true, true) => yes("Rule", format!("The rule of {folder} names {email}.")),
        (true, false) => yes(
            "Rule",
            format!("The rule of {folder} admits people from the role {least} on."),
        ),
        (false, _) => no(
            "Rule",
            format!(
                "The rule of {folder} admits people from the role {least} on and those whom it names, and {email} is neither. \
                 Change it under Folders."
            ),
        ),
    }
}

/// That somebody else came under the address after its owner last did, and was refused: whoever uses it now may be
/// another person than the one whom the tables know. `refusals` are the address's, newest first.
pub fn stranger(
    bound: Option<&(bindings::Account, i64)>,
    known: &[auth::Known],
    refusals: &[Entry],
) -> Option<String> {
    let (account, bound_at) = bound?;
    let last = known.first().map_or(0, |known| known.last_sign_in_at);
    let refused = refusals.iter().find(|entry| {
        entry.action == Action::SignInRefused.as_str() && entry.at > last.max(*bound_at)
    })?;
    let detail: serde_json::Value = serde_json::from_str(&refused.detail).unwrap_or_default();
    let who = match detail["oid"].as_str() {
        Some(oid) if oid == account.oid => return None,
        Some(oid) => format!("the account {oid}"),
        None => "another account".to_owned(),
    };
    let reference = match &refused.reference {
        Some(reference) => format!(", reference {reference}"),
        None => String::new(),
    };
    Some(format!(
        "The address belongs to the account {}, but {who} came under it last, {}, and was refused at the sign-in{reference}. \
         If the address has changed hands, free it on the person’s page.",
        account.oid,
        clock::rfc3339(refused.at)
    ))
}

/// The account that the address belongs to, beside those that signed in under it.
pub(super) fn account(
    email: &str,
    bound: Option<(bindings::Account, i64)>,
    known: &[auth::Known],
    now: i64,
) -> Step {
    let last = known.first();
    match (bound, last) {
        (Some((account, at)), Some(last)) if last.oid == account.oid && last.tid == account.tid => {
            yes(
                "Account",
                format!(
                    "Belongs to the account {} since {}, which signed in {}.",
                    account.oid,
                    clock::ago(at, now),
                    clock::ago(last.last_sign_in_at, now)
                ),
            )
        }
        (Some((account, at)), Some(last)) => no(
            "Account",
            format!(
                "The address belongs to the account {} since {}, but the account {} signed in last, {}. If it has changed hands, free the address.",
                account.oid,
                clock::ago(at, now),
                last.oid,
                clock::ago(last.last_sign_in_at, now)
            ),
        ),
        (Some((account, at)), None) => no(
            "Account",
            format!(
                "The address belongs to the account {} since {}, which signs in under another address now. With {email} nobody has come since. Free the address if it has changed hands.",
                account.oid,
                clock::ago(at, now)
            ),
        ),
        (None, None) => told(
            "Account",
            "Nobody has signed in under this address yet.".to_owned(),
        ),
        (None, Some(_)) if known.len() == 1 => told(
            "Account",
            "One account signs in under this address, and owns it from its next visit with a role."
                .to_owned(),
        ),
        (None, Some(_)) => told(
            "Account",
            format!(
                "{} accounts have signed in under this address. The one that signs in next, while it has a role, owns it.",
                known.len()
            ),
        ),
    }
}
