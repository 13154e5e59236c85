//! The request event that the application is sent (S0-2 to S0-16, S0-52).

use base64::{Engine as _, engine::general_purpose::STANDARD};
use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::arguments::Identity;

/// A request for one source of one export.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Request {
    /// The event's id.
    pub(crate) event_id: Uuid,
    /// The export's id.
    pub(crate) export_id: Uuid,
    /// The source's id.
    pub(crate) resource_id: Uuid,
    /// Who is asked.
    pub(crate) application: String,
    /// What for.
    pub(crate) resource: String,
    /// In which format; also one that there is not.
    pub(crate) format: String,
    /// Which rows.
    pub(crate) filters: Option<Map<String, Value>>,
}

/// A record for Kafka.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    /// The export's id.
    pub(crate) key: String,
    /// The header `application`.
    pub(crate) application: String,
    /// The header `x-rh-identity`.
    pub(crate) identity: String,
    /// The event; None for a record without a value.
    pub(crate) payload: Option<Vec<u8>>,
}

/// An id that nothing else has.
#[expect(clippy::disallowed_methods, reason = "a program of its own, without the platform's source of ids")]
pub(crate) fn random_id() -> Uuid {
    Uuid::new_v4()
}

#[expect(clippy::disallowed_methods, reason = "a program of its own, without the platform's clock")]
fn now() -> DateTime<Utc> {
    Utc::now()
}

impl Request {
    /// A request with new ids.
    pub(crate) fn new(
        application: &str,
        resource: &str,
        format: &str,
        filters: Option<Map<String, Value>>,
    ) -> Self {
        Self {
            event_id: random_id(),
            export_id: random_id(),
            resource_id: random_id(),
            application: application.to_owned(),
            resource: resource.to_owned(),
            format: format.to_owned(),
            filters,
        }
    }

    /// The event's record, as the platform would send it.
    pub(crate) fn to_record(&self, identity: &Identity) -> Record {
        let header = STANDARD.encode(&identity.json);
        let mut request = json!({
            "uuid": self.resource_id,
            "export_request_uuid": self.export_id,
            "application": self.application,
            "format": self.format,
            "resource": self.resource,
            "x-rh-identity": header,
        });
        // Absent when there are none, never null.
        if let Some(filters) = &self.filters {
            request["filters"] = Value::Object(filters.clone());
        }
        let event = json!({
            "$schema": "https://console.redhat.com/api/schemas/events/v1/events.json",
            "id": self.event_id,
            "source": "urn:redhat:source:console:app:export-service",
            "subject": format!("urn:redhat:subject:export-service:request:{}", self.export_id),
            "specversion": "1.0",
            "type": "com.redhat.console.export-service.request",
            "time": now().to_rfc3339_opts(SecondsFormat::Secs, true),
            "redhatorgid": identity.org_id,
            "dataschema": "https://console.redhat.com/api/schemas/apps/export-service/v1/resource-request.json",
            "data": {"resource_request": request},
        });
        Record {
            key: self.export_id.to_string(),
            application: self.application.clone(),
            identity: header,
            payload: Some(event.to_string().into_bytes()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEMA: &str = include_str!("../../../../schemas/events/resource-request.json");

    fn identity() -> Identity {
        Identity { json: r#"{"identity":{"org_id":"1"}}"#.to_owned(), org_id: "1".to_owned() }
    }

    #[test]
    fn s0_10_the_event_is_as_the_published_schema_has_it() {
        let schema = jsonschema::validator_for(&serde_json::from_str(SCHEMA).unwrap()).unwrap();
        for filters in [None, Some(Map::new()), json!({"a": null, "b": [1]}).as_object().cloned()] {
            let record = Request::new("inventory", "packages", "csv", filters).to_record(&identity());
            let event: Value = serde_json::from_slice(&record.payload.unwrap()).unwrap();
            schema.validate(&event).unwrap();
            assert_eq!(event["data"]["resource_request"]["export_request_uuid"], record.key.as_str());
        }
    }
}
