//! The people of the pretended tenant, and the names that they sign in with.
//! Apart because tests and the account picker choose from the same list.

use super::encoding::base64url;
use super::state::TENANT;

/// A member of the tenant.
pub const ADA: &str = "ada.byron@contoso.example";
/// A member of the tenant.
pub const GRACE: &str = "grace.hopper@contoso.example";
/// A member of the tenant.
pub const KARL: &str = "karl.weber@contoso.example";
/// A member that no portal is expected to know.
pub const NO_ROLE: &str = "no.role@contoso.example";
/// A guest whose home is another tenant.
pub const GUEST: &str = "gina.guest@fabrikam.example";
/// A member without any e-mail address.
pub const NO_EMAIL: &str = "no.email@contoso.example";

/// One person that can sign in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Display name: the `name` claim.
    pub name: String,
    /// What the person types to sign in: `preferred_username`, and the value of the picker's button.
    pub username: String,
    /// The `upn` claim; a guest's differs from the sign-in name.
    pub upn: String,
    /// The `email` claim, if there is an address at all.
    pub email: Option<String>,
    /// The `oid` claim: never re-used, the same for every application.
    pub oid: String,
    /// The home tenant's issuer: a guest has one, a member none. Becomes the `idp` claim.
    pub idp: Option<String>,
    /// A word for the picker about what is special.
    pub note: String,
}

impl Account {
    /// A member of the tenant with an e-mail address equal to the sign-in name.
    pub fn member(name: &str, username: &str, oid: &str) -> Self {
        Self {
            name: name.to_owned(),
            username: username.to_owned(),
            upn: username.to_owned(),
            email: Some(username.to_owned()),
            oid: oid.to_owned(),
            idp: None,
            note: String::new(),
        }
    }

    /// The opaque `login_hint` claim, which comes back as `login_hint` or `logout_hint`.
    pub fn login_hint(&self) -> String {
        let told = format!("{}:{TENANT}:{}", self.oid, self.username);
        format!("O.{}", base64url(told.as_bytes()))
    }

    /// Whether a `login_hint` parameter, or a picker's answer, means this person.
    pub fn answers_to(&self, hint: &str) -> bool {
        let names = [Some(&self.username), Some(&self.upn), self.email.as_ref()];
        let named = |name: &String| name.eq_ignore_ascii_case(hint);
        hint == self.login_hint() || names.into_iter().flatten().any(named)
    }
}

/// The people that every emulator starts with.
pub fn people() -> Vec<Account> {
    vec![
        Account::member("Ada Byron", ADA, "aaaaaaaa-0001-4000-8000-000000000001"),
        Account::member(
            "Grace Hopper",
            GRACE,
            "aaaaaaaa-0002-4000-8000-000000000002",
        ),
        Account::member("Karl Weber", KARL, "aaaaaaaa-0003-4000-8000-000000000003"),
        Account::member("No Role", NO_ROLE, "aaaaaaaa-0004-4000-8000-000000000004"),
        Account {
            upn: "gina.guest_fabrikam.example#EXT#@contoso.example".to_owned(),
            idp: Some("https://sts.windows.net/99999999-8888-4777-8666-555555555555/".to_owned()),
            note: "guest of another tenant".to_owned(),
            ..Account::member("Gina Guest", GUEST, "aaaaaaaa-0005-4000-8000-000000000005")
        },
        Account {
            email: None,
            note: "no e-mail address".to_owned(),
            ..Account::member(
                "No E-Mail",
                NO_EMAIL,
                "aaaaaaaa-0006-4000-8000-000000000006",
            )
        },
    ]
}
