//! The client's network address. Forwarding headers are believed only from `TRUSTED_PROXIES`.

use std::net::{IpAddr, Ipv6Addr};

use actix_web::http::header::HeaderMap;
use ipnet::IpNet;

/// The address to write down and to count by: the peer's, or, when the peer is a trusted proxy,
/// the rightmost `X-Forwarded-For` entry that no trusted proxy could have written about itself.
pub fn address(peer: Option<IpAddr>, headers: &HeaderMap, trusted: &[IpNet]) -> Option<IpAddr> {
    let is_trusted = |address: &IpAddr| trusted.iter().any(|network| network.contains(address));
    let mut address = peer?.to_canonical();
    if !is_trusted(&address) {
        return Some(address);
    }
    let entries: Vec<&str> = headers
        .get_all("x-forwarded-for")
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .collect();
    for entry in entries.iter().rev() {
        let Some(forwarded) = parse(entry) else {
            return Some(address);
        };
        address = forwarded;
        if !is_trusted(&address) {
            break;
        }
    }
    Some(address)
}

/// The address that limits count by: of IPv6 the first 64 bits, since whoever has one address there has all of them.
pub fn household(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => {
            let network = u128::from(address) & !u128::from(u64::MAX);
            IpAddr::V6(Ipv6Addr::from(network))
        }
    }
}

/// An address, with or without a port.
fn parse(entry: &str) -> Option<IpAddr> {
    let entry = entry.trim();
    let address = entry
        .parse::<IpAddr>()
        .or_else(|_| {
            entry
                .parse::<std::net::SocketAddr>()
                .map(|socket| socket.ip())
        })
        .or_else(|_| entry.trim_matches(['[', ']']).parse());
    address.ok().map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};

    use super::*;

    fn seen(peer: &str, forwarded: &[&str], trusted: &str) -> String {
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append(
                HeaderName::from_static("x-forwarded-for"),
                HeaderValue::from_str(value).unwrap(),
            );
        }
        let trusted: Vec<IpNet> = trusted.split(' ').filter_map(|n| n.parse().ok()).collect();
        address(peer.parse().ok(), &headers, &trusted)
            .map(|address| address.to_string())
            .unwrap_or_default()
    }

    #[test]
    fn limits_count_a_whole_network_of_ipv6_as_one() {
        let of = |text: &str| household(text.parse().unwrap()).to_string();
        assert_eq!(of("203.0.113.9"), "203.0.113.9");
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff::1"));
        assert_ne!(of("2001:db8:1:3::1"), of("2001:db8:1:2::1"));
    }

    #[test]
    fn only_trusted_proxies_are_believed() {
        assert_eq!(seen("203.0.113.9", &["1.2.3.4"], ""), "203.0.113.9");
        assert_eq!(seen("10.0.0.1", &["1.2.3.4"], "10.0.0.0/8"), "1.2.3.4");
        let chain = ["6.6.6.6, 198.51.100.7", "10.0.0.2"];
        assert_eq!(seen("10.0.0.1", &chain, "10.0.0.0/8"), "198.51.100.7");
        assert_eq!(
            seen("10.0.0.1", &["junk, 10.0.0.3"], "10.0.0.0/8"),
            "10.0.0.3"
        );
        assert_eq!(seen("10.0.0.1", &["1.2.3.4:5678"], "10.0.0.0/8"), "1.2.3.4");
        assert_eq!(
            seen("::ffff:10.0.0.1", &["[2001:db8::1]"], "10.0.0.0/8"),
            "2001:db8::1"
        );
        assert_eq!(seen("10.0.0.1", &[], "10.0.0.0/8"), "10.0.0.1");
    }
}
