//! FILES_URL: the storage is reached, with a clock like ours, takes our proof, has the container, and lets us publish.

use super::{Finding, Level};
use crate::files::storage::{Storage, Trouble};
use crate::settings::{Provider, StorageSettings};

const STORAGE: &str = "storage";
const CREDENTIALS: &str = "storage access";
const CONTAINER: &str = "container";
const PUBLISHING: &str = "publishing";

/// Seconds by which clocks may differ without a word, and at all: requests are refused from fifteen minutes on.
const CLOCK_FINE: i64 = 60;
const CLOCK_WORKS: i64 = 600;

pub async fn examine(settings: &StorageSettings) -> Vec<Finding> {
    let storage = match Storage::new(settings) {
        Ok(storage) => storage,
        Err(cause) => {
            return vec![Finding::fail(
                STORAGE,
                cause,
                "correct FILES_URL and the variables beside it",
            )];
        }
    };
    let mut findings = match storage.probe_clock().await {
        Ok(ahead) => vec![reached(&storage), clocks(ahead)],
        Err(trouble) => return vec![unreachable(settings, &storage, &trouble)],
    };
    findings.extend(match storage.probe_list().await {
        Ok(()) => vec![
            Finding::ok(
                CREDENTIALS,
                "the storage takes what the portal proves itself with",
            ),
            Finding::ok(CONTAINER, format!("“{}” is there", settings.container)),
        ],
        Err(trouble) => refused(settings, &trouble),
    });
    let is_well = findings.iter().all(|finding| finding.level < Level::Fail);
    findings.push(match is_well {
        true => publishing(settings, storage.probe_write().await),
        false => Finding::warn(
            PUBLISHING,
            "not looked at, because the storage cannot be used",
            "mend what is above first",
        ),
    });
    findings
}

fn reached(storage: &Storage) -> Finding {
    let endpoint = storage.endpoint();
    let endpoint = endpoint.as_ref().map_or("the storage", |url| url.as_str());
    Finding::ok(STORAGE, format!("{endpoint} answers"))
}

fn unreachable(settings: &StorageSettings, storage: &Storage, trouble: &Trouble) -> Finding {
    let endpoint = storage.endpoint();
    let endpoint = endpoint.as_ref().map_or("the storage", |url| url.as_str());
    let cure = match settings.provider {
        Provider::Azure(_) => {
            "compare the account in FILES_URL with the storage account's Overview page, and let the portal reach it: \
             Networking > Firewalls and virtual networks"
        }
        Provider::S3 => {
            "compare AWS_REGION or AWS_ENDPOINT_URL with the bucket's properties, and let the portal reach that host"
        }
    };
    Finding::fail(
        STORAGE,
        format!("{endpoint} cannot be reached: {}", trouble.cause),
        cure,
    )
}

fn clocks(ahead: Option<i64>) -> Finding {
    const CHECK: &str = "storage clock";
    let Some(ahead) = ahead else {
        return Finding::ok(CHECK, "the storage tells no time to compare with");
    };
    let says = match ahead {
        0.. => format!("this machine's clock is {ahead} s ahead of the storage's"),
        _ => format!("this machine's clock is {} s behind the storage's", -ahead),
    };
    let cure = "set the clock by NTP (`timedatectl set-ntp true`): the storage refuses requests that are fifteen minutes off";
    match ahead.abs() {
        0..=CLOCK_FINE => Finding::ok(CHECK, says),
        ..=CLOCK_WORKS => Finding::warn(CHECK, says, cure),
        _ => Finding::fail(CHECK, says, cure),
    }
}

