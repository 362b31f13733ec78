//! The settings: each row of the contract's table, good and bad; all problems at once; nothing secret in a message.

use std::collections::BTreeSet;

use portcullis::settings::{
    AssertionAlg, DatabaseSettings, Downloads, EmailClaim, Mode, Problems, Proof, Provider,
    SendfileHeader, Settings, Variables, variables::KNOWN,
};

const SECRET: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// The least that a portal with Entra needs.
const LEAST: [(&str, &str); 4] = [
    ("AZURE_TENANT_ID", "contoso.example"),
    ("APP_REG_CLIENT_ID", "11111111-0000-4000-8000-000000000000"),
    ("APP_REG_CLIENT_SECRET", "a-client-secret"),
    ("API_COOKIE_SECRET", SECRET),
];

fn read(changes: &[(&'static str, &str)]) -> Result<Settings, Vec<(String, String)>> {
    let mut pairs: Vec<(&str, &str)> = LEAST
        .into_iter()
        .filter(|(name, _)| !changes.iter().any(|(changed, _)| changed == name))
        .collect();
    pairs.extend_from_slice(changes);
    Settings::read(&Variables::from_pairs(pairs), Problems::default()).map_err(|problems| {
        let list = problems
            .iter()
            .map(|p| (p.variable.clone(), p.sentence.clone()));
        list.collect()
    })
}

#[track_caller]
/// Panics unless these are refused with a sentence about that variable that says what to write instead.
fn refused(changes: &[(&'static str, &str)], variable: &str, says: &str) {
    match read(changes) {
        Ok(_) => panic!("{changes:?} was taken"),
        Err(problems) => assert!(
            problems
                .iter()
                .any(|(name, sentence)| name == variable && sentence.contains(says)),
            "{changes:?}: {problems:?} does not say {says:?} of {variable}"
        ),
    }
}

#[test]
fn the_defaults_are_those_of_the_table() {
    let settings = read(&[]).unwrap();
    let entra = settings.entra.unwrap();
    assert_eq!(settings.mode, Mode::Entra);
    assert_eq!(entra.authority, "https://login.microsoftonline.com");
    assert_eq!(entra.email_claim, EmailClaim::Email);
    assert!(!entra.allow_guests);
    assert_eq!(
        settings.web.redirect_uri.as_str(),
        "http://localhost:8000/callback"
    );
    assert_eq!(settings.web.origin, "http://localhost:8000");
    assert_eq!(
        (settings.web.host.to_string().as_str(), settings.web.port),
        ("127.0.0.1", 8000)
    );
    assert_eq!(settings.web.sign_in_rate.events.get(), 600);
    assert_eq!(settings.session.ttl.as_secs(), 24 * 3600);
    assert_eq!(settings.session.idle, None);
    assert_eq!(settings.role_cache_ttl.as_secs(), 300);
    assert_eq!(settings.files.upload_limit, 10 << 30);
    assert!(settings.files.is_default && settings.metrics_token.is_none());
    assert_eq!(settings.audit.retention, None);
    assert!(settings.audit.addresses && settings.webhook.is_none());
    assert!(matches!(
        settings.database,
        DatabaseSettings::Sqlite {
            is_default: true,
            ..
        }
    ));
}

#[test]
fn everything_that_is_missing_is_named_at_once() {
    let problems = Settings::read(&Variables::default(), Problems::default()).unwrap_err();
    let names: Vec<&str> = problems
        .iter()
        .map(|problem| problem.variable.as_str())
        .collect();
    for name in [
        "AZURE_TENANT_ID",
        "APP_REG_CLIENT_ID",
        "APP_REG_CLIENT_SECRET",
        "API_COOKIE_SECRET",
    ] {
        assert!(names.contains(&name), "{name} is not in {names:?}");
    }
    assert!(problems.to_string().contains("DEV_MODE=true"));
}

#[test]
fn a_client_id_alone_may_be_missing() {
    assert_eq!(
        read(&[("APP_REG_CLIENT_ID", "")])
            .unwrap()
            .entra
            .unwrap()
            .client_id,
        None
    );
}

#[test]
fn the_tenant_is_one_and_the_authority_is_an_origin() {
    for tenant in ["common", "Organizations", "consumers", "a/b", "../x", ""] {
        let says = match tenant {
            "" => "the Directory (tenant) ID on",
            "a/b" | "../x" => "must be the directory id",
            _ => "must name one tenant",
        };
        refused(&[("AZURE_TENANT_ID", tenant)], "AZURE_TENANT_ID", says);
    }
    for (host, says) in [
        ("http://login.example", "must begin with https://"),
        (
            "https://user:pw@login.example",
            "must not carry a user name",
        ),
        (
            "https://login.example/tenant",
            "the tenant goes into AZURE_TENANT_ID",
        ),
        ("https://login.example?x=1", "must be an origin alone"),
        ("login.example", "such as https://login.microsoftonline.com"),
        ("ftp://login.example", "must begin with https://"),
    ] {
        refused(
            &[("AZURE_AUTHORITY_HOST", host)],
            "AZURE_AUTHORITY_HOST",
            says,
        );
    }
    for host in [
        "https://login.microsoftonline.us/",
        "http://localhost:9400",
        "http://127.0.0.1:1/",
    ] {
        let entra = read(&[("AZURE_AUTHORITY_HOST", host)])
            .unwrap()
            .entra
            .unwrap();
        assert_eq!(entra.authority, host.trim_end_matches('/'));
    }
}

#[test]
fn aliases_serve_and_the_names_of_ours_win() {
    let entra = |changes: &[(&'static str, &str)]| read(changes).unwrap().entra.unwrap();
    let alias = entra(&[("APP_REG_CLIENT_ID", ""), ("AZURE_CLIENT_ID", "by-alias")]);
    assert_eq!(alias.client_id.as_deref(), Some("by-alias"));
    let both = entra(&[
        ("APP_REG_CLIENT_ID", "ours"),
        ("AZURE_CLIENT_ID", "by-alias"),
    ]);
    assert_eq!(both.client_id.as_deref(), Some("ours"));
    let secret = entra(&[("APP_REG_CLIENT_SECRET", ""), ("AZURE_CLIENT_SECRET", "x")]);
    assert!(matches!(secret.credentials.first.proof, Proof::Secret(_)));
}

#[test]
fn a_redirect_uri_is_a_full_https_callback() {
    const NAME: &str = "APP_REG_REDIRECT_URI";
    for (uri, says) in [
        ("http://portal.example/callback", "must begin with https://"),
        ("https://portal.example/", "must end in /callback"),
        (
            "https://portal.example/callback?x=1",
            "must not carry a query",
        ),
        (
            "https://u:p@portal.example/callback",
            "must not carry a user name",
        ),
        (
            "portal.example/callback",
            "must be a full URL such as https://",
        ),
    ] {
        refused(&[(NAME, uri)], NAME, says);
    }
    refused(
        &[("HOST", "0.0.0.0")],
        NAME,
        "is required when HOST is not loopback",
    );
    let public = [
        ("HOST", "0.0.0.0"),
        ("APP_REG_REDIRECT_URI", "https://portal.example/callback"),
    ];
    assert_eq!(read(&public).unwrap().web.origin, "https://portal.example");
}

#[test]
fn a_cookie_secret_is_hexadecimal_and_may_be_a_list() {
    for secret in [
        "change-me-in-production",
        "abc",
        &SECRET[1..],
        &format!("{SECRET},short"),
    ] {
        let says = "make one with `openssl rand -hex 32`";
        refused(&[("API_COOKIE_SECRET", secret)], "API_COOKIE_SECRET", says);
    }
    let list = format!("{SECRET}, {}", SECRET.replace('0', "f"));
    assert_eq!(
        read(&[("API_COOKIE_SECRET", &list)])
            .unwrap()
            .session
            .secrets
            .len(),
        2
    );
}

#[test]
fn every_other_row_says_what_to_write_instead() {
    for (name, value, says) in [
        (
            "EMAIL_CLAIM",
            "mail",
            "must be email, preferred_username or upn",
        ),
        ("APP_REG_ASSERTION_ALG", "HS256", "must be PS256 or RS256"),
        (
            "DATABASE_URL",
            "mysql://x",
            "must begin with postgres:// or sqlite://",
        ),
        ("DATABASE_URL", "sqlite://", "such as sqlite:///var/lib"),
        ("DATABASE_URL", "sqlite://:memory:", "must name one file"),
        (
            "DATABASE_URL",
            "sqlite://data/files/hidden/portal.db",
            "put it elsewhere",
        ),
        (
            "DATABASE_URL",
            "postgres://u:geheim@h/d?sslmode=perhaps",
            "verify-full",
        ),
        ("FILES_DIR", "/absent/folder", "make it, or mount it, first"),
        (
            "UPLOAD_LIMIT",
            "much",
            "must be a size such as 500MB or 10GiB",
        ),
        ("UPLOAD_KINDS", "pdf;docx", "such as pdf,docx,xlsx"),
        ("UPLOAD_KINDS", " , ", "such as pdf,docx,xlsx"),
        (
            "SENDFILE_HEADER",
            "X-Reproxy-URL",
            "must be X-Accel-Redirect",
        ),
        ("SENDFILE_PREFIX", "/without-a-header/", "set both"),
        ("HOST", "portal.example", "must be an IP address such as"),
        ("PORT", "70000", "must be a number from 1 to 65535"),
        ("PORT", "0", "must be a number from 1 to 65535"),
        (
            "TRUSTED_PROXIES",
            "10.0.0.0/40",
            "such as 10.0.0.7, 10.1.0.0/16",
        ),
        ("SIGN_IN_RATE", "600", "must be a rate such as 10/s"),
        ("SESSION_TTL", "soon", "must be a duration such as"),
        ("SESSION_TTL", "0s", "must be between 1s and"),
        ("SESSION_IDLE", "x", "must be"),
        ("ROLE_CACHE_TTL", "2d", "must be between 0s and 3600s"),
        ("ALLOW_GUESTS", "maybe", "must be true or false"),
        ("AUDIT_RETENTION", "1h", "from 1d to 36500d"),
        ("AUDIT_RETENTION", "for ever", "must be off, or from 1d"),
        ("AUDIT_ADDRESSES", "some", "must be true or false"),
        ("DEV_MODE", "perhaps", "must be true or false"),
        ("TEST_MODE", "2", "must be true or false"),
    ] {
        refused(&[(name, value)], name, says);
    }
}

#[test]
fn the_front_server_is_told_a_location_or_a_folder() {
    let sendfile = |changes: &[(&'static str, &str)]| read(changes).unwrap().files.sendfile;
    assert_eq!(sendfile(&[]), None);
    let nginx = sendfile(&[("SENDFILE_HEADER", "X-Accel-Redirect")]).unwrap();
    assert_eq!(nginx.header, SendfileHeader::XAccelRedirect);
    assert_eq!(nginx.prefix, "/protected-files/");
    // A folder in which this checkout, and with it the default database, does not lie.
    let apache = [("SENDFILE_HEADER", "x-sendfile"), ("FILES_DIR", "/usr")];
    let apache = sendfile(&apache).unwrap();
    assert_eq!(apache.header, SendfileHeader::XSendfile);
    assert_eq!(apache.prefix, "/usr/");
    for (given, prefix) in [("/inside", "/inside/"), ("/a b/c/", "/a b/c/"), ("/", "/")] {
        let changes = [
            ("SENDFILE_HEADER", "X-Accel-Redirect"),
            ("SENDFILE_PREFIX", given),
        ];
        assert_eq!(sendfile(&changes).unwrap().prefix, prefix);
    }
    for wrong in ["inside/", "https://elsewhere/", "/a\nb/"] {
        let changes = [
            ("SENDFILE_HEADER", "X-Sendfile"),
            ("SENDFILE_PREFIX", wrong),
        ];
        refused(&changes, "SENDFILE_PREFIX", "must be a path such as");
    }
}

#[test]
fn a_webhook_is_an_https_address_with_a_key_that_is_long_enough() {
    const URL: &str = "ACCESS_REQUEST_WEBHOOK";
    const KEY: &str = "ACCESS_REQUEST_WEBHOOK_SECRET";
    let key = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
    let url = "https://chat.contoso.example/hook/geheim";
    let settings = read(&[(URL, url), (KEY, key)]).unwrap();
    let webhook = settings.webhook.clone().unwrap();
    assert_eq!(webhook.key.expose(), b"0123456789abcdef0123456789abcdef");
    let shown = format!("{settings:?}");
    assert!(!shown.contains("geheim") && !shown.contains("MDEyMzQ1"));
    assert!(read(&[(URL, "http://127.0.0.1:9/hook"), (KEY, key)]).is_ok());
    refused(&[(URL, url)], KEY, "openssl rand -base64 32");
    refused(&[(KEY, key)], URL, "is required beside");
    for wrong in ["http://chat.contoso.example", "chat"] {
        refused(
            &[(URL, wrong), (KEY, key)],
            URL,
            "must be a full https:// URL",
        );
    }
    for weak in [
        "whsec_YWJj",
        "0123456789abcdef0123456789abcdef",
        "whsec_!!!",
    ] {
        refused(
            &[(URL, url), (KEY, weak)],
            KEY,
            "must be whsec_ and 24 to 64 bytes",
        );
    }
}

#[test]
fn the_fake_users_never_face_the_network() {
    let https = ("APP_REG_REDIRECT_URI", "https://portal.example/callback");
    for mode in ["DEV_MODE", "TEST_MODE"] {
        let public = [(mode, "true"), ("HOST", "0.0.0.0"), https];
        refused(&public, mode, "HOST must be a loopback address");
        refused(&[(mode, "true"), https], mode, "unset one of them");
    }
    let dev = Settings::read(
        &Variables::from_pairs([("DEV_MODE", "1")]),
        Problems::default(),
    )
    .unwrap();
    assert_eq!(dev.mode, Mode::Dev);
    assert_eq!(dev.session.secrets.len(), 1);
    let other = Settings::read(
        &Variables::from_pairs([("DEV_MODE", "1")]),
        Problems::default(),
    )
    .unwrap();
    assert_ne!(
        dev.session.secrets[0].expose(),
        other.session.secrets[0].expose()
    );
    assert_eq!(
        read(&[("DEV_MODE", "false"), ("TEST_MODE", "no")])
            .unwrap()
            .mode,
        Mode::Entra
    );
}

/// A key with its self-signed certificate, both as PEM.
fn certificate() -> (String, String) {
    let key = rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048)
        .unwrap();
    let certificate = rcgen::CertificateParams::default()
        .self_signed(&key)
        .unwrap();
    (key.serialize_pem(), certificate.pem())
}

#[test]
fn a_certificate_is_found_among_others_in_any_order() {
    let (key, own) = certificate();
    let (_, foreign) = certificate();
    for text in [
        format!("{key}{own}"),
        format!("{foreign}{own}{key}"),
        format!("{own}{key}").replace('\n', "\\n"),
    ] {
        let changes = [
            ("APP_REG_CLIENT_SECRET", ""),
            ("APP_REG_CLIENT_CERT", text.as_str()),
        ];
        let entra = read(&changes).unwrap().entra.unwrap();
        let Proof::Certificate(certificate, AssertionAlg::Ps256) = entra.credentials.first.proof
        else {
            panic!("no certificate");
        };
        let thumbprint: String = certificate
            .sha1
            .iter()
            .map(|byte| format!("{byte:02X}:"))
            .collect();
        let thumbprint = thumbprint.trim_end_matches(':');
        let mut with = changes.to_vec();
        with.push(("APP_REG_CLIENT_THUMBPRINT", thumbprint));
        assert!(read(&with).is_ok());
        with[2].1 = "00112233";
        let says = "remove it (it is computed) or correct it";
        refused(&with, "APP_REG_CLIENT_THUMBPRINT", says);
    }
    for (says, text) in [
        ("must hold the certificate beside", key.clone()),
        ("must hold a private key", own.clone()),
        ("no certificate that belongs", format!("{key}{foreign}")),
        ("must", "geheim".to_owned()),
    ] {
        let changes = [
            ("APP_REG_CLIENT_SECRET", ""),
            ("APP_REG_CLIENT_CERT", text.as_str()),
        ];
        refused(&changes, "APP_REG_CLIENT_CERT", says);
    }
    let both = format!("{key}{own}");
    refused(
        &[("APP_REG_CLIENT_CERT", &both)],
        "APP_REG_CLIENT_SECRET",
        "keep one of them",
    );
    refused(
        &[
            ("APP_REG_CLIENT_SECRET", ""),
            ("APP_REG_CLIENT_CERT_PATH", "/absent.pem"),
        ],
        "APP_REG_CLIENT_CERT_PATH",
        "names /absent.pem, which cannot be read",
    );
}

#[test]
fn a_managed_identity_is_one_that_the_platform_gives() {
    const NAME: &str = "APP_REG_MANAGED_IDENTITY";
    const ID: (&str, &str) = (NAME, "44444444-5555-4666-8777-888888888888");
    const NO_SECRET: (&str, &str) = ("APP_REG_CLIENT_SECRET", "");
    const HEADER: (&str, &str) = ("IDENTITY_HEADER", "geheim");
    let endpoint = |url| ("IDENTITY_ENDPOINT", url);
    let good = endpoint("http://localhost:42356/msi/token");
    let settings = read(&[ID, NO_SECRET, HEADER, good]).unwrap();
    assert!(!format!("{settings:?}").contains("geheim"));
    let proof = settings.entra.unwrap().credentials.first.proof;
    assert!(matches!(proof, Proof::ManagedIdentity(_)));
    refused(&[ID, NO_SECRET], NAME, "assign it to the app");
    refused(&[ID, NO_SECRET, good], NAME, "IDENTITY_HEADER are not set");
    refused(
        &[ID, NO_SECRET, HEADER, endpoint("nowhere")],
        NAME,
        "IDENTITY_ENDPOINT",
    );
    refused(
        &[(NAME, "portal"), NO_SECRET, HEADER, good],
        NAME,
        "must be the Client ID",
    );
    refused(
        &[ID, HEADER, good],
        "APP_REG_CLIENT_SECRET",
        "keep one of them",
    );
}

#[test]
fn the_files_lie_in_one_place() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().to_str().unwrap();
    refused(
        &[("FILES_URL", "s3://bucket"), ("FILES_DIR", dir)],
        "FILES_URL",
        "keep one of them",
    );
    for url in [
        "bucket",
        "s3://",
        "s3://x",
        "s3://Bucket",
        "s3://bucket/../up",
        "s3://bucket/a//b",
        "s3://bucket/.hidden",
        "s3://user:pw@bucket",
        "s3://bucket?x=1",
        "az://account",
        "az://Account/container",
        "az://ac/container",
        "az://account/container/a?b",
        "https://account.blob.core.windows.net/container",
        "gs://bucket",
    ] {
        let says = "must be az://ACCOUNT/CONTAINER or s3://BUCKET";
        refused(&[("FILES_URL", url)], "FILES_URL", says);
    }
    let storage = |changes: &[(&'static str, &str)]| read(changes).unwrap().files.storage.unwrap();
    let azure = storage(&[("FILES_URL", "az://account/container/a/b/")]);
    assert_eq!(azure.provider, Provider::Azure("account".to_owned()));
    assert_eq!(
        (azure.container.as_str(), azure.prefix.as_str()),
        ("container", "a/b")
    );
    assert_eq!(azure.downloads, Downloads::Stream);
    let s3 = storage(&[
        ("FILES_URL", "s3://my.bucket-1/a/b/c"),
        ("FILES_DOWNLOADS", "redirect"),
    ]);
    assert_eq!(
        (s3.provider, s3.container.as_str(), s3.prefix.as_str()),
        (Provider::S3, "my.bucket-1", "a/b/c")
    );
    assert_eq!(s3.downloads, Downloads::Redirect);
    assert!(
        !read(&[("FILES_URL", "s3://bucket")])
            .unwrap()
            .files
            .is_default
    );
}

#[test]
fn what_proves_the_portal_to_the_storage_is_whole() {
    const S3: (&str, &str) = ("FILES_URL", "s3://bucket");
    const AZURE: (&str, &str) = ("FILES_URL", "az://account/container");
    for (changes, variable, says) in [
        (
            &[S3, ("AWS_ACCESS_KEY_ID", "id")][..],
            "AWS_SECRET_ACCESS_KEY",
            "the key of AWS_ACCESS_KEY_ID",
        ),
        (
            &[S3, ("AWS_SECRET_ACCESS_KEY", "key")],
            "AWS_ACCESS_KEY_ID",
            "the id of AWS_SECRET_ACCESS_KEY",
        ),
        (
            &[S3, ("AWS_ENDPOINT_URL", "http://storage.example")],
            "AWS_ENDPOINT_URL",
            "must be the storage's address, such as https://",
        ),
        (
            &[S3, ("AWS_ENDPOINT_URL", "https://u:p@storage.example")],
            "AWS_ENDPOINT_URL",
            "must be the storage's address, such as https://",
        ),
        (
            &[S3, ("FILES_DOWNLOADS", "both")],
            "FILES_DOWNLOADS",
            "must be stream or redirect",
        ),
        (
            &[S3, ("SENDFILE_HEADER", "X-Sendfile")],
            "SENDFILE_HEADER",
            "set FILES_DOWNLOADS=redirect instead",
        ),
        (
            &[("FILES_DOWNLOADS", "redirect")],
            "FILES_DOWNLOADS",
            "means nothing without FILES_URL",
        ),
        (
            &[AZURE, ("AZURE_STORAGE_ACCOUNT_KEY", "no base64!")],
            "AZURE_STORAGE_ACCOUNT_KEY",
            "copy it whole",
        ),
        (
            &[
                AZURE,
                ("AZURE_STORAGE_ACCOUNT_KEY", "a2V5"),
                ("AZURE_STORAGE_SAS_TOKEN", "sv=1&sig=x"),
            ],
            "AZURE_STORAGE_ACCOUNT_KEY",
            "keep one of them",
        ),
        (
            &[AZURE, ("AZURE_STORAGE_SAS_TOKEN", "sv=1")],
            "AZURE_STORAGE_SAS_TOKEN",
            "copy the SAS token whole",
        ),
        (
            &[
                AZURE,
                ("AZURE_STORAGE_SAS_TOKEN", "sv=1&sig=x"),
                ("FILES_DOWNLOADS", "redirect"),
            ],
            "FILES_DOWNLOADS",
            "leave it at stream",
        ),
        (
            &[
                AZURE,
                ("AZURE_FEDERATED_TOKEN_FILE", "/token"),
                ("APP_REG_CLIENT_ID", ""),
            ],
            "AZURE_STORAGE_CLIENT_ID",
            "the client id of the identity",
        ),
        (
            &[
                AZURE,
                ("AZURE_FEDERATED_TOKEN_FILE", "/token"),
                ("AZURE_TENANT_ID", ""),
            ],
            "AZURE_TENANT_ID",
            "the tenant of the identity",
        ),
        (
            &[AZURE, ("AZURE_STORAGE_ENDPOINT", "http://blob.example")],
            "AZURE_STORAGE_ENDPOINT",
            "must be the storage's address",
        ),
    ] {
        refused(changes, variable, says);
    }
    for changes in [
        &[S3, ("AWS_ENDPOINT_URL", "http://127.0.0.1:9000")][..],
        &[
            AZURE,
            ("AZURE_STORAGE_KEY", "a2V5"),
            ("FILES_DOWNLOADS", "redirect"),
        ],
        &[AZURE, ("AZURE_STORAGE_SAS_TOKEN", "?sv=2024&sig=abc%3D")],
        &[AZURE],
        &[AZURE, ("FILES_DOWNLOADS", "redirect")],
    ] {
        read(changes).unwrap();
    }
}

#[test]
fn the_identity_of_a_token_file_is_the_one_that_was_named_or_the_portals_own() {
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "token").unwrap();
    let token = token.display().to_string();
    let id = |more: &[(&'static str, &str)]| {
        let mut changes = vec![
            ("FILES_URL", "az://account/container"),
            ("AZURE_FEDERATED_TOKEN_FILE", token.as_str()),
            ("APP_REG_CLIENT_ID", "own"),
            // The token file proves the portal to Entra as well.
            ("APP_REG_CLIENT_SECRET", ""),
        ];
        changes.extend(more);
        let storage = read(&changes).unwrap().files.storage.unwrap();
        let ids = storage.options.into_iter();
        let ids = ids.filter(|(name, _)| *name == "azure_client_id");
        ids.map(|(_, id)| id.expose().clone()).collect::<Vec<_>>()
    };
    assert_eq!(id(&[]), ["own"]);
    assert_eq!(id(&[("AZURE_CLIENT_ID", "platform")]), ["platform"]);
    let named = [
        ("AZURE_CLIENT_ID", "platform"),
        ("AZURE_STORAGE_CLIENT_ID", "named"),
    ];
    assert_eq!(id(&named), ["named"]);
}

#[test]
fn nothing_secret_shows_in_problems_or_debug_output() {
    let (key, own) = certificate();
    let secrets = [
        ("APP_REG_CLIENT_SECRET", "hunter2-secret"),
        ("API_COOKIE_SECRET", "0badc0ffee"),
        ("DATABASE_URL", "postgres://u:hunter2@h:x/d"),
        ("METRICS_TOKEN", "hunter2-token"),
        ("PORT", "x"),
    ];
    let told = format!("{:?}", read(&secrets).unwrap_err());
    assert!(
        !told.contains("hunter2") && !told.contains("c0ffee"),
        "{told}"
    );
    let text = format!("{key}{own}");
    // The secret itself where the name of its file belongs.
    for name in [
        "APP_REG_CLIENT_CERT_PATH",
        "APP_REG_CLIENT_CERT_NEXT_PATH",
        "AZURE_FEDERATED_TOKEN_FILE",
    ] {
        let pasted = [("APP_REG_CLIENT_SECRET", ""), (name, text.as_str())];
        let told = format!("{:?}", read(&pasted).unwrap_err());
        assert!(
            told.contains("path of a file") && !told.contains("PRIVATE KEY"),
            "{told}"
        );
    }
    let good = [
        ("APP_REG_CLIENT_SECRET", ""),
        ("APP_REG_CLIENT_CERT", text.as_str()),
        ("DATABASE_URL", "postgres://u:hunter2@h/d"),
        ("METRICS_TOKEN", "hunter2-token"),
        ("FILES_URL", "s3://bucket"),
        ("AWS_ACCESS_KEY_ID", "id"),
        ("AWS_SECRET_ACCESS_KEY", "hunter2-key"),
    ];
    let debug = format!("{:?}", read(&good).unwrap());
    assert!(
        !debug.contains("hunter2")
            && !debug.contains("PRIVATE KEY")
            && !debug.contains(&SECRET[..16]),
        "{debug}"
    );
}

/// Backticked names in the first column of the README's settings table.
fn in_the_readme() -> BTreeSet<String> {
    let readme = include_str!("../README.md");
    let table = readme.split("| variable | default | meaning |\n").nth(1);
    let rows = table.unwrap().lines().skip(1);
    let rows = rows.take_while(|line| line.starts_with('|'));
    rows.flat_map(|row| {
        let cell = row.split('|').nth(1).unwrap();
        cell.split('`').skip(1).step_by(2).map(str::to_owned)
    })
    .collect()
}

/// Names that `.env.example` sets, or offers behind a `#`.
fn in_the_example() -> BTreeSet<String> {
    let lines = include_str!("../.env.example").lines();
    let names = lines.filter_map(|line| line.trim_start_matches("# ").split_once('='));
    let is_name = |name: &str| {
        let mut letters = name.chars();
        letters.all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
    };
    let names = names.map(|(name, _)| name).filter(|name| is_name(name));
    names.map(str::to_owned).collect()
}

#[test]
fn the_example_file_and_the_readme_name_the_settings_that_there_are_and_no_others() {
    let names: BTreeSet<String> = KNOWN.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(in_the_example(), names);
    let aliases = KNOWN.iter().filter_map(|(_, alias)| *alias);
    let with_aliases = names.iter().cloned().chain(aliases.map(str::to_owned));
    assert_eq!(in_the_readme(), with_aliases.collect());
}
