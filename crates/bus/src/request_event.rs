//! The event that asks a source application for data (S0-2 to S0-16, S0-52).

use chrono::SecondsFormat;
use domain::{ByteSize, Record, RequestEvent};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    envelope::Envelope,
    event_schema::{EventSchema, RESOURCE_REQUEST, SchemaError, SchemaViolation},
};

/// Section `[events]`: the constants of request events, and their topic.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EventSettings {
    /// The topic that source applications read.
    pub topic: String,
    /// The value of `$schema`.
    pub schema: String,
    /// The value of `source`.
    pub source: String,
    /// What stands before the export's UUID in `subject`.
    pub subject_prefix: String,
    /// The value of `type`.
    #[serde(rename = "type")]
    pub event_type: String,
    /// The value of `dataschema`.
    pub data_schema: String,
    /// The largest record, with its key, headers and framing, uncompressed. It must not be more than the
    /// topic's `max.message.bytes`. A create request that would need a larger one is refused.
    pub max_message_bytes: ByteSize,
}

impl Default for EventSettings {
    fn default() -> Self {
        Self {
            topic: "platform.export.requests".to_owned(),
            schema: "https://console.redhat.com/api/schemas/events/v1/events.json".to_owned(),
            source: "urn:redhat:source:console:app:export-service".to_owned(),
            subject_prefix: "urn:redhat:subject:export-service:request:".to_owned(),
            event_type: "com.redhat.console.export-service.request".to_owned(),
            data_schema:
                "https://console.redhat.com/api/schemas/apps/export-service/v1/resource-request.json"
                    .to_owned(),
            max_message_bytes: ByteSize::from_bytes(1_000_000),
        }
    }
}

/// Why there is no record for an event.
#[derive(Debug, thiserror::Error)]
pub enum EventError {
    /// It cannot be written as JSON, or not be read again: its filters are nested too deeply.
    #[error("the event is not readable JSON")]
    Json(#[source] serde_json::Error),
    /// It breaks the schema in `schemas/events/`.
    #[error("the event breaks its schema")]
    Schema(#[source] SchemaViolation),
    /// The topic would not take it.
    #[error("the event needs {size_bytes} bytes, at most {max_bytes} are allowed")]
    TooLarge {
        /// What it needs, in bytes.
        size_bytes: usize,
        /// What `events.max_message_bytes` allows.
        max_bytes: u64,
    },
}

/// Renders request events. Make one and keep it: it holds the compiled schema.
#[derive(Debug, Clone)]
pub struct RequestEvents {
    settings: EventSettings,
    schema: EventSchema,
}

#[derive(Serialize)]
struct Data<'a> {
    resource_request: ResourceRequest<'a>,
}

#[derive(Serialize)]
struct ResourceRequest<'a> {
    uuid: &'a str,
    export_request_uuid: &'a str,
    application: &'a str,
    format: &'static str,
    resource: &'a str,
    #[serde(rename = "x-rh-identity")]
    identity: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    filters: Option<&'a Map<String, Value>>,
}

impl RequestEvents {
    /// A renderer with these constants.
    ///
    /// # Errors
    /// [`SchemaError`] when the schema in `schemas/events/` is itself broken.
    pub fn new(settings: &EventSettings) -> Result<Self, SchemaError> {
        Ok(Self { settings: settings.clone(), schema: EventSchema::compile(RESOURCE_REQUEST)? })
    }

    /// The record that asks for what `event` says. The same event gives the same bytes.
    ///
    /// # Errors
    /// [`EventError`] when source applications could not read the record, or Kafka would not take it.
    pub fn render(&self, event: &RequestEvent) -> Result<Record, EventError> {
        let key = event.export_id.to_string();
        let payload = self.payload(event, &key).map_err(EventError::Json)?;
        // What is checked is what will be sent, byte for byte.
        let instance = serde_json::from_slice(&payload).map_err(EventError::Json)?;
        self.schema.check(&instance).map_err(EventError::Schema)?;
        let record = Record {
            topic: self.settings.topic.clone(),
            key,
            headers: vec![
                ("application".to_owned(), event.application.as_str().to_owned()),
                ("x-rh-identity".to_owned(), event.identity.clone()),
            ],
            payload,
        };
        self.check_size(&record)?;
        Ok(record)
    }

    fn payload(&self, event: &RequestEvent, export_id: &str) -> serde_json::Result<Vec<u8>> {
        let settings = &self.settings;
        serde_json::to_vec(&Envelope {
            schema: &settings.schema,
            id: &event.id.to_string(),
            source: &settings.source,
            subject: &format!("{}{export_id}", settings.subject_prefix),
            specversion: "1.0",
            event_type: &settings.event_type,
            time: &event.time.to_rfc3339_opts(SecondsFormat::Secs, true),
            redhatorgid: &event.org_id,
            dataschema: &settings.data_schema,
            data: Data {
                resource_request: ResourceRequest {
                    uuid: &event.resource_id.to_string(),
                    export_request_uuid: export_id,
                    application: event.application.as_str(),
                    format: event.format.as_str(),
                    resource: event.resource.as_str(),
                    identity: &event.identity,
                    filters: event.filters.as_ref(),
                },
            },
        })
    }

    fn check_size(&self, record: &Record) -> Result<(), EventError> {
        let (size_bytes, max_bytes) = (record.size_bytes(), self.settings.max_message_bytes.bytes());
        if size_bytes as u64 > max_bytes {
            return Err(EventError::TooLarge { size_bytes, max_bytes });
        }
        Ok(())
    }
}
