//! The request event: what a source application is asked.

use std::fmt;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use crate::{
    export::{Export, ExportFormat},
    ids::{EventId, ExportId, ResourceId},
    names::{ApplicationName, ResourceName},
    resource::Resource,
};

/// One request for the data of one source (S0-2 to S0-16). Rendering it twice gives the same bytes, so
/// that an event sent twice is the same event.
#[derive(Clone, PartialEq)]
pub struct RequestEvent {
    /// Minted when the source is asked; a source that is asked again gets a new event.
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

impl RequestEvent {
    /// A new event that asks for `source` of `export` at `time`, on behalf of the customer with `identity`. Its id
    /// is a new one: a consumer that deduplicates would pass over that of the event before.
    pub fn new(
        export: &Export,
        source: &Resource,
        org_id: String,
        identity: String,
        time: DateTime<Utc>,
    ) -> Self {
        Self {
            id: EventId::random(),
            time,
            export_id: export.id,
            resource_id: source.id,
            org_id,
            application: source.application.clone(),
            resource: source.resource.clone(),
            format: export.format,
            identity,
            filters: source.filters.clone(),
        }
    }
}

/// Ids only: the identity says who the customer is, and the filters what is looked for.
impl fmt::Debug for RequestEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestEvent")
            .field("id", &self.id)
            .field("export_id", &self.export_id)
            .field("resource_id", &self.resource_id)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_has_the_ids_and_nothing_of_the_customer() {
        let event = RequestEvent {
            id: EventId::random(),
            time: DateTime::UNIX_EPOCH,
            export_id: ExportId::random(),
            resource_id: ResourceId::random(),
            org_id: "org-of-a-customer".to_owned(),
            application: ApplicationName::parse("inventory").unwrap(),
            resource: ResourceName::parse("systems").unwrap(),
            format: ExportFormat::Json,
            identity: "aWRlbnRpdHk=".to_owned(),
            filters: Some(Map::from_iter([("name".to_owned(), Value::from("hunter2"))])),
        };
        let shown = format!("{event:?}");
        assert!(shown.contains(&event.export_id.to_string()), "{shown}");
        for hidden in ["org-of-a-customer", "aWRlbnRpdHk=", "hunter2"] {
            assert!(!shown.contains(hidden), "{shown}");
        }
    }
}
