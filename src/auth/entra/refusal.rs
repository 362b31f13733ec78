//! Why a sign-in was refused: a sentence for the person, another for the operator, and Entra's codes turned into both.
//! (Entra: "Microsoft Entra authentication and authorization error codes".)

use super::response::TokenError;
use crate::settings::EmailClaim;

/// A refused sign-in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// One word for the audit and for metrics.
    pub reason: &'static str,
    /// What the person reads.
    pub sentence: &'static str,
    /// What the log says, with what to change.
    pub cause: String,
    /// Whether another account may help.
    pub other_account: bool,
    /// Whether only whoever runs the portal can mend it.
    pub is_operators: bool,
    /// Entra's correlation id, by which its support finds the attempt.
    pub correlation_id: Option<String>,
    /// Whether the code had been redeemed before (54005): the one error that restarts by itself.
    pub already_redeemed: bool,
}

struct Explained {
    codes: &'static [u32],
    reason: &'static str,
    sentence: &'static str,
    hint: &'static str,
    other_account: bool,
}

const NOT_YOUR_FAULT: &str = "The portal's connection to Microsoft is not set up correctly. This is not your fault; \
     please tell the people who run the portal.";

const NOT_REACHED: &str = "Microsoft could not be reached just now. Please try again in a minute.";

/// Reasons that are told apart elsewhere.
const UNREACHABLE: &str = "unreachable";
const CREDENTIAL_REFUSED: &str = "credential_refused";
const UNEXPLAINED: &str = "refused";

const EXPLAINED: &[Explained] = &[
    Explained {
        codes: &[50011],
        reason: "redirect_uri",
        sentence: NOT_YOUR_FAULT,
        hint: "add APP_REG_REDIRECT_URI to the app registration: Authentication > Platform configurations > Web > Redirect URIs",
        other_account: false,
    },
    Explained {
        codes: &[50020, 90072, 50034, 51004],
        reason: "not_in_tenant",
        sentence: "That account does not belong to this organisation. Use your work account here.",
        hint: "the account is not in the tenant AZURE_TENANT_ID",
        other_account: true,
    },
    Explained {
        codes: &[50105],
        reason: "not_assigned",
        sentence: "Your account has not been assigned to this portal. Ask an administrator to assign you, or use another account.",
        hint: "Enterprise applications > the portal > Users and groups: assign the person, or set Assignment required to No",
        other_account: true,
    },
    Explained {
        codes: &[53000, 53001, 53002, 53003, 530_004],
        reason: "conditional_access",
        sentence: "Your organisation's sign-in rules do not allow this device or place. Use a managed device, or ask your IT support.",
        hint: "a Conditional Access policy refused; see Sign-in logs in the Entra admin center",
        other_account: true,
    },
    Explained {
        codes: &[65001, 65004, 90094],
        reason: "consent",
        sentence: "The portal was not allowed to read your name and address. Try again and accept, or ask an administrator to agree for everybody.",
        hint: "App registrations > the portal > API permissions: grant admin consent for openid, profile and email",
        other_account: false,
    },
    Explained {
        codes: &[70008, 50089, 50058],
        reason: "took_too_long",
        sentence: "Signing in took too long. Please sign in again.",
        hint: "the code or Microsoft's session expired before it was used",
        other_account: false,
    },
    Explained {
        codes: &[700_016, 700_005],
        reason: "client_unknown",
        sentence: NOT_YOUR_FAULT,
        hint: "no application with this id in this tenant: compare APP_REG_CLIENT_ID and AZURE_TENANT_ID with the app registration's Overview",
        other_account: false,
    },
    Explained {
        codes: &[90002, 900_382, 900_432],
        reason: "tenant_unknown",
        sentence: NOT_YOUR_FAULT,
        hint: "the tenant is not known in this cloud: compare AZURE_TENANT_ID and AZURE_AUTHORITY_HOST",
        other_account: false,
    },
    Explained {
        codes: &[7_000_215],
        reason: "secret_wrong",
        sentence: NOT_YOUR_FAULT,
        hint: "APP_REG_CLIENT_SECRET is wrong: it must be the secret's Value, not its Secret ID (Certificates & secrets)",
        other_account: false,
    },
    Explained {
        codes: &[7_000_222],
        reason: "secret_expired",
        sentence: NOT_YOUR_FAULT,
        hint: "the client secret has expired: make a new one (Certificates & secrets) and put its Value into APP_REG_CLIENT_SECRET",
        other_account: false,
    },
    Explained {
        codes: &[700_027],
        reason: "certificate_unknown",
        sentence: NOT_YOUR_FAULT,
        hint: "the certificate is not registered, has expired, or this machine's clock is wrong: upload it under Certificates & secrets; for old servers try APP_REG_ASSERTION_ALG=RS256",
        other_account: false,
    },
    Explained {
        codes: &[70_021, 700_211, 700_212, 700_213, 700_024],
        reason: "federation",
        sentence: NOT_YOUR_FAULT,
        hint: "the token of AZURE_FEDERATED_TOKEN_FILE or APP_REG_MANAGED_IDENTITY fits no federated credential, or has expired: compare issuer, subject and audience under Certificates & secrets > Federated credentials",
        other_account: false,
    },
    Explained {
        codes: &[7_000_218],
        reason: "no_credential",
        sentence: NOT_YOUR_FAULT,
        hint: "Entra saw no credential: set APP_REG_CLIENT_SECRET or APP_REG_CLIENT_CERT_PATH, and register the redirect URI under the platform Web",
        other_account: false,
    },
    Explained {
        codes: &[501_481, 900_561],
        reason: "out_of_step",
        sentence: "This sign-in got out of step, as happens with the Back button. Please sign in again.",
        hint: "the code belongs to another sign-in of the same browser, or a page of Microsoft's was loaded again",
        other_account: false,
    },
    Explained {
        codes: &[50196],
        reason: "loop",
        sentence: "Microsoft saw too many sign-ins in a short time. Wait a few minutes, then try once.",
        hint: "Entra detected a sign-in loop from this client",
        other_account: false,
    },
];

