//! The request event: what a source application is asked.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use crate::{
    export::ExportFormat,
    ids::{EventId, ExportId, ResourceId},
    names::{ApplicationName, ResourceName},
};

/// One request for the data of one source (S0-2 to S0-16). Rendering it twice gives the same bytes, so
/// that an event sent twice is the same event.
#[derive(Debug, Clone, PartialEq)]
pub struct RequestEvent {
    /// Minted in the transaction that creates the export.
    pub id: EventId,
    /// When it was minted; whole seconds count.
    pub time: DateTime<Utc>,
    /// The export it belongs to; also the record's key.
    pub export_id: ExportId,
    /// The source it asks for.
    pub resource_id: ResourceId,
    /// The organization of the customer.
    pub org_id: String,
    /// The application that is asked.
    pub application: ApplicationName,
    /// What it is asked for.
    pub resource: ResourceName,
    /// In which format.
    pub format: ExportFormat,
    /// The `x-rh-identity` header as it was received.
    pub identity: String,
    /// The application's own filters; left out of the event when there are none.
    pub filters: Option<Map<String, Value>>,
}
