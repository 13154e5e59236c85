//! How the application shows who it is (S0-17, S0-17b).

use actix_web::{
    HttpRequest,
    http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue},
};
use percent_encoding::percent_decode_str;

use super::post::KeySent;

const KEY_HEADER: HeaderName = HeaderName::from_static("x-rh-exports-psk");

/// What the application should show.
#[derive(Clone)]
pub(crate) enum Credential {
    /// This key.
    Key(String),
    /// A token; whether its issuer would know it is not checked.
    Bearer,
}

/// Keys are not shown.
impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Key(_) => "Key(***)",
            Self::Bearer => "Bearer",
        })
    }
}

impl Credential {
    /// Whether the headers show it as they should.
    pub(crate) fn sent(&self, headers: &HeaderMap) -> KeySent {
        match self {
            Self::Bearer => match single(headers, &AUTHORIZATION) {
                Ok(value) if token(value).is_some() => KeySent::Right,
                Ok(_) => KeySent::Wrong,
                Err(wrong) => wrong,
            },
            // The platform goes by a token alone, where there is one.
            Self::Key(_) if headers.get_all(AUTHORIZATION).any(|value| token(value).is_some()) => {
                KeySent::BesideToken
            }
            Self::Key(key) => match single(headers, &KEY_HEADER) {
                Ok(value) if value.as_bytes() == key.as_bytes() => KeySent::Right,
                Ok(_) => KeySent::Wrong,
                Err(wrong) => wrong,
            },
        }
    }

    /// Whether the URL of `req` shows it.
    pub(crate) fn is_in_url(&self, req: &HttpRequest) -> bool {
        let uri = req.uri().to_string();
        let named = |secret: &str| {
            uri.contains(secret) || percent_decode_str(&uri).decode_utf8_lossy().contains(secret)
        };
        match self {
            Self::Key(key) => named(key),
            Self::Bearer => req.headers().get_all(AUTHORIZATION).filter_map(token).any(named),
        }
    }

    /// `text` without the key.
    pub(crate) fn hide(&self, text: &str) -> String {
        match self {
            Self::Key(key) => text.replace(key, "***"),
            Self::Bearer => text.to_owned(),
        }
    }
}

fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<&'a HeaderValue, KeySent> {
    let mut values = headers.get_all(name);
    match (values.next(), values.next()) {
        (None, _) => Err(KeySent::Missing),
        (Some(value), None) => Ok(value),
        (Some(_), Some(_)) => Err(KeySent::Repeated),
    }
}

/// The token of an `Authorization: Bearer`. The name of the scheme has no case.
fn token(value: &HeaderValue) -> Option<&str> {
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty() && !token.contains(' ')).then_some(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(credential: &Credential, headers: &[(&'static str, &'static str)]) -> KeySent {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        credential.sent(&map)
    }

    #[test]
    fn s0_17_a_key_is_sent_once_and_alone() {
        let credential = Credential::Key("k".to_owned());
        let (right, wrong) = (("x-rh-exports-psk", "k"), ("x-rh-exports-psk", "Bearer k"));
        assert_eq!(sent(&credential, &[right]), KeySent::Right);
        assert_eq!(sent(&credential, &[]), KeySent::Missing);
        assert_eq!(sent(&credential, &[right, right]), KeySent::Repeated);
        assert_eq!(sent(&credential, &[wrong]), KeySent::Wrong);
        assert_eq!(sent(&credential, &[right, ("authorization", "Bearer t")]), KeySent::BesideToken);
    }

    #[test]
    fn s0_17b_a_token_is_sent_once() {
        for (headers, expected) in [
            (&[("authorization", "bearer t.t.t")][..], KeySent::Right),
            (&[("x-rh-exports-psk", "k")], KeySent::Missing),
            (&[("authorization", "Basic eA==")], KeySent::Wrong),
            (&[("authorization", "Bearer ")], KeySent::Wrong),
            (&[("authorization", "Bearer a"), ("authorization", "Bearer a")], KeySent::Repeated),
        ] {
            assert_eq!(sent(&Credential::Bearer, headers), expected, "{headers:?}");
        }
    }
}
