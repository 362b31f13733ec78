//! Azure's addresses that are bound to a name (SAS), signed with the account key or with the one of an identity.

use aws_lc_rs::hmac;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use object_store::path::Path;
use url::Url;

use super::Storage;
use super::azure::{CLOCKS, seconds};
use super::delegation::Key;
use super::sign::{CACHE, SERVES};
use crate::clock;
use crate::error::AppResult;

/// The version of Azure's signatures that is written here.
const AZURE_VERSION: &str = "2023-11-03";

impl Storage {
    /// A SAS for one blob, signed with the account key, or for an identity with the key that Azure handed out to it.
    pub(super) async fn azure_address(
        &self,
        account: &str,
        key: &Path,
        disposition: &str,
        content_type: &str,
    ) -> AppResult<Url> {
        let url = self.azure_url(account, key)?;
        let sas = Sas {
            resource: format!("/blob/{account}/{}/{key}", self.settings.container),
            now: clock::now() / clock::SECOND,
            disposition,
            content_type,
        };
        match self.azure_key() {
            Some(secret) => Ok(sas.sign(url, &hmac::Key::new(hmac::HMAC_SHA256, &secret))),
            None => sas.sign_delegated(url, &self.delegation_key(account).await?),
        }
    }
}

/// What a SAS is for: reading one blob, from some minutes ago for the next minute, under this name and type.
struct Sas<'a> {
    resource: String,
    /// Seconds since 1970 UTC.
    now: i64,
    disposition: &'a str,
    content_type: &'a str,
}

impl Sas<'_> {
    /// From when and until when it serves.
    fn times(&self) -> [String; 2] {
        let until = self.now + SERVES.as_secs().cast_signed();
        [seconds(self.now - CLOCKS), seconds(until)]
    }

    /// The blob's address with a service SAS (Azure: "Create a service SAS", version 2020-12-06 and later).
    fn sign(&self, url: Url, key: &hmac::Key) -> Url {
        // No stored access policy.
        let text = self.text(&url, &[""]);
        self.address(url, &[], &signature(key, &text))
    }

    /// The same for an identity (Azure: "Create a user delegation SAS", version 2020-12-06 and later).
    fn sign_delegated(&self, url: Url, key: &Key) -> AppResult<Url> {
        let whose = [
            ("skoid", key.signed_oid.as_str()),
            ("sktid", &key.signed_tid),
            ("skt", &key.signed_start),
            ("ske", &key.signed_expiry),
            ("sks", &key.signed_service),
            ("skv", &key.signed_version),
        ];
        // No accounts that the address is for or against, and no correlation id.
        let account: Vec<&str> = whose
            .iter()
            .map(|(_, value)| *value)
            .chain([""; 3])
            .collect();
        let text = self.text(&url, &account);
        Ok(self.address(url, &whose, &signature(&key.secret()?, &text)))
    }

    /// What is signed; `account` are the lines in the middle, by which the two kinds differ.
    fn text(&self, url: &Url, account: &[&str]) -> String {
        let [from, until] = self.times();
        let place = ["r", &from, &until, &self.resource];
        let answer = [CACHE, self.disposition, "", "", self.content_type];
        let rest = ["", protocol(url), AZURE_VERSION, "b", "", ""];
        [&place[..], account, &rest, &answer].concat().join("\n")
    }

    fn address(&self, mut url: Url, whose: &[(&str, &str)], signature: &str) -> Url {
        let [from, until] = self.times();
        let protocol = protocol(&url);
        let pairs = [
            ("sv", AZURE_VERSION),
            ("sp", "r"),
            ("st", &from),
            ("se", &until),
            ("spr", protocol),
            ("sr", "b"),
            ("rscc", CACHE),
            ("rscd", self.disposition),
            ("rsct", self.content_type),
        ];
        let said = pairs.iter().chain(whose);
        let said = said.filter(|(_, value)| !value.is_empty());
        url.query_pairs_mut()
            .extend_pairs(said)
            .append_pair("sig", signature);
        url
    }
}

/// An address is worth a file to whoever reads it on its way, so where the storage has TLS it serves for nothing else.
fn protocol(url: &Url) -> &'static str {
    match url.scheme() {
        "https" => "https",
        _ => "",
    }
}

fn signature(key: &hmac::Key, text: &str) -> String {
    let signature = hmac::sign(key, text.as_bytes());
    BASE64_STANDARD.encode(signature.as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sas() -> Sas<'static> {
        Sas {
            resource: "/blob/acc/files/a/b.txt".to_owned(),
            now: 1_795_000_000,
            disposition: "attachment; filename=\"b.txt\"",
            content_type: "text/plain; charset=utf-8",
        }
    }

    /// The query of an address, and the signature apart.
    fn parts(url: &Url) -> (Vec<(String, String)>, String) {
        let mut pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
        let (_, signature) = pairs.pop().unwrap();
        (pairs, signature)
    }

    fn signed(url: &str) -> (Vec<(String, String)>, String) {
        let key = hmac::Key::new(hmac::HMAC_SHA256, b"secret");
        parts(&sas().sign(url.parse().unwrap(), &key))
    }

    #[test]
    fn an_address_with_tls_serves_for_nothing_else() {
        let (pairs, signature) = signed("https://acc.blob.core.windows.net/files/a/b.txt");
        assert!(
            pairs.contains(&("spr".to_owned(), "https".to_owned())),
            "{pairs:?}"
        );
        // printf of the sixteen lines | openssl dgst -sha256 -hmac secret -binary | base64
        assert_eq!(signature, "0YXwtTLpZFUQUo1A/Tv2uKrU0MaX6pKneqdAEqe5jwI=");
        let (pairs, signature) = signed("http://127.0.0.1:10000/acc/files/a/b.txt");
        assert!(pairs.iter().all(|(name, _)| name != "spr"), "{pairs:?}");
        assert_eq!(signature, "KHU5Q/V2aE2e0eTSZ2ONnEI+RuAsMtOm6LwgbVZGfXQ=");
    }

    #[test]
    fn an_address_of_an_identity_is_signed_with_the_key_that_azure_handed_out() {
        let key: Key = quick_xml::de::from_str(
            "<UserDelegationKey><SignedOid>oid</SignedOid><SignedTid>tid</SignedTid>\
             <SignedStart>2026-11-18T11:00:00Z</SignedStart><SignedExpiry>2026-11-18T13:00:00Z</SignedExpiry>\
             <SignedService>b</SignedService><SignedVersion>2023-11-03</SignedVersion><Value>c2VjcmV0</Value>\
             </UserDelegationKey>",
        )
        .unwrap();
        let url = "https://acc.blob.core.windows.net/files/a/b.txt";
        let url = sas().sign_delegated(url.parse().unwrap(), &key).unwrap();
        let (pairs, signature) = parts(&url);
        for (name, value) in [("skoid", "oid"), ("sktid", "tid"), ("sks", "b")] {
            assert!(pairs.contains(&(name.to_owned(), value.to_owned())));
        }
        // Twenty-four lines, written out apart from this code in the order above, and openssl as above.
        assert_eq!(signature, "6GkX67C8OqQaVO12PKc9luhs5WeujsG8gacakTq7e0A=");
    }
}
