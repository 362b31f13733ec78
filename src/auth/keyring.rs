//! The cookie keys, derived from `API_COOKIE_SECRET`, and the middleware that lets cookies sealed under an older
//! secret go on working. actix-session knows a single key, so older cookies are sealed anew before it sees them.

use actix_session::SessionExt;
use actix_web::body::MessageBody;
use actix_web::cookie::{Cookie, CookieJar, Key, SameSite, time};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{COOKIE, HeaderMap, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, web};
use aws_lc_rs::hkdf::{HKDF_SHA512, KeyType, Salt};

use crate::app::State;
use crate::settings::Secret;

/// Keys for one kind of cookie, the first for sealing, all for opening.
#[derive(Clone)]
pub struct Keyring(Vec<Key>);

struct Length;

impl KeyType for Length {
    fn len(&self) -> usize {
        64
    }
}

impl Keyring {
    /// Derives the keys for `purpose` (HKDF, RFC 5869), so that a cookie of one kind never opens as another.
    ///
    /// # Errors
    /// A sentence, should the derivation fail or there be no secret.
    pub fn derive(secrets: &[Secret<Vec<u8>>], purpose: &str) -> Result<Self, String> {
        let mut keys = Vec::with_capacity(secrets.len());
        for secret in secrets {
            let mut bytes = [0; 64];
            Salt::new(HKDF_SHA512, b"portcullis")
                .extract(secret.expose())
                .expand(&[purpose.as_bytes()], Length)
                .and_then(|output| output.fill(&mut bytes))
                .map_err(|_| "API_COOKIE_SECRET: the keys could not be derived")?;
            keys.push(Key::try_from(&bytes[..]).map_err(|error| error.to_string())?);
        }
        if keys.is_empty() {
            return Err("API_COOKIE_SECRET is missing".to_owned());
        }
        Ok(Self(keys))
    }

    /// The key that seals.
    pub fn first(&self) -> &Key {
        &self.0[0]
    }

    /// The clear text of the first of the request's cookies named `name` that opens under any key, and which key.
    /// Browsers may send several of one name, from a parent domain for instance; a foreign one must not shadow ours.
    pub fn open(&self, headers: &HeaderMap, name: &str) -> Option<(String, usize)> {
        candidates(headers, name).find_map(|cookie| {
            self.0.iter().enumerate().find_map(|(index, key)| {
                let opened = CookieJar::new().private(key).decrypt(cookie.clone())?;
                Some((opened.value().to_owned(), index))
            })
        })
    }

    /// A cookie of the portal's own with `text` sealed in it, for `life` seconds.
    pub fn cookie(&self, name: &str, text: String, life: i64, secure: bool) -> Cookie<'static> {
        let cookie = Cookie::build(name.to_owned(), text)
            .path("/")
            .http_only(true)
            .secure(secure)
            .same_site(SameSite::Lax)
            .max_age(time::Duration::seconds(life))
            .finish();
        self.seal(cookie)
    }

    /// `cookie` with its value sealed under the first key.
    pub fn seal(&self, cookie: Cookie<'static>) -> Cookie<'static> {
        let name = cookie.name().to_owned();
        let mut jar = CookieJar::new();
        jar.private_mut(self.first()).add(cookie.clone());
        jar.get(&name).cloned().unwrap_or(cookie)
    }
}

/// The request's cookies as they stand. Other sites of the domain may send bytes that are no text; those are passed over
/// one by one, where a stricter reader would lose them all.
fn pairs(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    headers
        .get_all(COOKIE)
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b';'))
        .filter_map(|pair| std::str::from_utf8(pair).ok())
        .map(str::trim)
        .filter(|pair| pair.is_ascii())
}

fn candidates<'a>(
    headers: &'a HeaderMap,
    name: &'a str,
) -> impl Iterator<Item = Cookie<'static>> + 'a {
    pairs(headers)
        .filter(move |pair| is_spelled(pair, name))
        .filter_map(|pair| Cookie::parse_encoded(pair.to_owned()).ok())
}

/// Whether the pair's name stands there letter for letter. Cookie parsers decode `%5F` in names, and browsers do not:
/// a disguised `__Host-` would let another host of the domain set our cookies.
fn is_spelled(pair: &str, name: &str) -> bool {
    pair.split_once('=')
        .is_some_and(|(spelled, _)| spelled.trim_end() == name)
}

fn decodes_to(pair: &str, name: &str) -> bool {
    Cookie::parse_encoded(pair).is_ok_and(|cookie| cookie.name() == name)
}

/// Marks a request whose session cookie has to be handed out again, sealed under the first key.
struct SealedAnew;

