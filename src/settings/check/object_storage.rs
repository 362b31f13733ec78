//! Object storage instead of a folder: which container, by which endpoint, with what proof.

use url::Url;

use super::super::problems::Problems;
use super::super::secret::Secret;
use super::super::variables::Variables;
use super::super::{Downloads, Provider, StorageSettings};
use super::is_loopback;
use crate::files::ItemPath;

const URL: &str = "FILES_URL";
const DOWNLOADS: &str = "FILES_DOWNLOADS";
const AZURE_KEY: &str = "AZURE_STORAGE_ACCOUNT_KEY";
const AZURE_SAS: &str = "AZURE_STORAGE_SAS_TOKEN";
const TOKEN_FILE: &str = "AZURE_FEDERATED_TOKEN_FILE";
const FORM: &str = "must be az://ACCOUNT/CONTAINER or s3://BUCKET, with a folder after it if the portal shall have no more than that";

pub(super) fn object_storage(
    variables: &Variables,
    problems: &mut Problems,
) -> Option<StorageSettings> {
    let Some(text) = variables.get(URL) else {
        if variables.get(DOWNLOADS).is_some() {
            problems.add(DOWNLOADS, "means nothing without FILES_URL");
        }
        return None;
    };
    if variables.get("FILES_DIR").is_some() {
        problems.add(
            URL,
            "and FILES_DIR are both set: the files are in one place, so keep one of them",
        );
    }
    let Some((provider, container, prefix)) = place(text) else {
        problems.add(URL, FORM);
        return None;
    };
    let (endpoint, options) = match provider {
        Provider::Azure(_) => (
            endpoint(variables, "AZURE_STORAGE_ENDPOINT", problems),
            azure(variables, problems),
        ),
        Provider::S3 => (
            endpoint(variables, "AWS_ENDPOINT_URL", problems),
            aws(variables, problems),
        ),
    };
    let downloads = downloads(variables, &provider, problems);
    Some(StorageSettings {
        provider,
        container,
        prefix,
        endpoint,
        options,
        downloads,
    })
}

/// Provider, container and prefix. Written by hand, because `Url` folds the host's case and knows ports.
fn place(text: &str) -> Option<(Provider, String, String)> {
    let (scheme, rest) = text.split_once("://")?;
    let mut names = rest.trim_end_matches('/').splitn(3, '/');
    let provider = match scheme {
        "az" => {
            let account = names.next()?;
            let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
            if !(3..=24).contains(&account.len()) || !account.chars().all(fits) {
                return None;
            }
            Provider::Azure(account.to_owned())
        }
        "s3" => Provider::S3,
        _ => return None,
    };
    let container = names.next()?;
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.');
    if !(3..=63).contains(&container.len()) || !container.chars().all(fits) {
        return None;
    }
    // Of a bucket's URL, two pieces are the prefix.
    let prefix: Vec<&str> = names.collect();
    let prefix = prefix.join("/");
    if !prefix.is_empty() && (ItemPath::parse(&prefix).is_none() || prefix.contains(['?', '#'])) {
        return None;
    }
    Some((provider, container.to_owned(), prefix))
}

fn endpoint(variables: &Variables, name: &str, problems: &mut Problems) -> Option<Url> {
    let text = variables.get(name)?;
    let url = Url::parse(text).ok().filter(|url| url.host().is_some());
    let fits = url.filter(|url| {
        let is_safe = url.scheme() == "https" || (url.scheme() == "http" && is_loopback(url));
        let is_plain = url.username().is_empty() && url.password().is_none();
        is_safe && is_plain && url.query().is_none() && url.fragment().is_none()
    });
    if fits.is_none() {
        problems.add(
            name,
            "must be the storage's address, such as https://storage.contoso.com (http:// only for a loopback host)",
        );
    }
    fits
}

