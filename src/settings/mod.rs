//! The settings, typed once at the start and passed on; `check` finds every problem in one go.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use url::Url;

pub mod certificate;
mod check;
pub mod parse;
pub mod problems;
pub mod secret;
pub mod variables;

pub use certificate::ClientCertificate;
pub use check::origin_of;
pub use parse::Rate;
pub use problems::{Problem, Problems};
pub use secret::Secret;
pub use variables::Variables;

/// The fake user of DEV_MODE.
pub const DEV_USER: &str = "dev.user@example.com";

/// Everything that `portcullis serve` needs.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Who vouches for people: Entra, or a fake in development and tests.
    pub mode: Mode,
    /// Entra; `None` in development and test mode.
    pub entra: Option<EntraSettings>,
    /// Where to listen, and under which origin people see the portal.
    pub web: WebSettings,
    /// Cookies and their age.
    pub session: SessionSettings,
    /// The database.
    pub database: DatabaseSettings,
    /// The protected files.
    pub files: FilesSettings,
    /// `ROLE_CACHE_TTL`: longest time a role may be out of date.
    pub role_cache_ttl: Duration,
    /// What the audit holds, and for how long.
    pub audit: AuditSettings,
    /// `ACCESS_REQUEST_WEBHOOK`: where requests for access are told besides the portal's own page.
    pub webhook: Option<WebhookSettings>,
    /// `METRICS_TOKEN`: who may read `/metrics`; nobody when unset.
    pub metrics_token: Option<Secret<String>>,
}

/// Who vouches for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Microsoft Entra ID.
    Entra,
    /// `DEV_MODE`: everybody is [`DEV_USER`].
    Dev,
    /// `TEST_MODE`: the `X-Test-User` header names the person.
    Test,
}

/// The tenant and our registration in it.
#[derive(Debug, Clone)]
pub struct EntraSettings {
    /// `AZURE_AUTHORITY_HOST` without a trailing slash, e.g. `https://login.microsoftonline.com`.
    pub authority: String,
    /// `AZURE_TENANT_ID`: directory id or verified domain.
    pub tenant: String,
    /// `APP_REG_CLIENT_ID`; `None` keeps `/login` a 503 page.
    pub client_id: Option<String>,
    /// How we prove to be that client.
    pub credentials: Credentials,
    /// Which claim holds the e-mail that the role table is keyed by.
    pub email_claim: EmailClaim,
    /// `ALLOW_GUESTS`: whether guests of the tenant may sign in.
    pub allow_guests: bool,
}

/// What proves that we are the registered application, in the order in which Entra is shown it.
#[derive(Debug, Clone, PartialEq)]
pub struct Credentials {
    /// What is used as long as Entra takes it.
    pub first: Credential,
    /// `APP_REG_CLIENT_SECRET_NEXT` or `APP_REG_CLIENT_CERT_NEXT_PATH`: what is used once Entra refuses the first.
    pub next: Option<Credential>,
}

impl Credentials {
    /// A secret alone, as an embedding program or a test has it.
    pub fn of_secret(secret: &str) -> Self {
        let first = Credential {
            variable: "APP_REG_CLIENT_SECRET",
            expires_at: None,
            file: None,
            proof: Proof::Secret(Secret::new(secret.to_owned())),
        };
        Self { first, next: None }
    }
}

/// One proof, with where it came from.
#[derive(Debug, Clone, PartialEq)]
pub struct Credential {
    /// The setting that holds it.
    pub variable: &'static str,
    /// The end of its life, as far as it is known: seconds since 1970, UTC.
    pub expires_at: Option<i64>,
    /// The file that it was read from and is read from again when that changes.
    pub file: Option<PathBuf>,
    /// What is sent, or what makes what is sent.
    pub proof: Proof,
}

/// How the portal proves its identity at the token endpoint.
#[derive(Debug, Clone, PartialEq)]
pub enum Proof {
    /// `client_secret_post`.
    Secret(Secret<String>),
    /// `private_key_jwt`, RFC 7523.
    Certificate(ClientCertificate, AssertionAlg),
    /// `AZURE_FEDERATED_TOKEN_FILE`: a file with an assertion that somebody else makes and renews
    /// (Entra: "Workload identity federation").
    TokenFile(PathBuf),
    /// `APP_REG_MANAGED_IDENTITY`: an assertion that the platform hands out to whoever runs on it
    /// (Entra: "Configure an application to trust a managed identity").
    ManagedIdentity(ManagedIdentity),
}

/// Whom the platform vouches for, and where it is asked to.
#[derive(Debug, Clone, PartialEq)]
pub struct ManagedIdentity {
    /// Its client id, which is not the app registration's.
    pub client_id: String,
    /// `IDENTITY_ENDPOINT`, which the platform sets.
    pub endpoint: Url,
    /// `IDENTITY_HEADER`, which the platform sets.
    pub header: Secret<String>,
}

/// `APP_REG_ASSERTION_ALG`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AssertionAlg {
    /// PS256 with `x5t#S256`, what Entra documents.
    Ps256,
    /// RS256 with `x5t` (SHA-1), for AD FS and other old servers.
    Rs256,
}

/// `EMAIL_CLAIM`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EmailClaim {
    /// `email`
    Email,
    /// `preferred_username`
    PreferredUsername,
    /// `upn`
    Upn,
}

impl EmailClaim {
    /// The claim's name in the ID token.
    pub fn name(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::PreferredUsername => "preferred_username",
            Self::Upn => "upn",
        }
    }
}

