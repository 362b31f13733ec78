//! Entra: reached, of the right tenant, with a clock like ours, knowing our registration, taking our credentials.

use super::Finding;
use super::ends::end_of_life;
use crate::auth::entra::{Entra, NotTaken};
use crate::settings::Credential;

/// Seconds by which clocks may differ without a word, and at all: tokens are given five minutes.
const CLOCK_FINE: i64 = 30;
const CLOCK_WORKS: i64 = 240;

pub async fn examine(entra: &Entra) -> Vec<Finding> {
    let mut findings = discovery(entra).await;
    if findings
        .iter()
        .any(|finding| finding.level == super::Level::Fail)
    {
        findings.push(Finding::fail(
            "credential",
            "not looked at, because Entra cannot be asked",
            "mend what is above first",
        ));
    } else {
        findings.push(registration(entra).await);
        for credential in entra.keychain().all() {
            findings.push(is_taken(entra, &credential).await);
        }
    }
    let credentials = entra.keychain().all();
    let endings = credentials
        .iter()
        .map(|credential| end_of_life(&credential.into()));
    findings.extend(endings);
    findings
}

async fn discovery(entra: &Entra) -> Vec<Finding> {
    const CHECK: &str = "discovery";
    let discovered = match entra.probe_discovery().await {
        Ok(discovered) => discovered,
        Err(cause) => {
            return vec![Finding::fail(
                CHECK,
                cause,
                "compare AZURE_AUTHORITY_HOST and AZURE_TENANT_ID with the app registration's Overview page, and let the portal reach that host by https",
            )];
        }
    };
    vec![
        Finding::ok(
            CHECK,
            format!("{} answers for the tenant", discovered.issuer),
        ),
        clocks(discovered.clock_ahead),
    ]
}

fn clocks(ahead: Option<i64>) -> Finding {
    const CHECK: &str = "clock";
    let Some(ahead) = ahead else {
        return Finding::ok(CHECK, "Entra tells no time to compare with");
    };
    let says = match ahead {
        0.. => format!("this machine's clock is {ahead} s ahead of Entra's"),
        _ => format!("this machine's clock is {} s behind Entra's", -ahead),
    };
    let cure = "set the clock by NTP (`timedatectl set-ntp true`): tokens are refused from five minutes on";
    match ahead.abs() {
        0..=CLOCK_FINE => Finding::ok(CHECK, says),
        ..=CLOCK_WORKS => Finding::warn(CHECK, says, cure),
        _ => Finding::fail(CHECK, says, cure),
    }
}

async fn registration(entra: &Entra) -> Finding {
    const CHECK: &str = "app registration";
    match entra.probe_registration().await {
        Ok(()) => Finding::ok(CHECK, "Entra knows the client id and the redirect URI"),
        Err(cause) => Finding::fail(
            CHECK,
            cause,
            "App registrations > the portal: compare APP_REG_CLIENT_ID with Overview, and APP_REG_REDIRECT_URI with Authentication > Web > Redirect URIs",
        ),
    }
}

async fn is_taken(entra: &Entra, credential: &Credential) -> Finding {
    const CHECK: &str = "credential";
    let variable = credential.variable;
    match entra.probe_credential(credential).await {
        Ok(()) => Finding::ok(CHECK, format!("Entra takes {variable}")),
        Err(NotTaken::Refused(cause)) => Finding::fail(
            CHECK,
            format!("Entra refuses {variable}: {cause}"),
            format!(
                "App registrations > the portal > Certificates & secrets: compare with {variable}"
            ),
        ),
        Err(NotTaken::Unusable(cause)) => Finding::fail(
            CHECK,
            format!("{variable} cannot be shown to Entra: {cause}"),
            format!("correct {variable}"),
        ),
        Err(NotTaken::NotAsked(cause)) => Finding::fail(
            CHECK,
            format!("Entra could not be asked about {variable}: {cause}"),
            "try again in a minute; if it stays so, look at what answers between the portal and AZURE_AUTHORITY_HOST, such as a proxy",
        ),
    }
}
