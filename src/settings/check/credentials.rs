//! What proves to Entra that we are the registered application: one proof, and the one that follows it.

use std::path::PathBuf;

use url::Url;

use super::super::certificate::ClientCertificate;
use super::super::problems::Problems;
use super::super::secret::Secret;
use super::super::variables::Variables;
use super::super::{AssertionAlg, Credential, Credentials, ManagedIdentity, Proof};
use crate::clock;

const SECRET: &str = "APP_REG_CLIENT_SECRET";
const EXPIRES_ON: &str = "APP_REG_CLIENT_SECRET_EXPIRES_ON";
const SECRET_NEXT: &str = "APP_REG_CLIENT_SECRET_NEXT";
const CERT: &str = "APP_REG_CLIENT_CERT";
const CERT_PATH: &str = "APP_REG_CLIENT_CERT_PATH";
const CERT_NEXT_PATH: &str = "APP_REG_CLIENT_CERT_NEXT_PATH";
const TOKEN_FILE: &str = "AZURE_FEDERATED_TOKEN_FILE";
const IDENTITY: &str = "APP_REG_MANAGED_IDENTITY";
const THUMBPRINT: &str = "APP_REG_CLIENT_THUMBPRINT";

pub(super) fn credentials(variables: &Variables, problems: &mut Problems) -> Option<Credentials> {
    let algorithm = match variables.get("APP_REG_ASSERTION_ALG") {
        None | Some("PS256") => AssertionAlg::Ps256,
        Some("RS256") => AssertionAlg::Rs256,
        Some(_) => {
            problems.add("APP_REG_ASSERTION_ALG", "must be PS256 or RS256");
            AssertionAlg::Ps256
        }
    };
    let expires_at = expires_at(variables, problems);
    let firsts = [SECRET, CERT, CERT_PATH, TOKEN_FILE, IDENTITY];
    let first = match one_of(variables, &firsts, problems) {
        Some(Some(name)) => read(variables, name, algorithm, problems),
        Some(None) => {
            problems.add(
                SECRET,
                "or APP_REG_CLIENT_CERT_PATH is missing: Certificates & secrets of the app registration \
                 (on Azure, AZURE_FEDERATED_TOKEN_FILE or APP_REG_MANAGED_IDENTITY makes both needless)",
            );
            None
        }
        None => None,
    };
    let next = one_of(variables, &[SECRET_NEXT, CERT_NEXT_PATH], problems).flatten();
    let next = next.and_then(|name| read(variables, name, algorithm, problems));
    let mut first = first?;
    check_thumbprint(variables, &first, problems)?;
    if let Proof::Secret(_) = first.proof {
        first.expires_at = expires_at;
    }
    Some(Credentials { first, next })
}

/// The one of these that is set, `Some(None)` when none is, and `None` with a problem when several are.
fn one_of(
    variables: &Variables,
    names: &[&'static str],
    problems: &mut Problems,
) -> Option<Option<&'static str>> {
    let set: Vec<&'static str> = names
        .iter()
        .copied()
        .filter(|name| variables.get(name).is_some())
        .collect();
    if let [one, other, ..] = set[..] {
        problems.add(one, format!("and {other} are both set: keep one of them"));
        return None;
    }
    Some(set.first().copied())
}

/// A key or token that was pasted where its file belongs is not repeated in a message.
fn is_a_path(value: &str) -> bool {
    const LONGEST: usize = 255;
    !value.contains('\n') && !value.contains("-----BEGIN") && value.len() <= LONGEST
}

fn read(
    variables: &Variables,
    name: &'static str,
    algorithm: AssertionAlg,
    problems: &mut Problems,
) -> Option<Credential> {
    let value = variables.get(name)?;
    let read_file = || {
        std::fs::read_to_string(value).map_err(|error| match is_a_path(value) {
            true => format!("names {value}, which cannot be read: {error}"),
            false => {
                "holds the secret itself; it takes the path of a file that holds it".to_owned()
            }
        })
    };
    let certificate = |text: Result<String, String>, file: Option<PathBuf>| {
        let certificate = text.and_then(|text| ClientCertificate::read(&text))?;
        Ok(Credential {
            variable: name,
            expires_at: Some(certificate.not_after),
            file,
            proof: Proof::Certificate(certificate, algorithm),
        })
    };
    let credential = match name {
        CERT => certificate(Ok(value.to_owned()), None),
        CERT_PATH | CERT_NEXT_PATH => certificate(read_file(), Some(value.into())),
        IDENTITY => managed_identity(variables, value).map(|identity| Credential {
            variable: name,
            expires_at: None,
            file: None,
            proof: Proof::ManagedIdentity(identity),
        }),
        TOKEN_FILE => read_file().map(|_| Credential {
            variable: name,
            expires_at: None,
            file: None,
            proof: Proof::TokenFile(value.into()),
        }),
        _ => Ok(Credential {
            variable: name,
            expires_at: None,
            file: None,
            proof: Proof::Secret(Secret::new(value.to_owned())),
        }),
    };
    credential
        .map_err(|sentence| problems.add(name, sentence))
        .ok()
}

/// Where Azure runs a program under an identity, it sets two variables (Azure Container Apps: "Managed identities", REST).
fn managed_identity(variables: &Variables, client_id: &str) -> Result<ManagedIdentity, String> {
    let is_part = |part: &str, length| {
        part.len() == length && part.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    let parts: Vec<&str> = client_id.split('-').collect();
    let is_guid = matches!(parts[..], [a, b, c, d, e]
        if is_part(a, 8) && [b, c, d].iter().all(|part| is_part(part, 4)) && is_part(e, 12));
    if !is_guid {
        return Err("must be the Client ID on the managed identity's Overview page".to_owned());
    }
    let (endpoint, header) = (
        variables.get("IDENTITY_ENDPOINT"),
        variables.get("IDENTITY_HEADER"),
    );
    let (Some(endpoint), Some(header)) = (endpoint, header) else {
        return Err(
            "names a managed identity, but the platform gives none (IDENTITY_ENDPOINT and IDENTITY_HEADER are not set): \
             assign it to the app, or use a certificate"
                .to_owned(),
        );
    };
    let endpoint = Url::parse(endpoint).ok();
    let endpoint =
        endpoint.filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    Ok(ManagedIdentity {
        client_id: client_id.to_ascii_lowercase(),
        endpoint: endpoint
            .ok_or("cannot be used: IDENTITY_ENDPOINT, which the platform sets, is no URL")?,
        header: Secret::new(header.to_owned()),
    })
}

fn check_thumbprint(
    variables: &Variables,
    credential: &Credential,
    problems: &mut Problems,
) -> Option<()> {
    let Some(thumbprint) = variables.get(THUMBPRINT) else {
        return Some(());
    };
    if let Proof::Certificate(certificate, _) = &credential.proof
        && !certificate.has_thumbprint(thumbprint)
    {
        problems.add(
            THUMBPRINT,
            "is not the thumbprint of that certificate; remove it (it is computed) or correct it",
        );
        return None;
    }
    Some(())
}

fn expires_at(variables: &Variables, problems: &mut Problems) -> Option<i64> {
    let expires_at = clock::seconds_of_date(variables.get(EXPIRES_ON)?);
    if expires_at.is_none() {
        problems.add(
            EXPIRES_ON,
            "must be a date such as 2027-05-24, the day on which the secret expires",
        );
    }
    expires_at
}
