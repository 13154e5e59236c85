//! The names of objects.

use std::{fmt, str::FromStr, sync::Arc};

use domain::ids::{AttemptId, ExportId};

/// The longest key, in bytes: S3 allows 1,024 with the prefix.
const MAX_BYTES: usize = 512;

/// The name of one object, below the configured prefix: segments of `[0-9a-zA-Z-]` with `/` between them.
/// This alphabet needs no escaping in URLs, file names and signatures of any store.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectKey(Arc<str>);

/// The key of the object that one attempt to upload a source's data writes: `exports/{export}/{attempt}`.
/// No two attempts share a key, so what is stored under a key never changes.
pub fn object_key(export: ExportId, attempt: AttemptId) -> ObjectKey {
    ObjectKey(format!("exports/{export}/{attempt}").into())
}

/// A text that cannot be the key of an object.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a key: segments of letters, digits and `-`, joined by `/`")]
pub struct InvalidKey(String);

impl ObjectKey {
    /// The key as text, without the configured prefix.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The export it belongs to; None for a key that [`object_key`] does not make.
    pub fn export_id(&self) -> Option<ExportId> {
        let mut segments = self.0.strip_prefix("exports/")?.split('/');
        let export = segments.next()?.parse().ok()?;
        let _attempt: AttemptId = segments.next()?.parse().ok()?;
        segments.next().is_none().then_some(export)
    }
}

impl FromStr for ObjectKey {
    type Err = InvalidKey;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fits = text.len() <= MAX_BYTES && text.split('/').all(is_segment);
        if fits { Ok(Self(text.into())) } else { Err(InvalidKey(text.to_owned())) }
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&ObjectKey> for Arc<str> {
    fn from(key: &ObjectKey) -> Self {
        Self::clone(&key.0)
    }
}

fn is_segment(segment: &str) -> bool {
    !segment.is_empty() && segment.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_names_the_export_and_the_attempt() {
        let export: ExportId = "0190163d-8694-739b-aea5-966c26f8ad90".parse().unwrap();
        let attempt: AttemptId = "0190163d-8694-739b-aea5-966c26f8ad91".parse().unwrap();
        let key = object_key(export, attempt);
        assert_eq!(
            key.as_str(),
            "exports/0190163d-8694-739b-aea5-966c26f8ad90/0190163d-8694-739b-aea5-966c26f8ad91"
        );
        assert_eq!(key.export_id(), Some(export));
        assert_eq!(key.as_str().parse(), Ok(key));
    }

    #[test]
    fn a_text_that_could_leave_its_folder_is_no_key() {
        for text in ["", "/", "a/", "/a", "a//b", "..", "a/../b", "a b", "a#1", "ä", "a\\b", "a%2f"] {
            assert!(text.parse::<ObjectKey>().is_err(), "{text}");
        }
        assert!("a".repeat(MAX_BYTES + 1).parse::<ObjectKey>().is_err());
    }
}
