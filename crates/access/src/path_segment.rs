//! Application names in paths, which existing clients encode once or twice (S0-47b).

use domain::{ApplicationName, InvalidName};
use percent_encoding::percent_decode_str;

/// Clients encode twice at most; what needs more rounds than this was made to tire us.
const MAX_ROUNDS: usize = 4;

/// Why a path segment names no application.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSegment {
    /// It decodes to something that is not UTF-8.
    #[error("the application is not valid UTF-8")]
    NotUtf8,
    /// It is still encoded after four rounds.
    #[error("the application is encoded too many times")]
    EncodedTooOften,
    /// It decodes to something that is not a name.
    #[error("the application is not a name")]
    Name(#[from] InvalidName),
}

/// Percent-decodes `segment` until it no longer changes, so that `urn:a`, `urn%3Aa` and `urn%253Aa` are
/// one application. A `%` that starts no escape stays what it is.
///
/// # Errors
/// [`InvalidSegment`] if what comes out is not an application's name.
pub fn decode_application_segment(segment: &str) -> Result<ApplicationName, InvalidSegment> {
    let mut text = segment.to_owned();
    for _ in 0..MAX_ROUNDS {
        let decoded = percent_decode_str(&text).decode_utf8().map_err(|_| InvalidSegment::NotUtf8)?;
        if decoded == text {
            return Ok(ApplicationName::parse(&text)?);
        }
        text = decoded.into_owned();
    }
    Err(InvalidSegment::EncodedTooOften)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn s0_47b_a_name_is_the_same_plain_or_encoded_once_or_twice() {
        let plain = "urn:redhat:application:inventory";
        let once = "urn%3Aredhat%3aapplication%3Ainventory";
        let twice = "urn%253Aredhat%253aapplication%253Ainventory";
        for segment in [plain, once, twice] {
            assert_eq!(decode_application_segment(segment).unwrap().as_str(), plain);
        }
    }

    #[test]
    fn a_percent_sign_that_starts_no_escape_stays() {
        assert_eq!(decode_application_segment("50%25").unwrap().as_str(), "50%");
        assert_eq!(decode_application_segment("a%zz").unwrap().as_str(), "a%zz");
    }

    #[test]
    fn what_hides_bad_bytes_is_refused() {
        assert_eq!(decode_application_segment("%ff"), Err(InvalidSegment::NotUtf8));
        let nul = InvalidSegment::Name(InvalidName::ControlCharacter);
        assert_eq!(decode_application_segment("a%2500"), Err(nul));
        assert_eq!(decode_application_segment(""), Err(InvalidSegment::Name(InvalidName::Empty)));
        assert_eq!(decode_application_segment("%2525252541"), Err(InvalidSegment::EncodedTooOften));
    }

    proptest! {
        #[test]
        fn a_decoded_name_decodes_to_itself(segment in "[a-z%0-9:]{0,20}") {
            if let Ok(name) = decode_application_segment(&segment) {
                prop_assert_eq!(decode_application_segment(name.as_str()), Ok(name));
            }
        }
    }
}
