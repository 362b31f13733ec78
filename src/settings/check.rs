//! Understands the variables, one function per section; every problem is noted, none ends the search.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Duration;

use url::{Host, Url};

use super::certificate::ClientCertificate;
use super::parse;
use super::problems::Problems;
use super::secret::Secret;
use super::variables::Variables;
use super::{
    AssertionAlg, Credential, DatabaseSettings, EmailClaim, EntraSettings, FilesSettings,
    LogSettings, Mode, SessionSettings, Settings, WebSettings,
};

const DEFAULT_DATABASE: &str = "sqlite://data/portcullis.db";
const DEFAULT_FILES: &str = "data/files";

impl Settings {
    /// Reads what `portcullis serve` needs.
    ///
    /// # Errors
    /// All problems at once, each naming its variable.
    pub fn read(variables: &Variables, mut problems: Problems) -> Result<Self, Problems> {
        let p = &mut problems;
        let mode = mode(variables, p);
        let entra = match mode {
            Mode::Entra => entra(variables, p),
            Mode::Dev | Mode::Test => None,
        };
        let web = web(variables, mode, p);
        let session = session(variables, mode, p);
        let database = database(variables, p);
        let files = files(variables, p);
        let role_cache_ttl = duration(variables, "ROLE_CACHE_TTL", 300, 0, 3600, p);
        let metrics_token = variables
            .get("METRICS_TOKEN")
            .map(|token| Secret::new(token.to_owned()));
        let (Some(web), Some(database)) = (web, database) else {
            return Err(problems);
        };
        problems.none_or(Self {
            mode,
            entra,
            web,
            session,
            database,
            files,
            role_cache_ttl,
            metrics_token,
        })
    }
}

impl DatabaseSettings {
    /// Reads only `DATABASE_URL`, for commands that need nothing else.
    ///
    /// # Errors
    /// The problem with that variable.
    pub fn read(variables: &Variables, mut problems: Problems) -> Result<Self, Problems> {
        match database(variables, &mut problems) {
            Some(database) => problems.none_or(database),
            None => Err(problems),
        }
    }
}

impl LogSettings {
    /// Reads the logging variables.
    pub fn read(variables: &Variables, problems: &mut Problems) -> Self {
        let json = match variables.get("LOG_FORMAT") {
            None | Some("text") => false,
            Some("json") => true,
            Some(_) => {
                problems.add("LOG_FORMAT", "must be text or json");
                false
            }
        };
        let filter = variables.get("RUST_LOG").unwrap_or("info").to_owned();
        Self { json, filter }
    }
}

/// Scheme, host and port of a URL, without a trailing slash.
pub fn origin_of(url: &Url) -> String {
    url.origin().ascii_serialization()
}

fn mode(variables: &Variables, problems: &mut Problems) -> Mode {
    let mut wants = |name| {
        variables.get(name).is_some_and(|text| {
            parse::switch(text).unwrap_or_else(|wrong| {
                problems.add(name, wrong);
                false
            })
        })
    };
    let (dev, test) = (wants("DEV_MODE"), wants("TEST_MODE"));
    if test {
        Mode::Test
    } else if dev || (variables.started_by_cargo() && variables.nothing_about_sign_in()) {
        Mode::Dev
    } else {
        Mode::Entra
    }
}

