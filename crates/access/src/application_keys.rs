//! The applications of this installation and the keys they call with (S0-17, S0-47b).

use std::collections::{BTreeMap, BTreeSet};

use domain::{ApplicationName, ByteSize, Catalog, ResourceName};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use subtle::Choice;

use crate::KeyHash;

/// Two, so that a new key can be handed out before the old one is withdrawn.
const MAX_KEYS: usize = 2;

/// The section `[applications]`: every application by its name.
pub type Applications = BTreeMap<ApplicationName, ApplicationSettings>;

/// An application whose data can be exported.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ApplicationSettings {
    /// SHA-256 of the keys that the application may call the internal API with, at most two: the
    /// present one and, while it is being replaced, its successor. Without a key the application can
    /// deliver nothing.
    pub keys_sha256: Vec<KeyHash>,
    /// What customers may ask of the application.
    #[schemars(with = "BTreeSet<String>")]
    pub resources: BTreeSet<ResourceName>,
    /// Largest upload of the application; without it, the internal API's own limit counts.
    pub max_upload_bytes: Option<ByteSize>,
}

/// What customers may ask for, by the settings.
pub fn catalog(applications: &Applications) -> Catalog {
    applications.iter().map(|(name, settings)| (name.clone(), settings.resources.clone())).collect()
}

/// The keys of all applications. It keeps hashes only, and cannot be made without a key: an internal
/// API that knows no key must not start (S0-17).
#[derive(Debug, Clone)]
pub struct ApplicationKeys(Vec<(ApplicationName, KeyHash)>);

/// Settings that cannot be worked with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeySetupError {
    /// No application has a key.
    #[error("no application has a key: set keys_sha256 of at least one in [applications]")]
    NoKeys,
    /// An application has more than two keys.
    #[error("application `{0}` has more than two keys")]
    TooManyKeys(ApplicationName),
    /// Two applications have the same key, or one has it twice: then it would not say who calls.
    #[error("a key of application `{0}` is configured twice")]
    SharedKey(ApplicationName),
}

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

impl ApplicationKeys {
    /// Takes the keys from the settings.
    ///
    /// # Errors
    /// [`KeySetupError`] if there is no key at all, an application has more than two, or a key
    /// stands for more than one application.
    pub fn new(applications: &Applications) -> Result<Self, KeySetupError> {
        let mut keys = Vec::new();
        let mut seen = BTreeSet::new();
        for (application, settings) in applications {
            if settings.keys_sha256.len() > MAX_KEYS {
                return Err(KeySetupError::TooManyKeys(application.clone()));
            }
            for hash in &settings.keys_sha256 {
                if !seen.insert(hash) {
                    return Err(KeySetupError::SharedKey(application.clone()));
                }
                keys.push((application.clone(), hash.clone()));
            }
        }
        if keys.is_empty() { Err(KeySetupError::NoKeys) } else { Ok(Self(keys)) }
    }

    /// Decides whether the holder of `key` may act as `application`. The key is compared with every
    /// key there is, so that the time taken says nothing about which was close.
    ///
    /// # Errors
    /// [`KeyError::OtherApplication`] if `application` has no key (whatever `key` is) or `key` is
    /// another one's; [`KeyError::Unknown`] if `key` is nobody's.
    pub fn authorise(&self, key: &[u8], application: &ApplicationName) -> Result<(), KeyError> {
        let presented = KeyHash::of(key);
        let mut known = Choice::from(0);
        let mut theirs = Choice::from(0);
        let mut has_key = false;
        for (owner, hash) in &self.0 {
            let equal = hash.equals(&presented);
            let same_application = owner == application;
            known |= equal;
            theirs |= equal & Choice::from(u8::from(same_application));
            has_key |= same_application;
        }
        match (bool::from(theirs), bool::from(known)) {
            (true, _) => Ok(()),
            (false, false) if has_key => Err(KeyError::Unknown),
            (false, _) => Err(KeyError::OtherApplication),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> ApplicationName {
        ApplicationName::parse(text).unwrap()
    }

    fn applications(keys: &[(&str, &[&str])]) -> Applications {
        keys.iter()
            .map(|(application, keys)| {
                let keys_sha256 = keys.iter().map(|key| KeyHash::of(key.as_bytes())).collect();
                (name(application), ApplicationSettings { keys_sha256, ..Default::default() })
            })
            .collect()
    }

    #[test]
    fn s0_17_both_keys_of_an_application_are_live() {
        let keys = ApplicationKeys::new(&applications(&[("a", &["old", "new"]), ("b", &["other"])])).unwrap();
        assert_eq!(keys.authorise(b"old", &name("a")), Ok(()));
        assert_eq!(keys.authorise(b"new", &name("a")), Ok(()));
        assert_eq!(keys.authorise(b"other", &name("b")), Ok(()));
    }

    #[test]
    fn s0_17_a_wrong_key_differs_from_another_applications_key() {
        let keys = ApplicationKeys::new(&applications(&[("a", &["k"]), ("b", &["l"]), ("c", &[])])).unwrap();
        assert_eq!(keys.authorise(b"wrong", &name("a")), Err(KeyError::Unknown));
        assert_eq!(keys.authorise(b"", &name("a")), Err(KeyError::Unknown));
        assert_eq!(keys.authorise(b"l", &name("a")), Err(KeyError::OtherApplication));
    }

    #[test]
    fn s0_17_an_application_without_a_key_is_refused_whatever_the_key() {
        let keys = ApplicationKeys::new(&applications(&[("a", &["k"]), ("c", &[])])).unwrap();
        for application in [name("c"), name("unheard-of")] {
            assert_eq!(keys.authorise(b"k", &application), Err(KeyError::OtherApplication));
            assert_eq!(keys.authorise(b"wrong", &application), Err(KeyError::OtherApplication));
        }
    }

    #[test]
    fn s0_17_without_any_key_there_is_no_internal_api() {
        let none = ApplicationKeys::new(&applications(&[("a", &[])]));
        assert_eq!(none.unwrap_err(), KeySetupError::NoKeys);
        assert_eq!(ApplicationKeys::new(&Applications::new()).unwrap_err(), KeySetupError::NoKeys);
    }

    #[test]
    fn s0_17_three_keys_or_a_shared_one_are_refused() {
        let three = ApplicationKeys::new(&applications(&[("a", &["1", "2", "3"])]));
        assert_eq!(three.unwrap_err(), KeySetupError::TooManyKeys(name("a")));
        let shared = ApplicationKeys::new(&applications(&[("a", &["1"]), ("b", &["1"])]));
        assert_eq!(shared.unwrap_err(), KeySetupError::SharedKey(name("b")));
    }

    #[test]
    fn debug_output_shows_no_hash() {
        let keys = ApplicationKeys::new(&applications(&[("a", &["k"])])).unwrap();
        assert!(format!("{keys:?}").contains("***"));
    }

    #[test]
    fn the_catalog_holds_what_the_settings_list() {
        let mut applications = applications(&[("a", &["k"])]);
        let resources = BTreeSet::from([ResourceName::parse("r").unwrap()]);
        applications.insert(name("b"), ApplicationSettings { resources, ..Default::default() });
        assert!(catalog(&applications).find("b", "r").is_ok());
        assert!(catalog(&applications).find("a", "r").is_err());
    }
}
