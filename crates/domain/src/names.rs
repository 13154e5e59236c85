//! Names that come from outside, checked once at the edge.

use std::{fmt, sync::Arc};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Longest name of an export, in characters after trimming.
const MAX_EXPORT_NAME_CHARS: usize = 255;

/// Longest name of an application or a resource, in bytes.
const MAX_IDENTIFIER_BYTES: usize = 255;

/// Why a text is not a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidName {
    /// Nothing but white space.
    #[error("must not be empty")]
    Empty,
    /// More than 255 characters.
    #[error("must be at most 255 characters")]
    TooLong,
    /// A control character, NUL among them.
    #[error("must not contain control characters")]
    ControlCharacter,
}

/// The name a customer gives an export: 1 to 255 characters after trimming, none of them a control
/// character (S0-25).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct ExportName(String);

impl ExportName {
    /// Checks and trims `text`.
    ///
    /// # Errors
    /// [`InvalidName`] says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        let trimmed = text.trim();
        if trimmed.is_empty() {
            return Err(InvalidName::Empty);
        }
        if trimmed.chars().count() > MAX_EXPORT_NAME_CHARS {
            return Err(InvalidName::TooLong);
        }
        if trimmed.chars().any(char::is_control) {
            return Err(InvalidName::ControlCharacter);
        }
        Ok(Self(trimmed.to_owned()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ExportName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        #[serde(try_from = "String", into = "String")]
        #[schemars(with = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks `text`: 1 to 255 bytes, no control characters. It is not trimmed: an identifier is
            /// compared as it stands.
            ///
            /// # Errors
            /// [`InvalidName`] says what is wrong with it.
            pub fn parse(text: &str) -> Result<Self, InvalidName> {
                if text.is_empty() {
                    return Err(InvalidName::Empty);
                }
                if text.len() > MAX_IDENTIFIER_BYTES {
                    return Err(InvalidName::TooLong);
                }
                if text.chars().any(char::is_control) {
                    return Err(InvalidName::ControlCharacter);
                }
                Ok(Self(text.into()))
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidName;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                Self::parse(&text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0.as_ref().to_owned()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

identifier!(
    /// An application that owns data, for instance `inventory` or `urn:redhat:application:inventory`.
    ApplicationName
);
identifier!(
    /// A kind of data of an application, for instance `packages`.
    ResourceName
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_export_name_is_trimmed() {
        assert_eq!(ExportName::parse("  Nightly ").unwrap().as_str(), "Nightly");
    }

    #[test]
    fn an_export_name_of_255_characters_is_the_longest() {
        assert!(ExportName::parse(&"ü".repeat(255)).is_ok());
        assert_eq!(ExportName::parse(&"ü".repeat(256)), Err(InvalidName::TooLong));
    }

    #[test]
    fn blank_and_control_characters_are_not_names() {
        assert_eq!(ExportName::parse(" \t"), Err(InvalidName::Empty));
        assert_eq!(ExportName::parse("a\0b"), Err(InvalidName::ControlCharacter));
        assert_eq!(ApplicationName::parse("a\nb"), Err(InvalidName::ControlCharacter));
        assert_eq!(ResourceName::parse(""), Err(InvalidName::Empty));
    }
}