impl Refusal {
    fn new(reason: &'static str, sentence: &'static str, cause: String) -> Self {
        Self {
            reason,
            sentence,
            cause,
            other_account: false,
            is_operators: false,
            correlation_id: None,
            already_redeemed: false,
        }
    }

    /// The ID token failed a check.
    pub fn invalid(cause: impl Into<String>) -> Self {
        Self::new(
            "id_token",
            "Microsoft's answer could not be trusted, so you were not signed in. Please try again; \
             if it happens again, tell the people who run the portal.",
            format!("the ID token was refused: {}", cause.into()),
        )
    }

    /// Entra could not be asked.
    pub fn unreachable(cause: String) -> Self {
        Self::new(UNREACHABLE, NOT_REACHED, cause)
    }

    /// Our own proof could not be made.
    pub fn credential(cause: String) -> Self {
        Self {
            is_operators: true,
            ..Self::new("no_credential", NOT_YOUR_FAULT, cause)
        }
    }

    /// Whether another credential of ours might be taken.
    pub fn is_of_credential(&self) -> bool {
        const CREDENTIAL: [&str; 6] = [
            "secret_wrong",
            "secret_expired",
            "certificate_unknown",
            "federation",
            "no_credential",
            CREDENTIAL_REFUSED,
        ];
        CREDENTIAL.contains(&self.reason)
    }

    /// Whether somebody on the way, or Entra in trouble, answered instead of deciding.
    pub fn is_no_answer(&self) -> bool {
        self.reason == UNREACHABLE
    }

    /// What the `error` alone says (RFC 6749 section 5.2) where no number does: Entra has more numbers than anybody lists,
    /// and what stands between it and us may answer in JSON as well.
    fn by_error(self, error: &str) -> Self {
        match error {
            "invalid_client" => Self {
                reason: CREDENTIAL_REFUSED,
                sentence: NOT_YOUR_FAULT,
                is_operators: true,
                ..self
            },
            "" | "server_error" | "temporarily_unavailable" => Self {
                reason: UNREACHABLE,
                sentence: NOT_REACHED,
                ..self
            },
            _ => self,
        }
    }

    /// The answer was no answer.
    pub fn garbage(cause: String) -> Self {
        Self::new(
            "garbage",
            "Microsoft gave an answer that the portal does not understand. Please try again; \
             if it happens again, tell the people who run the portal.",
            cause,
        )
    }

    /// A guest, where guests are not allowed.
    pub fn guest() -> Self {
        Self {
            other_account: true,
            ..Self::new(
                "guest",
                "You came as a guest of this organisation, and guests are not admitted here. Use your work account of this organisation.",
                "a guest of the tenant signed in; ALLOW_GUESTS=true would admit guests".to_owned(),
            )
        }
    }

    /// The address belongs to another account.
    pub fn other_account(email: &str) -> Self {
        Self {
            other_account: true,
            ..Self::new(
                "other_account",
                "Your address was used here with another Microsoft account before. Addresses change hands, so an administrator of the portal has to confirm that it is yours now.",
                format!(
                    "{email} is bound to another account; `portcullis people rebind {email}` lets the next sign-in take it over"
                ),
            )
        }
    }

    /// No usable address.
    pub fn no_email(cause: &str, claim: EmailClaim) -> Self {
        Self {
            other_account: true,
            ..Self::new(
                "no_email",
                "Microsoft did not tell the portal a usable e-mail address for your account. Ask your IT support to add one, or use another account.",
                format!(
                    "the claim {}: {cause}; add it under App registrations > Token configuration > Add optional claim > ID, or set EMAIL_CLAIM",
                    claim.name()
                ),
            )
        }
    }