/// Where the portal listens and what it is called from outside.
#[derive(Debug, Clone)]
pub struct WebSettings {
    /// `HOST`.
    pub host: IpAddr,
    /// `PORT`.
    pub port: u16,
    /// `APP_REG_REDIRECT_URI`.
    pub redirect_uri: Url,
    /// Origin of the redirect URI: scheme, host and port, without a trailing slash.
    pub origin: String,
    /// `TRUSTED_PROXIES`.
    pub trusted_proxies: Vec<IpNet>,
    /// `SIGN_IN_RATE`.
    pub sign_in_rate: Rate,
    /// `TLS_CERT_PATH` and `TLS_KEY_PATH`; `None` where something in front ends TLS.
    pub tls: Option<TlsSettings>,
    /// `SHUTDOWN_DELAY`: how long the portal goes on answering after it was told to end, so that whatever balances can
    /// turn to others.
    pub shutdown_delay: Duration,
    /// `SHUTDOWN_GRACE`: how long answers that are on their way may take after that.
    pub shutdown_grace: Duration,
}

/// TLS of the portal's own.
#[derive(Debug, Clone)]
pub struct TlsSettings {
    /// `TLS_CERT_PATH`: the certificate and those that vouch for it, as PEM.
    pub certificate: PathBuf,
    /// `TLS_KEY_PATH`: its private key, as PEM.
    pub key: PathBuf,
}

impl WebSettings {
    /// Whether people reach the portal by https.
    pub fn is_https(&self) -> bool {
        self.redirect_uri.scheme() == "https"
    }
}

/// Cookies and their age.
#[derive(Debug, Clone)]
pub struct SessionSettings {
    /// `API_COOKIE_SECRET`: the first encrypts, all decrypt.
    pub secrets: Vec<Secret<Vec<u8>>>,
    /// `SESSION_TTL`: absolute life.
    pub ttl: Duration,
    /// `SESSION_IDLE`: longest pause.
    pub idle: Option<Duration>,
}

/// What the audit holds, and for how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditSettings {
    /// `AUDIT_RETENTION`: how long rows stay; for ever where there is none.
    pub retention: Option<Duration>,
    /// `AUDIT_ADDRESSES`: whether clients' network addresses are written down.
    pub addresses: bool,
}

/// Where requests for access are told.
#[derive(Debug, Clone)]
pub struct WebhookSettings {
    /// `ACCESS_REQUEST_WEBHOOK`; chat channels put a token into it, so it is a secret.
    pub url: Secret<Url>,
    /// `ACCESS_REQUEST_WEBHOOK_SECRET`: the key of the signature.
    pub key: Secret<Vec<u8>>,
}

/// `DATABASE_URL`.
#[derive(Debug, Clone)]
pub enum DatabaseSettings {
    /// A server, as a connection URL.
    Postgres(Secret<String>),
    /// One file.
    Sqlite {
        /// Where it is.
        path: PathBuf,
        /// Whether it is the default, whose folder is made when absent.
        is_default: bool,
    },
}

/// The protected files.
#[derive(Debug, Clone)]
pub struct FilesSettings {
    /// `FILES_DIR`; means nothing where `storage` is set.
    pub dir: PathBuf,
    /// `FILES_URL`: object storage instead of a folder.
    pub storage: Option<StorageSettings>,
    /// Whether it is the default, which is made when absent.
    pub is_default: bool,
    /// `UPLOAD_LIMIT` in bytes.
    pub upload_limit: u64,
    /// `UPLOAD_KINDS`: endings of the names that may be published, in lower case without the dot; all where there is none.
    pub upload_kinds: Vec<String>,
    /// `RESCAN_INTERVAL`: how often everything is read, for changes that nobody notified.
    pub rescan_interval: Duration,
    /// `SENDFILE_HEADER` and `SENDFILE_PREFIX`: who sends the files, when not the portal.
    pub sendfile: Option<Sendfile>,
}

/// `FILES_URL`: the container or bucket that holds the files, and how to get at it.
#[derive(Debug, Clone)]
pub struct StorageSettings {
    /// Whose protocol it speaks.
    pub provider: Provider,
    /// Name of the container or bucket.
    pub container: String,
    /// What all keys begin with, without a slash at either end; empty for all that the container holds.
    pub prefix: String,
    /// `AZURE_STORAGE_ENDPOINT` or `AWS_ENDPOINT_URL`; the provider's own where there is none.
    pub endpoint: Option<Url>,
    /// What proves who we are, and the region, by the names that `object_store` gives them. The platform's own identity
    /// where nothing is named.
    pub options: Vec<(&'static str, Secret<String>)>,
    /// `FILES_DOWNLOADS`.
    pub downloads: Downloads,
}

/// A protocol of object storage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Provider {
    /// Azure Blob Storage, with the name of the account.
    Azure(String),
    /// Amazon S3, and whoever speaks it.
    S3,
}

/// `FILES_DOWNLOADS`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Downloads {
    /// Through the portal, which sees every byte and can stop at any of them.
    Stream,
    /// From the storage itself, by an address that serves for a short time.
    Redirect,
}

/// The portal decides, and the server in front of it sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sendfile {
    /// The header that tells the front server which file.
    pub header: SendfileHeader,
    /// What stands before the file's path there, with a slash at both ends: an internal location, or the folder.
    pub prefix: String,
}

/// `SENDFILE_HEADER`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SendfileHeader {
    /// nginx; the value is the path of an internal location.
    XAccelRedirect,
    /// Apache with mod_xsendfile, lighttpd, Caddy; the value is the path of the file.
    XSendfile,
}

/// `LOG_FORMAT` and `RUST_LOG`.
#[derive(Debug, Clone)]
pub struct LogSettings {
    /// One JSON object a line instead of text.
    pub json: bool,
    /// Filter in env_logger's syntax.
    pub filter: String,
}
