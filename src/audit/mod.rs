//! Who did what: every sign-in, refusal, sign-out, role change, publication and download is a row of `dim.audit`.

use serde_json::{Map, Value};

pub mod chain;
pub mod daily;
pub mod export;
pub mod find;
pub mod keeper;
pub mod queue;
pub mod refusals;
pub mod retention;
pub mod seal;
pub mod store;
pub mod tops;
pub mod verify;
pub mod words;

pub use store::record;

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Somebody signed in.
    SignedIn,
    /// A sign-in was refused.
    SignInRefused,
    /// A session was ended.
    SignedOut,
    /// Somebody signed in was refused a page.
    AccessRefused,
    /// A role was given or changed.
    RoleGranted,
    /// A role was taken away.
    RoleRevoked,
    /// Several spellings of an address became one row.
    RoleTidied,
    /// An address was found to belong to an account.
    Bound,
    /// A role came to its end date.
    RoleEnded,
    /// An address was freed for another account.
    Rebound,
    /// A file was published.
    Published,
    /// A file was sent, whole or in part.
    Downloaded,
    /// A file was shown before it is downloaded.
    Previewed,
    /// Somebody asked for access.
    AccessRequested,
    /// A request for access was declined.
    AccessDeclined,
    /// The list of people and roles was exported.
    RolesExported,
    /// Rows of the audit were exported.
    AuditExported,
    /// The oldest rows of the audit were removed.
    AuditRemoved,
    /// It was said who may see a folder.
    FolderRuleSet,
    /// A folder is open to every role again.
    FolderRuleCleared,
    /// A file or folder got another name in its folder.
    Renamed,
    /// A file or folder was moved to another folder.
    Moved,
    /// The title of a file was changed.
    TitleChanged,
    /// A folder was made.
    FolderMade,
    /// A file or folder was put into the trash.
    Deleted,
    /// A file or folder came back from the trash.
    Restored,
    /// What was in the trash was removed.
    RemovedForGood,
}

impl Action {
    /// The value as the table holds it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SignedIn => "signed_in",
            Self::SignInRefused => "sign_in_refused",
            Self::SignedOut => "signed_out",
            Self::AccessRefused => "access_refused",
            Self::RoleGranted => "role_granted",
            Self::RoleRevoked => "role_revoked",
            Self::RoleTidied => "role_tidied",
            Self::Bound => "bound",
            Self::RoleEnded => "role_ended",
            Self::Rebound => "rebound",
            Self::Published => "published",
            Self::Downloaded => "downloaded",
            Self::Previewed => "previewed",
            Self::AccessRequested => "access_requested",
            Self::AccessDeclined => "access_declined",
            Self::RolesExported => "roles_exported",
            Self::AuditExported => "audit_exported",
            Self::AuditRemoved => "audit_removed",
            Self::FolderRuleSet => "folder_rule_set",
            Self::FolderRuleCleared => "folder_rule_cleared",
            Self::Renamed => "renamed",
            Self::Moved => "moved",
            Self::TitleChanged => "title_changed",
            Self::FolderMade => "folder_made",
            Self::Deleted => "deleted",
            Self::Restored => "restored",
            Self::RemovedForGood => "removed_for_good",
        }
    }
}

/// Who did it. Comes from a request's person or from the command line, so a change cannot be made anonymously.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    name: String,
    address: Option<String>,
    reference: Option<String>,
}

impl Actor {
    /// A person of the portal, from a request; the empty name is somebody whose identity is not established.
    pub fn person(email: &str, address: Option<String>, reference: Option<String>) -> Self {
        Self {
            name: email.to_owned(),
            address,
            reference,
        }
    }

    /// The operator at the command line.
    pub fn command_line() -> Self {
        Self::person("command line", None, None)
    }

    /// The portal itself.
    pub fn portal() -> Self {
        Self::person("portal", None, None)
    }

    /// The reference number of the request, if there was one.
    pub fn reference(&self) -> Option<&str> {
        self.reference.as_deref()
    }

    /// The client's address, if it is known.
    pub fn address(&self) -> Option<&str> {
        self.address.as_deref()
    }

    /// The same under a reference number, which ties together what was done at one time.
    pub fn with_reference(mut self, reference: &str) -> Self {
        self.reference = Some(reference.to_owned());
        self
    }

    /// Lower-case address, `command line` or `portal`; empty where nobody's identity is established.
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// One thing that happened, not yet written down.
#[derive(Debug, Clone)]
pub struct Event {
    action: Action,
    at: i64,
    subject: String,
    outcome: String,
    bytes: Option<i64>,
    detail: Map<String, Value>,
}

impl Event {
    /// `subject` is whom or what it happened to (an address, a path); `outcome` one word of how it ended.
    pub fn new(action: Action, subject: &str, outcome: &str) -> Self {
        Self {
            action,
            at: crate::clock::now(),
            subject: subject.to_owned(),
            outcome: outcome.to_owned(),
            bytes: None,
            detail: Map::new(),
        }
    }

    /// How it ended, in one word.
    pub fn outcome(&self) -> &str {
        &self.outcome
    }

    /// Bytes sent or stored.
    pub fn bytes(mut self, bytes: u64) -> Self {
        self.bytes = Some(i64::try_from(bytes).unwrap_or(i64::MAX));
        self
    }

    /// The file that was downloaded to its end with this, if it was.
    pub fn whole_download(&self) -> Option<&str> {
        let range = self.detail.get("range").and_then(Value::as_str);
        let whole = self.action == Action::Downloaded && came_to_the_end(&self.outcome, range);
        whole.then_some(self.subject.as_str())
    }

    /// A further fact; kept as JSON.
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.detail.insert(name.to_owned(), value.into());
        self
    }
}

/// Whether a download sent the file’s last byte, or had it sent by the front server or the storage. That is what counts it,
/// so that one which is resumed, or fetched in parts, counts once.
pub fn came_to_the_end(outcome: &str, range: Option<&str>) -> bool {
    // `bytes 500-999/1000`, RFC 9110 section 14.4.
    let is_last = |range: &str| {
        let (range, size) = range.strip_prefix("bytes ")?.split_once('/')?;
        let (_, last) = range.split_once('-')?;
        Some(last.parse::<u64>().ok()? + 1 == size.parse::<u64>().ok()?)
    };
    matches!(outcome, "whole" | "handed_over")
        && range.is_none_or(|range| is_last(range).unwrap_or(false))
}
