//! The keys that applications call with (S0-17, S0-47b).

use domain::{ApplicationName, KeyHash, ids::KeyId};
use subtle::{Choice, ConditionallySelectable as _, ConstantTimeEq as _};

/// Why a call is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// It is nobody's key: 401.
    #[error("invalid x-rh-exports-psk header")]
    Unknown,
    /// The application has no key, or the key is another application's: 403.
    #[error("this x-rh-exports-psk does not belong to the application")]
    OtherApplication,
}

/// Decides whether the holder of `key` may act as `application`, and by which key. It is compared with every
/// key there is, so that the time taken says nothing about which was close.
///
/// # Errors
/// [`KeyError::OtherApplication`] if `application` has no key (whatever `key` is) or `key` is another one's;
/// [`KeyError::Unknown`] if `key` is nobody's.
pub fn authorise_application<'a>(
    keys: impl IntoIterator<Item = (KeyId, &'a ApplicationName, &'a KeyHash)>,
    key: &[u8],
    application: &ApplicationName,
) -> Result<KeyId, KeyError> {
    let presented = KeyHash::of(key);
    let mut known = Choice::from(0);
    let mut theirs = Vec::new();
    let mut place = u64::MAX;
    for (id, owner, hash) in keys {
        let equal = hash.as_bytes().ct_eq(presented.as_bytes());
        known |= equal;
        if owner == application {
            place.conditional_assign(&(theirs.len() as u64), equal);
            theirs.push(id);
        }
    }
    let found = usize::try_from(place).ok().and_then(|place| theirs.get(place));
    match (found, bool::from(known)) {
        (Some(id), _) => Ok(*id),
        (None, false) if !theirs.is_empty() => Err(KeyError::Unknown),
        (None, _) => Err(KeyError::OtherApplication),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> ApplicationName {
        ApplicationName::parse(text).unwrap()
    }

    /// Application `a` has two keys, `b` one, and `c` none.
    fn authorise(key: &str, application: &str) -> Result<usize, KeyError> {
        let keys = [("a", "old"), ("b", "other"), ("a", "new")]
            .map(|(owner, key)| (KeyId::random(), name(owner), KeyHash::of(key.as_bytes())));
        let id = authorise_application(
            keys.iter().map(|(id, owner, hash)| (*id, owner, hash)),
            key.as_bytes(),
            &name(application),
        )?;
        Ok(keys.iter().position(|(known, ..)| *known == id).unwrap())
    }

    #[test]
    fn s0_17_both_keys_of_an_application_are_live() {
        assert_eq!(authorise("old", "a"), Ok(0));
        assert_eq!(authorise("new", "a"), Ok(2));
        assert_eq!(authorise("other", "b"), Ok(1));
    }

    #[test]
    fn s0_17_a_wrong_key_differs_from_another_applications_key() {
        assert_eq!(authorise("wrong", "a"), Err(KeyError::Unknown));
        assert_eq!(authorise("", "a"), Err(KeyError::Unknown));
        assert_eq!(authorise("other", "a"), Err(KeyError::OtherApplication));
    }

    #[test]
    fn s0_17_an_application_without_a_key_is_refused_whatever_the_key() {
        for application in ["c", "unheard-of"] {
            assert_eq!(authorise("old", application), Err(KeyError::OtherApplication));
            assert_eq!(authorise("wrong", application), Err(KeyError::OtherApplication));
        }
        let none = authorise_application([], b"old", &name("a"));
        assert_eq!(none, Err(KeyError::OtherApplication));
    }
}
