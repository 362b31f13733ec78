//! The assertion of a managed identity, which Azure hands out on the machine that runs under it (Azure Container Apps:
//! "Managed identities"; Entra: "Configure an application to trust a managed identity").

use serde::Deserialize;

use super::http::Http;
use crate::settings::ManagedIdentity;

const API_VERSION: &str = "2019-08-01";
/// Longest complaint of the platform's that goes into the log.
const LONGEST: usize = 300;

#[derive(Deserialize)]
struct Answer {
    access_token: String,
}

#[derive(Deserialize)]
struct Complaint {
    #[serde(default)]
    message: String,
}

/// A fresh one for the authority. The platform keeps it as long as it is good.
///
/// # Errors
/// What is wrong, for the operator.
pub async fn assertion(
    http: &Http,
    identity: &ManagedIdentity,
    authority: &str,
) -> Result<String, String> {
    let mut url = identity.endpoint.clone();
    url.query_pairs_mut()
        .append_pair("api-version", API_VERSION)
        .append_pair("resource", audience(authority))
        .append_pair("client_id", &identity.client_id);
    let header = ("X-IDENTITY-HEADER", identity.header.expose().as_str());
    let answer = http
        .ask_platform(url, header)
        .await
        .map_err(|cause| format!("the platform cannot be asked for a token: {cause}"))?;
    if answer.status() != 200 {
        let complaint: Option<Complaint> = serde_json::from_slice(answer.body()).ok();
        let complaint = complaint.map_or_else(String::new, |complaint| complaint.message);
        return Err(format!(
            "the platform gives no token for APP_REG_MANAGED_IDENTITY ({}): {}",
            answer.status(),
            line(&complaint)
        ));
    }
    let answer: Answer = serde_json::from_slice(answer.body())
        .map_err(|_| "the platform's answer holds no token".to_owned())?;
    Ok(answer.access_token)
}

/// Whom the token is for, which differs by cloud.
fn audience(authority: &str) -> &'static str {
    match authority {
        "https://login.microsoftonline.us" => "api://AzureADTokenExchangeUSGov",
        "https://login.chinacloudapi.cn" | "https://login.partner.microsoftonline.cn" => {
            "api://AzureADTokenExchangeChina"
        }
        _ => "api://AzureADTokenExchange",
    }
}

fn line(text: &str) -> String {
    let text = text.chars().take(LONGEST);
    text.map(|c| if c.is_control() { ' ' } else { c }).collect()
}