    /// The code or session of a sign-in that came from elsewhere (RFC 9207).
    pub fn wrong_issuer() -> Self {
        Self::invalid("the answer's iss parameter is not the tenant's issuer")
    }

    /// An error that Entra put into the callback's query.
    pub fn from_redirect(error: &str, description: &str) -> Self {
        if error == "access_denied" && codes_in(description).is_empty() {
            return Self {
                other_account: true,
                correlation_id: correlation_in(description),
                ..Self::new(
                    "cancelled",
                    "You cancelled signing in. Sign in whenever you are ready.",
                    "the person cancelled at Microsoft".to_owned(),
                )
            };
        }
        Self::explained(&codes_in(description), error, description)
    }

    /// The sentence by the first code we know.
    fn explained(codes: &[u32], error: &str, description: &str) -> Self {
        let cause = format!("Entra answered {}: {}", line(error), line(description));
        let correlation_id = correlation_in(description);
        let known = EXPLAINED
            .iter()
            .find(|explained| explained.codes.iter().any(|code| codes.contains(code)));
        match known {
            Some(explained) => Self {
                reason: explained.reason,
                sentence: explained.sentence,
                cause: format!("{} ({cause})", explained.hint),
                other_account: explained.other_account,
                is_operators: explained.sentence == NOT_YOUR_FAULT,
                correlation_id,
                already_redeemed: false,
            },
            None => Self {
                correlation_id,
                ..Self::new(
                    UNEXPLAINED,
                    "Microsoft refused the sign-in. Please try again; if it happens again, tell your IT support the numbers below.",
                    cause,
                )
            },
        }
    }
}

impl From<TokenError> for Refusal {
    fn from(error: TokenError) -> Self {
        let mut refusal =
            Self::explained(&error.error_codes, &error.error, &error.error_description);
        if refusal.reason == UNEXPLAINED {
            refusal = refusal.by_error(&error.error);
        }
        refusal.already_redeemed = error.error_codes.contains(&54005);
        if refusal.already_redeemed {
            refusal.reason = "already_redeemed";
            refusal.sentence = "This sign-in was already used. Please sign in again.";
        }
        refusal.correlation_id = error
            .correlation_id
            .filter(|id| is_id(id))
            .or(refusal.correlation_id);
        refusal
    }
}

/// What to change, by the first number in a text of Entra's that we know; the number alone where we do not.
pub(super) fn hint_in(text: &str) -> Option<String> {
    let codes = codes_in(text);
    let first = codes.first()?;
    let known = EXPLAINED
        .iter()
        .find(|explained| explained.codes.iter().any(|code| codes.contains(code)));
    Some(match known {
        Some(explained) => format!("AADSTS{first}: {}", explained.hint),
        None => format!("Entra answers AADSTS{first}"),
    })
}

/// One line of at most 500 characters, for the log: the text comes from outside.
fn line(text: &str) -> String {
    text.chars()
        .take(500)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

/// The `AADSTS` numbers in a description; for wording only, never for decisions.
fn codes_in(description: &str) -> Vec<u32> {
    description
        .split("AADSTS")
        .skip(1)
        .filter_map(|rest| {
            let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
            digits.parse().ok()
        })
        .collect()
}

fn correlation_in(description: &str) -> Option<String> {
    let rest = description.split("Correlation ID:").nth(1)?;
    let id: String = rest
        .trim_start()
        .chars()
        .take_while(|c| c.is_ascii_hexdigit() || *c == '-')
        .collect();
    is_id(&id).then_some(id)
}

fn is_id(text: &str) -> bool {
    text.len() == 36 && text.chars().all(|c| c.is_ascii_hexdigit() || c == '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0a1b2c3d-0000-4000-8000-123456789abc";

    #[test]
    fn entras_codes_become_sentences_with_the_correlation_id() {
        let text =
            format!("AADSTS50105: not assigned. Trace ID: x Correlation ID: {ID} Timestamp: now");
        let refusal = Refusal::from_redirect("access_denied", &text);
        assert_eq!(refusal.reason, "not_assigned");
        assert!(refusal.other_account);
        assert_eq!(refusal.correlation_id.as_deref(), Some(ID));
        assert_eq!(
            Refusal::from_redirect("access_denied", "").reason,
            "cancelled"
        );
    }

    #[test]
    fn every_operators_hint_says_where_to_look() {
        for explained in EXPLAINED {
            assert!(!explained.hint.is_empty() && !explained.sentence.is_empty());
        }
        let expired = TokenError {
            error: "invalid_client".to_owned(),
            error_description: "AADSTS7000222: expired".to_owned(),
            error_codes: vec![7_000_222],
            correlation_id: Some("<script>".to_owned()),
        };
        let refusal = Refusal::from(expired);
        assert!(refusal.cause.contains("APP_REG_CLIENT_SECRET") && refusal.is_operators);
        assert_eq!(refusal.correlation_id, None);
    }
}
