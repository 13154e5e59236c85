//! Delivered data that data pipelines are told of (contract page 2).

use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    export::ExportFormat,
    ids::{EventId, ExportId, ResourceId},
    names::{ApplicationName, ResourceName},
};

/// What the announcement of a completed source follows from. The URL is not part of it: it is signed when the
/// record is sent.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Announcement {
    /// Every copy ever sent of this announcement carries it.
    pub id: EventId,
    /// When the source has delivered.
    pub time: DateTime<Utc>,
    /// The export.
    pub export_id: ExportId,
    /// The source.
    pub resource_id: ResourceId,
    /// Its application.
    pub application: ApplicationName,
    /// Which of the application's resources it is.
    pub resource: ResourceName,
    /// The format of the data.
    pub format: ExportFormat,
    /// The key of the gzip object that holds it.
    pub object_key: String,
    /// Length of that object, in bytes.
    pub stored_bytes: u64,
    /// When the source expires, after which its data must not be had.
    pub expires_at: DateTime<Utc>,
    /// The customer's x-rh-identity header as it was received.
    pub identity: String,
}

/// Ids only: the identity says who the customer is.
impl fmt::Debug for Announcement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Announcement")
            .field("id", &self.id)
            .field("export_id", &self.export_id)
            .field("resource_id", &self.resource_id)
            .finish_non_exhaustive()
    }
}