/// By the storage's own code, because what is to be changed where depends on it.
fn refused(settings: &StorageSettings, trouble: &Trouble) -> Vec<Finding> {
    let code = trouble.code.as_deref().unwrap_or("");
    let azure = matches!(settings.provider, Provider::Azure(_));
    let container = &settings.container;
    let (check, says, cure) = match code {
        "ContainerNotFound" | "NoSuchBucket" => {
            let cure = match azure {
                true => "make it (storage account > Containers), or correct FILES_URL",
                false => "make the bucket, or correct FILES_URL and AWS_REGION",
            };
            let known = Finding::ok(CREDENTIALS, "the storage knows the portal");
            let gone = Finding::fail(CONTAINER, format!("there is no “{container}”"), cure);
            return vec![known, gone];
        }
        "AuthenticationFailed" => (
            CREDENTIALS,
            "the storage does not take the key, the signature or the token",
            "storage account > Access keys (or Shared access signature): compare with AZURE_STORAGE_ACCOUNT_KEY or \
             AZURE_STORAGE_SAS_TOKEN; a shared access signature also ends",
        ),
        "AuthorizationPermissionMismatch" | "InsufficientAccountPermissions" => (
            CREDENTIALS,
            "the storage knows the portal, but does not let it list",
            "storage account > Access Control (IAM): give the identity the role Storage Blob Data Contributor; a shared \
             access signature needs read, write, delete, list",
        ),
        "AuthorizationFailure" | "KeyBasedAuthenticationNotPermitted" => (
            CREDENTIALS,
            "the storage account does not allow this network, or not this proof",
            "storage account > Networking, and Configuration > Allow storage account key access; if both allow it, compare \
             AZURE_STORAGE_ACCOUNT_KEY with Access keys",
        ),
        "InvalidAccessKeyId" | "NotSignedUp" => (
            CREDENTIALS,
            "the storage does not know the access key",
            "IAM > Users > Security credentials: compare with AWS_ACCESS_KEY_ID",
        ),
        "SignatureDoesNotMatch" => (
            CREDENTIALS,
            "the secret key is not the one of this access key",
            "compare AWS_SECRET_ACCESS_KEY with the one that was shown when the key was made, or make another",
        ),
        "ExpiredToken" | "InvalidToken" => (
            CREDENTIALS,
            "the session token has ended",
            "renew AWS_SESSION_TOKEN with its keys, or let the platform give the portal a role",
        ),
        "RequestTimeTooSkewed" => (
            CREDENTIALS,
            "the clocks are too far apart",
            "set this machine's clock by NTP (`timedatectl set-ntp true`)",
        ),
        "AuthorizationHeaderMalformed" | "PermanentRedirect" => (
            CREDENTIALS,
            "the bucket is in another region",
            "set AWS_REGION to the one that the bucket's properties name",
        ),
        "AccessDenied" => (
            CREDENTIALS,
            "the storage knows the portal, but does not let it list",
            "give it s3:ListBucket on the bucket, and s3:GetObject, s3:PutObject, s3:DeleteObject and \
             s3:AbortMultipartUpload on its objects",
        ),
        _ => {
            let cure = match azure {
                true => {
                    "give the portal a key, a shared access signature, or an identity with a role on the account"
                }
                false => "give the portal a key, or an identity with a role on the bucket",
            };
            let says = format!("the storage cannot be used: {}", trouble.cause);
            return vec![Finding::fail(CREDENTIALS, says, cure)];
        }
    };
    vec![Finding::fail(check, format!("{says} ({code})"), cure)]
}

fn publishing(settings: &StorageSettings, probed: Result<bool, Trouble>) -> Finding {
    let cure = match settings.provider {
        Provider::Azure(_) => {
            "storage account > Access Control (IAM): Storage Blob Data Contributor instead of Reader (a shared access \
             signature needs write and delete); downloads work without"
        }
        Provider::S3 => {
            "give the portal s3:PutObject, s3:DeleteObject and s3:AbortMultipartUpload on the objects; downloads work without"
        }
    };
    match probed {
        Ok(true) => Finding::ok(
            PUBLISHING,
            "objects can be written and removed, and none is overwritten unasked",
        ),
        Ok(false) => Finding::warn(
            PUBLISHING,
            "this storage takes no notice of If-None-Match, so of two people who publish one new name at the same moment \
             one is overwritten",
            "use a server that knows conditional writes if that matters",
        ),
        Err(trouble) => {
            let code = trouble.code.unwrap_or(trouble.cause);
            Finding::fail(PUBLISHING, format!("nothing can be written: {code}"), cure)
        }
    }
}
