//! Where to fetch from.

use std::fmt;

use reqwest::Url;

/// A URL that may be fetched, as far as can be told by looking at it. Its query may hold a signature, with which
/// anybody can fetch: it shows the host only.
#[derive(Clone, PartialEq, Eq)]
pub struct Target(Url);

/// Why a text is no [`Target`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTarget {
    /// It is no URL.
    #[error("the URL cannot be parsed")]
    NotAUrl,
    /// Another scheme than `https`, or than `http` where that is allowed.
    #[error("the URL's scheme is not allowed")]
    Scheme,
    /// It has no host.
    #[error("the URL has no host")]
    NoHost,
    /// It carries a user or a password.
    #[error("the URL carries a user")]
    User,
}

impl Target {
    pub(crate) fn parse(text: &str, allow_http: bool) -> Result<Self, InvalidTarget> {
        let url = Url::parse(text).map_err(|_| InvalidTarget::NotAUrl)?;
        match url.scheme() {
            "https" => {}
            "http" if allow_http => {}
            _ => return Err(InvalidTarget::Scheme),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(InvalidTarget::User);
        }
        if url.host_str().is_none_or(str::is_empty) {
            return Err(InvalidTarget::NoHost);
        }
        Ok(Self(url))
    }

    /// The host: a name in lower case, or an address.
    pub fn host(&self) -> &str {
        self.0.host_str().unwrap_or_default()
    }

    pub(crate) fn url(&self) -> &Url {
        &self.0
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Target").field(&self.host()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_presigned_url_is_taken_and_shows_its_host_only() {
        let text = "https://Bucket.s3.amazonaws.com/part?X-Amz-Credential=a%2Fb&X-Amz-Signature=secret";
        let target = Target::parse(text, false).unwrap();
        assert_eq!(target.host(), "bucket.s3.amazonaws.com");
        assert_eq!(format!("{target:?}"), r#"Target("bucket.s3.amazonaws.com")"#);
    }

    #[test]
    fn what_cannot_or_must_not_be_fetched_is_refused() {
        for (text, reason) in [
            ("", InvalidTarget::NotAUrl),
            ("first-part", InvalidTarget::NotAUrl),
            ("https://", InvalidTarget::NotAUrl),
            ("http://host/", InvalidTarget::Scheme),
            ("file:///etc/passwd", InvalidTarget::Scheme),
            ("ftp://host/", InvalidTarget::Scheme),
            ("https://user@host/", InvalidTarget::User),
            ("https://user:password@host/", InvalidTarget::User),
        ] {
            assert_eq!(Target::parse(text, false).unwrap_err(), reason, "{text}");
        }
        assert!(Target::parse("http://host/", true).is_ok());
    }

    #[test]
    fn what_looks_like_another_host_is_known_by_the_one_that_is_connected_to() {
        for (url, host) in [
            ("https://evil.example/#@good.example", "evil.example"),
            ("https://evil.example/@good.example", "evil.example"),
            ("https://evil.example?good.example/", "evil.example"),
            ("https://good.example\\@evil.example/", "good.example"),
            ("https://good.example.evil.example/", "good.example.evil.example"),
            ("https://good.example./", "good.example."),
            ("https://good.example:444/", "good.example"),
            ("https://GOOD%2Eexample/", "good.example"),
            ("https://g\u{200b}ood.example/", "good.example"),
            ("https://g\u{43e}od.example/", "xn--god-sed.example"),
            ("https://[::ffff:127.0.0.1]/", "[::ffff:7f00:1]"),
            ("https://good\t.exam\nple/", "good.example"),
        ] {
            assert_eq!(Target::parse(url, false).unwrap().host(), host, "{url}");
        }
        assert_eq!(Target::parse("https://good.example@evil.example/", false), Err(InvalidTarget::User));
        for broken in ["https://[::1/", "https://good.example:99999/", "https://a b/", "https://%00/"] {
            assert_eq!(Target::parse(broken, false), Err(InvalidTarget::NotAUrl), "{broken}");
        }
    }

    #[test]
    fn an_address_is_known_however_it_is_written() {
        for written in ["127.0.0.1", "127.1", "2130706433", "0x7f.1", "0177.0.0.1"] {
            assert_eq!(Target::parse(&format!("https://{written}/"), false).unwrap().host(), "127.0.0.1");
        }
    }
}
