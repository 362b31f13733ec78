//! With `SENDFILE_HEADER` the portal decides and the server in front of it sends: the answer has no content, but a header
//! that names the file.

use std::net::IpAddr;

use actix_web::HttpRequest;
use actix_web::http::header::{HeaderName, IF_MATCH, IF_UNMODIFIED_SINCE};
use ipnet::IpNet;

use super::{ItemPath, path};
use crate::settings::{Sendfile, SendfileHeader};

impl Sendfile {
    /// Whether the front server shall send the answer to this request.
    ///
    /// It is told only over connections of its own, from this machine or from one of `TRUSTED_PROXIES`; whoever asks
    /// the portal directly would get a header instead of the file. And it makes its own entity tags, which fail the
    /// conditions that the portal has found fulfilled, so the rare requests with such conditions stay here.
    pub fn is_for(&self, req: &HttpRequest, trusted: &[IpNet]) -> bool {
        let comes_from_front = req.peer_addr().is_some_and(|peer| {
            let address = peer.ip().to_canonical();
            address.is_loopback() || trusted.iter().any(|net| net.contains::<&IpAddr>(&address))
        });
        let headers = req.headers();
        comes_from_front
            && !headers.contains_key(IF_MATCH)
            && !headers.contains_key(IF_UNMODIFIED_SINCE)
    }

    /// The header for the file whose path, without links, is `resolved`. All these servers decode the value.
    pub fn header(&self, resolved: &ItemPath) -> (HeaderName, String) {
        let name = match self.header {
            SendfileHeader::XAccelRedirect => "x-accel-redirect",
            SendfileHeader::XSendfile => "x-sendfile",
        };
        let prefix: Vec<String> = self.prefix.split('/').map(path::encode).collect();
        let value = format!("{}{}", prefix.join("/"), resolved.encoded());
        (HeaderName::from_static(name), value)
    }

    /// Who sends, for the audit.
    pub fn sender(&self) -> &'static str {
        match self.header {
            SendfileHeader::XAccelRedirect => "nginx (X-Accel-Redirect)",
            SendfileHeader::XSendfile => "front server (X-Sendfile)",
        }
    }
}
