//! The token of an `Authorization` header (RFC 9110 section 11.6.2, RFC 6750 section 2.1).

use std::fmt;

/// What the `Authorization` headers of a request say.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Bearer<'a> {
    /// Nothing of a token: there is none, or it is of another scheme, such as the `Basic` that some clients
    /// add by themselves. It opens nothing and is in nobody's way.
    Absent,
    /// A token, not checked yet.
    Token(&'a str),
    /// There should be a token, and it is not one: empty, in pieces, or one of several.
    Broken,
}

/// Reads the values of all `Authorization` headers of a request.
pub fn bearer<'a>(values: impl IntoIterator<Item = &'a [u8]>) -> Bearer<'a> {
    let values: Vec<&[u8]> = values.into_iter().map(<[u8]>::trim_ascii).collect();
    match (values.iter().find_map(|value| token(value)), values.len()) {
        (None, _) => Bearer::Absent,
        (Some(token), 1) if is_whole(token) => str::from_utf8(token).map_or(Bearer::Broken, Bearer::Token),
        (Some(_), _) => Bearer::Broken,
    }
}

/// Whether it is something, of one piece, in signs that can be seen: all that a JWT is made of are.
fn is_whole(token: &[u8]) -> bool {
    !token.is_empty() && token.iter().all(u8::is_ascii_graphic)
}

/// What follows the scheme `Bearer`, whose case does not count; None where the scheme is another.
fn token(value: &[u8]) -> Option<&[u8]> {
    const SCHEME: &[u8] = b"bearer";
    let (scheme, rest) = value.split_at_checked(SCHEME.len())?;
    let ends = rest.first().is_none_or(u8::is_ascii_whitespace);
    (ends && scheme.eq_ignore_ascii_case(SCHEME)).then(|| rest.trim_ascii())
}

impl fmt::Debug for Bearer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Absent => "Absent",
            Self::Token(_) => "Token(***)",
            Self::Broken => "Broken",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of<'a>(values: &[&'a str]) -> Bearer<'a> {
        bearer(values.iter().map(|value| value.as_bytes()))
    }

    #[test]
    fn s0_17b_the_scheme_has_no_case() {
        for one in ["Bearer a.b.c", "bearer a.b.c", "BEARER   a.b.c ", "Bearer\ta.b.c"] {
            assert_eq!(of(&[one]), Bearer::Token("a.b.c"), "{one}");
        }
    }

    #[test]
    fn s0_17b_other_schemes_are_no_tokens() {
        for other in [&[][..], &[""], &["Basic YTpi"], &["Bearers a"], &["Basic a", "Digest b"], &["bear"]] {
            assert_eq!(of(other), Bearer::Absent, "{other:?}");
        }
    }

    #[test]
    fn s0_17b_what_should_be_one_token_and_is_not_is_broken() {
        for broken in [
            &["Bearer"][..],
            &["Bearer "],
            &["Bearer a b"],
            &["Bearer a\u{1}b"],
            &["Bearer ä"],
            &["Bearer a", "Bearer a"],
            &["Bearer a", "Basic b"],
            &["Basic b", "Bearer a"],
        ] {
            assert_eq!(of(broken), Bearer::Broken, "{broken:?}");
        }
    }
}
