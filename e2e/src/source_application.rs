//! Something that answers for sources.

use crate::settings::key_of;

/// A caller of the internal API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceApplication {
    /// Its name, as the settings have it.
    pub name: String,
    /// The key it calls with; not necessarily its own.
    pub key: String,
}

impl SourceApplication {
    /// The application `name` with its own key.
    pub fn named(name: &str) -> Self {
        Self { name: name.into(), key: key_of(name) }
    }

    /// The same name with another key.
    #[must_use]
    pub fn with_key(&self, key: &str) -> Self {
        Self { name: self.name.clone(), key: key.into() }
    }
}