/// Middleware outside actix-session: picks the session cookie that opens, and seals it under the first key.
///
/// # Errors
/// Never of its own.
pub async fn choose_cookie(
    mut req: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    if let Some(state) = req.app_data::<web::Data<State>>().cloned() {
        let (keys, name) = (&state.session_keys, state.session_cookie_name());
        if keys.0.len() > 1 || has_to_be_chosen(req.headers(), name) {
            choose(&mut req, keys, name);
        }
    }
    next.call(req).await
}

/// Whether actix-session would take another cookie than ours for ours, or none.
fn has_to_be_chosen(headers: &HeaderMap, name: &str) -> bool {
    if are_plain(headers, name) {
        return false;
    }
    candidates(headers, name).nth(1).is_some()
        || pairs(headers).any(|pair| !is_spelled(pair, name) && decodes_to(pair, name))
        || is_unreadable(headers)
}

/// Whether a look is enough: letters that every parser reads alike, and one cookie of that name at most. That is what
/// browsers send, so nearly every request goes on from here without being parsed twice.
fn are_plain(headers: &HeaderMap, name: &str) -> bool {
    let mut ours = 0;
    headers
        .get_all(COOKIE)
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b';'))
        .all(|pair| {
            let spelled = plain_name(pair);
            ours += usize::from(spelled == Some(name.as_bytes()));
            spelled.is_some() && ours < 2
        })
}

/// The pair's name, when it is a token (RFC 6265 section 4.1.1) without the sign that parsers decode, and its value is
/// ASCII, decoded or not.
fn plain_name(pair: &[u8]) -> Option<&[u8]> {
    let end = pair.iter().position(|byte| *byte == b'=')?;
    let (name, value) = (pair[..end].trim_ascii(), &pair[end + 1..]);
    let is_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$&'*+-.^_`|~".contains(byte);
    let is_ascii = value.iter().all(|byte| matches!(byte, b' '..=b'~'));
    let decodes_to_more = value
        .windows(2)
        .any(|two| two[0] == b'%' && !matches!(two[1], b'0'..=b'7'));
    (!name.is_empty() && name.iter().all(is_token) && is_ascii && !decodes_to_more).then_some(name)
}

/// Leaves one cookie of that name at most, ours.
fn choose(req: &mut ServiceRequest, keys: &Keyring, name: &'static str) {
    let opened = keys.open(req.headers(), name);
    let is_old = opened.as_ref().is_some_and(|(_, index)| *index > 0);
    let ours = opened.map(|(value, _)| {
        let sealed = keys.seal(Cookie::new(name, value));
        sealed.stripped().encoded().to_string()
    });
    let others = pairs(req.headers())
        .filter(|pair| Cookie::parse_encoded(*pair).is_ok() && !decodes_to(pair, name))
        .map(str::to_owned);
    let line: Vec<String> = ours.into_iter().chain(others).collect();
    match HeaderValue::from_str(&line.join("; ")) {
        Ok(line) if !line.is_empty() => {
            req.headers_mut().insert(COOKIE, line);
        }
        _ => {
            req.headers_mut().remove(COOKIE);
        }
    }
    if is_old {
        req.extensions_mut().insert(SealedAnew);
    }
}

/// Whether actix would drop all cookies because of one. (Asking it would make it remember the answer.)
fn is_unreadable(headers: &HeaderMap) -> bool {
    headers.get_all(COOKIE).any(|value| {
        std::str::from_utf8(value.as_bytes()).map_or(true, |line| {
            line.split(';')
                .map(str::trim)
                .any(|pair| !pair.is_empty() && Cookie::parse_encoded(pair).is_err())
        })
    })
}

/// Has actix-session hand the cookie out again when it was sealed under an older secret.
pub fn renew_if_sealed_anew(req: &ServiceRequest) {
    if req.extensions().contains::<SealedAnew>() {
        req.get_session().renew();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[&[u8]]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(COOKIE, HeaderValue::from_bytes(line).unwrap());
        }
        headers
    }

    #[test]
    fn what_is_plain_needs_no_second_look_and_the_rest_gets_one() {
        let plain: [&[&[u8]]; 5] = [
            &[],
            &[b"session=abc%2Bd%3D"],
            &[b"theme=dark; session=abc; other=\"x y\""],
            &[b"theme=dark", b"session=abc"],
            &[b" session = abc"],
        ];
        for lines in plain {
            assert!(are_plain(&headers(lines), "session"), "{lines:?}");
            assert!(!has_to_be_chosen(&headers(lines), "session"), "{lines:?}");
        }
        let other: [&[&[u8]]; 9] = [
            &[b"session=abc; session=def"],
            &[b"session=abc", b"session=def"],
            &[b"%73ession=abc"],
            &[b"a=\xff; session=abc"],
            &[b"a=%ff; session=abc"],
            &[b"a=%C3%A4; session=abc"],
            &[b"nothing; session=abc"],
            &[b"=x; session=abc"],
            &[b"session=abc;"],
        ];
        for lines in other {
            assert!(!are_plain(&headers(lines), "session"), "{lines:?}");
        }
    }
}
