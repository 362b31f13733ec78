//! The tenant, our registration in it, and the credential.

use url::Url;

use super::super::certificate::ClientCertificate;
use super::super::problems::Problems;
use super::super::secret::Secret;
use super::super::variables::Variables;
use super::super::{AssertionAlg, Credential, EmailClaim, EntraSettings, origin_of};
use super::{is_loopback, switch};

pub(super) fn entra(variables: &Variables, problems: &mut Problems) -> Option<EntraSettings> {
    let authority = authority(variables, problems);
    let tenant = tenant(variables, problems);
    let credential = credential(variables, problems);
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
    if client_id.is_none() && (tenant.is_none() || credential.is_none()) {
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
        credential: credential?,
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

fn credential(variables: &Variables, problems: &mut Problems) -> Option<Credential> {
    let algorithm = match variables.get("APP_REG_ASSERTION_ALG") {
        None | Some("PS256") => AssertionAlg::Ps256,
        Some("RS256") => AssertionAlg::Rs256,
        Some(_) => {
            problems.add("APP_REG_ASSERTION_ALG", "must be PS256 or RS256");
            AssertionAlg::Ps256
        }
    };
    let secret = variables.get("APP_REG_CLIENT_SECRET");
    let inline = variables.get("APP_REG_CLIENT_CERT");
    let path = variables.get("APP_REG_CLIENT_CERT_PATH");
    let name = if inline.is_some() {
        "APP_REG_CLIENT_CERT"
    } else {
        "APP_REG_CLIENT_CERT_PATH"
    };
    match (secret, inline, path) {
        (None, None, None) => {
            problems.add(
                "APP_REG_CLIENT_SECRET",
                "or APP_REG_CLIENT_CERT_PATH is missing: Certificates & secrets of the app registration",
            );
            None
        }
        (Some(_), Some(_), _) | (Some(_), _, Some(_)) => {
            problems.add(
                "APP_REG_CLIENT_SECRET",
                format!("and {name} are both set: keep one of them"),
            );
            None
        }
        (_, Some(_), Some(_)) => {
            problems.add(
                "APP_REG_CLIENT_CERT",
                "and APP_REG_CLIENT_CERT_PATH are both set: keep one of them",
            );
            None
        }
        (Some(secret), None, None) => Some(Credential::Secret(Secret::new(secret.to_owned()))),
        (None, Some(text), None) => certificate(variables, name, Ok(text.to_owned()), problems)
            .map(|certificate| Credential::Certificate(certificate, algorithm)),
        (None, None, Some(path)) => {
            let text = std::fs::read_to_string(path)
                .map_err(|error| format!("names {path}, which cannot be read: {error}"));
            certificate(variables, name, text, problems)
                .map(|certificate| Credential::Certificate(certificate, algorithm))
        }
    }
}

fn certificate(
    variables: &Variables,
    name: &str,
    text: Result<String, String>,
    problems: &mut Problems,
) -> Option<ClientCertificate> {
    let certificate = match text.and_then(|text| ClientCertificate::read(&text)) {
        Ok(certificate) => certificate,
        Err(sentence) => {
            problems.add(name, sentence);
            return None;
        }
    };
    if let Some(thumbprint) = variables.get("APP_REG_CLIENT_THUMBPRINT")
        && !certificate.has_thumbprint(thumbprint)
    {
        problems.add(
            "APP_REG_CLIENT_THUMBPRINT",
            "is not the thumbprint of that certificate; remove it (it is computed) or correct it",
        );
        return None;
    }
    Some(certificate)
}