fn entra(variables: &Variables, problems: &mut Problems) -> Option<EntraSettings> {
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

fn web(variables: &Variables, mode: Mode, problems: &mut Problems) -> Option<WebSettings> {
    let host = match variables.get("HOST") {
        None | Some("localhost") => IpAddr::V4(Ipv4Addr::LOCALHOST),
        Some(text) => text.trim_matches(['[', ']']).parse().unwrap_or_else(|_| {
            problems.add(
                "HOST",
                "must be an IP address such as 127.0.0.1, 0.0.0.0 or ::",
            );
            IpAddr::V4(Ipv4Addr::LOCALHOST)
        }),
    };
    let port = match variables.get("PORT").map(str::parse::<u16>) {
        None => 8000,
        Some(Ok(port)) if port > 0 => port,
        Some(_) => {
            problems.add("PORT", "must be a number from 1 to 65535");
            8000
        }
    };
    let trusted_proxies = trusted_proxies(variables, problems);
    let sign_in_rate = parse::rate(variables.get("SIGN_IN_RATE").unwrap_or("600/min"))
        .map_err(|wrong| problems.add("SIGN_IN_RATE", wrong))
        .ok();
    let redirect_uri = redirect_uri(variables, host, port, problems);
    if mode != Mode::Entra {
        refuse_fake_user_in_public(mode, host, redirect_uri.as_ref(), problems);
    }
    let redirect_uri = redirect_uri?;
    Some(WebSettings {
        host,
        port,
        origin: origin_of(&redirect_uri),
        redirect_uri,
        trusted_proxies,
        sign_in_rate: sign_in_rate?,
    })
}

/// The fake user must never be reachable from another machine.
fn refuse_fake_user_in_public(
    mode: Mode,
    host: IpAddr,
    redirect_uri: Option<&Url>,
    problems: &mut Problems,
) {
    let name = if mode == Mode::Dev {
        "DEV_MODE"
    } else {
        "TEST_MODE"
    };
    if !host.is_loopback() {
        problems.add(
            name,
            "gives everybody a fake user, so HOST must be a loopback address; unset one of them",
        );
    }
    if redirect_uri.is_some_and(|uri| uri.scheme() == "https") {
        problems.add(
            name,
            "gives everybody a fake user and is refused beside an https APP_REG_REDIRECT_URI; unset one of them",
        );
    }
}

fn trusted_proxies(variables: &Variables, problems: &mut Problems) -> Vec<ipnet::IpNet> {
    let mut networks = Vec::new();
    for part in variables.get("TRUSTED_PROXIES").unwrap_or("").split(',') {
        let part = part.trim();
        if part.is_empty() {
            continue;
        }
        match (part.parse::<ipnet::IpNet>(), part.parse::<IpAddr>()) {
            (Ok(network), _) => networks.push(network),
            (_, Ok(address)) => networks.push(address.into()),
            _ => problems.add(
                "TRUSTED_PROXIES",
                "must be addresses or networks separated by commas, such as 10.0.0.7, 10.1.0.0/16",
            ),
        }
    }
    networks
}

fn redirect_uri(
    variables: &Variables,
    host: IpAddr,
    port: u16,
    problems: &mut Problems,
) -> Option<Url> {
    const NAME: &str = "APP_REG_REDIRECT_URI";
    let default = format!("http://localhost:{port}/callback");
    let text = match variables.get(NAME) {
        Some(text) => text,
        None if host.is_loopback() => &default,
        None => {
            problems.add(
                NAME,
                "is required when HOST is not loopback: the full callback URL, such as https://files.contoso.com/callback",
            );
            return None;
        }
    };
    let Ok(url) = Url::parse(text) else {
        problems.add(
            NAME,
            "must be a full URL such as https://files.contoso.com/callback",
        );
        return None;
    };
    let sentence = if url.scheme() != "https" && !(url.scheme() == "http" && is_loopback(&url)) {
        "must begin with https:// (http:// only for a loopback host)"
    } else if url.path() != "/callback" {
        "must end in /callback, the path that Entra returns people to"
    } else if url.query().is_some() || url.fragment().is_some() {
        "must not carry a query or a fragment"
    } else if !url.username().is_empty() || url.password().is_some() {
        "must not carry a user name or password"
    } else {
        return Some(url);
    };
    problems.add(NAME, sentence);
    None
}

fn session(variables: &Variables, mode: Mode, problems: &mut Problems) -> SessionSettings {
    const NAME: &str = "API_COOKIE_SECRET";
    let mut secrets = Vec::new();
    match variables.get(NAME) {
        Some(text) => {
            for part in text.split(',') {
                match parse::cookie_secret(part) {
                    Ok(secret) => secrets.push(Secret::new(secret)),
                    Err(wrong) => problems.add(NAME, wrong),
                }
            }
        }
        None if mode == Mode::Entra => problems.add(
            NAME,
            "is missing: it encrypts the session cookies; make one with `openssl rand -hex 32`",
        ),
        None => secrets.push(Secret::new(random_secret(problems))),
    }
    let ttl = duration(variables, "SESSION_TTL", 86_400, 1, 31_536_000, problems);
    let idle = match variables.get("SESSION_IDLE") {
        None | Some("off") => None,
        Some(_) => Some(duration(
            variables,
            "SESSION_IDLE",
            0,
            1,
            31_536_000,
            problems,
        )),
    };
    SessionSettings { secrets, ttl, idle }
}

fn random_secret(problems: &mut Problems) -> Vec<u8> {
    let mut bytes = vec![0; 32];
    if aws_lc_rs::rand::fill(&mut bytes).is_err() {
        problems.add(
            "API_COOKIE_SECRET",
            "cannot be made: the system gives no random bytes",
        );
    }
    bytes
}

fn database(variables: &Variables, problems: &mut Problems) -> Option<DatabaseSettings> {
    const NAME: &str = "DATABASE_URL";
    let url = variables.get(NAME).unwrap_or(DEFAULT_DATABASE);
    if let Some(path) = url.strip_prefix("sqlite://") {
        if path.is_empty() || path.contains(['?', '\0']) || path.starts_with(':') {
            problems.add(NAME, "must name one file after sqlite://, such as sqlite:///var/lib/portcullis/portal.db");
            return None;
        }
        return Some(DatabaseSettings::Sqlite {
            path: PathBuf::from(path),
            is_default: url == DEFAULT_DATABASE,
        });
    }
    if url.starts_with("postgres://") || url.starts_with("postgresql://") {
        if let Err(wrong) = crate::db::PostgresUrl::parse(url) {
            problems.add(NAME, wrong);
            return None;
        }
        return Some(DatabaseSettings::Postgres(Secret::new(url.to_owned())));
    }
    problems.add(NAME, "must begin with postgres:// or sqlite://");
    None
}

fn files(variables: &Variables, problems: &mut Problems) -> FilesSettings {
    let dir = PathBuf::from(variables.get("FILES_DIR").unwrap_or(DEFAULT_FILES));
    let is_default = variables.get("FILES_DIR").is_none();
    if !is_default && !dir.is_dir() {
        problems.add(
            "FILES_DIR",
            format!(
                "names {}, which is not a folder; make it, or mount it, first",
                dir.display()
            ),
        );
    }
    let upload_limit = parse::size(variables.get("UPLOAD_LIMIT").unwrap_or("10GiB"))
        .unwrap_or_else(|wrong| {
            problems.add("UPLOAD_LIMIT", wrong);
            0
        });
    FilesSettings {
        dir,
        is_default,
        upload_limit,
    }
}

fn switch(variables: &Variables, name: &str, problems: &mut Problems) -> bool {
    match variables.get(name).map(parse::switch) {
        None => false,
        Some(Ok(on)) => on,
        Some(Err(wrong)) => {
            problems.add(name, wrong);
            false
        }
    }
}

/// A duration within bounds; all numbers in seconds.
fn duration(
    variables: &Variables,
    name: &str,
    default: u64,
    least: u64,
    most: u64,
    problems: &mut Problems,
) -> Duration {
    let default = Duration::from_secs(default);
    match variables.get(name).map(parse::duration) {
        None => default,
        Some(Ok(value)) if (least..=most).contains(&value.as_secs()) => value,
        Some(Ok(_)) => {
            problems.add(name, format!("must be between {least}s and {most}s"));
            default
        }
        Some(Err(wrong)) => {
            problems.add(name, wrong);
            default
        }
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}
