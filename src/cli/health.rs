//! `portcullis health`: asks the portal on this machine whether it is ready, for containers without curl.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use crate::settings::WebSettings;

/// Exit code 0 when the portal is ready.
pub async fn run(settings: &WebSettings) -> Result<(), String> {
    let address = SocketAddr::new(settings.host, settings.port);
    ask(
        settings,
        address,
        "/health/ready",
        super::lifecycle::PATIENCE,
    )
    .await
}

/// Asks one of the portal's own health pages over the network, as everybody else has to. `address` may be one that is
/// listened on: where that is every address, this machine's own is asked.
///
/// # Errors
/// What came instead of 200.
pub async fn ask(
    settings: &WebSettings,
    address: SocketAddr,
    path: &str,
    patience: Duration,
) -> Result<(), String> {
    let host = match address.ip() {
        IpAddr::V4(host) if host.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(host) if host.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        host => host,
    };
    let scheme = if settings.tls.is_some() {
        "https"
    } else {
        "http"
    };
    let address = SocketAddr::new(host, address.port());
    let client = reqwest::Client::builder()
        .timeout(patience)
        .no_proxy()
        // The certificate names the host that people see, and this asks by the address.
        .danger_accept_invalid_certs(settings.tls.is_some())
        .build()
        .map_err(|error| error.to_string())?;
    let answer = client
        .get(format!("{scheme}://{address}{path}"))
        .send()
        .await
        .map_err(|error| error.without_url().to_string())?;
    match answer.status() {
        status if status == 200 => Ok(()),
        status => Err(format!("{path} answers {status}")),
    }
}
