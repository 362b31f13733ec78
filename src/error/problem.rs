//! What the visitor is told of an error: what happened, further facts, and the ways on.

use actix_web::ResponseError;
use actix_web::http::StatusCode;

use super::AppError;
use crate::auth::return_to;

/// What the visitor is told.
#[derive(Debug, Clone)]
pub struct Problem {
    /// The status of the answer.
    pub status: StatusCode,
    /// A few words.
    pub heading: String,
    /// What happened and what to do.
    pub sentence: String,
    /// Further facts worth showing, by label.
    pub facts: Vec<(String, String)>,
    /// Ways on.
    pub actions: Vec<Way>,
}

/// A way on from a problem.
#[derive(Debug, Clone)]
pub struct Way {
    /// What the link says.
    pub label: &'static str,
    /// Where it leads.
    pub href: String,
}

impl Problem {
    /// The same where there are no files: in a program that embeds us.
    pub fn without_files(&mut self) {
        match self.status {
            StatusCode::NOT_FOUND => {
                self.sentence =
                    "The address may be mistyped, or what was here was moved or removed."
                        .to_owned();
            }
            StatusCode::METHOD_NOT_ALLOWED => {
                self.sentence = "This address does not take that kind of request.".to_owned();
            }
            _ => {}
        }
        for way in self.actions.iter_mut().filter(|way| way.href == "/") {
            way.label = "Start page";
        }
    }
}

impl AppError {
    /// What to tell the visitor who asked for `asked` (path and query).
    pub fn problem(&self, asked: &str) -> Problem {
        let (heading, sentence) = self.words();
        Problem {
            status: self.status_code(),
            heading: heading.to_owned(),
            sentence,
            facts: self.facts(),
            actions: self.ways(asked),
        }
    }

    fn facts(&self) -> Vec<(String, String)> {
        match self {
            Self::SignInRefused(refusal, _) => refusal
                .correlation_id
                .iter()
                .map(|id| ("Microsoft's correlation id".to_owned(), id.clone()))
                .collect(),
            _ => Vec::new(),
        }
    }

    fn ways(&self, asked: &str) -> Vec<Way> {
        let sign_in = |target: &str| Way {
            label: "Sign in",
            href: return_to::login_url(target),
        };
        let other_account = |target: &str| Way {
            label: "Use another account",
            href: format!("{}&account=other", return_to::login_url(target)),
        };
        let home = Way {
            label: "All files",
            href: "/".to_owned(),
        };
        match self {
            Self::SignInNeeded => vec![sign_in(asked)],
            Self::NoRole | Self::OtherAccount => vec![other_account("/")],
            Self::SignInLost(target) => vec![Way {
                label: "Start again",
                href: return_to::login_url(target),
            }],
            Self::SignInRefused(refusal, target) => {
                let again = Way {
                    label: "Try again",
                    ..sign_in(target)
                };
                match refusal.other_account {
                    true => vec![other_account(target), again],
                    false => vec![again],
                }
            }
            Self::TooMany(_)
            | Self::TooManyDownloads(_)
            | Self::ZipsFull
            | Self::Restarting
            | Self::AuthorityAway(_)
            | Self::DatabaseAway(_)
            | Self::StorageAway(_)
            | Self::FilesAway(_) => vec![Way {
                label: "Try again",
                href: return_to::local(asked),
            }],
            Self::Misdirected | Self::NotConfigured | Self::SignOutPending(_) => Vec::new(),
            _ => vec![home],
        }
    }
}