/// The first that is there: key, shared access signature, workload identity, managed identity.
fn azure(variables: &Variables, problems: &mut Problems) -> Vec<(&'static str, Secret<String>)> {
    if variables.get(AZURE_KEY).is_some() && variables.get(AZURE_SAS).is_some() {
        problems.add(
            AZURE_KEY,
            "and AZURE_STORAGE_SAS_TOKEN are both set: keep one of them",
        );
    }
    if let Some(key) = variables.get(AZURE_KEY) {
        if object_store::azure::AzureAccessKey::try_new(key).is_err() {
            problems.add(
                AZURE_KEY,
                "is no account key: copy it whole from the storage account's Access keys",
            );
        }
        return vec![("azure_storage_account_key", secret(key))];
    }
    if let Some(token) = variables.get(AZURE_SAS) {
        let token = token.trim_start_matches('?');
        if !token.contains("sig=") || object_store::azure::split_sas(token).is_err() {
            problems.add(
                AZURE_SAS,
                "is no shared access signature: copy the SAS token whole, as sv=…&sig=…",
            );
        }
        return vec![("azure_storage_sas_token", secret(token))];
    }
    let mut options = Vec::new();
    let mut take = |option, name| {
        let value = variables.get(name);
        options.extend(value.map(|value| (option, secret(value))));
    };
    take("azure_msi_endpoint", "IDENTITY_ENDPOINT");
    take("azure_authority_host", "AZURE_AUTHORITY_HOST");
    take("azure_client_id", "AZURE_STORAGE_CLIENT_ID");
    if variables.get(TOKEN_FILE).is_none() {
        return options;
    }
    take("azure_federated_token_file", TOKEN_FILE);
    take("azure_tenant_id", "AZURE_TENANT_ID");
    // The platform names the identity's by the second; where it is the portal's own, the third will do.
    let names = [
        "AZURE_STORAGE_CLIENT_ID",
        "AZURE_CLIENT_ID",
        "APP_REG_CLIENT_ID",
    ];
    let name = names.into_iter().find(|name| variables.get(name).is_some());
    match name {
        Some("AZURE_STORAGE_CLIENT_ID") => {}
        Some(name) => take("azure_client_id", name),
        None => problems.add(
            "AZURE_STORAGE_CLIENT_ID",
            "is missing: the client id of the identity whose tokens AZURE_FEDERATED_TOKEN_FILE holds",
        ),
    }
    // Without it the storage's client would take the machine's identity, and nobody would know why it is refused.
    if variables.get("AZURE_TENANT_ID").is_none() {
        problems.add(
            "AZURE_TENANT_ID",
            "is missing: the tenant of the identity whose tokens AZURE_FEDERATED_TOKEN_FILE holds",
        );
    }
    options
}

/// A key, or what the platform tells the SDKs about its own identity.
fn aws(variables: &Variables, problems: &mut Problems) -> Vec<(&'static str, Secret<String>)> {
    let mut options = Vec::new();
    let mut take = |option, name| {
        let value = variables.get(name);
        options.extend(value.map(|value| (option, secret(value))));
    };
    take("aws_region", "AWS_REGION");
    let (id, key) = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY");
    match (variables.get(id), variables.get(key)) {
        (None, Some(_)) => problems.add(id, "is missing: the id of AWS_SECRET_ACCESS_KEY"),
        (Some(_), None) => problems.add(key, "is missing: the key of AWS_ACCESS_KEY_ID"),
        (Some(_), Some(_)) => {
            take("aws_access_key_id", id);
            take("aws_secret_access_key", key);
            take("aws_session_token", "AWS_SESSION_TOKEN");
        }
        (None, None) => {
            take("aws_web_identity_token_file", "AWS_WEB_IDENTITY_TOKEN_FILE");
            take("aws_role_arn", "AWS_ROLE_ARN");
            take("aws_role_session_name", "AWS_ROLE_SESSION_NAME");
            take(
                "aws_container_credentials_relative_uri",
                "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
            );
            take(
                "aws_container_credentials_full_uri",
                "AWS_CONTAINER_CREDENTIALS_FULL_URI",
            );
            take(
                "aws_container_authorization_token_file",
                "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
            );
        }
    }
    options
}

fn downloads(variables: &Variables, provider: &Provider, problems: &mut Problems) -> Downloads {
    match variables.get(DOWNLOADS) {
        None | Some("stream") => Downloads::Stream,
        Some("redirect") => {
            let has_sas = variables.get(AZURE_KEY).is_none() && variables.get(AZURE_SAS).is_some();
            if *provider != Provider::S3 && has_sas {
                problems.add(
                    DOWNLOADS,
                    "can be redirect with an identity or AZURE_STORAGE_ACCOUNT_KEY, which sign addresses for one file each; with \
                     AZURE_STORAGE_SAS_TOKEN leave it at stream, since that would hand out the token itself",
                );
            }
            Downloads::Redirect
        }
        Some(_) => {
            problems.add(DOWNLOADS, "must be stream or redirect");
            Downloads::Stream
        }
    }
}

fn secret(value: &str) -> Secret<String> {
    Secret::new(value.to_owned())
}
