//! Entra: reached, of the right tenant, with a clock like ours, knowing our registration, taking our credentials.

use super::Finding;
use crate::auth::entra::Entra;
use crate::settings::Credential;
use crate::{clock, radar};

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
    findings.extend(entra.keychain().all().iter().map(end_of_life));
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
        Err(cause) => Finding::fail(
            CHECK,
            format!("Entra refuses {variable}: {cause}"),
            format!(
                "App registrations > the portal > Certificates & secrets: compare with {variable}"
            ),
        ),
    }
}

fn end_of_life(credential: &Credential) -> Finding {
    const CHECK: &str = "end of life";
    let variable = credential.variable;
    let now = clock::now();
    if let Some(notice) = radar::notices(std::slice::from_ref(credential), now).pop() {
        let (says, cure) = notice
            .sentence
            .split_once(": ")
            .unwrap_or((&notice.sentence, ""));
        return match notice.is_late {
            true => Finding::fail(CHECK, says, cure),
            false => Finding::warn(CHECK, says, cure),
        };
    }
    match radar::days_left(credential, now) {
        Some(days) => Finding::ok(CHECK, format!("{variable} is good for {days} days")),
        None if variable == "APP_REG_CLIENT_SECRET" => Finding::warn(
            CHECK,
            "nobody knows when the client secret expires",
            "set APP_REG_CLIENT_SECRET_EXPIRES_ON to the day that Certificates & secrets shows, and you are warned in time",
        ),
        None => Finding::ok(CHECK, format!("{variable} names no end")),
    }
}
