//! The tenant, and our registration in it.

use url::Url;

use super::super::problems::Problems;
use super::super::variables::Variables;
use super::super::{EmailClaim, EntraSettings, origin_of};
use super::credentials::credentials;
use super::{is_loopback, switch};

pub(super) fn entra(variables: &Variables, problems: &mut Problems) -> Option<EntraSettings> {
    let authority = authority(variables, problems);
    let tenant = tenant(variables, problems);
    let credentials = credentials(variables, problems);
    let email_claim = match variables.get("EMAIL_CLAIM") {
        None | Some("email") => EmailClaim::Email,
        Some("preferred_username") => EmailClaim::PreferredUsername,
        Some("upn") => EmailClaim::Upn,
        Some(_) => {
            problems.add("EMAIL_CLAIM", "must be email, preferred_username or upn");
            EmailClaim::Email
        }
    };
    let allow_guests = switch(variables, "ALLOW_GUESTS", problems);
    let client_id = variables.get("APP_REG_CLIENT_ID").map(str::to_owned);
    // Missing alone, it keeps the portal closed but running; missing with the rest, it is one of the things to fill in.
    if client_id.is_none() && (tenant.is_none() || credentials.is_none()) {
        problems.add(
            "APP_REG_CLIENT_ID",
            "is missing: the Application (client) ID on the app registration's Overview page. \
             To try the portal with a fake user instead, set DEV_MODE=true",
        );
    }
    Some(EntraSettings {
        authority: authority?,
        tenant: tenant?,
        client_id,
        credentials: credentials?,
        email_claim,
        allow_guests,
    })
}

fn authority(variables: &Variables, problems: &mut Problems) -> Option<String> {
    const NAME: &str = "AZURE_AUTHORITY_HOST";
    let text = variables
        .get(NAME)
        .unwrap_or("https://login.microsoftonline.com");
    let url = Url::parse(text).ok().filter(|url| url.host().is_some());
    let Some(url) = url else {
        problems.add(
            NAME,
            "must be an origin such as https://login.microsoftonline.com",
        );
        return None;
    };
    let sentence = if !url.username().is_empty() || url.password().is_some() {
        "must not carry a user name or password"
    } else if url.scheme() != "https" && !(url.scheme() == "http" && is_loopback(&url)) {
        "must begin with https:// (http:// only for a loopback host)"
    } else if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
        "must be an origin alone; the tenant goes into AZURE_TENANT_ID"
    } else {
        return Some(origin_of(&url));
    };
    problems.add(NAME, sentence);
    None
}

fn tenant(variables: &Variables, problems: &mut Problems) -> Option<String> {
    const NAME: &str = "AZURE_TENANT_ID";
    let Some(tenant) = variables.get(NAME) else {
        problems.add(
            NAME,
            "is missing: the Directory (tenant) ID on the app registration's Overview page",
        );
        return None;
    };
    let tenant = tenant.to_ascii_lowercase();
    if ["common", "organizations", "consumers"].contains(&tenant.as_str()) {
        problems.add(
            NAME,
            "must name one tenant: with common, organizations or consumers anybody could sign in",
        );
        return None;
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
    if !tenant.chars().all(plain) || tenant.starts_with('.') || tenant.contains("..") {
        problems.add(
            NAME,
            "must be the directory id (a GUID) or a verified domain such as contoso.com",
        );
        return None;
    }
    Some(tenant)
}
