//! Identifiers. Each kind is a type of its own, so that one cannot be passed for another.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// A new id. It is a UUID of version 7: its leading bits are the time, so that rows
            /// made together lie together in an index.
            #[expect(clippy::disallowed_methods, reason = "the one place that draws random ids")]
            pub fn random() -> Self {
                Self(Uuid::now_v7())
            }

            /// The id as a plain UUID, for the edge of the system.
            pub const fn as_uuid(&self) -> &Uuid {
                &self.0
            }
        }

        impl From<Uuid> for $name {
            fn from(uuid: Uuid) -> Self {
                Self(uuid)
            }
        }

        impl From<$name> for Uuid {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::parse_str(text).map(Self)
            }
        }
    };
}

id!(
    /// One export, as customers know it.
    ExportId
);
id!(
    /// One source of an export: one resource of one application. Customers see it as a source's `id`,
    /// source applications as the resource's UUID.
    ResourceId
);
id!(
    /// One event on Kafka. A repeated delivery of the same event carries the same id.
    EventId
);
id!(
    /// One attempt to upload the data of a resource; its object's key is derived from it.
    AttemptId
);
id!(
    /// One resumable upload, as its `Location` names it.
    UploadId
);
id!(
    /// Proof of holding a lease. Whoever settles leased work shows the token it was leased with.
    LeaseToken
);
id!(
    /// One database with the object storage that belongs to it.
    InstallationId
);
id!(
    /// One key of an application.
    KeyId
);
id!(
    /// One request over HTTP, where its sender gave none.
    RequestId
);
